/* SPDX-License-Identifier: Apache-2.0 */
/* The scale subresource: the number of replicas of a workload, read and written as autoscaling/v1 Scale. */
#include "apiserver/rest/body.h"
#include "apiserver/rest/patch.h"
#include "apiserver/rest/rest.h"
#include "apiserver/rest/update.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "base/str.h"
#include "kube/selector.h"

/* The selector's text, as HorizontalPodAutoscalers use it. */
static void set_selector(struct json_object *status, const struct json_object *obj, bool plain_map)
{
        _cleanup_selector_ struct selector *s = NULL;
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        struct json_object *sel = json_at(obj, "spec.selector");
        int r = plain_map ? selector_from_map(sel, &s, NULL) : selector_from_label_selector(sel, &s, NULL);

        if (r)
                return;
        selector_write(&b, s);
        if (b.len)
                json_set_str(status, "selector", b.data);
}

static struct json_object *scale_of(const struct api_request *req, const struct json_object *obj)
{
        static const char *const copied[] = {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"};
        struct json_object *scale = json_object_new_object(), *meta = json_object_new_object();
        struct json_object *spec = json_object_new_object(), *status = json_object_new_object();
        int64_t replicas = json_at_i64(obj, "spec.replicas", 0);

        json_set_str(scale, "kind", "Scale");
        json_set_str(scale, "apiVersion", "autoscaling/v1");
        for (size_t i = 0; i < ARRAY_SIZE(copied); i++) {
                struct json_object *v = json_get(json_get(obj, "metadata"), copied[i]);

                if (v)
                        json_set(meta, copied[i], json_object_get(v));
        }
        json_set(scale, "metadata", meta);
        if (replicas)
                json_set_i64(spec, "replicas", replicas);
        json_set(scale, "spec", spec);
        json_set_i64(status, "replicas", json_at_i64(obj, "status.replicas", 0));
        set_selector(status, obj, str_eq(req->plural, "replicationcontrollers"));
        json_set(scale, "status", status);
        return scale;
}

static int answer_scale(struct api_request *req, const struct blob *json)
{
        _cleanup_json_ struct json_object *obj = NULL, *scale = NULL;

        if (json_parse(json->data, json->len, &obj, NULL))
                return api_fail(req, 500, "the stored object cannot be read");
        scale = scale_of(req, obj);
        return api_answer_tree(req, 200, scale);
}

static int check_scale(struct api_request *req, const struct json_object *scale)
{
        struct fpath spec = fpath_child(NULL, "spec"), p = fpath_child(&spec, "replicas");
        int64_t replicas = json_at_i64(scale, "spec.replicas", 0);
        struct ferrs e = FERRS(req->arena);

        if (replicas < 0)
                ferr_invalid_i64(&e, &p, replicas, "must be greater than or equal to 0");
        return e.n ? api_fail_invalid(req, req->name, &e) : 0;
}

struct scaling {
        struct json_object *body;    /* PUT */
        struct patch_request *patch; /* PATCH */
};

static int make_scaled(void *arg, struct write *w, struct json_object **ret)
{
        struct scaling *s = arg;
        struct json_object *obj = write_old_as_requested(w), *scale = NULL;
        const char *rv;
        int r = 0;

        if (s->patch) {
                _cleanup_json_ struct json_object *was = scale_of(w->req, obj);

                r = patch_plain(s->patch, was, w->req->sub->type, &scale);
        } else {
                scale = json_object_get(s->body);
        }
        if (!r)
                r = check_scale(w->req, scale);
        if (r) {
                json_object_put(obj);
                json_object_put(scale);
                return r;
        }
        json_set_i64(json_ensure(obj, "spec"), "replicas", json_at_i64(scale, "spec.replicas", 0));
        rv = json_at_str(scale, "metadata.resourceVersion");
        if (rv)
                json_set_str(json_get(obj, "metadata"), "resourceVersion", rv);
        json_object_put(scale);
        *ret = obj;
        return 0;
}

static int scale_write(struct api_request *req, struct scaling *s)
{
        struct write w;
        int r;

        write_open(&w, req, req->namespace, req->name);
        w.manager = api_field_manager(req);
        r = update_object(&w, make_scaled, s);
        if (!r)
                r = answer_scale(req, w.result);
        write_close(&w);
        return r;
}

static int scale_patch(struct api_request *req)
{
        struct patch_request p;
        struct scaling s = {.patch = &p};
        int r;

        r = patch_open(req, &p);
        if (!r &&
            p.type == PATCH_APPLY) /* a Scale has no fields that could be owned apart: merging it is applying it */
                p.type = PATCH_MERGE;
        if (!r)
                r = scale_write(req, &s);
        patch_close(&p);
        return r;
}

int rest_scale(struct api_request *req)
{
        _cleanup_json_ struct json_object *body = NULL;
        _cleanup_object_ struct object *o = NULL;
        int r;

        if (str_eq(req->verb, "patch"))
                return scale_patch(req);
        if (str_eq(req->verb, "update")) {
                r = body_of_resource(req, &body);
                if (!r)
                        r = body_check_scope(req, body);
                return r ? r : scale_write(req, &(struct scaling){.body = body});
        }
        o = cache_get(cache_of(req->server->caches, req->resource), req->namespace, req->name);
        return o ? answer_scale(req, o->json) : api_fail_not_found(req);
}
