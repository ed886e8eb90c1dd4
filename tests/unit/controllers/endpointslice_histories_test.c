/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories of Services, pods and nodes against a naive model: at rest the slices of a service are exactly what
 * its pods come to, each pod once, and no slice is larger than it may be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/common/pods.h"
#include "controllers/controllers.h"
#include "unit/controllers/endpoints_fix.h"

#define SERVICES  4
#define PODS      14
#define NODES     3
#define STEPS     60
#define SEEDS     12
#define SLICE_MAX 3 /* endpoints of a slice: so that there are several */

static const struct controller *const three[] = {&controller_endpoints, &controller_endpointslice,
                                                 &controller_endpointslicemirroring};
static const struct config config = {.endpoints_per_slice = SLICE_MAX};

/* ---- what users and kubelets do ---- */

static const char *selector(struct world *w)
{
        static const char *const maps[] = {"{'app':'a'}", "{'app':'b'}", "{'app':'a','tier':'x'}", "null"};

        return maps[world_random(w, ARRAY_SIZE(maps))];
}

static const char *ports(struct world *w)
{
        static const char *const lists[] = {
                "{'name':'web','port':80,'targetPort':'http'}",
                "{'name':'web','port':80,'targetPort':8080}",
                "{'name':'web','port':80,'targetPort':'http'},{'name':'more','port':81,'targetPort':9000}",
        };

        return lists[world_random(w, ARRAY_SIZE(lists))];
}

static const char *traffic(struct world *w)
{
        static const char *const names[] = {"null", "'PreferClose'", "'PreferSameNode'"};

        return names[world_random(w, ARRAY_SIZE(names))];
}

static void touch_service(struct world *w)
{
        char name[16];

        snprintf(name, sizeof(name), "s%u", (unsigned int)world_random(w, SERVICES));
        if (world_random(w, 6) == 0 && world_get(w, &res_services, "d", name)) {
                world_delete(w, &res_services, "d", name, NULL);
                return;
        }
        world_apply(w,
                    "{'apiVersion':'v1','kind':'Service','metadata':{'namespace':'d','name':'%s','labels':{'v':'%u'}},"
                    "'spec':{'selector':null,'ports':[%s],'publishNotReadyAddresses':%s,'trafficDistribution':%s}}",
                    name, (unsigned int)world_random(w, 3), ports(w), world_random(w, 4) ? "false" : "true",
                    traffic(w));
        world_patch(w, &res_services, "d", name, "{'spec':{'selector':%s}}", selector(w));
}

static void new_pod(struct world *w, const char *name)
{
        char labels[64], node[16], ip[32];

        snprintf(labels, sizeof(labels), "'app':'%s'%s", world_random(w, 2) ? "a" : "b",
                 world_random(w, 2) ? ",'tier':'x'" : "");
        snprintf(node, sizeof(node), "n%u", (unsigned int)world_random(w, NODES));
        snprintf(ip, sizeof(ip), "10.%u.%u.%u", (unsigned int)world_random(w, 250), (unsigned int)world_random(w, 250),
                 1 + (unsigned int)world_random(w, 250));
        fix_pod(w, name, labels, node, ip, world_random(w, 3) != 0);
}

static void touch_pod(struct world *w)
{
        char name[16];

        snprintf(name, sizeof(name), "p%02u", (unsigned int)world_random(w, PODS));
        if (!world_get(w, &res_pods, "d", name)) {
                new_pod(w, name);
                return;
        }
        switch (world_random(w, 6)) {
        case 0:
                world_delete(w, &res_pods, "d", name, NULL);
                break;
        case 1:
                world_patch(w, &res_pods, "d", name, "{'metadata':{'labels':{'app':'%s'}}}",
                            world_random(w, 2) ? "a" : "b");
                break;
        case 2:
                world_patch(w, &res_pods, "d", name, "{'status':{'phase':'%s'}}",
                            world_random(w, 2) ? "Failed" : "Running");
                break;
        default:
                fix_ready(w, name, world_random(w, 2));
        }
}

static void touch_node(struct world *w)
{
        char name[16], zone[16];

        snprintf(name, sizeof(name), "n%u", (unsigned int)world_random(w, NODES));
        snprintf(zone, sizeof(zone), "z%u", (unsigned int)world_random(w, 2));
        if (world_random(w, 3) == 0)
                world_delete(w, &res_nodes, NULL, name, NULL);
        else
                fix_node(w, name, zone);
}

/* Somebody meddles with a slice. */
static void touch_slice(struct world *w)
{
        size_t n;
        _cleanup_free_ struct json_object **slices = world_list(w, &res_endpointslices, "d", &n);
        struct json_object *slice = n ? slices[world_random(w, n)] : NULL;
        _cleanup_free_ char *name = NULL;
        bool v6;

        if (!n)
                return;
        name = mem_strdup(json_at_str(slice, "metadata.name"));
        v6 = str_eq(json_get_str(slice, "addressType"), "IPv6");
        if (world_random(w, 2))
                world_delete(w, &res_endpointslices, "d", name, NULL);
        else
                world_patch(w, &res_endpointslices, "d", name, "{'endpoints':[{'addresses':['%s']}]}",
                            v6 ? "fd00::5" : "1.2.3.4");
}

/* Somebody writes Endpoints of a Service, with or without a selector. */
static void touch_endpoints(struct world *w)
{
        world_apply(w,
                    "{'apiVersion':'v1','kind':'Endpoints','metadata':{'namespace':'d','name':'s%u'},'subsets':[{"
                    "'addresses':[{'ip':'1.2.3.%u'},{'ip':'fd00::%u'}],'ports':[{'name':'x','port':%u}]}]}",
                    (unsigned int)world_random(w, SERVICES), 1 + (unsigned int)world_random(w, 3),
                    1 + (unsigned int)world_random(w, 3), 1 + (unsigned int)world_random(w, 2));
}

static void one_thing(struct world *w)
{
        uint64_t what = world_random(w, 21);

        if (what < 4)
                touch_service(w);
        else if (what < 16)
                touch_pod(w);
        else if (what < 18)
                touch_node(w);
        else if (what < 19)
                touch_slice(w);
        else if (what < 20)
                touch_endpoints(w);
        else
                world_kubelet(w, NODES, NULL, NULL);
}

/* ---- the model ---- */

static int64_t port_in(const struct kobj *pod, struct json_object *port)
{
        const char *name = json_get_str(port, "targetPort");

        if (!name)
                return json_get_i64(port, "targetPort", -1);
        for (size_t i = 0; i < pod->pod->nports; i++)
                if (str_eq(pod->pod->ports[i].name, name))
                        return pod->pod->ports[i].port;
        return -1;
}

static bool is_selected(struct json_object *spec, const struct kobj *pod)
{
        json_foreach (json_get(spec, "selector"), key, value)
                if (!str_eq(kobj_label(pod, key), json_object_get_string(value)))
                        return false;
        return true;
}

static void write_wanted(struct world *w, struct strbuf *b, struct json_object *spec, struct json_object *json)
{
        _cleanup_(kobj_unrefp) const struct kobj *pod = kobj_from_json(&res_pods, json);
        struct json_object *node = world_get(w, &res_nodes, NULL, pod->pod->node);
        bool all = json_get_bool(spec, "publishNotReadyAddresses", false), ready = pod_is_ready(pod);

        if (!is_selected(spec, pod) || pod_is_finished(pod) || !pod->pod->nips || (!node && !all))
                return;
        strbuf_printf(b, "%s=%s%s%s%s", pod->name, pod->pod->ips[0], all || (ready && !pod->deleted_s) ? " ready" : "",
                      ready ? " serving" : "", pod->deleted_s ? " terminating" : "");
        json_array_foreach (json_get(spec, "ports"), i, port)
                if (port_in(pod, port) >= 0)
                        strbuf_printf(b, " %s:%d/TCP", json_get_str(port, "name"), (int)port_in(pod, port));
        strbuf_add_char(b, '\n');
}

/* The same for Endpoints: a line for each port. */
static void write_legacy(struct strbuf *b, struct json_object *spec, struct json_object *json)
{
        _cleanup_(kobj_unrefp) const struct kobj *pod = kobj_from_json(&res_pods, json);
        bool any = json_get_bool(spec, "publishNotReadyAddresses", false);

        if (!is_selected(spec, pod) || pod_is_finished(pod) || !pod->pod->nips || (pod->deleted_s && !any))
                return;
        for (size_t i = json_len(json_get(spec, "ports")); i-- > 0;) { /* "more" is before "web" */
                struct json_object *port = json_idx(json_get(spec, "ports"), i);

                if (port_in(pod, port) >= 0)
                        strbuf_printf(b, "%s=%s %s:%d/TCP%s\n", pod->name, pod->pod->ips[0], json_get_str(port, "name"),
                                      (int)port_in(pod, port), any || pod_is_ready(pod) ? "" : " -");
        }
}

static int by_name(const void *a, const void *b)
{
        return strcmp(json_at_str(*(struct json_object *const *)a, "metadata.name"),
                      json_at_str(*(struct json_object *const *)b, "metadata.name"));
}

static char *wanted(struct world *w, struct json_object *spec, bool legacy)
{
        size_t n;
        _cleanup_free_ struct json_object **pods = world_list(w, &res_pods, "d", &n);
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        qsort(pods, n, sizeof(*pods), by_name);
        for (size_t i = 0; i < n; i++)
                if (legacy)
                        write_legacy(&b, spec, pods[i]);
                else
                        write_wanted(w, &b, spec, pods[i]);
        return strbuf_take(&b, NULL);
}

static const char *only_hint(struct json_object *endpoint, const char *kind)
{
        struct json_object *list = json_at(endpoint, kind);
        const char *name = json_get_str(json_idx(list, 0), "name");

        assert_true(json_len(list) <= 1);
        return name ? name : "";
}

static void check_details(struct world *w, struct json_object *spec, struct json_object *endpoint)
{
        struct json_object *node = world_get(w, &res_nodes, NULL, json_get_str(endpoint, "nodeName"));
        const char *zone = json_get_str(json_at(node, "metadata.labels"), "topology.kubernetes.io/zone");
        const char *prefer = json_get_str(spec, "trafficDistribution");
        bool ready = json_at_bool(endpoint, "conditions.ready", false);

        assert_true(str_eq(json_get_str(endpoint, "zone"), zone));
        assert_string_equal(only_hint(endpoint, "hints.forZones"), prefer && ready && zone ? zone : "");
        assert_string_equal(only_hint(endpoint, "hints.forNodes"),
                            str_eq(prefer, "PreferSameNode") && ready ? json_get_str(endpoint, "nodeName") : "");
}

static void check_slices(struct world *w, struct json_object *service, const char *name)
{
        size_t n;
        _cleanup_free_ struct json_object **slices = fix_slices(w, name, NULL, &n);
        struct json_object *spec = json_get(service, "spec");

        assert_true(n >= 1);
        for (size_t i = 0; i < n; i++) {
                struct json_object *owner = json_idx(json_at(slices[i], "metadata.ownerReferences"), 0);

                assert_true(json_len(json_get(slices[i], "endpoints")) <= SLICE_MAX);
                assert_true(n == 1 || json_len(json_get(slices[i], "endpoints")) > 0);
                assert_string_equal(json_get_str(owner, "uid"), json_at_str(service, "metadata.uid"));
                assert_string_equal(json_get_str(json_at(slices[i], "metadata.labels"), "v"),
                                    json_get_str(json_at(service, "metadata.labels"), "v"));
                json_array_foreach (json_get(slices[i], "endpoints"), j, e)
                        check_details(w, spec, e);
        }
}

/* Without a selector: what is in the Endpoints is in the mirroring slices. */
static void check_mirror(struct world *w, const char *name)
{
        size_t n, in_slices = 0, in_endpoints = 0;
        _cleanup_free_ struct json_object **slices =
                fix_slices(w, name, "endpointslicemirroring-controller.k8s.io", &n);
        struct json_object *o = world_get(w, &res_endpoints, "d", name);

        for (size_t i = 0; i < n; i++)
                in_slices += json_len(json_get(slices[i], "endpoints"));
        json_array_foreach (json_get(o, "subsets"), i, subset)
                in_endpoints +=
                        json_len(json_get(subset, "addresses")) + json_len(json_get(subset, "notReadyAddresses"));
        assert_int_equal(in_slices, in_endpoints);
}

static void check_service(struct world *w, const char *name)
{
        struct json_object *service = world_get(w, &res_services, "d", name);
        _cleanup_free_ char *is = fix_endpoints(w, name, "IPv4"), *should = NULL;
        _cleanup_free_ char *old = fix_legacy(w, name), *old_should = NULL;

        if (!service) {
                assert_string_equal(is, "");
                return;
        }
        if (!json_has(json_get(service, "spec"), "selector")) {
                check_mirror(w, name); /* and whatever it had when it selected, stays */
                return;
        }
        should = wanted(w, json_get(service, "spec"), false);
        assert_string_equal(is, should);
        old_should = wanted(w, json_get(service, "spec"), true);
        assert_string_equal(old, old_should);
        check_slices(w, service, name);
}

static void check_rest(struct world *w)
{
        uint64_t before = world_writes(w);

        for (unsigned int i = 0; i < SERVICES; i++) {
                char name[16];

                snprintf(name, sizeof(name), "s%u", i);
                check_service(w, name);
        }
        world_pass(w, 5000);
        assert_int_equal(world_writes(w), before); /* rest is rest */
}

static void play(uint64_t seed, struct world_opts opts)
{
        _cleanup_(world_freep) struct world *w = NULL;

        opts.seed = seed;
        opts.controllers = three;
        opts.ncontrollers = ARRAY_SIZE(three);
        opts.config = &config;
        w = world_new(&opts);
        print_message("seed %llu\r", (unsigned long long)seed);
        for (unsigned int i = 0; i < STEPS; i++) {
                one_thing(w);
                for (uint64_t n = world_random(w, 12); n; n--)
                        world_step(w);
                if (world_random(w, 20) == 0)
                        world_pass(w, world_random(w, 3000));
                if (!opts.refuse && i % 10 == 0) {
                        world_pass(w, 120000);
                        check_rest(w);
                }
        }
        world_pass(w, 1200000);
        check_rest(w);
}

static void histories_end_in_exact_slices(void **state)
{
        for (uint64_t seed = 0; seed < SEEDS; seed++)
                play(seed, (struct world_opts){.lateness = 50});
}

static void and_so_they_do_through_faults(void **state)
{
        for (uint64_t seed = 0; seed < SEEDS; seed++)
                play(seed, (struct world_opts){.lateness = 50, .refuse = 10, .lose = 10, .crash = 5});
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(histories_end_in_exact_slices),
                cmocka_unit_test(and_so_they_do_through_faults),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
