/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/controllers.h"
#include "unit/controllers/world.h"

static const struct controller *const keepers[] = {&controller_nodelifecycle, &controller_tainteviction};

static struct world *world_with(uint64_t seed, unsigned int faults)
{
        return world_new(&(struct world_opts){.seed = seed,
                                              .controllers = keepers,
                                              .ncontrollers = ARRAY_SIZE(keepers),
                                              .refuse = faults,
                                              .lose = faults,
                                              .crash = faults / 4,
                                              .lateness = faults ? 60 : 0});
}

/* What a kubelet posts. */
static void post(struct world *w, const char *node, const char *ready)
{
        char now[CLOCK_TEXT_SIZE];

        clock_format(world_now_s(w), now);
        world_apply(
                w,
                "{'apiVersion':'v1','kind':'Node','metadata':{'name':'%s'},'status':{'conditions':["
                "{'type':'Ready','status':'%s','reason':'Kubelet','lastHeartbeatTime':'%s','lastTransitionTime':'%s'},"
                "{'type':'MemoryPressure','status':'False','lastHeartbeatTime':'%s','lastTransitionTime':'%s'}]}}",
                node, ready, now, now, now, now);
}

static void renew(struct world *w, const char *node)
{
        char now[CLOCK_TEXT_SIZE];

        clock_format_micro(world_now_s(w) * (int64_t)NS_PER_S, now);
        world_apply(w,
                    "{'apiVersion':'coordination.k8s.io/"
                    "v1','kind':'Lease','metadata':{'namespace':'kube-node-lease','name':'%s'},"
                    "'spec':{'holderIdentity':'%s','renewTime':'%s'}}",
                    node, node, now);
}

static struct world *new_cluster(uint64_t seed, unsigned int faults, int nodes)
{
        struct world *w = world_with(seed, faults);

        world_apply(w, "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'kube-node-lease'}}");
        for (int i = 0; i < nodes; i++) {
                char name[16];

                snprintf(name, sizeof(name), "node-%d", i);
                post(w, name, "True");
                renew(w, name);
        }
        world_pass(w, 1000);
        return w;
}

/* All but the first so many renew their Leases, every 10 s. */
static void live(struct world *w, int silent, int nodes, int seconds)
{
        for (; seconds > 0; seconds -= 10) {
                for (int i = silent; i < nodes; i++) {
                        char name[16];

                        snprintf(name, sizeof(name), "node-%d", i);
                        renew(w, name);
                }
                world_pass(w, 10000);
        }
}

static const char *ready_of(struct world *w, const char *node)
{
        json_array_foreach (json_at(world_get(w, &res_nodes, NULL, node), "status.conditions"), i, c)
                if (str_eq(json_get_str(c, "type"), "Ready"))
                        return json_get_str(c, "status");
        return "";
}

static bool tainted(struct world *w, const char *node, const char *key, const char *effect)
{
        json_array_foreach (json_at(world_get(w, &res_nodes, NULL, node), "spec.taints"), i, t)
                if (str_eq(json_get_str(t, "key"), key) && str_eq(json_get_str(t, "effect"), effect))
                        return true;
        return false;
}

#define UNREACHABLE "node.kubernetes.io/unreachable"
#define NOT_READY   "node.kubernetes.io/not-ready"

static void pod_on(struct world *w, const char *name, const char *node, const char *tolerations)
{
        world_apply(w,
                    "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'d','name':'%s'},'spec':{'nodeName':'%s',"
                    "'tolerations':[%s],'containers':[{'name':'c','image':'i'}]}}",
                    name, node, tolerations);
        world_pod_status(w, "d", name, "Running", true);
}

static bool pod_ready(struct world *w, const char *name)
{
        json_array_foreach (json_at(world_get(w, &res_pods, "d", name), "status.conditions"), i, c)
                if (str_eq(json_get_str(c, "type"), "Ready"))
                        return str_eq(json_get_str(c, "status"), "True");
        return false;
}

static bool pod_goes(struct world *w, const char *name)
{
        const struct json_object *pod = world_get(w, &res_pods, "d", name);

        return !pod || json_has(json_get(pod, "metadata"), "deletionTimestamp");
}

static void a_ready_node_loses_the_taint_it_came_with(void **state)
{
        _cleanup_(world_freep) struct world *w = new_cluster(1, 0, 1);

        assert_false(tainted(w, "node-0", NOT_READY, "NoSchedule"));
        post(w, "node-0", "False");
        world_pass(w, 100);
        assert_true(tainted(w, "node-0", NOT_READY, "NoSchedule"));
        world_patch(w, &res_nodes, NULL, "node-0", "{'spec':{'unschedulable':true}}");
        post(w, "node-0", "True");
        world_pass(w, 100);
        assert_false(tainted(w, "node-0", NOT_READY, "NoSchedule"));
        assert_true(tainted(w, "node-0", "node.kubernetes.io/unschedulable", "NoSchedule"));
}

static void a_silent_node_is_left_and_comes_back(void **state)
{
        for (uint64_t seed = 0; seed < 12; seed++) {
                _cleanup_(world_freep) struct world *w = new_cluster(seed, seed ? 15 : 0, 4);

                pod_on(w, "lone", "node-0", "");
                pod_on(w, "firm", "node-0", "{'operator':'Exists'}");
                pod_on(w, "else", "node-1", "");
                live(w, 1, 4, 40);
                assert_string_equal(ready_of(w, "node-0"), "True");
                live(w, 1, 4, seed ? 120 : 30);
                assert_string_equal(ready_of(w, "node-0"), "Unknown");
                assert_string_equal(ready_of(w, "node-1"), "True");
                assert_true(tainted(w, "node-0", UNREACHABLE, "NoSchedule"));
                assert_true(tainted(w, "node-0", UNREACHABLE, "NoExecute"));
                assert_false(tainted(w, "node-1", UNREACHABLE, "NoExecute"));
                assert_false(pod_ready(w, "lone"));
                assert_true(pod_ready(w, "else"));
                assert_false(pod_goes(w, "lone")); /* tolerated for 300 s by default */
                live(w, 1, 4, seed ? 400 : 300);
                if (!pod_goes(w, "lone"))
                        fail_msg("seed %llu: %s\n%s", (unsigned long long)seed, world_events(w),
                                 json_object_to_json_string(
                                         json_at(world_get(w, &res_nodes, NULL, "node-0"), "spec.taints")));
                assert_false(pod_goes(w, "firm"));
                assert_false(pod_goes(w, "else"));
                post(w, "node-0", "True");
                live(w, 0, 4, seed ? 60 : 10);
                assert_string_equal(ready_of(w, "node-0"), "True");
                assert_false(tainted(w, "node-0", UNREACHABLE, "NoSchedule"));
                assert_false(tainted(w, "node-0", UNREACHABLE, "NoExecute"));
        }
}

static void a_new_node_that_never_reports_is_unknown(void **state)
{
        _cleanup_(world_freep) struct world *w = new_cluster(1, 0, 2);

        world_apply(w, "{'apiVersion':'v1','kind':'Node','metadata':{'name':'mute'}}");
        live(w, 0, 2, 50);
        assert_string_equal(ready_of(w, "mute"), "");
        live(w, 0, 2, 20);
        assert_string_equal(ready_of(w, "mute"), "Unknown");
        assert_non_null(
                strstr(json_object_to_json_string(world_get(w, &res_nodes, NULL, "mute")), "NodeStatusNeverUpdated"));
}

/* Rather is this side cut off than every node at once. */
static void when_all_are_silent_nobody_is_sent_away(void **state)
{
        _cleanup_(world_freep) struct world *w = new_cluster(1, 0, 3);

        pod_on(w, "p", "node-0", "");
        world_pass(w, 600000);
        for (int i = 0; i < 3; i++) {
                char name[16];

                snprintf(name, sizeof(name), "node-%d", i);
                assert_string_equal(ready_of(w, name), "Unknown");
                assert_false(tainted(w, name, UNREACHABLE, "NoExecute"));
        }
        assert_false(pod_goes(w, "p"));
}

static unsigned int emptied(struct world *w, int nodes)
{
        unsigned int n = 0;

        for (int i = 0; i < nodes; i++) {
                char name[16];

                snprintf(name, sizeof(name), "node-%d", i);
                n += tainted(w, name, UNREACHABLE, "NoExecute");
        }
        return n;
}

/* 0.1 nodes a second; and none in a small cluster of which more than half is down. */
static void nodes_are_emptied_at_the_zones_rate(void **state)
{
        _cleanup_(world_freep) struct world *w = new_cluster(1, 0, 10), *half = new_cluster(2, 0, 10);

        world_free(half);
        half = NULL;
        live(w, 5, 10, 60);
        assert_in_range(emptied(w, 10), 1, 2);
        live(w, 5, 10, 20);
        assert_in_range(emptied(w, 10), 2, 4);
        live(w, 5, 10, 60);
        assert_int_equal(emptied(w, 10), 5);
        world_free(w);
        w = new_cluster(3, 0, 10);
        live(w, 6, 10, 300);
        assert_in_range(emptied(w, 10), 0, 2);
}

static void taints_send_away_whom_they_concern(void **state)
{
        _cleanup_(world_freep) struct world *w = new_cluster(1, 0, 2);

        pod_on(w, "none", "node-0", "");
        pod_on(w, "other", "node-0", "{'key':'k','operator':'Equal','value':'x','effect':'NoExecute'}");
        pod_on(w, "short", "node-0", "{'key':'k','operator':'Exists','effect':'NoExecute','tolerationSeconds':20}");
        pod_on(w, "ever", "node-0", "{'key':'k','operator':'Equal','value':'v','effect':'NoExecute'}");
        world_patch(w, &res_nodes, NULL, "node-0",
                    "{'spec':{'taints':[{'key':'k','value':'v','effect':'NoExecute'}]}}");
        world_settle(w);
        assert_true(pod_goes(w, "none"));
        assert_true(pod_goes(w, "other"));
        assert_false(pod_goes(w, "short"));
        live(w, 0, 2, 10);
        assert_false(pod_goes(w, "short"));
        live(w, 0, 2, 20);
        assert_true(pod_goes(w, "short"));
        assert_false(pod_goes(w, "ever"));
        assert_non_null(
                strstr(world_events(w), "Normal TaintManagerEviction Pod d/none Marking for deletion Pod d/none"));
        assert_non_null(
                strstr(json_object_to_json_string(world_get(w, &res_pods, "d", "none")), "DeletionByTaintManager"));
}

static void a_taint_that_goes_in_time_sends_nobody(void **state)
{
        _cleanup_(world_freep) struct world *w = new_cluster(1, 0, 2);

        pod_on(w, "short", "node-0", "{'key':'k','operator':'Exists','effect':'NoExecute','tolerationSeconds':30}");
        for (int i = 0; i < 3; i++) {
                world_patch(w, &res_nodes, NULL, "node-0",
                            "{'spec':{'taints':[{'key':'k','value':'v','effect':'NoExecute'}]}}");
                live(w, 0, 2, 20);
                world_patch(w, &res_nodes, NULL, "node-0", "{'spec':{'taints':null}}");
                live(w, 0, 2, 20);
        }
        assert_false(pod_goes(w, "short"));
}

/* ---- addresses ---- */

static const struct controller *const ipam[] = {&controller_nodeipam};

static void every_node_has_a_part_of_its_own(void **state)
{
        static const struct config config = {.allocate_node_cidrs = true,
                                             .cluster_cidr = "10.244.0.0/20,fd00:244::/60",
                                             .node_mask_v4 = 24,
                                             .node_mask_v6 = 64};

        for (uint64_t seed = 0; seed < 20; seed++) {
                _cleanup_(world_freep) struct world *w = world_new(&(struct world_opts){.seed = seed,
                                                                                        .controllers = ipam,
                                                                                        .ncontrollers = 1,
                                                                                        .config = &config,
                                                                                        .refuse = 10,
                                                                                        .lose = 10,
                                                                                        .crash = 5,
                                                                                        .lateness = 50});
                bool seen[16] = {false};
                unsigned int part;

                world_apply(w, "{'apiVersion':'v1','kind':'Node','metadata':{'name':'fixed'},'spec':{'podCIDR':'10.244."
                               "3.0/24','podCIDRs':['10.244.3.0/24','fd00:244:0:7::/64']}}");
                for (int i = 0; i < 20; i++) {
                        world_apply(w, "{'apiVersion':'v1','kind':'Node','metadata':{'name':'n%d'}}", i);
                        if (i == 14) {
                                world_pass(w, 120000);
                                world_delete(w, &res_nodes, NULL, "n0", NULL);
                        }
                }
                world_pass(w, 300000);
                for (int i = -1; i < 20; i++) {
                        char name[16];
                        const char *v4;

                        snprintf(name, sizeof(name), i < 0 ? "fixed" : "n%d", i);
                        v4 = json_at_str(world_get(w, &res_nodes, NULL, name), "spec.podCIDR");
                        if (!v4)
                                continue;
                        assert_int_equal(sscanf(v4, "10.244.%u.0/24", &part), 1);
                        assert_in_range(part, 0, 15);
                        if (seen[part])
                                fail_msg("seed %llu: two nodes have %s", (unsigned long long)seed, v4);
                        seen[part] = true;
                }
                for (size_t i = 0; i < 16; i++)
                        if (!seen[i] && i != 7) /* fd00:244:0:7:: is taken by the one that has 10.244.3 */
                                fail_msg("seed %llu: 10.244.%zu is not used", (unsigned long long)seed, i);
                assert_non_null(strstr(world_events(w), "CIDRNotAvailable"));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_ready_node_loses_the_taint_it_came_with),
                cmocka_unit_test(a_silent_node_is_left_and_comes_back),
                cmocka_unit_test(a_new_node_that_never_reports_is_unknown),
                cmocka_unit_test(when_all_are_silent_nobody_is_sent_away),
                cmocka_unit_test(nodes_are_emptied_at_the_zones_rate),
                cmocka_unit_test(taints_send_away_whom_they_concern),
                cmocka_unit_test(a_taint_that_goes_in_time_sends_nobody),
                cmocka_unit_test(every_node_has_a_part_of_its_own),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
