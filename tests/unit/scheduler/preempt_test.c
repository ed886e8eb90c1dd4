/* SPDX-License-Identifier: Apache-2.0 */
/* Whose pods make room for whom. Nodes have 4 CPUs; pods are given as priority and CPUs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/mem.h"
#include "scheduler/preempt.h"
#include "unit/scheduler/sched_world.h"

static struct sched_world w;
static struct preemption p;

static int setup(void **unused)
{
        sched_world_init(&w);
        p = (struct preemption){0};
        return 0;
}

static int teardown(void **unused)
{
        preemption_deinit(&p);
        sched_world_deinit(&w);
        return 0;
}

/* started: seconds; app: a label. */
static struct pod *run(const char *name, const char *node, int priority, int cpus, int started, const char *app)
{
        char json[512];

        snprintf(json, sizeof(json),
                 "{'metadata':{'namespace':'default','name':'%s','uid':'%s','labels':{'app':'%s'}},'spec':{'priority':%"
                 "d,"
                 "'containers':[{'resources':{'requests':{'cpu':'%d'}}}]},'status':{'startTime':'2026-01-01T00:00:%"
                 "02dZ'}}",
                 name, name, app, priority, cpus, started);
        return sched_world_pod_json(&w, json, node);
}

/* "node: victim victim", or the message. */
static const char *preempt(struct pod *pod)
{
        static char text[1024];
        struct strbuf b = STRBUF_NULL;
        int r;

        if (!cycle_begin(&w.cycle, pod, &w.diagnosis))
                assert_int_equal(cycle_search(&w.cycle), 0);
        r = preempt_find(&w.cycle, &p);
        if (r) {
                diagnosis_write(&w.diagnosis, &b);
        } else {
                strbuf_printf(&b, "%s:", p.node->name->text);
                for (uint32_t i = 0; i < p.nvictims; i++)
                        strbuf_printf(&b, " %s", p.victims[i]->view->name);
        }
        snprintf(text, sizeof(text), "%s", b.data);
        strbuf_deinit(&b);
        return text;
}

static struct pod *newcomer(int priority, int cpus)
{
        return run("new", NULL, priority, cpus, 0, "new");
}

static void the_least_that_is_needed_goes(void **unused)
{
        sched_world_node(&w, "n", NULL, NULL);
        run("a", "n", 1, 1, 1, "x");
        run("b", "n", 2, 1, 1, "x");
        run("c", "n", 3, 2, 1, "x");
        /* 1 CPU: the lowest goes. 2: a and b; c would do alone, but is more important. 3: c cannot stay. */
        assert_string_equal(preempt(newcomer(9, 1)), "n: a");
        assert_string_equal(preempt(newcomer(9, 2)), "n: b a");
        assert_string_equal(preempt(newcomer(9, 3)), "n: c a");
        assert_string_equal(preempt(newcomer(9, 4)), "n: c b a");
        /* equals are no victims */
        assert_string_equal(preempt(newcomer(2, 1)), "n: a");
        assert_string_equal(preempt(newcomer(2, 2)),
                            "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are "
                            "available: 1 Insufficient cpu.");
        assert_string_equal(preempt(newcomer(1, 1)),
                            "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are "
                            "available: 1 No preemption victims found for incoming pod.");
        assert_string_equal(preempt(newcomer(9, 5)),
                            "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are "
                            "available: 1 Preemption is not helpful for scheduling.");
}

/* Looking changes nothing. */
static void a_look_leaves_the_node_as_it_was(void **unused)
{
        struct node *n = sched_world_node(&w, "n", NULL, NULL);

        for (int i = 0; i < 4; i++)
                run("v", "n", 1, 1, i, "x");
        preempt(newcomer(9, 3));
        assert_int_equal(n->used.exact.milli_cpu, 4000);
        assert_int_equal(n->used.pods, 4);
        for (struct pod *pod = n->pods; pod; pod = pod->next)
                assert_false(pod->hidden);
}

static void of_equals_the_youngest_goes(void **unused)
{
        sched_world_node(&w, "n", NULL, NULL);
        run("old", "n", 1, 2, 1, "x");
        run("young", "n", 1, 2, 9, "x");
        assert_string_equal(preempt(newcomer(9, 2)), "n: young");
}

/* Fewest broken budgets, then the lowest highest priority, the smallest sum, the fewest, the youngest. */
static void which_node(void **unused)
{
        sched_world_node(&w, "a", NULL, NULL);
        sched_world_node(&w, "b", NULL, NULL);
        run("a1", "a", 5, 4, 1, "x");
        run("b1", "b", 3, 4, 1, "x");
        assert_string_equal(preempt(newcomer(9, 4)), "b: b1");
        disruption_set(
                &w.state.disruption, &w.state.atoms, "default/budget",
                sched_world_json("{'metadata':{'namespace':'default'},'spec':{'selector':{'matchLabels':{'app':'y'}}},"
                                 "'status':{'disruptionsAllowed':0}}"));
        sched_world_node(&w, "c", NULL, NULL);
        run("c1", "c", 1, 4, 1, "y"); /* the cheapest, but for its budget */
        assert_string_equal(preempt(newcomer(9, 4)), "b: b1");
        disruption_set(
                &w.state.disruption, &w.state.atoms, "default/budget",
                sched_world_json("{'metadata':{'namespace':'default'},'spec':{'selector':{'matchLabels':{'app':'y'}}},"
                                 "'status':{'disruptionsAllowed':1}}"));
        assert_string_equal(preempt(newcomer(9, 4)), "c: c1");
        /* the budget's controller has counted it already */
        disruption_set(
                &w.state.disruption, &w.state.atoms, "default/budget",
                sched_world_json("{'metadata':{'namespace':'default'},'spec':{'selector':{'matchLabels':{'app':'y'}}},"
                                 "'status':{'disruptionsAllowed':0,'disruptedPods':{'c1':'2026-01-01T00:00:00Z'}}}"));
        assert_string_equal(preempt(newcomer(9, 4)), "c: c1");
}

static void the_smallest_sum_and_the_fewest(void **unused)
{
        sched_world_node(&w, "a", NULL, NULL);
        sched_world_node(&w, "b", NULL, NULL);
        run("a1", "a", 3, 2, 1, "x");
        run("a2", "a", 3, 2, 1, "x");
        run("b1", "b", 3, 2, 1, "x");
        run("b2", "b", 1, 2, 1, "x");
        assert_string_equal(preempt(newcomer(9, 4)), "b: b1 b2");
        /* each pod adds at least 2^31 to its priority: one costs less than two */
        sched_world_node(&w, "c", NULL, NULL);
        run("c1", "c", 3, 4, 1, "x");
        assert_string_equal(preempt(newcomer(9, 4)), "c: c1");
        sched_world_node(&w, "d", NULL, NULL);
        run("d1", "d", 3, 4, 5, "x"); /* has begun later */
        assert_string_equal(preempt(newcomer(9, 4)), "d: d1");
}

/* Of the pods of one node those go whose budgets allow it. */
static void budgets_choose_among_the_pods_of_a_node(void **unused)
{
        disruption_set(
                &w.state.disruption, &w.state.atoms, "default/budget",
                sched_world_json("{'metadata':{'namespace':'default'},'spec':{'selector':{'matchLabels':{'app':'y'}}},"
                                 "'status':{'disruptionsAllowed':1}}"));
        sched_world_node(&w, "n", NULL, NULL);
        run("y1", "n", 1, 1, 1, "y");
        run("y2", "n", 1, 1, 2, "y");
        run("x1", "n", 2, 2, 3, "x");
        /* 2 CPUs: y1 (the older one) is within the budget, y2 would break it, so it stays when possible */
        assert_string_equal(preempt(newcomer(9, 1)), "n: y1");
        assert_string_equal(preempt(newcomer(9, 2)), "n: x1");
}

static void never_and_not_yet(void **unused)
{
        struct pod *pod;

        sched_world_node(&w, "n", NULL, NULL);
        sched_world_node(&w, "t", NULL, "'spec':{'taints':[{'key':'k','effect':'NoSchedule'}]}");
        run("v", "n", 1, 4, 1, "x");
        pod = sched_world_pod(
                &w, "polite", NULL,
                "'priority':9,'preemptionPolicy':'Never','containers':[{'resources':{'requests':{'cpu':'1'}}}]", NULL);
        assert_string_equal(preempt(pod),
                            "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {k: }. "
                            "preemption: not eligible due to preemptionPolicy=Never.");
        sched_world_pod_gone(&w, w.pods[0]);
        pod = sched_world_pod_json(
                &w,
                "{'metadata':{'namespace':'default','name':'going','deletionTimestamp':'2026-01-01T00:00:00Z'"
                "},'spec':{'containers':[{'resources':{'requests':{'cpu':'4'}}}]},'status':{'conditions':[{"
                "'type':'DisruptionTarget','status':'True','reason':'PreemptionByScheduler'}]}}",
                "n");
        pod = newcomer(9, 1);
        state_nominate(&w.state, pod, state_order(&w.state)[0]->name);
        assert_string_equal(preempt(pod),
                            "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {k: }. "
                            "preemption: not eligible due to a terminating pod on the nominated node.");
}

/* Room that a nominated pod waits for is not given to a pod of less priority; one of more takes it. */
static void nominated_pods_keep_their_place(void **unused)
{
        struct pod *vip = newcomer(5, 3);
        const struct atom *n = sched_world_node(&w, "n", NULL, NULL)->name;

        state_nominate(&w.state, vip, n);
        assert_string_equal(sched_world_schedule(&w, newcomer(4, 1)), "n");
        assert_string_equal(sched_world_schedule(&w, newcomer(4, 2)), "0/1 nodes are available: 1 Insufficient cpu.");
        assert_string_equal(sched_world_schedule(&w, newcomer(5, 2)), "0/1 nodes are available: 1 Insufficient cpu.");
        assert_string_equal(sched_world_schedule(&w, newcomer(6, 2)), "n");
        assert_string_equal(sched_world_schedule(&w, vip), "n");
}

/* A nominated pod is tried on its node first, also when others would score more. */
static void the_nominated_node_comes_first(void **unused)
{
        struct pod *vip = newcomer(5, 1);

        sched_world_node(&w, "empty", NULL, NULL);
        run("x", "busy", 1, 3, 1, "x");
        state_nominate(&w.state, vip, sched_world_node(&w, "busy", NULL, NULL)->name);
        assert_string_equal(sched_world_schedule(&w, vip), "busy");
}

/* Anti-affinity and spreading follow the pods that are taken away for a trial. */
static void rules_between_pods_are_tried_out_too(void **unused)
{
        static const char *const specs[] = {
                ("'affinity':{'podAntiAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':[{'topologyKey':'"
                 "zone',"
                 "'labelSelector':{'matchLabels':{'app':'x'}}}]}}"),
                ("'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'zone','whenUnsatisfiable':'DoNotSchedule',"
                 "'labelSelector':{'matchLabels':{'app':'x'}}}]"),
                "'containers':[{'ports':[{'hostPort':80}]}]",
        };

        sched_world_node(&w, "a", "'zone':'a'", NULL);
        run("keep", "a", 1, 1, 1, "z");
        sched_world_pod_json(
                &w,
                "{'metadata':{'namespace':'default','name':'v','uid':'v','labels':{'app':'x'}},'spec':{'priority':2,"
                "'containers':[{'ports':[{'hostPort':80}]}]}}",
                "a");
        sched_world_node(&w, "b", "'zone':'b'", "'spec':{'unschedulable':true}");
        for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
                _cleanup_free_ char *spec = mem_printf("'priority':9,%s", specs[i]);
                struct pod *pod = sched_world_pod(&w, "new", "'app':'x'", spec, NULL);

                assert_string_equal(preempt(pod), "a: v");
        }
}

static void so_many_candidates_are_enough(void **unused)
{
        assert_int_equal(preempt_enough(0), 0);
        assert_int_equal(preempt_enough(50), 50);
        assert_int_equal(preempt_enough(500), 100);
        assert_int_equal(preempt_enough(5000), 500);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(the_least_that_is_needed_goes),
                TEST(a_look_leaves_the_node_as_it_was),
                TEST(of_equals_the_youngest_goes),
                TEST(which_node),
                TEST(the_smallest_sum_and_the_fewest),
                TEST(budgets_choose_among_the_pods_of_a_node),
                TEST(never_and_not_yet),
                TEST(nominated_pods_keep_their_place),
                TEST(the_nominated_node_comes_first),
                TEST(rules_between_pods_are_tried_out_too),
                TEST(so_many_candidates_are_enough),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
