/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/kubelet/node/admission.h"
#include "base/mem.h"
#include "base/str.h"

#define NODE                                                                                                           \
        "{'metadata':{'name':'n1','labels':{'disk':'ssd','cores':'8','kubernetes.io/os':'linux'}},"                    \
        "'spec':{'taints':[{'key':'soft','effect':'NoSchedule'},{'key':'hard','value':'v','effect':'NoExecute'}]},"    \
        "'status':{'features':{'supplementalGroupsPolicy':false},'allocatable':{'cpu':'1','memory':'1000',"            \
        "'ephemeral-storage':'5000','pods':'3','hugepages-2Mi':'4Mi','x.org/dongle':'2'}}}"
#define TOLERATES  "'tolerations':[{'operator':'Exists'}]"
#define POD(spec)  "{'metadata':{'uid':'new'},'spec':{" TOLERATES "," spec "}}"
#define ASKS(list) "{'name':'c','resources':{'requests':{" list "}}}"
#define ONE(list)  POD("'containers':[" ASKS(list) "]")
#define TERM(list)                                                                                                     \
        POD("'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':"                            \
            "{'nodeSelectorTerms':[" list "]}}}")
#define EXPRESSION(key, op, values)                                                                                    \
        TERM("{'matchExpressions':[{'key':'" key "','operator':'" op "','values':[" values "]}]}")

#define AFFINITY "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
#define PORTS    "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
#define SHORT(what, requested, used, capacity)                                                                         \
        "Node didn't have enough resource: " what ", requested: " requested ", used: " used ", capacity: " capacity

/* With single quotes, for readable tables. */
static struct json_object *parsed(const char *text)
{
        _cleanup_free_ char *copy = mem_strdup(text);
        struct json_object *o = NULL;

        for (char *s = copy; *s; s++)
                if (*s == '\'')
                        *s = '"';
        assert_int_equal(json_parse(copy, strlen(copy), &o, NULL), 0);
        return o;
}

struct row {
        const char *pod, *others[3], *reason, *message; /* reason NULL: it fits */
};

static void check(const struct row *row)
{
        _cleanup_json_ struct json_object *node = parsed(NODE), *pod = parsed(row->pod);
        struct json_object *others[3] = {0};
        struct err err = ERR_NULL;
        char reason[64] = "";
        size_t n = 0;
        int r;

        while (n < ARRAY_SIZE(others) && row->others[n]) {
                others[n] = parsed(row->others[n]);
                n++;
        }
        r = admission_check(pod, (const struct json_object *const *)others, n, node, reason, &err);
        if ((r != 0) != (row->reason != NULL) || (r && strcmp(reason, row->reason) != 0) ||
            (r && strcmp(err.msg, row->message) != 0))
                fail_msg("%s:\n%d %s %s", row->pod, r, reason, err.msg);
        for (size_t i = 0; i < n; i++)
                json_object_put(others[i]);
}

static void resources_are_counted_as_the_scheduler_does(void **state)
{
        static const struct row rows[] = {
                {ONE("'cpu':'200m'"), {ONE("'cpu':'800m'")}, NULL, NULL},
                {ONE("'cpu':'500m'"), {ONE("'cpu':'800m'")}, "OutOfcpu", SHORT("cpu", "500", "800", "1000")},
                {ONE("'memory':'600'"), {ONE("'memory':'600'")}, "OutOfmemory", SHORT("memory", "600", "600", "1000")},
                {ONE("'ephemeral-storage':'6k'"),
                 {NULL},
                 "OutOfephemeral-storage",
                 SHORT("ephemeral-storage", "6000", "0", "5000")},
                {ONE("'x.org/dongle':'2'"),
                 {ONE("'x.org/dongle':'1'")},
                 "OutOfx.org/dongle",
                 SHORT("x.org/dongle", "2", "1", "2")},
                {ONE("'x.org/other':'2'"), {NULL}, NULL, NULL}, /* the cluster's, perhaps */
                {ONE("'hugepages-1Gi':'1Gi'"),
                 {NULL},
                 "OutOfhugepages-1Gi",
                 SHORT("hugepages-1Gi", "1073741824", "0", "0")},
                {ONE("'cpu':'0'"), {ONE("'cpu':'3'")}, NULL, NULL}, /* nothing is asked for, nothing is short */
                {ONE(""), {ONE(""), ONE(""), ONE("")}, "OutOfpods", SHORT("pods", "1", "3", "3")},
                /* overhead comes on top */
                {POD("'overhead':{'cpu':'300m'},'containers':[" ASKS("'cpu':'800m'") "]"),
                 {NULL},
                 "OutOfcpu",
                 SHORT("cpu", "1100", "0", "1000")},
                /* init containers run before, sidecars beside */
                {POD("'containers':[" ASKS("'cpu':'600m'") "],'initContainers':[" ASKS("'cpu':'1'") "]"),
                 {NULL},
                 NULL,
                 NULL},
                {POD("'containers':[" ASKS("'cpu':'600m'") "],'initContainers':[{'restartPolicy':'Always','resources':"
                                                           "{'requests':{'cpu':'500m'}}}]"),
                 {NULL},
                 "OutOfcpu",
                 SHORT("cpu", "1100", "0", "1000")},
                /* the pod's own budget instead of the sum */
                {POD("'resources':{'requests':{'cpu':'700m'}},'containers':[" ASKS("'cpu':'2'") "]"),
                 {NULL},
                 NULL,
                 NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                check(&rows[i]);
}

static void the_node_must_be_one_that_the_pod_allows(void **state)
{
        static const struct row rows[] = {
                {POD("'nodeSelector':{'disk':'ssd'}"), {NULL}, NULL, NULL},
                {POD("'nodeSelector':{'disk':'hdd'}"), {NULL}, "NodeAffinity", AFFINITY},
                {EXPRESSION("disk", "In", "'hdd','ssd'"), {NULL}, NULL, NULL},
                {EXPRESSION("disk", "NotIn", "'ssd'"), {NULL}, "NodeAffinity", AFFINITY},
                {EXPRESSION("gpu", "NotIn", "'a'"), {NULL}, NULL, NULL},
                {EXPRESSION("gpu", "Exists", ""), {NULL}, "NodeAffinity", AFFINITY},
                {EXPRESSION("gpu", "DoesNotExist", ""), {NULL}, NULL, NULL},
                {EXPRESSION("cores", "Gt", "'7'"), {NULL}, NULL, NULL},
                {EXPRESSION("cores", "Lt", "'8'"), {NULL}, "NodeAffinity", AFFINITY},
                {EXPRESSION("disk", "Gt", "'7'"), {NULL}, "NodeAffinity", AFFINITY},
                {EXPRESSION("disk", "Like", "'ssd'"), {NULL}, "NodeAffinity", AFFINITY},
                {TERM("{}"), {NULL}, "NodeAffinity", AFFINITY},
                {TERM("{'matchFields':[{'key':'metadata.name','operator':'In','values':['n2']}]},"
                      "{'matchFields':[{'key':'metadata.name','operator':'In','values':['n1']}]}"),
                 {NULL},
                 NULL,
                 NULL},
                {POD("'nodeName':'n1'"), {NULL}, NULL, NULL},
                {POD("'nodeName':'n2'"),
                 {NULL},
                 "NodeName",
                 "Predicate NodeName failed: node(s) didn't match the requested node name"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                check(&rows[i]);
}

#define PORT(more)   POD("'containers':[{'ports':[{'containerPort':1,'hostPort':80" more "}]}]")
#define SIDECAR_PORT POD("'initContainers':[{'restartPolicy':'Always','ports':[{'hostPort':80}]}]")
#define INIT_PORT    POD("'initContainers':[{'ports':[{'hostPort':80}]}]")

static void host_ports_belong_to_one_pod(void **state)
{
        static const struct row rows[] = {
                {PORT(""), {PORT("")}, "NodePorts", PORTS},
                {PORT(",'protocol':'UDP'"), {PORT("")}, NULL, NULL},
                {PORT(",'hostIP':'192.0.2.1'"), {PORT(",'hostIP':'192.0.2.2'")}, NULL, NULL},
                {PORT(",'hostIP':'192.0.2.1'"), {PORT(",'hostIP':'0.0.0.0'")}, "NodePorts", PORTS},
                {PORT(""), {SIDECAR_PORT}, "NodePorts", PORTS},
                {PORT(""), {INIT_PORT}, NULL, NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                check(&rows[i]);
}

#define TAINT "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"

static void taints_that_execute_keep_pods_away(void **state)
{
        static const struct row rows[] = {
                {"{'spec':{}}", {NULL}, "TaintToleration", TAINT},
                {"{'spec':{'tolerations':[{'key':'hard','value':'v'}]}}", {NULL}, NULL, NULL},
                {"{'spec':{'tolerations':[{'key':'hard','value':'w'}]}}", {NULL}, "TaintToleration", TAINT},
                {"{'spec':{'tolerations':[{'key':'hard','operator':'Exists','effect':'NoExecute'}]}}",
                 {NULL},
                 NULL,
                 NULL},
                {"{'spec':{'tolerations':[{'operator':'Exists','effect':'NoSchedule'}]}}",
                 {NULL},
                 "TaintToleration",
                 TAINT},
                {"{'metadata':{'annotations':{'kubernetes.io/config.source':'file'}},'spec':{}}", {NULL}, NULL, NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                check(&rows[i]);
}

static void what_this_kind_of_node_cannot_run_is_refused(void **state)
{
        static const struct row rows[] = {
                {POD("'os':{'name':'windows'}"),
                 {NULL},
                 "PodOSNotSupported",
                 "Failed to admit pod as the OS field doesn't match node OS"},
                {"{'metadata':{'labels':{'kubernetes.io/os':'windows'}},'spec':{" TOLERATES "}}",
                 {NULL},
                 "PodOSSelectorNodeLabelDoesNotMatch",
                 "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"},
                {POD("'securityContext':{'supplementalGroupsPolicy':'Strict'}"),
                 {NULL},
                 "SupplementalGroupsPolicyNotSupported",
                 "SupplementalGroupsPolicy=Strict is not supported in this node"},
                {POD("'os':{'name':'linux'}"), {NULL}, NULL, NULL},
                {"{'spec':{" TOLERATES ",'containers':7,'nodeSelector':[],'affinity':{'nodeAffinity':3}}}",
                 {NULL},
                 NULL,
                 NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                check(&rows[i]);
}

struct preemption {
        const char *pod, *others[3], *victims; /* "-x-" */
};

#define CRITICAL(cpu)    "{'spec':{'priority':2000001000," TOLERATES ",'containers':[" ASKS("'cpu':'" cpu "'") "]}}"
#define PRIORITY(p, cpu) "{'spec':{'priority':" p "," TOLERATES ",'containers':[" ASKS("'cpu':'" cpu "'") "]}}"
#define STATIC(cpu)                                                                                                    \
        "{'metadata':{'annotations':{'kubernetes.io/config.source':'file'}},'spec':{'containers':[" ASKS("'cpu':'" cpu \
                                                                                                         "'") "]}}"

static void room_is_made_by_the_least_important(void **state)
{
        static const struct preemption rows[] = {
                {CRITICAL("500m"), {PRIORITY("0", "500m"), PRIORITY("10", "500m")}, "x-"},
                {CRITICAL("500m"), {PRIORITY("10", "500m"), PRIORITY("0", "100m"), PRIORITY("5", "400m")}, "-xx"},
                {CRITICAL("1"), {PRIORITY("0", "500m"), PRIORITY("10", "500m")}, "xx"},
                {CRITICAL("2"), {PRIORITY("0", "500m"), PRIORITY("10", "500m")}, "--"},
                {CRITICAL("600m"), {STATIC("500m"), PRIORITY("10", "500m")}, "--"},
                {CRITICAL("500m"), {STATIC("500m"), PRIORITY("10", "500m")}, "-x"},
                {CRITICAL("500m"), {PRIORITY("2000000000", "500m"), PRIORITY("2000001000", "500m")}, "x-"},
                {STATIC("500m"), {PRIORITY("2000000000", "500m"), PRIORITY("7", "500m")}, "-x"},
                {CRITICAL("0"), {PRIORITY("3", "1"), PRIORITY("2", "1"), PRIORITY("1", "1")}, "--x"}, /* a place */
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_json_ struct json_object *node = parsed(NODE), *pod = parsed(rows[i].pod);
                struct json_object *others[3] = {0};
                char got[4] = "";
                bool victims[3] = {0};
                size_t n = strlen(rows[i].victims);

                for (size_t k = 0; k < n; k++)
                        others[k] = parsed(rows[i].others[k]);
                admission_preempt(pod, (const struct json_object *const *)others, n, node, victims);
                for (size_t k = 0; k < n; k++) {
                        got[k] = victims[k] ? 'x' : '-';
                        json_object_put(others[k]);
                }
                if (strcmp(got, rows[i].victims) != 0)
                        fail_msg("row %zu: %s", i, got);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(resources_are_counted_as_the_scheduler_does),
                cmocka_unit_test(the_node_must_be_one_that_the_pod_allows),
                cmocka_unit_test(host_ports_belong_to_one_pod),
                cmocka_unit_test(taints_that_execute_keep_pods_away),
                cmocka_unit_test(what_this_kind_of_node_cannot_run_is_refused),
                cmocka_unit_test(room_is_made_by_the_least_important),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
