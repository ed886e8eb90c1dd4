/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/controllers.h"
#include "unit/controllers/sets.h"

static const struct controller *const only[] = {&controller_replicaset, &controller_replicationcontroller};

#define WORLD(...) world_new(&(struct world_opts){.controllers = only, .ncontrollers = ARRAY_SIZE(only), __VA_ARGS__})

static void apply_set(struct world *w, const char *name, const char *app, int replicas, const char *more)
{
        world_apply(w,
                    "{'apiVersion':'apps/v1','kind':'ReplicaSet','metadata':{'namespace':'d','name':'%s'},'spec':{"
                    "'replicas':%d,'selector':{'matchLabels':{'app':'%s'}},%s'template':{'metadata':{'labels':{'app':'%"
                    "s'}},"
                    "'spec':{'containers':[{'name':'c','image':'i'}]}}}}",
                    name, replicas, app, more, app);
}

static void apply_pod(struct world *w, const char *name, const char *app)
{
        world_apply(w,
                    "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'d','name':'%s','labels':{'app':'%s'}},"
                    "'spec':{'containers':[{'name':'c','image':'i'}]}}",
                    name, app);
}

static int64_t status_of(struct world *w, const char *name, const char *field)
{
        return json_get_i64(json_get(world_get(w, &res_replicasets, "d", name), "status"), field, 0);
}

static size_t lines_with(struct world *w, const char *text)
{
        size_t n = 0;

        for (const char *at = world_events(w); (at = strstr(at, text)); at++)
                n++;
        return n;
}

static void there_are_as_many_pods_as_wanted(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);

        apply_set(w, "web", "web", 5, "");
        world_settle(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 5);
        assert_int_equal(status_of(w, "web", "replicas"), 5);
        assert_int_equal(status_of(w, "web", "fullyLabeledReplicas"), 5);
        assert_int_equal(status_of(w, "web", "readyReplicas"), 0);
        assert_int_equal(status_of(w, "web", "observedGeneration"), 1);
        assert_int_equal(lines_with(w, "Normal SuccessfulCreate ReplicaSet d/web Created pod: web-"), 5);
        sets_live(w, 2, 0);
        assert_int_equal(status_of(w, "web", "readyReplicas"), 5);
        assert_int_equal(status_of(w, "web", "availableReplicas"), 5);
        apply_set(w, "web", "web", 2, "");
        world_settle(w);
        assert_int_equal(status_of(w, "web", "replicas"), 2);
        assert_int_equal(status_of(w, "web", "terminatingReplicas"), 3);
        assert_int_equal(status_of(w, "web", "observedGeneration"), 2);
        assert_int_equal(lines_with(w, "Normal SuccessfulDelete ReplicaSet d/web Deleted pod: web-"), 3);
        sets_live(w, 2, 0);
        assert_int_equal(world_count(w, &res_pods, "d"), 2);
        assert_int_equal(status_of(w, "web", "terminatingReplicas"), 0);
}

/* Writes of the status are few: one for each state that is seen. */
static void what_does_not_change_is_not_written(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);
        uint64_t writes;

        apply_set(w, "web", "web", 3, "");
        sets_live(w, 3, 1000);
        writes = world_writes(w);
        assert_in_range(writes, 4, 3 + 8);
        world_patch(w, &res_replicasets, "d", "web", "{'metadata':{'labels':{'x':'y'}}}");
        sets_live(w, 3, 1000);
        assert_int_equal(world_writes(w), writes);
}

static void a_replication_controller_does_the_same(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);
        struct json_object *status;

        world_apply(w, "{'apiVersion':'v1','kind':'ReplicationController','metadata':{'namespace':'d','name':'old'},"
                       "'spec':{'replicas':3,'selector':{'app':'old'},'template':{'metadata':{'labels':{'app':'old'}},"
                       "'spec':{'containers':[{'name':'c','image':'i'}]}}}}");
        sets_live(w, 2, 0);
        assert_int_equal(sets_owned(w, "ReplicationController", "old").ready, 3);
        status = json_get(world_get(w, &res_replicationcontrollers, "d", "old"), "status");
        assert_int_equal(json_get_i64(status, "availableReplicas", 0), 3);
        assert_false(json_has(status, "terminatingReplicas"));
}

static void matching_orphans_are_adopted_before_pods_are_made(void **state)
{
        for (uint64_t seed = 0; seed < 20; seed++) {
                _cleanup_(world_freep) struct world *w = WORLD(.seed = seed, .lateness = 50);

                for (int i = 0; i < 4; i++) {
                        char name[16];

                        snprintf(name, sizeof(name), "orphan-%d", i);
                        apply_pod(w, name, i < 3 ? "web" : "other");
                }
                world_settle(w);
                apply_set(w, "web", "web", 4, "");
                world_settle(w);
                assert_int_equal(sets_owned(w, "ReplicaSet", "web").active, 4);
                assert_int_equal(world_count(w, &res_pods, "d"), 5);
                assert_string_equal(sets_owner(world_get(w, &res_pods, "d", "orphan-0"), "ReplicaSet"), "web");
                assert_string_equal(sets_owner(world_get(w, &res_pods, "d", "orphan-3"), "ReplicaSet"), "");
        }
}

static void ended_orphans_are_nobodys(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);

        apply_pod(w, "done", "web");
        world_pod_status(w, "d", "done", "Succeeded", false);
        apply_set(w, "web", "web", 2, "");
        world_settle(w);
        assert_string_equal(sets_owner(world_get(w, &res_pods, "d", "done"), "ReplicaSet"), "");
        assert_int_equal(sets_owned(w, "ReplicaSet", "web").active, 2);
}

static void a_pod_that_matches_no_more_is_released_and_replaced(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);
        _cleanup_free_ struct json_object **pods = NULL;
        _cleanup_free_ char *name = NULL;
        size_t n;

        apply_set(w, "web", "web", 2, "");
        world_settle(w);
        pods = world_list(w, &res_pods, "d", &n);
        name = mem_strdup(json_at_str(pods[0], "metadata.name"));
        world_patch(w, &res_pods, "d", name, "{'metadata':{'labels':{'app':'debug'}}}");
        world_settle(w);
        assert_string_equal(sets_owner(world_get(w, &res_pods, "d", name), "ReplicaSet"), "");
        assert_int_equal(sets_owned(w, "ReplicaSet", "web").active, 2);
        assert_int_equal(world_count(w, &res_pods, "d"), 3);
}

static void ended_pods_are_replaced(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);
        _cleanup_free_ struct json_object **pods = NULL;
        _cleanup_free_ char *name = NULL;
        size_t n;

        apply_set(w, "web", "web", 2, "");
        sets_live(w, 2, 0);
        pods = world_list(w, &res_pods, "d", &n);
        name = mem_strdup(json_at_str(pods[1], "metadata.name"));
        world_pod_status(w, "d", name, "Failed", false);
        world_settle(w);
        assert_int_equal(sets_owned(w, "ReplicaSet", "web").active, 2);
        assert_non_null(world_get(w, &res_pods, "d", name));
}

/* Those that are worth least go: not bound, not ready, cheap to delete. */
static void deletion_is_ranked(void **state)
{
        static const char *const costs[] = {"10", "-5", "0", "7"};
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);
        char *names[4];
        size_t n;

        apply_set(w, "web", "web", 4, "");
        sets_live(w, 2, 0);
        {
                _cleanup_free_ struct json_object **pods = world_list(w, &res_pods, "d", &n);

                for (size_t i = 0; i < 4; i++)
                        names[i] = mem_strdup(json_at_str(pods[i], "metadata.name"));
        }
        for (size_t i = 0; i < 4; i++)
                world_patch(w, &res_pods, "d", names[i],
                            "{'metadata':{'annotations':{'controller.kubernetes.io/pod-deletion-cost':'%s'}}}",
                            costs[i]);
        world_pod_status(w, "d", names[3], "Running", false);
        apply_set(w, "web", "web", 2, "");
        sets_live(w, 2, 0);
        assert_non_null(world_get(w, &res_pods, "d", names[0]));
        assert_null(world_get(w, &res_pods, "d", names[1]));
        assert_non_null(world_get(w, &res_pods, "d", names[2]));
        assert_null(world_get(w, &res_pods, "d", names[3]));
        for (size_t i = 0; i < 4; i++)
                free(names[i]);
}

static char *first_pod(struct world *w, const char *but)
{
        size_t n;
        _cleanup_free_ struct json_object **pods = world_list(w, &res_pods, "d", &n);

        for (size_t i = 0; i < n; i++)
                if (!str_eq(json_at_str(pods[i], "metadata.name"), but))
                        return mem_strdup(json_at_str(pods[i], "metadata.name"));
        return NULL;
}

/* Of two that are ready the one goes that is not available yet, though both have been so for about as long. */
static void available_pods_stay(void **state)
{
        for (uint64_t seed = 0; seed < 8; seed++) {
                _cleanup_(world_freep) struct world *w = WORLD(.seed = seed);
                _cleanup_free_ char *a = NULL, *b = NULL;

                apply_set(w, "web", "web", 2, "'minReadySeconds':20,");
                world_settle(w);
                a = first_pod(w, NULL);
                b = first_pod(w, a);
                world_kubelet(w, 2, NULL, NULL); /* both are bound */
                world_pod_status(w, "d", a, "Running", true);
                world_pass(w, 12000);
                world_pod_status(w, "d", b, "Running", true);
                world_pass(w, 18000);
                assert_int_equal(status_of(w, "web", "availableReplicas"), 1);
                apply_set(w, "web", "web", 1, "'minReadySeconds':20,");
                world_settle(w);
                assert_true(sets_is_active(world_get(w, &res_pods, "d", a)));
                assert_false(sets_is_active(world_get(w, &res_pods, "d", b)));
        }
}

static void availability_takes_its_time(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);

        apply_set(w, "web", "web", 3, "'minReadySeconds':90,");
        sets_live(w, 2, 0);
        assert_int_equal(status_of(w, "web", "readyReplicas"), 3);
        assert_int_equal(status_of(w, "web", "availableReplicas"), 0);
        world_pass(w, 80000);
        assert_int_equal(status_of(w, "web", "availableReplicas"), 0);
        world_pass(w, 11000);
        assert_int_equal(status_of(w, "web", "availableReplicas"), 3);
}

/* Somebody sets the clock forward: it is noticed within a minute, although no timer is due so soon. */
static void a_clock_that_jumps_is_noticed(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);

        apply_set(w, "web", "web", 3, "'minReadySeconds':36000,");
        sets_live(w, 2, 0);
        world_jump(w, 36000);
        world_pass(w, 61000);
        assert_int_equal(status_of(w, "web", "availableReplicas"), 3);
        world_jump(w, -72000);
        world_pass(w, 61000);
        assert_int_equal(status_of(w, "web", "replicas"), 3);
}

static const char *failure_of(struct world *w, const char *field)
{
        json_array_foreach (json_at(world_get(w, &res_replicasets, "d", "web"), "status.conditions"), i, c)
                if (str_eq(json_get_str(c, "type"), "ReplicaFailure"))
                        return json_get_str(c, field);
        return "";
}

/* The API server refuses pods of a class that there is not. */
static void a_refusal_is_a_condition_until_it_ends(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);

        apply_set(w, "web", "web", 3, "");
        world_patch(w, &res_replicasets, "d", "web", "{'spec':{'template':{'spec':{'priorityClassName':'gold'}}}}");
        world_pass(w, 5000);
        assert_int_equal(world_count(w, &res_pods, "d"), 0);
        assert_string_equal(failure_of(w, "reason"), "FailedCreate");
        assert_string_equal(failure_of(w, "status"), "True");
        assert_non_null(strstr(failure_of(w, "message"), "no PriorityClass with name gold was found"));
        assert_non_null(strstr(world_events(w), "Warning FailedCreate ReplicaSet d/web Error creating: pods \""));
        assert_in_range(lines_with(w, "Error creating"), 2, 15);
        assert_int_equal(status_of(w, "web", "observedGeneration"), 2);
        world_patch(w, &res_replicasets, "d", "web", "{'spec':{'template':{'spec':{'priorityClassName':null}}}}");
        world_pass(w, 60000);
        assert_int_equal(sets_owned(w, "ReplicaSet", "web").active, 3);
        assert_string_equal(failure_of(w, "reason"), "");
}

static void one_that_is_being_deleted_makes_no_pods(void **state)
{
        _cleanup_(world_freep) struct world *w = WORLD(.seed = 1);
        _cleanup_free_ struct json_object **pods = NULL;
        size_t n;

        apply_set(w, "web", "web", 2, "");
        world_settle(w);
        world_delete(w, &res_replicasets, "d", "web", "Foreground");
        pods = world_list(w, &res_pods, "d", &n);
        world_delete(w, &res_pods, "d", json_at_str(pods[0], "metadata.name"), NULL);
        apply_pod(w, "orphan", "web");
        sets_live(w, 2, 1000);
        assert_int_equal(sets_owned(w, "ReplicaSet", "web").active, 1);
        assert_string_equal(sets_owner(world_get(w, &res_pods, "d", "orphan"), "ReplicaSet"), "");
}

/* ---- random histories ---- */

#define SETS 2 /* of the same selector */

struct history {
        uint64_t seed;
        int wanted[SETS];
        int64_t most[SETS]; /* that was wanted since all was quiet */
};

static const char *const set_names[SETS] = {"left", "right"};

static void check_pod(struct json_object *pod, int64_t *counts)
{
        const char *name = json_at_str(pod, "metadata.name");

        for (size_t i = 0; i < SETS; i++)
                counts[i] += sets_is_active(pod) && str_eq(sets_owner(pod, "ReplicaSet"), set_names[i]);
        if (str_eq(name, "foreign"))
                assert_int_equal(json_len(json_at(pod, "metadata.ownerReferences")), 0);
        if (str_eq(name, "owned"))
                assert_string_equal(sets_owner(pod, "Job"), "somebody");
}

/* Pods of others stay as they are; and nobody has more than was ever wanted. */
static void check_history(struct world *w, void *userdata)
{
        struct history *h = userdata;
        int64_t counts[SETS] = {0};
        size_t n;
        _cleanup_free_ struct json_object **pods = world_list(w, &res_pods, "d", &n);

        for (size_t i = 0; i < n; i++)
                check_pod(pods[i], counts);
        for (size_t i = 0; i < SETS; i++)
                if (counts[i] > h->most[i])
                        fail_msg("seed %d: %s has more than %d pods", (int)h->seed, set_names[i], (int)h->most[i]);
}

static void someone_elses_pods(struct world *w)
{
        apply_pod(w, "foreign", "foreign");
        world_apply(w,
                    "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'d','name':'owned','labels':{'app':'web'},"
                    "'ownerReferences':[{'apiVersion':'batch/v1','kind':'Job','name':'somebody','uid':'u','controller':"
                    "true}]},'spec':{'containers':[{'name':'c','image':'i'}]}}");
}

static void want(struct world *w, struct history *h, size_t i, int n)
{
        h->wanted[i] = n;
        h->most[i] = MAX(h->most[i], (int64_t)n);
        apply_set(w, set_names[i], "web", n, "");
}

static void disturb_a_pod(struct world *w)
{
        size_t n;
        _cleanup_free_ struct json_object **pods = world_list(w, &res_pods, "d", &n);
        struct json_object *pod = pods[world_random(w, n)];
        const char *name = json_at_str(pod, "metadata.name");

        if (str_eq(name, "foreign") || str_eq(name, "owned") || !sets_is_active(pod))
                return;
        switch (world_random(w, 3)) {
        case 0:
                world_delete(w, &res_pods, "d", name, NULL);
                break;
        case 1:
                world_patch(w, &res_pods, "d", name, "{'metadata':{'labels':{'app':'debug'}}}");
                break;
        default:
                if (json_at_str(pod, "spec.nodeName"))
                        world_pod_status(w, "d", name, "Failed", false);
        }
}

static void something_happens(struct world *w, struct history *h)
{
        size_t i = (size_t)world_random(w, SETS);

        switch (world_random(w, 6)) {
        case 0:
                want(w, h, i, (int)world_random(w, 8));
                break;
        case 1:
                world_kubelet(w, 3, sets_lazy_kubelet, w);
                break;
        case 2:
                disturb_a_pod(w);
                break;
        default:
                for (size_t n = world_random(w, 60); n && world_step(w); n--)
                        ;
        }
}

static void live_through(uint64_t seed)
{
        struct history h = {.seed = seed};
        _cleanup_(world_freep) struct world *w =
                WORLD(.seed = seed, .refuse = seed % 3 ? 10 : 0, .lose = seed % 4 ? 5 : 0, .crash = seed % 5 ? 3 : 0,
                      .lateness = (unsigned int)(seed % 4) * 30, .check = check_history, .userdata = &h);

        someone_elses_pods(w);
        for (size_t i = 0; i < SETS; i++)
                want(w, &h, i, 3);
        for (size_t i = 0; i < 40; i++)
                something_happens(w, &h);
        sets_live(w, 4, 30000);
        for (size_t i = 0; i < SETS; i++) {
                if (sets_owned(w, "ReplicaSet", set_names[i]).ready != h.wanted[i])
                        fail_msg("seed %d: %s has %d ready of %d", (int)seed, set_names[i],
                                 (int)sets_owned(w, "ReplicaSet", set_names[i]).ready, h.wanted[i]);
                assert_int_equal(status_of(w, set_names[i], "replicas"), h.wanted[i]);
                assert_int_equal(status_of(w, set_names[i], "availableReplicas"), h.wanted[i]);
        }
        assert_non_null(world_get(w, &res_pods, "d", "foreign"));
        assert_non_null(world_get(w, &res_pods, "d", "owned"));
}

static void random_histories_end_with_as_many_as_wanted(void **state)
{
        for (uint64_t seed = 0; seed < 40; seed++)
                live_through(seed);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(there_are_as_many_pods_as_wanted),
                cmocka_unit_test(what_does_not_change_is_not_written),
                cmocka_unit_test(a_replication_controller_does_the_same),
                cmocka_unit_test(matching_orphans_are_adopted_before_pods_are_made),
                cmocka_unit_test(ended_orphans_are_nobodys),
                cmocka_unit_test(a_pod_that_matches_no_more_is_released_and_replaced),
                cmocka_unit_test(ended_pods_are_replaced),
                cmocka_unit_test(deletion_is_ranked),
                cmocka_unit_test(available_pods_stay),
                cmocka_unit_test(availability_takes_its_time),
                cmocka_unit_test(a_clock_that_jumps_is_noticed),
                cmocka_unit_test(a_refusal_is_a_condition_until_it_ends),
                cmocka_unit_test(one_that_is_being_deleted_makes_no_pods),
                cmocka_unit_test(random_histories_end_with_as_many_as_wanted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
