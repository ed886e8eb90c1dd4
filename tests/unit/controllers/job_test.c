/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/controllers.h"
#include "unit/controllers/world_internal.h"

static const struct controller *const only[] = {&controller_job};

#define TEMPLATE       "'template':{'spec':{'restartPolicy':'Never','containers':[{'name':'c','image':'i'}]}}"
#define OTHER_TEMPLATE "'template':{'spec':{'restartPolicy':'OnFailure','containers':[{'name':'c','image':'i'}]}}"

static struct world *new_world(void)
{
        return world_new(&(struct world_opts){.seed = 1, .controllers = only, .ncontrollers = 1});
}

static void make_job(struct world *w, const char *spec)
{
        world_apply(w, "{'apiVersion':'batch/v1','kind':'Job','metadata':{'namespace':'d','name':'j'},'spec':{%s%s%s}}",
                    spec, *spec ? "," : "", strstr(spec, "'template'") ? "'suspend':false" : TEMPLATE);
        world_settle(w);
}

static const char *text_of(struct world *w, struct json_object *o)
{
        return o ? json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN) : "";
}

static struct json_object *status(struct world *w)
{
        return json_get(world_get(w, &res_jobs, "d", "j"), "status");
}

static int64_t number(struct world *w, const char *name)
{
        return json_get_i64(status(w), name, 0);
}

/* "Type=Status/Reason" of all conditions, with blanks between. */
static void assert_conditions(struct world *w, const char *expected)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        json_array_foreach (json_get(status(w), "conditions"), i, c)
                strbuf_printf(&b, "%s%s=%s/%s", i ? " " : "", json_get_str(c, "type"), json_get_str(c, "status"),
                              json_get_str(c, "reason"));
        assert_string_equal(b.data ? b.data : "", expected);
}

/* Every pod that runs ends so; those without a node get one first. */
static const char *to_phase(void *phase, struct json_object *pod)
{
        const char *now = json_at_str(pod, "status.phase");

        return str_eq(now, "Succeeded") || str_eq(now, "Failed") ? NULL : phase;
}

static void all_become(struct world *w, const char *phase)
{
        for (int i = 0; i < 2; i++)
                world_kubelet(w, 3, to_phase, (void *)(uintptr_t)phase);
        world_settle(w);
}

static bool is_tracked(const struct json_object *pod)
{
        json_array_foreach (json_at(pod, "metadata.finalizers"), i, f)
                if (str_eq(json_object_get_string(f), "batch.kubernetes.io/job-tracking"))
                        return true;
        return false;
}

static bool is_active(const struct json_object *pod)
{
        const char *phase = json_at_str(pod, "status.phase");

        return !str_eq(phase, "Succeeded") && !str_eq(phase, "Failed") &&
               !json_at_str(pod, "metadata.deletionTimestamp");
}

static size_t count_pods(struct world *w, bool (*is)(const struct json_object *pod))
{
        size_t n, count = 0;
        _cleanup_free_ struct json_object **pods = world_list(w, &res_pods, "d", &n);

        for (size_t i = 0; i < n; i++)
                count += is(pods[i]);
        return count;
}

static const char *name_of_active(struct world *w)
{
        size_t n;
        _cleanup_free_ struct json_object **pods = world_list(w, &res_pods, "d", &n);

        for (size_t i = 0; i < n; i++)
                if (is_active(pods[i]))
                        return json_at_str(pods[i], "metadata.name");
        return NULL;
}

static void a_pod_that_succeeds_completes_its_job(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "");
        assert_int_equal(world_count(w, &res_pods, "d"), 1);
        assert_int_equal(count_pods(w, is_tracked), 1);
        assert_int_equal(number(w, "active"), 1);
        assert_non_null(json_get_str(status(w), "startTime"));
        all_become(w, "Running");
        assert_int_equal(number(w, "ready"), 1);
        all_become(w, "Succeeded");
        assert_conditions(w, "SuccessCriteriaMet=True/CompletionsReached Complete=True/CompletionsReached");
        assert_int_equal(number(w, "succeeded"), 1);
        assert_int_equal(number(w, "active"), 0);
        assert_non_null(json_get_str(status(w), "completionTime"));
        assert_string_equal(text_of(w, json_get(status(w), "uncountedTerminatedPods")), "{}");
        assert_int_equal(count_pods(w, is_tracked), 0);
        assert_non_null(strstr(world_events(w), "Normal SuccessfulCreate Job d/j Created pod: j-"));
        assert_non_null(strstr(world_events(w), "Normal Completed Job d/j Job completed"));
        assert_null(strstr(world_events(w), "Warning"));
}

static void completions_are_worked_off_in_parallel(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'parallelism':2,'completions':5");
        assert_int_equal(count_pods(w, is_active), 2);
        all_become(w, "Succeeded");
        assert_int_equal(number(w, "succeeded"), 2);
        assert_int_equal(count_pods(w, is_active), 2);
        all_become(w, "Succeeded");
        assert_int_equal(count_pods(w, is_active), 1);
        all_become(w, "Succeeded");
        assert_int_equal(number(w, "succeeded"), 5);
        assert_int_equal(world_count(w, &res_pods, "d"), 5);
        assert_conditions(w, "SuccessCriteriaMet=True/CompletionsReached Complete=True/CompletionsReached");
}

static void no_pods_are_wanted_and_the_job_is_complete(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'completions':0");
        assert_int_equal(world_count(w, &res_pods, "d"), 0);
        assert_conditions(w, "SuccessCriteriaMet=True/CompletionsReached Complete=True/CompletionsReached");
}

/* A queue of work: after the first success nothing new is begun, and what runs may end. */
static void without_completions_one_success_ends_the_rest(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'parallelism':3");
        all_become(w, "Running");
        assert_int_equal(number(w, "ready"), 3);
        world_pod_status(w, "d", name_of_active(w), "Succeeded", false);
        world_settle(w);
        assert_int_equal(count_pods(w, is_active), 2);
        assert_conditions(w, "");
        all_become(w, "Succeeded");
        assert_int_equal(number(w, "succeeded"), 3);
        assert_conditions(w, "SuccessCriteriaMet=True/CompletionsReached Complete=True/CompletionsReached");
}

static void parallelism_follows_the_spec(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'parallelism':4,'completions':9");
        all_become(w, "Running");
        world_patch(w, &res_jobs, "d", "j", "{'spec':{'parallelism':1}}");
        world_settle(w);
        assert_int_equal(count_pods(w, is_active), 1);
        assert_non_null(strstr(world_events(w), "Normal SuccessfulDelete Job d/j Deleted pod: j-"));
        world_kubelet(w, 3, NULL, NULL);
        world_settle(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 1);
        assert_int_equal(number(w, "failed"), 0); /* those were asked to go */
        assert_int_equal(number(w, "active"), 1);
        assert_int_equal(number(w, "terminating"), 0);
}

/* ---- failures ---- */

static void a_replacement_waits_ever_longer(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'backoffLimit':3");
        for (int i = 0, wait_s = 10; i < 3; i++, wait_s *= 2) {
                all_become(w, "Failed");
                assert_int_equal(number(w, "failed"), i + 1);
                world_pass(w, (uint64_t)wait_s * 1000 - 1500);
                assert_int_equal(count_pods(w, is_active), 0);
                world_pass(w, 2000);
                assert_int_equal(count_pods(w, is_active), 1);
        }
        all_become(w, "Failed");
        assert_int_equal(number(w, "failed"), 4);
        assert_conditions(w, "FailureTarget=True/BackoffLimitExceeded Failed=True/BackoffLimitExceeded");
        assert_non_null(strstr(world_events(w),
                               "Warning BackoffLimitExceeded Job d/j Job has reached the specified backoff limit"));
        world_pass(w, 1000000);
        assert_int_equal(world_count(w, &res_pods, "d"), 4);
}

static void the_wait_survives_restarts_and_jumps_of_the_clock(void **state)
{
        static const int64_t jumps[] = {0, -86400, 86400};

        for (size_t i = 0; i < ARRAY_SIZE(jumps); i++) {
                _cleanup_(world_freep) struct world *w = new_world();

                make_job(w, "");
                all_become(w, "Failed");
                if (!jumps[i])
                        world_crash(w);
                world_jump(w, jumps[i]);
                world_pass(w, 8000);
                assert_int_equal(count_pods(w, is_active), 0);
                world_pass(w, 4000);
                assert_int_equal(count_pods(w, is_active), 1);
        }
}

static void failed_pods_that_somebody_deletes_still_count(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'backoffLimit':1");
        all_become(w, "Running");
        world_delete(w, &res_pods, "d", name_of_active(w), NULL);
        world_settle(w);
        assert_int_equal(number(w, "failed"), 1);
        world_kubelet(w, 3, NULL, NULL);
        world_pass(w, 5000);
        assert_int_equal(world_count(w, &res_pods, "d"), 0); /* gone, and it waits all the same */
        world_pass(w, 6000);
        assert_int_equal(count_pods(w, is_active), 1);
        all_become(w, "Failed");
        assert_conditions(w, "FailureTarget=True/BackoffLimitExceeded Failed=True/BackoffLimitExceeded");
        assert_int_equal(number(w, "failed"), 2);
}

static void what_runs_fails_with_its_job(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'parallelism':3,'completions':3,'backoffLimit':0");
        all_become(w, "Running");
        world_pod_status(w, "d", name_of_active(w), "Failed", false);
        world_settle(w);
        assert_conditions(w, "FailureTarget=True/BackoffLimitExceeded"); /* two are still ending */
        assert_int_equal(number(w, "terminating"), 2);
        world_kubelet(w, 3, to_phase, "Running");
        world_settle(w);
        assert_conditions(w, "FailureTarget=True/BackoffLimitExceeded Failed=True/BackoffLimitExceeded");
        assert_int_equal(number(w, "failed"), 3);
        assert_int_equal(number(w, "terminating"), 0);
        assert_int_equal(world_count(w, &res_pods, "d"), 1);
}

static void restarts_of_containers_count_where_pods_restart_them(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'backoffLimit':2," OTHER_TEMPLATE);
        all_become(w, "Running");
        for (int n = 1; n <= 2; n++) {
                assert_conditions(w, "");
                world_patch(w, &res_pods, "d", name_of_active(w),
                            "{'status':{'containerStatuses':[{'name':'c','image':'i','imageID':'','ready':true,"
                            "'restartCount':%d,'state':{'running':{}}}]}}",
                            n);
                world_settle(w);
        }
        assert_string_equal(json_get_str(json_idx(json_get(status(w), "conditions"), 0), "reason"),
                            "BackoffLimitExceeded");
}

static void a_job_fails_at_its_deadline(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'activeDeadlineSeconds':60");
        all_become(w, "Running");
        world_jump(w, 86400); /* somebody sets the clock: the pod has run no longer for that */
        world_pass(w, 30000);
        assert_conditions(w, "");
        world_jump(w, -2 * 86400);
        world_pass(w, 28000);
        assert_conditions(w, "");
        world_pass(w, 4000);
        assert_conditions(w, "FailureTarget=True/DeadlineExceeded");
        world_kubelet(w, 3, NULL, NULL);
        world_settle(w);
        assert_conditions(w, "FailureTarget=True/DeadlineExceeded Failed=True/DeadlineExceeded");
        assert_non_null(strstr(world_events(w),
                               "Warning DeadlineExceeded Job d/j Job was active longer than specified deadline"));
}

static void metrics_tell_of_each_once(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        make_job(w, "'parallelism':3,'completions':3,'backoffLimit':1");
        all_become(w, "Running");
        world_pod_status(w, "d", name_of_active(w), "Failed", false);
        world_settle(w);
        world_pass(w, 11000);
        all_become(w, "Succeeded");
        assert_conditions(w, "SuccessCriteriaMet=True/CompletionsReached Complete=True/CompletionsReached");
        world_patch(w, &res_jobs, "d", "j", "{'metadata':{'labels':{'looked':'again'}}}");
        world_settle(w);
        engine_metrics(w->engine, &b);
        assert_non_null(strstr(b.data, "\njob_controller_jobs_finished_total{completion_mode=\"NonIndexed\",reason="
                                       "\"CompletionsReached\",result=\"succeeded\"} 1\n"));
        assert_non_null(strstr(b.data, "\njob_controller_job_pods_finished_total{completion_mode=\"NonIndexed\","
                                       "result=\"succeeded\"} 3\n"));
        assert_non_null(strstr(b.data, "\njob_controller_job_pods_finished_total{completion_mode=\"NonIndexed\","
                                       "result=\"failed\"} 1\n"));
}

/* ---- suspension ---- */

static void a_suspended_job_has_no_pods(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'suspend':true,'parallelism':2,'completions':2");
        assert_int_equal(world_count(w, &res_pods, "d"), 0);
        assert_conditions(w, "Suspended=True/JobSuspended");
        assert_null(json_get(status(w), "startTime"));
        world_patch(w, &res_jobs, "d", "j", "{'spec':{'suspend':false}}");
        world_settle(w);
        assert_conditions(w, "Suspended=False/JobResumed");
        assert_int_equal(count_pods(w, is_active), 2);
        assert_non_null(json_get(status(w), "startTime"));
        all_become(w, "Running");
        world_patch(w, &res_jobs, "d", "j", "{'spec':{'suspend':true}}");
        world_settle(w);
        world_kubelet(w, 3, NULL, NULL);
        world_settle(w);
        assert_conditions(w, "Suspended=True/JobSuspended");
        assert_int_equal(world_count(w, &res_pods, "d"), 0);
        assert_int_equal(number(w, "failed"), 0);
        assert_int_equal(number(w, "active"), 0);
        assert_non_null(strstr(world_events(w), "Normal Suspended Job d/j Job suspended"));
        assert_non_null(strstr(world_events(w), "Normal Resumed Job d/j Job resumed"));
}

static void the_deadline_starts_over_when_a_job_is_resumed(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'activeDeadlineSeconds':60");
        world_pass(w, 50000);
        world_patch(w, &res_jobs, "d", "j", "{'spec':{'suspend':true}}");
        world_pass(w, 50000);
        world_patch(w, &res_jobs, "d", "j", "{'spec':{'suspend':false}}");
        world_pass(w, 55000);
        assert_conditions(w, "Suspended=False/JobResumed");
        world_pass(w, 10000);
        assert_conditions(w, "Suspended=False/JobResumed FailureTarget=True/DeadlineExceeded "
                             "Failed=True/DeadlineExceeded");
}

/* ---- indexes ---- */

static struct json_object *pod_of_index(struct world *w, int index)
{
        size_t n;
        _cleanup_free_ struct json_object **pods = world_list(w, &res_pods, "d", &n);
        struct json_object *found = NULL;
        char text[24];

        snprintf(text, sizeof(text), "%d", index);
        for (size_t i = 0; i < n; i++)
                if (is_active(pods[i]) && str_eq(json_get_str(json_at(pods[i], "metadata.annotations"),
                                                              "batch.kubernetes.io/job-completion-index"),
                                                 text))
                        found = pods[i];
        return found;
}

static void index_becomes(struct world *w, int index, const char *phase)
{
        struct json_object *pod = pod_of_index(w, index);

        assert_non_null(pod);
        world_pod_status(w, "d", json_at_str(pod, "metadata.name"), phase, false);
        world_settle(w);
}

static void pods_know_their_index(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();
        struct json_object *pod, *env;

        make_job(w, "'completionMode':'Indexed','parallelism':2,'completions':7");
        pod = pod_of_index(w, 1);
        assert_non_null(pod);
        assert_null(pod_of_index(w, 2));
        assert_true(str_has_prefix(json_at_str(pod, "metadata.name"), "j-1-"));
        assert_string_equal(json_at_str(pod, "spec.hostname"), "j-1");
        assert_string_equal(json_get_str(json_at(pod, "metadata.labels"), "batch.kubernetes.io/job-completion-index"),
                            "1");
        env = json_idx(json_get(json_idx(json_at(pod, "spec.containers"), 0), "env"), 0);
        assert_string_equal(json_get_str(env, "name"), "JOB_COMPLETION_INDEX");
        assert_string_equal(json_at_str(env, "valueFrom.fieldRef.fieldPath"),
                            "metadata.labels['batch.kubernetes.io/job-completion-index']");
}

static void completed_indexes_are_written_in_short(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'completionMode':'Indexed','parallelism':7,'completions':7");
        index_becomes(w, 2, "Succeeded");
        assert_string_equal(json_get_str(status(w), "completedIndexes"), "2");
        index_becomes(w, 3, "Succeeded");
        assert_string_equal(json_get_str(status(w), "completedIndexes"), "2,3");
        index_becomes(w, 4, "Succeeded");
        index_becomes(w, 0, "Succeeded");
        assert_string_equal(json_get_str(status(w), "completedIndexes"), "0,2-4");
        index_becomes(w, 6, "Failed");
        world_pass(w, 11000);
        assert_non_null(pod_of_index(w, 6));
        all_become(w, "Succeeded");
        assert_string_equal(json_get_str(status(w), "completedIndexes"), "0-6");
        assert_int_equal(number(w, "succeeded"), 7);
        assert_int_equal(number(w, "failed"), 1);
        assert_conditions(w, "SuccessCriteriaMet=True/CompletionsReached Complete=True/CompletionsReached");
}

static void an_elastic_job_forgets_indexes_that_it_has_no_more(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'completionMode':'Indexed','parallelism':4,'completions':4");
        index_becomes(w, 3, "Succeeded");
        index_becomes(w, 0, "Succeeded");
        assert_int_equal(number(w, "succeeded"), 2);
        world_patch(w, &res_jobs, "d", "j", "{'spec':{'parallelism':2,'completions':2}}");
        world_settle(w);
        world_kubelet(w, 3, to_phase, "Running");
        world_settle(w);
        assert_null(pod_of_index(w, 2));
        assert_non_null(pod_of_index(w, 1));
        assert_string_equal(json_get_str(status(w), "completedIndexes"), "0");
        assert_int_equal(number(w, "succeeded"), 1);
        assert_int_equal(number(w, "failed"), 0);
        index_becomes(w, 1, "Succeeded");
        assert_conditions(w, "SuccessCriteriaMet=True/CompletionsReached Complete=True/CompletionsReached");
}

static void each_index_fails_for_itself(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'completionMode':'Indexed','parallelism':3,'completions':3,'backoffLimitPerIndex':1");
        assert_string_equal(json_get_str(status(w), "failedIndexes"), "");
        index_becomes(w, 1, "Failed");
        world_pass(w, 5000);
        assert_null(pod_of_index(w, 1));
        world_pass(w, 6000);
        assert_string_equal(json_get_str(json_at(pod_of_index(w, 1), "metadata.annotations"),
                                         "batch.kubernetes.io/job-index-failure-count"),
                            "1");
        assert_int_equal(number(w, "failed"), 1);
        index_becomes(w, 1, "Failed");
        assert_string_equal(json_get_str(status(w), "failedIndexes"), "1");
        assert_conditions(w, ""); /* the others go on */
        all_become(w, "Succeeded");
        assert_conditions(w, "FailureTarget=True/FailedIndexes Failed=True/FailedIndexes");
        assert_string_equal(json_get_str(status(w), "completedIndexes"), "0,2");
        assert_int_equal(number(w, "failed"), 2);
        assert_int_equal(count_pods(w, is_tracked), 0);
}

static void failures_of_an_index_outlive_a_suspension(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'completionMode':'Indexed','completions':1,'parallelism':1,'backoffLimitPerIndex':1");
        index_becomes(w, 0, "Failed");
        world_pass(w, 11000);
        all_become(w, "Running");
        world_patch(w, &res_jobs, "d", "j", "{'spec':{'suspend':true}}");
        world_settle(w);
        assert_string_equal(json_get_str(status(w), "failedIndexes"), ""); /* it was asked to go */
        world_kubelet(w, 3, to_phase, "Running");
        world_settle(w);
        world_patch(w, &res_jobs, "d", "j", "{'spec':{'suspend':false}}");
        world_settle(w);
        index_becomes(w, 0, "Failed");
        assert_string_equal(json_get_str(status(w), "failedIndexes"), "0");
        assert_string_equal(json_get_str(json_idx(json_get(status(w), "conditions"), 2), "reason"), "FailedIndexes");
}

static void too_many_failed_indexes_end_the_job(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'completionMode':'Indexed','parallelism':3,'completions':3,'backoffLimitPerIndex':0,"
                    "'maxFailedIndexes':1");
        index_becomes(w, 0, "Failed");
        assert_conditions(w, "");
        index_becomes(w, 2, "Failed");
        assert_string_equal(json_get_str(status(w), "failedIndexes"), "0,2");
        world_kubelet(w, 3, NULL, NULL);
        world_settle(w);
        assert_conditions(w, "FailureTarget=True/MaxFailedIndexesExceeded Failed=True/MaxFailedIndexesExceeded");
}

static void a_success_policy_ends_the_job(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'completionMode':'Indexed','parallelism':4,'completions':4,'successPolicy':{'rules':["
                    "{'succeededIndexes':'0'},{'succeededIndexes':'1-3','succeededCount':2}]}");
        index_becomes(w, 1, "Succeeded");
        assert_conditions(w, "");
        all_become(w, "Running");
        index_becomes(w, 3, "Succeeded");
        assert_conditions(w, "SuccessCriteriaMet=True/SuccessPolicy");
        assert_string_equal(json_get_str(json_idx(json_get(status(w), "conditions"), 0), "message"),
                            "Matched rules at index 1");
        world_kubelet(w, 3, NULL, NULL);
        world_settle(w);
        assert_conditions(w, "SuccessCriteriaMet=True/SuccessPolicy Complete=True/SuccessPolicy");
        assert_int_equal(number(w, "succeeded"), 2);
        assert_int_equal(number(w, "failed"), 0);
        assert_int_equal(count_pods(w, is_active), 0);
}

/* ---- policies ---- */

#define POLICY                                                                                                         \
        "'podFailurePolicy':{'rules':["                                                                                \
        "{'action':'Ignore','onPodConditions':[{'type':'DisruptionTarget','status':'True'}]},"                         \
        "{'action':'FailJob','onExitCodes':{'containerName':'c','operator':'In','values':[3,42]}},"                    \
        "{'action':'Count','onExitCodes':{'operator':'NotIn','values':[3]}}]}"

static void fail_with(struct world *w, int code, const char *condition)
{
        world_patch(w, &res_pods, "d", name_of_active(w),
                    "{'status':{'phase':'Failed','conditions':[{'type':'%s','status':'True'}],'containerStatuses':[{"
                    "'name':'c','image':'i','imageID':'','ready':false,'restartCount':0,'state':{'terminated':{"
                    "'exitCode':%d,'finishedAt':'2026-01-01T00:00:00Z'}}}]}}",
                    condition, code);
        world_settle(w);
}

static void a_failure_policy_tells_failures_apart(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'backoffLimit':1," POLICY);
        fail_with(w, 137, "DisruptionTarget");
        assert_int_equal(number(w, "failed"), 0);
        world_pass(w, 25000);
        fail_with(w, 1, "Some");
        assert_int_equal(number(w, "failed"), 1);
        assert_conditions(w, "");
        world_pass(w, 50000);
        fail_with(w, 42, "Some");
        assert_conditions(w, "FailureTarget=True/PodFailurePolicy Failed=True/PodFailurePolicy");
        assert_non_null(strstr(world_events(w), " failed with exit code 42 matching FailJob rule at index 1"));
        assert_int_equal(number(w, "failed"), 2);
}

static void a_failure_policy_can_end_an_index(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'completionMode':'Indexed','parallelism':1,'completions':2,'backoffLimitPerIndex':5,"
                    "'podFailurePolicy':{'rules':[{'action':'FailIndex','onExitCodes':{'operator':'In','values':[7]}}"
                    "]}");
        fail_with(w, 7, "Some");
        assert_string_equal(json_get_str(status(w), "failedIndexes"), "0");
        assert_non_null(pod_of_index(w, 1));
        all_become(w, "Succeeded");
        assert_conditions(w, "FailureTarget=True/FailedIndexes Failed=True/FailedIndexes");
}

static void a_pod_is_replaced_when_the_policy_says_so(void **state)
{
        static const struct {
                const char *policy;
                size_t while_it_ends;
        } table[] = {{"TerminatingOrFailed", 1}, {"Failed", 0}};

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                _cleanup_(world_freep) struct world *w = new_world();
                _cleanup_free_ char *spec = mem_printf("'podReplacementPolicy':'%s'", table[i].policy);
                _cleanup_free_ char *name = NULL;

                make_job(w, spec);
                all_become(w, "Running");
                name = mem_strdup(name_of_active(w));
                world_delete(w, &res_pods, "d", name, NULL);
                world_pass(w, 15000);
                assert_int_equal(count_pods(w, is_active), table[i].while_it_ends);
                assert_int_equal(number(w, "terminating"), 1);
                world_pod_status(w, "d", name, "Failed", false);
                world_pass(w, 15000);
                assert_int_equal(count_pods(w, is_active), 1);
                assert_int_equal(number(w, "failed"), 1);
                assert_int_equal(number(w, "terminating"), 0);
        }
}

/* ---- other people's things ---- */

static void a_job_of_another_controller_is_left_alone(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'managedBy':'acme.io/queue'");
        world_pass(w, 100000);
        assert_int_equal(world_count(w, &res_pods, "d"), 0);
        assert_int_equal(world_writes(w), 0);
}

static void pods_are_adopted_with_the_finalizer_and_released_without(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        world_apply(w, "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'d','name':'p','labels':{'a':'b'}},"
                       "'spec':{'containers':[{'name':'c','image':'i'}]}}");
        make_job(w, "'manualSelector':true,'selector':{'matchLabels':{'a':'b'}},"
                    "'template':{'metadata':{'labels':{'a':'b'}},'spec':{'restartPolicy':'Never','containers':[{"
                    "'name':'c','image':'i'}]}}");
        assert_int_equal(world_count(w, &res_pods, "d"), 1);
        assert_true(is_tracked(world_get(w, &res_pods, "d", "p")));
        world_patch(w, &res_pods, "d", "p", "{'metadata':{'labels':{'a':'other'}}}");
        world_settle(w);
        assert_false(is_tracked(world_get(w, &res_pods, "d", "p")));
        assert_null(json_at(world_get(w, &res_pods, "d", "p"), "metadata.ownerReferences.0"));
        assert_int_equal(world_count(w, &res_pods, "d"), 2);
}

static void add_odd_pod(struct world *w, const char *name, const char *index)
{
        const char *uid = json_at_str(world_get(w, &res_jobs, "d", "j"), "metadata.uid");

        world_apply(
                w,
                "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'d','name':'%s','finalizers':['batch."
                "kubernetes.io/job-tracking'],'labels':{'batch.kubernetes.io/controller-uid':'%s'},'annotations':{"
                "'batch.kubernetes.io/job-completion-index':'%s'},'ownerReferences':[{'apiVersion':'batch/v1','kind':"
                "'Job','name':'j','uid':'%s','controller':true}]},'spec':{'containers':[{'name':'c','image':'i'}]}}",
                name, uid, index, uid);
}

static void odd_pods_and_huge_numbers_do_no_harm(void **state)
{
        static const char *const indexes[] = {"-7", "x", "", "2", "99999999999999999999"};
        _cleanup_(world_freep) struct world *w = new_world();

        make_job(w, "'completionMode':'Indexed','parallelism':2,'completions':2");
        for (size_t i = 0; i < ARRAY_SIZE(indexes); i++) {
                char name[16];

                snprintf(name, sizeof(name), "odd-%zu", i);
                add_odd_pod(w, name, indexes[i]);
        }
        world_settle(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 2); /* none of those */
        all_become(w, "Succeeded");
        assert_int_equal(number(w, "succeeded"), 2);
        assert_int_equal(number(w, "failed"), 0);
        assert_conditions(w, "SuccessCriteriaMet=True/CompletionsReached Complete=True/CompletionsReached");
        world_delete(w, &res_jobs, "d", "j", "Background");
        make_job(w, "'parallelism':2147483647,'completions':3,'backoffLimit':2147483647,"
                    "'activeDeadlineSeconds':9223372036854775807");
        assert_int_equal(count_pods(w, is_active), 3);
        all_become(w, "Succeeded");
        assert_int_equal(number(w, "succeeded"), 3);
}

static void pods_of_a_job_that_is_gone_lose_the_finalizer(void **state)
{
        for (int crash = 0; crash < 2; crash++) {
                _cleanup_(world_freep) struct world *w = new_world();

                make_job(w, "'parallelism':3,'completions':3");
                all_become(w, "Running");
                assert_int_equal(count_pods(w, is_tracked), 3);
                world_delete(w, &res_jobs, "d", "j", "Background");
                if (crash)
                        world_crash(w);
                world_settle(w);
                assert_null(world_get(w, &res_jobs, "d", "j"));
                assert_int_equal(count_pods(w, is_tracked), 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_pod_that_succeeds_completes_its_job),
                cmocka_unit_test(completions_are_worked_off_in_parallel),
                cmocka_unit_test(no_pods_are_wanted_and_the_job_is_complete),
                cmocka_unit_test(without_completions_one_success_ends_the_rest),
                cmocka_unit_test(parallelism_follows_the_spec),
                cmocka_unit_test(a_replacement_waits_ever_longer),
                cmocka_unit_test(the_wait_survives_restarts_and_jumps_of_the_clock),
                cmocka_unit_test(failed_pods_that_somebody_deletes_still_count),
                cmocka_unit_test(what_runs_fails_with_its_job),
                cmocka_unit_test(restarts_of_containers_count_where_pods_restart_them),
                cmocka_unit_test(a_job_fails_at_its_deadline),
                cmocka_unit_test(metrics_tell_of_each_once),
                cmocka_unit_test(a_suspended_job_has_no_pods),
                cmocka_unit_test(the_deadline_starts_over_when_a_job_is_resumed),
                cmocka_unit_test(pods_know_their_index),
                cmocka_unit_test(completed_indexes_are_written_in_short),
                cmocka_unit_test(an_elastic_job_forgets_indexes_that_it_has_no_more),
                cmocka_unit_test(each_index_fails_for_itself),
                cmocka_unit_test(failures_of_an_index_outlive_a_suspension),
                cmocka_unit_test(too_many_failed_indexes_end_the_job),
                cmocka_unit_test(a_success_policy_ends_the_job),
                cmocka_unit_test(a_failure_policy_tells_failures_apart),
                cmocka_unit_test(a_failure_policy_can_end_an_index),
                cmocka_unit_test(a_pod_is_replaced_when_the_policy_says_so),
                cmocka_unit_test(a_job_of_another_controller_is_left_alone),
                cmocka_unit_test(pods_are_adopted_with_the_finalizer_and_released_without),
                cmocka_unit_test(odd_pods_and_huge_numbers_do_no_harm),
                cmocka_unit_test(pods_of_a_job_that_is_gone_lose_the_finalizer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
