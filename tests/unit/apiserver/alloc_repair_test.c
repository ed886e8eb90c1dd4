/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "kindcase.h"

#include "apiserver/alloc/repair.h"
#include "base/str.h"

#define SVC(name, rev, spec)                                                                                           \
        "{'metadata':{'namespace':'ns','name':'" name "','resourceVersion':'" rev "'},'spec':" spec "}"
#define IP_OF(ip, rev, owner)                                                                                          \
        "{'metadata':{'name':'" ip "','resourceVersion':'" rev                                                         \
        "','labels':{'ipaddress.kubernetes.io/ip-family':'IPv4',"                                                      \
        "'ipaddress.kubernetes.io/managed-by':'ipallocator.k8s.io'}},"                                                 \
        "'spec':{'parentRef':{'resource':'services','namespace':'ns','name':'" owner "'}}}"
#define HAS(ip) "{'type':'ClusterIP','clusterIP':'" ip "','clusterIPs':['" ip "']}"
#define PORTS(n)                                                                                                       \
        "{'type':'NodePort','ports':[{'port':80,'nodePort':" n "},{'port':80,'protocol':'UDP','nodePort':" n "}]}"

struct repair_case {
        const char *what;
        const char *services[3], *ips[3];
        struct repair_port ports[2];
        /* each fix: key | put or delete | expected revision | service's revision | reason, or only the reason */
        const char *fixes;
};

static const struct repair_case rows[] = {
        {.what = "all is well",
         .services = {SVC("a", "5", HAS("10.0.0.1")), SVC("b", "6", PORTS("30001"))},
         .ips = {IP_OF("10.0.0.1", "5", "a")},
         .ports = {{30001, "ns", "b", 6}},
         .fixes = ""},
        {.what = "an address without its record",
         .services = {SVC("a", "5", HAS("10.0.0.1"))},
         .fixes = "/registry/ipaddresses/10.0.0.1|put|0|5|ClusterIPNotAllocated"},
        {.what = "a record of a Service that is gone",
         .ips = {IP_OF("10.0.0.1", "5", "a")},
         .fixes = "/registry/ipaddresses/10.0.0.1|delete|5|0|IPAddressNotAllocated"},
        {.what = "a record that its Service does not have",
         .services = {SVC("a", "7", HAS("10.0.0.2"))},
         .ips = {IP_OF("10.0.0.1", "5", "a"), IP_OF("10.0.0.2", "5", "a")},
         .fixes = "/registry/ipaddresses/10.0.0.1|delete|5|7|IPAddressNotAllocated"},
        {.what = "an address of two Services",
         .services = {SVC("a", "5", HAS("10.0.0.1")), SVC("b", "6", HAS("10.0.0.1"))},
         .ips = {IP_OF("10.0.0.1", "5", "a")},
         .fixes = "ClusterIPAlreadyAllocated ns/b"},
        {.what = "an address of two Services without a record",
         .services = {SVC("a", "5", HAS("10.0.0.1")), SVC("b", "6", HAS("10.0.0.1"))},
         .fixes = "/registry/ipaddresses/10.0.0.1|put|0|5|ClusterIPNotAllocated\nClusterIPAlreadyAllocated ns/b"},
        {.what = "a record that names a Service which is gone",
         .services = {SVC("b", "6", HAS("10.0.0.1"))},
         .ips = {IP_OF("10.0.0.1", "5", "a")},
         .fixes = "/registry/ipaddresses/10.0.0.1|put|5|6|ClusterIPNotAllocated"},
        {.what = "an address outside of every range",
         .services = {SVC("a", "5", HAS("11.0.0.1"))},
         .fixes = "ClusterIPOutOfRange ns/a"},
        {.what = "an address that is none", .services = {SVC("a", "5", HAS("foo"))}, .fixes = "ClusterIPNotValid ns/a"},
        {.what = "Services without addresses",
         .services = {SVC("a", "5", "{'type':'ExternalName'}"), SVC("b", "5", HAS("None"))},
         .fixes = ""},
        {.what = "an address that somebody else manages",
         .ips = {"{'metadata':{'name':'10.0.0.9','resourceVersion':'3'},'spec':{'parentRef':{'resource':'gateways',"
                 "'group':'x.io','name':'g'}}}"},
         .fixes = ""},
        {.what = "a port without its record",
         .services = {SVC("b", "6", PORTS("30001"))},
         .fixes = "/registry/ranges/nodeports/30001|put|0|6|PortNotAllocated"},
        {.what = "a leaked port",
         .services = {SVC("b", "6", "{'type':'ClusterIP'}")},
         .ports = {{30001, "ns", "b", 4}, {30002, "ns", "gone", 3}},
         .fixes = "/registry/ranges/nodeports/30001|delete|4|6|PortLeaked\n"
                  "/registry/ranges/nodeports/30002|delete|3|0|PortLeaked"},
        {.what = "a port of two Services",
         .services = {SVC("a", "5", PORTS("30001")), SVC("b", "6", PORTS("30001"))},
         .ports = {{30001, "ns", "b", 6}},
         .fixes = "PortAlreadyAllocated ns/a"},
        {.what = "a port outside of the range",
         .services = {SVC("a", "5", PORTS("29000"))},
         .fixes = "PortOutOfRange ns/a"},
        {.what = "a health check port without its record",
         .services = {SVC("a", "5",
                          "{'type':'LoadBalancer','externalTrafficPolicy':'Local','healthCheckNodePort':30007}")},
         .fixes = "/registry/ranges/nodeports/30007|put|0|5|PortNotAllocated"},
};

static size_t parse_all(const char *const texts[3], struct json_object *objs[3])
{
        size_t n = 0;

        for (; n < 3 && texts[n]; n++)
                objs[n] = case_json(texts[n]);
        return n;
}

static char *describe(struct arena *a, const struct repair_fix *fixes, size_t n)
{
        char *all = arena_strdup(a, "");

        for (size_t i = 0; i < n; i++) {
                const struct repair_fix *f = &fixes[i];
                char *one = f->key ? arena_printf(a, "%s|%s|%llu|%llu|%s", f->key, f->value ? "put" : "delete",
                                                  (unsigned long long)f->expect_rev, (unsigned long long)f->service_rev,
                                                  f->reason)
                                   : arena_printf(a, "%s %s/%s", f->reason, f->namespace, f->name);

                all = arena_printf(a, "%s%s%s", all, i ? "\n" : "", one);
                assert_non_null(f->message);
        }
        return all;
}

static void each_damage_has_its_fix(void **state)
{
        const struct kind_config config = {
                .service_cidr = {"10.0.0.0/24"}, .node_port_first = 30000, .node_port_last = 32767};
        struct alloc *alloc;

        assert_int_equal(alloc_new(&alloc, &config, NULL), 0);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct json_object *services[3] = {0}, *ips[3] = {0};
                struct repair_input in = {.alloc = alloc, .services = services, .ips = ips, .ports = rows[i].ports};
                struct arena a = ARENA_NULL;
                struct repair_fix *fixes;
                size_t n;

                in.nservices = parse_all(rows[i].services, services);
                in.nips = parse_all(rows[i].ips, ips);
                while (in.nports < 2 && rows[i].ports[in.nports].port)
                        in.nports++;
                n = alloc_repair(&a, &in, &fixes);
                if (!str_eq(describe(&a, fixes, n), rows[i].fixes))
                        fail_msg("%s: got\n%s\nwant\n%s", rows[i].what, describe(&a, fixes, n), rows[i].fixes);
                for (size_t j = 0; j < 3; j++) {
                        json_object_put(services[j]);
                        json_object_put(ips[j]);
                }
                arena_deinit(&a);
        }
        alloc_free(alloc);
}

static void a_fix_holds_only_for_what_it_was_found_from(void **state)
{
        struct arena a = ARENA_NULL;
        struct txn_builder t = {.arena = &a};
        const struct repair_fix put = {.key = "k", .value = "v", .expect_rev = 0, .service_key = "s", .service_rev = 9};
        const struct repair_fix only_tell = {.reason = "r"};

        repair_fix_stage(&only_tell, &t);
        assert_int_equal(t.n, 0);
        repair_fix_stage(&put, &t);
        assert_int_equal(t.n, 2);
        assert_int_equal(t.ops[0].kind, STORE_CHECK);
        assert_string_equal(t.ops[0].key, "s");
        assert_int_equal(t.ops[0].expect_rev, 9);
        assert_int_equal(t.ops[1].kind, STORE_PUT);
        assert_int_equal(t.ops[1].expect_rev, STORE_REV_NONE);
        txn_deinit(&t);
        arena_deinit(&a);
}

static void port_records_are_read(void **state)
{
        static const char good[] = "{\"namespace\":\"ns\",\"name\":\"a\"}";
        struct arena a = ARENA_NULL;
        struct repair_port p;

        assert_int_equal(repair_port_read(&a, ALLOC_PORT_PREFIX "30001", good, strlen(good), 7, &p), 0);
        assert_int_equal(p.port, 30001);
        assert_string_equal(p.namespace, "ns");
        assert_string_equal(p.name, "a");
        assert_true(repair_port_read(&a, ALLOC_PORT_PREFIX "x", good, strlen(good), 7, &p) < 0);
        assert_true(repair_port_read(&a, ALLOC_PORT_PREFIX "1", "{}", 2, 7, &p) < 0);
        arena_deinit(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_damage_has_its_fix),
                cmocka_unit_test(a_fix_holds_only_for_what_it_was_found_from),
                cmocka_unit_test(port_records_are_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
