/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints, and the slices that mirror them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/controllers.h"
#include "unit/controllers/endpoints_fix.h"

#define WEB       "'selector':{'app':'web'},'ports':[{'name':'http','port':80,'targetPort':'http'}]"
#define MIRRORING "endpointslicemirroring-controller.k8s.io"

static const struct controller *const both[] = {&controller_endpoints, &controller_endpointslicemirroring};

static struct world *new_world(void)
{
        return world_new(&(struct world_opts){.seed = 1, .controllers = both, .ncontrollers = ARRAY_SIZE(both)});
}

static void expect(struct world *w, const char *service, const char *lines)
{
        _cleanup_free_ char *text = fix_legacy(w, service);

        assert_string_equal(text, lines);
}

static const char *label(struct json_object *o, const char *key)
{
        return json_get_str(json_at(o, "metadata.labels"), key);
}

static const char *annotation(struct json_object *o, const char *key)
{
        return json_get_str(json_at(o, "metadata.annotations"), key);
}

static struct json_object *endpoints(struct world *w, const char *name)
{
        return world_get(w, &res_endpoints, "d", name);
}

/* ---- Endpoints ---- */

static void a_service_has_endpoints(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();
        char at[CLOCK_TEXT_SIZE];
        uint64_t before;

        fix_pod(w, "a", "'app':'web'", "n1", "10.0.0.1", true);
        fix_pod(w, "b", "'app':'web'", "n2", "10.0.0.2", false);
        fix_pod(w, "c", "'app':'db'", "n1", "10.0.0.3", true);
        world_settle(w);
        fix_service(w, "web", WEB);
        world_pass(w, 5000);
        expect(w, "web", "a=10.0.0.1 http:8080/TCP\nb=10.0.0.2 http:8080/TCP -\n");
        assert_string_equal(label(endpoints(w, "web"), "endpoints.kubernetes.io/managed-by"), "endpoint-controller");
        assert_null(label(endpoints(w, "web"), "service.kubernetes.io/headless"));
        assert_int_equal(world_writes(w), 1);

        before = world_writes(w);
        clock_format(world_now_s(w), at);
        fix_ready(w, "b", true);
        world_pass(w, 5000);
        expect(w, "web", "a=10.0.0.1 http:8080/TCP\nb=10.0.0.2 http:8080/TCP\n");
        assert_string_equal(annotation(endpoints(w, "web"), "endpoints.kubernetes.io/last-change-trigger-time"), at);
        assert_int_equal(world_writes(w), before + 1);

        world_delete(w, &res_pods, "d", "a", NULL);
        world_pass(w, 5000);
        expect(w, "web", "b=10.0.0.2 http:8080/TCP\n");
        assert_null(annotation(endpoints(w, "web"), "endpoints.kubernetes.io/last-change-trigger-time"));
        world_delete(w, &res_services, "d", "web", NULL);
        world_pass(w, 5000);
        expect(w, "web", "none");
}

static void ports_share_a_subset_when_they_share_addresses(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        fix_pod(w, "a", "'app':'web'", "n1", "10.0.0.1", true);
        world_apply(w, "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'d','name':'b','labels':{'app':'web'}},"
                       "'spec':{'nodeName':'n1','containers':[{'name':'c','image':'i','ports':[{'name':'http',"
                       "'containerPort':9090}]}]},'status':{'phase':'Running','podIP':'10.0.0.2','podIPs':[{'ip':"
                       "'10.0.0.2'}]}}");
        fix_service(w, "web",
                    "'selector':{'app':'web'},'ports':[{'name':'http','port':80,'targetPort':'http'},"
                    "{'name':'admin','port':81,'targetPort':8081},{'name':'more','port':82,'targetPort':8082}]");
        world_pass(w, 5000);
        expect(w, "web",
               "a=10.0.0.1 admin:8081/TCP\na=10.0.0.1 http:8080/TCP\na=10.0.0.1 more:8082/TCP\n"
               "b=10.0.0.2 admin:8081/TCP -\nb=10.0.0.2 http:9090/TCP -\nb=10.0.0.2 more:8082/TCP -\n");
        assert_int_equal(json_len(json_get(endpoints(w, "web"), "subsets")), 3);
}

static void a_headless_service_needs_no_ports(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        fix_pod(w, "a", "'app':'web'", "n1", "10.0.0.1", true);
        fix_service(w, "web", "'clusterIP':'None','selector':{'app':'web'},'publishNotReadyAddresses':true");
        world_pass(w, 5000);
        expect(w, "web", "a=10.0.0.1\n");
        assert_string_equal(label(endpoints(w, "web"), "service.kubernetes.io/headless"), "");
        world_delete(w, &res_pods, "d", "a", NULL);
        world_pass(w, 5000);
        expect(w, "web", "a=10.0.0.1\n");
}

static void too_many_are_cut_off(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();
        struct json_object *subset;
        uint64_t before;

        for (unsigned int i = 0; i < 1100; i++) {
                char name[32], ip[32];

                snprintf(name, sizeof(name), "p-%04u", i);
                snprintf(ip, sizeof(ip), "10.1.%u.%u", i / 200, 1 + i % 200);
                fix_pod(w, name, "'app':'web'", "n1", ip, i % 11 != 0);
        }
        world_settle(w);
        fix_service(w, "web", WEB);
        world_pass(w, 5000);
        subset = json_idx(json_get(endpoints(w, "web"), "subsets"), 0);
        assert_int_equal(json_len(json_get(subset, "addresses")), 1000);
        assert_int_equal(json_len(json_get(subset, "notReadyAddresses")), 0);
        assert_string_equal(annotation(endpoints(w, "web"), "endpoints.kubernetes.io/over-capacity"), "truncated");
        before = world_writes(w);
        world_patch(w, &res_pods, "d", "p-0000", "{'metadata':{'labels':{'x':'y'}}}");
        world_pass(w, 5000);
        assert_int_equal(world_writes(w), before);

        fix_ready(w, "p-0001", false);
        world_pass(w, 5000);
        subset = json_idx(json_get(endpoints(w, "web"), "subsets"), 0);
        assert_int_equal(json_len(json_get(subset, "addresses")), 999);
        assert_int_equal(json_len(json_get(subset, "notReadyAddresses")), 1);
        world_patch(w, &res_services, "d", "web", "{'spec':{'selector':{'x':'y'}}}");
        world_pass(w, 5000);
        assert_null(annotation(endpoints(w, "web"), "endpoints.kubernetes.io/over-capacity"));
}

static void what_others_changed_is_mended(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        fix_pod(w, "a", "'app':'web'", "n1", "10.0.0.1", true);
        fix_service(w, "web", WEB);
        world_pass(w, 5000);
        world_patch(w, &res_endpoints, "d", "web", "{'metadata':{'annotations':{'mine':'x'}},'subsets':[]}");
        world_pass(w, 5000);
        expect(w, "web", "a=10.0.0.1 http:8080/TCP\n");
        assert_string_equal(annotation(endpoints(w, "web"), "mine"), "x");
        world_delete(w, &res_endpoints, "d", "web", NULL);
        world_pass(w, 5000);
        expect(w, "web", "a=10.0.0.1 http:8080/TCP\n");
}

/* Of Services that are gone, its own go, also when it did not see them go. */
static void endpoints_without_a_service_stay_if_they_are_of_others(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        fix_pod(w, "a", "'app':'web'", "n1", "10.0.0.1", true);
        world_apply(w, "{'apiVersion':'v1','kind':'Endpoints','metadata':{'namespace':'d','name':'mine'},'subsets':[{"
                       "'addresses':[{'ip':'1.2.3.4'}],'ports':[{'name':'x','port':1}]}]}");
        world_apply(w, "{'apiVersion':'v1','kind':'Endpoints','metadata':{'namespace':'d','name':'left','labels':{"
                       "'endpoints.kubernetes.io/managed-by':'endpoint-controller'}}}");
        world_pass(w, 5000);
        expect(w, "mine", "=1.2.3.4 x:1/TCP\n");
        expect(w, "left", "none");
        fix_service(w, "mine", "'ports':[{'name':'x','port':1}]");
        world_pass(w, 5000);
        world_delete(w, &res_services, "d", "mine", NULL);
        world_pass(w, 5000);
        expect(w, "mine", "none");
}

/* ---- mirroring ---- */

static struct json_object *mirrored(struct world *w, const char *name, const char *family)
{
        size_t n;
        _cleanup_free_ struct json_object **slices = fix_slices(w, name, MIRRORING, &n);

        for (size_t i = 0; i < n; i++)
                if (str_eq(json_get_str(slices[i], "addressType"), family))
                        return slices[i];
        return NULL;
}

static void write_endpoints(struct world *w, const char *subsets)
{
        world_apply(w,
                    "{'apiVersion':'v1','kind':'Endpoints','metadata':{'namespace':'d','name':'ext','labels':{'l':'1'},"
                    "'annotations':{'note':'x'}},'subsets':[%s]}",
                    subsets);
}

static void endpoints_of_people_are_mirrored(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();
        struct json_object *slice, *e;
        uint64_t before;

        fix_service(w, "ext", "'ports':[{'name':'sql','port':5432}]");
        write_endpoints(w,
                        "{'addresses':[{'ip':'1.2.3.4','nodeName':'n1'},{'ip':'fd00::1'}],'notReadyAddresses':[{'ip':"
                        "'1.2.3.5'}],'ports':[{'name':'sql','port':5432}]}");
        world_pass(w, 5000);
        slice = mirrored(w, "ext", "IPv4");
        assert_non_null(slice);
        assert_string_equal(label(slice, "l"), "1");
        assert_string_equal(label(slice, "kubernetes.io/service-name"), "ext");
        assert_string_equal(annotation(slice, "note"), "x");
        assert_string_equal(json_get_str(json_idx(json_at(slice, "metadata.ownerReferences"), 0), "kind"), "Endpoints");
        assert_int_equal(json_len(json_get(slice, "endpoints")), 2);
        e = json_idx(json_get(slice, "endpoints"), 0);
        assert_true(json_at_bool(e, "conditions.ready", false));
        assert_string_equal(json_get_str(e, "nodeName"), "n1");
        assert_false(json_at_bool(json_idx(json_get(slice, "endpoints"), 1), "conditions.ready", true));
        assert_int_equal(json_len(json_get(mirrored(w, "ext", "IPv6"), "endpoints")), 1);

        before = world_writes(w);
        write_endpoints(w, "{'addresses':[{'ip':'1.2.3.4'}],'ports':[{'name':'sql','port':5433}]}");
        world_pass(w, 5000);
        assert_int_equal(json_get_i64(json_idx(json_get(mirrored(w, "ext", "IPv4"), "ports"), 0), "port", 0), 5433);
        assert_null(mirrored(w, "ext", "IPv6"));
        assert_int_equal(world_writes(w), before + 2);
        world_patch(w, &res_endpoints, "d", "ext", "{'metadata':{'annotations':{'note':'y'}}}");
        world_pass(w, 5000);
        assert_string_equal(annotation(mirrored(w, "ext", "IPv4"), "note"), "y");
}

static void what_is_not_to_be_mirrored_is_not(void **state)
{
        static const char *const reasons[][2] = {
                {"{'metadata':{'labels':{'endpointslice.kubernetes.io/skip-mirror':'true'}}}",
                 "{'metadata':{'labels':{'endpointslice.kubernetes.io/skip-mirror':null}}}"},
                {"{'metadata':{'annotations':{'control-plane.alpha.kubernetes.io/leader':'{}'}}}",
                 "{'metadata':{'annotations':{'control-plane.alpha.kubernetes.io/leader':null}}}"},
        };
        _cleanup_(world_freep) struct world *w = new_world();

        write_endpoints(w, "{'addresses':[{'ip':'1.2.3.4'}],'ports':[{'name':'sql','port':5432}]}");
        world_pass(w, 5000);
        assert_null(mirrored(w, "ext", "IPv4")); /* no Service */
        fix_service(w, "ext", "'ports':[{'name':'sql','port':5432}]");
        world_pass(w, 5000);
        assert_non_null(mirrored(w, "ext", "IPv4"));
        for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
                world_patch(w, &res_endpoints, "d", "ext", "%s", reasons[i][0]);
                world_pass(w, 5000);
                assert_null(mirrored(w, "ext", "IPv4"));
                world_patch(w, &res_endpoints, "d", "ext", "%s", reasons[i][1]);
                world_pass(w, 5000);
                assert_non_null(mirrored(w, "ext", "IPv4"));
        }
        world_patch(w, &res_services, "d", "ext", "{'spec':{'selector':{'app':'x'}}}");
        world_pass(w, 5000);
        assert_null(mirrored(w, "ext", "IPv4"));
        expect(w, "ext", "");
}

static void only_a_thousand_of_a_subset_are_mirrored(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        fix_service(w, "ext", "'ports':[{'name':'sql','port':5432}]");
        strbuf_add_str(&b, "{'addresses':[");
        for (unsigned int i = 0; i < 1005; i++)
                strbuf_printf(&b, "%s{'ip':'1.2.%u.%u'}", i ? "," : "", i / 200, 1 + i % 200);
        strbuf_add_str(&b, "],'ports':[{'name':'sql','port':5432}]}");
        write_endpoints(w, b.data);
        world_pass(w, 5000);
        assert_int_equal(json_len(json_get(mirrored(w, "ext", "IPv4"), "endpoints")), 1000);
        assert_non_null(strstr(world_events(w),
                               "Warning TooManyAddressesToMirror Endpoints d/ext A max of 1000 addresses "
                               "can be mirrored to EndpointSlices per Endpoints subset. 5 addresses "
                               "were skipped"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_service_has_endpoints),
                cmocka_unit_test(ports_share_a_subset_when_they_share_addresses),
                cmocka_unit_test(a_headless_service_needs_no_ports),
                cmocka_unit_test(too_many_are_cut_off),
                cmocka_unit_test(what_others_changed_is_mended),
                cmocka_unit_test(endpoints_without_a_service_stay_if_they_are_of_others),
                cmocka_unit_test(endpoints_of_people_are_mirrored),
                cmocka_unit_test(what_is_not_to_be_mirrored_is_not),
                cmocka_unit_test(only_a_thousand_of_a_subset_are_mirrored),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
