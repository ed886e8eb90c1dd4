/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics by upstream's names. What was counted before the manager looked for the first time is not in them. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/common/conditions.h"
#include "controllers/job_view.h"

struct counts {
        int64_t succeeded, failed; /* of a running Job, when it was last looked at */
};

static void count(struct job_state *state, int64_t n, const char *labels)
{
        int64_t *total = hashmap_get(&state->totals, labels);

        if (n <= 0)
                return;
        if (!total) {
                total = mem_new(int64_t);
                hashmap_put(&state->totals, labels, total);
        }
        *total += n;
}

static void count_pods(struct job_state *state, const char *mode, const char *result, int64_t n)
{
        _cleanup_free_ char *labels = mem_printf(
                "job_controller_job_pods_finished_total{completion_mode=\"%s\",result=\"%s\"}", mode, result);

        count(state, n, labels);
}

static void count_finished(struct job_state *state, const char *mode, struct json_object *status)
{
        bool good = str_eq(condition_status(status, "Complete"), "True");
        const char *reason = json_get_str(condition_find(status, good ? "Complete" : "Failed"), "reason");
        _cleanup_free_ char *labels =
                mem_printf("job_controller_jobs_finished_total{completion_mode=\"%s\",reason=\"%s\",result=\"%s\"}",
                           mode, reason ? reason : "", good ? "succeeded" : "failed");

        count(state, 1, labels);
}

void job_metrics_seen(struct job_state *state, const struct kobj *job, const struct json_object *json)
{
        struct json_object *status = json_get(json, "status");
        const char *mode = json_at_str(json, "spec.completionMode");
        int64_t succeeded = json_get_i64(status, "succeeded", 0), failed = json_get_i64(status, "failed", 0);
        struct counts *c = hashmap_get(&state->running, job->uid);
        bool finished = job_is_finished(json);

        mode = mode ? mode : "NonIndexed";
        if (!c && !finished) {
                c = mem_new(struct counts);
                hashmap_put(&state->running, job->uid, c);
        } else if (c) {
                count_pods(state, mode, "succeeded", succeeded - c->succeeded);
                count_pods(state, mode, "failed", failed - c->failed);
        }
        if (c)
                *c = (struct counts){succeeded, failed};
        if (!c || !finished)
                return;
        count_finished(state, mode, status);
        job_metrics_forget(state, job->uid);
}

void job_metrics_forget(struct job_state *state, const char *uid)
{
        free(hashmap_del(&state->running, uid));
}

void job_metrics_write(const struct runner *r, struct strbuf *b)
{
        const struct job_state *state = runner_state(r);

        strbuf_add_str(b, "# TYPE job_controller_jobs_finished_total counter\n"
                          "# TYPE job_controller_job_pods_finished_total counter\n");
        hashmap_foreach (&state->totals, slot)
                strbuf_printf(b, "%s %" PRIi64 "\n", slot->key.str, *(const int64_t *)slot->value);
}
