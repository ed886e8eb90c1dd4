/* SPDX-License-Identifier: Apache-2.0 */
/* Scores, worked out by hand from upstream's formulas; the comments show the arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "unit/scheduler/sched_world.h"

#define ASK(list) "'containers':[{'resources':{'requests':{" list "}}}]"

static struct sched_world w;

static int setup(void **unused)
{
        sched_world_init(&w);
        return 0;
}

static int teardown(void **unused)
{
        sched_world_deinit(&w);
        return 0;
}

struct row {
        const char *spec, *want;
};

static void check(enum plugin_id plugin, const char *labels, const struct row *rows, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                struct pod *pod = sched_world_pod(&w, "p", labels, rows[i].spec, NULL);
                const char *got = sched_world_score(&w, pod, plugin);

                if (strcmp(got, rows[i].want) != 0)
                        fail_msg("%s:\n got  %s\n want %s", rows[i].spec, got, rows[i].want);
                sched_world_pod_gone(&w, pod);
        }
}

/* Nodes: a empty (4 CPUs, 8Gi), b with 1 CPU and 1Gi used, c with 2 CPUs and nothing told about memory, d without CPU.
 */
static void make_nodes(void)
{
        sched_world_node(&w, "a", NULL, NULL);
        sched_world_node(&w, "b", NULL, NULL);
        sched_world_node(&w, "c", NULL, NULL);
        sched_world_node_json(&w, "{'metadata':{'name':'d'},'status':{'allocatable':{'memory':'1Gi','pods':'9'}}}");
        sched_world_pod(&w, "x", NULL, ASK("'cpu':'1','memory':'1Gi'"), "b");
        sched_world_pod(&w, "y", NULL, ASK("'cpu':'2'"), "c");
}

static void least_allocated(void **unused)
{
        static const struct row rows[] = {
                /* a: cpu (4000-1000)*100/4000 = 75, memory (8192-2048)*100/8192 = 75.
                 * b: 50, (8192-3072)*100/8192 = 62.5 -> 62; (50+62)/2 = 56.
                 * c: 25, used 200Mi+2048Mi: 5944*100/8192 = 72.55 -> 72; (25+72)/2 = 48.5 -> 48.
                 * d: memory alone: 2048 > 1024 -> 0. */
                {ASK("'cpu':'1','memory':'2Gi'"), "a=75 b=56 c=48 d=0"},
                /* nothing asked for counts as 100m, 200Mi: a: 3900*100/4000 = 97.5 -> 97, 7992*100/8192 = 97.55 -> 97.
                 * b: 2900*100/4000 = 72.5 -> 72, (8192-1224)*100/8192 = 85.05 -> 85; 78.5 -> 78.
                 * c: 1900*100/4000 = 47.5 -> 47, (8192-400)*100/8192 = 95.1 -> 95; 71. d: 824*100/1024 = 80.4 -> 80 */
                {"'containers':[{}]", "a=97 b=78 c=71 d=80"},
        };

        make_nodes();
        check(PLUGIN_NODE_RESOURCES_FIT, NULL, rows, ARRAY_SIZE(rows));
}

static void balanced_allocation(void **unused)
{
        static const struct row rows[] = {
                /* a: 0.25 and 0.25: 100. b: 0.5 and 0.375: (1-0.0625)*100 = 93.75 -> 93.
                 * c: 0.75 and 0.25 (exact requests: no default): 75. d: one resource: 100 */
                {ASK("'cpu':'1','memory':'2Gi'"), "a=100 b=93 c=75 d=100"},
                /* fractions above 1 count as 1: a: 1 and 0: 50; b: 1 and 0.125: 56.25 -> 56; c: 1 and 0: 50 */
                {ASK("'cpu':'5'"), "a=50 b=56 c=50 d=100"},
                {"'containers':[{}]", "skip"},
        };

        make_nodes();
        check(PLUGIN_NODE_RESOURCES_BALANCED_ALLOCATION, NULL, rows, ARRAY_SIZE(rows));
}

static void taint_toleration(void **unused)
{
        static const struct row rows[] = {
                /* 0, 1, 3 that it does not tolerate: 100 - 0, 100 - 33, 100 - 100 */
                {"", "a=100 b=67 c=0"},
                {"'tolerations':[{'key':'1','operator':'Exists'}]", "a=100 b=100 c=0"},
                /* tolerations of other effects do not count */
                {"'tolerations':[{'key':'1','operator':'Exists','effect':'NoSchedule'}]", "a=100 b=67 c=0"},
                {"'tolerations':[{'operator':'Exists','effect':'PreferNoSchedule'}]", "a=100 b=100 c=100"},
        };

#define SOFT(key) "{'key':'" key "','effect':'PreferNoSchedule'}"
        sched_world_node(&w, "a", NULL, NULL);
        sched_world_node(&w, "b", NULL, "'spec':{'taints':[" SOFT("1") "]}");
        sched_world_node(&w, "c", NULL, "'spec':{'taints':[" SOFT("1") "," SOFT("2") "," SOFT("3") "]}");
        check(PLUGIN_TAINT_TOLERATION, NULL, rows, ARRAY_SIZE(rows));
}

#define PREFER(list) "'affinity':{'nodeAffinity':{'preferredDuringSchedulingIgnoredDuringExecution':[" list "]}}"
#define LIKE(weight, key, value)                                                                                       \
        "{'weight':" weight ",'preference':{'matchExpressions':[{'key':'" key "','operator':'In','values':['" value    \
        "']}]}}"

static void node_affinity(void **unused)
{
        static const struct row rows[] = {
                {"", "skip"},
                {PREFER(LIKE("7", "disk", "ssd")), "a=100 b=100 c=0"},
                /* 30, 50, 20 -> 60, 100, 40 */
                {PREFER(LIKE("30", "disk", "ssd") "," LIKE("20", "zone", "y")), "a=60 b=100 c=40"},
                /* 3, 7, 4 -> 42.8, 100, 57.1 */
                {PREFER(LIKE("3", "disk", "ssd") "," LIKE("4", "zone", "y")), "a=42 b=100 c=57"},
                {PREFER(LIKE("9", "disk", "none")), "a=0 b=0 c=0"},
        };

        sched_world_node(&w, "a", "'disk':'ssd','zone':'x'", NULL);
        sched_world_node(&w, "b", "'disk':'ssd','zone':'y'", NULL);
        sched_world_node(&w, "c", "'zone':'y'", NULL);
        check(PLUGIN_NODE_AFFINITY, NULL, rows, ARRAY_SIZE(rows));
}

static void image_locality(void **unused)
{
        static const struct row rows[] = {
                {"'containers':[{'image':'nowhere:1'}]", "skip"},
                /* 500 MiB on 1 of 2 nodes: 250; (250-23)/(1000-23) = 23.2 */
                {"'containers':[{'image':'big:1'}]", "a=23 b=0"},
                /* on both: 300; 277/977 = 28.3 */
                {"'containers':[{'image':'repo/both'}]", "a=28 b=28"},
                /* two containers: a 250+300 = 550: 527/1977 = 26.6; b 300: 277/1977 = 14.01 */
                {"'containers':[{'image':'big:1'},{'image':'repo/both:latest'}]", "a=26 b=14"},
                {"'containers':[{'image':'big:1'}],'initContainers':[{'image':'none'}]", "a=11 b=0"},
                /* below 23 MiB: nothing */
                {"'containers':[{'image':'small:1'}]", "a=0 b=0"},
        };

#define IMAGE(name, bytes) "{'names':['" name "','alias/" name "'],'sizeBytes':" bytes "}"
        sched_world_node_json(&w, "{'metadata':{'name':'a'},'status':{'images':[" IMAGE("big:1", "524288000") "," IMAGE(
                                          "repo/both:latest", "314572800") "," IMAGE("small:1", "1000") "]}}");
        sched_world_node_json(
                &w, "{'metadata':{'name':'b'},'status':{'images':[" IMAGE("repo/both:latest", "314572800") "]}}");
        check(PLUGIN_IMAGE_LOCALITY, NULL, rows, ARRAY_SIZE(rows));
}

/* ---- spreading ---- */

#define SOFTLY(skew, key)                                                                                              \
        "{'maxSkew':" skew ",'topologyKey':'" key                                                                      \
        "','whenUnsatisfiable':'ScheduleAnyway','labelSelector':{'matchLabels':{'app':'p'}}}"

/* Pods: a 3, b 0, c 1, d 2 (no zone). Zone x has a and b, y has c. */
static void make_zones(void)
{
#define HOST(name) "'kubernetes.io/hostname':'" name "'"
#define ZONE(zone) "'topology.kubernetes.io/zone':'" zone "'"
#define IN(zone)   "," ZONE(zone)
        sched_world_node(&w, "a", HOST("a") IN("x"), NULL);
        sched_world_node(&w, "b", HOST("b") IN("x"), NULL);
        sched_world_node(&w, "c", HOST("c") IN("y"), NULL);
        sched_world_node(&w, "d", HOST("d"), NULL);
        for (int i = 0; i < 3; i++)
                sched_world_pod(&w, "x", "'app':'p'", "", "a");
        sched_world_pod(&w, "x", "'app':'p'", "", "c");
        for (int i = 0; i < 2; i++)
                sched_world_pod(&w, "x", "'app':'p'", "", "d");
}

static void spread_by_its_own_constraints(void **unused)
{
        static const struct row rows[] = {
                {"'topologySpreadConstraints':[]", "skip"},
                /* zone: size 2, weight ln 4 = 1.386; x 3: 4.16 -> 4; y 1: 1.39 -> 1; max 4, min 1:
                 * x 100*(4+1-4)/4 = 25, y 100*(4+1-1)/4 = 100; d lacks the label: 0 */
                {"'topologySpreadConstraints':[" SOFTLY("1", "topology.kubernetes.io/zone") "]", "a=25 b=25 c=100 d=0"},
                /* maxSkew 3 adds 2: 6.16 -> 6, 3.39 -> 3: 100*3/6 = 50, 100 */
                {"'topologySpreadConstraints':[" SOFTLY("3", "topology.kubernetes.io/zone") "]", "a=50 b=50 c=100 d=0"},
                /* hosts: 4, weight ln 6 = 1.792: 3 -> 5.38 -> 5, 0, 1.79 -> 2, 3.58 -> 4; max 5, min 0:
                 * 0, 100, 100*3/5 = 60, 100*1/5 = 20 */
                {"'topologySpreadConstraints':[" SOFTLY("1", "kubernetes.io/hostname") "]", "a=0 b=100 c=60 d=20"},
                /* both: hosts of a, b, c only, weight ln 5 = 1.609; a 4.83+4.16 = 8.99 -> 9, b 0+4.16 -> 4,
                 * c 1.61+1.39 = 3.0 -> 3; max 9 min 3: 100*3/9 = 33, 100*8/9 = 88, 100 */
                {"'topologySpreadConstraints':[" SOFTLY("1", "topology.kubernetes.io/zone") "," SOFTLY(
                         "1", "kubernetes.io/hostname") "]",
                 "a=33 b=88 c=100 d=0"},
        };

        make_zones();
        check(PLUGIN_POD_TOPOLOGY_SPREAD, "'app':'p'", rows, ARRAY_SIZE(rows));
}

static void spread_by_default(void **unused)
{
        /* Of a Service. Hosts: 4 nodes, weight ln 6 = 1.792, maxSkew 3 adds 2; zones: x, y and none: size 3,
         * weight ln 5 = 1.609, maxSkew 5 adds 4.
         * a: 3*1.792+2 + 3*1.609+4 = 16.20 -> 16; b: 2 + 4.83+4 = 10.83 -> 11; c: 3.79 + 5.61 = 9.40 -> 9;
         * d: 2*1.792+2 = 5.58 -> 6, no zone. max 16, min 6: 100*6/16 = 37, 100*11/16 = 68, 100*13/16 = 81, 100 */
        static const struct row rows[] = {{"", "a=37 b=68 c=81 d=100"}};

        make_zones();
        check(PLUGIN_POD_TOPOLOGY_SPREAD, "'app':'p'", (const struct row[]){{"", "skip"}}, 1);
        owners_set(&w.state.owners, &w.state.atoms, OWNER_OTHER, "default/web", sched_world_json("{'app':'p'}"));
        check(PLUGIN_POD_TOPOLOGY_SPREAD, "'app':'p'", rows, ARRAY_SIZE(rows));
        check(PLUGIN_POD_TOPOLOGY_SPREAD, "'app':'q'", (const struct row[]){{"", "skip"}}, 1);
        owners_set(&w.state.owners, &w.state.atoms, OWNER_OTHER, "default/web", NULL);
        check(PLUGIN_POD_TOPOLOGY_SPREAD, "'app':'p'", (const struct row[]){{"", "skip"}}, 1);
}

static void spread_among_the_pods_of_a_controller(void **unused)
{
        struct pod *pod;

        make_zones();
        owners_set(&w.state.owners, &w.state.atoms, OWNER_REPLICA_SET, "default/rs",
                   sched_world_json("{'matchLabels':{'app':'p'}}"));
        pod = sched_world_pod_json(
                &w,
                "{'metadata':{'namespace':'default','name':'p','labels':{'app':'p'},'ownerReferences':"
                "[{'apiVersion':'apps/v1','kind':'ReplicaSet','name':'rs','controller':true}]}}",
                NULL);
        assert_string_equal(sched_world_score(&w, pod, PLUGIN_POD_TOPOLOGY_SPREAD), "a=37 b=68 c=81 d=100");
}

/* ---- affinity between pods ---- */

#define WEIGHTED(weight, app)                                                                                          \
        "{'weight':" weight ",'podAffinityTerm':{'topologyKey':'topology.kubernetes.io/zone','labelSelector':"         \
        "{'matchLabels':{'app':'" app "'}}}}"
#define WITH(kind, list) "'" kind "':{'preferredDuringSchedulingIgnoredDuringExecution':[" list "]}"

static void inter_pod_affinity(void **unused)
{
        static const struct row rows[] = {
                {"", "skip"},
                /* x 3 pods * 5, y 1 * 5, d no zone: 15, 15, 5, 0 of 15 */
                {"'affinity':{" WITH("podAffinity", WEIGHTED("5", "p")) "}", "a=100 b=100 c=33 d=0"},
                /* -15, -15, -5, 0: (s + 15) / 15 */
                {"'affinity':{" WITH("podAntiAffinity", WEIGHTED("5", "p")) "}", "a=0 b=0 c=66 d=100"},
                {"'affinity':{" WITH("podAffinity", WEIGHTED("5", "none")) "}", "skip"},
        };

        make_zones();
        check(PLUGIN_INTER_POD_AFFINITY, "'app':'new'", rows, ARRAY_SIZE(rows));
}

/* Pods that are there wish it, too; what they require counts 1. */
static void affinity_of_those_that_are_there(void **unused)
{
        /* x: 1 (required) + 10, y: -30, d: 0: min -30, max 11: a (41/41) = 100, c 0, d 100*30/41 = 73.2 */
        static const struct row rows[] = {{"", "a=100 b=100 c=0 d=73"}};

        make_zones();
        sched_world_pod(&w, "1", NULL,
                        "'affinity':{'podAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':[{'topologyKey':"
                        "'topology.kubernetes.io/zone','labelSelector':{'matchLabels':{'app':'new'}}}]}}",
                        "a");
        sched_world_pod(&w, "2", NULL, "'affinity':{" WITH("podAffinity", WEIGHTED("10", "new")) "}", "b");
        sched_world_pod(&w, "3", NULL, "'affinity':{" WITH("podAntiAffinity", WEIGHTED("30", "new")) "}", "c");
        check(PLUGIN_INTER_POD_AFFINITY, "'app':'new'", rows, ARRAY_SIZE(rows));
}

/* ---- how many nodes ---- */

static void how_many_nodes_are_enough(void **unused)
{
        static const struct {
                uint32_t nodes, percentage, want;
        } rows[] = {
                {0, 0, 0},       {10, 0, 10},    {100, 0, 100},     {101, 0, 100}, /* 50 % were 50 */
                {300, 0, 144},                                                     /* 48 % */
                {1000, 0, 420},  {5000, 0, 500}, {6000, 0, 300},                   /* 2 % were less than 5 */
                {1000, 70, 700}, {1000, 3, 100}, {1000, 100, 1000},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_int_equal(cycle_enough(rows[i].nodes, rows[i].percentage), rows[i].want);
}

/* Zones by turns, and each cycle begins where the last one ended. */
static void nodes_are_looked_at_in_turn(void **unused)
{
        struct node *const *order;

        sched_world_node(&w, "a", ZONE("x"), NULL);
        sched_world_node(&w, "b", ZONE("x"), NULL);
        sched_world_node(&w, "c", ZONE("x"), NULL);
        sched_world_node(&w, "d", ZONE("y"), NULL);
        sched_world_node(&w, "e", ZONE("y"), NULL);
        order = state_order(&w.state);
        for (int i = 0; i < 5; i++)
                assert_int_equal(order[i]->name->text[0], "adbec"[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(least_allocated),
                TEST(balanced_allocation),
                TEST(taint_toleration),
                TEST(node_affinity),
                TEST(image_locality),
                TEST(spread_by_its_own_constraints),
                TEST(spread_by_default),
                TEST(spread_among_the_pods_of_a_controller),
                TEST(inter_pod_affinity),
                TEST(affinity_of_those_that_are_there),
                TEST(how_many_nodes_are_enough),
                TEST(nodes_are_looked_at_in_turn),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
