/* SPDX-License-Identifier: Apache-2.0 */
#include "kindcase.h"

#include "apiserver/kinds/kinds.h"

#define META      "'metadata':{'name':'a','namespace':'ns'}"
#define SVC(spec) "{" META ",'spec':" spec "}"
#define P80       "'ports':[{'port':80}]"
#define P80_FULL  "'ports':[{'port':80,'protocol':'TCP','targetPort':80}]"
#define CIP       "'type':'ClusterIP','sessionAffinity':'None','internalTrafficPolicy':'Cluster'"
#define EXTERNAL  "'sessionAffinity':'None','internalTrafficPolicy':'Cluster','externalTrafficPolicy':'Cluster'"

static void defaults_are_what_kubectl_shows(void **state)
{
        static const struct default_case rows[] = {
                {SVC("{" P80 "}"), SVC("{" P80_FULL "," CIP "}")},
                {"{" META "}", SVC("{" CIP "}")},
                {SVC("{'ports':[{'port':80,'targetPort':0}]}"), SVC("{" P80_FULL "," CIP "}")},
                {SVC("{'ports':[{'port':80,'targetPort':''}]}"), SVC("{" P80_FULL "," CIP "}")},
                {SVC("{'ports':[{'port':80,'targetPort':'http','protocol':'UDP'}]}"),
                 SVC("{'ports':[{'port':80,'targetPort':'http','protocol':'UDP'}]," CIP "}")},
                {SVC("{'type':'NodePort'," P80 "}"), SVC("{'type':'NodePort'," P80_FULL "," EXTERNAL "}")},
                {SVC("{'type':'NodePort','externalTrafficPolicy':'Local'," P80 "}"),
                 SVC("{'type':'NodePort'," P80_FULL ",'sessionAffinity':'None','internalTrafficPolicy':'Cluster',"
                     "'externalTrafficPolicy':'Local'}")},
                {SVC("{'type':'LoadBalancer'," P80 "}"),
                 SVC("{'type':'LoadBalancer'," P80_FULL "," EXTERNAL ",'allocateLoadBalancerNodePorts':true}")},
                {SVC("{'type':'LoadBalancer','allocateLoadBalancerNodePorts':false," P80 "}"),
                 SVC("{'type':'LoadBalancer'," P80_FULL "," EXTERNAL ",'allocateLoadBalancerNodePorts':false}")},
                {SVC("{'externalIPs':['10.1.1.1']," P80 "}"),
                 SVC("{'type':'ClusterIP','externalIPs':['10.1.1.1']," P80_FULL "," EXTERNAL "}")},
                {SVC("{'type':'ExternalName','externalName':'x.com'}"),
                 SVC("{'type':'ExternalName','externalName':'x.com','sessionAffinity':'None'}")},
                {SVC("{'sessionAffinity':'ClientIP'," P80 "}"),
                 SVC("{'type':'ClusterIP','internalTrafficPolicy':'Cluster'," P80_FULL ",'sessionAffinity':'ClientIP',"
                     "'sessionAffinityConfig':{'clientIP':{'timeoutSeconds':10800}}}")},
                {SVC("{'sessionAffinity':'ClientIP','sessionAffinityConfig':{'clientIP':{'timeoutSeconds':5}}," P80
                     "}"),
                 SVC("{'type':'ClusterIP','internalTrafficPolicy':'Cluster'," P80_FULL ",'sessionAffinity':'ClientIP',"
                     "'sessionAffinityConfig':{'clientIP':{'timeoutSeconds':5}}}")},
                {SVC("{'sessionAffinityConfig':{'clientIP':{'timeoutSeconds':5}}," P80 "}"),
                 SVC("{" P80_FULL "," CIP "}")},
                {SVC("{'clusterIP':'10.0.0.9'," P80 "}"),
                 SVC("{'clusterIP':'10.0.0.9','clusterIPs':['10.0.0.9']," P80_FULL "," CIP "}")},
                {SVC("{'clusterIP':'None'}"), SVC("{'clusterIP':'None','clusterIPs':['None']," CIP "}")},
                {"{" META ",'spec':{'type':'LoadBalancer'," P80
                 "},'status':{'loadBalancer':{'ingress':[{'ip':'1.1.1.1'},{'hostname':'h'}]}}}",
                 "{" META ",'spec':{'type':'LoadBalancer'," P80_FULL "," EXTERNAL
                 ",'allocateLoadBalancerNodePorts':true},"
                 "'status':{'loadBalancer':{'ingress':[{'ip':'1.1.1.1','ipMode':'VIP'},{'hostname':'h'}]}}}"},
        };

        run_default_cases(&kind_services, NULL, rows, ARRAY_SIZE(rows));
}

#define OLD_IP  "'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1'],'ipFamilies':['IPv4'],'ipFamilyPolicy':'SingleStack'"
#define KEPT_IP "'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1']"

static void an_update_keeps_what_was_allocated(void **state)
{
        static const struct update_case rows[] = {
                {SVC("{" P80 "}"), SVC("{" OLD_IP "," P80 "}"), SVC("{" KEPT_IP "," P80_FULL "," CIP "}")},
                {SVC("{'clusterIP':'10.0.0.1'," P80 "}"), SVC("{" OLD_IP "," P80 "}"),
                 SVC("{" KEPT_IP "," P80_FULL "," CIP "}")},
                {SVC("{'clusterIP':'10.0.0.2'," P80 "}"), SVC("{" OLD_IP "," P80 "}"),
                 SVC("{'clusterIP':'10.0.0.2','clusterIPs':['10.0.0.2']," P80_FULL "," CIP "}")},
                {SVC("{'clusterIP':'10.0.0.2','clusterIPs':['10.0.0.1']," P80 "}"), SVC("{" OLD_IP "," P80 "}"),
                 SVC("{'clusterIP':'10.0.0.2','clusterIPs':['10.0.0.2']," P80_FULL "," CIP "}")},
                {SVC("{'type':'NodePort'," P80 "}"),
                 SVC("{'type':'NodePort'," OLD_IP ",'ports':[{'port':80,'nodePort':30001}]}"),
                 SVC("{'type':'NodePort'," KEPT_IP "," EXTERNAL
                     ",'ports':[{'port':80,'protocol':'TCP','targetPort':80,'nodePort':30001}]}")},
                /* by name, wherever the port has moved to; not when another port took the number */
                {SVC("{'type':'NodePort','ports':[{'name':'b','port':8},{'name':'a','port':7}]}"),
                 SVC("{'type':'NodePort'," OLD_IP
                     ",'ports':[{'name':'a','port':80,'nodePort':30001},{'name':'b','port':81,'nodePort':30002}]}"),
                 SVC("{'type':'NodePort'," KEPT_IP "," EXTERNAL
                     ",'ports':[{'name':'b','port':8,'protocol':'TCP','targetPort':8,'nodePort':30002},"
                     "{'name':'a','port':7,'protocol':'TCP','targetPort':7,'nodePort':30001}]}")},
                {SVC("{'type':'NodePort','ports':[{'name':'a','port':7},{'name':'b','port':8,'nodePort':30001}]}"),
                 SVC("{'type':'NodePort'," OLD_IP ",'ports':[{'name':'a','port':80,'nodePort':30001}]}"),
                 SVC("{'type':'NodePort'," KEPT_IP "," EXTERNAL
                     ",'ports':[{'name':'a','port':7,'protocol':'TCP','targetPort':7},"
                     "{'name':'b','port':8,'protocol':'TCP','targetPort':8,'nodePort':30001}]}")},
                {SVC("{'type':'LoadBalancer','externalTrafficPolicy':'Local'," P80 "}"),
                 SVC("{'type':'LoadBalancer','externalTrafficPolicy':'Local','healthCheckNodePort':30500," OLD_IP
                     "," P80 "}"),
                 SVC("{'type':'LoadBalancer','externalTrafficPolicy':'Local','healthCheckNodePort':30500," KEPT_IP
                     ",'sessionAffinity':'None','internalTrafficPolicy':'Cluster',"
                     "'allocateLoadBalancerNodePorts':true," P80_FULL "}")},
                /* an old client that knows only clusterIP clears it */
                {SVC("{'type':'ExternalName','externalName':'x.com','clusterIPs':['10.0.0.1']}"),
                 SVC("{" OLD_IP "," P80 "}"),
                 SVC("{'type':'ExternalName','externalName':'x.com','sessionAffinity':'None'}")},
        };

        run_update_cases(&kind_services, NULL, rows, ARRAY_SIZE(rows));
}

static void a_change_of_type_drops_what_it_has_no_use_for(void **state)
{
        static const struct update_case rows[] = {
                {SVC("{'type':'ExternalName','externalName':'x.com'," OLD_IP "}"), SVC("{" OLD_IP "," P80 "}"),
                 SVC("{'type':'ExternalName','externalName':'x.com','sessionAffinity':'None'}")},
                {SVC("{'type':'ClusterIP'," OLD_IP ",'externalTrafficPolicy':'Cluster',"
                     "'ports':[{'port':80,'nodePort':30001}]}"),
                 SVC("{'type':'NodePort'," OLD_IP ",'ports':[{'port':80,'nodePort':30001}]}"),
                 SVC("{" CIP "," OLD_IP "," P80_FULL "}")},
                {SVC("{'type':'ClusterIP'," OLD_IP ",'externalTrafficPolicy':'Local','healthCheckNodePort':30500,"
                     "'allocateLoadBalancerNodePorts':true,'loadBalancerClass':'x.io/y'," P80 "}"),
                 SVC("{'type':'LoadBalancer'," OLD_IP ",'externalTrafficPolicy':'Local','healthCheckNodePort':30500,"
                     "'loadBalancerClass':'x.io/y'," P80 "}"),
                 SVC("{" CIP "," OLD_IP "," P80_FULL "}")},
                /* what the user changed at the same time stays, for validation to refuse */
                {SVC("{'type':'ClusterIP'," OLD_IP ",'ports':[{'port':80,'nodePort':30002}]}"),
                 SVC("{'type':'NodePort'," OLD_IP ",'ports':[{'port':80,'nodePort':30001}]}"),
                 SVC("{" CIP "," OLD_IP ",'ports':[{'port':80,'protocol':'TCP','targetPort':80,'nodePort':30002}]}")},
        };

        run_update_cases(&kind_services, NULL, rows, ARRAY_SIZE(rows));
}

static void invalid_services_are_refused(void **state)
{
        static const struct error_case rows[] = {
                {SVC("{" P80 "}"), NULL, ""},
                {SVC("{'type':'NodePort'," P80 "}"), NULL, ""},
                {SVC("{'type':'LoadBalancer'," P80 "}"), NULL, ""},
                {SVC("{'clusterIP':'None'}"), NULL, ""},
                {SVC("{'type':'ExternalName','externalName':'a.b.'}"), NULL, ""},
                {SVC("{}"), NULL, "spec.ports: Required value"},
                {SVC("{'type':'Foo'," P80 "}"), NULL,
                 "spec.type: Unsupported value: \"Foo\": supported values: \"ClusterIP\", \"ExternalName\", "
                 "\"LoadBalancer\", \"NodePort\""},
                {SVC("{'clusterIP':'None','type':'NodePort'," P80 "}"), NULL,
                 "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"},
                {SVC("{'clusterIP':'None','type':'LoadBalancer'," P80 "}"), NULL,
                 "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for LoadBalancer services"},
                {SVC("{'type':'ExternalName'}"), NULL, "spec.externalName: Required value"},
                {SVC("{'type':'ExternalName','externalName':'a.b','clusterIP':'10.0.0.1','ipFamilies':['IPv4'],"
                     "'ipFamilyPolicy':'SingleStack'}"),
                 NULL,
                 "spec.clusterIPs: Forbidden: may not be set for ExternalName services\n"
                 "spec.ipFamilies: Forbidden: may not be set for ExternalName services\n"
                 "spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName services"},
                {SVC("{'ports':[{'port':80},{'port':81}]}"), NULL,
                 "spec.ports[0].name: Required value\nspec.ports[1].name: Required value"},
                {SVC("{'ports':[{'name':'a','port':80},{'name':'a','port':81}]}"), NULL,
                 "spec.ports[1].name: Duplicate value: \"a\""},
                {SVC("{'ports':[{'name':'a','port':80},{'name':'b','port':80}]}"), NULL,
                 "spec.ports[1]: Duplicate value: "
                 "{\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":80,\"TargetPort\":0,\"NodePort\":"
                 "0}"},
                {SVC("{'ports':[{'name':'a','port':80},{'name':'b','port':80,'protocol':'UDP'}]}"), NULL, ""},
                {SVC("{'type':'NodePort','ports':[{'name':'a','port':80,'nodePort':30000},"
                     "{'name':'b','port':81,'nodePort':30000}]}"),
                 NULL, "spec.ports[1].nodePort: Duplicate value: 30000"},
                {SVC("{'ports':[{'port':80,'nodePort':30000}]}"), NULL,
                 "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"},
                {SVC("{'ports':[{'targetPort':8080}]}"), NULL,
                 "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"},
                {SVC("{'ports':[{'port':65536}]}"), NULL,
                 "spec.ports[0].port: Invalid value: 65536: must be between 1 and 65535, inclusive\n"
                 "spec.ports[0].targetPort: Invalid value: 65536: must be between 1 and 65535, inclusive"},
                {SVC("{'ports':[{'port':80,'protocol':'tcp'}]}"), NULL,
                 "spec.ports[0].protocol: Unsupported value: \"tcp\": supported values: \"SCTP\", \"TCP\", \"UDP\""},
                {SVC("{'ports':[{'port':80,'targetPort':'a--b'}]}"), NULL,
                 "spec.ports[0].targetPort: Invalid value: \"a--b\": must not contain consecutive hyphens"},
                {SVC("{'ports':[{'port':80,'targetPort':70000}]}"), NULL,
                 "spec.ports[0].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive"},
                {SVC("{'sessionAffinity':'Foo'," P80 "}"), NULL,
                 "spec.sessionAffinity: Unsupported value: \"Foo\": supported values: \"ClientIP\", \"None\""},
                {SVC("{'sessionAffinity':'ClientIP','sessionAffinityConfig':{'clientIP':{'timeoutSeconds':86401}}," P80
                     "}"),
                 NULL,
                 "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and "
                 "less than 86400"},
        };

        run_error_cases(&kind_services, NULL, rows, ARRAY_SIZE(rows));
}

static void invalid_addresses_and_traffic_are_refused(void **state)
{
        static const struct error_case rows[] = {
                {SVC("{'clusterIP':'foo'," P80 "}"), NULL,
                 "spec.clusterIPs[0]: Invalid value: \"foo\": must be a valid IP address, (e.g. 10.9.8.7 or "
                 "2001:db8::ffff)"},
                {SVC("{'clusterIPs':['10.0.0.1']," P80 "}"), NULL,
                 "spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: must be empty when `clusterIP` is not specified"},
                {SVC("{'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.2']," P80 "}"), NULL,
                 "spec.clusterIPs: Invalid value: [\"10.0.0.2\"]: first value must match `clusterIP`"},
                {SVC("{'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1','10.0.0.2']," P80 "}"), NULL,
                 "spec.clusterIPs: Invalid value: [\"10.0.0.1\",\"10.0.0.2\"]: may specify no more than one IP for "
                 "each "
                 "IP family"},
                {SVC("{'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1','fd00::1','fd00::2']," P80 "}"), NULL,
                 "spec.clusterIPs: Invalid value: [\"10.0.0.1\",\"fd00::1\",\"fd00::2\"]: may only hold up to 2 "
                 "values"},
                {SVC("{'clusterIP':'None','clusterIPs':['None','10.0.0.1']}"), NULL,
                 "spec.ports: Required value\n"
                 "spec.clusterIPs: Invalid value: [\"None\",\"10.0.0.1\"]: 'None' must be the first and only value"},
                {SVC("{'clusterIP':'10.0.0.1','ipFamilies':['IPv6']," P80 "}"), NULL,
                 "spec.clusterIPs[0]: Invalid value: \"10.0.0.1\": expected an IPv6 value as indicated by "
                 "`ipFamilies[0]`"},
                {SVC("{'ipFamilies':['IPv5']," P80 "}"), NULL,
                 "spec.ipFamilies[0]: Unsupported value: \"IPv5\": supported values: \"IPv4\", \"IPv6\""},
                {SVC("{'ipFamilies':['IPv4','IPv4']," P80 "}"), NULL, "spec.ipFamilies[1]: Duplicate value: \"IPv4\""},
                {SVC("{'ipFamilyPolicy':'Both'," P80 "}"), NULL,
                 "spec.ipFamilyPolicy: Unsupported value: \"Both\": supported values: \"PreferDualStack\", "
                 "\"RequireDualStack\", \"SingleStack\""},
                {SVC("{'externalIPs':['127.0.0.1','0.0.0.0','169.254.1.1','x']," P80 "}"), NULL,
                 "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, "
                 "::1/128)\n"
                 "spec.externalIPs[1]: Invalid value: \"0.0.0.0\": may not be unspecified (0.0.0.0)\n"
                 "spec.externalIPs[2]: Invalid value: \"169.254.1.1\": may not be in the link-local range "
                 "(169.254.0.0/16, fe80::/10)\n"
                 "spec.externalIPs[3]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or "
                 "2001:db8::ffff)"},
                {SVC("{'loadBalancerSourceRanges':['10.0.0.0/8']," P80 "}"), NULL,
                 "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'"},
                {SVC("{'type':'LoadBalancer','loadBalancerSourceRanges':[' 10.0.0.0/8','foo']," P80 "}"), NULL,
                 "spec.LoadBalancerSourceRanges[1]: Invalid value: \"foo\": must be a valid CIDR value, (e.g. "
                 "10.9.8.0/24 or 2001:db8::/64)"},
                {"{'metadata':{'annotations':{'service.beta.kubernetes.io/load-balancer-source-ranges':'10.0.0.0/8, "
                 "x'}},'spec':{'type':'LoadBalancer'," P80 "}}",
                 NULL,
                 "metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]: Invalid value: \"x\": "
                 "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"},
                {SVC("{'allocateLoadBalancerNodePorts':true,'loadBalancerClass':'a/b'," P80 "}"), NULL,
                 "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'\n"
                 "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"},
                {SVC("{'externalTrafficPolicy':'Local'," P80 "}"), NULL,
                 "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible "
                 "services"},
                {SVC("{'type':'NodePort','externalTrafficPolicy':'Foo'," P80 "}"), NULL,
                 "spec.externalTrafficPolicy: Unsupported value: \"Foo\": supported values: \"Cluster\", \"Local\""},
                {SVC("{'internalTrafficPolicy':'Foo'," P80 "}"), NULL,
                 "spec.internalTrafficPolicy: Unsupported value: \"Foo\": supported values: \"Cluster\", \"Local\""},
                {SVC("{'type':'LoadBalancer','healthCheckNodePort':30000," P80 "}"), NULL,
                 "spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and "
                 "`externalTrafficPolicy` is 'Local'"},
                {SVC("{'trafficDistribution':'Foo'," P80 "}"), NULL,
                 "spec.trafficDistribution: Unsupported value: \"Foo\": supported values: \"PreferClose\", "
                 "\"PreferSameNode\", \"PreferSameZone\""},
                {SVC("{'trafficDistribution':'PreferClose'," P80 "}"), NULL, ""},
                {SVC("{'selector':{'a b':'c'}," P80 "}"), NULL,
                 "spec.selector: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' "
                 "or "
                 "'.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or "
                 "'123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"},
        };

        run_error_cases(&kind_services, NULL, rows, ARRAY_SIZE(rows));
}

#define DUAL                                                                                                           \
        "'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1','fd00::1'],'ipFamilies':['IPv4','IPv6'],"                     \
        "'ipFamilyPolicy':'RequireDualStack'"

static void some_things_cannot_change(void **state)
{
        static const struct error_case rows[] = {
                {SVC("{" P80 "}"), SVC("{" OLD_IP "," P80 "}"), ""},
                {SVC("{'clusterIP':'10.0.0.2','clusterIPs':['10.0.0.2']," P80 "}"), SVC("{" OLD_IP "," P80 "}"),
                 "spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set"},
                {SVC("{'clusterIP':'None','clusterIPs':['None']," P80 "}"), SVC("{" OLD_IP "," P80 "}"),
                 "spec.clusterIPs[0]: Invalid value: [\"None\"]: may not change once set"},
                {SVC("{" OLD_IP "," P80 "}"), SVC("{'clusterIP':'None'," P80 "}"),
                 "spec.clusterIPs[0]: Invalid value: [\"10.0.0.1\"]: may not change once set"},
                {SVC("{'type':'ExternalName','externalName':'a.b'}"), SVC("{" OLD_IP "," P80 "}"), ""},
                {SVC("{" P80 "}"), SVC("{'type':'ExternalName','externalName':'a.b'}"), ""},
                {SVC("{'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1'],'ipFamilyPolicy':'RequireDualStack'," P80 "}"),
                 SVC("{" DUAL "," P80 "}"),
                 "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": must be set to 'SingleStack' when "
                 "releasing "
                 "the secondary clusterIP"},
                {SVC("{'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1'],'ipFamilies':['IPv4'],"
                     "'ipFamilyPolicy':'SingleStack'," P80 "}"),
                 SVC("{" DUAL "," P80 "}"), ""},
                {SVC("{" OLD_IP "," P80 "}"),
                 SVC("{'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1'],'ipFamilies':['IPv6']," P80 "}"),
                 "spec.ipFamilies[0]: Invalid value: [\"IPv4\"]: may not change once set"},
                {SVC("{'type':'LoadBalancer','loadBalancerClass':'a/c'," P80 "}"),
                 SVC("{'type':'LoadBalancer','loadBalancerClass':'a/b'," P80 "}"),
                 "spec.loadBalancerClass: Invalid value: \"a/c\": may not change once set"},
                {SVC("{'type':'LoadBalancer'," P80 "}"),
                 SVC("{'type':'LoadBalancer','loadBalancerClass':'a/b'," P80 "}"),
                 "spec.loadBalancerClass: Invalid value: null: may not change once set"},
                {SVC("{'type':'LoadBalancer','externalTrafficPolicy':'Local','healthCheckNodePort':30501," P80 "}"),
                 SVC("{'type':'LoadBalancer','externalTrafficPolicy':'Local','healthCheckNodePort':30500," P80 "}"),
                 "spec.healthCheckNodePort: Forbidden: field is immutable"},
        };

        run_error_cases(&kind_services, NULL, rows, ARRAY_SIZE(rows));
}

#define STATUS(type, ingress) "{'spec':{'type':'" type "'},'status':{'loadBalancer':{'ingress':[" ingress "]}}}"

static void a_status_is_checked(void **state)
{
        static const struct error_case rows[] = {
                {STATUS("LoadBalancer", "{'ip':'1.2.3.4'},{'hostname':'a.b'}"), "{}", ""},
                {STATUS("ClusterIP", "{'hostname':'a.b'}"), "{}",
                 "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is \"LoadBalancer\""},
                {STATUS("LoadBalancer", "{'ip':'x'}"), "{}",
                 "status.loadBalancer.ingress[0].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 "
                 "or 2001:db8::ffff)"},
                {STATUS("LoadBalancer", "{'ip':'1.2.3.4','ipMode':'Foo'}"), "{}",
                 "status.loadBalancer.ingress[0].ipMode: Unsupported value: \"Foo\": supported values: \"Proxy\", "
                 "\"VIP\""},
                {STATUS("LoadBalancer", "{'hostname':'a.b','ipMode':'VIP'}"), "{}",
                 "status.loadBalancer.ingress[0].ipMode: Forbidden: may not be specified when `ip` is not set"},
                {STATUS("LoadBalancer", "{'hostname':'1.2.3.4'}"), "{}",
                 "status.loadBalancer.ingress[0].hostname: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP "
                 "address"},
        };

        run_status_cases(&kind_services, rows, ARRAY_SIZE(rows));
}

static void names_are_labels_that_start_with_a_letter(void **state)
{
        assert_null(kind_services.validate_name("web-1"));
        assert_non_null(kind_services.validate_name("1web"));
        assert_non_null(kind_services.validate_name("web.1"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(defaults_are_what_kubectl_shows),
                cmocka_unit_test(an_update_keeps_what_was_allocated),
                cmocka_unit_test(a_change_of_type_drops_what_it_has_no_use_for),
                cmocka_unit_test(invalid_services_are_refused),
                cmocka_unit_test(invalid_addresses_and_traffic_are_refused),
                cmocka_unit_test(some_things_cannot_change),
                cmocka_unit_test(a_status_is_checked),
                cmocka_unit_test(names_are_labels_that_start_with_a_letter),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
