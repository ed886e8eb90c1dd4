/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "hollow/status.h"

#define START_S 1767323045 /* 2026-01-02T03:04:05Z */
#define START   (START_S * 1000LL)

static const struct pod_defaults defaults = {.job_run_for = 0};

static const char plain[] =
        "{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\",\"uid\":\"u-1\",\"resourceVersion\":\"42\","
        "\"generation\":1},"
        "\"spec\":{\"nodeName\":\"hollow-0\",\"restartPolicy\":\"Always\",\"containers\":[{\"name\":\"a\",\"image\":"
        "\"a:1\"},"
        "{\"name\":\"b\",\"image\":\"b:1\"}],\"initContainers\":[{\"name\":\"i\",\"image\":\"i:1\"},"
        "{\"name\":\"s\",\"image\":\"s:1\",\"restartPolicy\":\"Always\"}]},\"status\":{\"phase\":\"Pending\"}}";

/* Of a text, and maybe a status to put into it; free() it. */
static struct pod *parse(const char *text, const struct json_object *status, struct err *reterr)
{
        _cleanup_json_ struct json_object *o = NULL;
        struct jsontree tree = JSONTREE_NULL;
        const struct jnode *node;
        struct pod *pod;
        char *copy;

        assert_int_equal(json_parse(text, strlen(text), &o, NULL), 0);
        if (status)
                json_set(o, "status", json_copy(status));
        copy = json_text(o);
        assert_int_equal(jsontree_parse(&tree, copy, strlen(copy), &node, NULL), 0);
        pod = pod_parse(node, &defaults, reterr);
        jsontree_deinit(&tree);
        free(copy);
        return pod;
}

static struct json_object *patch_of(const struct pod *pod, const struct life *life, int64_t now, bool again)
{
        const struct status_input in = {.pod = pod,
                                        .life = life,
                                        .face = face_of(&pod->plan, life, now),
                                        .host_ip = "198.18.0.1",
                                        .ips = {"10.0.0.2", "fd00::2"},
                                        .initialized_s = START_S + 1,
                                        .ready_s = START_S + 2,
                                        .again = again};

        return status_patch(&in);
}

static void a_pod_is_kept_with_what_matters(void **state)
{
        struct pod *pod = parse(plain, NULL, NULL);

        assert_string_equal(pod->ns, "shop");
        assert_string_equal(pod->name, "web");
        assert_string_equal(pod->uid, "u-1");
        assert_string_equal(pod->node, "hollow-0");
        assert_int_equal(pod->version, 42);
        assert_int_equal(pod->ncontainers, 2);
        assert_string_equal(pod->containers[1].image, "b:1");
        assert_int_equal(pod->ninits, 2);
        assert_true(pod->inits[1].sidecar);
        assert_int_equal(pod->plan.ninit, 1);
        assert_null(pod->ips[0]);
        assert_int_equal(pod->seen.stage, STAGE_NONE);
        assert_false(pod->deleting);
        free(pod);
}

static void the_plain_case_is_what_a_kubelet_writes(void **state)
{
        static const char want[] =
                "{\"metadata\":{\"uid\":\"u-1\"},\"status\":{\"observedGeneration\":1,\"phase\":\"Running\","
                "\"conditions\":["
                "{\"type\":\"PodReadyToStartContainers\",\"status\":\"True\",\"lastTransitionTime\":\"2026-01-02T03:04:"
                "06Z\"},"
                "{\"type\":\"Initialized\",\"status\":\"True\",\"lastTransitionTime\":\"2026-01-02T03:04:06Z\"},"
                "{\"type\":\"Ready\",\"status\":\"True\",\"lastTransitionTime\":\"2026-01-02T03:04:07Z\"},"
                "{\"type\":\"ContainersReady\",\"status\":\"True\",\"lastTransitionTime\":\"2026-01-02T03:04:07Z\"}],"
                "\"hostIP\":\"198.18.0.1\",\"hostIPs\":[{\"ip\":\"198.18.0.1\"}],\"podIP\":\"10.0.0.2\","
                "\"podIPs\":[{\"ip\":\"10.0.0.2\"},{\"ip\":\"fd00::2\"}],\"startTime\":\"2026-01-02T03:04:05Z\"}}";
        struct pod *pod = parse(plain, NULL, NULL);
        _cleanup_json_ struct json_object *got = NULL, *wanted = NULL;
        struct json_object *list;
        struct life life = {0};

        life_advance(&pod->plan, &life, START);
        got = patch_of(pod, &life, START, false);
        list = json_at(got, "status.containerStatuses");
        assert_int_equal(json_len(list), 2);
        for (size_t i = 0; i < 2; i++) {
                const struct json_object *c = json_idx(list, i);

                assert_string_equal(json_get_str(c, "name"), i ? "b" : "a");
                assert_true(json_get_bool(c, "ready", false) && json_get_bool(c, "started", false));
                assert_string_equal(json_at_str(c, "state.running.startedAt"), "2026-01-02T03:04:05Z");
                assert_int_equal(strlen(json_get_str(c, "containerID")), strlen("hollow://") + 64);
        }
        assert_string_not_equal(json_get_str(json_idx(list, 0), "containerID"),
                                json_get_str(json_idx(list, 1), "containerID"));
        list = json_at(got, "status.initContainerStatuses");
        assert_int_equal(json_at_i64(json_idx(list, 0), "state.terminated.exitCode", -1), 0);
        assert_non_null(json_at(json_idx(list, 1), "state.running"));
        json_del(json_get(got, "status"), "containerStatuses");
        json_del(json_get(got, "status"), "initContainerStatuses");
        assert_int_equal(json_parse(want, sizeof(want) - 1, &wanted, NULL), 0);
        if (!json_equal(got, wanted))
                fail_msg("%s", json_object_to_json_string(got));
        free(pod);
}

static const struct json_object *condition(const struct json_object *patch, const char *type)
{
        json_array_foreach (json_at(patch, "status.conditions"), i, c) {
                if (str_eq(json_get_str(c, "type"), type))
                        return c;
        }
        fail_msg("no condition %s", type);
        return NULL;
}

static void reasons_go_when_a_condition_becomes_true(void **state)
{
        struct pod *pod = parse(plain, NULL, NULL);
        struct life life = {0};
        _cleanup_json_ struct json_object *unready = NULL, *ready = NULL;

        life_advance(&pod->plan, &life, START);
        pod->plan.ready = false;
        unready = patch_of(pod, &life, START, true);
        assert_string_equal(json_get_str(condition(unready, "Ready"), "reason"), "ContainersNotReady");
        assert_string_equal(json_get_str(condition(unready, "Ready"), "message"),
                            "containers with unready status: [a b]");
        pod->plan.ready = true;
        ready = patch_of(pod, &life, START, true);
        assert_true(json_object_object_get_ex(condition(ready, "Ready"), "reason", NULL));
        assert_false(json_has(condition(ready, "Ready"), "reason"));
        free(pod);
}

/* What the API shows of a life is enough to go on with it. */
static void a_status_that_was_written_is_adopted(void **state)
{
        static const char *const durations[] = {"start-after", "init-run-for", "ready-after", "restart-after",
                                                "stop-after"};

        for (int round = 0; round < 2000; round++) {
                struct pod *pod = parse(plain, NULL, NULL), *again;
                struct life life = {0}, adopted;
                int64_t now = START;
                _cleanup_json_ struct json_object *patch = NULL;

                pod->plan.policy = (enum restart_policy)random_below(3);
                for (size_t i = 0; i < ARRAY_SIZE(durations); i++)
                        if (random_below(2)) {
                                char value[24];

                                snprintf(value, sizeof(value), "%us", (unsigned)random_below(5));
                                plan_set(&pod->plan, durations[i], value, NULL);
                        }
                if (random_below(2))
                        pod->plan.run_for = (int64_t)random_below(5) * 1000;
                pod->plan.exit_code = (int32_t)random_below(3);
                life_advance(&pod->plan, &life, now);
                for (uint64_t steps = random_below(6); steps; steps--) {
                        now += (int64_t)random_below(4) * 1000;
                        if (!life.stop && random_below(6) == 0) {
                                life.stop = now;
                                life.grace = 2000;
                        }
                        life_advance(&pod->plan, &life, now);
                }
                patch = patch_of(pod, &life, now, true);
                again = parse(plain, json_get(patch, "status"), NULL);
                if (!face_equal(face_seen(again), face_of(&pod->plan, &life, now)))
                        fail_msg("stage %d comes back as %d: %s", life.stage, again->seen.stage,
                                 json_object_to_json_string(patch));
                pod_adopt(again, &adopted);
                assert_int_equal(adopted.stage, life.stage);
                assert_int_equal(adopted.admitted, life.admitted);
                assert_int_equal(adopted.restarts, life.restarts);
                if (life.stage == STAGE_RUNNING || life.stage == STAGE_BACKOFF)
                        assert_int_equal(adopted.since, life.since);
                if (life.stage == STAGE_ENDED)
                        assert_int_equal(adopted.exit_code, life.exit_code);
                assert_string_equal(again->ips[1], "fd00::2");
                free(again);
                free(pod);
        }
}

static void ended_pods_say_how(void **state)
{
        static const struct {
                int32_t code;
                const char *phase, *reason, *ready;
        } rows[] = {{0, "Succeeded", "Completed", "PodCompleted"}, {3, "Failed", "Error", "PodFailed"}};

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct pod *pod = parse(plain, NULL, NULL);
                struct life life = {0};
                _cleanup_json_ struct json_object *patch = NULL;
                const struct json_object *c;

                pod->plan.policy = RESTART_NEVER;
                pod->plan.run_for = 2000;
                pod->plan.exit_code = rows[i].code;
                life_advance(&pod->plan, &life, START);
                life_advance(&pod->plan, &life, START + 3000);
                patch = patch_of(pod, &life, START + 3000, true);
                c = json_idx(json_at(patch, "status.containerStatuses"), 0);
                assert_string_equal(json_at_str(patch, "status.phase"), rows[i].phase);
                assert_string_equal(json_at_str(c, "state.terminated.reason"), rows[i].reason);
                assert_int_equal(json_at_i64(c, "state.terminated.exitCode", -1), rows[i].code);
                assert_string_equal(json_at_str(c, "state.terminated.finishedAt"), "2026-01-02T03:04:07Z");
                assert_false(json_get_bool(c, "ready", true));
                assert_string_equal(json_get_str(condition(patch, "Ready"), "reason"), rows[i].ready);
                free(pod);
        }
}

static void pods_of_jobs_end_of_themselves(void **state)
{
        static const struct {
                const char *policy, *owner;
                int64_t run_for;
        } rows[] = {
                {"Never", "Job", 0},
                {"OnFailure", "Job", 0},
                {"Always", "Job", PLAN_NEVER},
                {"Never", "ReplicaSet", PLAN_NEVER},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *text = mem_printf(
                        "{\"metadata\":{\"name\":\"p\",\"ownerReferences\":[{\"kind\":\"%s\",\"controller\":true}]},"
                        "\"spec\":{\"restartPolicy\":\"%s\",\"containers\":[{\"name\":\"c\",\"image\":\"c\"}]}}",
                        rows[i].owner, rows[i].policy);
                struct pod *pod = parse(text, NULL, NULL);

                assert_int_equal(pod->plan.run_for, rows[i].run_for);
                free(pod);
        }
}

static void bad_annotations_are_left_out_and_told(void **state)
{
        static const char text[] =
                "{\"metadata\":{\"name\":\"p\",\"annotations\":{\"hollow.fairlead.dev/ready-after\":\"soon\","
                "\"hollow.fairlead.dev/run-for\":\"2s\",\"other\":\"x\"}},\"spec\":{\"restartPolicy\":\"Never\"}}";
        struct err err = ERR_NULL;
        struct pod *pod = parse(text, NULL, &err);

        assert_string_equal(err.msg,
                            "hollow.fairlead.dev/ready-after: \"soon\" is no duration like 500ms, 2s or 1m30s");
        assert_int_equal(pod->plan.ready_after, 0);
        assert_int_equal(pod->plan.run_for, 2000);
        free(pod);
}

static void odd_objects_do_no_harm(void **state)
{
        static const char *const texts[] = {
                "{}",
                "{\"metadata\":[],\"spec\":7,\"status\":\"x\"}",
                "{\"metadata\":{\"annotations\":[1]},\"spec\":{\"containers\":{}},\"status\":{\"conditions\":7}}",
                "{\"spec\":{\"containers\":[1,null]},\"status\":{\"containerStatuses\":[null],\"podIPs\":[{},{},{}]}}",
                "{\"status\":{\"containerStatuses\":[{\"state\":{\"running\":{\"startedAt\":\"never\"}}}]}}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct pod *pod = parse(texts[i], NULL, NULL);
                struct life life;

                pod_adopt(pod, &life);
                life_advance(&pod->plan, &life, START);
                json_object_put(patch_of(pod, &life, START, false));
                free(pod);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_pod_is_kept_with_what_matters),
                cmocka_unit_test(the_plain_case_is_what_a_kubelet_writes),
                cmocka_unit_test(reasons_go_when_a_condition_becomes_true),
                cmocka_unit_test(a_status_that_was_written_is_adopted),
                cmocka_unit_test(ended_pods_say_how),
                cmocka_unit_test(pods_of_jobs_end_of_themselves),
                cmocka_unit_test(bad_annotations_are_left_out_and_told),
                cmocka_unit_test(odd_objects_do_no_harm),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
