/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A replacement waits 10 s, doubled with each failure since the last success, 10 min at most, from when the last pod
 * failed. Failed pods are mostly still there to be counted; of those that are gone a note is kept.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/common/pods.h"
#include "controllers/job_view.h"

#define BACKOFF_MS     10000
#define BACKOFF_MAX_MS 600000

struct setback {
        int64_t failures, last_s; /* of pods that are gone, since a success */
        int64_t success_s;        /* the last one that was seen; 0: none */
};

/* ---- when a pod ended ---- */

static int64_t containers_finished_s(const struct pod *pod)
{
        int64_t last = 0;
        size_t n = 0;

        for (size_t i = 0; i < pod->ncontainers; i++) {
                const struct pod_container *c = &pod->containers[i];

                if (c->init)
                        continue;
                if (!c->terminated || !c->finished_s)
                        return 0;
                last = MAX(last, c->finished_s);
                n++;
        }
        return n ? last : 0;
}

int64_t job_pod_finished_s(const struct kobj *pod)
{
        const struct pod_condition *ready = pod_condition(pod->pod, "Ready");
        int64_t at = containers_finished_s(pod->pod);

        if (at)
                return at;
        if (ready && ready->status == TRI_FALSE && ready->since_s)
                return ready->since_s;
        if (pod->deleted_s)
                return pod->deleted_s - MAX(pod->pod->grace_s, (int64_t)0);
        return pod->created_s;
}

/* ---- what is remembered of pods that are gone ---- */

/* That a look at all pods finds: it failed, or is being deleted and was not asked to be by its Job, which takes the
 * finalizer off before it deletes. */
static bool is_visible_failure(const struct kobj *pod)
{
        bool tracked = kobj_has_finalizer(pod, JOB_TRACKING);

        if (pod->pod->phase == POD_FAILED)
                return tracked || !pod->deleted_s;
        return tracked && pod->deleted_s && pod->pod->phase != POD_SUCCEEDED;
}

static struct setback *setback_of(struct job_state *state, const char *uid)
{
        struct setback *b = hashmap_get(&state->setbacks, uid);

        if (!b) {
                b = mem_new(struct setback);
                hashmap_put(&state->setbacks, uid, b);
        }
        return b;
}

static const struct owner *job_of(const struct kobj *pod)
{
        const struct owner *by = pod ? kobj_controller(pod) : NULL;

        return by && str_eq(by->kind, res_jobs.kind) ? by : NULL;
}

void job_backoff_seen(struct job_state *state, const struct kobj *old, const struct kobj *now)
{
        const struct owner *by = job_of(now ? now : old);
        struct setback *b;

        if (!now)
                stopwatch_forget(&state->failures, old->uid);
        if (!by)
                return;
        if (now && now->pod->phase == POD_SUCCEEDED) {
                b = setback_of(state, by->uid);
                b->success_s = MAX(b->success_s, job_pod_finished_s(now));
                if (b->success_s >= b->last_s)
                        b->failures = 0;
        } else if (old && is_visible_failure(old) && !(now && is_visible_failure(now))) {
                b = setback_of(state, by->uid);
                b->failures++;
                b->last_s = MAX(b->last_s, job_pod_finished_s(old));
        }
}

void job_backoff_forget(struct job_state *state, const char *uid)
{
        free(hashmap_del(&state->setbacks, uid));
        stopwatch_forget(&state->failures, uid);
}

/* ---- the wait ---- */

static int64_t last_success_s(const struct job_view *v, const struct setback *b)
{
        int64_t last = b ? b->success_s : 0;

        for (size_t i = 0; i < v->npods; i++)
                if (v->pods[i].succeeded)
                        last = MAX(last, job_pod_finished_s(v->pods[i].pod));
        return last;
}

static int64_t failures_since(const struct job_view *v, int64_t success_s, int64_t *last_s)
{
        int64_t n = 0;

        for (size_t i = 0; i < v->npods; i++) {
                const struct job_pod *p = &v->pods[i];
                int64_t at;

                if (!p->failed || !is_visible_failure(p->pod))
                        continue;
                at = job_pod_finished_s(p->pod);
                n += at > success_s;
                *last_s = MAX(*last_s, at);
        }
        return n;
}

static uint64_t remaining_ms(const struct job_view *v, const char *id, int64_t failures, int64_t last_s)
{
        int64_t wait = BACKOFF_MS, elapsed;

        if (!failures)
                return 0;
        for (int64_t i = 1; i < failures && wait < BACKOFF_MAX_MS; i++)
                wait = MIN(wait * 2, (int64_t)BACKOFF_MAX_MS);
        elapsed = stopwatch_ms(&v->state->failures, id, last_s, v->sync);
        return elapsed < wait ? (uint64_t)(wait - elapsed) : 0;
}

uint64_t job_backoff_ms(const struct job_view *v)
{
        const struct setback *b = hashmap_get(&v->state->setbacks, v->job->uid);
        int64_t success_s = last_success_s(v, b), last_s = 0, failures = failures_since(v, success_s, &last_s);

        if (b && b->failures && b->last_s > success_s) {
                failures += b->failures;
                last_s = MAX(last_s, b->last_s);
        }
        return remaining_ms(v, v->job->uid, failures, last_s);
}

int64_t job_index_failures(const struct kobj *pod, const char *annotation)
{
        const char *text = kobj_annotation(pod, annotation);
        int64_t n;

        return text && !str_parse_i64(text, &n) && n > 0 ? MIN(n, (int64_t)INT32_MAX) : 0;
}

uint64_t job_index_backoff_ms(const struct job_view *v, const struct job_pod *failed)
{
        int64_t failures = job_index_failures(failed->pod, JOB_INDEX_FAILURES) +
                           job_index_failures(failed->pod, JOB_INDEX_IGNORED) + 1;

        return remaining_ms(v, failed->pod->uid, failures, job_pod_finished_s(failed->pod));
}
