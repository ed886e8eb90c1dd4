/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deletion (apiserver/pkg/registry/generic/registry: Store.Delete): an object with finalizers, or a pod that is still
 * to end, only gets a deletionTimestamp; it is gone when nothing holds it any more.
 */
#include <inttypes.h>

#include "apiserver/rest/delete.h"
#include "apiserver/rest/list.h"
#include "apiserver/rest/rest.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#define FINALIZER_ORPHAN     "orphan"
#define FINALIZER_FOREGROUND "foregroundDeletion"

static bool is(const struct write *w, const char *group, const char *plural)
{
        return str_eq(w->stored->group, group) && str_eq(w->stored->plural, plural);
}

/* What a delete without propagationPolicy means for the dependents. */
static bool orphans_by_default(const struct write *w)
{
        return is(w, "", "replicationcontrollers") || (is(w, "batch", "jobs") && w->req->user.name);
}

static int check_preconditions(struct write *w, const struct delete_options *o)
{
        const char *uid = json_at_str(w->old_tree, "metadata.uid");
        char rv[24];

        snprintf(rv, sizeof(rv), "%" PRIu64, w->old->revision);
        if (o->uid && !str_eq(o->uid, uid ? uid : ""))
                return api_fail_conflict(w->req, "Precondition failed: UID in precondition: %s, UID in object meta: %s",
                                         o->uid, uid ? uid : "");
        if (o->resource_version && !str_eq(o->resource_version, rv))
                return api_fail_conflict(w->req,
                                         "Precondition failed: ResourceVersion in precondition: %s, ResourceVersion in "
                                         "object meta: %s",
                                         o->resource_version, rv);
        return 0;
}

/* ---- finalizers ---- */

static bool is_gc_finalizer(const char *name)
{
        return str_eq(name, FINALIZER_ORPHAN) || str_eq(name, FINALIZER_FOREGROUND);
}

/* The finalizer that the propagation policy asks for, or NULL. */
static const char *wanted_finalizer(const struct write *w, const struct delete_options *o)
{
        json_array_foreach (json_at(w->old_tree, "metadata.finalizers"), i, f) {
                if (!o->propagation && is_gc_finalizer(json_object_get_string(f)))
                        return json_object_get_string(f); /* a second delete without a policy changes nothing */
        }
        if (o->propagation && str_eq(o->propagation, "Orphan"))
                return FINALIZER_ORPHAN;
        if (o->propagation && str_eq(o->propagation, "Foreground"))
                return FINALIZER_FOREGROUND;
        if (!o->propagation && orphans_by_default(w))
                return FINALIZER_ORPHAN;
        return NULL;
}

static void set_finalizers(struct write *w, struct json_object *obj, const struct delete_options *o)
{
        const char *wanted = is(w, "", "events") ? NULL : wanted_finalizer(w, o); /* nothing depends on an Event */
        struct json_object *meta = json_get(obj, "metadata"), *arr = json_object_new_array();

        json_array_foreach (json_get(meta, "finalizers"), i, f) {
                if (!is_gc_finalizer(json_object_get_string(f)))
                        json_object_array_add(arr, json_object_get(f));
        }
        if (wanted)
                json_object_array_add(arr, json_object_new_string(wanted));
        if (json_len(arr)) {
                json_set(meta, "finalizers", arr);
        } else {
                json_object_put(arr);
                json_del(meta, "finalizers");
        }
}

/* ---- grace ---- */

/* A delete of what is ending already may only shorten that. */
static bool is_ending(const struct write *w, const struct delete_options *o)
{
        int64_t had = json_at_i64(w->old_tree, "metadata.deletionGracePeriodSeconds", 0);

        return had > 0 && !(o->has_grace && o->grace_seconds < had);
}

static int64_t pod_grace(const struct write *w, const struct delete_options *o)
{
        const char *phase = json_at_str(w->old_tree, "status.phase");
        const char *node = json_at_str(w->old_tree, "spec.nodeName");
        int64_t grace =
                o->has_grace ? o->grace_seconds : json_at_i64(w->old_tree, "spec.terminationGracePeriodSeconds", 30);

        if (!node || !*node) /* no node will ever confirm its end */
                return 0;
        if (phase && (str_eq(phase, "Succeeded") || str_eq(phase, "Failed")))
                return 0;
        return grace < 0 ? 1 : grace; /* as Kubernetes reads it */
}

static void stamp(struct json_object *meta, int64_t now_s, int64_t grace)
{
        char text[CLOCK_TEXT_SIZE];

        json_set_str(meta, "deletionTimestamp", clock_format(now_s + grace, text));
        json_set_i64(meta, "deletionGracePeriodSeconds", grace);
}

/* Marks the object as being deleted; one that is marked so already only if it is to go sooner. */
static void mark(struct write *w, struct json_object *obj, int64_t grace)
{
        struct json_object *meta = json_get(obj, "metadata");
        int64_t now_s = w->kctx.now_us / 1000000, had = json_get_i64(meta, "deletionGracePeriodSeconds", 0);
        bool first = !json_has(meta, "deletionTimestamp");
        struct timespec at;

        if (first) {
                stamp(meta, now_s, grace);
        } else if (grace < had && clock_parse(json_get_str(meta, "deletionTimestamp"), &at) == 0) {
                stamp(meta, at.tv_sec - had, grace); /* counts from when the first delete came */
        }
        if (w->ops->flags & KIND_GENERATION && first)
                json_set_i64(meta, "generation", json_get_i64(meta, "generation", 0) + 1);
}

static void mark_namespace(struct write *w, struct json_object *obj)
{
        if (is(w, "", "namespaces"))
                json_set_str(json_ensure(obj, "status"), "phase", "Terminating");
}

/* 0, API_ANSWERED or WRITE_RETRY. */
static int delete_once(struct write *w, const struct delete_options *o)
{
        bool pod = is(w, "", "pods");
        struct json_object *obj;
        int64_t grace;
        int r;

        r = check_preconditions(w, o);
        if (r)
                return r;
        if (pod && is_ending(w, o)) {
                w->result = blob_ref(w->old->json);
                return 0;
        }
        grace = pod ? pod_grace(w, o) : 0;
        obj = json_copy(w->old_tree);
        set_finalizers(w, obj, o);
        if (!grace && !json_len(json_at(obj, "metadata.finalizers")) && !json_len(json_at(obj, "spec.finalizers"))) {
                json_object_put(obj);
                return write_commit(w); /* w->obj is NULL: gone */
        }
        mark(w, obj, grace);
        mark_namespace(w, obj);
        w->obj = obj;
        return write_commit(w);
}

int delete_object(struct write *w, const struct delete_options *o)
{
        w->kctx.dry_run |= o->dry_run;
        for (unsigned i = 0; i < WRITE_ATTEMPTS; i++) {
                int r;

                write_load(w);
                if (!w->old)
                        return api_fail_not_found(w->req);
                r = write_admit(w, ADMIT_DELETE);
                if (!r)
                        r = delete_once(w, o);
                if (r != WRITE_RETRY)
                        return r;
        }
        return api_fail_conflict(w->req, "the object is being changed all the time; please try again");
}

/* ---- the verbs ---- */

static int answer_gone(struct write *w)
{
        struct status s = {
                .code = 200,
                .reason = "",
                .name = w->name,
                .group = w->req->group,
                .kind = w->req->plural,
                .uid = json_at_str(w->old_tree, "metadata.uid"),
        };

        return api_fail_status(w->req, &s);
}

static void warn_orphans(struct write *w, const struct delete_options *o)
{
        if (is(w, "batch", "jobs") && !o->propagation)
                warnings_add(&w->req->warnings,
                             "child pods are preserved by default when jobs are deleted; set "
                             "propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress "
                             "this warning");
}

int rest_delete(struct api_request *req)
{
        struct delete_options o;
        struct write w;
        int r;

        r = body_delete_options(req, &o);
        if (r)
                return r;
        write_open(&w, req, req->namespace, req->name);
        r = delete_object(&w, &o);
        if (!r)
                warn_orphans(&w, &o);
        if (!r)
                r = w.result ? write_answer(&w, 200) : answer_gone(&w);
        write_close(&w);
        return r;
}

int rest_delete_collection(struct api_request *req)
{
        struct delete_options o;
        struct object_list list;
        int r;

        r = body_delete_options(req, &o);
        if (!r)
                r = list_matching(req, &list);
        if (r)
                return r;
        for (size_t i = 0; i < list.n && !r; i++) {
                struct write w;

                req->name = list.items[i]->name;
                write_open(&w, req, *list.items[i]->namespace ? list.items[i]->namespace : NULL, req->name);
                r = delete_object(&w, &o);
                if (r && req->res->status == 404) { /* somebody else deleted it */
                        api_answer_drop(req);
                        r = 0;
                }
                write_close(&w);
        }
        req->name = NULL;
        return r ? (object_list_deinit(&list), r) : list_answer(req, &list, NULL, 0);
}
