/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "datapath/address.h"

static void addresses_are_written_canonically(void **state)
{
        static const struct {
                const char *text, *canonical;
        } rows[] = {
                {"10.0.0.1", "10.0.0.1"},
                {"0.0.0.0", "0.0.0.0"},
                {"255.255.255.255", "255.255.255.255"},
                {"::", "::"},
                {"::1", "::1"},
                {"FD00:0:0:0:0:0:0:A", "fd00::a"},
                {"2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"},
                {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
                {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
                {"::abcd:1234", "::abcd:1234"},
                {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
                {"::fffe:1.2.3.4", "::fffe:102:304"},
        };
        char text[ADDRESS_TEXT];
        struct addr a;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                assert_int_equal(address_parse(rows[i].text, &a), 0);
                assert_string_equal(address_text(&a, text), rows[i].canonical);
        }
}

static void what_is_no_address_is_refused(void **state)
{
        static const char *const rows[] = {
                "",
                " 10.0.0.1",
                "10.0.0.1 ",
                "10.0.0",
                "10.0.0.01",
                "010.0.0.1",
                "10.0.0.256",
                "10.0.0.1.1",
                "10.0.0.1/32",
                "0x0a.0.0.1",
                "10.1",
                "167772161",
                "fe80::1%2",
                "fe80::1%eth0",
                "[::1]",
                "::ffff:10.0.0.1",
                "::ffff:0a00:1",
                ":::",
                "1::2::3",
                "12345::",
                "::g",
                "1:2:3:4:5:6:7:8:9",
                "1:2:3:4:5:6:7",
                "localhost",
                "10.0.0.1\n",
                "-1.0.0.0",
        };
        struct addr a, before;

        memset(&before, 0x5a, sizeof(before));
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                a = before;
                assert_int_equal(address_parse(rows[i], &a), -EINVAL);
                assert_memory_equal(&a, &before, sizeof(a));
        }
        assert_int_equal(address_parse(NULL, &a), -EINVAL);
}

static void prefixes_are_counted_in_128_bits(void **state)
{
        static const struct {
                const char *text;
                uint32_t bits;
                const char *canonical;
        } rows[] = {
                {"10.0.0.0/24", 120, "10.0.0.0/24"},
                {"0.0.0.0/0", 96, "0.0.0.0/0"},
                {"10.0.0.1/32", 128, "10.0.0.1/32"},
                {"fd00::/64", 64, "fd00::/64"},
                {"::/0", 0, "::/0"},
                {"fd00::1/128", 128, "fd00::1/128"},
        };
        char text[ADDRESS_TEXT];
        struct addr a;
        uint32_t bits;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                assert_int_equal(address_parse_cidr(rows[i].text, true, &a, &bits), 0);
                assert_int_equal(bits, rows[i].bits);
                assert_string_equal(address_cidr_text(&a, bits, text), rows[i].canonical);
        }
}

static void what_is_no_network_is_refused(void **state)
{
        static const char *const rows[] = {
                "",
                "10.0.0.0",
                "10.0.0.0/",
                "10.0.0.0/33",
                "10.0.0.0/-1",
                "10.0.0.0/+8",
                "10.0.0.0/08",
                "10.0.0.0/ 8",
                "/8",
                "fd00::/129",
                "::ffff:10.0.0.0/120",
                "10.0.0.0/8/8",
                "10.0.0.0/255.0.0.0",
                "10.0.0.0/4294967304",
                "1234:1234:1234:1234:1234:1234:1234:1234:1234:1234:1234:1234/8",
        };
        struct addr a;
        uint32_t bits;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_int_equal(address_parse_cidr(rows[i], false, &a, &bits), -EINVAL);
        assert_int_equal(address_parse_cidr(NULL, false, &a, &bits), -EINVAL);
}

static void bits_behind_the_prefix_are_refused_only_when_strict(void **state)
{
        char text[ADDRESS_TEXT];
        struct addr a;
        uint32_t bits;

        assert_int_equal(address_parse_cidr("10.0.0.1/24", true, &a, &bits), -EINVAL);
        assert_int_equal(address_parse_cidr("fd00::1/127", true, &a, &bits), -EINVAL);
        assert_int_equal(address_parse_cidr("10.0.0.1/24", false, &a, &bits), 0);
        assert_string_equal(address_text(&a, text), "10.0.0.1");
}

static void networks_contain_their_addresses(void **state)
{
        static const struct {
                const char *address, *net;
                bool in;
        } rows[] = {
                {"10.0.0.255", "10.0.0.0/24", true},
                {"10.0.1.0", "10.0.0.0/24", false},
                {"10.0.0.1", "10.0.0.1/32", true},
                {"10.0.0.0", "10.0.0.1/32", false},
                {"192.0.2.1", "0.0.0.0/0", true},
                {"fd00::1", "0.0.0.0/0", false},
                {"fd00::1", "::/0", true},
                {"192.0.2.1", "::/0", false},
                {"fd00:0:0:1::5", "fd00::/63", true},
                {"fd00:0:0:2::5", "fd00::/63", false},
                {"fd00::1", "10.0.0.0/8", false},
                {"127.255.0.1", "127.0.0.0/8", true},
        };
        struct addr a, net;
        uint32_t bits;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                assert_int_equal(address_parse(rows[i].address, &a), 0);
                assert_int_equal(address_parse_cidr(rows[i].net, true, &net, &bits), 0);
                assert_int_equal(address_in(&a, &net, bits), rows[i].in);
        }
}

static void a_mask_keeps_exactly_its_bits(void **state)
{
        struct addr ones, a;

        memset(&ones, 0xff, sizeof(ones));
        for (uint32_t bits = 0; bits <= 128; bits++) {
                a = address_mask(&ones, bits);
                for (uint32_t i = 0; i < 128; i++)
                        assert_int_equal(a.b[i / 8] >> (7 - i % 8) & 1, i < bits);
        }
}

static void ports_are_written_behind_addresses(void **state)
{
        char text[ADDRESS_TEXT];
        struct addr a = address_of_v4(htonl(0x0a000001));

        assert_string_equal(address_port_text(&a, htons(80), text), "10.0.0.1:80");
        assert_int_equal(address_parse("1111:2222:3333:4444:5555:6666:7777:8888", &a), 0);
        assert_string_equal(address_port_text(&a, htons(65535), text),
                            "[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
}

static void families_and_nothing_are_told_apart(void **state)
{
        struct addr any4 = address_of_v4(0), none = {0}, six = address_of_v6("\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1");

        assert_true(address_is_v4(&any4));
        assert_false(address_is_zero(&any4));
        assert_true(address_is_zero(&none));
        assert_false(address_is_v4(&none));
        assert_false(address_is_v4(&six));
        assert_false(address_equal(&any4, &none));
        assert_true(address_equal(&six, &six));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(addresses_are_written_canonically),
                cmocka_unit_test(what_is_no_address_is_refused),
                cmocka_unit_test(prefixes_are_counted_in_128_bits),
                cmocka_unit_test(what_is_no_network_is_refused),
                cmocka_unit_test(bits_behind_the_prefix_are_refused_only_when_strict),
                cmocka_unit_test(networks_contain_their_addresses),
                cmocka_unit_test(a_mask_keeps_exactly_its_bits),
                cmocka_unit_test(ports_are_written_behind_addresses),
                cmocka_unit_test(families_and_nothing_are_told_apart),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
