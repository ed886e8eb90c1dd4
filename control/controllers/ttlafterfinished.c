/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs with ttlSecondsAfterFinished go, with their pods, so long after they have ended. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/common/conditions.h"
#include "controllers/common/stopwatch.h"
#include "controllers/controllers.h"

/* When it became Complete or Failed; 0: it did not. */
static int64_t finished_s(const struct json_object *json)
{
        static const char *const types[] = {"Complete", "Failed"};
        struct json_object *status = json_get(json, "status");
        struct timespec at;

        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                const char *text = json_get_str(condition_find(status, types[i]), "lastTransitionTime");

                if (str_eq(condition_status(status, types[i]), "True") && text && !clock_parse(text, &at))
                        return at.tv_sec;
        }
        return 0;
}

static void sync_job(struct sync *s)
{
        const struct kobj *job = lister_find(s->lister, &res_jobs, s->key);
        _cleanup_json_ struct json_object *json = job ? kobj_json(job) : NULL;
        int64_t ttl_s = json_at_i64(json, "spec.ttlSecondsAfterFinished", -1), since_s = json ? finished_s(json) : 0,
                left_ms;
        struct step *st;

        if (!since_s || ttl_s < 0 || job->deleted_s)
                return;
        left_ms = MIN(ttl_s, (int64_t)UINT32_MAX) * 1000 - stopwatch_ms(s->state, job->uid, since_s, s);
        if (left_ms > 0) {
                plan_after(s, (uint64_t)left_ms);
                return;
        }
        st = plan_delete(s, job);
        step_propagation(st, "Foreground");
        step_version(st, job); /* somebody may have changed the time to live */
}

static void job_changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        if (now)
                runner_add_object(r, now);
        else
                stopwatch_forget(runner_state(r), old->uid);
}

static void *state_new(struct runner *r)
{
        struct stopwatches *w = mem_new(struct stopwatches);

        stopwatches_init(w);
        return w;
}

static void state_free(void *state)
{
        stopwatches_deinit(state);
        free(state);
}

const struct controller controller_ttlafterfinished = {
        .name = "ttl-after-finished",
        .watches = (const struct watch[]){{&res_jobs, job_changed}, {0}},
        .sync = sync_job,
        .state_new = state_new,
        .state_free = state_free,
};
