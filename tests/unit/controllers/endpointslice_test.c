/* SPDX-License-Identifier: Apache-2.0 */
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

#define WEB "'selector':{'app':'web'},'ports':[{'name':'http','port':80,'targetPort':'http'}]"

static const struct controller *const only[] = {&controller_endpointslice};

static struct world *new_world(void)
{
        struct world *w = world_new(&(struct world_opts){.seed = 1, .controllers = only, .ncontrollers = 1});

        fix_node(w, "n1", "z1");
        fix_node(w, "n2", "z2");
        return w;
}

static void expect(struct world *w, const char *service, const char *endpoints)
{
        _cleanup_free_ char *text = fix_endpoints(w, service, "IPv4");

        assert_string_equal(text, endpoints);
}

static size_t count_slices(struct world *w, const char *service)
{
        size_t n;

        free(fix_slices(w, service, NULL, &n));
        return n;
}

static struct json_object *only_slice(struct world *w, const char *service)
{
        size_t n;
        _cleanup_free_ struct json_object **slices = fix_slices(w, service, NULL, &n);

        assert_int_equal(n, 1);
        return slices[0];
}

static struct json_object *endpoint_of(struct world *w, const char *service, const char *pod)
{
        size_t n;
        _cleanup_free_ struct json_object **slices = fix_slices(w, service, NULL, &n);

        for (size_t s = 0; s < n; s++) {
                json_array_foreach (json_get(slices[s], "endpoints"), i, e)
                        if (str_eq(json_at_str(e, "targetRef.name"), pod))
                                return e;
        }
        fail_msg("%s has no endpoint %s", service, pod);
        return NULL;
}

static const char *trigger(struct json_object *slice)
{
        return json_get_str(json_at(slice, "metadata.annotations"), "endpoints.kubernetes.io/last-change-trigger-time");
}

static void add_pods(struct world *w, unsigned int from, unsigned int to)
{
        for (unsigned int i = from; i < to; i++) {
                char name[32], ip[32];

                snprintf(name, sizeof(name), "p-%03u", i);
                snprintf(ip, sizeof(ip), "10.1.%u.%u", i / 200, 1 + i % 200);
                fix_pod(w, name, "'app':'web'", i % 2 ? "n1" : "n2", ip, true);
        }
}

/* ---- what is an endpoint ---- */

static void a_service_has_its_pods_as_endpoints(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();
        struct json_object *slice, *owner;

        fix_pod(w, "a", "'app':'web'", "n1", "10.0.0.1", true);
        fix_pod(w, "b", "'app':'web'", "n2", "10.0.0.2", false);
        fix_pod(w, "c", "'app':'db'", "n1", "10.0.0.3", true);
        world_settle(w);
        fix_service(w, "web", WEB);
        world_settle(w);
        expect(w, "web",
               "a=10.0.0.1 ready serving http:8080/TCP\n"
               "b=10.0.0.2 http:8080/TCP\n");

        slice = only_slice(w, "web");
        assert_string_equal(json_get_str(slice, "addressType"), "IPv4");
        assert_true(str_has_prefix(json_at_str(slice, "metadata.name"), "web-"));
        assert_string_equal(json_at_str(slice, "metadata.generateName"), "web-");
        owner = json_idx(json_at(slice, "metadata.ownerReferences"), 0);
        assert_string_equal(json_get_str(owner, "kind"), "Service");
        assert_true(json_get_bool(owner, "controller", false));
        assert_string_equal(json_get_str(json_at(slice, "metadata.labels"), "endpointslice.kubernetes.io/managed-by"),
                            "endpointslice-controller.k8s.io");
        assert_string_equal(json_at_str(endpoint_of(w, "web", "a"), "nodeName"), "n1");
        assert_string_equal(json_at_str(endpoint_of(w, "web", "a"), "zone"), "z1");
        assert_string_equal(json_at_str(endpoint_of(w, "web", "a"), "targetRef.kind"), "Pod");
        assert_null(json_get(endpoint_of(w, "web", "a"), "hints"));
        assert_int_equal(world_writes(w), 1);
}

static void ports_are_looked_up_in_each_pod(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        fix_pod(w, "a", "'app':'web'", "n1", "10.0.0.1", true);
        world_apply(w, "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'d','name':'b','labels':{'app':'web'}},"
                       "'spec':{'nodeName':'n1','initContainers':[{'name':'s','image':'i','restartPolicy':'Always',"
                       "'ports':[{'name':'http','containerPort':9090}]}],'containers':[{'name':'c','image':'i',"
                       "'ports':[{'name':'http','containerPort':53,'protocol':'UDP'}]}]},'status':{'phase':'Running',"
                       "'podIP':'10.0.0.2','podIPs':[{'ip':'10.0.0.2'}]}}");
        world_apply(w, "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'d','name':'c','labels':{'app':'web'}},"
                       "'spec':{'nodeName':'n1','containers':[{'name':'c','image':'i'}]},'status':{'phase':'Running',"
                       "'podIP':'10.0.0.3','podIPs':[{'ip':'10.0.0.3'}]}}");
        fix_service(w, "web",
                    "'selector':{'app':'web'},'ports':[{'name':'http','port':80,'targetPort':'http'},"
                    "{'name':'admin','port':81,'targetPort':8081}]");
        world_settle(w);
        expect(w, "web",
               "a=10.0.0.1 ready serving http:8080/TCP admin:8081/TCP\n"
               "b=10.0.0.2 http:9090/TCP admin:8081/TCP\n"
               "c=10.0.0.3 admin:8081/TCP\n");
        assert_int_equal(count_slices(w, "web"), 3);
}

static void what_is_no_endpoint_is_left_out(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        fix_pod(w, "a", "'app':'web'", "n1", "10.0.0.1", true);
        fix_pod(w, "done", "'app':'web'", "n1", "10.0.0.2", false);
        world_patch(w, &res_pods, "d", "done", "{'status':{'phase':'Succeeded'}}");
        fix_pod(w, "lost", "'app':'web'", "n9", "10.0.0.3", true);
        fix_pod(w, "v6", "'app':'web'", "n1", "fd00::1", true);
        world_apply(w,
                    "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'d','name':'new','labels':{'app':'web'}}"
                    ",'spec':{'nodeName':'n1','containers':[{'name':'c','image':'i'}]}}");
        fix_service(w, "web", WEB);
        world_settle(w);
        expect(w, "web", "a=10.0.0.1 ready serving http:8080/TCP\n");

        fix_node(w, "n9", "z9");
        world_settle(w);
        expect(w, "web",
               "a=10.0.0.1 ready serving http:8080/TCP\n"
               "lost=10.0.0.3 ready serving http:8080/TCP\n");
        assert_string_equal(json_get_str(endpoint_of(w, "web", "lost"), "zone"), "z9");
        fix_node(w, "n9", "z1");
        world_settle(w);
        assert_string_equal(json_get_str(endpoint_of(w, "web", "lost"), "zone"), "z1");
}

static void a_pod_that_ends_serves_but_is_not_ready(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        fix_pod(w, "a", "'app':'web'", "n1", "10.0.0.1", true);
        fix_pod(w, "b", "'app':'web'", "n1", "10.0.0.2", false);
        fix_service(w, "web", WEB);
        fix_service(w, "all", WEB ",'publishNotReadyAddresses':true");
        world_settle(w);
        world_delete(w, &res_pods, "d", "a", NULL);
        world_settle(w);
        expect(w, "web",
               "a=10.0.0.1 serving terminating http:8080/TCP\n"
               "b=10.0.0.2 http:8080/TCP\n");
        expect(w, "all",
               "a=10.0.0.1 ready serving terminating http:8080/TCP\n"
               "b=10.0.0.2 ready http:8080/TCP\n");
        assert_null(trigger(only_slice(w, "web")));
        world_kubelet(w, 1, NULL, NULL);
        world_settle(w);
        expect(w, "web", "b=10.0.0.2 http:8080/TCP\n");
}

static void a_pod_leaves_and_enters_by_its_labels(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        fix_pod(w, "a", "'app':'web'", "n1", "10.0.0.1", true);
        fix_service(w, "web", WEB);
        fix_service(w, "db", "'selector':{'app':'db'},'ports':[{'name':'sql','port':80}]");
        world_pass(w, 3000);
        world_patch(w, &res_pods, "d", "a", "{'metadata':{'labels':{'app':'db'}}}");
        world_settle(w);
        expect(w, "web", "");
        expect(w, "db", "a=10.0.0.1 ready serving sql:80/TCP\n");
}

static void a_headless_service_tells_hostnames(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        fix_pod(w, "a", "'app':'web'", "n1", "10.0.0.1", true);
        world_apply(w, "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'d','name':'web-0','labels':{'app':"
                       "'web'}},'spec':{'nodeName':'n1','hostname':'web-0','subdomain':'web','containers':[{'name':'c',"
                       "'image':'i'}]},'status':{'phase':'Running','podIP':'10.0.0.2','podIPs':[{'ip':'10.0.0.2'}]}}");
        fix_service(w, "web", "'clusterIP':'None','selector':{'app':'web'}");
        fix_service(w, "other", "'clusterIP':'None','selector':{'app':'web'}");
        world_settle(w);
        expect(w, "web", "a=10.0.0.1 ready serving\nweb-0=10.0.0.2\n");
        assert_string_equal(json_get_str(endpoint_of(w, "web", "web-0"), "hostname"), "web-0");
        assert_null(json_get(endpoint_of(w, "web", "a"), "hostname"));
        assert_null(json_get(endpoint_of(w, "other", "web-0"), "hostname"));
        assert_string_equal(
                json_get_str(json_at(only_slice(w, "web"), "metadata.labels"), "service.kubernetes.io/headless"), "");
}

/* ---- few writes ---- */

static void a_changed_pod_is_one_write_of_its_slice(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();
        uint64_t before;

        add_pods(w, 0, 250);
        world_settle(w);
        fix_service(w, "web", WEB);
        world_pass(w, 2000);
        assert_int_equal(count_slices(w, "web"), 3);
        assert_int_equal(world_writes(w), 3);

        before = world_writes(w);
        fix_ready(w, "p-123", false);
        world_pass(w, 2000);
        assert_int_equal(world_writes(w), before + 1);
        fix_ready(w, "p-123", true);
        fix_ready(w, "p-007", false);
        fix_ready(w, "p-007", true);
        world_pass(w, 2000);
        assert_true(world_writes(w) <= before + 3);

        before = world_writes(w);
        world_patch(w, &res_pods, "d", "p-007", "{'metadata':{'annotations':{'x':'y'}}}");
        world_patch(w, &res_pods, "d", "p-007", "{'metadata':{'labels':{'more':'labels'}}}");
        world_pass(w, 2000);
        assert_int_equal(world_writes(w), before);
}

static void new_endpoints_fill_what_has_room(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();
        uint64_t before;

        add_pods(w, 0, 250);
        world_settle(w);
        fix_service(w, "web", WEB);
        world_pass(w, 2000);
        before = world_writes(w);
        add_pods(w, 250, 251);
        world_pass(w, 2000);
        assert_int_equal(count_slices(w, "web"), 3);
        assert_int_equal(world_writes(w), before + 1);
        add_pods(w, 251, 301);
        world_pass(w, 2000);
        assert_int_equal(count_slices(w, "web"), 4);
}

static void a_service_without_endpoints_has_an_empty_slice(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();
        _cleanup_free_ char *name = NULL;

        fix_service(w, "web", WEB);
        world_settle(w);
        assert_int_equal(json_len(json_get(only_slice(w, "web"), "ports")), 0);
        name = mem_strdup(json_at_str(only_slice(w, "web"), "metadata.name"));
        assert_non_null(trigger(only_slice(w, "web")));

        add_pods(w, 0, 1);
        world_settle(w);
        assert_string_equal(json_at_str(only_slice(w, "web"), "metadata.name"), name);
        assert_int_equal(json_len(json_get(only_slice(w, "web"), "ports")), 1);
        world_delete(w, &res_pods, "d", "p-000", NULL);
        world_kubelet(w, 1, NULL, NULL);
        world_pass(w, 3000);
        assert_string_equal(json_at_str(only_slice(w, "web"), "metadata.name"), name);
        assert_int_equal(json_len(json_get(only_slice(w, "web"), "ports")), 0);
        assert_int_equal(json_len(json_get(only_slice(w, "web"), "endpoints")), 0);

        world_delete(w, &res_services, "d", "web", NULL);
        world_settle(w);
        assert_int_equal(count_slices(w, "web"), 0);
}

static void services_that_select_nothing_are_left_alone(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        fix_service(w, "bare", "'ports':[{'port':80}]");
        fix_service(w, "far", "'type':'ExternalName','externalName':'example.com','selector':{'app':'web'}");
        add_pods(w, 0, 2);
        world_pass(w, 3000);
        assert_int_equal(world_writes(w), 0);
}

static void the_trigger_is_the_first_change_of_a_batch(void **state)
{
        static const struct config batched = {.endpoints_per_slice = 100, .endpoint_batch_ms = 10000};
        _cleanup_(world_freep) struct world *w =
                world_new(&(struct world_opts){.seed = 1, .controllers = only, .ncontrollers = 1, .config = &batched});
        char first[CLOCK_TEXT_SIZE];

        fix_node(w, "n1", "z1");
        fix_node(w, "n2", "z1");
        add_pods(w, 0, 3);
        fix_service(w, "web", WEB);
        world_pass(w, 60000);
        clock_format(world_now_s(w), first);
        fix_ready(w, "p-001", false);
        world_pass(w, 3000);
        fix_ready(w, "p-002", false);
        world_pass(w, 3000);
        assert_true(json_at_bool(endpoint_of(w, "web", "p-001"), "conditions.ready", false));
        world_pass(w, 60000);
        assert_false(json_at_bool(endpoint_of(w, "web", "p-001"), "conditions.ready", true));
        assert_false(json_at_bool(endpoint_of(w, "web", "p-002"), "conditions.ready", true));
        assert_string_equal(trigger(only_slice(w, "web")), first);
}

static void labels_follow_those_of_the_service(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();
        struct json_object *labels;

        add_pods(w, 0, 1);
        fix_service(w, "web", WEB);
        world_settle(w);
        world_patch(w, &res_services, "d", "web",
                    "{'metadata':{'labels':{'team':'a','kubernetes.io/service-name':'x'}}}");
        world_settle(w);
        labels = json_at(only_slice(w, "web"), "metadata.labels");
        assert_string_equal(json_get_str(labels, "team"), "a");
        assert_string_equal(json_get_str(labels, "kubernetes.io/service-name"), "web");
        world_patch(w, &res_services, "d", "web", "{'metadata':{'labels':{'team':null}}}");
        world_settle(w);
        assert_null(json_get(json_at(only_slice(w, "web"), "metadata.labels"), "team"));
}

static void slices_that_others_changed_are_mended(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();
        _cleanup_free_ char *name = NULL;

        add_pods(w, 0, 2);
        fix_service(w, "web", WEB);
        world_pass(w, 3000);
        name = mem_strdup(json_at_str(only_slice(w, "web"), "metadata.name"));
        world_patch(w, &res_endpointslices, "d", name,
                    "{'metadata':{'annotations':{'mine':'x'}},'endpoints':[{'addresses':['1.2.3.4']}]}");
        world_pass(w, 3000);
        expect(w, "web", "p-000=10.1.0.1 ready serving http:8080/TCP\np-001=10.1.0.2 ready serving http:8080/TCP\n");
        assert_string_equal(json_get_str(json_at(only_slice(w, "web"), "metadata.annotations"), "mine"), "x");
        world_delete(w, &res_endpointslices, "d", name, NULL);
        world_pass(w, 3000);
        assert_int_equal(count_slices(w, "web"), 1);
}

/* As two leaders may leave it, of which one did not know of the other's slice. */
static void a_pod_is_in_one_slice_only(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();
        _cleanup_json_ struct json_object *copy = NULL;

        add_pods(w, 0, 3);
        fix_service(w, "web", WEB);
        world_pass(w, 3000);
        copy = json_copy(only_slice(w, "web"));
        json_set(copy, "metadata", json_copy(json_get(copy, "metadata")));
        json_set_str(json_get(copy, "metadata"), "name", "web-again");
        json_del(json_get(copy, "metadata"), "resourceVersion");
        json_del(json_get(copy, "metadata"), "uid");
        world_apply(w, "%s", json_object_to_json_string(copy));
        world_pass(w, 3000);
        assert_int_equal(count_slices(w, "web"), 1);
        expect(w, "web",
               "p-000=10.1.0.1 ready serving http:8080/TCP\np-001=10.1.0.2 ready serving http:8080/TCP\n"
               "p-002=10.1.0.3 ready serving http:8080/TCP\n");
}

/* ---- hints ---- */

static const char *hint(struct world *w, const char *pod, const char *kind)
{
        struct json_object *list = json_at(endpoint_of(w, "web", pod), kind);
        const char *name = json_get_str(json_idx(list, 0), "name");

        return name ? name : "";
}

static void traffic_distribution_becomes_hints(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();

        add_pods(w, 0, 2);
        fix_pod(w, "sick", "'app':'web'", "n1", "10.0.0.9", false);
        fix_service(w, "web", WEB ",'trafficDistribution':'PreferClose'");
        world_settle(w);
        assert_string_equal(hint(w, "p-000", "hints.forZones"), "z2");
        assert_string_equal(hint(w, "p-001", "hints.forZones"), "z1");
        assert_string_equal(hint(w, "p-001", "hints.forNodes"), "");
        assert_null(json_get(endpoint_of(w, "web", "sick"), "hints"));
        fix_service(w, "web", "'trafficDistribution':'PreferSameNode'");
        world_settle(w);
        assert_string_equal(hint(w, "p-001", "hints.forZones"), "z1");
        assert_string_equal(hint(w, "p-001", "hints.forNodes"), "n1");
        fix_service(w, "web", "'trafficDistribution':null");
        world_settle(w);
        assert_null(json_get(endpoint_of(w, "web", "p-000"), "hints"));
}

static void topology_mode_spreads_by_cpus(void **state)
{
        _cleanup_(world_freep) struct world *w = new_world();
        unsigned int to_z2 = 0;

        /* All eight endpoints are in z1, and z2 has half of the CPUs. */
        for (unsigned int i = 0; i < 8; i++) {
                char name[16], ip[16];

                snprintf(name, sizeof(name), "p-%u", i);
                snprintf(ip, sizeof(ip), "10.0.0.%u", i + 1);
                fix_pod(w, name, "'app':'web'", "n1", ip, true);
        }
        fix_service(w, "web", WEB);
        world_patch(w, &res_services, "d", "web",
                    "{'metadata':{'annotations':{'service.kubernetes.io/topology-mode':'Auto'}}}");
        world_settle(w);
        for (unsigned int i = 0; i < 8; i++) {
                char name[16];

                snprintf(name, sizeof(name), "p-%u", i);
                to_z2 += str_eq(hint(w, name, "hints.forZones"), "z2");
        }
        assert_int_equal(to_z2, 4);
        assert_non_null(strstr(world_events(w),
                               "Normal TopologyAwareHintsEnabled Service d/web Topology Aware Hints has "
                               "been enabled, addressType: IPv4"));
        /* One zone is not to be spread over. */
        fix_node(w, "n2", "z1");
        world_settle(w);
        assert_null(json_get(endpoint_of(w, "web", "p-0"), "hints"));
        assert_non_null(strstr(world_events(w), "Warning TopologyAwareHintsDisabled Service d/web Insufficient Node "
                                                "information"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_service_has_its_pods_as_endpoints),
                cmocka_unit_test(ports_are_looked_up_in_each_pod),
                cmocka_unit_test(what_is_no_endpoint_is_left_out),
                cmocka_unit_test(a_pod_that_ends_serves_but_is_not_ready),
                cmocka_unit_test(a_pod_leaves_and_enters_by_its_labels),
                cmocka_unit_test(a_headless_service_tells_hostnames),
                cmocka_unit_test(a_changed_pod_is_one_write_of_its_slice),
                cmocka_unit_test(new_endpoints_fill_what_has_room),
                cmocka_unit_test(a_service_without_endpoints_has_an_empty_slice),
                cmocka_unit_test(services_that_select_nothing_are_left_alone),
                cmocka_unit_test(the_trigger_is_the_first_change_of_a_batch),
                cmocka_unit_test(labels_follow_those_of_the_service),
                cmocka_unit_test(slices_that_others_changed_are_mended),
                cmocka_unit_test(a_pod_is_in_one_slice_only),
                cmocka_unit_test(traffic_distribution_becomes_hints),
                cmocka_unit_test(topology_mode_spreads_by_cpus),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
