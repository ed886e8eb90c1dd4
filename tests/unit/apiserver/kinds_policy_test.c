/* SPDX-License-Identifier: Apache-2.0 */
/* Access, policy, autoscaling and certificates. */
#include <string.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "kindcase.h"

#include "apiserver/kinds/autoscaler.h"
#include "apiserver/kinds/kinds.h"
#include "base/base64.h"
#include "base/str.h"

#define RBAC "rbac.authorization.k8s.io"

static void bindings_get_their_api_groups(void **state)
{
        static const struct default_case rows[] = {
                {"{'roleRef':{'kind':'Role','name':'r','apiGroup':''}}",
                 "{'roleRef':{'kind':'Role','name':'r','apiGroup':'" RBAC "'}}"},
                {"{'roleRef':{'kind':'Role','name':'r'}}",
                 "{'roleRef':{'kind':'Role','name':'r','apiGroup':'" RBAC "'}}"},
                {"{'roleRef':{'apiGroup':'x'},'subjects':[{'kind':'User','name':'a'},{'kind':'Group','name':'b'},"
                 "{'kind':'ServiceAccount','name':'c'}]}",
                 "{'roleRef':{'apiGroup':'x'},'subjects':[{'kind':'User','name':'a','apiGroup':'" RBAC "'},"
                 "{'kind':'Group','name':'b','apiGroup':'" RBAC "'},{'kind':'ServiceAccount','name':'c'}]}"},
        };

        run_default_cases(&kind_rolebindings, NULL, rows, ARRAY_SIZE(rows));
        run_default_cases(&kind_clusterrolebindings, NULL, rows, ARRAY_SIZE(rows));
}

#define RULE(r) "{'rules':[" r "]}"

static void roles_are_checked(void **state)
{
        static const struct error_case roles[] = {
                {RULE("{'verbs':['get'],'apiGroups':[''],'resources':['pods']}"), NULL, ""},
                {RULE("{'verbs':['get'],'apiGroups':[''],'resources':['pods'],'resourceNames':['a']}"), NULL, ""},
                {RULE("{'apiGroups':[''],'resources':['pods']}"), NULL,
                 "rules[0].verbs: Required value: verbs must contain at least one value"},
                {RULE("{'verbs':['get']}"), NULL,
                 "rules[0].apiGroups: Required value: resource rules must supply at least one api group\n"
                 "rules[0].resources: Required value: resource rules must supply at least one resource"},
                {RULE("{'verbs':['get'],'nonResourceURLs':['/x']}"), NULL,
                 "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource "
                 "URLs"},
        };
        static const struct error_case cluster_roles[] = {
                {RULE("{'verbs':['get'],'nonResourceURLs':['/x']}"), NULL, ""},
                {RULE("{'verbs':['get'],'nonResourceURLs':['/x'],'resources':['a']}"), NULL,
                 "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: rules cannot apply to both regular resources and "
                 "non-resource URLs"},
                {"{'aggregationRule':{}}", NULL,
                 "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if "
                 "aggregationRule is non-nil"},
                {"{'aggregationRule':{'clusterRoleSelectors':[{'matchLabels':{'a':'b'}}]}}", NULL, ""},
        };

        run_error_cases(&kind_roles, NULL, roles, ARRAY_SIZE(roles));
        run_error_cases(&kind_clusterroles, NULL, cluster_roles, ARRAY_SIZE(cluster_roles));
        assert_null(kind_clusterroles.validate_name("system:admin"));
        assert_non_null(kind_clusterroles.validate_name("a/b"));
}

#define REF "'roleRef':{'kind':'ClusterRole','name':'r'}"

static void bindings_are_checked(void **state)
{
        static const struct error_case rows[] = {
                {"{" REF "}", NULL, ""},
                {"{'roleRef':{'kind':'Role','name':'r'}}", NULL, ""},
                {"{'roleRef':{'kind':'Foo','name':'r'}}", NULL,
                 "roleRef.kind: Unsupported value: \"Foo\": supported values: \"Role\", \"ClusterRole\""},
                {"{'roleRef':{'kind':'Role'}}", NULL, "roleRef.name: Required value"},
                {"{'roleRef':{'kind':'Role','name':'r','apiGroup':'x'}}", NULL,
                 "roleRef.apiGroup: Unsupported value: \"x\": supported values: \"" RBAC "\""},
                {"{" REF ",'subjects':[{'kind':'User'}]}", NULL,
                 "subjects[0].name: Required value\n"
                 "subjects[0].name: Invalid value: \"\": user name cannot be empty"},
                {"{" REF ",'subjects':[{'kind':'Group','name':'g','apiGroup':'x'}]}", NULL,
                 "subjects[0].apiGroup: Unsupported value: \"x\": supported values: \"" RBAC "\""},
                {"{" REF ",'subjects':[{'kind':'ServiceAccount','name':'a','apiGroup':'x'}]}", NULL,
                 "subjects[0].apiGroup: Unsupported value: \"x\": supported values: \"\""},
                {"{" REF ",'subjects':[{'kind':'Pod','name':'a'}]}", NULL,
                 "subjects[0].kind: Unsupported value: \"Pod\": supported values: \"ServiceAccount\", \"User\", "
                 "\"Group\""},
                {"{'roleRef':{'kind':'Role','name':'s'}}", "{'roleRef':{'kind':'Role','name':'r'}}",
                 "roleRef: Invalid value: {\"APIGroup\":\"" RBAC "\",\"Kind\":\"Role\",\"Name\":\"s\"}: cannot change "
                 "roleRef"},
        };
        static const struct error_case cluster[] = {
                {"{" REF ",'subjects':[{'kind':'ServiceAccount','name':'a','namespace':'b'}]}", NULL, ""},
                {"{" REF ",'subjects':[{'kind':'ServiceAccount','name':'a'}]}", NULL,
                 "subjects[0].namespace: Required value"},
                {"{'roleRef':{'kind':'Role','name':'r'}}", NULL,
                 "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\""},
        };

        run_error_cases(&kind_rolebindings, NULL, rows, ARRAY_SIZE(rows));
        run_error_cases(&kind_clusterrolebindings, NULL, cluster, ARRAY_SIZE(cluster));
}

static void disruption_budgets_are_checked(void **state)
{
        static const struct error_case rows[] = {
                {"{'spec':{'minAvailable':1}}", NULL, ""},
                {"{'spec':{'maxUnavailable':'50%'}}", NULL, ""},
                {"{'spec':{'minAvailable':1,'maxUnavailable':1}}", NULL,
                 "spec: Invalid value: {\"minAvailable\":1,\"maxUnavailable\":1}: minAvailable and maxUnavailable "
                 "cannot "
                 "be both set"},
                {"{'spec':{'minAvailable':-1}}", NULL,
                 "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"},
                {"{'spec':{'maxUnavailable':'101%'}}", NULL,
                 "spec.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%"},
                {"{'spec':{'unhealthyPodEvictionPolicy':'X'}}", NULL,
                 "spec.unhealthyPodEvictionPolicy: Unsupported value: \"X\": supported values: \"AlwaysAllow\", "
                 "\"IfHealthyBudget\""},
        };
        static const struct error_case status[] = {
                {"{'status':{'currentHealthy':1}}", "{}", ""},
                {"{'status':{'currentHealthy':-1}}", "{}",
                 "status.currentHealthy: Invalid value: -1: must be greater than or equal to 0"},
        };

        run_error_cases(&kind_poddisruptionbudgets, NULL, rows, ARRAY_SIZE(rows));
        run_status_cases(&kind_poddisruptionbudgets, status, ARRAY_SIZE(status));
}

static void leases_are_checked(void **state)
{
        static const struct error_case rows[] = {
                {"{'spec':{'leaseDurationSeconds':15,'leaseTransitions':0}}", NULL, ""},
                {"{}", NULL, ""},
                {"{'spec':{'leaseDurationSeconds':0}}", NULL,
                 "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"},
                {"{'spec':{'leaseTransitions':-1}}", NULL,
                 "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"},
                {"{'spec':{'preferredHolder':'x'}}", NULL,
                 "spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined"},
                {"{'spec':{'strategy':'OldestEmulationVersion','preferredHolder':'x'}}", NULL, ""},
                {"{'spec':{'strategy':'x'}}", NULL,
                 "spec.strategy.strategy: Unsupported value: \"x\": supported values: \"OldestEmulationVersion\""},
        };

        run_error_cases(&kind_leases, NULL, rows, ARRAY_SIZE(rows));
}

static void priority_classes_are_checked(void **state)
{
        static const struct default_case defaults[] = {
                {"{'value':5}", "{'value':5,'preemptionPolicy':'PreemptLowerPriority'}"},
        };
        static const struct error_case rows[] = {
                {"{'metadata':{'name':'a'},'value':1000000000}", NULL, ""},
                {"{'metadata':{'name':'a'},'value':1000000001}", NULL,
                 "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"},
                {"{'metadata':{'name':'system-foo'},'value':1}", NULL,
                 "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use "
                 "only. error: system-foo is not a known system priority class"},
                {"{'metadata':{'name':'system-node-critical'},'value':2000001000}", NULL, ""},
                {"{'metadata':{'name':'system-node-critical'},'value':1}", NULL,
                 "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use "
                 "only. error: value of system-node-critical PriorityClass must be 2000001000"},
                {"{'value':1,'preemptionPolicy':'X'}", NULL,
                 "preemptionPolicy: Unsupported value: \"X\": supported values: \"Never\", \"PreemptLowerPriority\""},
                {"{'value':2}", "{'value':1}", "value: Forbidden: may not be changed in an update."},
                {"{'value':1,'preemptionPolicy':'Never'}", "{'value':1}",
                 "preemptionPolicy: Invalid value: \"Never\": field is immutable"},
        };

        run_default_cases(&kind_priorityclasses, NULL, defaults, ARRAY_SIZE(defaults));
        run_error_cases(&kind_priorityclasses, NULL, rows, ARRAY_SIZE(rows));
}

static void runtime_classes_are_checked(void **state)
{
        static const struct error_case rows[] = {
                {"{'handler':'runc'}", NULL, ""},
                {"{'handler':'runc','scheduling':{'tolerations':[{'key':'a','operator':'X'}]}}", NULL,
                 "scheduling.tolerations[0].operator: Unsupported value: \"X\": supported values: \"Equal\", "
                 "\"Exists\", \"Gt\", \"Lt\""},
                {"{'handler':'b'}", "{'handler':'a'}", "handler: Invalid value: \"b\": field is immutable"},
        };

        run_error_cases(&kind_runtimeclasses, NULL, rows, ARRAY_SIZE(rows));
}

#define CPU80 "[{'type':'Resource','resource':{'name':'cpu','target':{'type':'Utilization','averageUtilization':80}}}]"
#define UP                                                                                                             \
        "{'stabilizationWindowSeconds':0,'selectPolicy':'Max','policies':[{'type':'Pods','value':4,'periodSeconds':"   \
        "15},"                                                                                                         \
        "{'type':'Percent','value':100,'periodSeconds':15}]}"
#define DOWN "{'selectPolicy':'Max','policies':[{'type':'Percent','value':100,'periodSeconds':15}]}"

static void autoscalers_get_cpu_and_behavior(void **state)
{
        static const struct default_case rows[] = {
                {"{'spec':{'maxReplicas':3}}", "{'spec':{'maxReplicas':3,'minReplicas':1,'metrics':" CPU80 "}}"},
                {"{'apiVersion':'autoscaling/v1','spec':{'maxReplicas':3}}",
                 "{'apiVersion':'autoscaling/v1','spec':{'maxReplicas':3,'minReplicas':1}}"},
                {"{'spec':{'minReplicas':2,'metrics':[{'type':'Pods'}],'behavior':{}}}",
                 "{'spec':{'minReplicas':2,'metrics':[{'type':'Pods'}],'behavior':{'scaleUp':" UP ",'scaleDown':" DOWN
                 "}}}"},
                {"{'spec':{'metrics':[{'type':'Pods'}],'behavior':{'scaleDown':{'stabilizationWindowSeconds':60},"
                 "'scaleUp':{'policies':[],'selectPolicy':'Min','stabilizationWindowSeconds':5}}}}",
                 "{'spec':{'minReplicas':1,'metrics':[{'type':'Pods'}],'behavior':{'scaleUp':{'policies':[],"
                 "'selectPolicy':'Min','stabilizationWindowSeconds':5},'scaleDown':{'stabilizationWindowSeconds':60,"
                 "'selectPolicy':'Max','policies':[{'type':'Percent','value':100,'periodSeconds':15}]}}}}"},
        };

        run_default_cases(&kind_horizontalpodautoscalers, NULL, rows, ARRAY_SIZE(rows));
}

#define HPA(rest) "{'spec':{'maxReplicas':3,'scaleTargetRef':{'kind':'Deployment','name':'web'}" rest "}}"
#define METRIC(m) HPA(",'metrics':[" m "]")
#define TARGET(t) METRIC("{'type':'Resource','resource':{'name':'cpu','target':" t "}}")
#define TARGET_0  "spec.metrics[0].resource.target"

static void autoscalers_are_checked(void **state)
{
        static const struct error_case rows[] = {
                {HPA(""), NULL, ""},
                {"{'spec':{'scaleTargetRef':{'kind':'Deployment','name':'web'}}}", NULL,
                 "spec.maxReplicas: Invalid value: 0: must be greater than 0\n"
                 "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`"},
                {HPA(",'minReplicas':4"), NULL,
                 "spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`"},
                {HPA(",'minReplicas':0"), NULL,
                 "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1"},
                {"{'spec':{'maxReplicas':3,'scaleTargetRef':{'name':'a/b'}}}", NULL,
                 "spec.scaleTargetRef.kind: Required value\n"
                 "spec.scaleTargetRef.name: Invalid value: \"a/b\": may not contain '/'"},
                {TARGET("{'type':'Utilization'}"), NULL,
                 TARGET_0 ".averageUtilization: Required value: must set either a target raw value or a target "
                          "utilization"},
                {TARGET("{'type':'Utilization','averageUtilization':50,'averageValue':'1'}"), NULL,
                 TARGET_0 ".averageValue: Forbidden: may not set both a target raw value and a target utilization"},
                {TARGET("{'type':'AverageValue','averageValue':'0'}"), NULL,
                 TARGET_0 ".averageValue: Invalid value: \"0\": must be positive"},
                {TARGET("{'type':'Foo','averageUtilization':0}"), NULL,
                 TARGET_0 ".type: Invalid value: \"Foo\": must be either Utilization, Value, or AverageValue\n" TARGET_0
                          ".averageUtilization: Invalid value: 0: must be greater than 0"},
                {METRIC("{'type':'Foo'}"), NULL,
                 "spec.metrics[0].type: Unsupported value: \"Foo\": supported values: \"ContainerResource\", "
                 "\"External\", \"Object\", \"Pods\", \"Resource\""},
                {METRIC("{'type':'Pods'}"), NULL,
                 "spec.metrics[0].pods: Required value: must populate information for the given metric source"},
                {METRIC("{'type':'Pods','pods':{'metric':{'name':'a'},'target':{'type':'AverageValue'}}}"), NULL,
                 "spec.metrics[0].pods.target.averageValue: Required value: must specify a positive target "
                 "averageValue"},
                {METRIC("{'type':'Object','object':{'metric':{},'target':{'type':'Value','value':'1'},"
                        "'describedObject':{'kind':'Ingress','name':'i'}}}"),
                 NULL, "spec.metrics[0].object.metric.name: Required value: must specify a metric name"},
                {METRIC("{'type':'External','external':{'metric':{'name':'q'},'target':{'type':'Value','value':'1',"
                        "'averageValue':'1'}}}"),
                 NULL,
                 "spec.metrics[0].external.target.value: Forbidden: may not set both a target value for metric and a "
                 "per-pod target"},
                {METRIC("{'type':'ContainerResource','containerResource':{'name':'cpu','target':{'type':'Utilization',"
                        "'averageUtilization':5}}}"),
                 NULL, "spec.metrics[0].containerResource.container: Required value: must specify a container"},
                {HPA(",'behavior':{'scaleUp':{'policies':[]}}"), NULL,
                 "spec.behavior.scaleUp.policies: Required value: must specify at least one Policy"},
                {HPA(",'behavior':{'scaleUp':{'stabilizationWindowSeconds':3601,'selectPolicy':'X'}}"), NULL,
                 "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to "
                 "3600\n"
                 "spec.behavior.scaleUp.selectPolicy: Unsupported value: \"X\": supported values: \"Disabled\", "
                 "\"Max\", \"Min\""},
                {HPA(",'behavior':{'scaleDown':{'policies':[{'type':'X','periodSeconds':1801}]}}"), NULL,
                 "spec.behavior.scaleDown.policies[0].type: Unsupported value: \"X\": supported values: \"Percent\", "
                 "\"Pods\"\n"
                 "spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero\n"
                 "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal "
                 "to 1800"},
        };

        run_error_cases(&kind_horizontalpodautoscalers, NULL, rows, ARRAY_SIZE(rows));
}

static void expect_json(const struct json_object *got, const char *want_text)
{
        _cleanup_json_ struct json_object *want = case_json(want_text);

        if (!json_equal(got, want))
                fail_msg("got %s\nwant %s", json_object_to_json_string((struct json_object *)got), want_text);
}

static void autoscalers_convert_between_v1_and_v2(void **state)
{
        static const struct {
                const char *v1, *v2;
        } rows[] = {
                {"{'spec':{'minReplicas':1,'maxReplicas':3,'targetCPUUtilizationPercentage':80}}",
                 "{'spec':{'minReplicas':1,'maxReplicas':3,'metrics':" CPU80 "}}"},
                {"{'spec':{'minReplicas':1,'maxReplicas':3,'targetCPUUtilizationPercentage':50},"
                 "'status':{'currentReplicas':1,'desiredReplicas':2,'currentCPUUtilizationPercentage':7}}",
                 "{'spec':{'minReplicas':1,'maxReplicas':3,'metrics':[{'type':'Resource','resource':{'name':'cpu',"
                 "'target':{'type':'Utilization','averageUtilization':50}}}]},'status':{'currentReplicas':1,"
                 "'desiredReplicas':2,'currentMetrics':[{'type':'Resource','resource':{'name':'cpu','current':"
                 "{'averageUtilization':7}}}]}}"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_json_ struct json_object *obj = case_json(rows[i].v1);

                autoscaler_to_v2(obj);
                expect_json(obj, rows[i].v2);
                autoscaler_to_v1(obj);
                expect_json(obj, rows[i].v1);
        }
}

static void what_v1_cannot_say_comes_back_from_annotations(void **state)
{
        static const char v2[] =
                "{'metadata':{'name':'a'},'spec':{'minReplicas':2,'maxReplicas':5,'metrics':["
                "{'type':'Pods','pods':{'metric':{'name':'rps'},'target':{'type':'AverageValue','averageValue':'10'}}},"
                "{'type':'Object','object':{'describedObject':{'kind':'Ingress','name':'i'},'metric':{'name':'q',"
                "'selector':{'matchLabels':{'a':'b'}}},'target':{'type':'Value','value':'2k'}}},"
                "{'type':'External','external':{'metric':{'name':'e'},'target':{'type':'Value','value':'3'}}},"
                "{'type':'ContainerResource','containerResource':{'name':'cpu','container':'c','target':"
                "{'type':'Utilization','averageUtilization':9}}},"
                "{'type':'Resource','resource':{'name':'memory','target':{'type':'AverageValue','averageValue':'1Mi'}}}"
                "],"
                "'behavior':{'scaleUp':" UP ",'scaleDown':" DOWN "}},"
                "'status':{'currentReplicas':1,'conditions':[{'type':'AbleToScale','status':'True'}],"
                "'currentMetrics':[{'type':'Pods','pods':{'metric':{'name':'rps'},'current':{'averageValue':'4'}}}]}}";
        _cleanup_json_ struct json_object *obj = case_json(v2);
        const char *annotation;

        autoscaler_to_v1(obj);
        assert_false(json_has(json_get(obj, "spec"), "metrics"));
        assert_false(json_has(json_get(obj, "spec"), "behavior"));
        assert_false(json_has(json_get(obj, "status"), "conditions"));
        annotation = json_get_str(json_at(obj, "metadata.annotations"), "autoscaling.alpha.kubernetes.io/behavior");
        assert_string_equal(annotation,
                            "{\"ScaleUp\":{\"StabilizationWindowSeconds\":0,\"SelectPolicy\":\"Max\",\"Policies\":["
                            "{\"Type\":\"Pods\",\"Value\":4,\"PeriodSeconds\":15},"
                            "{\"Type\":\"Percent\",\"Value\":100,\"PeriodSeconds\":15}],\"Tolerance\":null},"
                            "\"ScaleDown\":{\"StabilizationWindowSeconds\":null,\"SelectPolicy\":\"Max\",\"Policies\":["
                            "{\"Type\":\"Percent\",\"Value\":100,\"PeriodSeconds\":15}],\"Tolerance\":null}}");
        annotation = json_get_str(json_at(obj, "metadata.annotations"), "autoscaling.alpha.kubernetes.io/metrics");
        assert_true(str_has_prefix(
                annotation, "[{\"type\":\"Pods\",\"pods\":{\"metricName\":\"rps\",\"targetAverageValue\":\"10\"}}"));
        autoscaler_to_v2(obj);
        expect_json(obj, v2);
}

/* ---- certificates ---- */

static char *request_base64(void)
{
        gnutls_x509_privkey_t key;
        gnutls_x509_crq_t crq;
        struct strbuf b = STRBUF_NULL;
        gnutls_datum_t der, pem;

        assert_int_equal(gnutls_x509_privkey_init(&key), 0);
        assert_int_equal(
                gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                0);
        assert_int_equal(gnutls_x509_crq_init(&crq), 0);
        gnutls_x509_crq_set_version(crq, 1);
        gnutls_x509_crq_set_dn_by_oid(crq, GNUTLS_OID_X520_COMMON_NAME, 0, "bob", 3);
        assert_int_equal(gnutls_x509_crq_set_key(crq, key), 0);
        assert_int_equal(gnutls_x509_crq_sign2(crq, key, GNUTLS_DIG_SHA256, 0), 0);
        /* GnuTLS' own PEM says NEW CERTIFICATE REQUEST, which Kubernetes does not take. */
        assert_int_equal(gnutls_x509_crq_export2(crq, GNUTLS_X509_FMT_DER, &der), 0);
        assert_int_equal(gnutls_pem_base64_encode2("CERTIFICATE REQUEST", &der, &pem), 0);
        gnutls_free(der.data);
        base64_encode(&b, pem.data, pem.size);
        gnutls_free(pem.data);
        gnutls_x509_crq_deinit(crq);
        gnutls_x509_privkey_deinit(key);
        return strbuf_take(&b, NULL);
}

#define SIGNER "'signerName':'kubernetes.io/kube-apiserver-client'"

static void certificate_requests_are_checked(void **state)
{
        static const struct {
                const char *rest, *errors;
        } rows[] = {
                {SIGNER ",'usages':['client auth']", ""},
                {SIGNER, "spec.usages: Required value"},
                {SIGNER ",'usages':['client auth','client auth']", "spec.usages[1]: Duplicate value: \"client auth\""},
                {"'usages':['client auth']", "spec.signerName: Required value"},
                {"'signerName':'foo','usages':['client auth']",
                 "spec.signerName: Invalid value: \"foo\": must be a fully qualified domain and path of the form "
                 "'example.com/signer-name'"},
                {"'signerName':'kubernetes.io/legacy-unknown','usages':['client auth']",
                 "spec.signerName: Invalid value: \"kubernetes.io/legacy-unknown\": the legacy signerName is not "
                 "allowed via this API version"},
                {SIGNER ",'usages':['client auth'],'expirationSeconds':599",
                 "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 "
                 "minutes)"},
        };
        char *request = request_base64();
        static const struct error_case bad[] = {
                {"{'spec':{'request':'eA=='," SIGNER ",'usages':['client auth']}}", NULL,
                 "spec.request: Invalid value: \"eA==\": PEM block type must be CERTIFICATE REQUEST"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct arena a = ARENA_NULL;
                char *json = arena_printf(&a, "{'spec':{'request':'%s',%s}}", request, rows[i].rest);
                struct error_case row = {json, NULL, rows[i].errors};

                run_error_cases(&kind_certificatesigningrequests, NULL, &row, 1);
                arena_deinit(&a);
        }
        run_error_cases(&kind_certificatesigningrequests, NULL, bad, ARRAY_SIZE(bad));
        free(request);
}

static void a_request_says_who_asked_and_stays_as_it_was(void **state)
{
        static const struct default_case created[] = {
                {"{'spec':{'username':'mallory','groups':['system:masters'],'extra':{'a':['b']}},"
                 "'status':{'certificate':'eA=='}}",
                 "{'spec':{'username':'alice','uid':'u-1','groups':['system:authenticated']}}"},
        };
        static const struct update_case updated[] = {
                {"{'metadata':{'labels':{'a':'b'}},'spec':{'signerName':'y'},'status':{'certificate':'eA=='}}",
                 "{'spec':{'signerName':'x'}}",
                 "{'metadata':{'labels':{'a':'b'}},'spec':{'signerName':'x','username':'alice','uid':'u-1',"
                 "'groups':['system:authenticated']}}"},
        };

        run_default_cases(&kind_certificatesigningrequests, NULL, created, ARRAY_SIZE(created));
        run_update_cases(&kind_certificatesigningrequests, NULL, updated, ARRAY_SIZE(updated));
}

#define CONDITIONS(c) "{'status':{'conditions':[" c "]}}"

static void a_status_cannot_decide(void **state)
{
        static const struct error_case rows[] = {
                {CONDITIONS("{'type':'Failed','status':'True'}"), "{}", ""},
                {CONDITIONS("{'type':'Approved','status':'True'}"), "{}",
                 "status.conditions: Forbidden: updates may not add a condition of type \"Approved\""},
                {"{'status':{}}", CONDITIONS("{'type':'Denied','status':'True'}"),
                 "status.conditions: Forbidden: updates may not remove a condition of type \"Denied\""},
                {CONDITIONS("{'type':'Failed','status':'False'}"), "{}",
                 "status.conditions[0].status: Unsupported value: \"False\": supported values: \"True\""},
                {CONDITIONS("{'type':'A','status':'True'},{'type':'A','status':'True'}"), "{}",
                 "status.conditions[1].type: Duplicate value: \"A\""},
                {CONDITIONS("{'status':'True'}"), "{}", "status.conditions[0].type: Required value"},
                {CONDITIONS("{'type':'A','status':''}"), "{}", "status.conditions[0].status: Required value"},
                {"{'status':{'certificate':'eA=='}}", "{}",
                 "status.certificate: Invalid value: \"<certificate data>\": must contain at least one CERTIFICATE PEM "
                 "block"},
                {"{'status':{'certificate':'eA=='}}", "{'status':{'certificate':'eQ=='}}",
                 "status.certificate: Forbidden: updates may not modify existing certificate content\n"
                 "status.certificate: Invalid value: \"<certificate data>\": must contain at least one CERTIFICATE PEM "
                 "block"},
        };

        run_status_cases(&kind_certificatesigningrequests, rows, ARRAY_SIZE(rows));
}

static void an_approval_is_stamped_and_leaves_the_certificate(void **state)
{
        _cleanup_json_ struct json_object *old = case_json("{'status':{'certificate':'eA=='}}");
        _cleanup_json_ struct json_object *obj =
                case_json("{'status':{'certificate':'eQ==','conditions':[{'type':'Approved','status':'True'}]}}");
        struct arena a = ARENA_NULL;
        const struct kctx c = {.arena = &a, .subresource = "approval", .now_us = 1767225600000000};
        struct ferrs e = FERRS(&a);

        kind_certificatesigningrequests.prepare_status(&c, obj, old);
        expect_json(obj, "{'status':{'certificate':'eA==','conditions':[{'type':'Approved','status':'True',"
                         "'lastUpdateTime':'2026-01-01T00:00:00Z','lastTransitionTime':'2026-01-01T00:00:00Z'}]}}");
        kind_certificatesigningrequests.validate_status(&c, obj, old, &e);
        assert_int_equal(e.n, 0);
        arena_deinit(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(bindings_get_their_api_groups),
                cmocka_unit_test(roles_are_checked),
                cmocka_unit_test(bindings_are_checked),
                cmocka_unit_test(disruption_budgets_are_checked),
                cmocka_unit_test(leases_are_checked),
                cmocka_unit_test(priority_classes_are_checked),
                cmocka_unit_test(runtime_classes_are_checked),
                cmocka_unit_test(autoscalers_get_cpu_and_behavior),
                cmocka_unit_test(autoscalers_are_checked),
                cmocka_unit_test(autoscalers_convert_between_v1_and_v2),
                cmocka_unit_test(what_v1_cannot_say_comes_back_from_annotations),
                cmocka_unit_test(certificate_requests_are_checked),
                cmocka_unit_test(a_request_says_who_asked_and_stays_as_it_was),
                cmocka_unit_test(a_status_cannot_decide),
                cmocka_unit_test(an_approval_is_stamped_and_leaves_the_certificate),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
