/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes, Namespaces, Events, LimitRanges, ResourceQuotas, PersistentVolumes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "apiserver/kinds/kinds.h"
#include "unit/apiserver/kinds_harness.h"
#include "unit/apiserver/kinds_texts.h"

#define SPEC(f)                 "{'spec':{" f "}}"
#define STATUS(f)               "{'status':{" f "}}"
#define ROWS(what, suite, rows) kinds_check_##what(&suite, rows, ARRAY_SIZE(rows))

static void nodes_have_their_rules(void **state)
{
        static const struct kinds_suite nodes = {
                .ops = &kind_nodes, .version = "v1", .base = "{'metadata':{'name':'n'}}"};
        static const struct kinds_row defaults[] = {
                {STATUS("'capacity':{'cpu':'4'}"), STATUS("'allocatable':{'cpu':'4'}")},
                {STATUS("'capacity':{'cpu':'4'},'allocatable':{'cpu':'3'}"), STATUS("'allocatable':{'cpu':'3'}")},
                {SPEC("'podCIDR':'10.0.0.0/24'"), SPEC("'podCIDRs':['10.0.0.0/24']")},
                {SPEC("'podCIDRs':['10.0.0.0/24','fd00::/64']"), SPEC("'podCIDR':'10.0.0.0/24'")},
        };
        static const struct kinds_row rows[] = {
                {"{}", ""},
                {SPEC("'taints':[{'key':'a','effect':'NoSchedule'},{'key':'a','effect':'NoExecute'}]"), ""},
                {SPEC("'taints':[{'key':'a'}]"), "metadata.taints[0].effect: Required value"},
                {SPEC("'taints':[{'key':'a','value':'-','effect':'x'}]"),
                 "metadata.taints[0].value: Invalid value: \"-\": " TEXT_LABEL_VALUE "\n"
                 "metadata.taints[0].effect: Unsupported value: \"x\": supported values: \"NoSchedule\", "
                 "\"PreferNoSchedule\", \"NoExecute\""},
                {SPEC("'taints':[{'key':'a','effect':'NoExecute'},{'key':'a','effect':'NoExecute'}]"),
                 "metadata.taints[1]: Duplicate value: {\"key\":\"a\",\"effect\":\"NoExecute\"}"},
                {STATUS("'capacity':{'cpu':'-1'},'allocatable':{'cpu':'1'}"),
                 "status.capacity.cpu: Invalid value: \"-1\": " TEXT_NEGATIVE},
                {STATUS("'capacity':{'pods':'1'},'allocatable':{'pods':'500m'}"),
                 "status.allocatable.pods: Invalid value: \"500m\": must be an integer"},
                {SPEC("'podCIDRs':['10.0.0.0/24','10.0.1.0/24']"),
                 "spec.podCIDRs: Invalid value: [\"10.0.0.0/24\",\"10.0.1.0/24\"]: may specify no more than one CIDR "
                 "for each IP family"},
                {SPEC("'podCIDRs':['x']"), "spec.podCIDRs[0]: Invalid value: \"x\": must be a valid CIDR value, (e.g. "
                                           "10.9.8.0/24 or 2001:db8::/64)"},
        };
        static const struct kinds_update_row updates[] = {
                {NULL, SPEC("'podCIDR':'10.0.0.0/24','providerID':'a','unschedulable':true"), ""},
                {SPEC("'podCIDR':'10.0.0.0/24'"), SPEC("'podCIDR':'10.0.1.0/24','podCIDRs':null"),
                 "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid"},
                {SPEC("'providerID':'a'"), SPEC("'providerID':'b'"),
                 "spec.providerID: Forbidden: node updates may not change providerID except from \"\" to valid"},
        };
        static const struct kinds_update_row statuses[] = {
                {NULL, STATUS("'addresses':[{'type':'Hostname','address':'n'},{'type':'InternalIP','address':'n'}]"),
                 ""},
                {NULL, STATUS("'addresses':[{'type':'Hostname','address':'n'},{'type':'Hostname','address':'n'}]"),
                 "status.addresses[1]: Duplicate value: {\"type\":\"Hostname\",\"address\":\"n\"}"},
        };

        ROWS(defaults, nodes, defaults);
        ROWS(validate, nodes, rows);
        ROWS(update, nodes, updates);
        ROWS(status, nodes, statuses);
}

static void namespaces_carry_name_and_finalizer(void **state)
{
        static const struct kinds_suite namespaces = {
                .ops = &kind_namespaces, .version = "v1", .base = "{'metadata':{'name':'ns'}}"};
        static const struct kinds_row creates[] = {
                {"{}",
                 "{'metadata':{'labels':{'kubernetes.io/metadata.name':'ns'}},'spec':{'finalizers':['kubernetes']},"
                 "'status':{'phase':'Active'}}"},
                {"{'metadata':{'labels':{'kubernetes.io/metadata.name':'x'}},'spec':{'finalizers':['a.b/c']},"
                 "'status':{'phase':'Terminating'}}",
                 "{'metadata':{'labels':{'kubernetes.io/metadata.name':'ns'}},'spec':{'finalizers':['a.b/c',"
                 "'kubernetes']},'status':{'phase':'Active'}}"},
        };
        static const struct kinds_row rows[] = {
                {"{}", ""},
                {SPEC("'finalizers':['x']"), "spec.finalizers: Invalid value: \"x\": name is neither a standard "
                                             "finalizer name nor is it fully qualified"},
        };
        static const struct kinds_update_row statuses[] = {
                {NULL, STATUS("'phase':'Active'"), ""},
                {NULL, STATUS("'phase':'Terminating'"),
                 "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"},
                {"{'metadata':{'deletionTimestamp':'2026-01-01T00:00:00Z'}}", STATUS("'phase':'Active'"),
                 "status.Phase: Invalid value: \"Active\": may only be 'Terminating' if `deletionTimestamp` is not "
                 "empty"},
        };

        ROWS(create, namespaces, creates);
        ROWS(validate, namespaces, rows);
        ROWS(status, namespaces, statuses);
        assert_null(kind_namespaces.validate_name("a-b"));
        assert_non_null(kind_namespaces.validate_name("a.b"));
}

static void events_are_checked_by_their_group(void **state)
{
        static const struct kinds_suite core = {
                .ops = &kind_core_events,
                .version = "v1",
                .base = "{'metadata':{'name':'e','namespace':'a'},'involvedObject':{'namespace':'a'}}",
        };
        static const struct kinds_suite new = {
                .ops = &kind_events,
                .version = "v1",
                .base = "{'metadata':{'name':'e','namespace':'a'},'regarding':{'namespace':'a'},"
                        "'eventTime':'2026-01-01T00:00:00.000000Z','reportingController':'x.y/z',"
                        "'reportingInstance':'i','action':'a','reason':'r','type':'Normal'}",
        };
        static const struct kinds_row of_core[] = {
                {"{}", ""},
                {"{'involvedObject':{'namespace':'b'}}",
                 "involvedObject.namespace: Invalid value: \"b\": does not match event.namespace"},
                {"{'involvedObject':{'namespace':null}}",
                 "involvedObject.namespace: Invalid value: \"\": does not match event.namespace"},
                {"{'involvedObject':{'namespace':null},'metadata':{'namespace':'default'}}", ""},
                {"{'eventTime':'2026-01-01T00:00:00.000000Z'}",
                 "reportingComponent: Required value\nreportingInstance: Required value\naction: Required value\n"
                 "reason: Required value"},
        };
        static const struct kinds_row of_new[] = {
                {"{}", ""},
                {"{'eventTime':null}", "eventTime: Required value"},
                {"{'type':'x'}", "type: Invalid value: \"x\": has invalid value: x"},
                {"{'reportingController':'-'}", "reportingController: Invalid value: \"-\": " TEXT_QUALIFIED},
                {"{'deprecatedCount':1,'deprecatedSource':{}}", "count: Invalid value: 1: needs to be unset"},
        };
        static const struct kinds_update_row updates[] = {
                {NULL, "{'series':{'count':2}}", ""},
                {NULL, "{'note':'x'}", "note: Invalid value: \"x\": field is immutable"},
        };

        ROWS(validate, core, of_core);
        ROWS(validate, new, of_new);
        ROWS(update, new, updates);
}

static void events_of_both_groups_are_one(void **state)
{
        const struct schema_resource *new = schema_resource_find("events.k8s.io", "v1", "events"),
                                     *core = schema_resource_find("", "v1", "events");
        _cleanup_json_ struct json_object *obj =
                kinds_json("{'apiVersion':'events.k8s.io/v1','kind':'Event','regarding':{'name':'p'},'note':'hello',"
                           "'reportingController':'c','deprecatedCount':3,'reason':'r'}",
                           NULL);
        _cleanup_json_ struct json_object *before = json_copy(obj);
        _cleanup_json_ struct json_object *stored =
                kinds_json("{'apiVersion':'v1','kind':'Event','involvedObject':{'name':'p'},'message':'hello',"
                           "'reportingComponent':'c','count':3,'reason':'r'}",
                           NULL);

        assert_ptr_equal(kind_storage(new), core);
        assert_ptr_equal(kind_storage(core), core);
        kind_to_storage(new, obj);
        assert_true(json_equal(obj, stored));
        kind_from_storage(new, obj);
        assert_true(json_equal(obj, before));
}

static void limit_ranges_are_in_order(void **state)
{
        static const struct kinds_suite limits = {.ops = &kind_limitranges, .version = "v1", .base = "{'spec':{}}"};
#define LIMIT(f) SPEC("'limits':[{" f "}]")
        static const struct kinds_row defaults[] = {
                {LIMIT("'type':'Container','max':{'cpu':'2'},'min':{'memory':'1'}"),
                 LIMIT("'default':{'cpu':'2','memory':null},'defaultRequest':{'cpu':'2','memory':'1'}")},
                {LIMIT("'type':'Pod','max':{'cpu':'2'}"), LIMIT("'default':null,'defaultRequest':null")},
        };
        static const struct kinds_row rows[] = {
                {LIMIT("'type':'Container','max':{'cpu':'2'},'min':{'cpu':'1'}"), ""},
                {LIMIT("'type':'x'"), "spec.limits[0].type: Invalid value: \"x\": must be a standard limit type or "
                                      "fully qualified"},
                {SPEC("'limits':[{'type':'Pod'},{'type':'Pod'}]"), "spec.limits[1].type: Duplicate value: \"Pod\""},
                {LIMIT("'type':'Pod','default':{'cpu':'1'}"),
                 "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"},
                {LIMIT("'type':'Pod','max':{'cpu':'1'},'min':{'cpu':'2'}"),
                 "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1"},
                {LIMIT("'type':'Container','default':{'cpu':'1'},'defaultRequest':{'cpu':'2'}"),
                 "spec.limits[0].defaultRequest[cpu]: Invalid value: \"2\": default request value 2 is greater than "
                 "default limit value 1"},
                {LIMIT("'type':'Pod','maxLimitRequestRatio':{'cpu':'500m'}"),
                 "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"500m\": ratio 500m is less than 1"},
                {LIMIT("'type':'Pod','min':{'cpu':'1'},'max':{'cpu':'2'},'maxLimitRequestRatio':{'cpu':'3'}"),
                 "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"3\": ratio 3 is greater than max/min = "
                 "2.000000"},
                {LIMIT("'type':'PersistentVolumeClaim','max':{'cpu':'1'}"),
                 "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but "
                 "neither was provided"},
                {LIMIT("'type':'Container','max':{'storage':'1'}"),
                 "spec.limits[0].max[storage]: Invalid value: \"storage\": must be a standard resource for "
                 "containers\n"
                 "spec.limits[0].default[storage]: Invalid value: \"storage\": must be a standard resource for "
                 "containers\n"
                 "spec.limits[0].defaultRequest[storage]: Invalid value: \"storage\": must be a standard resource for "
                 "containers"},
        };

        ROWS(defaults, limits, defaults);
        ROWS(validate, limits, rows);
}

static void quotas_name_what_they_bound(void **state)
{
        static const struct kinds_suite quotas = {
                .ops = &kind_resourcequotas, .version = "v1", .base = "{'metadata':{'name':'q'}}"};
#define SELECTOR(f) SPEC("'scopeSelector':{'matchExpressions':[{" f "}]}")
        static const struct kinds_row rows[] = {
                {SPEC("'hard':{'pods':'10','requests.cpu':'1','count/deployments.apps':'2'}"), ""},
                {SPEC("'hard':{'pods':'-1'}"), "spec.hard[pods]: Invalid value: \"-1\": " TEXT_NEGATIVE},
                {SPEC("'hard':{'pods':'1500m'}"), "spec.hard[pods]: Invalid value: \"1500m\": must be an integer"},
                {SPEC("'hard':{'storage':'1'}"),
                 "spec.hard[storage]: Invalid value: \"storage\": must be a standard resource for quota"},
                {SPEC("'scopes':['x']"), "spec.scopes: Invalid value: [\"x\"]: unsupported scope"},
                {SPEC("'scopes':['BestEffort','NotBestEffort']"),
                 "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\"]: conflicting scopes"},
                {SPEC("'scopes':['BestEffort'],'hard':{'cpu':'1'}"),
                 "spec.scopes: Invalid value: [\"BestEffort\"]: unsupported scope applied to resource"},
                {SELECTOR("'scopeName':'PriorityClass','operator':'In'"),
                 "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when "
                 "`operator` is 'In' or 'NotIn' for scope selector"},
                {SELECTOR("'scopeName':'PriorityClass','operator':'x'"),
                 "spec.scopeSelector.matchExpressions.operator: Invalid value: \"x\": not a valid selector operator"},
        };
        static const struct kinds_update_row updates[] = {
                {SPEC("'scopes':['Terminating','BestEffort']"), SPEC("'scopes':['BestEffort','Terminating']"), ""},
                {SPEC("'scopes':['BestEffort']"), SPEC("'scopes':['Terminating']"),
                 "spec.scopes: Invalid value: [\"Terminating\"]: field is immutable"},
        };
        static const struct kinds_update_row statuses[] = {
                {NULL, STATUS("'used':{'pods':'-1'}"), "status.used[pods]: Invalid value: \"-1\": " TEXT_NEGATIVE},
        };

        ROWS(validate, quotas, rows);
        ROWS(update, quotas, updates);
        ROWS(status, quotas, statuses);
}

static void volumes_have_one_source(void **state)
{
        static const struct kinds_suite volumes = {
                .ops = &kind_persistentvolumes,
                .version = "v1",
                .base = "{'metadata':{'name':'v'},'spec':{'accessModes':['ReadWriteOnce'],'capacity':{'storage':'1Gi'},"
                        "'hostPath':{'path':'/x'}}}",
        };
        static const struct kinds_row creates[] = {
                {"{}", "{'spec':{'persistentVolumeReclaimPolicy':'Retain','volumeMode':'Filesystem','hostPath':{"
                       "'type':''}},'status':{'phase':'Pending','lastPhaseTransitionTime':'2023-11-14T22:13:20Z'}}"},
        };
        static const struct kinds_row rows[] = {
                {"{}", ""},
                {SPEC("'accessModes':null"), "spec.accessModes: Required value"},
                {SPEC("'capacity':{'storage':'0'}"),
                 "spec.capacity[storage]: Invalid value: \"0\": must be greater than zero"},
                {SPEC("'persistentVolumeReclaimPolicy':'x'"),
                 "spec.persistentVolumeReclaimPolicy: Unsupported value: \"x\": supported values: \"Delete\", "
                 "\"Recycle\", \"Retain\""},
                {SPEC("'hostPath':null"), "spec: Required value: must specify a volume type"},
                {SPEC("'nfs':{'server':'a','path':'/b'}"),
                 "spec.nfs: Forbidden: may not specify more than 1 volume type"},
                {SPEC("'hostPath':{'path':'/'},'persistentVolumeReclaimPolicy':'Recycle'"),
                 "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"},
                {SPEC("'hostPath':null,'local':{'path':'/x'}"),
                 "spec.nodeAffinity: Required value: Local volume requires node affinity"},
                {SPEC("'hostPath':null,'csi':{'driver':'a.b'}"), "spec.csi.volumeHandle: Required value"},
                {SPEC("'hostPath':null,'csi':{'driver':'a.b','volumeHandle':'h','nodePublishSecretRef':{'name':'s'}}"),
                 "spec.csi.nodePublishSecretRef.namespace: Required value"},
                {SPEC("'nodeAffinity':{}"),
                 "spec.nodeAffinity.required: Required value: must specify required node constraints"},
                {SPEC("'volumeMode':'x'"),
                 "spec.volumeMode: Unsupported value: \"x\": supported values: \"Block\", \"Filesystem\""},
        };
        static const struct kinds_update_row updates[] = {
                {NULL, SPEC("'capacity':{'storage':'2Gi'}"), ""},
                {NULL, SPEC("'hostPath':{'path':'/y'}"),
                 "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"},
                {NULL, SPEC("'volumeMode':'Block'"), "volumeMode: Invalid value: \"Block\": field is immutable"},
        };

        ROWS(create, volumes, creates);
        ROWS(validate, volumes, rows);
        ROWS(update, volumes, updates);
}

static void every_resource_has_rules(void **state)
{
        for (size_t i = 0; i < schema_nresources; i++)
                assert_non_null(kind_ops_find(schema_resources[i].group, schema_resources[i].plural));
        assert_ptr_equal(kind_ops_find("", "pods"), &kind_pods);
        assert_ptr_equal(kind_ops_find("events.k8s.io", "events"), &kind_events);
        assert_ptr_equal(kind_ops_find("", "events"), &kind_core_events);
        assert_non_null(kind_ops_find("no.such.group", "things"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nodes_have_their_rules),
                cmocka_unit_test(namespaces_carry_name_and_finalizer),
                cmocka_unit_test(events_are_checked_by_their_group),
                cmocka_unit_test(events_of_both_groups_are_one),
                cmocka_unit_test(limit_ranges_are_in_order),
                cmocka_unit_test(quotas_name_what_they_bound),
                cmocka_unit_test(volumes_have_one_source),
                cmocka_unit_test(every_resource_has_rules),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
