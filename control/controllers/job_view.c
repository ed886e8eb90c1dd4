/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "controllers/common/conditions.h"
#include "controllers/common/pods.h"
#include "controllers/job_view.h"

int64_t job_pod_index(const struct kobj *pod)
{
        const char *text = kobj_annotation(pod, JOB_COMPLETION_INDEX);
        int64_t index;

        return text && !str_parse_i64(text, &index) && index >= 0 ? index : JOB_NO_INDEX;
}

bool job_is_finished(const struct json_object *json)
{
        struct json_object *status = json_get(json, "status");

        return str_eq(condition_status(status, "Complete"), "True") ||
               str_eq(condition_status(status, "Failed"), "True");
}

static void read_spec(struct job_view *v)
{
        struct json_object *spec = json_get(v->json, "spec");
        const char *policy = json_get_str(spec, "podReplacementPolicy");

        v->spec = (struct job_spec){
                .parallelism = json_get_i64(spec, "parallelism", 1),
                .completions = json_get_i64(spec, "completions", JOB_UNSET),
                .backoff_limit = json_get_i64(spec, "backoffLimit", 6),
                .backoff_per_index = json_get_i64(spec, "backoffLimitPerIndex", JOB_UNSET),
                .max_failed_indexes = json_get_i64(spec, "maxFailedIndexes", JOB_UNSET),
                .deadline_s = json_get_i64(spec, "activeDeadlineSeconds", JOB_UNSET),
                .indexed = str_eq(json_get_str(spec, "completionMode"), "Indexed"),
                .suspended = json_get_bool(spec, "suspend", false),
                .on_failure = str_eq(json_at_str(spec, "template.spec.restartPolicy"), "OnFailure"),
                .replace_failed_only = str_eq(policy, "Failed") || json_has(spec, "podFailurePolicy"),
                .template = json_get(spec, "template"),
                .failure_policy = json_get(spec, "podFailurePolicy"),
                .success_policy = json_get(spec, "successPolicy"),
        };
}

static int64_t valid_index(const struct job_view *v, const struct kobj *pod)
{
        int64_t index = v->spec.indexed ? job_pod_index(pod) : JOB_NO_INDEX;

        return index < v->spec.completions ? index : JOB_NO_INDEX;
}

bool job_has_index(const struct job_view *v, const struct job_pod *p)
{
        return !v->spec.indexed || p->index != JOB_NO_INDEX;
}

static void note_uids(struct hashmap *noted, const struct json_object *status, const char *list)
{
        json_array_foreach (json_get(json_get(status, "uncountedTerminatedPods"), list), i, uid)
                if (json_is_string(uid))
                        hashmap_put(noted, json_object_get_string(uid), uid);
}

static struct job_pod read_pod(const struct job_view *v, const struct kobj *pod, const struct hashmap *noted)
{
        enum pod_phase phase = pod->pod->phase;
        struct job_pod p = {
                .pod = pod,
                .index = valid_index(v, pod),
                .tracked = kobj_has_finalizer(pod, JOB_TRACKING),
                .active = pod_is_active(pod),
                .succeeded = phase == POD_SUCCEEDED,
                .ending = pod->deleted_s && !pod_is_finished(pod),
        };

        /* One that its Job deletes has lost the finalizer before. */
        p.failed = phase == POD_FAILED || (p.ending && p.tracked && !v->spec.replace_failed_only);
        p.noted = p.tracked && noted->count && hashmap_get(noted, pod->uid);
        return p;
}

/* What nobody has counted yet. A pod of an index that the Job has not (any more) is none of its business. */
static void tally(struct job_view *v, const struct job_pod *p)
{
        v->active += p->active;
        v->ready += p->active && pod_is_ready(p->pod);
        v->ending += p->ending;
        if (!p->tracked || p->noted || !job_has_index(v, p))
                return;
        v->succeeded += p->succeeded;
        v->failed += p->failed && job_failure_action(v, p->pod, NULL) != FAILURE_IGNORED;
}

static void read_pods(struct job_view *v, struct kobjs pods)
{
        struct json_object *status = json_get(v->json, "status"),
                           *uncounted = json_get(status, "uncountedTerminatedPods");
        struct hashmap noted;

        hashmap_init(&noted, HASHMAP_STR);
        note_uids(&noted, status, "succeeded");
        note_uids(&noted, status, "failed");
        v->succeeded = json_get_i64(status, "succeeded", 0) + (int64_t)json_len(json_get(uncounted, "succeeded"));
        v->failed = json_get_i64(status, "failed", 0) + (int64_t)json_len(json_get(uncounted, "failed"));
        v->pods = arena_array(v->sync->mem, struct job_pod, pods.n + 1);
        kobjs_foreach (pods, pod) {
                struct job_pod *p = &v->pods[v->npods++];

                *p = read_pod(v, pod, &noted);
                tally(v, p);
        }
        hashmap_deinit(&noted);
}

/* ---- indexes ---- */

/* Not one that was written down as failed, because it was being deleted or its Job failed, and succeeded after that. */
static bool has_succeeded(const struct job_view *v, const struct job_pod *p)
{
        return p->succeeded && p->tracked && !p->noted;
}

static bool has_failed_for_good(const struct job_view *v, const struct job_pod *p)
{
        enum failure_action action;

        if (!p->failed)
                return false;
        action = job_failure_action(v, p->pod, NULL);
        if (action == FAILURE_ENDS_INDEX)
                return true;
        return action != FAILURE_IGNORED && job_index_failures(p->pod, JOB_INDEX_FAILURES) >= v->spec.backoff_per_index;
}

/* Those that the status names, and those of the pods for which is says so. */
static struct indexes collect(const struct job_view *v, const char *named,
                              bool (*is)(const struct job_view *v, const struct job_pod *p))
{
        struct arena *mem = v->sync->mem;
        struct indexes old = indexes_parse(mem, json_get_str(json_get(v->json, "status"), named), v->spec.completions),
                       new;
        int64_t *list = arena_array(mem, int64_t, v->npods + 1);
        size_t n = 0;

        for (size_t i = 0; i < v->npods; i++)
                if (v->pods[i].index != JOB_NO_INDEX && is(v, &v->pods[i]))
                        list[n++] = v->pods[i].index;
        new = indexes_from(mem, list, n);
        return indexes_union(mem, &old, &new);
}

static int by_index(const void *a, const void *b)
{
        const struct index_failure *x = a, *y = b;
        int64_t xn, yn, x_end, y_end;

        if (x->index != y->index)
                return x->index < y->index ? -1 : 1;
        xn = job_index_failures(x->pod->pod, JOB_INDEX_FAILURES) + job_index_failures(x->pod->pod, JOB_INDEX_IGNORED);
        yn = job_index_failures(y->pod->pod, JOB_INDEX_FAILURES) + job_index_failures(y->pod->pod, JOB_INDEX_IGNORED);
        if (xn != yn)
                return xn > yn ? -1 : 1;
        x_end = job_pod_finished_s(x->pod->pod);
        y_end = job_pod_finished_s(y->pod->pod);
        return x_end != y_end ? (x_end > y_end ? -1 : 1) : strcmp(x->pod->pod->uid, y->pod->pod->uid);
}

static struct indexes active_indexes(const struct job_view *v)
{
        int64_t *list = arena_array(v->sync->mem, int64_t, v->npods + 1);
        size_t n = 0;

        for (size_t i = 0; i < v->npods; i++)
                if (v->pods[i].active && v->pods[i].index != JOB_NO_INDEX)
                        list[n++] = v->pods[i].index;
        return indexes_from(v->sync->mem, list, n);
}

/* Of each index that will be tried again the last failed pod: it keeps its finalizer, so that it stays, until a
 * replacement has its number of failures. One that lost it is still better than none, should that replacement be gone:
 * its Job was suspended. */
static void collect_waiting(struct job_view *v)
{
        struct indexes active = active_indexes(v);
        size_t n = 0;

        v->waiting = arena_array(v->sync->mem, struct index_failure, v->npods + 1);
        for (size_t i = 0; i < v->npods; i++) {
                const struct job_pod *p = &v->pods[i];

                if (p->failed && (p->tracked || !p->pod->deleted_s) && p->index != JOB_NO_INDEX &&
                    !indexes_has(&v->done, p->index) && !indexes_has(&v->lost, p->index) &&
                    !indexes_has(&active, p->index))
                        v->waiting[n++] = (struct index_failure){p->index, p};
        }
        qsort(v->waiting, n, sizeof(*v->waiting), by_index);
        for (size_t i = 0; i < n; i++)
                if (!i || v->waiting[i].index != v->waiting[v->nwaiting - 1].index)
                        v->waiting[v->nwaiting++] = v->waiting[i];
}

const struct job_pod *job_waiting_of(const struct job_view *v, int64_t index)
{
        size_t low = 0, high = v->nwaiting;

        while (low < high) {
                size_t mid = low + (high - low) / 2;

                if (v->waiting[mid].index < index)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low < v->nwaiting && v->waiting[low].index == index ? v->waiting[low].pod : NULL;
}

void job_view_read(struct job_view *v, struct kobjs pods)
{
        read_spec(v);
        read_pods(v, pods);
        v->status = json_copy(json_get(v->json, "status"));
        if (!json_is_object(v->status)) {
                json_object_put(v->status);
                v->status = json_object_new_object();
        }
        if (!v->spec.indexed)
                return;
        v->done = collect(v, "completedIndexes", has_succeeded);
        v->succeeded = v->done.total;
        if (v->spec.backoff_per_index == JOB_UNSET)
                return;
        v->lost = collect(v, "failedIndexes", has_failed_for_good);
        collect_waiting(v);
}
