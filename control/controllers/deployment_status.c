/* SPDX-License-Identifier: Apache-2.0 */
/* What a Deployment tells of its rollout: counts, availability, and whether it gets on. */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "controllers/common/conditions.h"
#include "controllers/deployment.h"

#define WAIT_AT_MOST_MS 60000 /* for the deadline: the wall clock may jump meanwhile */

/* ---- counts ---- */

static void set_count(struct json_object *status, const char *name, int64_t n)
{
        if (n)
                json_set_i64(status, name, n);
        else
                json_del(status, name);
}

/* Nothing is told unless all ReplicaSets tell. */
static void count_ending(struct rollout *ro)
{
        int64_t n = 0;

        sets_foreach (ro, s) {
                if (s->o && s->ending < 0) {
                        json_del(ro->status, "terminatingReplicas");
                        return;
                }
                n += MAX(s->ending, (int64_t)0);
        }
        json_set_i64(ro->status, "terminatingReplicas", n);
}

static void judge_availability(struct rollout *ro, int64_t available)
{
        if (available >= ro->replicas - ro->unavailable)
                rollout_set_condition(ro, "Available", "True", "MinimumReplicasAvailable",
                                      "Deployment has minimum availability.");
        else
                rollout_set_condition(ro, "Available", "False", "MinimumReplicasUnavailable",
                                      "Deployment does not have minimum availability.");
}

void rollout_count(struct rollout *ro)
{
        int64_t sizes = 0, actual = 0, ready = 0, available = 0;

        sets_foreach (ro, s) {
                sizes += s->replicas;
                actual += s->actual;
                ready += s->ready;
                available += s->available;
        }
        set_count(ro->status, "observedGeneration", ro->o->generation);
        set_count(ro->status, "replicas", actual);
        set_count(ro->status, "updatedReplicas", ro->fresh ? ro->fresh->actual : 0);
        set_count(ro->status, "readyReplicas", ready);
        set_count(ro->status, "availableReplicas", available);
        set_count(ro->status, "unavailableReplicas", MAX(sizes - available, (int64_t)0));
        count_ending(ro);
        judge_availability(ro, available);
}

/* ---- conditions ---- */

/* What changed last stands last: people read them in that order. */
static void move_to_end(struct json_object *list, const char *type)
{
        for (size_t i = 0; i < json_len(list); i++) {
                struct json_object *c = json_idx(list, i);

                if (!str_eq(json_get_str(c, "type"), type))
                        continue;
                json_object_get(c);
                json_object_array_del_idx(list, i, 1);
                json_object_array_add(list, c);
                return;
        }
}

/* The same status for the same reason is left alone, whatever its text says. */
void rollout_set_condition(struct rollout *ro, const char *type, const char *value, const char *reason,
                           const char *message)
{
        struct json_object *c = condition_find(ro->status, type);

        if (str_eq(json_get_str(c, "status"), value) && str_eq(json_get_str(c, "reason"), reason))
                return;
        condition_set_stamped(ro->status, type, value, reason, message, ro->sync->now_ms / 1000);
        move_to_end(json_get(ro->status, "conditions"), type);
}

bool rollout_has_deadline(const struct rollout *ro)
{
        return json_at_i64(ro->json, "spec.progressDeadlineSeconds", INT32_MAX) != INT32_MAX;
}

void rollout_progress(struct rollout *ro, const char *value, const char *reason, const char *message)
{
        if (rollout_has_deadline(ro))
                rollout_set_condition(ro, "Progressing", value, reason, message);
}

static const char *progress_reason(const struct rollout *ro)
{
        const char *reason = json_get_str(condition_find(ro->status, "Progressing"), "reason");

        return reason ? reason : "";
}

/* A rollout that has failed stays so while it is paused. */
void rollout_note_pause(struct rollout *ro)
{
        bool told = str_eq(progress_reason(ro), "DeploymentPaused");

        if (str_eq(progress_reason(ro), "ProgressDeadlineExceeded"))
                return;
        if (ro->paused && !told)
                rollout_progress(ro, "Unknown", "DeploymentPaused", "Deployment is paused");
        else if (!ro->paused && told)
                rollout_progress(ro, "Unknown", "DeploymentResumed", "Deployment is resumed");
}

/* A name that is taken is no failure; and a namespace that ends takes no objects. */
static bool is_failure(const struct failure *f)
{
        return f && f->resource == &res_replicasets && f->verb == STEP_CREATE && !str_eq(f->reason, "AlreadyExists") &&
               !strstr(f->message, "because it is being terminated");
}

bool rollout_note_failure(struct rollout *ro)
{
        const struct failure *f = ro->sync->failed;
        bool known = str_eq(progress_reason(ro), "ReplicaSetCreateError");
        const char *message;

        if (!is_failure(f))
                return false;
        message = arena_printf(ro->sync->mem, "Failed to create new replica set \"%s\": %s", f->name, f->message);
        rollout_progress(ro, "False", "ReplicaSetCreateError", message);
        plan_event(ro->sync, ro->o, true, "FailedCreate", "%s", message);
        return !known && rollout_has_deadline(ro);
}

/* ---- progress ---- */

bool rollout_is_complete(const struct rollout *ro)
{
        int64_t actual = 0, available = 0;

        sets_foreach (ro, s) {
                actual += s->actual;
                available += s->available;
        }
        return ro->fresh && ro->fresh->actual == ro->replicas && actual == ro->replicas && available == ro->replicas;
}

static int64_t count_of(const struct json_object *status, const char *name)
{
        return json_get_i64(status, name, 0);
}

/* Compared with the status that was written last. */
static bool gets_on(const struct rollout *ro)
{
        const struct json_object *was = json_get(ro->json, "status"), *is = ro->status;
        int64_t old_was = count_of(was, "replicas") - count_of(was, "updatedReplicas");
        int64_t old_is = count_of(is, "replicas") - count_of(is, "updatedReplicas");

        return count_of(is, "updatedReplicas") > count_of(was, "updatedReplicas") || old_is < old_was ||
               count_of(is, "readyReplicas") > count_of(was, "readyReplicas") ||
               count_of(is, "availableReplicas") > count_of(was, "availableReplicas");
}

/* Since the last time that it got on. */
static int64_t deadline_ms(const struct rollout *ro)
{
        const char *text = json_get_str(condition_find(ro->status, "Progressing"), "lastUpdateTime");
        struct timespec since;

        if (!text || clock_parse(text, &since))
                return INT64_MAX;
        return (since.tv_sec + json_at_i64(ro->json, "spec.progressDeadlineSeconds", 0)) * 1000;
}

static const char *about_progress(struct rollout *ro, const char *how)
{
        return ro->fresh ? arena_printf(ro->sync->mem, "ReplicaSet \"%s\" %s", ro->fresh->name, how)
                         : arena_printf(ro->sync->mem, "Deployment \"%s\" %s", ro->o->name, how);
}

/* Of all conditions this one tells when it was set last, although it says the same: the deadline begins anew. */
static void stamp_progress(struct rollout *ro)
{
        char now[CLOCK_TEXT_SIZE];

        rollout_progress(ro, "True", "ReplicaSetUpdated", about_progress(ro, "is progressing."));
        json_set_str(condition_find(ro->status, "Progressing"), "lastUpdateTime",
                     clock_format(ro->sync->now_ms / 1000, now));
}

/* Times out: whether it does, or when to look again. */
static bool is_late(struct rollout *ro)
{
        int64_t left = deadline_ms(ro) - ro->sync->now_ms;

        if (str_eq(progress_reason(ro), "ProgressDeadlineExceeded") || left < 0)
                return true;
        if (left != INT64_MAX)
                plan_after(ro->sync, (uint64_t)MIN(left + 1000, (int64_t)WAIT_AT_MOST_MS));
        return false;
}

static bool was_complete(const struct rollout *ro)
{
        return count_of(ro->status, "replicas") == count_of(ro->status, "updatedReplicas") &&
               str_eq(progress_reason(ro), "NewReplicaSetAvailable");
}

static void judge_progress(struct rollout *ro)
{
        if (was_complete(ro))
                return;
        if (rollout_is_complete(ro))
                rollout_progress(ro, "True", "NewReplicaSetAvailable",
                                 about_progress(ro, "has successfully progressed."));
        else if (gets_on(ro))
                stamp_progress(ro);
        else if (condition_find(ro->status, "Progressing") && is_late(ro))
                rollout_progress(ro, "False", "ProgressDeadlineExceeded",
                                 about_progress(ro, "has timed out progressing."));
}

/* Of the fresh one first. */
static struct json_object *failure_of_sets(const struct rollout *ro)
{
        struct json_object *c =
                ro->fresh ? condition_find(json_get(ro->fresh->json, "status"), "ReplicaFailure") : NULL;

        sets_foreach (ro, s)
                c = c ? c : condition_find(json_get(s->json, "status"), "ReplicaFailure");
        return c;
}

static void pass_failure_on(struct rollout *ro)
{
        struct json_object *c = failure_of_sets(ro);

        if (!c)
                condition_remove(ro->status, "ReplicaFailure");
        else
                rollout_set_condition(ro, "ReplicaFailure", json_get_str(c, "status"), json_get_str(c, "reason"),
                                      json_get_str(c, "message"));
}

void rollout_judge(struct rollout *ro)
{
        rollout_count(ro);
        if (rollout_has_deadline(ro))
                judge_progress(ro);
        else
                condition_remove(ro->status, "Progressing");
        pass_failure_on(ro);
}

/* What tells of a ReplicaSet that is being made is not written before it is there. */
void rollout_write_status(struct rollout *ro)
{
        if (!ro->annotated && json_equal(ro->status, json_get(ro->json, "status")))
                return;
        if (ro->created)
                plan_then(ro->sync);
        json_set(ro->json, "status", json_object_get(ro->status));
        plan_update_status(ro->sync, &res_deployments, json_object_get(ro->json));
}
