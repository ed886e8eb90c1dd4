/* SPDX-License-Identifier: Apache-2.0 */
/* What may change in a pod, through which door. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "apiserver/kinds/kinds.h"
#include "unit/apiserver/kinds_harness.h"
#include "unit/apiserver/kinds_texts.h"

#define BASE                                                                                                           \
        "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'p','namespace':'default','resourceVersion':'1'},"         \
        "'spec':{'containers':[{'name':'c','image':'nginx:1.25'}],'initContainers':[{'name':'i','image':'a:1'}]}}"

static const struct kinds_suite suite = {.ops = &kind_pods, .version = "v1", .base = BASE};

#define FORBIDDEN                                                                                                      \
        "spec: Forbidden: pod updates may not change fields other than "                                               \
        "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "   \
        "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if "   \
        "it "                                                                                                          \
        "was previously negative)\n"
#define SPEC(fields) "{'spec':{" fields "}}"

static void a_pod_changes_in_few_ways(void **state)
{
        static const struct kinds_update_row rows[] = {
                {NULL, "{'metadata':{'labels':{'a':'b'}}}", ""},
                {NULL, SPEC("'nodeName':'n'"), FORBIDDEN "+ nodeName: \"n\"\n"},
                {NULL, SPEC("'restartPolicy':'Never'"),
                 FORBIDDEN "- restartPolicy: \"Always\"\n+ restartPolicy: \"Never\"\n"},
                {NULL, SPEC("'containers':[]"),
                 "spec.containers: Forbidden: pod updates may not add or remove containers"},
                {NULL, SPEC("'initContainers':null"),
                 "spec.initContainers: Forbidden: pod updates may not add or remove containers"},
                {NULL, SPEC("'activeDeadlineSeconds':10"), ""},
                {SPEC("'activeDeadlineSeconds':10"), SPEC("'activeDeadlineSeconds':9"), ""},
                {SPEC("'activeDeadlineSeconds':10"), SPEC("'activeDeadlineSeconds':11"),
                 "spec.activeDeadlineSeconds: Invalid value: 11: must be less than or equal to previous value"},
                {SPEC("'activeDeadlineSeconds':10"), SPEC("'activeDeadlineSeconds':null"),
                 "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil "
                 "value"},
                {NULL, SPEC("'activeDeadlineSeconds':-1"), "spec.activeDeadlineSeconds: Invalid value: -1: " TEXT_ID},
                {SPEC("'tolerations':[{'key':'a','operator':'Exists'}]"),
                 SPEC("'tolerations':[{'key':'b','operator':'Exists'},{'key':'a','operator':'Exists',"
                      "'tolerationSeconds':1}]"),
                 ""},
                {SPEC("'tolerations':[{'key':'a','operator':'Exists'}]"), SPEC("'tolerations':null"),
                 "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"},
                {SPEC("'terminationGracePeriodSeconds':-5"), SPEC("'terminationGracePeriodSeconds':1"), ""},
                {NULL, SPEC("'terminationGracePeriodSeconds':1"),
                 FORBIDDEN "- terminationGracePeriodSeconds: 30\n+ terminationGracePeriodSeconds: 1\n"},
                {"{'metadata':{'annotations':{'kubernetes.io/config.mirror':'x'}}}",
                 "{'metadata':{'annotations':null}}",
                 "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not remove or update mirror pod "
                 "annotation"},
                {NULL, "{'metadata':{'annotations':{'kubernetes.io/config.mirror':'x'}}}",
                 "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not add mirror pod annotation"},
        };

        kinds_check_update(&suite, rows, ARRAY_SIZE(rows));
}

static void images_may_change(void **state)
{
        static const struct kinds_suite one = {
                .ops = &kind_pods,
                .version = "v1",
                .base = "{'spec':{'containers':[{'name':'c','image':'a:1','imagePullPolicy':'Always',"
                        "'terminationMessagePath':'/x','terminationMessagePolicy':'File'}]}}",
        };
        static const struct kinds_update_row rows[] = {
                {NULL,
                 SPEC("'containers':[{'name':'c','image':'a:2','imagePullPolicy':'Always',"
                      "'terminationMessagePath':'/x','terminationMessagePolicy':'File'}]"),
                 ""},
                {NULL,
                 SPEC("'containers':[{'name':'d','image':'a:2','imagePullPolicy':'Always',"
                      "'terminationMessagePath':'/x','terminationMessagePolicy':'File'}]"),
                 FORBIDDEN "- containers: [{\"name\":\"c\",\"image\":\"a:1\",\"imagePullPolicy\":\"Always\","
                           "\"terminationMessagePath\":\"/x\",\"terminationMessagePolicy\":\"File\"}]\n"
                           "+ containers: [{\"name\":\"d\",\"image\":\"a:1\",\"imagePullPolicy\":\"Always\","
                           "\"terminationMessagePath\":\"/x\",\"terminationMessagePolicy\":\"File\"}]\n"},
        };

        kinds_check_update(&one, rows, ARRAY_SIZE(rows));
}

#define REQUIRED(terms)                                                                                                \
        "'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':{'nodeSelectorTerms':" terms "}" \
        "}"                                                                                                            \
        "}"
#define TERMS "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"

static void a_gated_pod_may_be_narrowed_down(void **state)
{
        static const struct kinds_update_row rows[] = {
                {SPEC("'schedulingGates':[{'name':'a'},{'name':'b'}]"), SPEC("'schedulingGates':[{'name':'b'}]"), ""},
                {SPEC("'schedulingGates':[{'name':'a'}]"), SPEC("'schedulingGates':[{'name':'b'}]"),
                 "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate "
                 "'b'"},
                {SPEC("'schedulingGates':[{'name':'a'}],'nodeSelector':{'a':'b'}"), SPEC("'nodeSelector':{'c':'d'}"),
                 ""},
                {SPEC("'schedulingGates':[{'name':'a'}],'nodeSelector':{'a':'b'}"), SPEC("'nodeSelector':{'a':'d'}"),
                 "spec.nodeSelector: Invalid value: {\"a\":\"d\"}: only additions to spec.nodeSelector are allowed (no "
                 "mutations or deletions)"},
                {NULL, SPEC("'nodeSelector':{'a':'d'}"), FORBIDDEN "+ nodeSelector: {\"a\":\"d\"}\n"},
                {SPEC("'schedulingGates':[{'name':'a'}]"),
                 SPEC(REQUIRED("[{'matchExpressions':[{'key':'a','operator':'Exists'}]}]")), ""},
                {SPEC("'schedulingGates':[{'name':'a'}]," REQUIRED(
                         "[{'matchExpressions':[{'key':'a','operator':'Exists'}]}]")),
                 SPEC(REQUIRED("[{'matchExpressions':[{'key':'a','operator':'Exists'},{'key':'b',"
                               "'operator':'Exists'}]}]")),
                 ""},
                {SPEC("'schedulingGates':[{'name':'a'}]," REQUIRED(
                         "[{'matchExpressions':[{'key':'a','operator':'Exists'}]}]")),
                 SPEC(REQUIRED("[{'matchExpressions':[{'key':'b','operator':'Exists'}]}]")),
                 TERMS "[0]: Invalid value: {\"matchExpressions\":[{\"key\":\"b\",\"operator\":\"Exists\"}]}: only "
                       "additions are allowed (no mutations or deletions)"},
                {SPEC("'schedulingGates':[{'name':'a'}]," REQUIRED("[{'matchExpressions':[]}]")),
                 SPEC(REQUIRED("[{},{}]")),
                 TERMS ": Invalid value: [{},{}]: no additions/deletions to non-empty NodeSelectorTerms list are "
                       "allowed"},
        };

        kinds_check_update(&suite, rows, ARRAY_SIZE(rows));
}

static void ephemeral_containers_only_come(void **state)
{
        static const struct kinds_suite door = {
                .ops = &kind_pods, .version = "v1", .subresource = "ephemeralcontainers", .base = BASE};
        static const struct kinds_update_row rows[] = {
                {NULL, SPEC("'ephemeralContainers':[{'name':'e','image':'a:1'}]"), ""},
                {SPEC("'ephemeralContainers':[{'name':'e','image':'a:1'}]"), SPEC("'ephemeralContainers':null"),
                 "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"e\" may not be removed\n"},
                {SPEC("'ephemeralContainers':[{'name':'e','image':'a:1'}]"),
                 SPEC("'ephemeralContainers':[{'name':'e','image':'a:2'}]"),
                 "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"e\" may not be changed\n"
                 "- image: \"a:1\"\n+ image: \"a:2\"\n"},
                {"{'metadata':{'annotations':{'kubernetes.io/config.mirror':'x'}}}", "{}",
                 ": Forbidden: static pods do not support ephemeral containers"},
        };

        kinds_check_update(&door, rows, ARRAY_SIZE(rows));
}

#define SIZED(resources) SPEC("'containers':[{'name':'c','image':'a:1','resources':{" resources "}}]")

static void a_resize_changes_cpu_and_memory(void **state)
{
        static const struct kinds_suite door = {
                .ops = &kind_pods, .version = "v1", .subresource = "resize", .base = BASE};
        static const struct kinds_update_row rows[] = {
                {SIZED("'requests':{'cpu':'1'}"), SIZED("'requests':{'cpu':'2','memory':'1Gi'}"), ""},
                {SIZED("'requests':{'cpu':'1'}"), SIZED("'limits':{'memory':'1Gi'},'requests':{'cpu':'1'}"),
                 "spec.containers[0].resources.limits[memory]: Forbidden: memory limits cannot be added unless "
                 "resizePolicy is RestartContainer"},
                {SIZED("'requests':{'cpu':'1','memory':'1Gi'}"), SIZED("'requests':{'cpu':'1'}"),
                 "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed"},
                {SIZED("'requests':{'cpu':'1'}"), SIZED("'requests':{'cpu':'1','ephemeral-storage':'1'}"),
                 "spec: Forbidden: only cpu and memory resources are mutable"},
                {SIZED(""), SIZED("'requests':{'cpu':'1'}"),
                 "spec: Invalid value: \"BestEffort\": Pod QOS Class may not change as a result of resizing"},
                {SIZED("'requests':{'cpu':'1'}"), SPEC("'nodeName':'x'"),
                 "spec: Forbidden: only cpu and memory resources are mutable"},
                {SPEC("'os':{'name':'windows'}"), "{}", ": Forbidden: windows pods cannot be resized"},
        };

        kinds_check_update(&door, rows, ARRAY_SIZE(rows));
}

#define STATUS(fields) "{'status':{" fields "}}"

static void a_status_keeps_to_its_rules(void **state)
{
        static const struct kinds_suite door = {
                .ops = &kind_pods, .version = "v1", .subresource = "status", .base = BASE};
        static const struct kinds_update_row rows[] = {
                {NULL, STATUS("'phase':'Running','podIP':'10.0.0.1','conditions':[{'type':'Ready','status':'True'}]"),
                 ""},
                {NULL, STATUS("'podIP':'x'"), "status.podIPs[0]: Invalid value: \"x\": " TEXT_IP},
                {NULL, STATUS("'podIPs':[{'ip':'10.0.0.1'},{'ip':'10.0.0.2'}]"),
                 "status.podIPs: Invalid value: [{\"ip\":\"10.0.0.1\"},{\"ip\":\"10.0.0.2\"}]: may specify no more "
                 "than one IP for each IP family"},
                {NULL, STATUS("'podIPs':[{'ip':'10.0.0.1'},{'ip':'fd00::1'}]"), ""},
                {NULL, STATUS("'hostIP':'10.0.0.1','hostIPs':[{'ip':'10.0.0.2'}]"),
                 "status.hostIPs[0].ip: Invalid value: \"10.0.0.2\": must be equal to `hostIP`"},
                {STATUS("'qosClass':'BestEffort'"), STATUS("'qosClass':'Burstable'"),
                 "status.qosClass: Invalid value: \"Burstable\": field is immutable"},
                {STATUS("'qosClass':'BestEffort'"), STATUS("'qosClass':null"), ""},
                {NULL, STATUS("'nominatedNodeName':'A'"),
                 "status.nominatedNodeName: Invalid value: \"A\": " TEXT_SUBDOMAIN},
                {NULL, STATUS("'conditions':[{'type':'-'}]"),
                 "metadata.conditions[0].Type: Invalid value: \"-\": " TEXT_QUALIFIED},
                {"{'spec':{'restartPolicy':'Never'},'status':{'containerStatuses':[{'name':'c','state':{"
                 "'terminated':{'exitCode':1}}}]}}",
                 STATUS("'containerStatuses':[{'name':'c','state':{'running':{}}}]"),
                 "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"},
                {"{'spec':{'restartPolicy':'OnFailure'},'status':{'containerStatuses':[{'name':'c','state':{"
                 "'terminated':{'exitCode':1}}}]}}",
                 STATUS("'containerStatuses':[{'name':'c','state':{'running':{}}}]"), ""},
                {"{'spec':{'restartPolicy':'OnFailure'},'status':{'containerStatuses':[{'name':'c','state':{"
                 "'terminated':{'exitCode':0}}}]}}",
                 STATUS("'containerStatuses':[{'name':'c','state':{'running':{}}}]"),
                 "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"},
        };

        kinds_check_status(&door, rows, ARRAY_SIZE(rows));
}

static void claims_change_their_size_only(void **state)
{
        static const struct kinds_suite claims = {
                .ops = &kind_persistentvolumeclaims,
                .version = "v1",
                .base = "{'metadata':{'name':'c'},'spec':{'accessModes':['ReadWriteOnce'],'resources':{'requests':{"
                        "'storage':'1Gi'}}}}",
        };
        static const struct kinds_row defaults[] = {
                {"{}", "{'spec':{'volumeMode':'Filesystem'},'status':{'phase':'Pending'}}"},
                {"{'spec':{'dataSource':{'kind':'PersistentVolumeClaim','name':'x'}}}",
                 "{'spec':{'dataSourceRef':{'kind':'PersistentVolumeClaim','name':'x'}}}"},
        };
        static const struct kinds_row rows[] = {
                {"{}", ""},
                {"{'spec':{'accessModes':null}}",
                 "spec.accessModes: Required value: at least 1 access mode is required"},
                {"{'spec':{'accessModes':['x']}}",
                 "spec.accessModes: Unsupported value: \"x\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", "
                 "\"ReadWriteOnce\", \"ReadWriteOncePod\""},
                {"{'spec':{'accessModes':['ReadWriteOnce','ReadWriteOncePod']}}",
                 "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"},
                {"{'spec':{'resources':null}}", "spec.resources[storage]: Required value"},
                {"{'spec':{'resources':{'requests':{'storage':'0'}}}}",
                 "spec.resources[storage]: Invalid value: \"0\": must be greater than zero"},
                {"{'spec':{'storageClassName':'A'}}", "spec.storageClassName: Invalid value: \"A\": " TEXT_SUBDOMAIN},
                {"{'spec':{'volumeMode':'x'}}",
                 "spec.volumeMode: Unsupported value: \"x\": supported values: \"Block\", \"Filesystem\""},
                {"{'spec':{'dataSource':{'kind':'Secret','name':'x'},'dataSourceRef':{'kind':'Secret','name':'x'}}}",
                 "spec.dataSource: Invalid value: \"Secret\": must be 'PersistentVolumeClaim' when referencing the "
                 "default apiGroup\n"
                 "spec.dataSourceRef: Invalid value: \"Secret\": must be 'PersistentVolumeClaim' when referencing the "
                 "default apiGroup"},
        };
        static const struct kinds_update_row updates[] = {
                {NULL, "{'spec':{'volumeName':'v'}}", ""},
                {"{'spec':{'volumeName':'v'}}", "{'spec':{'volumeName':'w'}}",
                 "spec: Forbidden: spec is immutable after creation except resources.requests and "
                 "volumeAttributesClassName for bound claims"},
                {NULL, "{'spec':{'storageClassName':'a'}}", ""},
                {NULL, "{'spec':{'resources':{'requests':{'storage':'2Gi'}}}}",
                 "spec: Forbidden: spec is immutable after creation except resources.requests and "
                 "volumeAttributesClassName for bound claims"},
        };

        kinds_check_defaults(&claims, defaults, ARRAY_SIZE(defaults));
        kinds_check_validate(&claims, rows, ARRAY_SIZE(rows));
        kinds_check_update(&claims, updates, ARRAY_SIZE(updates));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_pod_changes_in_few_ways),        cmocka_unit_test(images_may_change),
                cmocka_unit_test(a_gated_pod_may_be_narrowed_down), cmocka_unit_test(ephemeral_containers_only_come),
                cmocka_unit_test(a_resize_changes_cpu_and_memory),  cmocka_unit_test(a_status_keeps_to_its_rules),
                cmocka_unit_test(claims_change_their_size_only),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
