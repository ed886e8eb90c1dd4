/* SPDX-License-Identifier: Apache-2.0 */
/* What each filter says about which node, in upstream's words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "unit/scheduler/sched_world.h"

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

/* spec, and what is said of it on the nodes that the test has made. */
struct row {
        const char *spec, *want;
};

static void check_labelled(const char *labels, const struct row *rows, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                struct pod *pod = sched_world_pod(&w, "p", labels, rows[i].spec, NULL);
                const char *got = sched_world_filter(&w, pod);

                if (strcmp(got, rows[i].want) != 0)
                        fail_msg("%s:\n got  %s\n want %s", rows[i].spec, got, rows[i].want);
                sched_world_pod_gone(&w, pod);
        }
}

#define check(rows) check_labelled("'app':'p'", rows, ARRAY_SIZE(rows))

static void cordoned_nodes(void **unused)
{
        static const struct row rows[] = {
                {"", "a=!node(s) were unschedulable b=fits"},
                {"'tolerations':[{'key':'node.kubernetes.io/unschedulable','effect':'NoSchedule','operator':'Exists'}]",
                 "a=fits b=fits"},
                {"'tolerations':[{'operator':'Exists'}]", "a=fits b=fits"},
                {"'tolerations':[{'key':'node.kubernetes.io/unschedulable','effect':'NoExecute','operator':'Exists'}]",
                 "a=!node(s) were unschedulable b=fits"},
        };

        sched_world_node(&w, "a", NULL, "'spec':{'unschedulable':true}");
        sched_world_node(&w, "b", NULL, NULL);
        check(rows);
}

static void taints(void **unused)
{
#define DEDICATED "a=!node(s) had untolerated taint {dedicated: db}"
#define GONE      "b=!node(s) had untolerated taint {gone: }"
        static const struct row rows[] = {
                {"", DEDICATED " " GONE " c=fits"},
                {"'tolerations':[{'key':'dedicated','value':'db'}]", "a=fits " GONE " c=fits"},
                {"'tolerations':[{'key':'dedicated','operator':'Equal','value':'web'}]", DEDICATED " " GONE " c=fits"},
                {"'tolerations':[{'key':'dedicated','operator':'Exists','effect':'NoSchedule'}]",
                 "a=fits " GONE " c=fits"},
                {"'tolerations':[{'key':'dedicated','operator':'Exists','effect':'NoExecute'}]",
                 DEDICATED " " GONE " c=fits"},
                {"'tolerations':[{'key':'gone'}]", DEDICATED " b=fits c=fits"},
                {"'tolerations':[{'operator':'Exists'}]", "a=fits b=fits c=fits"},
                {"'tolerations':[{'operator':'Exists','effect':'NoExecute'}]", DEDICATED " b=fits c=fits"},
        };

        sched_world_node(&w, "a", NULL, "'spec':{'taints':[{'key':'dedicated','value':'db','effect':'NoSchedule'}]}");
        sched_world_node(&w, "b", NULL, "'spec':{'taints':[{'key':'gone','effect':'NoExecute'}]}");
        sched_world_node(&w, "c", NULL, "'spec':{'taints':[{'key':'soft','effect':'PreferNoSchedule'}]}");
        check(rows);
}

#define AFFINITY(terms)                                                                                                \
        "'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':{'nodeSelectorTerms':[" terms    \
        "]}}}"
#define EXPR(key, op, values) "{'matchExpressions':[{'key':'" key "','operator':'" op "','values':[" values "]}]}"
#define NO                    "!node(s) didn't match Pod's node affinity/selector"

static void node_selectors_and_affinity(void **unused)
{
        static const struct row rows[] = {
                {"'nodeSelector':{'disk':'ssd'}", "a=fits b=" NO " c=" NO},
                {"'nodeSelector':{'disk':'ssd','size':'7'}", "a=fits b=" NO " c=" NO},
                {AFFINITY(EXPR("disk", "In", "'ssd','hdd'")), "a=fits b=fits c=" NO},
                {AFFINITY(EXPR("disk", "NotIn", "'ssd'")), "a=" NO " b=fits c=fits"},
                {AFFINITY(EXPR("disk", "Exists", "")), "a=fits b=fits c=" NO},
                {AFFINITY(EXPR("disk", "DoesNotExist", "")), "a=" NO " b=" NO " c=fits"},
                {AFFINITY(EXPR("size", "Gt", "'7'")), "a=" NO " b=fits c=" NO},
                {AFFINITY(EXPR("size", "Lt", "'8'")), "a=fits b=" NO " c=" NO},
                {AFFINITY(EXPR("size", "Gt", "'seven'")), "a=" NO " b=" NO " c=" NO},
                {AFFINITY(EXPR("disk", "In", "'ssd'") "," EXPR("size", "Gt", "'8'")), "a=fits b=fits c=" NO},
                {AFFINITY(""), "a=" NO " b=" NO " c=" NO},
                {AFFINITY("{}"), "a=" NO " b=" NO " c=" NO},
                {AFFINITY("{'matchFields':[{'key':'metadata.name','operator':'In','values':['b']}]}"),
                 "a=" NO " b=fits c=" NO},
                {AFFINITY("{'matchFields':[{'key':'metadata.name','operator':'NotIn','values':['b']}]}"),
                 "a=fits b=" NO " c=fits"},
                {"'nodeSelector':{'disk':'hdd'}," AFFINITY(EXPR("size", "Lt", "'8'")), "a=" NO " b=" NO " c=" NO},
        };

        sched_world_node(&w, "a", "'disk':'ssd','size':'7'", NULL);
        sched_world_node(&w, "b", "'disk':'hdd','size':'9'", NULL);
        sched_world_node(&w, "c", NULL, NULL);
        check(rows);
}

#define PORT(ip, protocol, port)                                                                                       \
        "'containers':[{'ports':[{'hostIP':'" ip "','protocol':'" protocol "','hostPort':" port "}]}]"

static void host_ports(void **unused)
{
#define BUSY "a=node(s) didn't have free ports for the requested pod ports b=fits"
        static const struct row rows[] = {
                {PORT("", "TCP", "80"), BUSY},
                {PORT("", "UDP", "80"), "a=fits b=fits"},
                {PORT("", "TCP", "81"), "a=fits b=fits"},
                {PORT("127.0.0.1", "TCP", "80"), BUSY},
                {PORT("127.0.0.1", "TCP", "90"), BUSY},
                {PORT("127.0.0.2", "TCP", "90"), "a=fits b=fits"},
                {PORT("0.0.0.0", "TCP", "90"), BUSY},
                {"'containers':[{'ports':[{'containerPort':80}]}]", "a=fits b=fits"},
        };

        sched_world_node(&w, "a", NULL, NULL);
        sched_world_node(&w, "b", NULL, NULL);
        sched_world_pod(&w, "x", NULL, PORT("0.0.0.0", "TCP", "80"), "a");
        sched_world_pod(&w, "y", NULL, PORT("127.0.0.1", "TCP", "90"), "a");
        check(rows);
}

#define ASK(list) "'containers':[{'resources':{'requests':{" list "}}}]"

static void resources(void **unused)
{
        static const struct row rows[] = {
                {"", "a=fits full=Too many pods"},
                {ASK("'cpu':'1','memory':'2Gi'"), "a=fits full=Too many pods"},
                {ASK("'cpu':'1001m'"), "a=Insufficient cpu full=Too many pods"},
                {ASK("'cpu':'4001m'"), "a=!Insufficient cpu full=!Too many pods; Insufficient cpu"},
                {ASK("'cpu':'2','memory':'7Gi'"), "a=Insufficient cpu; Insufficient memory full=Too many pods"},
                {ASK("'ephemeral-storage':'1'"),
                 "a=!Insufficient ephemeral-storage full=!Too many pods; Insufficient ephemeral-storage"},
                {ASK("'example.com/gpu':'1'"), "a=fits full=!Too many pods; Insufficient example.com/gpu"},
                {ASK("'example.com/gpu':'2'"),
                 "a=Insufficient example.com/gpu full=!Too many pods; Insufficient example.com/gpu"},
                {ASK("'example.com/gpu':'0'"), "a=fits full=Too many pods"},
                {ASK("'hugepages-2Mi':'2Mi'"),
                 "a=!Insufficient hugepages-2Mi full=!Too many pods; Insufficient hugepages-2Mi"},
        };

        sched_world_node_json(&w,
                              "{'metadata':{'name':'a'},'status':{'allocatable':{'cpu':'4','memory':'8Gi','pods':'9',"
                              "'example.com/gpu':'2'}}}");
        sched_world_node_json(&w, "{'metadata':{'name':'full'},'status':{'allocatable':{'cpu':'4','memory':'8Gi',"
                                  "'pods':'1'}}}");
        sched_world_pod(&w, "x", NULL, ASK("'cpu':'3','memory':'6Gi','example.com/gpu':'1'"), "a");
        sched_world_pod(&w, "y", NULL, "", "full");
        check(rows);
}

/* ---- topology spread ---- */

#define SPREAD(skew, key, more)                                                                                        \
        "'topologySpreadConstraints':[{'maxSkew':" skew ",'topologyKey':'" key                                         \
        "','whenUnsatisfiable':'DoNotSchedule','labelSelector':{'matchLabels':{'app':'p'}}" more "}]"
#define SKEWED "node(s) didn't match pod topology spread constraints"
#define LACKS  "!node(s) didn't match pod topology spread constraints (missing required label)"

/* Zones: x has a1 (2 pods), a2 (1); y has b (1); z has c (none); d has no zone. */
static void make_zones(void)
{
        sched_world_node(&w, "a1", "'zone':'x'", NULL);
        sched_world_node(&w, "a2", "'zone':'x','disk':'ssd'", NULL);
        sched_world_node(&w, "b", "'zone':'y','disk':'ssd'", NULL);
        sched_world_node(&w, "c", "'zone':'z'", "'spec':{'taints':[{'key':'t','effect':'NoSchedule'}]}");
        sched_world_node(&w, "d", NULL, NULL);
        sched_world_pod(&w, "1", "'app':'p','v':'1'", "", "a1");
        sched_world_pod(&w, "2", "'app':'p','v':'1'", "", "a1");
        sched_world_pod(&w, "3", "'app':'p','v':'2'", "", "a2");
        sched_world_pod(&w, "4", "'app':'p','v':'2'", "", "b");
        sched_world_pod(&w, "5", "'app':'other'", "", "b");
        sched_world_pod_json(&w,
                             "{'metadata':{'namespace':'default','name':'6','labels':{'app':'p'},'deletionTimestamp':"
                             "'2026-01-01T00:00:00Z'}}",
                             "b");
        sched_world_pod_json(&w, "{'metadata':{'namespace':'elsewhere','name':'7','labels':{'app':'p'}}}", "b");
}

#define T "c=!node(s) had untolerated taint {t: } "

static void spread_over_zones(void **unused)
{
        static const struct row rows[] = {
                /* x 3, y 1, z 0: with itself 4, 2, 1, each against the least, 0 */
                {SPREAD("1", "zone", ""), "a1=" SKEWED " a2=" SKEWED " b=" SKEWED " " T "d=" LACKS},
                {SPREAD("2", "zone", ""), "a1=" SKEWED " a2=" SKEWED " b=fits " T "d=" LACKS},
                {SPREAD("4", "zone", ""), "a1=fits a2=fits b=fits " T "d=" LACKS},
                /* z does not count: its taint is honoured; the least is y's 1 */
                {SPREAD("1", "zone", ",'nodeTaintsPolicy':'Honor'"),
                 "a1=" SKEWED " a2=" SKEWED " b=fits " T "d=" LACKS},
                {SPREAD("3", "zone", ",'nodeTaintsPolicy':'Honor'"), "a1=fits a2=fits b=fits " T "d=" LACKS},
                /* two zones where three should be: the least counts as 0 */
                {SPREAD("1", "zone", ",'nodeTaintsPolicy':'Honor','minDomains':3"),
                 "a1=" SKEWED " a2=" SKEWED " b=" SKEWED " " T "d=" LACKS},
                /* a1 and c are none of this pod's: x 1 (of a2), y 1 */
                {SPREAD("1", "zone", "") ",'nodeSelector':{'disk':'ssd'}", "a1=" NO " a2=fits b=fits " T "d=" NO},
                {SPREAD("1", "zone", ",'nodeAffinityPolicy':'Ignore'") ",'nodeSelector':{'disk':'ssd'}",
                 "a1=" NO " a2=" SKEWED " b=" SKEWED " " T "d=" NO},
        };

        make_zones();
        check(rows);
}

/* matchLabelKeys: only pods of its own v. v=2: x 1, y 1, z 0. */
static void spread_among_those_with_the_same_label(void **unused)
{
        static const struct row rows[] = {
                {SPREAD("1", "zone", ",'matchLabelKeys':['v','none']"),
                 "a1=" SKEWED " a2=" SKEWED " b=" SKEWED " " T "d=" LACKS},
                {SPREAD("2", "zone", ",'matchLabelKeys':['v','none']"), "a1=fits a2=fits b=fits " T "d=" LACKS},
        };

        make_zones();
        check_labelled("'app':'p','v':'2'", rows, ARRAY_SIZE(rows));
}

/* A pod that its own selector does not match does not add itself: x 3, y 1, z 0. */
static void spread_of_others(void **unused)
{
        static const struct row rows[] = {
                {SPREAD("1", "zone", ""), "a1=" SKEWED " a2=" SKEWED " b=fits " T "d=" LACKS},
        };

        make_zones();
        check_labelled("'app':'observer'", rows, ARRAY_SIZE(rows));
}

/* ---- affinity between pods ---- */

#define BESIDE(kind, terms) "'affinity':{'" kind "':{'requiredDuringSchedulingIgnoredDuringExecution':[" terms "]}}"
#define TERM(app, more)     "{'topologyKey':'zone','labelSelector':{'matchLabels':{'app':'" app "'}}" more "}"
#define ALONE               "!node(s) didn't match pod affinity rules"
#define HATES               "node(s) didn't match pod anti-affinity rules"
#define HATED               "node(s) didn't satisfy existing pods anti-affinity rules"

static void make_neighbours(void)
{
        sched_world_node(&w, "a1", "'zone':'x'", NULL);
        sched_world_node(&w, "a2", "'zone':'x'", NULL);
        sched_world_node(&w, "b", "'zone':'y'", NULL);
        sched_world_node(&w, "d", NULL, NULL);
        state_set_namespace(&w.state, "default", sched_world_json("{}"));
        state_set_namespace(&w.state, "team", sched_world_json("{'kind':'team'}"));
        sched_world_pod(&w, "1", "'app':'db','tier':'1'", "", "a1");
        sched_world_pod_json(&w, "{'metadata':{'namespace':'team','name':'2','labels':{'app':'db'}}}", "b");
        sched_world_pod(&w, "3", "'app':'web'", "", "d");
}

static void pods_that_want_company(void **unused)
{
        static const struct row rows[] = {
                {BESIDE("podAffinity", TERM("db", "")), "a1=fits a2=fits b=" ALONE " d=" ALONE},
                {BESIDE("podAffinity", TERM("db", ",'namespaces':['team']")),
                 "a1=" ALONE " a2=" ALONE " b=fits d=" ALONE},
                {BESIDE("podAffinity", TERM("db", ",'namespaceSelector':{}")), "a1=fits a2=fits b=fits d=" ALONE},
                {BESIDE("podAffinity", TERM("db", ",'namespaceSelector':{'matchLabels':{'kind':'team'}}")),
                 "a1=" ALONE " a2=" ALONE " b=fits d=" ALONE},
                {BESIDE("podAffinity", TERM("web", "")), "a1=" ALONE " a2=" ALONE " b=" ALONE " d=" ALONE},
                /* the first of its own group may begin, where there is a zone */
                {BESIDE("podAffinity", TERM("p", "")), "a1=fits a2=fits b=fits d=" ALONE},
                {BESIDE("podAffinity", TERM("nobody", "")), "a1=" ALONE " a2=" ALONE " b=" ALONE " d=" ALONE},
                /* all terms must hold, and of one pod */
                {BESIDE("podAffinity",
                        TERM("db", "") ",{'topologyKey':'zone','labelSelector':{'matchLabels':{'tier':'1'}}}"),
                 "a1=fits a2=fits b=" ALONE " d=" ALONE},
                {BESIDE("podAffinity", TERM("db", "") "," TERM("web", "")),
                 "a1=" ALONE " a2=" ALONE " b=" ALONE " d=" ALONE},
        };

        make_neighbours();
        check(rows);
}

static void pods_that_want_distance(void **unused)
{
        static const struct row rows[] = {
                {BESIDE("podAntiAffinity", TERM("db", "")), "a1=" HATES " a2=" HATES " b=fits d=fits"},
                {BESIDE("podAntiAffinity", TERM("db", ",'namespaceSelector':{}")),
                 "a1=" HATES " a2=" HATES " b=" HATES " d=fits"},
                {BESIDE("podAntiAffinity", TERM("p", "")), "a1=fits a2=fits b=fits d=fits"},
        };

        make_neighbours();
        check(rows);
}

/* Those that are there have said so: the newcomer has no rules. */
static void pods_that_are_kept_at_a_distance(void **unused)
{
        static const struct row rows[] = {
                {"", "a1=" HATED " a2=" HATED " b=fits d=fits"},
                {BESIDE("podAntiAffinity", TERM("db", "")), "a1=" HATES " a2=" HATES " b=fits d=fits"},
        };
        struct pod *hater;

        make_neighbours();
        hater = sched_world_pod(&w, "4", NULL, BESIDE("podAntiAffinity", TERM("p", "")), "a2");
        check(rows);
        sched_world_pod_gone(&w, hater);
        check(((const struct row[]){{"", "a1=fits a2=fits b=fits d=fits"}}));
}

/* matchLabelKeys and mismatchLabelKeys. */
static void company_by_the_same_label(void **unused)
{
        static const struct row rows[] = {
                {BESIDE("podAffinity", TERM("db", ",'matchLabelKeys':['tier']")),
                 "a1=fits a2=fits b=" ALONE " d=" ALONE},
                {BESIDE("podAntiAffinity", TERM("db", ",'mismatchLabelKeys':['tier']")),
                 "a1=fits a2=fits b=fits d=fits"},
        };

        make_neighbours();
        check_labelled("'app':'p','tier':'1'", rows, ARRAY_SIZE(rows));
        check_labelled("'app':'p','tier':'2'",
                       (const struct row[]){{BESIDE("podAntiAffinity", TERM("db", ",'mismatchLabelKeys':['tier']")),
                                             "a1=" HATES " a2=" HATES " b=fits d=fits"}},
                       1);
}

/* ---- volumes ---- */

#define CLAIM "'volumes':[{'name':'v','persistentVolumeClaim':{'claimName':'data'}}]"

static void volumes(void **unused)
{
        struct volumes *v = &w.state.volumes;
        struct atoms *atoms = &w.state.atoms;

        sched_world_node(&w, "a", "'zone':'x'", NULL);
        sched_world_node(&w, "b", "'zone':'y'", NULL);
        check(((const struct row[]){{CLAIM, "persistentvolumeclaim \"data\" not found"}}));
        volumes_set_claim(v, atoms, "default/data", sched_world_json("{'status':{'phase':'Pending'}}"));
        check(((const struct row[]){
                {CLAIM, "pod has unbound PersistentVolumeClaims, which this scheduler leaves to others to bind"}}));
        volumes_set_claim(v, atoms, "default/data",
                          sched_world_json("{'spec':{'volumeName':'pv'},'status':{'phase':'Bound'}}"));
        volumes_set_volume(
                v, atoms, "pv",
                sched_world_json("{'spec':{'nodeAffinity':{'required':{'nodeSelectorTerms':["
                                 "{'matchExpressions':[{'key':'zone','operator':'In','values':['y']}]}]}}}}"));
        check(((const struct row[]){{CLAIM, "a=!node(s) didn't match PersistentVolume's node affinity b=fits"},
                                    {"'resourceClaims':[{'name':'gpu'}]",
                                     "pod has resource claims, which this scheduler does not allocate"},
                                    {"'volumes':[{'name':'v','ephemeral':{}}]",
                                     "waiting for ephemeral volume controller to create the persistentvolumeclaim "
                                     "\"p-v\""}}));
}

/* ---- messages ---- */

static void messages_are_counted_and_sorted(void **unused)
{
        struct pod *big = sched_world_pod(&w, "big", NULL, ASK("'cpu':'5'"), NULL);

        assert_string_equal(sched_world_schedule(&w, big), "no nodes available to schedule pods");
        for (int i = 0; i < 11; i++) {
                char name[8];

                snprintf(name, sizeof(name), "n%d", i);
                sched_world_node(&w, name, NULL, NULL);
        }
        sched_world_node(&w, "t1", NULL, "'spec':{'taints':[{'key':'k','value':'v','effect':'NoSchedule'}]}");
        sched_world_node(&w, "t2", NULL, "'spec':{'taints':[{'key':'k','value':'v','effect':'NoSchedule'}]}");
        sched_world_node(&w, "u", NULL, "'spec':{'unschedulable':true}");
        assert_string_equal(
                sched_world_schedule(&w, big),
                "0/14 nodes are available: 1 node(s) were unschedulable, 11 Insufficient cpu, 2 node(s) had "
                "untolerated taint {k: v}.");
        assert_int_equal(w.diagnosis.plugins, 1 << PLUGIN_NODE_UNSCHEDULABLE | 1 << PLUGIN_TAINT_TOLERATION |
                                                      1 << PLUGIN_NODE_RESOURCES_FIT);
}

/* As pods of DaemonSets have it: one node, by name. */
static void a_pod_for_one_node_looks_at_no_other(void **unused)
{
        const char *spec = AFFINITY("{'matchFields':[{'key':'metadata.name','operator':'In','values':['n7']}]}");
        struct pod *one = sched_world_pod(&w, "one", NULL, spec, NULL);

        for (int i = 0; i < 10; i++) {
                char name[8];

                snprintf(name, sizeof(name), "n%d", i);
                sched_world_node(&w, name, NULL, NULL);
        }
        assert_string_equal(sched_world_schedule(&w, one), "n7");
        sched_world_pod(&w, "x", NULL, ASK("'cpu':'4'"), "n7");
        assert_string_equal(sched_world_schedule(&w, one), "n7");
        sched_world_pod_gone(&w, one);
        one = sched_world_pod(&w, "one", NULL,
                              AFFINITY("{'matchFields':[{'key':'metadata.name','operator':'In',"
                                       "'values':['n7']}]}") "," ASK("'cpu':'1'"),
                              NULL);
        assert_string_equal(sched_world_schedule(&w, one),
                            "0/10 nodes are available: 1 Insufficient cpu, 9 node(s) didn't "
                            "satisfy plugin(s) [NodeAffinity].");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(cordoned_nodes),
                TEST(taints),
                TEST(node_selectors_and_affinity),
                TEST(host_ports),
                TEST(resources),
                TEST(spread_over_zones),
                TEST(spread_among_those_with_the_same_label),
                TEST(spread_of_others),
                TEST(pods_that_want_company),
                TEST(pods_that_want_distance),
                TEST(pods_that_are_kept_at_a_distance),
                TEST(company_by_the_same_label),
                TEST(volumes),
                TEST(messages_are_counted_and_sorted),
                TEST(a_pod_for_one_node_looks_at_no_other),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
