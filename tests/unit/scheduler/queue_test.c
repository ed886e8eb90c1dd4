/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "scheduler/queue.h"
#include "unit/scheduler/sched_world.h"

#define S     1000000000ULL
#define FIT   (1u << PLUGIN_NODE_RESOURCES_FIT)
#define TAINT (1u << PLUGIN_TAINT_TOLERATION)

static struct sched_world w;
static struct queue q;

static int setup(void **unused)
{
        sched_world_init(&w);
        queue_init(&q);
        return 0;
}

static int teardown(void **unused)
{
        queue_deinit(&q);
        sched_world_deinit(&w);
        return 0;
}

static struct pod *pod(const char *name, const char *spec)
{
        return sched_world_pod(&w, name, "'app':'p'", spec, NULL);
}

static void expect(uint64_t now, const char *want)
{
        struct pod *got = queue_pop(&q);

        if (!want)
                assert_null(got);
        else if (!got)
                fail_msg("nothing instead of %s", want);
        else
                assert_string_equal(got->view->name, want);
}

static void node_event(enum cluster_event event, struct node *n, uint64_t now)
{
        const struct cluster_change change = {.event = event, .state = &w.state, .node = n};

        queue_event(&q, "test", &change, now);
}

static void by_priority_and_then_by_time(void **unused)
{
        struct pod *low1 = pod("low1", ""), *low2 = pod("low2", ""), *high = pod("high", "'priority':9"),
                   *lowest = pod("lowest", "'priority':-1");

        queue_add(&q, lowest, 1);
        queue_add(&q, low1, 2);
        queue_add(&q, low2, 3);
        queue_add(&q, high, 4);
        assert_int_equal(queue_count(&q, QUEUE_ACTIVE), 4);
        expect(5, "high");
        expect(5, "low1");
        expect(5, "low2");
        expect(5, "lowest");
        expect(5, NULL);
}

/* In any order of adds and removals the heap stays one. */
static void removal_from_the_middle(void **unused)
{
        struct pod *pods[50];
        int32_t last = INT32_MAX;

        for (int i = 0; i < 50; i++) {
                char spec[40], name[8];

                snprintf(spec, sizeof(spec), "'priority':%d", i * 37 % 50);
                snprintf(name, sizeof(name), "p%d", i);
                pods[i] = pod(name, spec);
                queue_add(&q, pods[i], (uint64_t)i + 1);
        }
        for (int i = 0; i < 50; i += 3)
                queue_remove(&q, pods[i]);
        for (int n = 33; n; n--) {
                struct pod *p = queue_pop(&q);

                assert_non_null(p);
                assert_true(p->view->shape->priority < last);
                last = p->view->shape->priority;
        }
        expect(99, NULL);
}

static void backoff_doubles_up_to_ten_seconds(void **unused)
{
        static const uint64_t want[] = {1, 2, 4, 8, 10, 10};
        struct pod *p = pod("p", "");
        uint64_t now = 5 * S;

        queue_add(&q, p, now);
        for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
                expect(now, "p");
                queue_put_back(&q, p, 0, now);
                assert_int_equal(queue_tick(&q, now), now + want[i] * S);
                queue_tick(&q, now + want[i] * S - 1);
                expect(now, NULL);
                now += want[i] * S;
                queue_tick(&q, now);
        }
        assert_int_equal(p->item.attempts, ARRAY_SIZE(want));
}

static void gated_pods_wait_for_their_gates(void **unused)
{
        struct pod *p = pod("p", "'schedulingGates':[{'name':'a'}]"), *open = pod("p", "");

        queue_add(&q, p, 1);
        expect(1, NULL);
        assert_int_equal(queue_count(&q, QUEUE_GATED), 1);
        queue_tick(&q, 400 * S);
        expect(400 * S, NULL);
        /* the gate is removed: its view is another */
        queue_remove(&q, p);
        queue_add(&q, open, 2);
        expect(2, "p");
}

/* Only what the plugins that rejected it listen to, and only when it may help. */
static void an_unschedulable_pod_waits_for_what_concerns_it(void **unused)
{
        struct node *small, *large;
        struct pod *p = pod("p", "'containers':[{'resources':{'requests':{'cpu':'6'}}}]");

        small = sched_world_node(&w, "small", NULL, NULL);
        large = sched_world_node_json(&w,
                                      "{'metadata':{'name':'large'},'status':{'allocatable':{'cpu':'8','pods':'9'}}}");
        queue_add(&q, p, 1);
        expect(1, "p");
        queue_put_back(&q, p, FIT, 1 * S);
        assert_int_equal(queue_count(&q, QUEUE_UNSCHEDULABLE), 1);
        node_event(EVENT_NODE_TAINT, large, 10 * S);
        node_event(EVENT_NODE_LABEL, large, 10 * S);
        node_event(EVENT_NODE_ADD, small, 10 * S);
        expect(10 * S, NULL);
        node_event(EVENT_NODE_ALLOCATABLE, large, 10 * S);
        expect(10 * S, "p");
        /* rejected by two: either may help */
        queue_put_back(&q, p, FIT | TAINT, 10 * S);
        node_event(EVENT_NODE_TAINT, small, 30 * S);
        expect(30 * S, "p");
}

/* An event does not shorten the backoff. */
static void a_woken_pod_backs_off_first(void **unused)
{
        struct pod *p = pod("p", "");
        struct node *n = sched_world_node(&w, "n", NULL, NULL);

        queue_add(&q, p, 1);
        expect(1, "p");
        queue_put_back(&q, p, FIT, 1 * S);
        node_event(EVENT_NODE_ADD, n, 1 * S + 1);
        assert_int_equal(queue_count(&q, QUEUE_BACKOFF), 1);
        expect(1 * S + 1, NULL);
        queue_tick(&q, 2 * S);
        expect(2 * S, "p");
}

static void after_five_minutes_it_is_tried_anyway(void **unused)
{
        struct pod *p = pod("p", "");

        queue_add(&q, p, 1);
        expect(1, "p");
        queue_put_back(&q, p, TAINT, 0);
        for (uint64_t t = 0; t < 300 * S; t += 7 * S)
                queue_tick(&q, t);
        expect(300 * S, NULL);
        queue_tick(&q, 340 * S);
        expect(340 * S, "p");
}

static void a_changed_pod_is_tried_again_after_its_backoff(void **unused)
{
        struct pod *p = pod("p", "");

        queue_add(&q, p, 1);
        expect(1, "p");
        queue_put_back(&q, p, FIT, 1 * S);
        queue_update(&q, p, 1 * S + 5);
        queue_update(&q, p, 1 * S + 6);
        expect(1 * S + 6, NULL);
        assert_int_equal(q.rejected_by[PLUGIN_NODE_RESOURCES_FIT], 0);
        queue_tick(&q, 2 * S);
        expect(2 * S, "p");
        queue_put_back(&q, p, FIT, 2 * S);
        queue_update(&q, p, 90 * S);
        expect(90 * S, "p");
}

/* ---- hints about pods ---- */

struct hint_row {
        const char *what;
        enum plugin_id plugin;
        const char *rejected, *labels, *spec; /* the pod that waits; the one that comes or goes */
        enum cluster_event event;
        bool wakes;
};

#define ANTI(app)                                                                                                      \
        "'affinity':{'podAntiAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':[{'topologyKey':'h',"         \
        "'labelSelector':{'matchLabels':{'app':'" app "'}}}]}}"
#define WITH(app)                                                                                                      \
        "'affinity':{'podAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':[{'topologyKey':'h',"             \
        "'labelSelector':{'matchLabels':{'app':'" app "'}}}]}}"
#define SPREAD                                                                                                         \
        "'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'h','whenUnsatisfiable':'DoNotSchedule',"             \
        "'labelSelector':{'matchLabels':{'app':'p'}}}]"
#define PORT(n) "'containers':[{'ports':[{'hostPort':" n "}]}]"

static const struct hint_row hints[] = {
        {"a wanted pod comes", PLUGIN_INTER_POD_AFFINITY, WITH("x"), "'app':'x'", "", EVENT_POD_ADD, true},
        {"another one comes", PLUGIN_INTER_POD_AFFINITY, WITH("x"), "'app':'y'", "", EVENT_POD_ADD, false},
        {"a hated pod goes", PLUGIN_INTER_POD_AFFINITY, ANTI("x"), "'app':'x'", "", EVENT_POD_DELETE, true},
        {"a pod that hates it goes", PLUGIN_INTER_POD_AFFINITY, "", "", ANTI("p"), EVENT_POD_DELETE, true},
        {"one that hates others goes", PLUGIN_INTER_POD_AFFINITY, "", "", ANTI("x"), EVENT_POD_DELETE, false},
        {"a sibling goes", PLUGIN_POD_TOPOLOGY_SPREAD, SPREAD, "'app':'p'", "", EVENT_POD_DELETE, true},
        {"a sibling comes: the least may be more", PLUGIN_POD_TOPOLOGY_SPREAD, SPREAD, "'app':'p'", "", EVENT_POD_ADD,
         true},
        {"no sibling", PLUGIN_POD_TOPOLOGY_SPREAD, SPREAD, "'app':'q'", "", EVENT_POD_DELETE, false},
        {"the port is given back", PLUGIN_NODE_PORTS, PORT("80"), "", PORT("80"), EVENT_POD_DELETE, true},
        {"another port is", PLUGIN_NODE_PORTS, PORT("80"), "", PORT("81"), EVENT_POD_DELETE, false},
        {"any pod goes", PLUGIN_NODE_RESOURCES_FIT, "", "", "", EVENT_POD_DELETE, true},
        {"a pod comes", PLUGIN_NODE_RESOURCES_FIT, "", "", "", EVENT_POD_ADD, false},
        {"a taint is not a pod's business", PLUGIN_TAINT_TOLERATION, "", "", "", EVENT_POD_DELETE, false},
};

static void pods_wake_whom_they_concern(void **unused)
{
        for (size_t i = 0; i < ARRAY_SIZE(hints); i++) {
                const struct hint_row *row = &hints[i];
                struct pod *waiting = pod("w", row->rejected),
                           *other = sched_world_pod(&w, "o", row->labels, row->spec, NULL);
                const struct cluster_change change = {
                        .event = row->event, .state = &w.state, .pod = other->view->shape};

                queue_add(&q, waiting, 1);
                queue_pop(&q);
                queue_put_back(&q, waiting, 1u << row->plugin, 1);
                queue_event(&q, "test", &change, 20 * S);
                if ((queue_count(&q, QUEUE_ACTIVE) == 1) != row->wakes)
                        fail_msg("%s: %s", row->what, row->wakes ? "it sleeps on" : "it is woken");
                queue_remove(&q, waiting);
                sched_world_pod_gone(&w, waiting);
                sched_world_pod_gone(&w, other);
        }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(by_priority_and_then_by_time),
                TEST(removal_from_the_middle),
                TEST(backoff_doubles_up_to_ten_seconds),
                TEST(gated_pods_wait_for_their_gates),
                TEST(an_unschedulable_pod_waits_for_what_concerns_it),
                TEST(a_woken_pod_backs_off_first),
                TEST(after_five_minutes_it_is_tried_anyway),
                TEST(a_changed_pod_is_tried_again_after_its_backoff),
                TEST(pods_wake_whom_they_concern),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
