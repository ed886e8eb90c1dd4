/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "cni/address.h"

static void addresses_are_read_strictly(void **state)
{
        static const struct {
                const char *text;
                int result;
                uint32_t bits;
                const char *canonical;
        } cases[] = {
                {"10.0.0.5", 0, 32, "10.0.0.5"},
                {"10.0.0.5/24", 0, 24, "10.0.0.5"},
                {"fd00:0:0::5/64", 0, 64, "fd00::5"},
                {"::1", 0, 128, "::1"},
                {"10.0.0.5/0", 0, 0, "10.0.0.5"},
                {"10.0.0.5/33", -EINVAL, 0, NULL},
                {"fd00::/129", -EINVAL, 0, NULL},
                {"10.0.0.5/", -EINVAL, 0, NULL},
                {"10.0.0.5/-1", -EINVAL, 0, NULL},
                {"010.0.0.5", -EINVAL, 0, NULL},
                {"10.0.0", -EINVAL, 0, NULL},
                {" 10.0.0.5", -EINVAL, 0, NULL},
                {"::ffff:10.0.0.5", -EINVAL, 0, NULL},
                {"fe80::1%eth0", -EINVAL, 0, NULL},
                {"", -EINVAL, 0, NULL},
                {"/24", -EINVAL, 0, NULL},
                {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd", -EINVAL, 0, NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char text[ADDRESS_TEXT_SIZE];
                struct addr a;
                uint32_t bits = 0;

                assert_int_equal(ip_parse(cases[i].text, &a, &bits), cases[i].result);
                if (cases[i].result)
                        continue;
                assert_int_equal(bits, cases[i].bits);
                assert_string_equal(ip_text(&a, text), cases[i].canonical);
        }
}

static void a_range_leaves_out_network_node_and_broadcast(void **state)
{
        static const struct {
                const char *cidr;
                uint64_t usable;
                const char *first, *last;
        } cases[] = {
                {"10.244.1.0/24", 253, "10.244.1.2", "10.244.1.254"},
                {"10.244.0.0/16", 65533, "10.244.0.2", "10.244.255.254"},
                {"10.244.1.252/30", 1, "10.244.1.254", "10.244.1.254"},
                {"10.244.1.0/31", 0, NULL, NULL},
                {"10.244.1.0/32", 0, NULL, NULL},
                {"fd00:1::/64", (1ULL << 32) - 2, "fd00:1::2", "fd00:1::ffff:ffff"},
                {"fd00:1::/126", 2, "fd00:1::2", "fd00:1::3"},
                {"fd00::/8", (1ULL << 32) - 2, "fd00::2", "fd00::ffff:ffff"},
                {"fd00:1::/127", 0, NULL, NULL},
                {"0.0.0.0/0", (1ULL << 32) - 3, "0.0.0.2", "255.255.255.254"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char text[ADDRESS_TEXT_SIZE];
                struct ip_range range;
                struct addr a;

                assert_int_equal(ip_range_parse(cases[i].cidr, &range), 0);
                assert_int_equal(range.usable, cases[i].usable);
                if (!cases[i].usable)
                        continue;
                a = ip_range_at(&range, 0);
                assert_string_equal(ip_text(&a, text), cases[i].first);
                assert_int_equal(ip_range_index(&range, &a), 0);
                a = ip_range_at(&range, cases[i].usable - 1);
                assert_string_equal(ip_text(&a, text), cases[i].last);
                assert_int_equal(ip_range_index(&range, &a), cases[i].usable - 1);
        }
}

static void what_is_outside_or_reserved_has_no_index(void **state)
{
        static const char *const refused[] = {"10.244.1.0",   "10.244.1.1", "10.244.1.255", "10.244.2.2",
                                              "10.244.0.254", "fd00::2",    "0.0.0.2"};
        struct ip_range range;
        struct addr a;
        uint32_t bits;

        assert_int_equal(ip_range_parse("10.244.1.0/24", &range), 0);
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
                assert_int_equal(ip_parse(refused[i], &a, &bits), 0);
                assert_true(ip_range_index(&range, &a) == UINT64_MAX);
        }
        assert_int_equal(ip_range_parse("fd00::/8", &range), 0);
        assert_int_equal(ip_parse("fd00:0:0:1::2", &a, &bits), 0);
        assert_true(ip_range_has(&range, &a));
        assert_true(ip_range_index(&range, &a) == UINT64_MAX);
}

static void a_range_must_be_a_network(void **state)
{
        static const char *const bad[] = {"10.244.1.5/24", "10.244.1.0", "fd00::1/64", "x/24", "10.0.0.0/33", ""};
        struct ip_range range;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(ip_range_parse(bad[i], &range), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(addresses_are_read_strictly),
                cmocka_unit_test(a_range_leaves_out_network_node_and_broadcast),
                cmocka_unit_test(what_is_outside_or_reserved_has_no_index),
                cmocka_unit_test(a_range_must_be_a_network),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
