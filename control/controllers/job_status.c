/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "controllers/common/conditions.h"
#include "controllers/job_view.h"

static bool succeeds(const struct job_view *v)
{
        return str_eq(v->verdict.type, "SuccessCriteriaMet");
}

static void set_count(struct json_object *status, const char *name, int64_t n)
{
        if (n)
                json_set_i64(status, name, n);
        else
                json_del(status, name);
}

/* ---- each pod once ---- */

/* The UIDs of a list whose pods have lost the finalizer become a number. */
static void move_to_counter(struct job_view *v, const char *name, const struct hashmap *pending)
{
        struct json_object *uncounted = json_ensure(v->status, "uncountedTerminatedPods");
        struct json_object *left = json_object_new_array();
        int64_t moved = 0;

        json_array_foreach (json_get(uncounted, name), i, uid) {
                if (json_is_string(uid) && hashmap_get(pending, json_object_get_string(uid)))
                        json_object_array_add(left, json_object_get(uid));
                else
                        moved++;
        }
        if (moved)
                set_count(v->status, name, json_get_i64(v->status, name, 0) + moved);
        if (json_len(left)) {
                json_set(uncounted, name, left);
        } else {
                json_del(uncounted, name);
                json_object_put(left);
        }
}

static void move_counted(struct job_view *v)
{
        struct hashmap pending;

        hashmap_init(&pending, HASHMAP_STR);
        for (size_t i = 0; i < v->npods; i++)
                if (v->pods[i].noted)
                        hashmap_put(&pending, v->pods[i].pod->uid, &v->pods[i]);
        move_to_counter(v, "succeeded", &pending);
        move_to_counter(v, "failed", &pending);
        hashmap_deinit(&pending);
}

static void note(struct job_view *v, const struct job_pod *p, const char *name)
{
        struct json_object *uncounted = json_get(v->status, "uncountedTerminatedPods");
        struct json_object *list = json_get(uncounted, name);

        if (!list) {
                list = json_object_new_array();
                json_set(uncounted, name, list);
        }
        json_object_array_add(list, json_object_new_string(p->pod->uid));
}

static bool may_untrack(const struct job_view *v, const struct job_pod *p)
{
        if (!p->tracked || p->untracking)
                return false;
        if (v->job->deleted_s || v->verdict.type || p->succeeded)
                return true;
        return p->failed && job_waiting_of(v, p->index) != p;
}

/* When a Job has failed, whatever still runs has failed with it. */
static void count_one(struct job_view *v, const struct job_pod *p)
{
        bool failed = !p->succeeded && (p->failed || (v->verdict.type && !succeeds(v)));

        if (p->noted || !job_has_index(v, p))
                return;
        if (p->succeeded && !v->spec.indexed)
                note(v, p, "succeeded");
        else if (failed && job_failure_action(v, p->pod, NULL) != FAILURE_IGNORED)
                note(v, p, "failed");
}

/* The finalizer goes when the status that counts the pod has been written; a bounded number at a time, so that the
 * UIDs in the status stay few. */
void job_count(struct job_view *v)
{
        move_counted(v);
        for (size_t i = 0; i < v->npods; i++) {
                struct job_pod *p = &v->pods[i];

                if (!may_untrack(v, p))
                        continue;
                if (v->nuntrack >= JOB_PODS_AT_A_TIME) {
                        v->more = true;
                        break;
                }
                count_one(v, p);
                p->untracking = true;
                v->untrack[v->nuntrack++] = p;
        }
}

/* ---- conditions ---- */

static void set_condition(struct job_view *v, const char *type, const char *value, const char *reason,
                          const char *message)
{
        int64_t now_s = v->sync->now_ms / 1000;
        char text[CLOCK_TEXT_SIZE];

        if (condition_set(v->status, type, value, reason, message, now_s))
                json_set_str(condition_find(v->status, type), "lastProbeTime", clock_format(now_s, text));
}

static void set_time(struct job_view *v, const char *name)
{
        char text[CLOCK_TEXT_SIZE];

        json_set_str(v->status, name, clock_format(v->sync->now_ms / 1000, text));
}

/* A Job that goes on after it was suspended begins anew, as far as its deadline is concerned. */
static void set_suspended(struct job_view *v)
{
        bool was = str_eq(condition_status(v->status, "Suspended"), "True");

        if (v->spec.suspended && !was) {
                set_condition(v, "Suspended", "True", "JobSuspended", "Job suspended");
        } else if (!v->spec.suspended && was) {
                set_condition(v, "Suspended", "False", "JobResumed", "Job resumed");
                set_time(v, "startTime");
        }
}

static bool all_is_counted(const struct job_view *v)
{
        const struct json_object *uncounted = json_get(v->status, "uncountedTerminatedPods");

        return !v->nuntrack && !v->nremove && !v->create && !v->active && !v->ending && !v->more &&
               !json_len(json_get(uncounted, "succeeded")) && !json_len(json_get(uncounted, "failed"));
}

static void set_verdict(struct job_view *v)
{
        const struct job_verdict *j = &v->verdict;

        set_condition(v, j->type, "True", j->reason, j->message);
        if (!all_is_counted(v))
                return;
        set_condition(v, succeeds(v) ? "Complete" : "Failed", "True", j->reason, j->message);
        if (succeeds(v))
                set_time(v, "completionTime");
        if (!json_has(v->status, "startTime"))
                set_time(v, "startTime");
}

static void set_indexes(struct job_view *v)
{
        const char *done = indexes_text(v->sync->mem, &v->done);

        set_count(v->status, "succeeded", v->done.total);
        if (*done)
                json_set_str(v->status, "completedIndexes", done);
        else
                json_del(v->status, "completedIndexes");
        if (v->spec.backoff_per_index != JOB_UNSET)
                json_set_str(v->status, "failedIndexes", indexes_text(v->sync->mem, &v->lost));
}

void job_conclude(struct job_view *v)
{
        if (!v->spec.suspended && !json_has(v->status, "startTime"))
                set_time(v, "startTime");
        set_count(v->status, "active", v->active);
        json_set_i64(v->status, "ready", v->ready);
        json_set_i64(v->status, "terminating", v->ending);
        if (v->spec.indexed)
                set_indexes(v);
        if (v->verdict.type)
                set_verdict(v);
        else if (!v->job->deleted_s)
                set_suspended(v);
}

/* ---- the write ---- */

/* Without what only follows the pods and may be written a moment later. */
static struct json_object *lasting(const struct json_object *status)
{
        static const char *const fleeting[] = {"active", "ready", "terminating", "startTime"};
        struct json_object *copy = json_copy(status);

        for (size_t i = 0; i < ARRAY_SIZE(fleeting); i++)
                json_del(copy, fleeting[i]);
        return copy;
}

bool job_status_differs(const struct job_view *v)
{
        return !json_equal(v->status, json_get(v->json, "status"));
}

bool job_status_matters(const struct job_view *v)
{
        struct json_object *was = json_get(v->json, "status");
        _cleanup_json_ struct json_object *a = lasting(v->status), *b = was ? lasting(was) : json_object_new_object();

        json_ensure(b, "uncountedTerminatedPods");
        return !json_equal(a, b);
}

/* What the new status is told as. */
static struct telling telling_of(const struct job_view *v)
{
        struct json_object *was = json_get(v->json, "status");
        const char *suspended = condition_status(v->status, "Suspended");

        if (job_is_finished(v->json))
                return (struct telling){0};
        if (str_eq(condition_status(v->status, "Complete"), "True"))
                return (struct telling){.done_reason = "Completed", .done_text = "Job completed"};
        if (str_eq(condition_status(v->status, "Failed"), "True"))
                return (struct telling){.done_reason = v->verdict.reason, .done_text = v->verdict.message};
        if (str_eq(suspended, "True") && !str_eq(condition_status(was, "Suspended"), "True"))
                return (struct telling){.done_reason = "Suspended", .done_text = "Job suspended"};
        if (str_eq(suspended, "False") && str_eq(condition_status(was, "Suspended"), "True"))
                return (struct telling){.done_reason = "Resumed", .done_text = "Job resumed"};
        return (struct telling){0};
}

static void tell_surplus(struct job_view *v)
{
        if (str_eq(condition_status(v->status, "Complete"), "True") && v->spec.completions != JOB_UNSET &&
            json_get_i64(v->status, "succeeded", 0) > v->spec.completions)
                plan_event(v->sync, v->job, true, "TooManySucceededPods",
                           "Too many succeeded pods running after completion count reached");
}

void job_write_status(struct job_view *v)
{
        struct telling telling = telling_of(v);
        struct step *st;

        tell_surplus(v);
        json_set(v->json, "status", json_object_get(v->status));
        st = plan_update_status(v->sync, &res_jobs, json_object_get(v->json));
        step_tell(st, v->job, &telling);
        if (telling.done_reason == v->verdict.reason)
                step_warn(st);
}
