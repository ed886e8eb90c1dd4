/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/controllers.h"
#include "unit/controllers/world.h"

static const struct controller *const only[] = {&controller_daemonset};

static struct world *calm(void)
{
        return world_new(&(struct world_opts){.seed = 1, .controllers = only, .ncontrollers = 1});
}

/* The API server taints new nodes; a node controller would take that off when they are ready. */
static void make_node(struct world *w, int i)
{
        char name[16];

        snprintf(name, sizeof(name), "node-%d", i);
        world_apply(w, "{'apiVersion':'v1','kind':'Node','metadata':{'name':'%s','labels':{'n':'%d'}}}", name, i);
        world_patch(w, &res_nodes, NULL, name, "{'spec':{'taints':null}}");
}

static void taint(struct world *w, int i, const char *taints)
{
        world_patch(w, &res_nodes, NULL,
                    i == 0   ? "node-0"
                    : i == 1 ? "node-1"
                             : "node-2",
                    "{'spec':{'taints':%s}}", taints);
        world_settle(w);
}

/* spec: more of the DaemonSet's spec; pod: more of its pods'. */
static void make_set(struct world *w, const char *spec, const char *pod)
{
        world_apply(
                w,
                "{'apiVersion':'apps/v1','kind':'DaemonSet','metadata':{'namespace':'d','name':'log'},'spec':{%s"
                "'selector':{'matchLabels':{'app':'log'}},'template':{'metadata':{'labels':{'app':'log'}},'spec':{%s"
                "'containers':[{'name':'c','image':'v1'}]}}}}",
                spec, pod);
}

static void set_image(struct world *w, const char *image)
{
        world_patch(w, &res_daemonsets, "d", "log",
                    "{'spec':{'template':{'spec':{'containers':[{'name':'c','image':'%s'}]}}}}", image);
        world_settle(w);
}

static void kubelet(struct world *w)
{
        world_kubelet(w, 3, NULL, NULL);
        world_settle(w);
}

/* Everybody does their part until nothing changes any more. */
static void rest(struct world *w)
{
        uint64_t before;

        do {
                before = world_writes(w);
                world_settle(w);
                kubelet(w);
                kubelet(w);
        } while (world_writes(w) != before);
}

/* Three nodes, each with its pod. */
static struct world *three(const char *spec)
{
        struct world *w = calm();

        for (int i = 0; i < 3; i++)
                make_node(w, i);
        make_set(w, spec, "");
        rest(w);
        return w;
}

static const char *wanted_node(struct json_object *pod)
{
        struct json_object *required =
                json_at(pod, "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution");
        struct json_object *term = json_idx(json_get(required, "nodeSelectorTerms"), 0);
        struct json_object *field = json_idx(json_get(term, "matchFields"), 0);

        return json_object_get_string(json_idx(json_get(field, "values"), 0));
}

static bool is_ending(struct json_object *pod)
{
        return json_has(json_get(pod, "metadata"), "deletionTimestamp");
}

struct tally {
        size_t all, ending, of_image;
        char name[256]; /* of one that is not ending */
};

/* The pods for a node (NULL: all), and how many of them have the image. */
static struct tally tally(struct world *w, const char *node, const char *image)
{
        struct tally t = {0};
        size_t n;
        _cleanup_free_ struct json_object **pods = world_list(w, &res_pods, "d", &n);

        for (size_t i = 0; i < n; i++) {
                if (node && !str_eq(wanted_node(pods[i]), node))
                        continue;
                t.all++;
                t.ending += is_ending(pods[i]);
                t.of_image += str_eq(json_get_str(json_idx(json_at(pods[i], "spec.containers"), 0), "image"), image);
                if (!is_ending(pods[i]))
                        str_copy(t.name, sizeof(t.name), json_at_str(pods[i], "metadata.name"));
        }
        return t;
}

static size_t on(struct world *w, const char *node)
{
        return tally(w, node, "").all;
}

static int64_t status(struct world *w, const char *field)
{
        return json_get_i64(json_get(world_get(w, &res_daemonsets, "d", "log"), "status"), field, -1);
}

static bool told(struct world *w, const char *text)
{
        return strstr(world_events(w), text) != NULL;
}

/* ---- one on each node ---- */

static void each_node_gets_one(void **state)
{
        _cleanup_(world_freep) struct world *w = three("");
        struct json_object *set = world_get(w, &res_daemonsets, "d", "log"), *pod;

        assert_int_equal(world_count(w, &res_pods, "d"), 3);
        pod = world_get(w, &res_pods, "d", tally(w, "node-1", "").name);
        assert_string_equal(json_at_str(pod, "spec.nodeName"), "node-1");
        assert_string_equal(json_get_str(json_at(pod, "metadata.labels"), "pod-template-generation"), "1");
        assert_non_null(json_get_str(json_at(pod, "metadata.labels"), "controller-revision-hash"));
        assert_string_equal(json_at_str(pod, "metadata.generateName"), "log-");
        assert_int_equal(json_len(json_at(pod, "spec.tolerations")), 6);
        assert_int_equal(status(w, "desiredNumberScheduled"), 3);
        assert_int_equal(status(w, "currentNumberScheduled"), 3);
        assert_int_equal(status(w, "updatedNumberScheduled"), 3);
        assert_int_equal(status(w, "numberReady"), 3);
        assert_int_equal(status(w, "numberAvailable"), 3);
        assert_int_equal(status(w, "numberMisscheduled"), 0);
        assert_int_equal(status(w, "numberUnavailable"), -1);
        assert_int_equal(status(w, "observedGeneration"), json_at_i64(set, "metadata.generation", 0));
        assert_true(told(w, "Normal SuccessfulCreate DaemonSet d/log Created pod: log-"));
        make_node(w, 3);
        rest(w);
        assert_int_equal(on(w, "node-3"), 1);
}

static void only_nodes_that_match_get_one(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        for (int i = 0; i < 3; i++)
                make_node(w, i);
        make_set(w, "", "'nodeSelector':{'n':'1'},");
        rest(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 1);
        assert_int_equal(on(w, "node-1"), 1);
        world_patch(w, &res_nodes, NULL, "node-2", "{'metadata':{'labels':{'n':'1'}}}");
        world_patch(w, &res_nodes, NULL, "node-1", "{'metadata':{'labels':{'n':'2'}}}");
        world_settle(w);
        assert_int_equal(tally(w, "node-1", "").ending, 1);
        assert_int_equal(on(w, "node-2"), 1);
        rest(w);
        assert_int_equal(status(w, "desiredNumberScheduled"), 1);
        assert_true(told(w, "Normal SuccessfulDelete DaemonSet d/log Deleted pod: log-"));
}

static void node_affinity_is_asked(void **state)
{
        static const struct {
                const char *terms;
                size_t n;
        } cases[] = {
                {"[{'matchExpressions':[{'key':'n','operator':'In','values':['0','2']}]}]", 2},
                {"[{'matchExpressions':[{'key':'n','operator':'NotIn','values':['0']},{'key':'n','operator':'Gt',"
                 "'values':['1']}]}]",
                 1},
                {"[{'matchExpressions':[{'key':'x','operator':'Exists'}]},{'matchExpressions':[{'key':'n','operator':"
                 "'Lt','values':['1']}]}]",
                 1},
                {"[{'matchExpressions':[{'key':'x','operator':'DoesNotExist'}]}]", 3},
                {"[{'matchFields':[{'key':'metadata.name','operator':'In','values':['node-2']}]}]", 1},
                {"[{'matchFields':[{'key':'metadata.name','operator':'NotIn','values':['node-2']}]}]", 2},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(world_freep) struct world *w = calm();
                _cleanup_free_ char *pod =
                        mem_printf("'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':{"
                                   "'nodeSelectorTerms':%s}}},",
                                   cases[i].terms);

                for (int j = 0; j < 3; j++)
                        make_node(w, j);
                make_set(w, "", pod);
                rest(w);
                assert_int_equal(world_count(w, &res_pods, "d"), cases[i].n);
        }
}

static void taints_keep_away_and_drive_out(void **state)
{
        _cleanup_(world_freep) struct world *w = three("");

        taint(w, 1, "[{'key':'k','effect':'NoSchedule'}]");
        assert_int_equal(tally(w, "node-1", "").ending, 0);
        assert_int_equal(status(w, "numberMisscheduled"), 1);
        assert_int_equal(status(w, "desiredNumberScheduled"), 2);
        world_delete(w, &res_pods, "d", tally(w, "node-1", "").name, NULL);
        rest(w);
        assert_int_equal(on(w, "node-1"), 0);
        taint(w, 0, "[{'key':'k','effect':'NoExecute'}]");
        rest(w);
        assert_int_equal(on(w, "node-0"), 0);
        taint(w, 0, "null");
        rest(w);
        assert_int_equal(on(w, "node-0"), 1);
}

static void a_node_in_trouble_keeps_its_daemons(void **state)
{
        static const char *const taints[] = {
                "[{'key':'node.kubernetes.io/not-ready','effect':'NoExecute'}]",
                "[{'key':'node.kubernetes.io/unreachable','effect':'NoExecute'}]",
                "[{'key':'node.kubernetes.io/unschedulable','effect':'NoSchedule'}]",
                "[{'key':'node.kubernetes.io/memory-pressure','effect':'NoSchedule'}]",
        };

        for (size_t i = 0; i < ARRAY_SIZE(taints); i++) {
                _cleanup_(world_freep) struct world *w = calm();

                make_node(w, 0);
                taint(w, 0, taints[i]);
                make_set(w, "", "");
                rest(w);
                assert_int_equal(on(w, "node-0"), 1);
        }
}

static void pods_that_shall_not_be_scheduled_on_their_node_go_with_it(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();

        make_node(w, 0);
        make_set(w, "", "");
        world_settle(w);
        assert_int_equal(on(w, "node-0"), 1);
        world_delete(w, &res_nodes, NULL, "node-0", NULL);
        rest(w);
        assert_int_equal(on(w, "node-0"), 0);
        assert_int_equal(status(w, "desiredNumberScheduled"), 0);
}

static void a_failed_pod_is_replaced_with_patience(void **state)
{
        _cleanup_(world_freep) struct world *w = calm();
        char failed[256];

        make_node(w, 0);
        make_set(w, "", "");
        rest(w);
        for (int i = 0; i < 3; i++) {
                str_copy(failed, sizeof(failed), tally(w, "node-0", "").name);
                world_pod_status(w, "d", failed, "Failed", false);
                world_settle(w);
                if (i) {
                        assert_string_equal(tally(w, "node-0", "").name, failed);
                        world_pass(w, i == 1 ? 1100 : 2100);
                }
                assert_string_not_equal(tally(w, "node-0", "").name, failed);
                rest(w);
                assert_int_equal(status(w, "numberReady"), 1);
        }
        assert_true(told(w, "Warning FailedDaemonPod DaemonSet d/log Found failed daemon pod d/log-"));
        assert_true(told(w, " on node node-0, will try to kill it\n"));
}

/* The oldest stays. */
static void there_are_never_two(void **state)
{
        _cleanup_(world_freep) struct world *w = three("");
        char first[256];

        str_copy(first, sizeof(first), tally(w, "node-0", "").name);
        world_pass(w, 5000);
        world_apply(
                w, "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'d','name':'extra','labels':{'app':'log'}},"
                   "'spec':{'nodeName':'node-0','affinity':{'nodeAffinity':{"
                   "'requiredDuringSchedulingIgnoredDuringExecution':{'nodeSelectorTerms':[{'matchFields':[{'key':"
                   "'metadata.name','operator':'In','values':['node-0']}]}]}}},'containers':[{'name':'c','image':'v1'}]"
                   "}}");
        rest(w);
        assert_int_equal(on(w, "node-0"), 1);
        assert_string_equal(tally(w, "node-0", "").name, first);
}

/* ---- updates ---- */

static void an_update_takes_one_down_after_the_other(void **state)
{
        _cleanup_(world_freep) struct world *w = three("");

        set_image(w, "v2");
        assert_int_equal(tally(w, NULL, "").ending, 1);
        kubelet(w);
        assert_int_equal(tally(w, NULL, "").ending, 0);
        assert_int_equal(tally(w, NULL, "v2").of_image, 1);
        assert_int_equal(status(w, "updatedNumberScheduled"), 1);
        assert_int_equal(status(w, "numberUnavailable"), 1);
        rest(w);
        assert_int_equal(tally(w, NULL, "v2").of_image, 3);
        assert_int_equal(status(w, "updatedNumberScheduled"), 3);
        assert_int_equal(world_count(w, &res_controllerrevisions, "d"), 2);
}

static void more_may_be_down_at_once(void **state)
{
        _cleanup_(world_freep) struct world *w =
                three("'updateStrategy':{'type':'RollingUpdate','rollingUpdate':{'maxUnavailable':'50%'}},");

        set_image(w, "v2");
        assert_int_equal(tally(w, NULL, "").ending, 2);
}

static void broken_pods_are_updated_beyond_the_limit(void **state)
{
        _cleanup_(world_freep) struct world *w = three("");

        world_pod_status(w, "d", tally(w, "node-1", "").name, "Running", false);
        world_pod_status(w, "d", tally(w, "node-2", "").name, "Running", false);
        set_image(w, "v2");
        assert_int_equal(tally(w, "node-1", "").ending + tally(w, "node-2", "").ending, 2);
}

static void a_surge_makes_the_new_one_first(void **state)
{
        _cleanup_(world_freep) struct world *w =
                three("'updateStrategy':{'type':'RollingUpdate','rollingUpdate':{'maxUnavailable':0,'maxSurge':1}},");

        set_image(w, "v2");
        assert_int_equal(world_count(w, &res_pods, "d"), 4);
        assert_int_equal(tally(w, NULL, "").ending, 0);
        kubelet(w);
        assert_int_equal(tally(w, NULL, "").ending, 0);
        kubelet(w);
        assert_int_equal(tally(w, NULL, "").ending, 1);
        rest(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 3);
        assert_int_equal(tally(w, NULL, "v2").of_image, 3);
}

static void on_delete_waits_for_the_user(void **state)
{
        _cleanup_(world_freep) struct world *w = three("'updateStrategy':{'type':'OnDelete'},");

        set_image(w, "v2");
        rest(w);
        assert_int_equal(tally(w, NULL, "v2").of_image, 0);
        world_delete(w, &res_pods, "d", tally(w, "node-1", "").name, NULL);
        rest(w);
        assert_int_equal(tally(w, "node-1", "v2").of_image, 1);
        assert_int_equal(tally(w, NULL, "v2").of_image, 1);
        assert_int_equal(status(w, "updatedNumberScheduled"), 1);
}

static void a_rollback_takes_the_old_revision_up_again(void **state)
{
        _cleanup_(world_freep) struct world *w = three("");

        set_image(w, "v2");
        rest(w);
        set_image(w, "v1");
        rest(w);
        assert_int_equal(world_count(w, &res_controllerrevisions, "d"), 2);
        assert_int_equal(tally(w, NULL, "v1").of_image, 3);
}

static void old_revisions_are_forgotten(void **state)
{
        _cleanup_(world_freep) struct world *w = three("'revisionHistoryLimit':1,");

        set_image(w, "v2");
        rest(w);
        set_image(w, "v3");
        rest(w);
        set_image(w, "v4");
        rest(w);
        assert_int_equal(world_count(w, &res_controllerrevisions, "d"), 2);
        assert_int_equal(tally(w, NULL, "v4").of_image, 3);
}

static void pods_must_be_ready_long_enough(void **state)
{
        _cleanup_(world_freep) struct world *w = three("'minReadySeconds':10,");

        assert_int_equal(status(w, "numberReady"), 3);
        assert_int_equal(status(w, "numberAvailable"), -1);
        world_pass(w, 11000);
        assert_int_equal(status(w, "numberAvailable"), 3);
        set_image(w, "v2");
        rest(w);
        assert_int_equal(tally(w, NULL, "v2").of_image, 1);
        world_pass(w, 11000);
        assert_int_equal(tally(w, NULL, "").ending, 1);
}

static void a_heartbeat_is_nothing_to_look_at(void **state)
{
        _cleanup_(world_freep) struct world *w = three("");
        uint64_t before = world_writes(w);

        world_patch(w, &res_nodes, NULL, "node-0",
                    "{'status':{'conditions':[{'type':'Ready','status':'True','lastHeartbeatTime':"
                    "'2026-01-01T00:00:00Z'}]}}");
        world_settle(w);
        assert_int_equal(world_writes(w), before);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_node_gets_one),
                cmocka_unit_test(only_nodes_that_match_get_one),
                cmocka_unit_test(node_affinity_is_asked),
                cmocka_unit_test(taints_keep_away_and_drive_out),
                cmocka_unit_test(a_node_in_trouble_keeps_its_daemons),
                cmocka_unit_test(pods_that_shall_not_be_scheduled_on_their_node_go_with_it),
                cmocka_unit_test(a_failed_pod_is_replaced_with_patience),
                cmocka_unit_test(there_are_never_two),
                cmocka_unit_test(an_update_takes_one_down_after_the_other),
                cmocka_unit_test(more_may_be_down_at_once),
                cmocka_unit_test(broken_pods_are_updated_beyond_the_limit),
                cmocka_unit_test(a_surge_makes_the_new_one_first),
                cmocka_unit_test(on_delete_waits_for_the_user),
                cmocka_unit_test(a_rollback_takes_the_old_revision_up_again),
                cmocka_unit_test(old_revisions_are_forgotten),
                cmocka_unit_test(pods_must_be_ready_long_enough),
                cmocka_unit_test(a_heartbeat_is_nothing_to_look_at),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
