/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "ctl/flow_filter.h"
#include "datapath/address.h"

static struct addr address(const char *text)
{
        struct addr a;

        assert_int_equal(address_parse(text, &a), 0);
        return a;
}

/* 198.51.100.10:40000 asks 10.96.0.9:80, and 10.244.1.2:8080 gets it. */
static struct flow_entry entry(void)
{
        return (struct flow_entry){
                .key = {.src = address("198.51.100.10"),
                        .dst = address("10.96.0.9"),
                        .sport = htons(40000),
                        .dport = htons(80),
                        .proto = IPPROTO_TCP},
                .new_src = address("192.0.2.1"),
                .new_dst = address("10.244.1.2"),
                .new_sport = htons(61000),
                .new_dport = htons(8080),
                .state = FLOW_ESTABLISHED | FLOW_SEEN_REPLY,
                .seen = 90,
                .created = 50,
                .packets = 4,
                .bytes = 400,
        };
}

static void each_filter_says_yes_and_no(void **state)
{
        static const struct {
                struct flow_words words;
                bool match;
        } rows[] = {
                {{0}, true},
                {{.src = "198.51.100.10"}, true},
                {{.src = "198.51.100.11"}, false},
                {{.src = "198.51.100.0/24"}, true},
                {{.src = "198.51.100.10/24"}, true},
                {{.src = "0.0.0.0/0"}, true},
                {{.src = "::/0"}, false},
                {{.dst = "10.96.0.9"}, true},
                {{.dst = "10.244.1.2"}, false},
                {{.dst = "10.96.0.0/16"}, true},
                {{.backend = "10.244.1.2"}, true},
                {{.backend = "10.244.0.0/16"}, true},
                {{.backend = "10.96.0.9"}, false},
                {{.port = "80"}, true},
                {{.port = "8080"}, true},
                {{.port = "40000"}, false},
                {{.proto = "tcp"}, true},
                {{.proto = "udp"}, false},
                {{.state = "established"}, true},
                {{.state = "closing"}, false},
                {{.family = "4"}, true},
                {{.family = "6"}, false},
                {{.src = "198.51.100.10", .port = "80", .proto = "tcp", .family = "4"}, true},
                {{.src = "198.51.100.10", .port = "80", .proto = "udp"}, false},
        };
        struct flow_entry e = entry();

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct flow_filter f;
                struct err err = ERR_NULL;

                if (flow_filter_parse(&rows[i].words, &f, &err))
                        fail_msg("row %zu: %s", i, err.msg);
                if (flow_filter_match(&f, &e) != rows[i].match)
                        fail_msg("row %zu", i);
        }
}

static void bad_words_are_named(void **state)
{
        static const struct {
                struct flow_words words;
                const char *says;
        } rows[] = {
                {{.src = "10.0.0"}, "--src 10.0.0:"},
                {{.src = ""}, "--src :"},
                {{.dst = "web"}, "--dst web:"},
                {{.backend = "10.0.0.0/33"}, "--backend 10.0.0.0/33:"},
                {{.backend = "::ffff:10.0.0.1"}, "--backend ::ffff:10.0.0.1:"},
                {{.port = "0"}, "--port 0: give a number from 1 to 65535"},
                {{.port = "65536"}, "--port 65536:"},
                {{.port = "http"}, "--port http:"},
                {{.port = "-1"}, "--port -1:"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct flow_filter f;
                struct err err = ERR_NULL;

                assert_int_equal(flow_filter_parse(&rows[i].words, &f, &err), -EINVAL);
                if (!str_has_prefix(err.msg, rows[i].says))
                        fail_msg("`%s` should begin with `%s`", err.msg, rows[i].says);
        }
}

static void a_pod_is_found_at_both_ends(void **state)
{
        struct flow_filter f = {.pod = true};
        struct flow_entry e = entry();

        assert_false(flow_filter_match(&f, &e));
        f.pods[0] = address("10.244.9.9");
        f.pods[1] = address("198.51.100.10");
        f.pods_n = 1;
        assert_false(flow_filter_match(&f, &e));
        f.pods_n = 2;
        assert_true(flow_filter_match(&f, &e));
        f.pods[0] = address("10.244.1.2");
        f.pods_n = 1;
        assert_true(flow_filter_match(&f, &e));
}

static void states_have_names(void **state)
{
        static const struct {
                uint8_t proto, state;
                const char *name;
        } rows[] = {
                {IPPROTO_TCP, FLOW_NEW, "opening"},
                {IPPROTO_TCP, FLOW_SEEN_REPLY, "opening"},
                {IPPROTO_TCP, FLOW_SEEN_REPLY | FLOW_ESTABLISHED, "established"},
                {IPPROTO_TCP, FLOW_ESTABLISHED | FLOW_FIN, "closing"},
                {IPPROTO_TCP, FLOW_ESTABLISHED | FLOW_FIN_REPLY, "closing"},
                {IPPROTO_TCP, FLOW_ESTABLISHED | FLOW_FIN | FLOW_RST, "reset"},
                {IPPROTO_UDP, FLOW_NEW, "one-way"},
                {IPPROTO_UDP, FLOW_SEEN_REPLY, "both-ways"},
                {IPPROTO_ICMPV6, FLOW_SEEN_REPLY, "both-ways"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct flow_entry e = {.key = {.proto = rows[i].proto}, .state = rows[i].state};
                struct str_span name;
                bool known = false;

                assert_string_equal(flow_state_name(&e), rows[i].name);
                for (const char *rest = FLOW_STATES; str_split(&rest, ' ', &name);)
                        known |= str_span_eq(name, rows[i].name);
                assert_true(known);
        }
}

static void orders_put_the_interesting_first(void **state)
{
        struct flow_entry e = entry(), more = entry(), none = {0}, reply = {.packets = 9, .bytes = 5};

        assert_int_equal(flow_sort_key("age", &e, &none, 100), 50);
        assert_int_equal(flow_sort_key("idle", &e, &none, 100), 10);
        assert_int_equal(flow_sort_key("idle", &e, &none, 80), 0); /* another CPU's second */
        more.bytes++;
        assert_true(flow_sort_key("bytes", &more, &none, 100) < flow_sort_key("bytes", &e, &none, 100));
        assert_true(flow_sort_key("bytes", &e, &reply, 100) < flow_sort_key("bytes", &more, &none, 100));
        assert_true(flow_sort_key("packets", &e, &reply, 100) < flow_sort_key("packets", &more, &none, 100));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_filter_says_yes_and_no),      cmocka_unit_test(bad_words_are_named),
                cmocka_unit_test(a_pod_is_found_at_both_ends),      cmocka_unit_test(states_have_names),
                cmocka_unit_test(orders_put_the_interesting_first),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
