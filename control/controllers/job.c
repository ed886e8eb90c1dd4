/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: pods that run until enough of them have succeeded. job_view.h is the map. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/common/claim.h"
#include "controllers/common/pods.h"
#include "controllers/controllers.h"
#include "controllers/job_view.h"

#define MANAGED_BY "kubernetes.io/job-controller"
#define POD_KEY    "/pod" /* "NAMESPACE/POD/pod" is the key of a pod that no Job counts */

/* ---- which Jobs a change concerns ---- */

static void add_pod_key(struct runner *r, const struct kobj *pod)
{
        _cleanup_free_ char *key = mem_printf("%s" POD_KEY, pod->key);

        runner_add(r, key);
}

/* The finalizers of its pods would keep them for ever. */
static void job_is_gone(struct runner *r, const struct kobj *job)
{
        struct job_state *state = runner_state(r);
        struct arena mem = ARENA_NULL;
        struct kobjs pods = lister_controlled(runner_lister(r), &res_pods, job->uid, &mem);

        kobjs_foreach (pods, pod)
                if (kobj_has_finalizer(pod, JOB_TRACKING))
                        add_pod_key(r, pod);
        arena_deinit(&mem);
        job_backoff_forget(state, job->uid);
        job_metrics_forget(state, job->uid);
        stopwatch_forget(&state->deadlines, job->uid);
}

static void job_changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        struct job_state *state = runner_state(r);

        owners_changed(state->owners, r, old, now);
        if (old && (!now || !str_eq(old->uid, now->uid)))
                job_is_gone(r, old);
}

static const struct kobj *job_of(const struct lister *l, const struct kobj *pod)
{
        const struct owner *by = kobj_controller(pod);
        const struct kobj *job = by && str_eq(by->kind, "Job") ? lister_get(l, &res_jobs, pod->ns, by->name) : NULL;

        return job && str_eq(job->uid, by->uid) ? job : NULL;
}

/* Something else's pod may have a finalizer of that name, too. */
static bool is_left_behind(const struct lister *l, const struct kobj *pod)
{
        const struct owner *by = kobj_controller(pod);

        if (!kobj_has_finalizer(pod, JOB_TRACKING) ||
            (by && (!str_eq(by->kind, "Job") || !str_eq(by->api_version, "batch/v1"))))
                return false;
        return !job_of(l, pod);
}

static int64_t restarts(const struct kobj *pod)
{
        int64_t n = 0;

        for (size_t i = 0; i < pod->pod->ncontainers; i++)
                n += pod->pod->containers[i].restarts;
        return n;
}

/* What a Job looks at, and other owners of pods do not. */
static bool same_to_job(const struct kobj *a, const struct kobj *b)
{
        return kobj_has_finalizer(a, JOB_TRACKING) == kobj_has_finalizer(b, JOB_TRACKING) && restarts(a) == restarts(b);
}

static void pod_changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        struct job_state *state = runner_state(r);

        if (job_of(runner_lister(r), now ? now : old))
                job_backoff_seen(state, old, now);
        else if (!now)
                stopwatch_forget(&state->failures, old->uid);
        owners_pod_changed(state->owners, r, old, now);
        if (now && is_left_behind(runner_lister(r), now))
                add_pod_key(r, now);
        else if (old && now && !same_to_job(old, now))
                runner_add_controller_of(r, now, &res_jobs);
}

/* ---- syncs ---- */

/* key: of a pod */
static void sync_left_behind(struct sync *s, const char *key, size_t len)
{
        const struct kobj *pod = lister_find(s->lister, &res_pods, arena_strndup(s->mem, key, len));

        if (pod && is_left_behind(s->lister, pod))
                job_plan_untrack(s, pod);
}

/* Nothing counts its pods any more. */
static void sync_finished(struct sync *s, const struct kobj *job)
{
        struct kobjs pods = lister_controlled(s->lister, &res_pods, job->uid, s->mem);

        kobjs_foreach (pods, pod)
                if (kobj_has_finalizer(pod, JOB_TRACKING))
                        job_plan_untrack(s, pod);
}

static bool is_complete(const struct job_view *v)
{
        if (v->active - (int64_t)v->nremove + v->create)
                return false;
        return v->spec.completions == JOB_UNSET ? v->succeeded > 0 : v->succeeded >= v->spec.completions;
}

static void decide(struct job_view *v)
{
        job_judge(v);
        if (!v->verdict.type && !v->job->deleted_s)
                job_manage(v);
        if (!v->verdict.type && is_complete(v))
                v->verdict = (struct job_verdict){"SuccessCriteriaMet", "CompletionsReached",
                                                  "Reached expected number of succeeded pods"};
        job_count(v);
        if (v->verdict.type)
                job_remove_active(v);
        job_conclude(v);
}

/*
 * What must not be forgotten is written before pods change. Mere numbers are about to be out of date when they do: the
 * sync that sees the pods writes them, unless the pods cannot be made.
 */
static void carry_out(struct job_view *v)
{
        bool work = v->nuntrack || v->nremove || v->create;

        if (job_status_differs(v) && (!work || v->sync->failed || job_status_matters(v))) {
                job_write_status(v);
                plan_then(v->sync);
        }
        job_plan_pods(v);
        if (v->more)
                plan_after(v->sync, 0);
}

static void sync_running(struct sync *s, const struct kobj *job, struct json_object *json, struct kobjs pods)
{
        struct job_view v = {.sync = s, .state = s->state, .job = job, .json = json};

        job_view_read(&v, pods);
        v.untrack = arena_array(s->mem, struct job_pod *, v.npods + 1);
        v.remove = arena_array(s->mem, struct job_pod *, v.npods + 1);
        owners_synced(v.state->owners, s, v.npods);
        decide(&v);
        carry_out(&v);
        json_object_put(v.status);
}

static bool is_managed_elsewhere(const struct json_object *json)
{
        const char *by = json_at_str(json, "spec.managedBy");

        return by && !str_eq(by, MANAGED_BY);
}

static bool has_known_mode(const struct json_object *json)
{
        const char *mode = json_at_str(json, "spec.completionMode");

        return !mode || str_eq(mode, "NonIndexed") || str_eq(mode, "Indexed");
}

static void sync_job(struct sync *s)
{
        struct job_state *state = s->state;
        const struct kobj *job = lister_find(s->lister, &res_jobs, s->key);
        const struct selector *sel = owners_selector(state->owners, s->key);
        _cleanup_json_ struct json_object *json = job ? kobj_json(job) : NULL;
        struct kobjs pods;

        if (!json || is_managed_elsewhere(json))
                return;
        job_metrics_seen(state, job, json);
        if (job_is_finished(json)) {
                sync_finished(s, job);
                return;
        }
        if (!has_known_mode(json)) {
                plan_event(s, job, true, "UnknownCompletionMode",
                           "Skipped Job sync because completion mode is unknown");
                return;
        }
        if (!sel)
                return;
        pods = claim_tracked(s, job, &res_pods, sel, JOB_TRACKING);
        if (plan_is_empty(s)) /* else: first see what is adopted, or more would be made */
                sync_running(s, job, json, pods);
}

static void sync_key(struct sync *s)
{
        size_t len = strlen(s->key), suffix = strlen(POD_KEY);

        if (strchr(s->name, '/'))
                sync_left_behind(s, s->key, len - suffix);
        else
                sync_job(s);
}

/* ---- state ---- */

static void *state_new(struct runner *r)
{
        struct job_state *state = mem_new(struct job_state);

        state->owners = owners_new(&res_jobs);
        hashmap_init(&state->setbacks, HASHMAP_STR_OWNED);
        hashmap_init(&state->running, HASHMAP_STR_OWNED);
        hashmap_init(&state->totals, HASHMAP_STR_OWNED);
        stopwatches_init(&state->deadlines);
        stopwatches_init(&state->failures);
        return state;
}

static void map_free(struct hashmap *m)
{
        hashmap_foreach (m, slot)
                free(slot->value);
        hashmap_deinit(m);
}

static void state_free(void *p)
{
        struct job_state *state = p;

        owners_free(state->owners);
        map_free(&state->setbacks);
        map_free(&state->running);
        map_free(&state->totals);
        stopwatches_deinit(&state->deadlines);
        stopwatches_deinit(&state->failures);
        free(state);
}

const struct controller controller_job = {
        .name = "job",
        .watches = (const struct watch[]){{&res_jobs, job_changed}, {&res_pods, pod_changed}, {0}},
        .sync = sync_key,
        .state_new = state_new,
        .state_free = state_free,
        .metrics = job_metrics_write,
};
