/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bpf/abi/reasons.h"
#include "ctl/event_text.h"
#include "ctl/monitor_filter.h"
#include "datapath/address.h"

static void addresses_and_prefixes_become_masks(void **state)
{
        static const struct {
                const char *text, *in, *out;
        } cases[] = {
                {"10.0.0.1", "10.0.0.1", "10.0.0.2"},           {"10.0.0.0/8", "10.255.0.1", "11.0.0.1"},
                {"10.1.2.3/8", "10.9.9.9", "12.0.0.1"},         {"fd00::1", "fd00::1", "fd00::2"},
                {"fd00::/64", "fd00::ffff:1", "fd00:0:0:1::1"}, {"0.0.0.0/0", "1.2.3.4", "fd00::1"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct monitor_address m = {0};
                struct addr in, out;

                assert_int_equal(monitor_filter_address(&m, "--src", cases[i].text, NULL), 0);
                assert_int_equal(address_parse(cases[i].in, &in) | address_parse(cases[i].out, &out), 0);
                for (int k = 0; k < 4; k++)
                        assert_int_equal((in.w[k] ^ m.is.w[k]) & m.mask.w[k], 0);
                assert_true(((out.w[0] ^ m.is.w[0]) & m.mask.w[0]) | ((out.w[1] ^ m.is.w[1]) & m.mask.w[1]) |
                            ((out.w[2] ^ m.is.w[2]) & m.mask.w[2]) | ((out.w[3] ^ m.is.w[3]) & m.mask.w[3]));
        }
}

static void what_is_wrong_is_named_with_what_would_be_right(void **state)
{
        struct monitor_filter f = {0};
        struct err err = ERR_NULL;
        uint32_t bits = 0;

        assert_int_equal(monitor_filter_address(&f.src, "--src", "10.0.0.300", &err), -EINVAL);
        assert_non_null(strstr(err.msg, "--src 10.0.0.300: give an IP address"));
        assert_int_equal(monitor_filter_port(&f.port, "0", &err), -EINVAL);
        assert_non_null(strstr(err.msg, "1 to 65535"));
        assert_int_equal(monitor_filter_port(&f.port, "65536", &err), -EINVAL);
        assert_int_equal(monitor_filter_proto(&f, "gre", &err), -EINVAL);
        assert_int_equal(monitor_filter_hook(&bits, "nowhere", &err), -EINVAL);
        assert_int_equal(monitor_filter_reason(&bits, "luck", &err), -EINVAL);
        assert_int_equal(monitor_filter_verdict(&f, &bits, "maybe", &err), -EINVAL);
        assert_non_null(strstr(err.msg, "pass, translate, forward or drop"));
        assert_int_equal(bits, 0);
}

static void every_hook_and_reason_has_its_bit(void **state)
{
        for (uint32_t i = 0; i < HOOK_COUNT; i++) {
                uint32_t bits = 0;

                assert_int_equal(monitor_filter_hook(&bits, event_hook(i), NULL), 0);
                assert_int_equal(bits, 1U << i);
        }
        for (uint32_t i = 0; i < REASON_COUNT; i++) {
                uint32_t bits = 0;

                assert_int_equal(monitor_filter_reason(&bits, event_reason(i), NULL), 0);
                assert_int_equal(bits, 1U << i);
        }
}

static void verdicts_part_the_reasons(void **state)
{
        struct monitor_filter f = {0};
        uint32_t drop = 0, forward = 0, pass = 0, translate = 0;

        assert_int_equal(monitor_filter_verdict(&f, &drop, "drop", NULL), 0);
        assert_int_equal(monitor_filter_verdict(&f, &forward, "forward", NULL), 0);
        assert_int_equal(monitor_filter_verdict(&f, &pass, "pass", NULL), 0);
        assert_int_equal(f.flags, 0);
        assert_int_equal(monitor_filter_verdict(&f, &translate, "translate", NULL), 0);
        assert_int_equal(f.flags, MONITOR_REWRITTEN);
        assert_int_equal(drop & (forward | pass | translate), 0);
        for (uint32_t i = 0; i < REASON_COUNT; i++)
                assert_int_equal(drop >> i & 1, i > REASON_FORWARDED);
        assert_string_equal(event_verdict(REASON_SPOOFED), "drop");
        assert_string_equal(event_verdict(REASON_FORWARDED), "forward");
}

static void a_pod_is_meant_by_both_its_addresses(void **state)
{
        struct monitor_filter f = {0};
        struct addr a[2];

        assert_int_equal(address_parse("10.0.0.1", &a[0]) | address_parse("fd00::1", &a[1]), 0);
        monitor_filter_either(&f, a, 2);
        assert_memory_equal(&f.either[0].is, &a[0], sizeof(a[0]));
        assert_memory_equal(&f.either[1].is, &a[1], sizeof(a[1]));
        monitor_filter_either(&f, a, 1);
        assert_memory_equal(&f.either[1].is, &a[0], sizeof(a[0]));
        assert_true(f.flags & MONITOR_EITHER);
}

static struct monitor_event event(void)
{
        struct monitor_event e = {.hook = HOOK_FROM_POD, .reason = REASON_FORWARDED, .way = MONITOR_WAY_POD, .tcp = 2};

        e.tuple.proto = IPPROTO_TCP;
        e.tuple.sport = htons(1000);
        e.tuple.dport = htons(80);
        address_parse("10.0.0.1", &e.tuple.src);
        address_parse("10.96.0.1", &e.tuple.dst);
        e.to = e.tuple;
        address_parse("10.0.0.2", &e.to.dst);
        e.to.dport = htons(8080);
        e.rewritten = 1;
        e.length = 60;
        return e;
}

static void events_read_well(void **state)
{
        struct monitor_event e = event();
        _cleanup_strbuf_ struct strbuf line = STRBUF_NULL, json = STRBUF_NULL;

        event_line(&line, &e, 1000000000, "default/web:http/TCP");
        assert_non_null(strstr(line.data, "00:00:01.000000 from_pod"));
        assert_non_null(strstr(line.data, "10.0.0.1:1000 > 10.96.0.1:80 => 10.0.0.1:1000 > 10.0.0.2:8080 [SYN]"));
        assert_non_null(strstr(line.data, "default/web:http/TCP"));
        event_json(&json, &e, 1000000000, NULL);
        assert_non_null(strstr(json.data, "\"verdict\":\"forward\""));
        assert_non_null(strstr(json.data, "\"service\":null"));
        assert_non_null(strstr(json.data, "\"destination\":\"10.0.0.2\",\"destinationPort\":8080"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(addresses_and_prefixes_become_masks),
                cmocka_unit_test(what_is_wrong_is_named_with_what_would_be_right),
                cmocka_unit_test(every_hook_and_reason_has_its_bit),
                cmocka_unit_test(verdicts_part_the_reasons),
                cmocka_unit_test(a_pod_is_meant_by_both_its_addresses),
                cmocka_unit_test(events_read_well),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
