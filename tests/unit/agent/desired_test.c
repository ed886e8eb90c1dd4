/* SPDX-License-Identifier: Apache-2.0 */
/* What the tables are to hold for objects as the API gives them: the projections and desired.c together. Results are
 * compared as text, a frontend a line:
 *
 *     10.96.0.1:80/TCP in=10.244.0.1:8080,10.244.0.2:8080 out=- affinity
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/desired.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "datapath/address.h"
#include "unit/agent/svcworld.h"

/* ---- as text ---- */

static void add_pool(struct strbuf *b, const struct port_state *p, const char *name, unsigned pool)
{
        char text[ADDRESS_TEXT];
        size_t n = 0;

        if (pool == POOL_NONE) {
                strbuf_printf(b, " %s=-", name);
                return;
        }
        strbuf_printf(b, " %s=%s", name, pool & POOL_HASH ? "maglev:" : "");
        for (uint32_t i = 0; i < p->nbackends; i++) {
                if (!backend_in_pool(&p->backends[i], pool))
                        continue;
                strbuf_printf(b, "%s%s", n++ ? "," : "",
                              address_port_text(&p->backends[i].addr, p->backends[i].port, text));
                if (p->backends[i].weight != 1)
                        strbuf_printf(b, "*%u", p->backends[i].weight);
        }
}

static void add_frontend(struct strbuf *b, const struct service_state *s, const struct frontend_state *f)
{
        static const struct {
                uint32_t flag;
                const char *text;
        } flags[] = {
                {SERVICE_DROP_IN, " drop-in"},   {SERVICE_DROP_OUT, " drop-out"},   {SERVICE_AFFINITY, " affinity"},
                {SERVICE_RANGES, " ranges"},     {SERVICE_LOCAL_OUT, " local-out"}, {SERVICE_HOSTPORT, " hostport"},
                {SERVICE_EXTERNAL, " external"},
        };
        char text[ADDRESS_TEXT];

        strbuf_printf(b, "%s/%s", address_port_text(&f->key.addr, f->key.port, text), protocol_text(f->key.proto));
        add_pool(b, &s->ports[f->port], "in", f->in);
        add_pool(b, &s->ports[f->port], "out", f->out);
        for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
                if (f->flags & flags[i].flag)
                        strbuf_add_str(b, flags[i].text);
        strbuf_add_char(b, '\n');
}

/* Frontends with a port, then what was skipped. */
static char *as_text(const struct service_state *s)
{
        struct strbuf b = STRBUF_NULL;

        for (size_t i = 0; i < s->nfrontends; i++)
                if (s->frontends[i].key.port)
                        add_frontend(&b, s, &s->frontends[i]);
        for (size_t i = 0; i < s->nproblems; i++)
                strbuf_printf(&b, "skipped: %s\n", s->problems[i]);
        return strbuf_take(&b, NULL);
}

/* ---- cases ---- */

#define META "'metadata':{'namespace':'ns','name':'web'},"
#define SPEC "'clusterIP':'10.96.0.1','clusterIPs':['10.96.0.1'],'ports':[{'name':'http','port':80}]"
#define OF   "'kubernetes.io/service-name':'web'"
#define SLICE(e)                                                                                                       \
        "{'metadata':{'namespace':'ns','name':'x','labels':{" OF "}},'addressType':'IPv4',"                            \
        "'ports':[{'name':'http','port':8080}],'endpoints':[" e "]}"
#define EP(ip, more) "{'addresses':['" ip "']" more "}"
#define READY        ",'conditions':{'ready':true,'serving':true,'terminating':false}"
#define UNREADY      ",'conditions':{'ready':false,'serving':false,'terminating':false}"
#define DRAINING     ",'conditions':{'ready':false,'serving':true,'terminating':true}"
#define HERE         ",'nodeName':'n1'"
#define THERE        ",'nodeName':'n2'"
#define ZONE(z)      ",'hints':{'forZones':[{'name':'" z "'}]}"
#define NODE(n)      ",'hints':{'forNodes':[{'name':'" n "'}]}"

#define SLICES_MAX 4

static char *desire(const char *service, const char *const *slices, const char *zone)
{
        struct projector p = {.node_name = "n1"};
        struct desired_env env = {.zone = zone};
        _cleanup_json_ struct json_object *o = svcworld_json("%s", service);
        const struct svc_view *svc = svcworld_project(project_service, &p, o);
        const struct slice_view *views[SLICES_MAX];
        struct arena arena = ARENA_NULL;
        struct service_state state;
        size_t n = 0, kept = 0;
        char *text;

        if (!svc)
                return strdup("not ours\n");
        for (; n < SLICES_MAX && slices[n]; n++) {
                _cleanup_json_ struct json_object *slice = svcworld_json("%s", slices[n]);
                const struct slice_view *view = svcworld_project(project_slice, &p, slice);

                if (view)
                        views[kept++] = view;
        }
        desired_service(svc, views, kept, &env, &arena, &state);
        text = as_text(&state);
        arena_deinit(&arena);
        free((void *)svc);
        while (kept)
                free((void *)views[--kept]);
        return text;
}

struct test_case {
        const char *name, *service, *slices[SLICES_MAX], *want, *zone;
};

static void run(const struct test_case *cases, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *got =
                        desire(cases[i].service, cases[i].slices, cases[i].zone ? cases[i].zone : "z1");

                if (strcmp(got, cases[i].want) != 0)
                        fail_msg("%s:\ngot:\n%swant:\n%s", cases[i].name, got, cases[i].want);
        }
}

#define PLAIN      "{" META "'spec':{" SPEC "}}"
#define IN(e)      "10.96.0.1:80/TCP in=" e " out=-\n"
#define WITH(spec) "{" META "'spec':{" SPEC "," spec "}}"

static void endpoints_are_chosen_by_their_conditions(void **state)
{
        static const struct test_case cases[] = {
                {"ready ones",
                 PLAIN,
                 {SLICE(EP("10.0.0.1", READY) "," EP("10.0.0.2", UNREADY))},
                 IN("10.0.0.1:8080"),
                 0},
                {"no conditions are ready", PLAIN, {SLICE(EP("10.0.0.1", ""))}, IN("10.0.0.1:8080"), 0},
                {"null conditions are ready",
                 PLAIN,
                 {SLICE(EP("10.0.0.1", ",'conditions':{'ready':null,'serving':null}"))},
                 IN("10.0.0.1:8080"),
                 0},
                {"draining ones while none is ready",
                 PLAIN,
                 {SLICE(EP("10.0.0.1", DRAINING) "," EP("10.0.0.2", UNREADY))},
                 IN("10.0.0.1:8080"),
                 0},
                {"not while one is",
                 PLAIN,
                 {SLICE(EP("10.0.0.1", DRAINING) "," EP("10.0.0.2", READY))},
                 IN("10.0.0.2:8080"),
                 0},
                {"terminating, but published as ready",
                 PLAIN,
                 {SLICE(EP("10.0.0.1", ",'conditions':{'ready':true,'terminating':true}"))},
                 IN("10.0.0.1:8080"),
                 0},
                {"none", PLAIN, {SLICE("")}, IN(""), 0},
                {"in two slices it is one, and ready when one says so",
                 PLAIN,
                 {SLICE(EP("10.0.0.1", UNREADY)), SLICE(EP("10.0.0.1", READY) "," EP("10.0.0.1", READY))},
                 IN("10.0.0.1:8080"),
                 0},
                {"the port is found by name and protocol",
                 PLAIN,
                 {"{'metadata':{'namespace':'ns','name':'x','labels':{" OF
                  "}},'addressType':'IPv4','ports':[{'name':'http',"
                  "'port':1,'protocol':'UDP'},{'name':'other','port':2},{'name':'http','port':3}],'endpoints':[" EP(
                          "10.0.0.1", "") "]}"},
                 IN("10.0.0.1:3"),
                 0},
        };

        run(cases, ARRAY_SIZE(cases));
}

#define HINTS(a, b) SLICE(EP("10.0.0.1", READY a) "," EP("10.0.0.2", READY b))
#define BOTH        IN("10.0.0.1:8080,10.0.0.2:8080")

static void hints_count_when_all_have_them_and_some_are_for_here(void **state)
{
        static const struct test_case cases[] = {
                {"the zone's", PLAIN, {HINTS(ZONE("z1"), ZONE("z2"))}, IN("10.0.0.1:8080"), 0},
                {"one without", PLAIN, {HINTS(ZONE("z1"), "")}, BOTH, 0},
                {"none for the zone", PLAIN, {HINTS(ZONE("z2"), ZONE("z3"))}, BOTH, 0},
                {"the zone is not known", PLAIN, {HINTS(ZONE("z1"), ZONE("z2"))}, BOTH, ""},
                {"unready ones do not count",
                 PLAIN,
                 {SLICE(EP("10.0.0.1", READY ZONE("z1")) "," EP("10.0.0.2", UNREADY) "," EP("10.0.0.3",
                                                                                            READY ZONE("z2")))},
                 IN("10.0.0.1:8080"),
                 0},
                {"the node's", PLAIN, {HINTS(NODE("n1"), NODE("n2"))}, IN("10.0.0.1:8080"), 0},
                {"none for the node", PLAIN, {HINTS(NODE("n3"), NODE("n2"))}, BOTH, 0},
                {"the node's before the zone's",
                 PLAIN,
                 {HINTS(",'hints':{'forNodes':[{'name':'n2'}],'forZones':[{'name':'z1'}]}",
                        ",'hints':{'forNodes':[{'name':'n1'}],'forZones':[{'name':'z1'}]}")},
                 IN("10.0.0.2:8080"),
                 0},
                {"the zone's when none is for the node",
                 PLAIN,
                 {HINTS(",'hints':{'forNodes':[{'name':'n2'}],'forZones':[{'name':'z1'}]}",
                        ",'hints':{'forNodes':[{'name':'n3'}],'forZones':[{'name':'z2'}]}")},
                 IN("10.0.0.1:8080"),
                 0},
        };

        run(cases, ARRAY_SIZE(cases));
}

#define TWO      SLICE(EP("10.0.0.1", READY HERE) "," EP("10.0.0.2", READY THERE))
#define ALL      "10.0.0.1:8080,10.0.0.2:8080"
#define NODEPORT "{" META "'spec':{'clusterIP':'10.96.0.1','ports':[{'name':'http','port':80,'nodePort':30080}]"

static void policies_choose_for_inside_and_outside(void **state)
{
        static const struct test_case cases[] = {
                {"internal Local",
                 WITH("'internalTrafficPolicy':'Local'"),
                 {TWO},
                 "10.96.0.1:80/TCP in=10.0.0.1:8080 out=- drop-in\n",
                 0},
                {"internal Local without local ones drops",
                 WITH("'internalTrafficPolicy':'Local'"),
                 {SLICE(EP("10.0.0.2", READY THERE))},
                 "10.96.0.1:80/TCP in= out=- drop-in\n",
                 0},
                {"without any it refuses", WITH("'internalTrafficPolicy':'Local'"), {SLICE("")}, IN(""), 0},
                {"internal Local takes draining ones of the node",
                 WITH("'internalTrafficPolicy':'Local'"),
                 {SLICE(EP("10.0.0.1", DRAINING HERE) "," EP("10.0.0.2", READY THERE))},
                 "10.96.0.1:80/TCP in=10.0.0.1:8080 out=- drop-in\n",
                 0},
                {"a NodePort",
                 NODEPORT "}}",
                 {TWO},
                 "0.0.0.0:30080/TCP in=" ALL " out=maglev:" ALL " external\n" IN(ALL),
                 0},
                {"external Local: clients inside reach all",
                 NODEPORT ",'externalTrafficPolicy':'Local'}}",
                 {TWO},
                 "0.0.0.0:30080/TCP in=" ALL " out=maglev:10.0.0.1:8080 drop-out local-out external\n" IN(ALL),
                 0},
                {"both Local",
                 NODEPORT ",'externalTrafficPolicy':'Local','internalTrafficPolicy':'Local'}}",
                 {TWO},
                 "0.0.0.0:30080/TCP in=" ALL " out=maglev:10.0.0.1:8080 drop-out local-out external\n"
                 "10.96.0.1:80/TCP in=10.0.0.1:8080 out=- drop-in\n",
                 0},
                {"external addresses",
                 "{" META "'spec':{" SPEC
                 ",'externalIPs':['203.0.113.1'],'sessionAffinity':'ClientIP','loadBalancerSourceRanges':"
                 "[' 198.51.100.0/24 ']},'status':{'loadBalancer':{'ingress':[{'ip':'203.0.113.2'},{'ip':'203.0.113.3',"
                 "'ipMode':'Proxy'},{'ip':'203.0.113.4','ipMode':'VIP'},{'hostname':'x'}]}}}",
                 {SLICE(EP("10.0.0.1", READY))},
                 "10.96.0.1:80/TCP in=10.0.0.1:8080 out=- affinity\n"
                 "203.0.113.1:80/TCP in=10.0.0.1:8080 out=maglev:10.0.0.1:8080 affinity external\n"
                 "203.0.113.2:80/TCP in=10.0.0.1:8080 out=maglev:10.0.0.1:8080 affinity ranges external\n"
                 "203.0.113.4:80/TCP in=10.0.0.1:8080 out=maglev:10.0.0.1:8080 affinity ranges external\n",
                 0},
                {"random outside, by annotation",
                 "{'metadata':{'namespace':'ns','name':'web','annotations':{'fairlead.dev/load-balancing':'random'}},"
                 "'spec':{" SPEC ",'externalIPs':['203.0.113.1']}}",
                 {SLICE(EP("10.0.0.1", READY))},
                 IN("10.0.0.1:8080") "203.0.113.1:80/TCP in=10.0.0.1:8080 out=10.0.0.1:8080 external\n",
                 0},
                {"Maglev inside, by annotation; weights",
                 "{'metadata':{'namespace':'ns','name':'web','annotations':{'fairlead.dev/load-balancing':'maglev'}},"
                 "'spec':{" SPEC "}}",
                 {"{'metadata':{'namespace':'ns','name':'x','labels':{" OF
                  "},'annotations':{'fairlead.dev/weight':'3'}},"
                  "'addressType':'IPv4','ports':[{'name':'http','port':8080}],'endpoints':[" EP("10.0.0.1", "") "]}"},
                 IN("maglev:10.0.0.1:8080*3"),
                 0},
        };

        run(cases, ARRAY_SIZE(cases));
}

static void each_family_has_its_own_endpoints(void **state)
{
        static const struct test_case cases[] = {
                {"dual-stack",
                 "{" META
                 "'spec':{'clusterIP':'10.96.0.1','clusterIPs':['10.96.0.1','fd00::1'],'ports':[{'name':'http',"
                 "'port':80,'nodePort':30080}]}}",
                 {SLICE(EP("10.0.0.1", READY)),
                  "{'metadata':{'namespace':'ns','name':'y','labels':{" OF
                  "}},'addressType':'IPv6','ports':[{'name':'http',"
                  "'port':8080}],'endpoints':[" EP("fd01::1", READY) "," EP("1::", READY) "]}"},
                 "[::]:30080/TCP in=[1::]:8080,[fd01::1]:8080 out=maglev:[1::]:8080,[fd01::1]:8080 external\n"
                 "0.0.0.0:30080/TCP in=10.0.0.1:8080 out=maglev:10.0.0.1:8080 external\n"
                 "10.96.0.1:80/TCP in=10.0.0.1:8080 out=-\n"
                 "[fd00::1]:80/TCP in=[1::]:8080,[fd01::1]:8080 out=-\n",
                 0},
        };

        run(cases, ARRAY_SIZE(cases));
}

static void what_is_odd_is_skipped_with_a_reason(void **state)
{
        static const struct test_case cases[] = {
                {"ports out of range",
                 "{" META
                 "'spec':{'clusterIP':'10.96.0.1','ports':[{'name':'a','port':0},{'name':'b','port':70000},{'name':'c',"
                 "'port':80},{'name':'d','port':81,'protocol':'ICMP'},{'name':'c','port':82},{'name':'e','port':83,"
                 "'nodePort':99999}]}}",
                 {0},
                 "10.96.0.1:80/TCP in= out=-\n10.96.0.1:83/TCP in= out=-\n"
                 "skipped: port \"a\": 0 is no port number\nskipped: port \"b\": 70000 is no port number\n"
                 "skipped: port 81: protocol \"ICMP\" is not served (TCP, UDP and SCTP are)\n"
                 "skipped: port 82: another port has the same name or number\n"
                 "skipped: port 83: nodePort 99999 is no port number\n",
                 0},
                {"addresses",
                 "{" META "'spec':{" SPEC
                 ",'externalIPs':['127.0.0.1','300.1.1.1','224.0.0.1','fe80::1','::ffff:1.2.3.4',7,null,"
                 "'10.96.0.1']}}",
                 {0},
                 IN("") "skipped: spec.externalIPs: 127.0.0.1 is a loopback address\n"
                        "skipped: spec.externalIPs: \"300.1.1.1\" is no IP address\n"
                        "skipped: spec.externalIPs: 224.0.0.1 is a multicast or reserved address\n"
                        "skipped: spec.externalIPs: fe80::1 is a link-local address\n"
                        "skipped: spec.externalIPs: \"::ffff:1.2.3.4\" is no IP address\n"
                        "skipped: spec.externalIPs: \"\" is no IP address\n"
                        "skipped: spec.externalIPs: \"\" is no IP address\n",
                 0},
                {"endpoints",
                 PLAIN,
                 {SLICE(EP("10.0.0.1", READY) "," EP("fd00::9", READY) "," EP("x", READY) ",{},7,null")},
                 IN("10.0.0.1:8080") "skipped: EndpointSlice ns/x: endpoints: fd00::9 is not of the slice's "
                                     "addressType\n"
                                     "skipped: EndpointSlice ns/x: endpoints: \"x\" is no IP address\n"
                                     "skipped: EndpointSlice ns/x: endpoints: \"\" is no IP address\n"
                                     "skipped: EndpointSlice ns/x: endpoints: \"\" is no IP address\n"
                                     "skipped: EndpointSlice ns/x: endpoints: \"\" is no IP address\n",
                 0},
                {"a source range that nobody can read closes",
                 "{" META "'spec':{" SPEC
                 ",'loadBalancerSourceRanges':['10.0.0.0/33']},'status':{'loadBalancer':{'ingress':"
                 "[{'ip':'203.0.113.2'}]}}}",
                 {0},
                 IN("") "203.0.113.2:80/TCP in= out=maglev: ranges external\n"
                        "skipped: spec.loadBalancerSourceRanges: \"10.0.0.0/33\" is no prefix: nobody is let in by "
                        "it\n",
                 0},
                {"affinity, annotation",
                 "{'metadata':{'namespace':'ns','name':'web','annotations':{'fairlead.dev/"
                 "load-balancing':'best'}},'spec':{" SPEC
                 ",'sessionAffinity':'ClientIP','sessionAffinityConfig':{'clientIP':{'timeoutSeconds':-1}}}}",
                 {0},
                 "10.96.0.1:80/TCP in= out=- affinity\n"
                 "skipped: spec.sessionAffinityConfig.clientIP.timeoutSeconds: -1 is not 1 to 86400: 10800 is used\n"
                 "skipped: annotation fairlead.dev/load-balancing: \"best\" is neither random nor maglev\n",
                 0},
                {"weights",
                 PLAIN,
                 {"{'metadata':{'namespace':'ns','name':'x','labels':{" OF
                  "},'annotations':{'fairlead.dev/weight':'101'}},"
                  "'addressType':'IPv4','ports':[{'name':'http','port':8080}],'endpoints':[" EP("10.0.0.1", "") "]}"},
                 IN("10.0.0.1:8080") "skipped: EndpointSlice ns/x: annotation fairlead.dev/weight: \"101\" is no "
                                     "number from 1 to "
                                     "100\n",
                 0},
                {"ports of a slice",
                 PLAIN,
                 {"{'metadata':{'namespace':'ns','name':'x','labels':{" OF
                  "}},'addressType':'IPv4','ports':[{'name':'http'},"
                  "{'name':'http','port':70000}],'endpoints':[" EP("10.0.0.1", "") "]}"},
                 IN("") "skipped: EndpointSlice ns/x: ports: 0/TCP is no port of TCP, UDP or SCTP\n"
                        "skipped: EndpointSlice ns/x: ports: 70000/TCP is no port of TCP, UDP or SCTP\n",
                 0},
        };

        run(cases, ARRAY_SIZE(cases));
}

static void what_is_not_ours_is_left_alone(void **state)
{
        static const struct test_case cases[] = {
                {"headless", "{" META "'spec':{'clusterIP':'None'}}", {0}, "not ours\n", 0},
                {"without address", "{" META "'spec':{}}", {0}, "not ours\n", 0},
                {"ExternalName",
                 "{" META "'spec':{'type':'ExternalName','clusterIP':'10.96.0.1'}}",
                 {0},
                 "not ours\n",
                 0},
                {"of another proxy",
                 "{'metadata':{'labels':{'service.kubernetes.io/service-proxy-name':'x'}},'spec':{" SPEC "}}",
                 {0},
                 "not ours\n",
                 0},
                {"nothing at all", "{}", {0}, "not ours\n", 0},
                {"slices that are headless, of no service, of names",
                 PLAIN,
                 {"{'metadata':{'namespace':'ns','name':'x','labels':{" OF
                  ",'service.kubernetes.io/headless':''}},'addressType':"
                  "'IPv4','ports':[{'name':'http','port':1}],'endpoints':[" EP("10.0.0.1", "") "]}",
                  "{'metadata':{'namespace':'ns','name':'x'},'addressType':'IPv4'}",
                  "{'metadata':{'namespace':'ns','name':'x','labels':{" OF "}},'addressType':'FQDN'}"},
                 IN(""),
                 0},
        };

        run(cases, ARRAY_SIZE(cases));
}

static void a_slice_of_thousands_is_no_problem(void **state)
{
        struct strbuf b = STRBUF_NULL;
        _cleanup_free_ char *text = NULL, *got = NULL;

        for (int i = 0; i < 5000; i++)
                strbuf_printf(&b, "%s" EP("10.%d.%d.1", ""), i ? "," : "", 1 + i / 250, i % 250);
        text = strbuf_take(&b, NULL);
        strbuf_printf(&b,
                      "{'metadata':{'namespace':'ns','name':'x','labels':{" OF
                      "}},'addressType':'IPv4','ports':[{'name':'http',"
                      "'port':8080}],'endpoints':[%s]}",
                      text);
        got = desire(PLAIN, (const char *const[]){b.data, NULL}, "z1");
        assert_non_null(strstr(got, ",10.20.249.1:8080 out="));
        assert_null(strstr(got, "skipped"));
        strbuf_deinit(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(endpoints_are_chosen_by_their_conditions),
                cmocka_unit_test(hints_count_when_all_have_them_and_some_are_for_here),
                cmocka_unit_test(policies_choose_for_inside_and_outside),
                cmocka_unit_test(each_family_has_its_own_endpoints),
                cmocka_unit_test(what_is_odd_is_skipped_with_a_reason),
                cmocka_unit_test(what_is_not_ours_is_left_alone),
                cmocka_unit_test(a_slice_of_thousands_is_no_problem),
        };

        return cmocka_run_group_tests_name("desired", tests, NULL, NULL);
}
