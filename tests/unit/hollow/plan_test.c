/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "hollow/plan.h"

#define START 1000000

static struct plan plan_of(enum restart_policy policy, const char *annotations)
{
        struct plan plan = {
                .run_for = PLAN_NEVER, .restart_after = 1000, .stop_exit_code = 143, .ready = true, .policy = policy};
        struct plan_given given = {0};
        struct str_span word;

        for (const char *rest = annotations; !str_empty(rest) && str_split(&rest, ' ', &word);) {
                char text[80], *value;
                struct err err = ERR_NULL;

                assert_true(word.n < sizeof(text));
                memcpy(text, word.s, word.n);
                text[word.n] = '\0';
                value = strchr(text, '=');
                *value++ = '\0';
                assert_int_equal(plan_set(&plan, text, value, &err), 0);
                plan_note(&given, text, value);
        }
        plan_finish(&plan, &given);
        return plan;
}

static const char *const stage_names[] = {"none", "creating", "init", "running", "backoff", "ended"};

/* "running ready 2" */
static void describe(const struct plan *plan, const struct life *life, int64_t now, char *ret, size_t size)
{
        int n = snprintf(ret, size, "%s", stage_names[life->stage]);

        if (life_ready(plan, life, now))
                n += snprintf(ret + n, size - (size_t)n, " ready");
        if (life->restarts)
                n += snprintf(ret + n, size - (size_t)n, " restarts=%d", life->restarts);
        if (life->stage == STAGE_ENDED || life->stage == STAGE_BACKOFF)
                snprintf(ret + n, size - (size_t)n, " code=%d", life->exit_code);
}

struct moment {
        int64_t at; /* ms from the start */
        const char *want;
};

struct story {
        enum restart_policy policy;
        const char *annotations;
        struct moment moments[8];
};

static void a_life_follows_its_plan(void **state)
{
        static const struct story stories[] = {
                {RESTART_ALWAYS, "", {{0, "running ready"}, {1000000, "running ready"}}},
                {RESTART_ALWAYS, "ready-after=500ms", {{0, "running"}, {499, "running"}, {500, "running ready"}}},
                {RESTART_ALWAYS, "start-after=2s", {{0, "creating"}, {1999, "creating"}, {2000, "running ready"}}},
                {RESTART_ALWAYS, "never-ready=true", {{0, "running"}, {60000, "running"}}},
                {RESTART_ALWAYS, "ready=false", {{0, "running"}}},
                {RESTART_ALWAYS, "ready=true never-ready=false", {{0, "running ready"}}},
                {RESTART_NEVER, "run-for=2s", {{0, "running ready"}, {1999, "running ready"}, {2000, "ended code=0"}}},
                {RESTART_NEVER, "run-for=0s", {{0, "ended code=0"}}},
                {RESTART_NEVER, "fail=true", {{0, "ended code=1"}}},
                {RESTART_NEVER, "fail=true run-for=1s exit-code=7", {{0, "running ready"}, {1000, "ended code=7"}}},
                {RESTART_NEVER, "fail=false", {{0, "running ready"}}},
                {RESTART_ON_FAILURE, "run-for=1s", {{0, "running ready"}, {1000, "ended code=0"}}},
                {RESTART_ON_FAILURE,
                 "run-for=1s exit-code=2",
                 {{1000, "backoff code=2"}, {1999, "backoff code=2"}, {2000, "running ready restarts=1"}}},
                {RESTART_ALWAYS,
                 "run-for=1s restart-after=3s",
                 {{1000, "backoff code=0"}, {4000, "running ready restarts=1"}, {5000, "backoff restarts=1 code=0"}}},
                {RESTART_ALWAYS,
                 "restarts=2",
                 {{0, "backoff code=1"},
                  {999, "backoff code=1"},
                  {1000, "backoff restarts=1 code=1"},
                  {2000, "running ready restarts=2"},
                  {100000, "running ready restarts=2"}}},
                {RESTART_ON_FAILURE,
                 "restarts=1 run-for=1s restart-after=0s",
                 {{0, "running ready"}, {1000, "running ready restarts=1"}, {2000, "ended restarts=1 code=0"}}},
                /* However late somebody looks, what was to happen did. */
                {RESTART_ON_FAILURE,
                 "restarts=1 run-for=1s",
                 {{0, "running ready"}, {90000, "ended restarts=1 code=0"}}},
        };

        for (size_t i = 0; i < ARRAY_SIZE(stories); i++) {
                struct plan plan = plan_of(stories[i].policy, stories[i].annotations);
                struct life life = {0};

                life_advance(&plan, &life, START);
                for (const struct moment *m = stories[i].moments; m->want; m++) {
                        char got[64];

                        life_advance(&plan, &life, START + m->at);
                        describe(&plan, &life, START + m->at, got, sizeof(got));
                        if (!str_eq(got, m->want))
                                fail_msg("\"%s\" at %lld ms: %s, wanted %s", stories[i].annotations, (long long)m->at,
                                         got, m->want);
                }
        }
}

static void init_containers_run_one_after_the_other(void **state)
{
        struct plan plan = plan_of(RESTART_ALWAYS, "start-after=100ms init-run-for=1s");
        struct life life = {0};

        plan.ninit = 3;
        life_advance(&plan, &life, START);
        assert_int_equal(life.stage, STAGE_CREATING);
        assert_int_equal(life_advance(&plan, &life, START + 100), START + 3100);
        assert_int_equal(life.stage, STAGE_INIT);
        life_advance(&plan, &life, START + 3100);
        assert_int_equal(life.stage, STAGE_RUNNING);
        assert_int_equal(life.started, START + 3100);
        assert_int_equal(life.admitted, START);
}

static void stop(struct life *life, int64_t at, int64_t grace)
{
        life->stop = at;
        life->grace = grace;
}

static void a_deleted_pod_ends_within_its_grace_period(void **state)
{
        static const struct {
                const char *annotations;
                int64_t grace, end; /* ms after the deletion */
                int32_t code;
        } rows[] = {
                {"", 30000, 0, 143},
                {"stop-after=2s", 30000, 2000, 143},
                {"stop-after=2s stop-exit-code=0", 30000, 2000, 0},
                {"stop-after=40s", 30000, 30000, 137},
                {"stop-after=grace", 5000, 5000, 137},
                {"stop-after=2s", 0, 0, 137},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct plan plan = plan_of(RESTART_ALWAYS, rows[i].annotations);
                struct life life = {0};
                int64_t deleted = START + 5000, next;

                life_advance(&plan, &life, START);
                stop(&life, deleted, rows[i].grace);
                next = life_advance(&plan, &life, deleted);
                if (rows[i].end) {
                        assert_int_equal(next, deleted + rows[i].end);
                        life_advance(&plan, &life, deleted + rows[i].end - 1);
                        assert_int_equal(life.stage, STAGE_RUNNING);
                        assert_true(life_ready(&plan, &life, deleted)); /* its probe still succeeds */
                }
                life_advance(&plan, &life, deleted + rows[i].end);
                assert_int_equal(life.stage, STAGE_ENDED);
                assert_int_equal(life.exit_code, rows[i].code);
                assert_int_equal(life.finished, deleted + rows[i].end);
                assert_false(life.never_ran);
        }
}

static void a_pod_deleted_before_it_ran_ends_at_once(void **state)
{
        struct plan plan = plan_of(RESTART_ALWAYS, "start-after=1m stop-after=10s");
        struct life life = {0};

        life_advance(&plan, &life, START);
        stop(&life, START + 10, 30000);
        life_advance(&plan, &life, START + 10);
        assert_int_equal(life.stage, STAGE_ENDED);
        assert_true(life.never_ran);
        assert_int_equal(life.exit_code, 137);
}

static void a_grace_period_that_is_shortened_counts(void **state)
{
        struct plan plan = plan_of(RESTART_ALWAYS, "stop-after=grace");
        struct life life = {0};

        life_advance(&plan, &life, START);
        stop(&life, START, 30000);
        assert_int_equal(life_advance(&plan, &life, START), START + 30000);
        life.grace = 1000;
        assert_int_equal(life_advance(&plan, &life, START + 500), START + 1000);
}

static void a_reboot_starts_containers_again(void **state)
{
        static const struct {
                enum restart_policy policy;
                enum stage want;
                int32_t restarts;
        } rows[] = {{RESTART_ALWAYS, STAGE_RUNNING, 1},
                    {RESTART_ON_FAILURE, STAGE_RUNNING, 1},
                    {RESTART_NEVER, STAGE_ENDED, 0}};

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct plan plan = plan_of(rows[i].policy, "ready-after=1s");
                struct life life = {0};

                life_advance(&plan, &life, START);
                life_reboot(&plan, &life, START + 5000);
                life_advance(&plan, &life, START + 5000);
                assert_int_equal(life.stage, rows[i].want);
                assert_int_equal(life.restarts, rows[i].restarts);
                assert_int_equal(life.exit_code, 137);
                assert_false(life_ready(&plan, &life, START + 5999));
        }
}

static void what_changes_is_announced(void **state)
{
        struct plan plan = plan_of(RESTART_ALWAYS, "start-after=1s ready-after=2s run-for=10s");
        struct life life = {0};

        assert_int_equal(life_advance(&plan, &life, START), START + 1000);
        assert_int_equal(life_advance(&plan, &life, START + 1000), START + 3000);
        assert_int_equal(life_advance(&plan, &life, START + 3000), START + 11000);
        assert_int_equal(life_advance(&plan, &life, START + 11000), START + 12000);
}

static void a_run_that_takes_no_time_does_not_hang(void **state)
{
        struct plan plan = plan_of(RESTART_ALWAYS, "run-for=0s restart-after=0s");
        struct life life = {0};
        int32_t before;

        life_advance(&plan, &life, START);
        before = life.restarts;
        assert_true(before > 0 && before < 10);
        life_advance(&plan, &life, START);
        assert_true(life.restarts > before);
}

static void bad_values_are_refused_with_what_would_be_right(void **state)
{
        static const struct {
                const char *name, *value, *message;
                int code;
        } rows[] = {
                {"run-for", "soon", "hollow.fairlead.dev/run-for: \"soon\" is no duration like 500ms, 2s or 1m30s",
                 -EINVAL},
                {"run-for", "-1s", "hollow.fairlead.dev/run-for: \"-1s\" is no duration like 500ms, 2s or 1m30s",
                 -EINVAL},
                {"ready-after", "grace",
                 "hollow.fairlead.dev/ready-after: \"grace\" is no duration like 500ms, 2s or 1m30s", -EINVAL},
                {"exit-code", "256", "hollow.fairlead.dev/exit-code: \"256\" is no number from 0 to 255", -EINVAL},
                {"exit-code", "", "hollow.fairlead.dev/exit-code: \"\" is no number from 0 to 255", -EINVAL},
                {"restarts", "-1", "hollow.fairlead.dev/restarts: \"-1\" is no number from 0 to 1000000", -EINVAL},
                {"fail", "yes", "hollow.fairlead.dev/fail: \"yes\" is neither \"true\" nor \"false\"", -EINVAL},
                {"read", "true",
                 "hollow.fairlead.dev/read: there is no such annotation (tools/hollow/README.md has them)", -ENOENT},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct plan plan = plan_of(RESTART_ALWAYS, ""), before = plan;
                struct err err = ERR_NULL;

                assert_int_equal(plan_set(&plan, rows[i].name, rows[i].value, &err), rows[i].code);
                assert_string_equal(err.msg, rows[i].message);
                assert_memory_equal(&plan, &before, sizeof(plan));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_life_follows_its_plan),
                cmocka_unit_test(init_containers_run_one_after_the_other),
                cmocka_unit_test(a_deleted_pod_ends_within_its_grace_period),
                cmocka_unit_test(a_pod_deleted_before_it_ran_ends_at_once),
                cmocka_unit_test(a_grace_period_that_is_shortened_counts),
                cmocka_unit_test(a_reboot_starts_containers_again),
                cmocka_unit_test(what_changes_is_announced),
                cmocka_unit_test(a_run_that_takes_no_time_does_not_hang),
                cmocka_unit_test(bad_values_are_refused_with_what_would_be_right),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
