/* SPDX-License-Identifier: Apache-2.0 */
/* Storage and extension kinds. */
#include "kindcase.h"

#include "apiserver/kinds/kinds.h"

static void storage_classes_are_checked(void **state)
{
        static const struct default_case defaults[] = {
                {"{'provisioner':'a.b/c'}",
                 "{'provisioner':'a.b/c','reclaimPolicy':'Delete','volumeBindingMode':'Immediate'}"},
                {"{'reclaimPolicy':'Retain','volumeBindingMode':'WaitForFirstConsumer'}",
                 "{'reclaimPolicy':'Retain','volumeBindingMode':'WaitForFirstConsumer'}"},
        };
        static const struct error_case rows[] = {
                {"{'provisioner':'Kubernetes.io/no-provisioner'}", NULL, ""},
                {"{}", NULL, "provisioner: Required value"},
                {"{'provisioner':'a','reclaimPolicy':'Recycle'}", NULL,
                 "reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\""},
                {"{'provisioner':'a','volumeBindingMode':'X'}", NULL,
                 "volumeBindingMode: Unsupported value: \"X\": supported values: \"Immediate\", "
                 "\"WaitForFirstConsumer\""},
                {"{'provisioner':'a','parameters':{'':'x'}}", NULL,
                 "parameters: Invalid value: \"\": field can not be empty."},
                {"{'provisioner':'a','allowedTopologies':[{'matchLabelExpressions':[{'key':'k'}]}]}", NULL,
                 "allowedTopologies[0].matchLabelExpressions[0].values: Required value"},
                {"{'provisioner':'a','allowedTopologies':[{'matchLabelExpressions':[{'key':'k','values':['v','v']}]}]}",
                 NULL, "allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: \"v\""},
                {"{'provisioner':'b','parameters':{'a':'b'},'reclaimPolicy':'Retain',"
                 "'volumeBindingMode':'WaitForFirstConsumer'}",
                 "{'provisioner':'a'}",
                 "parameters: Forbidden: updates to parameters are forbidden.\n"
                 "provisioner: Forbidden: updates to provisioner are forbidden.\n"
                 "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.\n"
                 "volumeBindingMode: Invalid value: \"WaitForFirstConsumer\": field is immutable"},
        };

        run_default_cases(&kind_storageclasses, NULL, defaults, ARRAY_SIZE(defaults));
        run_error_cases(&kind_storageclasses, NULL, rows, ARRAY_SIZE(rows));
}

static void volume_kinds_are_checked(void **state)
{
        static const struct error_case attributes[] = {
                {"{'driverName':'d','parameters':{'a':'b'}}", NULL, ""},
                {"{'driverName':'d'}", NULL, "parameters: Required value: must contain at least one key/value pair"},
                {"{'driverName':'d','parameters':{'a':'c'}}", "{'driverName':'d','parameters':{'a':'b'}}",
                 "parameters: Forbidden: updates to parameters are forbidden."},
        };
        static const struct error_case attachments[] = {
                {"{'spec':{'attacher':'a','nodeName':'n','source':{'persistentVolumeName':'pv'}}}", NULL, ""},
                {"{'spec':{'nodeName':'n','source':{}}}", NULL,
                 "spec.attacher: Required value\n"
                 "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName"},
                {"{'spec':{'attacher':'a','nodeName':'n','source':{'persistentVolumeName':'pv','inlineVolumeSpec':{}}}"
                 "}",
                 NULL, "spec.source: Forbidden: must specify exactly one of inlineVolumeSpec and persistentVolumeName"},
                {"{'spec':{'attacher':'a','nodeName':'m','source':{'persistentVolumeName':'pv'}}}",
                 "{'spec':{'attacher':'a','nodeName':'n','source':{'persistentVolumeName':'pv'}}}",
                 "spec: Invalid value: {\"attacher\":\"a\",\"nodeName\":\"m\",\"source\":{\"persistentVolumeName\":"
                 "\"pv\"}}: field is immutable"},
        };

        run_error_cases(&kind_volumeattributesclasses, NULL, attributes, ARRAY_SIZE(attributes));
        run_error_cases(&kind_volumeattachments, NULL, attachments, ARRAY_SIZE(attachments));
}

#define DRIVER                                                                                                         \
        "'podInfoOnMount':false,'storageCapacity':false,'fsGroupPolicy':'ReadWriteOnceWithFSType',"                    \
        "'requiresRepublish':false,'seLinuxMount':false,'volumeLifecycleModes':['Persistent']"

static void csi_kinds_are_checked(void **state)
{
        static const struct default_case defaults[] = {
                {"{'spec':{}}", "{'spec':{'attachRequired':true," DRIVER "}}"},
                {"{'spec':{'attachRequired':false}}", "{'spec':{'attachRequired':false," DRIVER "}}"},
        };
        static const struct error_case drivers[] = {
                {"{'spec':{}}", NULL, ""},
                {"{'spec':{'fsGroupPolicy':'X','volumeLifecycleModes':['Y']}}", NULL,
                 "spec.fsGroupPolicy: Unsupported value: \"X\": supported values: \"File\", \"None\", "
                 "\"ReadWriteOnceWithFSType\"\n"
                 "spec.volumeLifecycleModes: Unsupported value: \"Y\": supported values: \"Persistent\", "
                 "\"Ephemeral\""},
                {"{'spec':{'tokenRequests':[{'audience':'a'},{'audience':'a'}]}}", NULL,
                 "spec.tokenRequests[1].audience: Duplicate value: \"a\""},
                {"{'spec':{'tokenRequests':[{'audience':'a','expirationSeconds':599}]}}", NULL,
                 "spec.tokenRequests[0].expirationSeconds: Invalid value: 599: may not specify a duration less than 10 "
                 "minutes"},
                {"{'spec':{'nodeAllocatableUpdatePeriodSeconds':9}}", NULL,
                 "spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 "
                 "seconds"},
                {"{'spec':{'attachRequired':false}}", "{'spec':{}}",
                 "spec.attachedRequired: Invalid value: false: field is immutable"},
        };
        static const struct error_case nodes[] = {
                {"{'spec':{'drivers':[{'name':'d','nodeID':'n','allocatable':{'count':5}}]}}", NULL, ""},
                {"{'spec':{'drivers':[{'name':'d'}]}}", NULL, "spec.drivers[0].nodeID: Required value"},
                {"{'spec':{'drivers':[{'name':'d','nodeID':'n'},{'name':'d','nodeID':'n'}]}}", NULL,
                 "spec.drivers[1].name: Duplicate value: \"d\""},
                {"{'spec':{'drivers':[{'name':'d','nodeID':'n','allocatable':{'count':-1}}]}}", NULL,
                 "spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0"},
                {"{'spec':{'drivers':[{'name':'d','nodeID':'n','topologyKeys':['k','k']}]}}", NULL,
                 "spec.drivers[0]: Duplicate value: \"k\""},
                {"{'spec':{'drivers':[{'name':'d','nodeID':'n','allocatable':{'count':6}}]}}",
                 "{'spec':{'drivers':[{'name':'d','nodeID':'n','allocatable':{'count':5}}]}}", ""},
                {"{'spec':{'drivers':[{'name':'d','nodeID':'m'}]}}", "{'spec':{'drivers':[{'name':'d','nodeID':'n'}]}}",
                 "spec.drivers: Invalid value: {\"name\":\"d\",\"nodeID\":\"m\"}: field is immutable"},
        };
        static const struct error_case capacities[] = {
                {"{'storageClassName':'a','capacity':'1Gi'}", NULL, ""},
                {"{'storageClassName':'a','capacity':'-1Gi'}", NULL,
                 "capacity: Invalid value: \"-1Gi\": must be greater than or equal to 0"},
                {"{'storageClassName':'b','nodeTopology':{'matchLabels':{'a':'b'}}}", "{'storageClassName':'a'}",
                 "nodeTopology: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: field is immutable\n"
                 "storageClassName: Invalid value: \"b\": field is immutable"},
        };

        run_default_cases(&kind_csidrivers, NULL, defaults, ARRAY_SIZE(defaults));
        run_error_cases(&kind_csidrivers, NULL, drivers, ARRAY_SIZE(drivers));
        run_error_cases(&kind_csinodes, NULL, nodes, ARRAY_SIZE(nodes));
        run_error_cases(&kind_csistoragecapacities, NULL, capacities, ARRAY_SIZE(capacities));
}

#define CLIENT        "'clientConfig':{'service':{'name':'s','namespace':'n'}}"
#define REST          "'sideEffects':'None','admissionReviewVersions':['v1']"
#define HOOK          "'name':'a.b.c'," CLIENT "," REST
#define HOOKS(h)      "{'webhooks':[" h "]}"
#define OF_RULE(rule) HOOKS("{" HOOK ",'rules':[" rule "]}")

static void webhooks_get_their_defaults(void **state)
{
        static const struct default_case validating[] = {
                {HOOKS("{" CLIENT ",'rules':[{}]}"),
                 HOOKS("{'clientConfig':{'service':{'name':'s','namespace':'n','port':443}},'rules':[{'scope':'*'}],"
                       "'failurePolicy':'Fail','matchPolicy':'Equivalent','namespaceSelector':{},'objectSelector':{},"
                       "'timeoutSeconds':10}")},
        };
        static const struct default_case mutating[] = {
                {HOOKS("{'failurePolicy':'Ignore','timeoutSeconds':3}"),
                 HOOKS("{'failurePolicy':'Ignore','matchPolicy':'Equivalent','namespaceSelector':{},'objectSelector':{}"
                       ","
                       "'timeoutSeconds':3,'reinvocationPolicy':'Never'}")},
        };

        run_default_cases(&kind_validatingwebhookconfigurations, NULL, validating, ARRAY_SIZE(validating));
        run_default_cases(&kind_mutatingwebhookconfigurations, NULL, mutating, ARRAY_SIZE(mutating));
}

#define FORM "; desired format: https://host[/path]"

static void webhooks_are_checked(void **state)
{
        static const struct error_case rows[] = {
                {HOOKS("{" HOOK "}"), NULL, ""},
                {HOOKS("{" CLIENT "," REST "}"), NULL, "webhooks[0].name: Required value"},
                {HOOKS("{'name':'a.b'," CLIENT "," REST "}"), NULL,
                 "webhooks[0].name: Invalid value: \"a.b\": should be a domain with at least three segments separated "
                 "by dots"},
                {HOOKS("{" HOOK "},{" HOOK "}"), NULL, "webhooks[1].name: Duplicate value: \"a.b.c\""},
                {HOOKS("{'name':'a.b.c'," CLIENT ",'admissionReviewVersions':['v1']}"), NULL,
                 "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun"},
                {HOOKS("{'name':'a.b.c'," CLIENT ",'sideEffects':'Some','admissionReviewVersions':['v1']}"), NULL,
                 "webhooks[0].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\""},
                {HOOKS("{'name':'a.b.c'," CLIENT ",'sideEffects':'None'}"), NULL,
                 "webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1"},
                {HOOKS("{'name':'a.b.c'," CLIENT ",'sideEffects':'None','admissionReviewVersions':['v2','v2']}"), NULL,
                 "webhooks[0].admissionReviewVersions[1]: Invalid value: \"v2\": duplicate version\n"
                 "webhooks[0].admissionReviewVersions: Invalid value: [\"v2\",\"v2\"]: must include at least one of "
                 "v1, "
                 "v1beta1"},
                {HOOKS("{" HOOK ",'timeoutSeconds':31}"), NULL,
                 "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds"},
                {HOOKS("{'name':'a.b.c','clientConfig':{}," REST "}"), NULL,
                 "webhooks[0].clientConfig: Required value: exactly one of url or service is required"},
                {HOOKS("{'name':'a.b.c','clientConfig':{'url':'https://a/b'}," REST "}"), NULL, ""},
                {HOOKS("{'name':'a.b.c','clientConfig':{'url':'http://u@a/b?c#d'}," REST "}"), NULL,
                 "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme" FORM
                 "\nwebhooks[0].clientConfig.url: Invalid value: \"u\": user information is not permitted in the URL\n"
                 "webhooks[0].clientConfig.url: Invalid value: \"d\": fragments are not permitted in the URL\n"
                 "webhooks[0].clientConfig.url: Invalid value: \"c\": query parameters are not permitted in the URL"},
                {OF_RULE("{}"), NULL,
                 "webhooks[0].rules[0].operations: Required value\nwebhooks[0].rules[0].apiGroups: Required value\n"
                 "webhooks[0].rules[0].apiVersions: Required value\nwebhooks[0].rules[0].resources: Required value"},
                {OF_RULE("{'operations':['*','GET'],'apiGroups':['*','a'],'apiVersions':['v1'],'resources':['*']}"),
                 NULL,
                 "webhooks[0].rules[0].operations: Invalid value: [\"*\",\"GET\"]: if '*' is present, must not specify "
                 "other operations\n"
                 "webhooks[0].rules[0].operations[1]: Unsupported value: \"GET\": supported values: \"*\", "
                 "\"CONNECT\", "
                 "\"CREATE\", \"DELETE\", \"UPDATE\"\n"
                 "webhooks[0].rules[0].apiGroups: Invalid value: [\"*\",\"a\"]: if '*' is present, must not specify "
                 "other API groups"},
                {OF_RULE("{'operations':['*'],'apiGroups':[''],'apiVersions':['v1'],'resources':['pods/*','pods/log',"
                         "'*','pods']}"),
                 NULL,
                 "webhooks[0].rules[0].resources[1]: Invalid value: \"pods/log\": if 'pods/*' is present, must not "
                 "specify pods/log\n"
                 "webhooks[0].rules[0].resources: Invalid value: [\"pods/*\",\"pods/log\",\"*\",\"pods\"]: if '*' is "
                 "present, must not specify other resources without subresources"},
                {HOOKS("{" HOOK ",'matchConditions':[{'name':'a','expression':'true'},{'name':'a','expression':' '}]}"),
                 NULL,
                 "webhooks[0].matchConditions[1].expression: Required value\n"
                 "webhooks[0].matchConditions[1].name: Duplicate value: \"a\""},
        };

        run_error_cases(&kind_validatingwebhookconfigurations, NULL, rows, ARRAY_SIZE(rows));
        run_error_cases(&kind_mutatingwebhookconfigurations, NULL, rows, ARRAY_SIZE(rows));
}

#define MATCH                                                                                                          \
        "'matchConstraints':{'resourceRules':[{'operations':['*'],'apiGroups':[''],'apiVersions':['v1'],"              \
        "'resources':['pods']}]}"

static void admission_policies_are_checked(void **state)
{
        static const struct error_case validating[] = {
                {"{'spec':{" MATCH ",'validations':[{'expression':'true'}]}}", NULL, ""},
                {"{'spec':{'validations':[{'expression':'true'}]}}", NULL, "spec.matchConstraints: Required value"},
                {"{'spec':{" MATCH "}}", NULL,
                 "spec.validations: Required value: validations or auditAnnotations must contain at least one item\n"
                 "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one "
                 "item"},
                {"{'spec':{" MATCH ",'validations':[{}],'paramKind':{}}}", NULL,
                 "spec.paramKind.apiVersion: Required value\nspec.paramKind.kind: Required value\n"
                 "spec.validations[0].expression: Required value: expression is not specified"},
                {"{'spec':{" MATCH ",'failurePolicy':'X','validations':[{'expression':'true','reason':'Y'}]}}", NULL,
                 "spec.failurePolicy: Unsupported value: \"X\": supported values: \"Fail\", \"Ignore\"\n"
                 "spec.validations[0].reason: Unsupported value: \"Y\": supported values: \"Forbidden\", \"Invalid\", "
                 "\"RequestEntityTooLarge\", \"Unauthorized\""},
        };
        static const struct error_case bindings[] = {
                {"{'spec':{'policyName':'p','validationActions':['Deny']}}", NULL, ""},
                {"{'spec':{}}", NULL,
                 "spec.policyName: Required value\n"
                 "spec.validationActions: Required value: at least one validation action is required"},
                {"{'spec':{'policyName':'p','validationActions':['Deny','Warn']}}", NULL,
                 "spec.validationActions: Invalid value: [\"Deny\",\"Warn\"]: must not contain both Deny and Warn "
                 "(repeating the same validation failure information in the API response and headers serves no "
                 "purpose)"},
                {"{'spec':{'policyName':'p','validationActions':['Deny'],'paramRef':{'name':'a','selector':{}}}}", NULL,
                 "spec.paramRef.name: Forbidden: name and selector are mutually exclusive\n"
                 "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive\n"
                 "spec.paramRef.parameterNotFoundAction: Required value"},
        };
        static const struct error_case mutating[] = {
                {"{'spec':{" MATCH ",'reinvocationPolicy':'Never','mutations':[{'patchType':'JSONPatch',"
                 "'jsonPatch':{'expression':'[]'}}]}}",
                 NULL, ""},
                {"{'spec':{" MATCH ",'reinvocationPolicy':'Never'}}", NULL,
                 "spec.mutations: Required value: mutations must contain at least one item"},
                {"{'spec':{" MATCH ",'reinvocationPolicy':'Never','mutations':[{'patchType':'ApplyConfiguration'}]}}",
                 NULL,
                 "spec.mutations[0].applyConfiguration: Required value: must be specified when patchType is "
                 "ApplyConfiguration"},
        };

        run_error_cases(&kind_validatingadmissionpolicies, NULL, validating, ARRAY_SIZE(validating));
        run_error_cases(&kind_validatingadmissionpolicybindings, NULL, bindings, ARRAY_SIZE(bindings));
        run_error_cases(&kind_mutatingadmissionpolicies, NULL, mutating, ARRAY_SIZE(mutating));
}

#define NAMES   "'names':{'plural':'widgets','kind':'Widget'}"
#define VERSION "'served':true,'storage':true,'schema':{'openAPIV3Schema':{'type':'object'}}"
#define CRD(versions)                                                                                                  \
        "{'metadata':{'name':'widgets.example.com'},'spec':{'group':'example.com','scope':'Namespaced'," NAMES         \
        ",'versions':[" versions "]}}"

static void custom_resource_definitions_are_checked(void **state)
{
        static const struct default_case defaults[] = {
                {"{'spec':{" NAMES ",'versions':[{'name':'v1','storage':true}]},'status':{'storedVersions':['x']}}",
                 "{'spec':{'names':{'plural':'widgets','kind':'Widget','singular':'widget','listKind':'WidgetList'},"
                 "'versions':[{'name':'v1','storage':true}],'conversion':{'strategy':'None'}},"
                 "'status':{'storedVersions':['v1']}}"},
        };
        static const struct error_case rows[] = {
                {CRD("{'name':'v1'," VERSION "}"), NULL, ""},
                {CRD("{'name':'v1'}"), NULL,
                 "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required\n"
                 "spec.versions: Invalid value: [{\"name\":\"v1\"}]: must have exactly one version marked as storage "
                 "version"},
                {"{'metadata':{'name':'foo'},'spec':{'group':'example.com','scope':'X'," NAMES
                 ",'versions':[{'name':'v1'," VERSION "}]}}",
                 NULL,
                 "metadata.name: Invalid value: \"foo\": must be spec.names.plural+\".\"+spec.group\n"
                 "spec.scope: Unsupported value: \"X\": supported values: \"Cluster\", \"Namespaced\""},
                {"{'spec':{'scope':'Cluster','versions':[{'name':'v1'," VERSION "}]}}", NULL,
                 "spec.group: Required value\nspec.names.plural: Required value\nspec.names.kind: Required value"},
                {CRD("{'name':'v1'," VERSION ",'additionalPrinterColumns':[{'name':'a','type':'x','jsonPath':'b'}]}"),
                 NULL,
                 "spec.versions[0].additionalPrinterColumns[0].type: Unsupported value: \"x\": supported values: "
                 "\"boolean\", \"date\", \"integer\", \"number\", \"string\"\n"
                 "spec.versions[0].additionalPrinterColumns[0].jsonPath: Invalid value: \"b\": must be a json path "
                 "starting with ."},
                {CRD("{'name':'v1'," VERSION ",'subresources':{'scale':{'specReplicasPath':'.x'}}}"), NULL,
                 "spec.versions[0].subresources.scale.specReplicasPath: Invalid value: \".x\": should be a json path "
                 "under .spec\n"
                 "spec.versions[0].subresources.scale.statusReplicasPath: Required value"},
        };
        static const struct update_case stored[] = {
                {"{'spec':{'versions':[{'name':'v2','storage':true}]}}",
                 "{'spec':{'versions':[{'name':'v1','storage':true}]}}",
                 "{'spec':{'names':{},'conversion':{'strategy':'None'},'versions':[{'name':'v2','storage':true}]},"
                 "'status':{'storedVersions':['v1','v2']}}"},
        };

        run_default_cases(&kind_customresourcedefinitions, NULL, defaults, ARRAY_SIZE(defaults));
        run_error_cases(&kind_customresourcedefinitions, NULL, rows, ARRAY_SIZE(rows));
        run_update_cases(&kind_customresourcedefinitions, NULL, stored, ARRAY_SIZE(stored));
}

#define API "'groupPriorityMinimum':1000,'versionPriority':15"

static void api_services_are_checked(void **state)
{
        static const struct error_case rows[] = {
                {"{'metadata':{'name':'v1.a.b'},'spec':{'group':'a.b','version':'v1'," API
                 ",'service':{'name':'s','namespace':'n'}}}",
                 NULL, ""},
                {"{'metadata':{'name':'x'},'spec':{'group':'a.b','version':'v1'," API "}}", NULL,
                 "metadata.name: Invalid value: \"x\": must be `spec.version+\".\"+spec.group`: \"v1.a.b\""},
                {"{'spec':{'group':'a.b','version':'v1','groupPriorityMinimum':20001}}", NULL,
                 "spec.groupPriorityMinimum: Invalid value: 20001: must be positive and less than 20000\n"
                 "spec.versionPriority: Invalid value: 0: must be positive and less than 1000"},
                {"{'spec':{'group':'a.b','version':'v1'," API ",'insecureSkipTLSVerify':true}}", NULL,
                 "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have "
                 "insecureSkipTLSVerify"},
                {"{'spec':{'group':'a.b','version':'v1'," API ",'service':{}}}", NULL,
                 "spec.service.namespace: Required value\nspec.service.name: Required value"},
        };

        run_error_cases(&kind_apiservices, NULL, rows, ARRAY_SIZE(rows));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(storage_classes_are_checked),
                cmocka_unit_test(volume_kinds_are_checked),
                cmocka_unit_test(csi_kinds_are_checked),
                cmocka_unit_test(webhooks_get_their_defaults),
                cmocka_unit_test(webhooks_are_checked),
                cmocka_unit_test(admission_policies_are_checked),
                cmocka_unit_test(custom_resource_definitions_are_checked),
                cmocka_unit_test(api_services_are_checked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
