/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules of probes, in a world of the test's own: its clock, timers, handlers and Events stand in for the true ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/kubelet/probes/probes.h"
#include "agent/kubelet/probes/schedule.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define START_NS 1000000000000000LL
#define ID_A     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B     "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct loop_timer {
        struct loop_timer *next;
        void (*fn)(void *userdata);
        void *userdata;
        uint64_t due_ms;
};

struct handler_run {
        struct handler_run *next;
        const char *kind; /* "exec" of which probe: the first word of its command */
        void (*done)(void *userdata, enum handler_outcome outcome, const char *message);
        void *userdata;
};

static struct {
        uint64_t now_ms;
        struct loop_timer *timers;
        struct handler_run *runs;
        unsigned int begun, changes;
        enum handler_outcome outcome[PROBE_KINDS];
        bool hang;
        char events[4096], ip[64];
} world;

uint64_t clock_mono_ms(void)
{
        return world.now_ms;
}

int64_t clock_wall_ns(void)
{
        return START_NS + (int64_t)(world.now_ms * NS_PER_MS);
}

int loop_timer_new(struct loop *l, void (*fn)(void *userdata), void *userdata, struct loop_timer **ret)
{
        struct loop_timer *t = mem_new(struct loop_timer);

        *t = (struct loop_timer){world.timers, fn, userdata, UINT64_MAX};
        world.timers = *ret = t;
        return 0;
}

void loop_timer_set(struct loop_timer *t, uint64_t ms)
{
        t->due_ms = world.now_ms + ms;
}

void loop_timer_cancel(struct loop_timer *t)
{
        t->due_ms = UINT64_MAX;
}

void loop_timer_free(struct loop_timer *t)
{
        for (struct loop_timer **at = &world.timers; t && *at; at = &(*at)->next)
                if (*at == t) {
                        *at = t->next;
                        break;
                }
        free(t);
}

static enum probe_kind kind_of(const char *word)
{
        return str_eq(word, "startup") ? PROBE_STARTUP : str_eq(word, "live") ? PROBE_LIVENESS : PROBE_READINESS;
}

struct handler_run *handler_start(struct handlers *h, const struct json_object *action,
                                  const struct handler_target *target, uint64_t timeout_ms,
                                  void (*done)(void *userdata, enum handler_outcome outcome, const char *message),
                                  void *userdata)
{
        struct handler_run *run = mem_new(struct handler_run);
        const char *word = json_object_get_string(json_idx(json_at(action, "exec.command"), 0));

        *run = (struct handler_run){world.runs, word ?: "ready", done, userdata};
        world.runs = run;
        world.begun++;
        str_copy(world.ip, sizeof(world.ip), target->pod_ip);
        return run;
}

void handler_cancel(struct handler_run *run)
{
        for (struct handler_run **at = &world.runs; *at; at = &(*at)->next)
                if (*at == run) {
                        *at = run->next;
                        free(run);
                        return;
                }
        fail_msg("a run that is not under way was cancelled");
}

void event_object_of(const struct json_object *o, struct event_object *ret)
{
        *ret = (struct event_object){.kind = "Pod", .name = json_at_str(o, "metadata.name")};
}

void events_record(struct events *ev, const struct event_object *about, bool warning, const char *reason,
                   const char *fmt, ...)
{
        size_t n = strlen(world.events);
        va_list ap;

        n += (size_t)snprintf(world.events + n, sizeof(world.events) - n, "%s %s ", reason, about->field_path);
        va_start(ap, fmt);
        n += (size_t)vsnprintf(world.events + n, sizeof(world.events) - n, fmt, ap);
        va_end(ap);
        snprintf(world.events + n, sizeof(world.events) - n, "\n");
}

static void finish_runs(void)
{
        while (world.runs && !world.hang) {
                struct handler_run *run = world.runs;
                enum handler_outcome outcome = world.outcome[kind_of(run->kind)];

                world.runs = run->next;
                run->done(run->userdata, outcome, outcome == HANDLER_SUCCESS ? "" : "it said no");
                free(run);
        }
}

static struct loop_timer *next_timer(uint64_t end_ms)
{
        struct loop_timer *best = NULL;

        for (struct loop_timer *t = world.timers; t; t = t->next)
                if (t->due_ms <= end_ms && (!best || t->due_ms < best->due_ms))
                        best = t;
        return best;
}

static void pass(uint64_t ms)
{
        uint64_t end = world.now_ms + ms;
        struct loop_timer *t;

        finish_runs();
        while ((t = next_timer(end))) {
                world.now_ms = MAX(t->due_ms, world.now_ms);
                t->due_ms = UINT64_MAX;
                t->fn(t->userdata);
                finish_runs();
        }
        world.now_ms = end;
}

struct story {
        struct probes *p;
        struct json_object *pod;
        struct container_status c;
        struct sandbox_status s;
        int64_t started_ms;
};

static void changed(void *userdata, const char *uid)
{
        assert_string_equal(uid, "uid-1");
        world.changes++;
}

static void follow(struct story *y, const char *id, enum container_state state, bool ending)
{
        struct runtime_list there = {.sandboxes = &y->s, .nsandboxes = 1, .containers = &y->c, .ncontainers = 1};

        y->s = (struct sandbox_status){.id = "s", .uid = "uid-1"};
        y->c = (struct container_status){.sandbox = "s", .name = "app", .state = state};
        y->c.started_ns = START_NS + y->started_ms * (int64_t)NS_PER_MS;
        str_copy(y->c.id, sizeof(y->c.id), id);
        probes_follow(y->p, y->pod, &there, "10.0.0.5", ending);
}

static void tell(struct story *y, const char *probes)
{
        static const char *const text =
                "{\"metadata\": {\"name\": \"pod\", \"uid\": \"uid-1\"}, \"spec\": {\"containers\": "
                "[{\"name\": \"app\", %s}]}, \"status\": {\"containerStatuses\": [{\"name\": \"app\", "
                "\"ready\": true, \"started\": true, \"containerID\": \"fairlead://" ID_B "\"}]}}";
        _cleanup_free_ char *pod = mem_printf(text, probes);
        struct probes_opts opts = {.events = (struct events *)&world, .changed = changed};

        memset(&world, 0, sizeof(world));
        world.now_ms = 1000000;
        *y = (struct story){.started_ms = 1000000};
        assert_int_equal(json_parse(pod, strlen(pod), &y->pod, NULL), 0);
        assert_int_equal(probes_new(&opts, &y->p), 0);
}

static void end(struct story *y)
{
        probes_free(y->p);
        assert_null(world.timers);
        assert_null(world.runs);
        json_object_put(y->pod);
}

static struct probe_verdicts verdicts(const struct story *y, const char *id)
{
        struct probe_verdicts v;

        probes_verdicts(y->p, "uid-1", "app", id, &v);
        return v;
}

static void thresholds_count_in_a_row(void **state)
{
        static const struct {
                enum probe_kind kind;
                int successes, failures;
                const char *results, *verdicts; /* + success, - failure, ? unknown */
        } cases[] = {
                {PROBE_READINESS, 1, 3, "+--+---+", "++++++-+"},
                {PROBE_READINESS, 2, 1, "+-++-+", "?--+--"},
                {PROBE_READINESS, 3, 3, "++-+++", "?????+"},
                {PROBE_LIVENESS, 1, 3, "--+--", "??+++"},
                {PROBE_LIVENESS, 1, 1, "+-", "+-"},
                {PROBE_STARTUP, 1, 2, "-+", "?+"},
        };

        for (size_t n = 0; n < ARRAY_SIZE(cases); n++) {
                struct probe_spec spec = {.successes = cases[n].successes, .failures = cases[n].failures};
                struct probe_state s = {.verdict = VERDICT_UNKNOWN};

                for (size_t i = 0; cases[n].results[i]; i++) {
                        enum verdict before = s.verdict;
                        bool news = probe_result(&s, cases[n].kind, &spec, cases[n].results[i] == '+');

                        assert_int_equal("?+-"[s.verdict], cases[n].verdicts[i]);
                        assert_int_equal(news, before != s.verdict);
                }
                assert_int_equal(s.on_hold, cases[n].kind != PROBE_READINESS && s.verdict == VERDICT_FAILURE);
        }
}

static void what_a_probe_does_not_say_is_the_apis_default(void **state)
{
        _cleanup_json_ struct json_object *probe = json_object_new_object();
        struct probe_spec s;

        probe_spec_read(probe, &s);
        assert_int_equal(s.delay_ms, 0);
        assert_int_equal(s.period_ms, 10000);
        assert_int_equal(s.timeout_ms, 1000);
        assert_int_equal(s.successes, 1);
        assert_int_equal(s.failures, 3);
        assert_int_equal(s.grace_s, -1);
}

static void times_count_from_the_start(void **state)
{
        const struct probe_spec s = {.delay_ms = 5000, .period_ms = 10000};

        assert_int_equal(probe_first_ms(&s, 100000, 100000, false, 0), 5000);
        assert_int_equal(probe_first_ms(&s, 100000, 103000, false, 0), 2000);
        assert_int_equal(probe_first_ms(&s, 100000, 200000, false, 0.5), 0);
        assert_int_equal(probe_first_ms(&s, 100000, 200000, true, 0.5), 5000);
        assert_int_equal(probe_first_ms(&s, 100000, 1000, false, 0), 5000);
        assert_int_equal(probe_next_ms(&s, 400), 9600);
        assert_int_equal(probe_next_ms(&s, 30000), 0);
}

#define READY                                                                                                          \
        "\"readinessProbe\": {\"exec\": {\"command\": [\"ready\"]}, \"initialDelaySeconds\": 2, \"periodSeconds\": 5}"
#define LIVE                                                                                                           \
        "\"livenessProbe\": {\"exec\": {\"command\": [\"live\"]}, \"periodSeconds\": 1, \"failureThreshold\": 2, "     \
        "\"terminationGracePeriodSeconds\": 7}"
#define STARTUP                                                                                                        \
        "\"startupProbe\": {\"exec\": {\"command\": [\"startup\"]}, \"periodSeconds\": 1, \"failureThreshold\": 4}"

static void a_container_becomes_ready_when_its_probe_says_so(void **state)
{
        struct story y;

        tell(&y, READY);
        follow(&y, ID_A, CONTAINER_RUNNING, false);
        assert_int_equal(verdicts(&y, ID_A).readiness, VERDICT_UNKNOWN);
        assert_int_equal(verdicts(&y, ID_A).liveness, VERDICT_SUCCESS);
        pass(1999);
        assert_int_equal(world.begun, 0);
        pass(1);
        assert_int_equal(verdicts(&y, ID_A).readiness, VERDICT_SUCCESS);
        assert_int_equal(world.changes, 1);
        world.outcome[PROBE_READINESS] = HANDLER_FAILURE;
        pass(10000);
        assert_int_equal(verdicts(&y, ID_A).readiness, VERDICT_SUCCESS);
        pass(5000);
        assert_int_equal(verdicts(&y, ID_A).readiness, VERDICT_FAILURE);
        assert_int_equal(world.begun, 4);
        assert_string_equal(world.events, "Unhealthy spec.containers{app} Readiness probe failed: it said no\n"
                                          "Unhealthy spec.containers{app} Readiness probe failed: it said no\n"
                                          "Unhealthy spec.containers{app} Readiness probe failed: it said no\n");
        follow(&y, ID_A, CONTAINER_EXITED, false);
        assert_int_equal(verdicts(&y, ID_A).readiness, VERDICT_UNKNOWN);
        pass(60000);
        assert_int_equal(world.begun, 4);
        end(&y);
}

static void startup_gates_the_others(void **state)
{
        struct story y;

        tell(&y, STARTUP "," LIVE "," READY);
        world.outcome[PROBE_STARTUP] = HANDLER_FAILURE;
        follow(&y, ID_A, CONTAINER_RUNNING, false);
        pass(2500);
        assert_int_equal(world.begun, 3);
        assert_int_equal(verdicts(&y, ID_A).startup, VERDICT_UNKNOWN);
        world.outcome[PROBE_STARTUP] = HANDLER_SUCCESS;
        pass(600);
        assert_int_equal(verdicts(&y, ID_A).startup, VERDICT_SUCCESS);
        assert_int_equal(verdicts(&y, ID_A).readiness, VERDICT_SUCCESS);
        world.begun = 0;
        pass(4000);
        assert_int_equal(world.begun, 4); /* liveness alone */
        end(&y);
}

static void a_startup_that_fails_is_a_failure(void **state)
{
        struct story y;

        tell(&y, STARTUP "," LIVE);
        world.outcome[PROBE_STARTUP] = HANDLER_FAILURE;
        follow(&y, ID_A, CONTAINER_RUNNING, false);
        pass(60000);
        assert_int_equal(world.begun, 4);
        assert_int_equal(verdicts(&y, ID_A).startup, VERDICT_FAILURE);
        assert_int_equal(verdicts(&y, ID_A).grace_s, -1);
        end(&y);
}

static void liveness_fails_once_and_begins_anew_with_the_next_instance(void **state)
{
        struct story y;

        tell(&y, LIVE);
        follow(&y, ID_A, CONTAINER_RUNNING, false);
        pass(3500);
        world.outcome[PROBE_LIVENESS] = HANDLER_FAILURE;
        pass(60000);
        assert_int_equal(world.begun, 6);
        assert_int_equal(verdicts(&y, ID_A).liveness, VERDICT_FAILURE);
        assert_int_equal(verdicts(&y, ID_A).grace_s, 7);
        assert_string_equal(verdicts(&y, ID_A).why, "it said no");
        y.started_ms = (int64_t)world.now_ms;
        follow(&y, "cccc", CONTAINER_RUNNING, false);
        assert_int_equal(verdicts(&y, "cccc").liveness, VERDICT_UNKNOWN);
        assert_int_equal(verdicts(&y, ID_A).liveness, VERDICT_UNKNOWN);
        world.outcome[PROBE_LIVENESS] = HANDLER_SUCCESS;
        pass(500);
        assert_int_equal(verdicts(&y, "cccc").liveness, VERDICT_SUCCESS);
        end(&y);
}

static void the_end_of_a_pod_leaves_readiness(void **state)
{
        struct story y;

        tell(&y, LIVE "," READY);
        follow(&y, ID_A, CONTAINER_RUNNING, false);
        pass(4100);
        follow(&y, ID_A, CONTAINER_RUNNING, true);
        world.begun = 0;
        world.outcome[PROBE_READINESS] = HANDLER_FAILURE;
        pass(20000);
        assert_int_equal(world.begun, 4);
        assert_int_equal(verdicts(&y, ID_A).readiness, VERDICT_FAILURE);
        end(&y);
}

static void a_probe_that_hangs_does_not_pile_up(void **state)
{
        struct story y;

        tell(&y, LIVE);
        world.hang = true;
        follow(&y, ID_A, CONTAINER_RUNNING, false);
        pass(60000);
        assert_int_equal(world.begun, 1);
        follow(&y, ID_A, CONTAINER_EXITED, false);
        assert_null(world.runs);
        end(&y);
}

static void what_could_not_be_tried_is_no_result(void **state)
{
        struct story y;

        tell(&y, LIVE);
        world.outcome[PROBE_LIVENESS] = HANDLER_ERROR;
        follow(&y, ID_A, CONTAINER_RUNNING, false);
        pass(10500);
        assert_int_equal(world.begun, 11);
        assert_int_equal(verdicts(&y, ID_A).liveness, VERDICT_UNKNOWN);
        assert_non_null(strstr(world.events, "Liveness probe errored and resulted in unknown state: it said no"));
        world.events[0] = '\0';
        world.outcome[PROBE_LIVENESS] = HANDLER_WARNING;
        pass(1000);
        assert_int_equal(verdicts(&y, ID_A).liveness, VERDICT_SUCCESS);
        assert_string_equal(world.events, "ProbeWarning spec.containers{app} Liveness probe warning: it said no\n");
        end(&y);
}

static void our_restart_makes_nobody_unready(void **state)
{
        struct story y;

        tell(&y, STARTUP "," READY);
        y.started_ms = (int64_t)world.now_ms - 60000;
        follow(&y, ID_B, CONTAINER_RUNNING, false);
        assert_int_equal(verdicts(&y, ID_B).startup, VERDICT_SUCCESS);
        assert_int_equal(verdicts(&y, ID_B).readiness, VERDICT_SUCCESS);
        world.outcome[PROBE_READINESS] = HANDLER_FAILURE;
        pass(5000); /* the first one comes within a period */
        assert_int_equal(world.begun, 1);
        assert_int_equal(verdicts(&y, ID_B).readiness, VERDICT_SUCCESS);
        pass(10000);
        assert_int_equal(verdicts(&y, ID_B).readiness, VERDICT_FAILURE);
        end(&y);
}

static void a_pod_without_an_address_waits(void **state)
{
        struct story y;
        struct runtime_list there;

        tell(&y, "\"readinessProbe\": {\"httpGet\": {\"port\": 80}}");
        follow(&y, ID_A, CONTAINER_EXITED, false);
        y.c.state = CONTAINER_RUNNING;
        there = (struct runtime_list){.sandboxes = &y.s, .nsandboxes = 1, .containers = &y.c, .ncontainers = 1};
        probes_follow(y.p, y.pod, &there, "", false);
        pass(2000);
        assert_int_equal(world.begun, 0);
        probes_follow(y.p, y.pod, &there, "10.0.0.9", false);
        pass(200);
        assert_int_equal(world.begun, 1);
        assert_string_equal(world.ip, "10.0.0.9");
        end(&y);
}

static void who_is_not_known_is_unknown(void **state)
{
        struct story y;

        tell(&y, READY);
        assert_int_equal(verdicts(&y, ID_A).readiness, VERDICT_UNKNOWN);
        follow(&y, ID_A, CONTAINER_RUNNING, false);
        pass(3000);
        probes_forget(y.p, "uid-1");
        probes_forget(y.p, "uid-1");
        assert_int_equal(verdicts(&y, ID_A).readiness, VERDICT_UNKNOWN);
        end(&y);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(thresholds_count_in_a_row),
                cmocka_unit_test(what_a_probe_does_not_say_is_the_apis_default),
                cmocka_unit_test(times_count_from_the_start),
                cmocka_unit_test(a_container_becomes_ready_when_its_probe_says_so),
                cmocka_unit_test(startup_gates_the_others),
                cmocka_unit_test(a_startup_that_fails_is_a_failure),
                cmocka_unit_test(liveness_fails_once_and_begins_anew_with_the_next_instance),
                cmocka_unit_test(the_end_of_a_pod_leaves_readiness),
                cmocka_unit_test(a_probe_that_hangs_does_not_pile_up),
                cmocka_unit_test(what_could_not_be_tried_is_no_result),
                cmocka_unit_test(our_restart_makes_nobody_unready),
                cmocka_unit_test(a_pod_without_an_address_waits),
                cmocka_unit_test(who_is_not_known_is_unknown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
