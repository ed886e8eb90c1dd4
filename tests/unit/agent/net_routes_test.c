/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/net/lpm.h"
#include "agent/net/routemap.h"
#include "base/mem.h"
#include "datapath/address.h"
#include "unit/agent/net_world.h"

static void desired(struct world *w, struct lpm_table *t)
{
        problems_deinit(&w->problems);
        *t = LPM_TABLE_NULL;
        lpm_desired(&w->in, t, &w->problems);
}

static void expect(const struct lpm_table *t, const char *cidr, const char *wanted)
{
        const struct net_prefix p = prefix_of(cidr);
        const struct route_key key = {.prefixlen = p.bits, .addr = p.addr};
        const struct lpm_entry *e = lpm_find(t, &key);
        char text[128] = "nothing";

        if (e)
                route_text(&e->value, text);
        if (strcmp(text, wanted) != 0)
                fail_msg("%s: %s instead of %s", cidr, text, wanted);
}

static void expect_problem(const struct world *w, const char *wanted)
{
        assert_string_equal(problems_text(&w->problems), wanted);
}

static void a_node_knows_itself_its_pods_and_the_others(void **state)
{
        struct lpm_table t;
        struct world w;

        world_init(&w);
        world_node(&w, "n2", "10.99.0.2,fd99::2", "10.244.2.0/24,fd00:2::/64");
        world_pod(&w, 7, "10.244.1.5", "fd00:1::5");
        desired(&w, &t);
        expect(&t, "10.99.0.1/32", "host nodeport");
        expect(&t, "fd99::1/128", "host nodeport");
        expect(&t, "10.244.1.5/32", "pod 7");
        expect(&t, "fd00:1::5/128", "pod 7");
        expect(&t, "10.244.1.0/24", "blackhole");
        expect(&t, "fd00:1::/64", "blackhole");
        expect(&t, "10.99.0.2/32", "node nodeport tunnel 10.99.0.2");
        expect(&t, "fd99::2/128", "node nodeport tunnel 10.99.0.2");
        expect(&t, "10.244.2.0/24", "remote tunnel 10.99.0.2");
        expect(&t, "fd00:2::/64", "remote tunnel 10.99.0.2");
        assert_int_equal(t.count, 10);
        expect_problem(&w, "");
        lpm_table_deinit(&t);
        world_deinit(&w);
}

static void native_routes_have_the_next_hop_of_their_family(void **state)
{
        struct lpm_table t;
        struct world w;

        world_init(&w);
        w.settings.routing = ROUTING_NATIVE;
        world_node(&w, "n2", "10.99.0.2,fd99::2", "10.244.2.0/24,fd00:2::/64");
        desired(&w, &t);
        expect(&t, "fd99::2/128", "node nodeport fd99::2");
        expect(&t, "10.244.2.0/24", "remote 10.99.0.2");
        expect(&t, "fd00:2::/64", "remote fd99::2");
        lpm_table_deinit(&t);
        world_deinit(&w);
}

static void node_ports_are_served_where_the_setting_says(void **state)
{
        struct net_prefix only = prefix_of("10.99.0.0/31");
        struct lpm_table t;
        struct world w;

        world_init(&w);
        w.settings.nodeport = (struct prefix_list){&only, 1};
        world_address(&w, 2, "192.0.2.9/24");
        world_node(&w, "n2", "10.99.0.2", "");
        desired(&w, &t);
        expect(&t, "10.99.0.1/32", "host nodeport");
        expect(&t, "192.0.2.9/32", "host");
        expect(&t, "10.99.0.2/32", "node tunnel 10.99.0.2");
        lpm_table_deinit(&t);
        world_deinit(&w);
}

static void addresses_of_loopback_link_and_pods_devices_are_no_hosts(void **state)
{
        struct lpm_table t;
        struct world w;

        world_init(&w);
        world_link(&w, 7, "fl0123456789ab", "veth");
        world_address(&w, 7, "10.50.0.1/32");
        desired(&w, &t);
        expect(&t, "127.0.0.1/32", "nothing");
        expect(&t, "::1/128", "nothing");
        expect(&t, "fe80::2/128", "nothing");
        expect(&t, "10.50.0.1/32", "nothing");
        lpm_table_deinit(&t);
        world_deinit(&w);
}

static void services_and_what_is_not_masqueraded_have_routes(void **state)
{
        struct net_prefix direct = prefix_of("192.168.0.0/16"), api = prefix_of("10.96.0.0/16"),
                          configured = prefix_of("10.50.0.0/16");
        struct lpm_table t;
        struct world w;

        world_init(&w);
        w.settings.direct = (struct prefix_list){&direct, 1};
        w.in.service_cidrs = &api;
        w.in.service_cidrs_n = 1;
        desired(&w, &t);
        expect(&t, "192.168.0.0/16", "direct");
        expect(&t, "10.96.0.0/16", "service");
        lpm_table_deinit(&t);

        w.settings.service = (struct prefix_list){&configured, 1};
        desired(&w, &t);
        expect(&t, "10.96.0.0/16", "nothing");
        expect(&t, "10.50.0.0/16", "service");
        lpm_table_deinit(&t);
        world_deinit(&w);
}

static void of_two_claims_the_nearer_one_wins(void **state)
{
        struct lpm_table t;
        struct world w;

        world_init(&w);
        world_node(&w, "n2", "10.99.0.1", ""); /* says that it has our address */
        world_pod(&w, 7, "10.99.0.1", NULL);
        desired(&w, &t);
        expect(&t, "10.99.0.1/32", "host nodeport");
        lpm_table_deinit(&t);
        world_deinit(&w);
}

static void a_range_of_two_nodes_stays_with_the_first(void **state)
{
        struct lpm_table t;
        struct world w;

        world_init(&w);
        world_node(&w, "n2", "10.99.0.2", "10.244.2.0/24");
        world_node(&w, "n3", "10.99.0.3", "10.244.2.0/24,10.244.3.0/24");
        world_node(&w, "n4", "10.99.0.4", "10.244.1.0/24");
        desired(&w, &t);
        expect(&t, "10.244.2.0/24", "remote tunnel 10.99.0.2");
        expect(&t, "10.244.3.0/24", "remote tunnel 10.99.0.3");
        expect(&t, "10.244.1.0/24", "blackhole");
        expect_problem(&w, "podCIDR 10.244.2.0/24 of node n3 belongs to another node already; "
                           "podCIDR 10.244.1.0/24 of node n4 belongs to another node already");
        lpm_table_deinit(&t);
        world_deinit(&w);
}

static void a_range_with_a_nodes_address_in_it_is_not_believed(void **state)
{
        struct lpm_table t;
        struct world w;

        world_init(&w);
        world_node(&w, "n2", "10.99.0.2", "10.99.0.0/16");
        desired(&w, &t);
        expect(&t, "10.99.0.0/16", "nothing");
        expect(&t, "10.99.0.2/32", "node nodeport tunnel 10.99.0.2");
        expect_problem(&w, "podCIDR 10.99.0.0/16 of node n2 contains a node's address and is left out; "
                           "give it another range");
        lpm_table_deinit(&t);
        world_deinit(&w);
}

static void a_node_of_another_family_is_reported(void **state)
{
        struct lpm_table t;
        struct world w;

        world_init(&w);
        w.in.v6 = (struct addr){0};
        world_node(&w, "n2", "fd99::2", "fd00:2::/64");
        desired(&w, &t);
        expect(&t, "fd00:2::/64", "nothing");
        expect_problem(&w, "node n2 has no InternalIP of a family that this node has, too");
        lpm_table_deinit(&t);
        world_deinit(&w);
}

/* ---- differences and the map */

static void add(struct lpm_table *t, const char *cidr, enum route_type type, uint32_t ifindex)
{
        const struct net_prefix p = prefix_of(cidr);
        const struct route r = {.type = (uint8_t)type, .ifindex = ifindex};

        lpm_add(t, &p.addr, p.bits, &r);
}

static void only_differences_are_written(void **state)
{
        struct lpm_table have = LPM_TABLE_NULL, want = LPM_TABLE_NULL;
        struct lpm_diff d = LPM_DIFF_NULL;

        add(&have, "10.0.0.1/32", ROUTE_POD, 1);
        add(&have, "10.0.0.2/32", ROUTE_POD, 2);
        add(&have, "10.0.0.0/24", ROUTE_BLACKHOLE, 0);
        add(&want, "10.0.0.2/32", ROUTE_POD, 3);
        add(&want, "10.0.0.0/24", ROUTE_BLACKHOLE, 0);
        add(&want, "10.0.0.4/32", ROUTE_POD, 4);
        lpm_sort(&have);
        lpm_sort(&want);
        lpm_diff(&have, &want, &d);
        assert_int_equal(d.set.count, 2);
        expect(&d.set, "10.0.0.2/32", "pod 3");
        expect(&d.set, "10.0.0.4/32", "pod 4");
        assert_int_equal(d.del.count, 1);
        expect(&d.del, "10.0.0.1/32", "pod 1");
        lpm_diff(&want, &want, &d);
        assert_int_equal(d.set.count + d.del.count, 0);
        lpm_diff_deinit(&d);
        lpm_table_deinit(&have);
        lpm_table_deinit(&want);
}

static struct map *new_epoch(void)
{
        const struct map_info info = {
                .name = "route_epoch", .key_size = sizeof(uint32_t), .value_size = sizeof(uint32_t), .max_entries = 1};
        struct map *m;

        assert_int_equal(map_new_fake(&info, true, &m), 0);
        return m;
}

/* How often the programs were told to look again. */
static uint32_t told(const struct routemap *r)
{
        const uint32_t zero = 0;
        uint32_t epoch = 0;

        assert_int_equal(map_lookup(r->epoch, &zero, &epoch), 0);
        return epoch;
}

static struct map *new_map(uint32_t entries)
{
        const struct map_info info = {.name = "routes",
                                      .key_size = sizeof(struct route_key),
                                      .value_size = sizeof(struct route),
                                      .max_entries = entries};
        struct map *m;

        assert_int_equal(map_new_fake(&info, false, &m), 0);
        return m;
}

static void expect_in_map(const struct map *m, const char *cidr, const char *wanted)
{
        const struct net_prefix p = prefix_of(cidr);
        const struct route_key key = {.prefixlen = p.bits, .addr = p.addr};
        struct route r;
        char text[128] = "nothing";

        if (map_lookup(m, &key, &r) == 0)
                route_text(&r, text);
        assert_string_equal(text, wanted);
}

static void a_new_life_adopts_the_map_and_keeps_it_until_all_is_known(void **state)
{
        _cleanup_(map_freep) struct map *m = new_map(16), *epoch = new_epoch();
        struct lpm_table want = LPM_TABLE_NULL;
        struct routemap r = {.map = m, .epoch = epoch};

        add(&want, "10.0.0.1/32", ROUTE_POD, 1);
        add(&want, "10.1.0.0/24", ROUTE_REMOTE, 0);
        lpm_sort(&want);
        assert_int_equal(routemap_apply(&r, &want, KEEP_NOTHING, NULL), 2);
        routemap_deinit(&r);
        lpm_table_deinit(&want);

        assert_int_equal(routemap_init(&r, m, epoch, NULL), 0);
        assert_int_equal(r.known.count, 2);
        add(&want, "10.2.0.0/24", ROUTE_REMOTE, 0);
        assert_int_equal(routemap_apply(&r, &want, KEEP_ALL, NULL), 1);
        expect_in_map(m, "10.0.0.1/32", "pod 1");
        expect_in_map(m, "10.1.0.0/24", "remote");
        assert_int_equal(routemap_apply(&r, &want, KEEP_PODS, NULL), 1);
        expect_in_map(m, "10.0.0.1/32", "pod 1");
        expect_in_map(m, "10.1.0.0/24", "nothing");
        assert_int_equal(routemap_apply(&r, &want, KEEP_NOTHING, NULL), 1);
        expect_in_map(m, "10.0.0.1/32", "nothing");
        expect_in_map(m, "10.2.0.0/24", "remote");
        assert_int_equal(told(&r), 4);
        assert_int_equal(routemap_apply(&r, &want, KEEP_NOTHING, NULL), 0);
        assert_int_equal(told(&r), 4);
        routemap_deinit(&r);
        lpm_table_deinit(&want);
}

static void a_full_map_is_said_and_tried_again(void **state)
{
        _cleanup_(map_freep) struct map *m = new_map(2), *epoch = new_epoch();
        struct problems problems = PROBLEMS_NULL;
        struct lpm_table want = LPM_TABLE_NULL;
        struct routemap r = {.map = m, .epoch = epoch};

        add(&want, "10.0.0.1/32", ROUTE_POD, 1);
        add(&want, "10.0.0.2/32", ROUTE_POD, 2);
        add(&want, "10.0.0.3/32", ROUTE_POD, 3);
        lpm_sort(&want);
        assert_int_equal(routemap_apply(&r, &want, KEEP_NOTHING, &problems), 2);
        assert_string_equal(problems_text(&problems),
                            "1 routes are missing: the map routes is full (2 entries): no room for 10.0.0.3/32; raise "
                            "maxRoutes");
        routemap_forget_pod(&r, &want.entries[0].key.addr, 1);
        want.count--;
        memmove(want.entries, want.entries + 1, want.count * sizeof(*want.entries));
        want.count = 1;
        add(&want, "10.0.0.3/32", ROUTE_POD, 3);
        lpm_sort(&want);
        assert_int_equal(routemap_apply(&r, &want, KEEP_NOTHING, NULL), 1);
        expect_in_map(m, "10.0.0.3/32", "pod 3");
        problems_deinit(&problems);
        routemap_deinit(&r);
        lpm_table_deinit(&want);
}

static void one_pod_comes_and_goes(void **state)
{
        _cleanup_(map_freep) struct map *m = new_map(16), *epoch = new_epoch();
        const struct addr a = addr_of("10.0.0.1"), b = addr_of("10.0.0.0");
        const struct route first = {.type = ROUTE_POD, .ifindex = 1}, second = {.type = ROUTE_POD, .ifindex = 2};
        struct routemap r = {.map = m, .epoch = epoch};

        assert_int_equal(routemap_set(&r, &a, &first, NULL), 0);
        assert_int_equal(routemap_set(&r, &b, &first, NULL), 0);
        assert_true(lpm_compare(&r.known.entries[0], &r.known.entries[1]) < 0);
        assert_int_equal(told(&r), 2);
        assert_int_equal(routemap_set(&r, &a, &second, NULL), 0);
        assert_int_equal(routemap_set(&r, &a, &second, NULL), 0);
        assert_int_equal(told(&r), 3);
        expect_in_map(m, "10.0.0.1/32", "pod 2");
        routemap_forget_pod(&r, &a, 1); /* a former owner leaves: the address is another's by now */
        expect_in_map(m, "10.0.0.1/32", "pod 2");
        routemap_forget_pod(&r, &a, 2);
        assert_int_equal(told(&r), 4);
        expect_in_map(m, "10.0.0.1/32", "nothing");
        expect_in_map(m, "10.0.0.0/32", "pod 1");
        routemap_deinit(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_node_knows_itself_its_pods_and_the_others),
                cmocka_unit_test(native_routes_have_the_next_hop_of_their_family),
                cmocka_unit_test(node_ports_are_served_where_the_setting_says),
                cmocka_unit_test(addresses_of_loopback_link_and_pods_devices_are_no_hosts),
                cmocka_unit_test(services_and_what_is_not_masqueraded_have_routes),
                cmocka_unit_test(of_two_claims_the_nearer_one_wins),
                cmocka_unit_test(a_range_of_two_nodes_stays_with_the_first),
                cmocka_unit_test(a_range_with_a_nodes_address_in_it_is_not_believed),
                cmocka_unit_test(a_node_of_another_family_is_reported),
                cmocka_unit_test(only_differences_are_written),
                cmocka_unit_test(a_new_life_adopts_the_map_and_keeps_it_until_all_is_known),
                cmocka_unit_test(a_full_map_is_said_and_tried_again),
                cmocka_unit_test(one_pod_comes_and_goes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
