/* SPDX-License-Identifier: Apache-2.0 */
/* Subresources that take a kind of their own and answer with a Status: pods/binding, namespaces/finalize. */
#include "apiserver/rest/body.h"
#include "apiserver/rest/rest.h"
#include "apiserver/rest/update.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "base/clock.h"
#include "base/str.h"

static int answer_created(struct api_request *req)
{
        struct status s = {.code = 201, .reason = ""};

        return api_fail_status(req, &s);
}

/* ---- binding ---- */

static void set_scheduled(struct json_object *pod, int64_t now_us)
{
        struct json_object *status = json_ensure(pod, "status"), *conds = json_get(status, "conditions");
        struct json_object *c = NULL;
        char now[CLOCK_TEXT_SIZE];

        if (!conds) {
                conds = json_object_new_array();
                json_set(status, "conditions", conds);
        }
        json_array_foreach (conds, i, it) {
                if (str_eq(json_get_str(it, "type"), "PodScheduled"))
                        c = it;
        }
        if (!c) {
                c = json_object_new_object();
                json_object_array_add(conds, c);
                json_set_str(c, "type", "PodScheduled");
        }
        if (!str_eq(json_get_str(c, "status") ? json_get_str(c, "status") : "", "True"))
                json_set_str(c, "lastTransitionTime", clock_format(now_us / 1000000, now));
        json_set_str(c, "status", "True");
        json_del(c, "reason");
        json_del(c, "message");
}

static void merge_map(struct json_object *meta, const struct json_object *from, const char *key)
{
        struct json_object *m = json_get(from, key);

        if (!json_is_object(m))
                return;
        json_foreach (m, k, v) {
                json_set(json_ensure(meta, key), k, json_object_get(v));
        }
}

/* The conflicts of a binding are about pods/binding, unlike its precondition. */
static int binding_conflict(struct write *w, const char *why)
{
        struct status s = {
                .code = 409,
                .message = arena_printf(w->req->arena, "Operation cannot be fulfilled on pods/binding \"%s\": %s",
                                        w->name, why),
                .name = w->name,
                .kind = "pods/binding",
        };

        return api_fail_status(w->req, &s);
}

static int check_binding(struct write *w, const struct json_object *binding)
{
        const char *uid = json_at_str(binding, "metadata.uid"), *has = json_at_str(w->old_tree, "metadata.uid");
        const char *node = json_at_str(w->old_tree, "spec.nodeName");

        if (!str_empty(uid) && !str_eq(uid, has))
                return api_fail_conflict(w->req, "Precondition failed: UID in precondition: %s, UID in object meta: %s",
                                         uid, has);
        if (json_at(w->old_tree, "metadata.deletionTimestamp"))
                return binding_conflict(
                        w,
                        arena_printf(w->req->arena, "pod %s is being deleted, cannot be assigned to a host", w->name));
        if (!str_empty(node))
                return binding_conflict(
                        w, arena_printf(w->req->arena, "pod %s is already assigned to node \"%s\"", w->name, node));
        if (json_len(json_at(w->old_tree, "spec.schedulingGates")))
                return binding_conflict(
                        w, arena_printf(w->req->arena, "pod %s has non-empty .spec.schedulingGates", w->name));
        return 0;
}

/* 0, API_ANSWERED or WRITE_RETRY. Only these fields change, so the pod's rules need not run. */
static int bind_once(struct write *w, const struct json_object *binding)
{
        struct json_object *meta;
        int r;

        write_load(w);
        if (!w->old)
                return api_fail_not_found(w->req);
        r = check_binding(w, binding);
        if (r)
                return r;
        w->obj = json_copy(w->old_tree);
        meta = json_get(w->obj, "metadata");
        merge_map(meta, json_get(binding, "metadata"), "annotations");
        merge_map(meta, json_get(binding, "metadata"), "labels");
        json_set_str(json_ensure(w->obj, "spec"), "nodeName", json_at_str(binding, "target.name"));
        set_scheduled(w->obj, w->kctx.now_us);
        return write_commit(w);
}

static int check_target(struct api_request *req, const struct json_object *binding)
{
        struct fpath target = fpath_child(NULL, "target"), name = fpath_child(&target, "name");
        struct fpath kind = fpath_child(&target, "kind");
        static const char *const kinds[] = {"Node", "<empty>", NULL};
        const char *k = json_at_str(binding, "target.kind");
        struct ferrs e = FERRS(req->arena);

        if (!str_empty(k) && !str_eq(k, "Node"))
                ferr_not_supported(&e, &kind, k, kinds);
        if (str_empty(json_at_str(binding, "target.name")))
                ferr_required(&e, &name, NULL);
        return e.n ? api_fail_invalid(req, req->name ? req->name : "", &e) : 0;
}

int rest_binding(struct api_request *req)
{
        _cleanup_json_ struct json_object *binding = NULL;
        const struct schema_resource *pods = schema_resource_find("", "v1", "pods");
        struct write w;
        int r;

        r = body_object(req, schema_kind_find("", "v1", "Binding"), "", "v1", "Binding", &binding);
        if (!r && !req->name) { /* POST .../bindings: the pod is named by the body */
                if (str_empty(json_at_str(binding, "metadata.name")))
                        return api_fail(req, 400, "metadata.name must name the pod");
                req->name = arena_strdup(req->arena, json_at_str(binding, "metadata.name"));
        }
        if (!r)
                r = check_target(req, binding);
        if (r)
                return r;
        req->resource = pods;
        req->plural = pods->plural;
        write_open(&w, req, req->namespace, req->name);
        for (unsigned i = 0; i < WRITE_ATTEMPTS; i++) {
                r = bind_once(&w, binding);
                if (r != WRITE_RETRY)
                        break;
        }
        write_close(&w);
        if (r == WRITE_RETRY)
                return api_fail_conflict(req, "the pod is being changed all the time; please try again");
        return r ? r : answer_created(req);
}

/* ---- finalize ---- */

static int make_finalized(void *arg, struct write *w, struct json_object **ret)
{
        struct json_object *obj = write_old_as_requested(w), *finalizers = json_at(arg, "spec.finalizers");
        const char *rv = json_at_str(arg, "metadata.resourceVersion");

        if (finalizers)
                json_set(json_ensure(obj, "spec"), "finalizers", json_copy(finalizers));
        else
                json_del(json_ensure(obj, "spec"), "finalizers");
        if (!str_empty(rv))
                json_set_str(json_get(obj, "metadata"), "resourceVersion", rv);
        *ret = obj;
        return 0;
}

int rest_finalize(struct api_request *req)
{
        _cleanup_json_ struct json_object *obj = NULL;
        struct write w;
        int r;

        r = body_of_resource(req, &obj);
        if (!r)
                r = body_check_scope(req, obj);
        if (r)
                return r;
        write_open(&w, req, NULL, req->name);
        w.manager = api_field_manager(req);
        r = update_object(&w, make_finalized, obj);
        if (!r)
                r = write_answer(&w, 200);
        write_close(&w);
        return r;
}
