/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "apiserver/internal.h"
#include "apiserver/request.h"
#include "apiserver/rest/create.h"
#include "apiserver/rest/update.h"
#include "base/clock.h"
#include "base/log.h"

struct own_request {
        struct arena arena;
        struct http_request http;
        struct http_response res;
        struct api_request req;
};

static void own_open(struct own_request *o, struct server *s, const struct internal_write *w)
{
        static const char *const groups[] = {"system:masters", NULL};
        static const struct http_header agent[] = {{"User-Agent", "fairlead-apiserver"}};

        *o = (struct own_request){
                .http = {.method = "POST", .path = "/", .query = "", .headers = agent, .nheaders = 1}};
        o->http.arena = &o->arena;
        o->req = (struct api_request){
                .arena = &o->arena,
                .http = &o->http,
                .res = &o->res,
                .server = s,
                .user = {.name = "system:apiserver", .groups = groups},
                .verb = "create",
                .is_resource = true,
                .group = w->group,
                .version = w->version,
                .plural = w->plural,
                .namespace = w->namespace,
                .resource = schema_resource_find(w->group, w->version, w->plural),
                .warnings = {.arena = &o->arena},
                .now_us = clock_wall_ns() / 1000,
        };
}

/* What the refusal said. */
static int own_result(struct own_request *o, int r, struct err *reterr)
{
        if (r == API_ANSWERED && o->res.status < 300)
                r = 0;
        if (r == API_ANSWERED)
                r = err_set(reterr, INTERNAL_REFUSED, "%d: %s", o->res.status,
                            o->res.kind == HTTP_BODY_BUFFER ? o->res.buffer.data : "");
        api_answer_drop(&o->req);
        arena_deinit(&o->arena);
        return r;
}

int internal_create(struct server *s, const struct internal_write *w, struct err *reterr)
{
        _cleanup_blob_ struct blob *made = NULL;
        struct own_request o;
        int r;

        own_open(&o, s, w);
        r = create_object(&o.req, json_copy(w->obj), false, &made);
        if (r == API_ANSWERED && o.res.status == 409)
                r = 0;
        return own_result(&o, r, reterr);
}

static int make_copy(void *arg, struct write *w, struct json_object **ret)
{
        struct json_object *obj = json_copy(arg), *meta = json_get(obj, "metadata");

        json_set(meta, "managedFields", json_copy(json_at(w->old_tree, "metadata.managedFields")));
        *ret = obj;
        return 0;
}

/* subresource: NULL or "status" */
static int own_update(struct server *s, const struct internal_write *w, const char *subresource, struct err *reterr)
{
        struct own_request o;
        struct write wr;
        int r;

        own_open(&o, s, w);
        o.req.verb = "update";
        o.req.name = w->name;
        o.req.subresource = subresource;
        write_open(&wr, &o.req, w->namespace, w->name);
        wr.manager = "fairlead-apiserver";
        r = update_object(&wr, make_copy, w->obj);
        write_close(&wr);
        return own_result(&o, r, reterr);
}

int internal_replace_status(struct server *s, const struct internal_write *w, struct err *reterr)
{
        return own_update(s, w, "status", reterr);
}

int internal_replace(struct server *s, const struct internal_write *w, struct err *reterr)
{
        int r = internal_create(s, w, reterr);

        return r ? r : own_update(s, w, NULL, reterr);
}

void own_event(struct server *s, const char *namespace, const char *service, const char *reason, const char *message)
{
        _cleanup_json_ struct json_object *e = json_object_new_object();
        struct json_object *involved = json_ensure(e, "involvedObject");
        struct internal_write w = {"", "v1", "events", namespace, NULL, e};
        char now[CLOCK_TEXT_SIZE], name[300];
        struct err err = ERR_NULL;

        clock_now(now);
        snprintf(name, sizeof(name), "%.200s.", service);
        json_set_str(e, "kind", "Event");
        json_set_str(e, "apiVersion", "v1");
        json_set_str(json_ensure(e, "metadata"), "generateName", name);
        json_set_str(json_ensure(e, "metadata"), "namespace", namespace);
        json_set_str(involved, "kind", "Service");
        json_set_str(involved, "apiVersion", "v1");
        json_set_str(involved, "name", service);
        json_set_str(involved, "namespace", namespace);
        json_set_str(e, "reason", reason);
        json_set_str(e, "message", message);
        json_set_str(e, "type", "Warning");
        json_set_str(e, "firstTimestamp", now);
        json_set_str(e, "lastTimestamp", now);
        json_set_i64(e, "count", 1);
        json_set_str(json_ensure(e, "source"), "component", "fairlead-apiserver");
        if (internal_create(s, &w, &err))
                log_debug("an Event could not be written", "reason=%s error=%s", reason, err.msg);
}
