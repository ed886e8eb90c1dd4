/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "controllers/common/conditions.h"
#include "controllers/common/pods.h"
#include "controllers/job_view.h"

static void fail(struct job_view *v, const char *reason, const char *message)
{
        v->verdict = (struct job_verdict){"FailureTarget", reason, message};
}

/* What was decided is not decided anew, whatever the pods look like by now. */
static bool remember(struct job_view *v, const char *type)
{
        struct json_object *c = condition_find(v->status, type);
        const char *reason = json_get_str(c, "reason"), *message = json_get_str(c, "message");

        if (!str_eq(condition_status(v->status, type), "True"))
                return false;
        v->verdict = (struct job_verdict){type, arena_strdup(v->sync->mem, reason ? reason : ""),
                                          arena_strdup(v->sync->mem, message ? message : "")};
        return true;
}

/* Of several pods the first by name, so that the message is the same each time. */
static const char *failure_by_policy(const struct job_view *v)
{
        const struct kobj *first = NULL;
        const char *message = NULL;

        for (size_t i = 0; v->spec.failure_policy && i < v->npods; i++) {
                const struct job_pod *p = &v->pods[i];
                const char *text = NULL;

                if (p->failed && job_failure_action(v, p->pod, &text) == FAILURE_ENDS_JOB &&
                    (!first || strcmp(p->pod->name, first->name) < 0)) {
                        first = p->pod;
                        message = text;
                }
        }
        return message;
}

/* Containers that restart in their pod make no failed pods: their restarts are what counts. */
static bool restarts_exceed(const struct job_view *v)
{
        int64_t restarts = 0;

        if (!v->spec.on_failure)
                return false;
        for (size_t i = 0; i < v->npods; i++) {
                const struct pod *pod = v->pods[i].pod->pod;

                if (pod->phase != POD_RUNNING && pod->phase != POD_PENDING)
                        continue;
                for (size_t c = 0; c < pod->ncontainers; c++)
                        restarts += pod->containers[c].restarts;
        }
        return v->spec.backoff_limit ? restarts >= v->spec.backoff_limit : restarts > 0;
}

/* Looks again when it is due. The time of a Job that is just being resumed begins now. */
static bool past_deadline(struct job_view *v)
{
        const char *text = json_get_str(v->status, "startTime");
        struct timespec start;
        int64_t left_ms;

        if (v->spec.deadline_s == JOB_UNSET || v->spec.suspended || !text || clock_parse(text, &start) ||
            str_eq(condition_status(v->status, "Suspended"), "True"))
                return false;
        left_ms = MIN(v->spec.deadline_s, (int64_t)UINT32_MAX) * 1000 -
                  stopwatch_ms(&v->state->deadlines, v->job->uid, start.tv_sec, v->sync);
        if (left_ms > 0)
                plan_after(v->sync, (uint64_t)left_ms);
        return left_ms <= 0;
}

static void judge_indexes(struct job_view *v)
{
        const char *message;

        if (v->lost.total && v->spec.max_failed_indexes != JOB_UNSET && v->lost.total > v->spec.max_failed_indexes)
                fail(v, "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes");
        else if (v->lost.total && v->lost.total + v->done.total >= v->spec.completions)
                fail(v, "FailedIndexes", "Job has failed indexes");
        message = v->verdict.type ? NULL : job_success_message(v);
        if (message)
                v->verdict = (struct job_verdict){"SuccessCriteriaMet", "SuccessPolicy", message};
}

void job_judge(struct job_view *v)
{
        const char *message;

        if (remember(v, "SuccessCriteriaMet") || remember(v, "FailureTarget"))
                return;
        message = failure_by_policy(v);
        if (message)
                fail(v, "PodFailurePolicy", message);
        else if (v->failed > v->spec.backoff_limit || restarts_exceed(v))
                fail(v, "BackoffLimitExceeded", "Job has reached the specified backoff limit");
        else if (past_deadline(v))
                fail(v, "DeadlineExceeded", "Job was active longer than specified deadline");
        else if (v->spec.indexed)
                judge_indexes(v);
}
