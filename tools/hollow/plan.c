/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/str.h"
#include "hollow/plan.h"

#define EXIT_KILLED 137 /* 128 + SIGKILL */

enum value_kind {
        VALUE_DURATION,
        VALUE_DURATION_OR_GRACE,
        VALUE_COUNT,
        VALUE_EXIT_CODE,
        VALUE_BOOL,
        VALUE_NOT_READY, /* true means not ready */
        VALUE_NOTED,     /* a bool that plan_finish acts on */
};

static const struct {
        const char *name;
        enum value_kind kind;
        size_t offset;
} annotations[] = {
        {"start-after", VALUE_DURATION, offsetof(struct plan, start_after)},
        {"init-run-for", VALUE_DURATION, offsetof(struct plan, init_run_for)},
        {"ready-after", VALUE_DURATION, offsetof(struct plan, ready_after)},
        {"run-for", VALUE_DURATION, offsetof(struct plan, run_for)},
        {"restart-after", VALUE_DURATION, offsetof(struct plan, restart_after)},
        {"stop-after", VALUE_DURATION_OR_GRACE, offsetof(struct plan, stop_after)},
        {"restarts", VALUE_COUNT, offsetof(struct plan, restarts)},
        {"exit-code", VALUE_EXIT_CODE, offsetof(struct plan, exit_code)},
        {"stop-exit-code", VALUE_EXIT_CODE, offsetof(struct plan, stop_exit_code)},
        {"ready", VALUE_BOOL, offsetof(struct plan, ready)},
        {"never-ready", VALUE_NOT_READY, offsetof(struct plan, ready)},
        {"fail", VALUE_NOTED, 0},
};

static int set_duration(int64_t *ret, const char *name, const char *value, struct err *reterr)
{
        int64_t ns;

        if (str_parse_duration(value, &ns) || ns < 0)
                return err_set(reterr, -EINVAL, "%s%s: \"%s\" is no duration like 500ms, 2s or 1m30s", PLAN_PREFIX,
                               name, value);
        *ret = ns / (int64_t)NS_PER_MS;
        return 0;
}

static int set_number(int32_t *ret, const char *name, const char *value, int64_t max, struct err *reterr)
{
        int64_t n;

        if (str_parse_i64(value, &n) || n < 0 || n > max)
                return err_set(reterr, -EINVAL, "%s%s: \"%s\" is no number from 0 to %lld", PLAN_PREFIX, name, value,
                               (long long)max);
        *ret = (int32_t)n;
        return 0;
}

static int set_bool(bool *ret, const char *name, const char *value, struct err *reterr)
{
        if (!str_eq(value, "true") && !str_eq(value, "false"))
                return err_set(reterr, -EINVAL, "%s%s: \"%s\" is neither \"true\" nor \"false\"", PLAN_PREFIX, name,
                               value);
        *ret = str_eq(value, "true");
        return 0;
}

static int set_value(struct plan *plan, size_t i, const char *value, struct err *reterr)
{
        const char *name = annotations[i].name;
        void *at = (char *)plan + annotations[i].offset;
        bool yes = false;
        int r;

        switch (annotations[i].kind) {
        case VALUE_DURATION_OR_GRACE:
                if (str_eq(value, "grace")) {
                        *(int64_t *)at = PLAN_NEVER;
                        return 0;
                }
                return set_duration(at, name, value, reterr);
        case VALUE_DURATION:
                return set_duration(at, name, value, reterr);
        case VALUE_COUNT:
                return set_number(at, name, value, 1000000, reterr);
        case VALUE_EXIT_CODE:
                return set_number(at, name, value, 255, reterr);
        case VALUE_BOOL:
        case VALUE_NOT_READY:
        case VALUE_NOTED:
                r = set_bool(&yes, name, value, reterr);
                if (!r && annotations[i].kind == VALUE_BOOL)
                        *(bool *)at &= yes;
                if (!r && annotations[i].kind == VALUE_NOT_READY)
                        *(bool *)at &= !yes;
                return r;
        }
        return 0;
}

int plan_set(struct plan *plan, const char *name, const char *value, struct err *reterr)
{
        for (size_t i = 0; i < ARRAY_SIZE(annotations); i++)
                if (str_eq(annotations[i].name, name))
                        return set_value(plan, i, value, reterr);
        return err_set(reterr, -ENOENT, "%s%s: there is no such annotation (tools/hollow/README.md has them)",
                       PLAN_PREFIX, name);
}

void plan_note(struct plan_given *given, const char *name, const char *value)
{
        given->run_for |= str_eq(name, "run-for");
        given->exit_code |= str_eq(name, "exit-code");
        given->restarts |= str_eq(name, "restarts");
        given->fail |= str_eq(name, "fail") && str_eq(value, "true");
}

void plan_finish(struct plan *plan, const struct plan_given *given)
{
        if ((given->fail || given->restarts) && !given->exit_code)
                plan->exit_code = 1;
        if (given->fail && !given->run_for)
                plan->run_for = 0;
}

/* ---- the life ---- */

/* Whether the present run is one of those that are to fail first. */
static bool is_trial(const struct plan *plan, const struct life *life)
{
        return life->restarts < plan->restarts;
}

static int64_t run_length(const struct plan *plan, const struct life *life)
{
        if (is_trial(plan, life))
                return plan->run_for == PLAN_NEVER ? 0 : plan->run_for;
        return plan->restarts && plan->policy == RESTART_ALWAYS ? PLAN_NEVER : plan->run_for;
}

static int32_t run_exit_code(const struct plan *plan, const struct life *life)
{
        return is_trial(plan, life) || !plan->restarts ? plan->exit_code : 0;
}

static void enter(struct life *life, enum stage stage, int64_t at)
{
        life->stage = stage;
        life->since = at;
        if (stage == STAGE_RUNNING)
                life->started = at;
}

static void end_run(const struct plan *plan, struct life *life, int64_t at)
{
        int32_t code = run_exit_code(plan, life);
        bool again = plan->policy == RESTART_ALWAYS || (plan->policy == RESTART_ON_FAILURE && code);

        life->exit_code = code;
        life->finished = at;
        enter(life, again ? STAGE_BACKOFF : STAGE_ENDED, at);
}

/* When a run that was told to stop is over. */
static int64_t stop_at(const struct plan *plan, const struct life *life)
{
        int64_t after = plan->stop_after == PLAN_NEVER ? life->grace : plan->stop_after;

        return life->stop + (after < life->grace ? after : life->grace);
}

static void end_stopped(const struct plan *plan, struct life *life, int64_t at)
{
        bool killed = plan->stop_after == PLAN_NEVER || plan->stop_after > life->grace;

        life->never_ran = life->stage != STAGE_RUNNING && !life->started;
        if (life->stage == STAGE_RUNNING) {
                life->exit_code = killed ? EXIT_KILLED : plan->stop_exit_code;
                life->finished = at;
        } else if (life->never_ran) {
                life->exit_code = EXIT_KILLED;
                life->finished = at;
        }
        enter(life, STAGE_ENDED, at);
}

/* When the present stage ends of itself, PLAN_NEVER: not. */
static int64_t stage_end(const struct plan *plan, const struct life *life)
{
        int64_t length = PLAN_NEVER;

        switch (life->stage) {
        case STAGE_CREATING:
                length = plan->start_after;
                break;
        case STAGE_INIT:
                length = plan->init_run_for * plan->ninit;
                break;
        case STAGE_RUNNING:
                length = run_length(plan, life);
                break;
        case STAGE_BACKOFF:
                length = plan->restart_after;
                break;
        case STAGE_NONE:
        case STAGE_ENDED:
                break;
        }
        return length == PLAN_NEVER ? PLAN_NEVER : life->since + length;
}

static void leave_stage(const struct plan *plan, struct life *life, int64_t at)
{
        switch (life->stage) {
        case STAGE_CREATING:
                enter(life, STAGE_INIT, at);
                break;
        case STAGE_INIT:
                enter(life, STAGE_RUNNING, at);
                break;
        case STAGE_RUNNING:
                end_run(plan, life, at);
                break;
        case STAGE_BACKOFF:
                life->restarts++;
                enter(life, STAGE_RUNNING, at);
                break;
        case STAGE_NONE:
        case STAGE_ENDED:
                break;
        }
}

static int64_t next_change(const struct plan *plan, const struct life *life, int64_t now)
{
        int64_t next = stage_end(plan, life), ready = life->since + plan->ready_after;

        if (next == PLAN_NEVER)
                next = INT64_MAX;
        if (life->stage == STAGE_RUNNING && plan->ready && ready > now && ready < next)
                next = ready;
        if (life->stop && stop_at(plan, life) < next && life->stage != STAGE_ENDED)
                next = stop_at(plan, life);
        return next;
}

int64_t life_advance(const struct plan *plan, struct life *life, int64_t now)
{
        if (life->stage == STAGE_NONE) {
                enter(life, STAGE_CREATING, now);
                life->admitted = now;
        }
        /* A run and the wait for the next may both take no time: one round at a time, then. */
        for (int rounds = 0; life->stage != STAGE_ENDED && rounds < 8; rounds++) {
                int64_t end = stage_end(plan, life);

                if (life->stop && (life->stage != STAGE_RUNNING || stop_at(plan, life) <= now)) {
                        end_stopped(plan, life, life->stage == STAGE_RUNNING ? stop_at(plan, life) : now);
                        break;
                }
                if (end == PLAN_NEVER || end > now)
                        break;
                leave_stage(plan, life, end);
        }
        return next_change(plan, life, now);
}

bool life_ready(const struct plan *plan, const struct life *life, int64_t now)
{
        return life->stage == STAGE_RUNNING && plan->ready && now >= life->since + plan->ready_after;
}

void life_reboot(const struct plan *plan, struct life *life, int64_t now)
{
        if (life->stage != STAGE_RUNNING && life->stage != STAGE_BACKOFF)
                return;
        if (life->stage == STAGE_RUNNING) {
                life->exit_code = EXIT_KILLED;
                life->finished = now;
        }
        if (plan->policy == RESTART_NEVER) {
                enter(life, STAGE_ENDED, now);
                return;
        }
        life->restarts++;
        enter(life, STAGE_RUNNING, now);
}
