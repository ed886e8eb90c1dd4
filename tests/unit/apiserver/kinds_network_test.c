/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints, EndpointSlices, Ingresses, IngressClasses, NetworkPolicies, ServiceCIDRs, IPAddresses. */
#include "kindcase.h"

#include "apiserver/kinds/kinds.h"
#include "base/strbuf.h"

#define LABEL_RE                                                                                                       \
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "    \
        "end "                                                                                                         \
        "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "                 \
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
#define SUBDOMAIN_RE                                                                                                   \
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "     \
        "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "              \
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define PROTOCOLS "supported values: \"SCTP\", \"TCP\", \"UDP\""
#define BAD_IP    "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
#define BAD_CIDR  "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"

static void endpoints_get_a_protocol(void **state)
{
        static const struct default_case rows[] = {
                {"{'subsets':[{'ports':[{'port':80},{'port':53,'protocol':'UDP'}]}]}",
                 "{'subsets':[{'ports':[{'port':80,'protocol':'TCP'},{'port':53,'protocol':'UDP'}]}]}"},
                {"{}", "{}"},
        };

        run_default_cases(&kind_endpoints, NULL, rows, ARRAY_SIZE(rows));
}

#define ADDR "'addresses':[{'ip':'10.1.1.1'}]"

static void endpoints_are_checked(void **state)
{
        static const struct error_case rows[] = {
                {"{'subsets':[{" ADDR ",'ports':[{'port':80}]}]}", NULL, ""},
                {"{'subsets':[{'notReadyAddresses':[{'ip':'fd00::1'}]}]}", NULL, ""},
                {"{'subsets':[{'ports':[{'port':80}]}]}", NULL,
                 "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"},
                {"{'subsets':[{'addresses':[{'ip':'x'}]}]}", NULL,
                 "subsets[0].addresses[0].ip: Invalid value: \"x\": " BAD_IP},
                {"{'subsets':[{'addresses':[{'ip':'127.0.0.1'},{'ip':'224.0.0.1'}]}]}", NULL,
                 "subsets[0].addresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range "
                 "(127.0.0.0/8, ::1/128)\n"
                 "subsets[0].addresses[1].ip: Invalid value: \"224.0.0.1\": may not be in the link-local multicast "
                 "range (224.0.0.0/24, ff02::/10)"},
                {"{'subsets':[{'addresses':[{'ip':'10.1.1.1','hostname':'A'}]}]}", NULL,
                 "subsets[0].addresses[0].hostname: Invalid value: \"A\": " LABEL_RE},
                {"{'subsets':[{" ADDR ",'ports':[{'port':80},{'port':81}]}]}", NULL,
                 "subsets[0].ports[0].name: Required value\nsubsets[0].ports[1].name: Required value"},
                {"{'subsets':[{" ADDR ",'ports':[{'port':0}]}]}", NULL,
                 "subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"},
                {"{'subsets':[{" ADDR ",'ports':[{'port':1,'protocol':'X'}]}]}", NULL,
                 "subsets[0].ports[0].protocol: Unsupported value: \"X\": " PROTOCOLS},
        };

        run_error_cases(&kind_endpoints, NULL, rows, ARRAY_SIZE(rows));
}

static void slices_name_their_ports(void **state)
{
        static const struct default_case rows[] = {
                {"{'ports':[{'port':80}]}", "{'ports':[{'port':80,'name':'','protocol':'TCP'}]}"},
                {"{'ports':[{'port':80,'name':'a','protocol':'UDP'}]}",
                 "{'ports':[{'port':80,'name':'a','protocol':'UDP'}]}"},
                {"{'endpoints':[{'addresses':['10.1.1.1']}]}", "{'endpoints':[{'addresses':['10.1.1.1']}]}"},
        };

        run_default_cases(&kind_endpointslices, NULL, rows, ARRAY_SIZE(rows));
}

#define V4(endpoints) "{'addressType':'IPv4','endpoints':" endpoints "}"

static void slices_are_checked(void **state)
{
        static const struct error_case rows[] = {
                {V4("[{'addresses':['10.1.1.1','10.1.1.2'],'conditions':{'ready':true}}]"), NULL, ""},
                {"{'addressType':'IPv6','endpoints':[{'addresses':['fd00::1']}]}", NULL, ""},
                {"{'addressType':'FQDN','endpoints':[{'addresses':['a.b']}]}", NULL, ""},
                {"{}", NULL, "addressType: Required value"},
                {"{'addressType':'IP'}", NULL,
                 "addressType: Unsupported value: \"IP\": supported values: \"FQDN\", \"IPv4\", \"IPv6\""},
                {V4("[{}]"), NULL, "endpoints[0].addresses: Required value: must contain at least 1 address"},
                {V4("[{'addresses':['fd00::1']}]"), NULL,
                 "endpoints[0].addresses[0]: Invalid value: \"fd00::1\": must be a valid IPv4 address"},
                {V4("[{'addresses':['x']}]"), NULL,
                 "endpoints[0].addresses[0]: Invalid value: \"x\": must be a valid IPv4 address\n"
                 "endpoints[0].addresses[0]: Invalid value: \"x\": must be a valid IP address"},
                {V4("[{'addresses':['127.0.0.1']}]"), NULL,
                 "endpoints[0].addresses[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range "
                 "(127.0.0.0/8, ::1/128)"},
                {"{'addressType':'IPv6','endpoints':[{'addresses':['fe80::1']}]}", NULL,
                 "endpoints[0].addresses[0]: Invalid value: \"fe80::1\": may not be in the link-local range "
                 "(169.254.0.0/16, fe80::/10)"},
                {"{'addressType':'FQDN','endpoints':[{'addresses':['a']}]}", NULL,
                 "endpoints[0].addresses[0]: Invalid value: \"a\": should be a domain with at least two segments "
                 "separated by dots"},
                {V4("[{'addresses':['10.1.1.1'],'hostname':'A_'}]"), NULL,
                 "endpoints[0].hostname: Invalid value: \"A_\": " LABEL_RE},
                {V4("[{'addresses':['10.1.1.1'],'nodeName':'A'}]"), NULL,
                 "endpoints[0].nodeName: Invalid value: \"A\": " SUBDOMAIN_RE},
                {V4("[{'addresses':['10.1.1.1'],'hints':{'forZones':[{'name':'z'},{'name':'z'}]}}]"), NULL,
                 "endpoints[0].hints.forZones[1].name: Duplicate value: \"z\""},
                {V4("[{'addresses':['10.1.1.1'],'hints':{'forZones':[{'name':'1'},{'name':'2'},{'name':'3'},{'name':'4'"
                    "}"
                    ",{'name':'5'},{'name':'6'},{'name':'7'},{'name':'8'},{'name':'9'}]}}]"),
                 NULL, "endpoints[0].hints.forZones: Too many: 9: must have at most 8 items"},
                {"{'addressType':'IPv4','ports':[{'name':'a'},{'name':'a'}]}", NULL,
                 "ports[1].name: Duplicate value: \"a\""},
                {"{'addressType':'IPv4','ports':[{},{}]}", NULL, "ports[1].name: Duplicate value: \"\""},
                {"{'addressType':'IPv4','ports':[{'protocol':'tcp'}]}", NULL,
                 "ports[0].protocol: Unsupported value: \"tcp\": " PROTOCOLS},
                {"{'addressType':'IPv4','ports':[{'name':'A'}]}", NULL,
                 "ports[0].name: Invalid value: \"A\": " LABEL_RE},
                {"{'addressType':'IPv6'}", "{'addressType':'IPv4'}",
                 "addressType: Invalid value: \"IPv6\": field is immutable"},
        };

        run_error_cases(&kind_endpointslices, NULL, rows, ARRAY_SIZE(rows));
}

static char *repeat(const char *head, const char *item, size_t n, const char *tail)
{
        struct strbuf b = STRBUF_NULL;

        strbuf_add_str(&b, head);
        for (size_t i = 0; i < n; i++)
                strbuf_printf(&b, "%s%s", i ? "," : "", item);
        strbuf_add_str(&b, tail);
        return strbuf_take(&b, NULL);
}

static void slices_have_limits(void **state)
{
        char *endpoints = repeat("{'addressType':'IPv4','endpoints':[", "{'addresses':['10.1.1.1']}", 1000, "]}");
        char *more_endpoints = repeat("{'addressType':'IPv4','endpoints':[", "{'addresses':['10.1.1.1']}", 1001, "]}");
        char *addresses = repeat("{'addressType':'IPv4','endpoints':[{'addresses':[", "'10.1.1.1'", 100, "]}]}");
        char *more_addresses = repeat("{'addressType':'IPv4','endpoints':[{'addresses':[", "'10.1.1.1'", 101, "]}]}");
        char *more_ports = repeat("{'addressType':'IPv4','ports':[", "{'name':'a'}", 20001, "]}");
        const struct error_case rows[] = {
                {endpoints, NULL, ""},
                {more_endpoints, NULL, "endpoints: Too many: 1001: must have at most 1000 items"},
                {addresses, NULL, ""},
                {more_addresses, NULL, "endpoints[0].addresses: Too many: 101: must have at most 100 items"},
                {more_ports, NULL, "ports: Too many: 20001: must have at most 20000 items"},
        };

        run_error_cases(&kind_endpointslices, NULL, rows, ARRAY_SIZE(rows));
        free(endpoints);
        free(more_endpoints);
        free(addresses);
        free(more_addresses);
        free(more_ports);
}

#define BACKEND    "{'service':{'name':'web','port':{'number':80}}}"
#define PATH(path) "{'spec':{'rules':[{'http':{'paths':[" path "]}}]}}"
#define PREFIX(p)  PATH("{'path':'" p "','pathType':'Prefix','backend':" BACKEND "}")
#define DEFAULT(b) "{'spec':{'defaultBackend':" b "}}"
#define HOST(h)    "{'spec':{'rules':[{'host':'" h "'}]}}"
#define PATH_0     "spec.rules[0].http.paths[0]"

static void ingresses_are_checked(void **state)
{
        static const struct error_case rows[] = {
                {PREFIX("/"), NULL, ""},
                {DEFAULT(BACKEND), NULL, ""},
                {HOST("*.foo.com"), NULL, ""},
                {"{'spec':{}}", NULL, "spec: Invalid value: []: either `defaultBackend` or `rules` must be specified"},
                {PATH(""), NULL, "spec.rules[0].http.paths: Required value"},
                {PATH("{'path':'/','backend':" BACKEND "}"), NULL,
                 PATH_0 ".pathType: Required value: pathType must be specified"},
                {PATH("{'path':'/','pathType':'Foo','backend':" BACKEND "}"), NULL,
                 PATH_0 ".pathType: Unsupported value: \"Foo\": supported values: \"Exact\", "
                        "\"ImplementationSpecific\", \"Prefix\""},
                {PREFIX("foo"), NULL, PATH_0 ".path: Invalid value: \"foo\": must be an absolute path"},
                {PREFIX("/a//b"), NULL, PATH_0 ".path: Invalid value: \"/a//b\": must not contain '//'"},
                {PREFIX("/a/../b"), NULL, PATH_0 ".path: Invalid value: \"/a/../b\": must not contain '/../'"},
                {PREFIX("/a/.."), NULL, PATH_0 ".path: Invalid value: \"/a/..\": cannot end with '/..'"},
                {PREFIX("/a%2fb"), NULL, PATH_0 ".path: Invalid value: \"/a%2fb\": must not contain '%2f'"},
                {PATH("{'pathType':'ImplementationSpecific','backend':" BACKEND "}"), NULL, ""},
                {PATH("{'path':'x','pathType':'ImplementationSpecific','backend':" BACKEND "}"), NULL,
                 PATH_0 ".path: Invalid value: \"x\": must be an absolute path"},
                {HOST("10.0.0.1"), NULL,
                 "spec.rules[0].host: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address"},
                {HOST("Foo"), NULL, "spec.rules[0].host: Invalid value: \"Foo\": " SUBDOMAIN_RE},
                {DEFAULT("{}"), NULL,
                 "spec.defaultBackend: Invalid value: \"\": resource or service backend is required"},
                {DEFAULT("{'service':{'name':'a','port':{'number':80}},'resource':{'kind':'k','name':'n'}}"), NULL,
                 "spec.defaultBackend: Invalid value: \"\": cannot set both resource and service backends"},
                {DEFAULT("{'service':{'port':{'number':80}}}"), NULL,
                 "spec.defaultBackend.service.name: Required value"},
                {DEFAULT("{'service':{'name':'a'}}"), NULL,
                 "spec.defaultBackend: Required value: port name or number is required"},
                {DEFAULT("{'service':{'name':'a','port':{'name':'b','number':80}}}"), NULL,
                 "spec.defaultBackend: Invalid value: \"\": cannot set both port name & port number"},
                {DEFAULT("{'service':{'name':'a','port':{'number':70000}}}"), NULL,
                 "spec.defaultBackend.service.port.number: Invalid value: 70000: must be between 1 and 65535, "
                 "inclusive"},
                {DEFAULT("{'resource':{}}"), NULL,
                 "spec.defaultBackend.resource.kind: Required value\n"
                 "spec.defaultBackend.resource.name: Required value"},
                {"{'spec':{'defaultBackend':" BACKEND ",'tls':[{'hosts':['A'],'secretName':'B'}]}}", NULL,
                 "spec.tls[0].hosts[0]: Invalid value: \"A\": " SUBDOMAIN_RE "\n"
                 "spec.tls[0].secretName: Invalid value: \"B\": " SUBDOMAIN_RE},
                {"{'spec':{'defaultBackend':" BACKEND ",'ingressClassName':'A'}}", NULL,
                 "spec.ingressClassName: Invalid value: \"A\": " SUBDOMAIN_RE},
                {"{'metadata':{'annotations':{'kubernetes.io/ingress.class':'x'}},"
                 "'spec':{'defaultBackend':" BACKEND ",'ingressClassName':'y'}}",
                 NULL,
                 "annotations.kubernetes.io/ingress.class: Invalid value: \"x\": must match `ingressClassName` when "
                 "both are specified"},
                {"{'metadata':{'resourceVersion':'7','annotations':{'kubernetes.io/ingress.class':'x'}},"
                 "'spec':{'defaultBackend':" BACKEND ",'ingressClassName':'y'}}",
                 DEFAULT(BACKEND), ""},
        };

        run_error_cases(&kind_ingresses, NULL, rows, ARRAY_SIZE(rows));
}

static void ingress_classes_are_checked(void **state)
{
        static const struct default_case defaults[] = {
                {"{'spec':{'controller':'a.b/c'}}", "{'spec':{'controller':'a.b/c'}}"},
                {"{'spec':{'parameters':{'kind':'k','name':'n'}}}",
                 "{'spec':{'parameters':{'kind':'k','name':'n','scope':'Cluster'}}}"},
        };
        static const struct error_case rows[] = {
                {"{'spec':{'controller':'acme.io/foo'}}", NULL, ""},
                {"{'spec':{}}", NULL, "spec.controller: Required value"},
                {"{'spec':{'controller':'foo'}}", NULL,
                 "spec.controller: Invalid value: \"foo\": must be a domain-prefixed path (such as \"acme.io/foo\")"},
                {"{'spec':{'controller':'a.b/c','parameters':{'kind':'k','name':'n','scope':'Namespace'}}}", NULL,
                 "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"},
                {"{'spec':{'controller':'a.b/c','parameters':{'kind':'k','name':'n','namespace':'x'}}}", NULL,
                 "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"},
                {"{'spec':{'controller':'a.b/c','parameters':{'kind':'k','name':'n','scope':'X'}}}", NULL,
                 "spec.parameters.scope: Unsupported value: \"X\": supported values: \"Cluster\", \"Namespace\""},
                {"{'spec':{'controller':'a.b/d'}}", "{'spec':{'controller':'a.b/c'}}",
                 "spec.controller: Invalid value: \"a.b/d\": field is immutable"},
        };

        run_default_cases(&kind_ingressclasses, NULL, defaults, ARRAY_SIZE(defaults));
        run_error_cases(&kind_ingressclasses, NULL, rows, ARRAY_SIZE(rows));
}

static void network_policies_get_types_and_protocols(void **state)
{
        static const struct default_case rows[] = {
                {"{'spec':{}}", "{'spec':{'policyTypes':['Ingress']}}"},
                {"{}", "{'spec':{'policyTypes':['Ingress']}}"},
                {"{'spec':{'egress':[{}]}}", "{'spec':{'egress':[{}],'policyTypes':['Ingress','Egress']}}"},
                {"{'spec':{'policyTypes':['Egress']}}", "{'spec':{'policyTypes':['Egress']}}"},
                {"{'spec':{'ingress':[{'ports':[{'port':80}]}]}}",
                 "{'spec':{'ingress':[{'ports':[{'port':80,'protocol':'TCP'}]}],'policyTypes':['Ingress']}}"},
        };

        run_default_cases(&kind_networkpolicies, NULL, rows, ARRAY_SIZE(rows));
}

#define PORT(p) "{'spec':{'ingress':[{'ports':[" p "]}]}}"
#define PEER(p) "{'spec':{'egress':[{'to':[" p "]}]}}"

static void network_policies_are_checked(void **state)
{
        static const struct error_case rows[] = {
                {"{'spec':{}}", NULL, ""},
                {PORT("{'port':80,'endPort':90}"), NULL, ""},
                {PORT("{'port':'http'}"), NULL, ""},
                {PORT("{'protocol':'X'}"), NULL,
                 "spec.ingress[0].ports[0].protocol: Unsupported value: \"X\": supported values: \"TCP\", \"UDP\", "
                 "\"SCTP\""},
                {PORT("{'port':70000}"), NULL,
                 "spec.ingress[0].ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive"},
                {PORT("{'endPort':80}"), NULL,
                 "spec.ingress[0].ports[0].endPort: Invalid value: 80: may not be specified when `port` is not "
                 "specified"},
                {PORT("{'port':'http','endPort':80}"), NULL,
                 "spec.ingress[0].ports[0].endPort: Invalid value: 80: may not be specified when `port` is "
                 "non-numeric"},
                {PORT("{'port':80,'endPort':79}"), NULL,
                 "spec.ingress[0].ports[0].endPort: Invalid value: 79: must be greater than or equal to `port`"},
                {PEER("{}"), NULL, "spec.egress[0].to[0]: Required value: must specify a peer"},
                {PEER("{'podSelector':{},'namespaceSelector':{}}"), NULL, ""},
                {PEER("{'podSelector':{},'ipBlock':{'cidr':'10.0.0.0/8'}}"), NULL,
                 "spec.egress[0].to[0]: Forbidden: may not specify both ipBlock and another peer"},
                {PEER("{'ipBlock':{'cidr':'10.0.0.0/8','except':['10.1.0.0/16']}}"), NULL, ""},
                {PEER("{'ipBlock':{}}"), NULL, "spec.egress[0].to[0].ipBlock.cidr: Required value"},
                {PEER("{'ipBlock':{'cidr':'x'}}"), NULL,
                 "spec.egress[0].to[0].ipBlock.cidr: Invalid value: \"x\": " BAD_CIDR},
                {PEER("{'ipBlock':{'cidr':'10.0.0.0/8','except':['11.0.0.0/16','10.0.0.0/8']}}"), NULL,
                 "spec.egress[0].to[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of "
                 "`cidr`\n"
                 "spec.egress[0].to[0].ipBlock.except[1]: Invalid value: \"10.0.0.0/8\": must be a strict subset of "
                 "`cidr`"},
                {"{'spec':{'policyTypes':['Foo']}}", NULL,
                 "spec.policyTypes[0]: Unsupported value: \"Foo\": supported values: \"Ingress\", \"Egress\""},
                {"{'spec':{'policyTypes':['Ingress','Egress','Ingress']}}", NULL,
                 "spec.policyTypes: Invalid value: [\"Ingress\",\"Egress\",\"Ingress\"]: may not specify more than two "
                 "policyTypes"},
                {"{'spec':{'podSelector':{'matchExpressions':[{'key':'a','operator':'In'}]}}}", NULL,
                 "spec.podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is "
                 "'In' or 'NotIn'"},
        };

        run_error_cases(&kind_networkpolicies, NULL, rows, ARRAY_SIZE(rows));
}

static void service_cidrs_are_checked(void **state)
{
        static const struct error_case rows[] = {
                {"{'spec':{'cidrs':['10.0.0.0/16','fd00::/64']}}", NULL, ""},
                {"{'spec':{}}", NULL, "spec.cidrs: Required value: at least one CIDR required"},
                {"{'spec':{'cidrs':['10.0.0.0/16','10.1.0.0/16']}}", NULL,
                 "spec.cidrs: Invalid value: [\"10.0.0.0/16\",\"10.1.0.0/16\"]: may specify no more than one IP for "
                 "each "
                 "IP family, i.e 192.168.0.0/24 and 2001:db8::/64"},
                {"{'spec':{'cidrs':['10.0.0.0/16','fd00::/64','fd01::/64']}}", NULL,
                 "spec.cidrs: Invalid value: {\"cidrs\":[\"10.0.0.0/16\",\"fd00::/64\",\"fd01::/64\"]}: may only hold "
                 "up "
                 "to 2 values"},
                {"{'spec':{'cidrs':['10.0.0.0/16','fd00::/64']}}", "{'spec':{'cidrs':['10.0.0.0/16']}}", ""},
                {"{'spec':{'cidrs':['10.1.0.0/16']}}", "{'spec':{'cidrs':['10.0.0.0/16']}}",
                 "spec.cidrs[0]: Invalid value: \"10.1.0.0/16\": field is immutable"},
                {"{'spec':{'cidrs':['10.0.0.0/16']}}", "{'spec':{'cidrs':['10.0.0.0/16','fd00::/64']}}",
                 "spec.cidrs: Invalid value: [\"10.0.0.0/16\"]: field is immutable"},
        };

        run_error_cases(&kind_servicecidrs, NULL, rows, ARRAY_SIZE(rows));
}

static void ip_addresses_are_checked(void **state)
{
        static const struct error_case rows[] = {
                {"{'spec':{'parentRef':{'resource':'services','name':'a','namespace':'b'}}}", NULL, ""},
                {"{'spec':{}}", NULL, "spec.parentRef: Required value"},
                {"{'spec':{'parentRef':{}}}", NULL,
                 "spec.parentRef.resource: Required value\nspec.parentRef.name: Required value"},
                {"{'spec':{'parentRef':{'resource':'a/b','name':'..'}}}", NULL,
                 "spec.parentRef.resource: Invalid value: \"a/b\": may not contain '/'\n"
                 "spec.parentRef.name: Invalid value: \"..\": may not be '..'"},
                {"{'spec':{'parentRef':{'resource':'services','name':'b'}}}",
                 "{'spec':{'parentRef':{'resource':'services','name':'a'}}}",
                 "spec.parentRef: Invalid value: {\"resource\":\"services\",\"name\":\"b\"}: field is immutable"},
        };

        run_error_cases(&kind_ipaddresses, NULL, rows, ARRAY_SIZE(rows));
        assert_null(kind_ipaddresses.validate_name("10.0.0.1"));
        assert_null(kind_ipaddresses.validate_name("fd00::1"));
        assert_non_null(kind_ipaddresses.validate_name("fd00::0:1"));
        assert_non_null(kind_ipaddresses.validate_name("web"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(endpoints_get_a_protocol),
                cmocka_unit_test(endpoints_are_checked),
                cmocka_unit_test(slices_name_their_ports),
                cmocka_unit_test(slices_are_checked),
                cmocka_unit_test(slices_have_limits),
                cmocka_unit_test(ingresses_are_checked),
                cmocka_unit_test(ingress_classes_are_checked),
                cmocka_unit_test(network_policies_get_types_and_protocols),
                cmocka_unit_test(network_policies_are_checked),
                cmocka_unit_test(service_cidrs_are_checked),
                cmocka_unit_test(ip_addresses_are_checked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
