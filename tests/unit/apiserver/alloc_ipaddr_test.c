/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "apiserver/alloc/ipaddr.h"
#include "base/cleanup.h"
#include "base/str.h"

static void addresses_are_read_and_written_canonically(void **state)
{
        static const struct {
                const char *in, *out; /* NULL: refused */
        } rows[] = {
                {"10.96.0.1", "10.96.0.1"},
                {"010.096.000.001", "10.96.0.1"},
                {"0.0.0.0", "0.0.0.0"},
                {"255.255.255.255", "255.255.255.255"},
                {"256.0.0.1", NULL},
                {"1.2.3", NULL},
                {"1.2.3.4.5", NULL},
                {"1.2.3.", NULL},
                {"1..2.3", NULL},
                {" 1.2.3.4", NULL},
                {"1.2.3.4 ", NULL},
                {"", NULL},
                {"None", NULL},
                {"0x1.2.3.4", NULL},
                {"2001:db8::1", "2001:db8::1"},
                {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
                {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
                {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
                {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
                {"::", "::"},
                {"::1", "::1"},
                {"fe80::", "fe80::"},
                {"::1.2.3.4", "::102:304"},
                {"::ffff:1.2.3.4", "1.2.3.4"},
                {"1:2:3:4:5:6:7", NULL},
                {"1::2::3", NULL},
                {"fe80::1%eth0", NULL},
                {"12345::", NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char text[IPADDR_TEXT_SIZE];
                struct ipaddr a;
                int r = ipaddr_parse(rows[i].in, &a);

                if (r != (rows[i].out ? 0 : IPADDR_BAD))
                        fail_msg("%s gave %d", rows[i].in, r);
                if (rows[i].out)
                        assert_string_equal(ipaddr_format(&a, text), rows[i].out);
                assert_int_equal(ipaddr_is_canonical(rows[i].in), str_eq(rows[i].in, rows[i].out));
        }
}

static void prefixes_know_their_ends_and_members(void **state)
{
        static const struct {
                const char *cidr, *first, *last, *in, *out;
        } rows[] = {
                {"10.96.0.0/16", "10.96.0.0", "10.96.255.255", "10.96.7.7", "10.97.0.0"},
                {"10.96.3.4/12", "10.96.0.0", "10.111.255.255", "10.100.0.1", "10.112.0.0"},
                {"0.0.0.0/0", "0.0.0.0", "255.255.255.255", "8.8.8.8", "::1"},
                {"1.2.3.4/32", "1.2.3.4", "1.2.3.4", "1.2.3.4", "1.2.3.5"},
                {"fd00:1::/108", "fd00:1::", "fd00:1::f:ffff", "fd00:1::8:1", "fd00:1::10:0"},
                {"fd00::/64", "fd00::", "fd00::ffff:ffff:ffff:ffff", "fd00::1", "fd00:0:0:1::"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char text[IPADDR_TEXT_SIZE];
                struct ipaddr a;
                struct ipcidr c;

                assert_int_equal(ipcidr_parse(rows[i].cidr, &c), 0);
                a = ipcidr_first(&c);
                assert_string_equal(ipaddr_format(&a, text), rows[i].first);
                a = ipcidr_last(&c);
                assert_string_equal(ipaddr_format(&a, text), rows[i].last);
                assert_int_equal(ipaddr_parse(rows[i].in, &a), 0);
                assert_true(ipcidr_contains(&c, &a));
                assert_int_equal(ipaddr_parse(rows[i].out, &a), 0);
                assert_false(ipcidr_contains(&c, &a));
        }
}

static void bad_prefixes_are_refused(void **state)
{
        static const char *const bad[] = {"10.0.0.0",
                                          "10.0.0.0/",
                                          "10.0.0.0/33",
                                          "10.0.0.0/-1",
                                          "/8",
                                          "10.0.0.0/8x",
                                          "fd00::/129",
                                          "fd00::/0064",
                                          "::ffff:1.2.3.4/120",
                                          "x/8",
                                          "10.0.0/8",
                                          "10.0.0.0/ 8",
                                          ""};

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct ipcidr c;

                if (ipcidr_parse(bad[i], &c) != IPADDR_BAD)
                        fail_msg("%s was taken", bad[i]);
        }
}

static void adding_carries_over_bytes(void **state)
{
        static const struct {
                const char *a;
                uint64_t n;
                const char *sum;
        } rows[] = {
                {"10.0.0.255", 1, "10.0.1.0"},
                {"10.255.255.255", 1, "11.0.0.0"},
                {"255.255.255.255", 1, "0.0.0.0"},
                {"fd00::ffff:ffff:ffff:ffff", 1, "fd00:0:0:1::"},
                {"fd00::", 0xffffffffffffULL, "fd00::ffff:ffff:ffff"},
                {"10.96.0.0", 65534, "10.96.255.254"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char text[IPADDR_TEXT_SIZE];
                struct ipaddr a;

                assert_int_equal(ipaddr_parse(rows[i].a, &a), 0);
                a = ipaddr_add(&a, rows[i].n);
                assert_string_equal(ipaddr_format(&a, text), rows[i].sum);
        }
}

static void special_addresses_are_known(void **state)
{
        static const struct {
                const char *a;
                const char *what; /* u, l, k (link-local), m, or nothing */
        } rows[] = {
                {"0.0.0.0", "u"},     {"::", "u"},      {"127.0.0.1", "l"}, {"127.255.0.1", "l"}, {"::1", "l"},
                {"169.254.1.1", "k"}, {"fe80::1", "k"}, {"febf::1", "k"},   {"fec0::1", ""},      {"224.0.0.1", "m"},
                {"224.0.1.1", ""},    {"ff02::1", "m"}, {"ff05::1", ""},    {"10.0.0.1", ""},     {"::2", ""},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct ipaddr a;

                assert_int_equal(ipaddr_parse(rows[i].a, &a), 0);
                assert_int_equal(ipaddr_is_unspecified(&a), rows[i].what[0] == 'u');
                assert_int_equal(ipaddr_is_loopback(&a), rows[i].what[0] == 'l');
                assert_int_equal(ipaddr_is_link_local(&a), rows[i].what[0] == 'k');
                assert_int_equal(ipaddr_is_link_local_multicast(&a), rows[i].what[0] == 'm');
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(addresses_are_read_and_written_canonically),
                cmocka_unit_test(prefixes_know_their_ends_and_members),
                cmocka_unit_test(bad_prefixes_are_refused),
                cmocka_unit_test(adding_carries_over_bytes),
                cmocka_unit_test(special_addresses_are_known),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
