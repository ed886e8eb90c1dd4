/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/controllers.h"
#include "controllers/cronjob.h"
#include "unit/controllers/world_internal.h"

#define MINUTE_MS 60000ULL

static const struct controller *const only[] = {&controller_cronjob};
static const struct controller *const ttl[] = {&controller_ttlafterfinished};

static struct world *new_world(void)
{
        return world_new(&(struct world_opts){.seed = 1, .controllers = only, .ncontrollers = 1});
}

#define TEMPLATE                                                                                                       \
        "'jobTemplate':{'metadata':{'labels':{'from':'c'},'annotations':{'why':'test'}},'spec':{'template':{'spec':{"  \
        "'restartPolicy':'Never','containers':[{'name':'c','image':'i'}]}}}}"

static void make_cronjob(struct world *w, const char *spec)
{
        world_apply(w,
                    "{'apiVersion':'batch/v1','kind':'CronJob','metadata':{'namespace':'d','name':'c'},'spec':{%s,%s}}",
                    spec, TEMPLATE);
        world_settle(w);
}

static struct json_object *status(struct world *w)
{
        return json_get(world_get(w, &res_cronjobs, "d", "c"), "status");
}

/* Names of all Jobs with blanks between, without the CronJob's, less the minutes at which the world began. */
static void assert_jobs(struct world *w, const char *expected)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        size_t n;
        _cleanup_free_ struct json_object **jobs = world_list(w, &res_jobs, "d", &n);

        for (size_t i = 0; i < n; i++) {
                int64_t minutes;

                assert_int_equal(str_parse_i64(json_at_str(jobs[i], "metadata.name") + 2, &minutes), 0);
                strbuf_printf(&b, "%s%" PRIi64, i ? " " : "", minutes - 1767225600 / 60);
        }
        assert_string_equal(b.data ? b.data : "", expected);
}

static void finish(struct world *w, const char *name, const char *type)
{
        char now[CLOCK_TEXT_SIZE];
        bool good = str_eq(type, "Complete");
        _cleanup_free_ char *completion = NULL;

        clock_format(world_now_s(w), now);
        completion = good ? mem_printf("'completionTime':'%s',", now) : mem_strdup("");
        world_patch(
                w, &res_jobs, "d", name,
                "{'status':{'startTime':'%s',%s'conditions':[{'type':'%s','status':'True','lastTransitionTime':'%s'}"
                ",{'type':'%s','status':'True','lastTransitionTime':'%s'}]}}",
                now, completion, good ? "SuccessCriteriaMet" : "FailureTarget", now, type, now);
        world_settle(w);
}

static const char *job_at(int64_t minute)
{
        static char name[32];

        snprintf(name, sizeof(name), "c-%" PRIi64, 1767225600 / 60 + minute);
        return name;
}

static void each_time_becomes_a_job(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();
        struct json_object *job;

        make_cronjob(w, "'schedule':'*/5 * * * *','timeZone':'UTC'");
        assert_jobs(w, "");
        world_pass(w, 5 * MINUTE_MS);
        world_pass(w, 200);
        assert_jobs(w, "5");
        job = world_get(w, &res_jobs, "d", job_at(5));
        assert_string_equal(json_at_str(job, "metadata.labels.from"), "c");
        assert_string_equal(json_at_str(job, "metadata.annotations.why"), "test");
        assert_string_equal(
                json_get_str(json_at(job, "metadata.annotations"), "batch.kubernetes.io/cronjob-scheduled-timestamp"),
                "2026-01-01T00:05:00Z");
        assert_string_equal(json_get_str(json_idx(json_at(job, "metadata.ownerReferences"), 0), "kind"), "CronJob");
        assert_string_equal(json_get_str(status(w), "lastScheduleTime"), "2026-01-01T00:05:00Z");
        assert_int_equal(json_len(json_get(status(w), "active")), 1);
        assert_string_equal(json_get_str(json_idx(json_get(status(w), "active"), 0), "name"), job_at(5));
        assert_non_null(strstr(world_events(w), "Normal SuccessfulCreate CronJob d/c Created job c-"));
        world_pass(w, 10 * MINUTE_MS);
        assert_jobs(w, "5 10 15");
        assert_int_equal(json_len(json_get(status(w), "active")), 3);
        assert_null(strstr(world_events(w), "Warning"));
}

static void finished_jobs_leave_the_list_and_then_the_history(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_cronjob(w, "'schedule':'* * * * *','timeZone':'UTC','successfulJobsHistoryLimit':2");
        for (int64_t i = 1; i <= 6; i++) {
                world_pass(w, MINUTE_MS + (i == 1 ? 200 : 0));
                finish(w, job_at(i), i % 2 ? "Complete" : "Failed");
        }
        assert_jobs(w, "3 5 6"); /* the last two that were good, the last one that was not */
        assert_int_equal(json_len(json_get(status(w), "active")), 0);
        assert_string_equal(json_get_str(status(w), "lastSuccessfulTime"), "2026-01-01T00:05:00Z");
        assert_non_null(strstr(world_events(w), ", condition: Complete\n"));
        assert_non_null(strstr(world_events(w), "Normal SawCompletedJob CronJob d/c Saw completed job: c-"));
        assert_non_null(strstr(world_events(w), "Normal SuccessfulDelete CronJob d/c Deleted job c-"));
}

static void a_policy_says_what_happens_while_a_job_runs(void **state)
{
        static const struct {
                const char *policy, *jobs, *later, *event;
        } table[] = {
                {"Allow", "1 2 3", "1 2 3", "SuccessfulCreate"},
                {"Forbid", "1", "1 3",
                 "JobAlreadyActive CronJob d/c Not starting job because prior execution is running"},
                {"Replace", "3", "3", "SuccessfulDelete CronJob d/c Deleted job c-"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                _cleanup_(world_freep) struct world *w = new_world();
                _cleanup_free_ char *spec =
                        mem_printf("'schedule':'* * * * *','timeZone':'UTC','concurrencyPolicy':'%s'", table[i].policy);

                make_cronjob(w, spec);
                world_pass(w, 3 * MINUTE_MS + 30000);
                assert_jobs(w, table[i].jobs);
                assert_non_null(strstr(world_events(w), table[i].event));
                assert_null(strstr(world_events(w), "MissingJob"));
                if (i != 2)
                        finish(w, job_at(1), "Complete");
                assert_jobs(w, table[i].later); /* what waited starts, late */
        }
}

static void times_that_were_missed_become_one_job(void **state)
{
        static const struct {
                const char *spec, *jobs;
                int64_t minutes;
                bool many;
        } table[] = {
                {"'schedule':'*/10 * * * *'", "30", 35, false},
                {"'schedule':'* * * * *'", "200", 200, true},
                {"'schedule':'0 3 * * *','startingDeadlineSeconds':3600", "", 5 * 60, false},
                {"'schedule':'0 3 * * *','startingDeadlineSeconds':3600", "180", 3 * 60 + 59, false},
                {"'schedule':'0 9-17 * * *'", "1020", 26 * 60, false}, /* not as far apart as the first two */
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                _cleanup_(world_freep) struct world *w = new_world();
                _cleanup_free_ char *spec = mem_printf("%s,'timeZone':'UTC'", table[i].spec);

                make_cronjob(w, spec);
                world_jump(w, table[i].minutes * 60); /* as if the controller had been away */
                world_crash(w);
                world_settle(w);
                assert_jobs(w, table[i].jobs);
                assert_int_equal(strstr(world_events(w), "Warning TooManyMissedTimes") != NULL, table[i].many);
        }
}

static void a_suspended_cronjob_makes_nothing(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_cronjob(w, "'schedule':'* * * * *','timeZone':'UTC','suspend':true");
        world_pass(w, 10 * MINUTE_MS);
        assert_jobs(w, "");
        world_patch(w, &res_cronjobs, "d", "c", "{'spec':{'suspend':false}}");
        world_settle(w);
        assert_jobs(w, "10");
}

static void a_zone_has_its_own_midnight(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_cronjob(w, "'schedule':'0 2 * * *','timeZone':'Europe/Berlin'");
        world_pass(w, 61 * MINUTE_MS);
        assert_jobs(w, "60");
        assert_string_equal(json_get_str(json_at(world_get(w, &res_jobs, "d", job_at(60)), "metadata.annotations"),
                                         "batch.kubernetes.io/cronjob-scheduled-timestamp"),
                            "2026-01-01T02:00:00+01:00");
}

static void a_clock_that_is_set_back_repeats_nothing(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_cronjob(w, "'schedule':'* * * * *','timeZone':'UTC'");
        world_pass(w, 3 * MINUTE_MS + 200);
        assert_jobs(w, "1 2 3");
        world_jump(w, -170);
        world_pass(w, 2 * MINUTE_MS);
        assert_jobs(w, "1 2 3");
        world_pass(w, 2 * MINUTE_MS);
        assert_jobs(w, "1 2 3 4");
        world_jump(w, 3600); /* noticed within a minute */
        world_pass(w, MINUTE_MS);
        assert_jobs(w, "1 2 3 4 65");
}

static void jobs_of_others_are_told_of(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();
        const char *first;

        make_cronjob(w, "'schedule':'*/5 * * * *','timeZone':'UTC','concurrencyPolicy':'Forbid'");
        world_apply(
                w,
                "{'apiVersion':'batch/v1','kind':'Job','metadata':{'namespace':'d','name':'c-9','ownerReferences':[{"
                "'apiVersion':'batch/v1','kind':'CronJob','name':'c','uid':'%s','controller':true}]},'spec':{"
                "'template':{'spec':{'restartPolicy':'Never','containers':[{'name':'c','image':'i'}]}}}}",
                json_at_str(world_get(w, &res_cronjobs, "d", "c"), "metadata.uid"));
        world_pass(w, 5 * MINUTE_MS + 200);
        first = strstr(world_events(w),
                       "Warning UnexpectedJob CronJob d/c Saw a job that the controller did not create "
                       "or forgot: c-9");
        assert_non_null(first);
        assert_null(strstr(strchr(first, '\n'), "UnexpectedJob")); /* once */
        assert_int_equal(json_len(json_get(status(w), "active")), 1);
        world_delete(w, &res_jobs, "d", job_at(5), "Background");
        world_settle(w);
        assert_non_null(strstr(world_events(w), "Normal MissingJob CronJob d/c Active job went missing: c-"));
        assert_int_equal(json_len(json_get(status(w), "active")), 0);
        assert_null(world_get(w, &res_jobs, "d", job_at(5))); /* its time was seen to */
}

/* ---- one for each time, whatever happens ---- */

struct record {
        struct hashmap uids; /* name -> UID of every Job that there ever was */
        uint64_t seed;
        bool one_at_a_time; /* by Forbid or Replace */
};

static void never_twice(struct world *w, void *userdata)
{
        struct record *rec = userdata;
        size_t n, running = 0;
        _cleanup_free_ struct json_object **jobs = world_list(w, &res_jobs, "d", &n);

        for (size_t i = 0; i < n; i++) {
                const char *name = json_at_str(jobs[i], "metadata.name"), *uid = json_at_str(jobs[i], "metadata.uid");
                char *known = hashmap_get(&rec->uids, name);

                running += !json_at(jobs[i], "status.conditions") && !json_at(jobs[i], "metadata.deletionTimestamp");

                if (!known)
                        hashmap_put(&rec->uids, name, mem_strdup(uid));
                else if (!str_eq(known, uid))
                        fail_msg("seed %llu: a second %s", (unsigned long long)rec->seed, name);
        }
        if (rec->one_at_a_time && running > 1)
                fail_msg("seed %llu: two run at a time", (unsigned long long)rec->seed);
}

static void finish_some(struct world *w)
{
        size_t n, m = 0;
        _cleanup_free_ struct json_object **jobs = world_list(w, &res_jobs, "d", &n);
        _cleanup_free_ char **names = mem_array(char *, n + 1);

        for (size_t i = 0; i < n; i++)
                if (!json_at(jobs[i], "status.conditions") && world_random(w, 2))
                        names[m++] = mem_strdup(json_at_str(jobs[i], "metadata.name"));
        for (size_t i = 0; i < m; i++) {
                if (world_get(w, &res_jobs, "d", names[i]))
                        finish(w, names[i], world_random(w, 3) ? "Complete" : "Failed");
                free(names[i]);
        }
}

static void run_history(uint64_t seed)
{
        static const char *const policies[] = {"Allow", "Forbid", "Replace"};
        struct record rec = {.seed = seed, .one_at_a_time = seed % 3 != 0};
        _cleanup_free_ char *spec =
                mem_printf("'schedule':'* * * * *','timeZone':'UTC','concurrencyPolicy':'%s'", policies[seed % 3]);
        struct world *w;

        hashmap_init(&rec.uids, HASHMAP_STR_OWNED);
        w = world_new(&(struct world_opts){.seed = seed,
                                           .controllers = only,
                                           .ncontrollers = 1,
                                           .refuse = 8,
                                           .lose = 8,
                                           .crash = 8,
                                           .lateness = 50,
                                           .check = never_twice,
                                           .userdata = &rec});
        make_cronjob(w, spec);
        for (int i = 0; i < 40; i++) {
                world_pass(w, 15000);
                if (!world_random(w, 3))
                        finish_some(w);
                if (!world_random(w, 10))
                        world_crash(w);
        }
        world_settle(w);
        for (int64_t i = 1; i < 10; i++)
                if (seed % 3 != 1 && !hashmap_get(&rec.uids, job_at(i)))
                        fail_msg("seed %llu: no %s", (unsigned long long)seed, job_at(i));
        world_free(w);
        hashmap_foreach (&rec.uids, slot)
                free(slot->value);
        hashmap_deinit(&rec.uids);
}

static void one_job_for_each_time_whatever_crashes(void **state)
{
        for (uint64_t seed = 0; seed < 90; seed++)
                run_history(seed);
}

/* ---- which time is due ---- */

static void the_latest_time_is_found_in_any_schedule(void **state)
{
        static const char *const schedules[] = {"* * * * *", "0 9-17 * * 1-5", "5 4 1,2 * *", "0 0 29 2 *",
                                                "*/7 3 * * *"};

        for (size_t i = 0; i < ARRAY_SIZE(schedules); i++) {
                struct cron_schedule schedule;
                struct cron_clock c = {.schedule = &schedule, .zone = "UTC", .last_s = 1767225600, .deadline_s = -1};

                cron_parse(schedules[i], &schedule, NULL);
                for (int64_t hours = 1; hours < 40000; hours = hours * 3 / 2 + 1) {
                        struct cron_due due;

                        c.now_s = c.last_s + hours * 3600 + 17;
                        due = cron_due(&c);
                        if (due.time_s)
                                assert_true(due.time_s > c.last_s && due.time_s <= c.now_s);
                        assert_true(due.next_s > c.now_s);
                        c.deadline_s = due.time_s ? c.now_s - due.time_s : c.now_s - c.last_s;
                        assert_int_equal(cron_due(&c).next_s, due.next_s); /* and nothing between them */
                        c.deadline_s = -1;
                }
        }
}

/* ---- time to live ---- */

static void make_job(struct world *w, int ttl_s)
{
        world_apply(
                w,
                "{'apiVersion':'batch/v1','kind':'Job','metadata':{'namespace':'d','name':'j'},'spec':{"
                "'ttlSecondsAfterFinished':%d,'template':{'spec':{'restartPolicy':'Never','containers':[{'name':'c',"
                "'image':'i'}]}}}}",
                ttl_s);
        world_settle(w);
}

static bool is_going(struct world *w)
{
        struct json_object *job = world_get(w, &res_jobs, "d", "j");

        return !job || json_at_str(job, "metadata.deletionTimestamp");
}

static void a_finished_job_goes_after_its_time_to_live(void **state)
{
        static const int64_t jumps[] = {0, 86400, -86400};

        for (size_t i = 0; i < ARRAY_SIZE(jumps); i++) {
                _cleanup_(world_freep) struct world *w =
                        world_new(&(struct world_opts){.seed = 1, .controllers = ttl, .ncontrollers = 1});

                make_job(w, 100);
                world_pass(w, 200000);
                assert_false(is_going(w));
                finish(w, "j", i ? "Complete" : "Failed");
                world_pass(w, 50000);
                world_jump(w, jumps[i]);
                world_pass(w, 48000);
                assert_false(is_going(w));
                world_pass(w, 3000);
                assert_true(is_going(w));
                assert_string_equal(json_object_get_string(json_idx(
                                            json_at(world_get(w, &res_jobs, "d", "j"), "metadata.finalizers"), 0)),
                                    "foregroundDeletion");
        }
}

static void the_time_to_live_may_be_changed(void **state)
{
        _cleanup_(world_freep) struct world *w =
                world_new(&(struct world_opts){.seed = 1, .controllers = ttl, .ncontrollers = 1});

        make_job(w, 1000);
        finish(w, "j", "Complete");
        world_pass(w, 20000);
        world_patch(w, &res_jobs, "d", "j", "{'spec':{'ttlSecondsAfterFinished':30}}");
        world_pass(w, 8000);
        assert_false(is_going(w));
        world_pass(w, 4000);
        assert_true(is_going(w));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_time_becomes_a_job),
                cmocka_unit_test(finished_jobs_leave_the_list_and_then_the_history),
                cmocka_unit_test(a_policy_says_what_happens_while_a_job_runs),
                cmocka_unit_test(times_that_were_missed_become_one_job),
                cmocka_unit_test(a_suspended_cronjob_makes_nothing),
                cmocka_unit_test(a_zone_has_its_own_midnight),
                cmocka_unit_test(a_clock_that_is_set_back_repeats_nothing),
                cmocka_unit_test(jobs_of_others_are_told_of),
                cmocka_unit_test(one_job_for_each_time_whatever_crashes),
                cmocka_unit_test(the_latest_time_is_found_in_any_schedule),
                cmocka_unit_test(a_finished_job_goes_after_its_time_to_live),
                cmocka_unit_test(the_time_to_live_may_be_changed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
