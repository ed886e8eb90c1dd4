/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "controllers/controllers.h"
#include "unit/controllers/world.h"

static const struct controller *const collector[] = {&controller_podgc};

static struct world *world_with(uint64_t seed, unsigned int faults, uint32_t threshold)
{
        static struct config config;

        config = (struct config){.terminated_pod_threshold = threshold, .node_grace_ms = 50000};
        return world_new(&(struct world_opts){.seed = seed,
                                              .controllers = collector,
                                              .ncontrollers = 1,
                                              .config = &config,
                                              .refuse = faults,
                                              .lose = faults,
                                              .crash = faults / 4,
                                              .lateness = faults ? 60 : 0});
}

static void node(struct world *w, const char *name, const char *ready, const char *taint)
{
        world_apply(w,
                    "{'apiVersion':'v1','kind':'Node','metadata':{'name':'%s'},'spec':{'taints':[%s]},'status':{'"
                    "conditions':["
                    "{'type':'Ready','status':'%s'}]}}",
                    name, taint, ready);
}

static void pod(struct world *w, const char *name, const char *where, const char *more)
{
        world_apply(
                w,
                "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'d','name':'%s'%s},'spec':{'nodeName':'%s',"
                "'containers':[{'name':'c','image':'i'}]}}",
                name, more, where);
}

static const char *phase(struct world *w, const char *name)
{
        const struct json_object *o = world_get(w, &res_pods, "d", name);

        return o ? json_at_str(o, "status.phase") : "gone";
}

static void pods_of_a_node_that_is_gone_go_after_a_while(void **state)
{
        _cleanup_(world_freep) struct world *w = world_with(1, 0, 0);

        node(w, "a", "True", "");
        node(w, "b", "True", "");
        pod(w, "one", "a", "");
        pod(w, "held", "a", ",'finalizers':['example.com/x']");
        pod(w, "other", "b", "");
        world_pod_status(w, "d", "one", "Running", true);
        world_pod_status(w, "d", "held", "Running", true);
        world_pass(w, 100000);
        assert_int_equal(world_count(w, &res_pods, "d"), 3);
        world_delete(w, &res_nodes, NULL, "a", NULL);
        world_pass(w, 39000);
        assert_string_equal(phase(w, "one"), "Running");
        world_pass(w, 2000);
        assert_string_equal(phase(w, "one"), "gone");
        assert_string_equal(phase(w, "held"), "Failed");
        assert_string_equal(phase(w, "other"), "Pending");
        json_array_foreach (json_at(world_get(w, &res_pods, "d", "held"), "status.conditions"), i, c)
                if (str_eq(json_get_str(c, "type"), "DisruptionTarget")) {
                        assert_string_equal(json_get_str(c, "reason"), "DeletionByPodGC");
                        assert_string_equal(json_get_str(c, "message"), "PodGC: node no longer exists");
                        return;
                }
        fail_msg("no condition tells why");
}

static void a_node_that_registers_again_keeps_its_pods(void **state)
{
        _cleanup_(world_freep) struct world *w = world_with(1, 0, 0);

        node(w, "a", "True", "");
        pod(w, "one", "a", "");
        world_delete(w, &res_nodes, NULL, "a", NULL);
        world_pass(w, 30000);
        node(w, "a", "True", "");
        world_pass(w, 100000);
        assert_string_equal(phase(w, "one"), "Pending");
        world_delete(w, &res_nodes, NULL, "a", NULL); /* its time begins anew */
        world_pass(w, 39000);
        assert_string_equal(phase(w, "one"), "Pending");
        world_pass(w, 2000);
        assert_string_equal(phase(w, "one"), "gone");
}

static void a_clock_that_jumps_ends_no_pod(void **state)
{
        _cleanup_(world_freep) struct world *w = world_with(1, 0, 0);

        node(w, "a", "True", "");
        pod(w, "one", "a", "");
        world_delete(w, &res_nodes, NULL, "a", NULL);
        world_pass(w, 1000);
        world_jump(w, 86400);
        world_pass(w, 30000);
        assert_string_equal(phase(w, "one"), "Pending");
        world_jump(w, -200000);
        world_pass(w, 12000);
        assert_string_equal(phase(w, "one"), "gone");
}

#define OUT "{'key':'node.kubernetes.io/out-of-service','effect':'NoExecute'}"

static void deleted_pods_of_a_node_out_of_service_go_at_once(void **state)
{
        static const struct {
                const char *ready, *taint, *want;
        } rows[] = {
                {"False", OUT, "gone"},
                {"Unknown", OUT, "gone"},
                {"True", OUT, "Running"}, /* its kubelet will end it */
                {"False", "", "Running"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_(world_freep) struct world *w = world_with(1, 0, 0);

                node(w, "a", rows[i].ready, rows[i].taint);
                pod(w, "one", "a", "");
                pod(w, "stays", "a", "");
                world_pod_status(w, "d", "one", "Running", true);
                world_delete(w, &res_pods, "d", "one", NULL);
                world_pass(w, 1000);
                assert_string_equal(phase(w, "one"), rows[i].want);
                assert_string_equal(phase(w, "stays"), "Pending");
        }
}

static void a_pod_deleted_before_it_had_a_node_has_failed(void **state)
{
        _cleanup_(world_freep) struct world *w = world_with(1, 0, 0);
        uint64_t writes;

        pod(w, "one", "", ",'finalizers':['example.com/x']");
        world_delete(w, &res_pods, "d", "one", NULL);
        world_pass(w, 1000);
        assert_string_equal(phase(w, "one"), "Failed");
        writes = world_writes(w);
        world_pass(w, 3600000);
        assert_int_equal(world_writes(w), writes);
}

static void the_oldest_of_too_many_finished_pods_go(void **state)
{
        static const char *const names[] = {"a", "b", "c", "d", "e"};
        _cleanup_(world_freep) struct world *w = world_with(1, 0, 3);

        node(w, "n", "True", "");
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                pod(w, names[i], "n", "");
                world_pass(w, 2000);
                world_pod_status(w, "d", names[i], i % 2 ? "Failed" : "Succeeded", false);
        }
        world_pass(w, 5000);
        assert_string_equal(phase(w, "a"), "gone");
        assert_string_equal(phase(w, "b"), "gone");
        assert_string_equal(phase(w, "c"), "Succeeded");
        assert_int_equal(world_count(w, &res_pods, "d"), 3);
        world_patch(w, &res_pods, "d", "e", "{'status':{'reason':'Evicted'}}");
        pod(w, "f", "n", "");
        world_pod_status(w, "d", "f", "Succeeded", false);
        world_pass(w, 5000);
        assert_int_equal(world_count(w, &res_pods, "d"), 3);
        assert_string_equal(phase(w, "e"), "gone"); /* an evicted one goes before those that are older */
        assert_string_equal(phase(w, "c"), "Succeeded");
}

/* Whatever is refused, lost or dies: what has a node that is there stays, the rest goes. */
static void histories_come_to_the_same_end(void **state)
{
        for (uint64_t seed = 1; seed <= 60; seed++) {
                _cleanup_(world_freep) struct world *w = world_with(seed, 20, 0);
                size_t alive = 0, n;
                bool there[3];

                for (int i = 0; i < 3; i++) {
                        char name[16];

                        snprintf(name, sizeof(name), "n%d", i);
                        node(w, name, "True", "");
                        for (int k = 0; k < 3; k++) {
                                char p[16];

                                snprintf(p, sizeof(p), "p-%d-%d", i, k);
                                pod(w, p, name, "");
                        }
                }
                for (int i = 0; i < 3; i++) {
                        char name[16];

                        snprintf(name, sizeof(name), "n%d", i);
                        there[i] = world_random(w, 2);
                        if (!there[i] || world_random(w, 2))
                                world_delete(w, &res_nodes, NULL, name, NULL);
                        world_pass(w, world_random(w, 20000));
                        if (there[i] && !world_get(w, &res_nodes, NULL, name))
                                node(w, name, "True", "");
                        alive += there[i] ? 3 : 0;
                }
                world_pass(w, 300000);
                n = world_count(w, &res_pods, "d");
                if (n != alive)
                        fail_msg("seed %llu: %zu pods are left of %zu that have a node", (unsigned long long)seed, n,
                                 alive);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(pods_of_a_node_that_is_gone_go_after_a_while),
                cmocka_unit_test(a_node_that_registers_again_keeps_its_pods),
                cmocka_unit_test(a_clock_that_jumps_ends_no_pod),
                cmocka_unit_test(deleted_pods_of_a_node_out_of_service_go_at_once),
                cmocka_unit_test(a_pod_deleted_before_it_had_a_node_has_failed),
                cmocka_unit_test(the_oldest_of_too_many_finished_pods_go),
                cmocka_unit_test(histories_come_to_the_same_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
