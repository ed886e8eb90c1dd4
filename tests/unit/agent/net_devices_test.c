/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <net/if.h>
#include <string.h>

#include "agent/net/devices.h"
#include "agent/net/hostroutes.h"
#include "agent/net/sysctl.h"
#include "datapath/address.h"
#include "unit/agent/net_world.h"

/* ---- host routes */

static void expect(const struct host_routes *routes, const char *cidr, const char *wanted)
{
        const struct net_prefix p = prefix_of(cidr);
        char text[192] = "nothing";

        for (size_t i = 0; i < routes->count; i++)
                if (address_equal(&routes->items[i].dst, &p.addr) && routes->items[i].bits == p.bits)
                        host_route_text(&routes->items[i], text);
        if (strcmp(text, wanted) != 0)
                fail_msg("%s: %s instead of %s", cidr, text, wanted);
}

static void the_host_gets_to_pods_by_their_devices_and_the_tunnel(void **state)
{
        struct host_routes r = HOST_ROUTES_NULL;
        struct world w;

        world_init(&w);
        world_node(&w, "n2", "10.99.0.2", "10.244.2.0/24,fd00:2::/64");
        world_node(&w, "n3", "10.99.0.3", "10.99.0.0/24"); /* not to be believed */
        world_pod(&w, 7, "10.244.1.5", "fd00:1::5");
        host_routes_desired(&w.in, &r, &w.problems);
        expect(&r, "10.244.1.5/32", "dev 7 src 10.99.0.1");
        expect(&r, "fd00:1::5/128", "dev 7 src fd99::1");
        expect(&r, "10.244.1.0/24", "unreachable");
        expect(&r, "fd00:1::/64", "unreachable");
        expect(&r, "10.244.2.0/24", "dev 4 src 10.99.0.1");
        expect(&r, "fd00:2::/64", "dev 4 src fd99::1");
        assert_int_equal(r.count, 6);
        host_routes_deinit(&r);
        world_deinit(&w);
}

static void a_source_that_no_nic_has_is_left_out(void **state)
{
        struct host_routes r = HOST_ROUTES_NULL;
        struct world w;

        world_init(&w);
        world_node(&w, "n2", "10.99.0.2", "10.244.2.0/24");
        w.state.addresses_n = 0;
        host_routes_desired(&w.in, &r, &w.problems);
        expect(&r, "10.244.2.0/24", "dev 4");
        w.in.vxlan_ifindex = 0;
        host_routes_desired(&w.in, &r, &w.problems);
        expect(&r, "10.244.2.0/24", "nothing");
        host_routes_deinit(&r);
        world_deinit(&w);
}

static void native_routing_needs_neighbours(void **state)
{
        struct host_routes r = HOST_ROUTES_NULL;
        struct world w;

        world_init(&w);
        w.settings.routing = ROUTING_NATIVE;
        world_node(&w, "n2", "10.99.0.2,fd99::2", "10.244.2.0/24,fd00:2::/64");
        world_node(&w, "n3", "192.0.2.3", "10.244.3.0/24");
        world_node(&w, "n4", "10.99.0.4", "fd00:4::/64");
        host_routes_desired(&w.in, &r, &w.problems);
        expect(&r, "10.244.2.0/24", "dev 2 via 10.99.0.2 src 10.99.0.1");
        expect(&r, "fd00:2::/64", "dev 2 via fd99::2 src fd99::1");
        expect(&r, "10.244.3.0/24", "nothing");
        expect(&r, "fd00:4::/64", "nothing");
        assert_string_equal(problems_text(&w.problems),
                            "node n3 is not in a network of this node's NICs: native routing does not get to its pods; "
                            "use routing: vxlan; node n4 has pods of IPv6 but no InternalIP of it to route them by");
        host_routes_deinit(&r);
        world_deinit(&w);
}

static size_t ops_of(const struct host_route_ops *ops, enum host_route_verb verb, const char *cidr)
{
        const struct net_prefix p = prefix_of(cidr);
        size_t n = 0;

        for (size_t i = 0; i < ops->count; i++)
                n += ops->items[i].verb == verb && address_equal(&ops->items[i].route.dst, &p.addr) &&
                     ops->items[i].route.bits == p.bits;
        return n;
}

static void only_our_own_routes_are_changed(void **state)
{
        struct host_route_ops ops = HOST_ROUTE_OPS_NULL;
        struct host_routes want = HOST_ROUTES_NULL;
        struct world w;

        world_init(&w);
        w.own.cidrs_n = 0;
        world_node(&w, "n2", "10.99.0.2", "10.244.2.0/24");
        world_node(&w, "n3", "10.99.0.3", "10.244.3.0/24");
        world_pod(&w, 7, "10.244.1.5", NULL);
        world_route(&w, "10.244.2.0/24", 9, NULL)->protocol = NET_ROUTE_PROTOCOL; /* a former vxlan device */
        world_route(&w, "10.244.9.0/24", 4, NULL)->protocol = NET_ROUTE_PROTOCOL; /* a node that is gone */
        world_route(&w, "10.244.3.0/24", 2, NULL)->protocol = 4;                  /* somebody else's */
        host_routes_desired(&w.in, &want, NULL);
        host_routes_diff(&w.state, &want, &ops);
        assert_int_equal(ops.count, 4);
        assert_int_equal(ops_of(&ops, HOST_ROUTE_REPLACE, "10.244.2.0/24"), 1);
        assert_int_equal(ops_of(&ops, HOST_ROUTE_DELETE, "10.244.9.0/24"), 1);
        assert_int_equal(ops_of(&ops, HOST_ROUTE_ADD, "10.244.3.0/24"), 1);
        assert_int_equal(ops_of(&ops, HOST_ROUTE_ADD, "10.244.1.5/32"), 1);

        /* What is as wanted needs nothing, a second one beside it is too much. */
        w.state.routes_n = 0;
        for (size_t i = 0; i < want.count; i++)
                *net_state_add_route(&w.state) = want.items[i];
        host_routes_diff(&w.state, &want, &ops);
        assert_int_equal(ops.count, 0);
        *net_state_add_route(&w.state) = want.items[0];
        w.state.routes[w.state.routes_n - 1].ifindex = 99;
        host_routes_diff(&w.state, &want, &ops);
        assert_int_equal(ops.count, 1);
        assert_int_equal(ops.items[0].verb, HOST_ROUTE_DELETE);
        assert_int_equal(ops.items[0].route.ifindex, 99);
        host_route_ops_deinit(&ops);
        host_routes_deinit(&want);
        world_deinit(&w);
}

static void neighbours_that_are_missing_or_wrong_are_found(void **state)
{
        struct net_neighbour missing[2 * WORLD_PODS];
        struct net_neighbour *n;
        struct world w;

        world_init(&w);
        world_pod(&w, 7, "10.244.1.5", "fd00:1::5");
        assert_int_equal(host_neighbours_missing(&w.in, missing), 2);
        n = net_state_add_neighbour(&w.state);
        *n = missing[0];
        assert_int_equal(host_neighbours_missing(&w.in, missing), 1);
        n->mac[5]++;
        assert_int_equal(host_neighbours_missing(&w.in, missing), 2);
        world_deinit(&w);
}

/* ---- the host's own way to services, where they are translated in packets */

static void services_world(struct world *w)
{
        static const char *const cidrs[] = {"10.96.0.0/16", "fd10:96::/112"};
        static struct net_prefix prefixes[ARRAY_SIZE(cidrs)];

        for (size_t i = 0; i < ARRAY_SIZE(cidrs); i++)
                prefixes[i] = prefix_of(cidrs[i]);
        world_init(w);
        w->own.cidrs_n = 0;
        w->in.service_cidrs = prefixes;
        w->in.service_cidrs_n = ARRAY_SIZE(prefixes);
        w->in.pod_mtu = 1450;
        w->in.service_ifindex = 2;
}

static void services_have_a_route_only_where_packets_are_translated(void **state)
{
        struct host_routes r = HOST_ROUTES_NULL;
        struct world w;

        services_world(&w);
        host_routes_desired(&w.in, &r, &w.problems);
        expect(&r, "10.96.0.0/16", "dev 2 via 169.254.152.152 src 10.99.0.1");
        expect(&r, "fd10:96::/112", "dev 2 via fe80::98:98 src fd99::1");
        assert_int_equal(r.count, 2);
        assert_true(r.items[0].last && r.items[1].last);
        assert_int_equal(r.items[0].mtu, 1450);
        w.in.v6 = (struct addr){0}; /* an IPv4 node */
        host_routes_desired(&w.in, &r, &w.problems);
        assert_int_equal(r.count, 1);
        w.in.service_ifindex = 0;
        host_routes_desired(&w.in, &r, &w.problems);
        assert_int_equal(r.count, 0);
        host_routes_deinit(&r);
        world_deinit(&w);
}

static void a_service_range_that_would_cut_the_host_off_has_no_route(void **state)
{
        static const char *const cidrs[] = {"0.0.0.0/0",    "::/0",      "10.99.0.0/16",
                                            "10.98.0.0/15", "fd98::/15", "10.97.0.0/16"};
        struct net_prefix prefixes[ARRAY_SIZE(cidrs)];
        struct host_routes r = HOST_ROUTES_NULL;
        struct world w;

        services_world(&w);
        world_node(&w, "n2", "10.96.7.7", "");
        for (size_t i = 0; i < ARRAY_SIZE(cidrs); i++)
                prefixes[i] = prefix_of(cidrs[i]);
        w.settings.service = (struct prefix_list){prefixes, ARRAY_SIZE(cidrs)};
        host_routes_desired(&w.in, &r, &w.problems);
        assert_int_equal(r.count, 1);
        expect(&r, "10.97.0.0/16", "dev 2 via 169.254.152.152 src 10.99.0.1");
        w.settings.service.count = 0; /* those of the API: the other node is in one of them */
        host_routes_desired(&w.in, &r, &w.problems);
        assert_int_equal(r.count, 1);
        expect(&r, "fd10:96::/112", "dev 2 via fe80::98:98 src fd99::1");
        host_routes_deinit(&r);
        world_deinit(&w);
}

static void a_route_to_services_of_another_mtu_is_replaced(void **state)
{
        struct host_route_ops ops = HOST_ROUTE_OPS_NULL;
        struct host_routes want = HOST_ROUTES_NULL;
        struct world w;

        services_world(&w);
        host_routes_desired(&w.in, &want, NULL);
        for (size_t i = 0; i < want.count; i++)
                *net_state_add_route(&w.state) = want.items[i];
        host_routes_diff(&w.state, &want, &ops);
        assert_int_equal(ops.count, 0);
        w.in.pod_mtu = 1400;
        host_routes_desired(&w.in, &want, NULL);
        host_routes_diff(&w.state, &want, &ops);
        assert_int_equal(ops.count, 2);
        assert_int_equal(ops_of(&ops, HOST_ROUTE_REPLACE, "10.96.0.0/16"), 1);
        host_route_ops_deinit(&ops);
        host_routes_deinit(&want);
        world_deinit(&w);
}

static void the_next_hop_to_services_comes_and_goes(void **state)
{
        struct net_neighbour found[8];
        struct world w;

        services_world(&w);
        assert_int_equal(host_neighbours_stale(&w.in, found), 0);
        assert_int_equal(host_neighbours_missing(&w.in, found), 2);
        for (size_t i = 0; i < 2; i++) {
                assert_int_equal(found[i].ifindex, 2);
                assert_true(host_neighbour_is_ours(&found[i]));
                *net_state_add_neighbour(&w.state) = found[i];
        }
        *net_state_add_neighbour(&w.state) = (struct net_neighbour){.ifindex = 2, .addr = addr_of("10.99.0.254")};
        *net_state_add_neighbour(&w.state) = (struct net_neighbour){.ifindex = 2, .addr = addr_of("169.254.152.152")};
        assert_int_equal(host_neighbours_missing(&w.in, found), 0);
        assert_int_equal(host_neighbours_stale(&w.in, found), 0);
        w.in.service_ifindex = 3; /* another NIC */
        assert_int_equal(host_neighbours_missing(&w.in, found), 2);
        assert_int_equal(host_neighbours_stale(&w.in, found), 2);
        w.in.service_ifindex = 0;
        assert_int_equal(host_neighbours_missing(&w.in, found), 0);
        assert_int_equal(host_neighbours_stale(&w.in, found), 2);
        assert_true(address_equal(&found[0].addr, &w.state.neighbours[0].addr));
        world_deinit(&w);
}

static void services_are_reached_by_the_nic_that_has_the_nodes_address(void **state)
{
        struct uplinks u = {.count = 3};
        struct world w;

        services_world(&w);
        u.items[0].ifindex = 2;
        u.items[1] = (struct uplink){.ifindex = 7, .mac = {2}};
        u.items[2] = (struct uplink){.ifindex = 8, .mac = {2}};
        assert_int_equal(uplink_for_services(&w.in, &u), 7); /* the first has no MAC */
        u.items[0].mac[0] = 2;
        assert_int_equal(uplink_for_services(&w.in, &u), 2);
        u.count = 0;
        assert_int_equal(uplink_for_services(&w.in, &u), 0);
        world_deinit(&w);
}

/* ---- NICs */

static void choose(struct world *w, const char *pattern, struct uplinks *ret)
{
        char *items[] = {(char *)pattern};
        const struct string_list list = {items, pattern != NULL};

        problems_deinit(&w->problems);
        uplinks_choose(&w->in, &list, ret, &w->problems);
}

static void nics_with_a_default_route_or_an_own_address_are_uplinks(void **state)
{
        struct uplinks u;
        struct world w;

        world_init(&w);
        world_link(&w, 9, "eth9", "");
        world_route(&w, "::/0", 9, "fe80::9");
        world_link(&w, 3, "docker0", "bridge");
        world_address(&w, 3, "172.17.0.1/16");
        world_link(&w, 4, "fairlead_vxlan", "vxlan");
        world_route(&w, "0.0.0.0/0", 4, NULL);
        world_link(&w, 5, "down0", "")->flags = 0;
        world_route(&w, "0.0.0.0/0", 5, NULL);
        choose(&w, NULL, &u);
        assert_int_equal(u.count, 2);
        assert_string_equal(uplink_name(&w.state, &u.items[0]), "eth0");
        assert_string_equal(uplink_name(&w.state, &u.items[1]), "eth9");
        assert_true(address_equal(&u.items[0].v4, &w.in.v4));
        /* It has none of its own: what it sends carries the node's. */
        assert_true(address_equal(&u.items[1].v4, &w.in.v4));
        world_address(&w, 9, "192.0.2.9/24");
        choose(&w, NULL, &u);
        assert_true(address_equal(&u.items[1].v4, &(struct addr){.w = {0, 0, 0xffff0000, 0x090200c0}}));
        assert_string_equal(problems_text(&w.problems), "");
        world_deinit(&w);
}

static void configured_nics_are_the_only_ones(void **state)
{
        struct uplinks u;
        struct world w;

        world_init(&w);
        world_link(&w, 9, "ens9", "");
        choose(&w, "ens*", &u);
        assert_int_equal(u.count, 1);
        assert_int_equal(u.items[0].ifindex, 9);
        choose(&w, "eth7", &u);
        assert_int_equal(u.count, 0);
        assert_string_equal(problems_text(&w.problems), "devices: no device eth7 is up on this host");
        world_deinit(&w);
}

static void too_many_nics_are_said(void **state)
{
        struct uplinks u;
        struct world w;

        world_init(&w);
        for (uint32_t i = 0; i < UPLINKS_MAX; i++) {
                char name[16];

                snprintf(name, sizeof(name), "ens%u", i);
                world_link(&w, 20 - i, name, "");
        }
        choose(&w, "e*", &u);
        assert_int_equal(u.count, UPLINKS_MAX);
        for (uint32_t i = 1; i < u.count; i++)
                assert_true(u.items[i - 1].ifindex < u.items[i].ifindex);
        assert_string_equal(problems_text(&w.problems),
                            "ens7 is one NIC too many (8 at most); name those that matter in devices");
        world_deinit(&w);
}

static void a_node_without_a_nic_says_so(void **state)
{
        struct uplinks u;
        struct world w;

        world_init(&w);
        w.state.routes_n = w.state.addresses_n = 0;
        choose(&w, NULL, &u);
        assert_string_equal(problems_text(&w.problems),
                            "no NIC has a default route or this node's address; name one in devices");
        assert_int_equal(pod_mtu(&u, ROUTING_VXLAN, false, 0, NULL), 0);
        world_deinit(&w);
}

static const struct {
        uint32_t nics[2];
        enum routing_mode routing;
        bool v6;
        uint32_t configured, mtu;
        const char *problem;
} mtus[] = {
        {{1500}, ROUTING_VXLAN, false, 0, 1450, ""},
        {{1500}, ROUTING_VXLAN, true, 0, 1430, ""},
        {{1500}, ROUTING_NATIVE, false, 0, 1500, ""},
        {{9000, 1500}, ROUTING_VXLAN, false, 0, 1450, ""},
        {{9000}, ROUTING_VXLAN, false, 0, 8950, ""},
        {{1500}, ROUTING_VXLAN, false, 1400, 1400, ""},
        {{1500}, ROUTING_VXLAN, false, 1480, 1480, "mtu: 1480 does not fit into the NICs' 1500 (at most 1450)"},
        {{1300}, ROUTING_VXLAN, false, 0, 1250, "a NIC's MTU of 1300 leaves pods less than 1280: IPv6 will not work"},
        {{80}, ROUTING_VXLAN, true, 0, 68, "a NIC's MTU of 80 leaves pods less than 1280: IPv6 will not work"},
};

static void pods_get_what_the_smallest_nic_leaves(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(mtus); i++) {
                struct uplinks u = {.items = {{.mtu = mtus[i].nics[0]}, {.mtu = mtus[i].nics[1]}},
                                    .count = mtus[i].nics[1] ? 2 : 1};
                struct problems p = PROBLEMS_NULL;

                assert_int_equal(pod_mtu(&u, mtus[i].routing, mtus[i].v6, mtus[i].configured, &p), mtus[i].mtu);
                assert_string_equal(problems_text(&p), mtus[i].problem);
                problems_deinit(&p);
        }
}

static void the_outer_family_is_ipv6_when_a_peer_has_no_other(void **state)
{
        struct world w;

        world_init(&w);
        world_node(&w, "n2", "10.99.0.2,fd99::2", "");
        assert_false(underlay_is_v6(&w.in));
        world_node(&w, "n3", "fd99::3", "");
        assert_true(underlay_is_v6(&w.in));
        w.in.others_n = 0;
        w.in.v4 = (struct addr){0};
        assert_true(underlay_is_v6(&w.in));
        world_deinit(&w);
}

static void the_vxlan_device_is_checked_in_all_that_matters(void **state)
{
        const struct vxlan_want want = {.port = 8472, .mtu = 1450};
        const struct net_link good = {.ifindex = 4,
                                      .mtu = 1450,
                                      .flags = IFF_UP | IFF_NOARP,
                                      .name = VXLAN_DEVICE,
                                      .kind = "vxlan",
                                      .vxlan = {.port = 8472, .external = true, .zero_csum6_rx = true}};
        const char *why;
        struct net_link *l;
        struct world w;

        world_init(&w);
        assert_int_equal(vxlan_check(&w.state, &want, &why), VXLAN_MISSING);
        l = net_state_add_link(&w.state);
#define AFTER(change)                                                                                                  \
        ({                                                                                                             \
                *l = good;                                                                                             \
                change;                                                                                                \
                vxlan_check(&w.state, &want, &why);                                                                    \
        })
        assert_int_equal(AFTER((void)0), VXLAN_FITS);
        assert_int_equal(AFTER(l->mtu = 1500), VXLAN_ADJUST);
        assert_int_equal(AFTER(l->flags = IFF_NOARP), VXLAN_ADJUST);
        assert_int_equal(AFTER(l->flags = IFF_UP), VXLAN_ADJUST);
        assert_int_equal(AFTER(l->master = 3), VXLAN_ADJUST);
        assert_int_equal(AFTER(l->vxlan.port = 4789), VXLAN_REPLACE);
        assert_int_equal(AFTER(l->vxlan.external = false), VXLAN_REPLACE);
        assert_int_equal(AFTER(l->vxlan.learning = true), VXLAN_REPLACE);
        assert_int_equal(AFTER(l->vxlan.zero_csum6_rx = false), VXLAN_REPLACE);
        assert_int_equal(AFTER(strcpy(l->kind, "veth")), VXLAN_REPLACE);
#undef AFTER
        world_deinit(&w);
}

static void only_names_of_our_form_are_host_sides(void **state)
{
        assert_true(net_is_host_side("fl0123456789ab"));
        assert_false(net_is_host_side("fl0123456789a"));
        assert_false(net_is_host_side("fl0123456789abc"));
        assert_false(net_is_host_side("fl0123456789AB"));
        assert_false(net_is_host_side("flannel.1"));
        assert_false(net_is_host_side("flannel-v6.1ab"));
        assert_false(net_is_host_side(""));
}

static void sysctls_are_changed_only_where_they_are_wrong(void **state)
{
        assert_null(sysctl_on(1));
        assert_string_equal(sysctl_on(0), "1");
        assert_null(sysctl_off(0));
        assert_string_equal(sysctl_off(1), "0");
        assert_string_equal(sysctl_off(2), "0");
        assert_string_equal(sysctl_accept_ra(1), "2");
        assert_null(sysctl_accept_ra(0)); /* off is the user's wish */
        assert_null(sysctl_accept_ra(2));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_host_gets_to_pods_by_their_devices_and_the_tunnel),
                cmocka_unit_test(a_source_that_no_nic_has_is_left_out),
                cmocka_unit_test(native_routing_needs_neighbours),
                cmocka_unit_test(only_our_own_routes_are_changed),
                cmocka_unit_test(neighbours_that_are_missing_or_wrong_are_found),
                cmocka_unit_test(services_have_a_route_only_where_packets_are_translated),
                cmocka_unit_test(a_service_range_that_would_cut_the_host_off_has_no_route),
                cmocka_unit_test(a_route_to_services_of_another_mtu_is_replaced),
                cmocka_unit_test(the_next_hop_to_services_comes_and_goes),
                cmocka_unit_test(services_are_reached_by_the_nic_that_has_the_nodes_address),
                cmocka_unit_test(nics_with_a_default_route_or_an_own_address_are_uplinks),
                cmocka_unit_test(configured_nics_are_the_only_ones),
                cmocka_unit_test(too_many_nics_are_said),
                cmocka_unit_test(a_node_without_a_nic_says_so),
                cmocka_unit_test(pods_get_what_the_smallest_nic_leaves),
                cmocka_unit_test(the_outer_family_is_ipv6_when_a_peer_has_no_other),
                cmocka_unit_test(the_vxlan_device_is_checked_in_all_that_matters),
                cmocka_unit_test(only_names_of_our_form_are_host_sides),
                cmocka_unit_test(sysctls_are_changed_only_where_they_are_wrong),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
