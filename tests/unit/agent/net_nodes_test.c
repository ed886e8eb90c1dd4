/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "agent/net/nodes.h"
#include "agent/net/settings.h"
#include "base/str.h"
#include "datapath/address.h"
#include "unit/agent/net_world.h"

static void read_node(const char *text, struct node_summary *ret)
{
        _cleanup_json_ struct json_object *o = NULL;
        struct err err = ERR_NULL;

        if (json_parse(text, strlen(text), &o, &err) < 0)
                fail_msg("%s", err.msg);
        node_summary_read(o, ret);
}

static void a_node_has_addresses_cidrs_and_a_zone(void **state)
{
        struct node_summary n;

        read_node(
                "{\"metadata\":{\"name\":\"n1\",\"uid\":\"u\",\"labels\":{\"topology.kubernetes.io/zone\":\"z1\"}},"
                "\"spec\":{\"podCIDR\":\"10.244.1.0/24\",\"podCIDRs\":[\"10.244.1.0/24\",\"fd00:1::/64\"]},"
                "\"status\":{\"addresses\":[{\"type\":\"Hostname\",\"address\":\"n1\"},"
                "{\"type\":\"InternalIP\",\"address\":\"10.99.0.1\"},{\"type\":\"ExternalIP\",\"address\":\"8.8.8.8\"},"
                "{\"type\":\"InternalIP\",\"address\":\"fd99::1\"}]}}",
                &n);
        assert_string_equal(n.name, "n1");
        assert_string_equal(n.uid, "u");
        assert_string_equal(n.zone, "z1");
        assert_int_equal(n.addresses_n, 2);
        assert_int_equal(n.cidrs_n, 2);
        assert_string_equal(n.skipped, "");
        assert_true(address_equal(node_address(&n, true), &(struct addr){.w = {0, 0, 0xffff0000, 0x0100630a}}));
        assert_int_equal(n.cidrs[0].bits, 120);
}

static void an_older_node_has_one_pod_cidr(void **state)
{
        struct node_summary n;

        read_node("{\"metadata\":{\"name\":\"n1\"},\"spec\":{\"podCIDR\":\"10.244.1.0/24\"}}", &n);
        assert_int_equal(n.cidrs_n, 1);
        assert_null(node_address(&n, true));
}

static const struct {
        const char *cidr, *address, *skipped;
} odd[] = {
        {"10.244.1.0/24", "127.0.0.1", "InternalIP \"127.0.0.1\" is no usable IP address"},
        {"10.244.1.0/24", "0.0.0.0", "InternalIP \"0.0.0.0\" is no usable IP address"},
        {"10.244.1.0/24", "224.0.0.1", "InternalIP \"224.0.0.1\" is no usable IP address"},
        {"10.244.1.0/24", "169.254.1.1", "InternalIP \"169.254.1.1\" is no usable IP address"},
        {"10.244.1.0/24", "fe80::1", "InternalIP \"fe80::1\" is no usable IP address"},
        {"10.244.1.0/24", "::1", "InternalIP \"::1\" is no usable IP address"},
        {"10.244.1.0/24", "ff02::1", "InternalIP \"ff02::1\" is no usable IP address"},
        {"10.244.1.0/24", "::ffff:10.0.0.1", "InternalIP \"::ffff:10.0.0.1\" is no usable IP address"},
        {"10.244.1.0/24", "10.0.0.1/24", "InternalIP \"10.0.0.1/24\" is no usable IP address"},
        {"10.244.1.0/24", "", "InternalIP \"\" is no usable IP address"},
        {"10.244.1.0", "10.0.0.1", "podCIDR \"10.244.1.0\" is no prefix such as 10.244.1.0/24"},
        {"10.244.1.0/33", "10.0.0.1", "podCIDR \"10.244.1.0/33\" is no prefix such as 10.244.1.0/24"},
        {"0.0.0.0/0", "10.0.0.1", "podCIDR \"0.0.0.0/0\" is too wide for one node (at least /8, or /16 of IPv6)"},
        {"::/0", "10.0.0.1", "podCIDR \"::/0\" is too wide for one node (at least /8, or /16 of IPv6)"},
        {"224.0.0.0/8", "10.0.0.1", "podCIDR \"224.0.0.0/8\" is no range of unicast addresses"},
        {"127.0.0.0/8", "10.0.0.1", "podCIDR \"127.0.0.0/8\" is no range of unicast addresses"},
        {"rubbish", "10.0.0.1", "podCIDR \"rubbish\" is no prefix such as 10.244.1.0/24"},
};

static void what_is_odd_is_left_out_and_said(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
                struct node_summary n;
                char text[512];

                snprintf(text, sizeof(text),
                         "{\"metadata\":{\"name\":\"n1\"},\"spec\":{\"podCIDRs\":[\"%s\",\"fd00:1::/64\"]},"
                         "\"status\":{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"%s\"},"
                         "{\"type\":\"InternalIP\",\"address\":\"10.99.0.7\"}]}}",
                         odd[i].cidr, odd[i].address);
                read_node(text, &n);
                assert_string_equal(n.skipped, odd[i].skipped);
                /* The good ones are there all the same. */
                assert_true(address_equal(&n.addresses[n.addresses_n - 1],
                                          &(struct addr){.w = {0, 0, 0xffff0000, 0x0700630a}}));
                assert_int_equal(n.cidrs[n.cidrs_n - 1].bits, 64);
        }
}

static void a_node_that_is_about_to_go_is_known(void **state)
{
        static const struct {
                const char *text;
                bool leaving;
        } rows[] = {
                {"{\"metadata\":{\"name\":\"n1\"},\"spec\":{\"taints\":[{\"key\":\"other\"}]}}", false},
                {"{\"metadata\":{\"name\":\"n1\"},\"spec\":{\"taints\":[{\"key\":\"other\"},"
                 "{\"key\":\"ToBeDeletedByClusterAutoscaler\",\"effect\":\"NoSchedule\"}]}}",
                 true},
                {"{\"metadata\":{\"name\":\"n1\",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"}}", true},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct node_summary n, plain;

                read_node(rows[i].text, &n);
                read_node(rows[0].text, &plain);
                assert_int_equal(n.leaving, rows[i].leaving);
                assert_int_equal(node_summary_equal(&n, &plain), !rows[i].leaving);
        }
}

static void strange_shapes_are_no_crash(void **state)
{
        static const char *const texts[] = {
                "{}",
                "[]",
                "{\"metadata\":5,\"spec\":[],\"status\":\"x\"}",
                "{\"metadata\":{\"name\":[]},\"spec\":{\"podCIDRs\":{}},\"status\":{\"addresses\":[1,null,{}]}}",
                "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"podCIDRs\":[null,1,{},[]]}}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct node_summary n;

                read_node(texts[i], &n);
                assert_int_equal(n.addresses_n, 0);
                assert_int_equal(n.cidrs_n, 0);
        }
}

static void more_than_there_is_room_for_is_cut(void **state)
{
        struct node_summary n;
        char text[2048] = "{\"metadata\":{\"name\":\"n\"},\"status\":{\"addresses\":[";

        for (int i = 0; i < 20; i++) {
                size_t at = strlen(text);

                snprintf(text + at, sizeof(text) - at, "%s{\"type\":\"InternalIP\",\"address\":\"10.0.0.%d\"}",
                         i ? "," : "", i + 1);
        }
        strcat(text, "]}}");
        read_node(text, &n);
        assert_int_equal(n.addresses_n, NODE_ADDRESSES);
}

static void own_addresses_are_those_of_the_candidates_that_a_nic_has(void **state)
{
        const struct addr candidates[] = {addr_of("192.0.2.1"), addr_of("10.99.0.1"), addr_of("fd99::1")};
        struct addr v4 = {0}, v6 = {0};
        struct world w;

        world_init(&w);
        node_own_addresses(candidates, 3, &w.state, &v4, &v6);
        assert_true(address_equal(&v4, &candidates[1]));
        assert_true(address_equal(&v6, &candidates[2]));
        world_deinit(&w);
}

static void an_address_that_is_gone_for_a_moment_is_kept(void **state)
{
        const struct addr candidates[] = {addr_of("192.0.2.1"), addr_of("10.99.0.1"), addr_of("fd99::1")};
        struct addr v4 = candidates[1], v6 = candidates[2];
        struct net_state nothing = NET_STATE_NULL;

        node_own_addresses(candidates, 3, &nothing, &v4, &v6);
        assert_true(address_equal(&v4, &candidates[1]));
        node_own_addresses(candidates, 1, &nothing, &v4, &v6);
        assert_true(address_is_zero(&v4));
        assert_true(address_is_zero(&v6));
}

static void a_tentative_address_does_not_count(void **state)
{
        const struct addr candidates[] = {addr_of("fd99::1")};
        struct addr v4 = {0}, v6 = {0};
        struct world w;

        world_init(&w);
        w.state.addresses[3].usable = false;
        node_own_addresses(candidates, 1, &w.state, &v4, &v6);
        assert_true(address_is_zero(&v6));
        world_deinit(&w);
}

static void tunnels_go_to_an_address_of_a_family_that_both_have(void **state)
{
        const struct addr none = {0}, v4 = addr_of("10.99.0.1"), v6 = addr_of("fd99::1");
        struct world w;
        struct node_summary *dual, *only6;

        world_init(&w);
        dual = world_node(&w, "n2", "fd99::2,10.99.0.2", "");
        only6 = world_node(&w, "n3", "fd99::3", "");
        assert_true(address_is_v4(node_peer(&v4, &v6, dual)));
        assert_false(address_is_v4(node_peer(&none, &v6, dual)));
        assert_false(address_is_v4(node_peer(&v4, &v6, only6)));
        assert_null(node_peer(&v4, &none, only6));
        world_deinit(&w);
}

static int read_settings(const char *node_ip, const char *nodeport, const char *direct, const char *service,
                         struct err *reterr)
{
        const struct agent_config c = {
                .node_ips = {(char *[]){(char *)node_ip}, node_ip != NULL},
                .nodeport_addresses = {(char *[]){(char *)nodeport}, nodeport != NULL},
                .non_masquerade_cidrs = {(char *[]){(char *)direct}, direct != NULL},
                .service_cidrs = {(char *[]){(char *)service}, service != NULL},
        };
        struct net_settings s = NET_SETTINGS_NULL;
        int res = net_settings_read(&c, &s, reterr);

        net_settings_deinit(&s);
        return res;
}

static void settings_that_are_no_addresses_are_named(void **state)
{
        struct err err = ERR_NULL;

        assert_int_equal(read_settings("10.0.0.1", "10.0.0.0/8", "0.0.0.0/0", "fd00::/108", &err), 0);
        assert_true(read_settings("127.0.0.1", NULL, NULL, NULL, &err) < 0);
        assert_string_equal(err.msg, "nodeIPs: \"127.0.0.1\" is no unicast address that other nodes can reach");
        assert_true(read_settings(NULL, "x", NULL, NULL, &err) < 0);
        assert_string_equal(err.msg, "nodePortAddresses: \"x\" is no prefix; write 10.0.0.0/8 or fd00::/8");
        assert_true(read_settings(NULL, NULL, "10.0.0.0", NULL, &err) < 0);
        assert_string_equal(err.msg, "nonMasqueradeCIDRs: \"10.0.0.0\" is no prefix; write 10.0.0.0/8 or fd00::/8");
        assert_true(read_settings(NULL, NULL, NULL, "10.0.0.0/99", &err) < 0);
        assert_string_equal(err.msg, "serviceCIDRs: \"10.0.0.0/99\" is no prefix; write 10.0.0.0/8 or fd00::/8");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_node_has_addresses_cidrs_and_a_zone),
                cmocka_unit_test(an_older_node_has_one_pod_cidr),
                cmocka_unit_test(what_is_odd_is_left_out_and_said),
                cmocka_unit_test(a_node_that_is_about_to_go_is_known),
                cmocka_unit_test(strange_shapes_are_no_crash),
                cmocka_unit_test(more_than_there_is_room_for_is_cut),
                cmocka_unit_test(own_addresses_are_those_of_the_candidates_that_a_nic_has),
                cmocka_unit_test(an_address_that_is_gone_for_a_moment_is_kept),
                cmocka_unit_test(a_tentative_address_does_not_count),
                cmocka_unit_test(tunnels_go_to_an_address_of_a_family_that_both_have),
                cmocka_unit_test(settings_that_are_no_addresses_are_named),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
