/* SPDX-License-Identifier: Apache-2.0 */
/* The quick look says that there is nothing to do exactly when the repair itself finds nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/alloc/screen.h"
#include "base/mem.h"

#define SERVICES 6

static const struct kind_config config = {
        .service_cidr = {"10.96.0.0/24"}, .node_port_first = 30000, .node_port_last = 30100};

struct state {
        struct object_list services, ips;
        struct repair_port ports[2 * SERVICES];
        size_t nports;
};

static void add(struct object_list *l, const char *plural, const char *namespace, const char *name, const char *json)
{
        struct kind_ops ops = {.group = "", .plural = plural};
        _cleanup_blob_ struct blob *b = blob_new(json, strlen(json));
        struct object *o = object_new(&ops, namespace, name, 5, 5, b);

        assert_non_null(o);
        object_list_take(l, o);
}

/* One thing in a hundred that might be wrong is. */
static bool wrong(unsigned per_cent)
{
        return (unsigned)random() % 100 < per_cent;
}

static void add_service(struct state *s, unsigned i, unsigned damage)
{
        unsigned ip = wrong(damage) ? (i + 1) % SERVICES : i,
                 port = wrong(damage) ? 30000 + (i + 1) % SERVICES : 30000 + i;
        char json[700], address[32], name[8];

        snprintf(name, sizeof(name), "s%u", i);
        snprintf(address, sizeof(address), wrong(damage) ? "10.97.0.%u" : "10.96.0.%u", ip + 1);
        snprintf(json, sizeof(json),
                 "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"ns\"},\"spec\":{\"type\":\"NodePort\",\"clusterIP\":"
                 "\"%s\",\"clusterIPs\":[\"%s\"],\"ports\":[{\"port\":80,\"nodePort\":%u},{\"port\":81,\"protocol\":"
                 "\"UDP\",\"nodePort\":%u}]}}",
                 name, address, address, port, port);
        add(&s->services, "services", "ns", name, json);
}

static void add_ip(struct state *s, unsigned i, unsigned damage)
{
        char json[700], name[32];

        snprintf(name, sizeof(name), "10.96.0.%u", i + 1);
        snprintf(json, sizeof(json),
                 "{\"metadata\":{\"name\":\"%s\",\"labels\":{\"ipaddress.kubernetes.io/ip-family\":\"%s\","
                 "\"ipaddress.kubernetes.io/managed-by\":\"ipallocator.k8s.io\"}},\"spec\":{\"parentRef\":{%s\"name\":"
                 "\"s%u\",\"namespace\":\"ns\",\"resource\":\"%s\"}}}",
                 name, wrong(damage) ? "IPv6" : "IPv4", wrong(damage) ? "\"group\":\"x.y\"," : "",
                 wrong(damage) ? (i + 1) % SERVICES : i, wrong(damage) ? "things" : "services");
        add(&s->ips, "ipaddresses", "", name, json);
}

static void add_port(struct state *s, struct arena *a, unsigned i, unsigned damage)
{
        s->ports[s->nports++] = (struct repair_port){
                .port = (uint16_t)(30000 + i),
                .namespace = wrong(damage) ? "other" : "ns",
                .name = arena_printf(a, "s%u", i),
                .revision = 5,
        };
}

static void make_state(struct state *s, struct arena *a, unsigned damage)
{
        *s = (struct state){0};
        for (unsigned i = 0; i < SERVICES; i++) {
                if (!wrong(damage))
                        add_service(s, i, damage);
                if (!wrong(damage))
                        add_ip(s, i, damage);
                if (!wrong(damage))
                        add_port(s, a, i, damage);
        }
}

static size_t repairs(struct state *s, struct alloc *alloc, struct arena *a)
{
        struct json_object *services[SERVICES], *ips[SERVICES];
        struct repair_input in = {.alloc = alloc,
                                  .services = services,
                                  .nservices = s->services.n,
                                  .ips = ips,
                                  .nips = s->ips.n,
                                  .ports = s->ports,
                                  .nports = s->nports};
        struct repair_fix *fixes;
        size_t n;

        for (size_t i = 0; i < s->services.n; i++)
                services[i] = object_tree(s->services.items[i]);
        for (size_t i = 0; i < s->ips.n; i++)
                ips[i] = object_tree(s->ips.items[i]);
        n = alloc_repair(a, &in, &fixes);
        for (size_t i = 0; i < s->services.n; i++)
                json_object_put(services[i]);
        for (size_t i = 0; i < s->ips.n; i++)
                json_object_put(ips[i]);
        return n;
}

static void check(unsigned damage, unsigned *ret_fine)
{
        struct arena a = ARENA_NULL;
        struct alloc *alloc = NULL;
        struct state s;
        size_t fixes;
        bool needed;

        assert_int_equal(alloc_new(&alloc, &config, NULL), 0);
        make_state(&s, &a, damage);
        needed = alloc_needs_repair(&(struct screen_input){alloc, &s.services, &s.ips, s.ports, s.nports});
        fixes = repairs(&s, alloc, &a);
        if (needed != (fixes > 0))
                fail_msg("%s, but there are %zu repairs", needed ? "needed" : "not needed", fixes);
        *ret_fine += !needed;
        object_list_deinit(&s.services);
        object_list_deinit(&s.ips);
        alloc_free(alloc);
        arena_deinit(&a);
}

static void an_undamaged_state_needs_no_repair(void **state _unused_)
{
        unsigned fine = 0;

        check(0, &fine);
        assert_int_equal(fine, 1);
}

static void random_damage_is_seen_exactly_when_it_can_be_repaired(void **state _unused_)
{
        unsigned fine = 0;

        srandom(17);
        for (unsigned i = 0; i < 400; i++)
                check(1, &fine);
        for (unsigned i = 0; i < 100; i++)
                check(10, &fine);
        assert_in_range(fine, 50, 450); /* both answers were given */
}

static void an_address_that_is_listed_twice_hides_no_leak(void **state _unused_)
{
        struct alloc *alloc = NULL;
        struct state s = {0};

        assert_int_equal(alloc_new(&alloc, &config, NULL), 0);
        add(&s.services, "services", "ns", "s0",
            "{\"metadata\":{\"name\":\"s0\",\"namespace\":\"ns\"},\"spec\":{\"type\":\"ClusterIP\",\"clusterIPs\":"
            "[\"10.96.0.1\",\"10.96.0.1\"]}}");
        add_ip(&s, 0, 0);
        add_ip(&s, 1, 0);
        assert_true(alloc_needs_repair(&(struct screen_input){alloc, &s.services, &s.ips, s.ports, 0}));
        object_list_deinit(&s.services);
        object_list_deinit(&s.ips);
        alloc_free(alloc);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_undamaged_state_needs_no_repair),
                cmocka_unit_test(random_damage_is_seen_exactly_when_it_can_be_repaired),
                cmocka_unit_test(an_address_that_is_listed_twice_hides_no_leak),
        };

        return cmocka_run_group_tests_name("screen", tests, NULL, NULL);
}
