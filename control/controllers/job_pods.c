/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "controllers/common/pods.h"
#include "controllers/job_view.h"

#define INDEX_VARIABLE   "JOB_COMPLETION_INDEX"
#define NAME_BASE_MAX    58 /* five letters come behind it */
#define NAMESPACE_ENDING "because it is being terminated"

static const struct telling telling_create = {"SuccessfulCreate", "Created pod: {name}", "FailedCreate",
                                              "Error creating: {error}"};
static const struct telling telling_delete = {"SuccessfulDelete", "Deleted pod: {name}", "FailedDelete",
                                              "Error deleting: {error}"};

/* ---- fewer pods ---- */

static void remove_pod(struct job_view *v, struct job_pod *p)
{
        if (v->nremove == JOB_PODS_AT_A_TIME) {
                v->more = true;
                return;
        }
        v->remove[v->nremove++] = p;
        if (!p->tracked || p->untracking)
                return;
        p->untracking = true;
        v->untrack[v->nuntrack++] = p;
}

static _Thread_local int64_t now_s; /* of by_rank */

static int by_rank(const void *a, const void *b)
{
        const struct job_pod *x = *(struct job_pod *const *)a, *y = *(struct job_pod *const *)b;

        if (x->index == JOB_NO_INDEX || y->index == JOB_NO_INDEX || x->index == y->index)
                return pod_compare_for_deletion(x->pod, y->pod, 0, 0, now_s);
        return x->index < y->index ? -1 : 1;
}

static int by_rank_alone(const void *a, const void *b)
{
        const struct job_pod *x = *(struct job_pod *const *)a, *y = *(struct job_pod *const *)b;

        return pod_compare_for_deletion(x->pod, y->pod, 0, 0, now_s);
}

/* Of an Indexed Job: those without an index, and all of an index but the best. The others move to the front of list. */
static size_t remove_duplicates(struct job_view *v, struct job_pod **list, size_t n)
{
        size_t left = 0, indexed = 0;

        for (size_t i = 0; i < n; i++)
                if (list[i]->index == JOB_NO_INDEX)
                        remove_pod(v, list[i]);
                else
                        list[indexed++] = list[i];
        qsort(list, indexed, sizeof(struct job_pod *), by_rank);
        for (size_t i = 0; i < indexed; i++)
                if (i + 1 < indexed && list[i]->index == list[i + 1]->index)
                        remove_pod(v, list[i]);
                else
                        list[left++] = list[i];
        return left;
}

static void remove_surplus(struct job_view *v, int64_t at_least)
{
        struct job_pod **list = arena_array(v->sync->mem, struct job_pod *, v->npods + 1);
        size_t n = 0;

        for (size_t i = 0; i < v->npods; i++)
                if (v->pods[i].active)
                        list[n++] = &v->pods[i];
        now_s = v->sync->now_ms / 1000;
        if (v->spec.indexed)
                n = remove_duplicates(v, list, n);
        if ((int64_t)v->nremove >= at_least)
                return;
        qsort(list, n, sizeof(struct job_pod *), by_rank_alone);
        for (size_t i = 0; i < n && (int64_t)v->nremove < at_least && !v->more; i++)
                remove_pod(v, list[i]);
}

/* One that is still to be counted is deleted after that: its end must not look like a failure. */
void job_remove_active(struct job_view *v)
{
        for (size_t i = 0; i < v->npods; i++)
                if (v->pods[i].active && (!v->pods[i].tracked || v->pods[i].untracking))
                        remove_pod(v, &v->pods[i]);
}

/* ---- more pods ---- */

static int64_t wanted(const struct job_view *v)
{
        if (v->spec.completions == JOB_UNSET) /* after a success the others end, and nobody follows them */
                return v->succeeded ? v->active : v->spec.parallelism;
        return MIN(MAX(v->spec.completions - v->succeeded, (int64_t)0), v->spec.parallelism);
}

/* Indexes that are done with, or have a pod. */
static struct indexes taken(const struct job_view *v)
{
        struct arena *mem = v->sync->mem;
        int64_t *list = arena_array(mem, int64_t, v->npods + 1);
        struct indexes with_pod, ended = indexes_union(mem, &v->done, &v->lost);
        size_t n = 0;

        for (size_t i = 0; i < v->npods; i++) {
                const struct job_pod *p = &v->pods[i];

                if (p->index != JOB_NO_INDEX && (p->active || (p->ending && v->spec.replace_failed_only)))
                        list[n++] = p->index;
        }
        with_pod = indexes_from(mem, list, n);
        return indexes_union(mem, &ended, &with_pod);
}

/* With a limit for each index, each index waits for itself. */
static size_t drop_waiting(struct job_view *v, size_t n)
{
        size_t left = 0;

        for (size_t i = 0; i < n; i++) {
                const struct job_pod *failed = job_waiting_of(v, v->indexes[i]);
                uint64_t wait = failed ? job_index_backoff_ms(v, failed) : 0;

                if (wait)
                        plan_after(v->sync, wait);
                else
                        v->indexes[left++] = v->indexes[i];
        }
        return left;
}

static void choose_indexes(struct job_view *v)
{
        struct indexes not = taken(v);
        size_t n;

        v->indexes = arena_array(v->sync->mem, int64_t, (size_t)v->create);
        n = indexes_first_missing(&not, v->spec.completions, v->indexes, (size_t)v->create);
        v->create = (int64_t)(v->nwaiting ? drop_waiting(v, n) : n);
}

/* The API server makes no pods in a namespace that ends: to ask again is of no use. */
static bool namespace_ends(const struct failure *f)
{
        return f && f->code == 403 && strstr(f->message, NAMESPACE_ENDING);
}

static void add_missing(struct job_view *v, int64_t n)
{
        uint64_t wait = v->spec.backoff_per_index == JOB_UNSET ? job_backoff_ms(v) : 0;

        if (wait) {
                plan_after(v->sync, wait);
                return;
        }
        if (namespace_ends(v->sync->failed))
                return;
        v->more = n > JOB_PODS_AT_A_TIME;
        v->create = MIN(n, (int64_t)JOB_PODS_AT_A_TIME);
        if (v->spec.indexed)
                choose_indexes(v);
}

void job_manage(struct job_view *v)
{
        int64_t want = v->spec.suspended ? 0 : wanted(v), occupied = v->active;

        remove_surplus(v, v->active - want);
        if (v->nremove || v->spec.suspended)
                return;
        if (v->spec.replace_failed_only)
                occupied += v->ending;
        if (occupied < want)
                add_missing(v, want - occupied);
}

/* ---- the steps ---- */

struct step *job_plan_untrack(struct sync *s, const struct kobj *pod)
{
        struct json_object *patch = json_object_new_object(), *list = json_object_new_array();
        struct step *st;

        json_object_array_add(list, json_object_new_string(JOB_TRACKING));
        json_set(json_ensure(patch, "metadata"), "$deleteFromPrimitiveList/finalizers", list);
        st = plan_patch(s, pod, NULL, patch);
        step_strategic(st);
        return st;
}

static void add_finalizer(struct json_object *meta)
{
        struct json_object *list = json_get(meta, "finalizers");

        json_array_foreach (list, i, f)
                if (json_is_string(f) && str_eq(json_object_get_string(f), JOB_TRACKING))
                        return;
        if (!json_is_array(list)) {
                list = json_object_new_array();
                json_set(meta, "finalizers", list);
        }
        json_object_array_add(list, json_object_new_string(JOB_TRACKING));
}

static bool has_variable(const struct json_object *env)
{
        json_array_foreach (env, i, e)
                if (str_eq(json_get_str(e, "name"), INDEX_VARIABLE))
                        return true;
        return false;
}

static void add_variable(struct json_object *container)
{
        struct json_object *env = json_get(container, "env"), *e;

        if (has_variable(env))
                return;
        if (!json_is_array(env)) {
                env = json_object_new_array();
                json_set(container, "env", env);
        }
        e = json_object_new_object();
        json_set_str(e, "name", INDEX_VARIABLE);
        json_set_str(json_ensure(json_ensure(e, "valueFrom"), "fieldRef"), "fieldPath",
                     "metadata.labels['" JOB_COMPLETION_INDEX "']");
        json_object_array_add(env, e);
}

/* The replacement takes over what the index has failed so far, and the failure that made it necessary. */
static void add_failures(const struct job_view *v, struct json_object *annotations, const struct job_pod *failed)
{
        int64_t counted = failed ? job_index_failures(failed->pod, JOB_INDEX_FAILURES) : 0;
        int64_t ignored = failed ? job_index_failures(failed->pod, JOB_INDEX_IGNORED) : 0;
        char text[24];

        if (failed && job_failure_action(v, failed->pod, NULL) == FAILURE_IGNORED)
                ignored++;
        else if (failed)
                counted++;
        snprintf(text, sizeof(text), "%" PRIi64, counted);
        json_set_str(annotations, JOB_INDEX_FAILURES, text);
        if (!ignored)
                return;
        snprintf(text, sizeof(text), "%" PRIi64, ignored);
        json_set_str(annotations, JOB_INDEX_IGNORED, text);
}

/* Its name begins "JOB-INDEX-", its host name is "JOB-INDEX". */
static void name_by_index(const struct job_view *v, struct json_object *pod, int64_t index)
{
        char suffix[24], base[NAME_BASE_MAX + 1], host[320];
        int n = snprintf(suffix, sizeof(suffix), "-%" PRIi64 "-", index);

        snprintf(base, sizeof(base), "%.*s%s", NAME_BASE_MAX - n, v->job->name, suffix);
        snprintf(host, sizeof(host), "%s-%" PRIi64, v->job->name, index);
        json_set_str(json_get(pod, "metadata"), "generateName", base);
        json_set_str(json_ensure(pod, "spec"), "hostname", host);
}

static void set_index(const struct job_view *v, struct json_object *pod, int64_t index)
{
        static const char *const lists[] = {"initContainers", "containers"};
        struct json_object *meta = json_get(pod, "metadata"), *annotations = json_ensure(meta, "annotations");
        char text[24];

        snprintf(text, sizeof(text), "%" PRIi64, index);
        json_set_str(annotations, JOB_COMPLETION_INDEX, text);
        json_set_str(json_ensure(meta, "labels"), JOB_COMPLETION_INDEX, text);
        if (v->spec.backoff_per_index != JOB_UNSET)
                add_failures(v, annotations, job_waiting_of(v, index));
        name_by_index(v, pod, index);
        for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
                json_array_foreach (json_get(json_get(pod, "spec"), lists[i]), j, c)
                        add_variable(c);
        }
}

static void plan_pod(struct job_view *v, int64_t i)
{
        struct json_object *pod = pod_from_template(v->job, v->spec.template);
        struct step *st;

        add_finalizer(json_get(pod, "metadata"));
        if (v->spec.indexed)
                set_index(v, pod, v->indexes[i]);
        st = plan_create(v->sync, &res_pods, pod);
        step_slow_start(st);
        step_tell(st, v->job, &telling_create);
}

/* One that still runs may end meanwhile, and would have to be counted. */
static void untrack(struct sync *s, const struct job_pod *p)
{
        struct step *st = job_plan_untrack(s, p->pod);

        if (p->active)
                step_version(st, p->pod);
}

void job_plan_pods(struct job_view *v)
{
        for (size_t i = 0; i < v->nuntrack; i++)
                untrack(v->sync, v->untrack[i]);
        if (v->nuntrack && v->nremove)
                plan_then(v->sync);
        for (size_t i = 0; i < v->nremove; i++)
                step_tell(plan_delete(v->sync, v->remove[i]->pod), v->job, &telling_delete);
        for (int64_t i = 0; i < v->create; i++)
                plan_pod(v, i);
}
