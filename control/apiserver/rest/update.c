/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/rest/body.h"
#include "apiserver/rest/create.h"
#include "apiserver/rest/rest.h"
#include "apiserver/rest/update.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "base/str.h"

/* A deleted object whose last finalizer has just gone is removed by the update that took it away. */
static int commit_update(struct write *w)
{
        _cleanup_blob_ struct blob *last = NULL;
        struct strbuf b = STRBUF_NULL;
        int r;

        if (!write_is_finished(w->obj))
                return write_commit(w);
        object_encode(&b, w->obj);
        last = blob_new(b.data, b.len);
        strbuf_deinit(&b);
        json_object_put(TAKE_PTR(w->obj));
        r = write_commit(w);
        if (!r)
                w->result = object_with_revision(last, w->old->revision);
        return r;
}

/* 0, API_ANSWERED or WRITE_RETRY. */
static int update_once(struct write *w, update_fn make, void *arg)
{
        struct json_object *obj = NULL;
        int r;

        r = make(arg, w, &obj);
        if (r)
                return r;
        r = write_check_version(w, obj);
        if (r) {
                json_object_put(obj);
                return r;
        }
        write_set(w, obj);
        r = write_check_update(w);
        return r ? r : commit_update(w);
}

int update_object(struct write *w, update_fn make, void *arg)
{
        for (unsigned i = 0; i < WRITE_ATTEMPTS; i++) {
                int r;

                write_load(w);
                if (!w->old)
                        return api_fail_not_found(w->req);
                r = update_once(w, make, arg);
                if (r != WRITE_RETRY)
                        return r;
        }
        return api_fail_conflict(w->req,
                                 "the object has been modified; please apply your changes to the latest version "
                                 "and try again");
}

static int make_from_body(void *arg, struct write *w _unused_, struct json_object **ret)
{
        *ret = json_copy(arg);
        return 0;
}

static bool may_create(const struct api_request *req, const struct write *w)
{
        return w->ops->flags & KIND_CREATE_ON_UPDATE && !req->subresource;
}

static bool is_there(const struct write *w)
{
        _cleanup_object_ struct object *o = cache_get(w->cache, w->namespace, w->name);

        return o != NULL;
}

/* PUT of what is not there. API_ANSWERED, or WRITE_RETRY when somebody else made it meanwhile: then it is an update. */
static int create_instead(struct write *w, const struct json_object *obj)
{
        _cleanup_blob_ struct blob *made = NULL;
        struct json_object *copy = json_copy(obj);
        int r;

        json_del(json_get(copy, "metadata"), "resourceVersion"); /* of an earlier one of that name */
        r = create_object(w->req, copy, false, &made);
        if (!r)
                return rest_answer_object(w->req, 201, made);
        if (w->req->res->status != 409 || !is_there(w))
                return r;
        api_answer_drop(w->req);
        return WRITE_RETRY;
}

int rest_update(struct api_request *req)
{
        _cleanup_json_ struct json_object *obj = NULL;
        struct write w;
        int r;

        r = body_of_resource(req, &obj);
        if (!r)
                r = body_check_scope(req, obj);
        if (r)
                return r;
        write_open(&w, req, req->namespace, req->name);
        w.manager = api_field_manager(req);
        if (may_create(req, &w) && !is_there(&w)) {
                r = create_instead(&w, obj);
                if (r != WRITE_RETRY)
                        return r;
        }
        r = update_object(&w, make_from_body, obj);
        if (!r)
                r = write_answer(&w, 200);
        write_close(&w);
        return r;
}
