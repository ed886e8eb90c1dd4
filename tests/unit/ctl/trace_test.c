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

#include "bpf/abi/hash.h"
#include "ctl/trace_choice.h"
#include "ctl/trace_packet.h"
#include "ctl/trace_place.h"
#include "ctl/trace_story.h"
#include "datapath/address.h"

#define ID 5

static struct maps maps;

static int make_maps(void **state)
{
        return maps_init_fake(&maps);
}

static int free_maps(void **state)
{
        maps_deinit(&maps);
        return 0;
}

static struct addr addr(const char *text)
{
        struct addr a;

        assert_int_equal(address_parse(text, &a), 0);
        return a;
}

static void put(enum map_id id, const void *key, const void *value)
{
        assert_int_equal(map_update(maps.m[id], key, value), 0);
}

/* 10.96.0.1:80 with the endpoints 1 to n in slots 16 and on. */
static void serve(const char *vip, uint32_t flags, uint32_t n)
{
        struct service_key key = {.addr = addr(vip), .port = htons(80), .proto = IPPROTO_TCP},
                           owner = {.addr = addr(vip)};
        struct service s = {.id = ID, .flags = flags, .in = {16, n}, .out = {16, n}, .affinity_s = 100};
        struct slot_line line = {.backend = {1, 2, 3, 4}};
        uint32_t one = 1;

        put(MAP_SERVICES, &key, &s);
        put(MAP_SLOTS, &one, &line);
        s.flags = SERVICE_ADDRESS;
        put(MAP_SERVICES, &owner, &s);
        for (uint32_t id = 1; id <= 4; id++) {
                struct backend b = {.addr = addr("10.0.0.1"), .port = htons(8080), .service = ID, .generation = 9};

                b.addr.b[15] = (uint8_t)id;
                put(MAP_BACKENDS, &id, &b);
        }
}

static struct trace_ask ask_for(const char *dst, uint16_t port)
{
        struct trace_ask ask = {.now = 1000};

        ask.tuple.src = addr("10.0.0.9");
        ask.tuple.dst = addr(dst);
        ask.tuple.sport = htons(700);
        ask.tuple.dport = htons(port);
        ask.tuple.proto = IPPROTO_TCP;
        return ask;
}

static struct trace_choice chosen(const struct trace_ask *ask)
{
        struct trace_choice c;

        assert_int_equal(trace_choose(&maps, ask, &c), 0);
        return c;
}

static void addresses_are_called_what_they_are(void **state)
{
        static const struct {
                const char *address, *text;
                enum trace_kind kind;
        } rows[] = {
                {"192.0.2.1", "this node", TRACE_NODE},
                {"203.0.113.1", "outside of the cluster", TRACE_OUTSIDE},
                {"2001:db8::1", "outside of the cluster", TRACE_OUTSIDE},
                {"127.0.0.1", "this node's loopback", TRACE_LOOPBACK},
                {"224.0.0.251", "a multicast group's", TRACE_OUTSIDE},
                {"239.255.255.255", "a multicast group's", TRACE_OUTSIDE},
                {"240.0.0.1", "outside of the cluster", TRACE_OUTSIDE},
                {"ff02::fb", "a multicast group's", TRACE_OUTSIDE},
                {"fe80::1", "outside of the cluster", TRACE_OUTSIDE},
                {"255.255.255.255", "everybody's on the link (broadcast)", TRACE_OUTSIDE},
        };
        struct route_key key = {.prefixlen = 128, .addr = addr("192.0.2.1")};
        struct route route = {.type = ROUTE_HOST};
        struct view view = {.maps = maps};
        struct records none = {0};

        put(MAP_ROUTES, &key, &route);
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct addr a = addr(rows[i].address);
                struct trace_place place;

                assert_int_equal(trace_place_of(&view, &none, &a, &place), 0);
                assert_string_equal(place.text, rows[i].text);
                assert_int_equal(place.kind, rows[i].kind);
        }
}

static void no_service_is_left_alone(void **state)
{
        struct trace_ask ask = ask_for("10.0.0.2", 80);
        struct trace_choice c = chosen(&ask);

        assert_int_equal(c.reason, REASON_OK);
        assert_false(c.found);
}

static void chance_may_choose_any_endpoint(void **state)
{
        struct trace_ask ask = ask_for("10.96.0.1", 80);
        struct trace_choice c;
        struct addr a = addr("10.0.0.3");

        serve("10.96.0.1", 0, 3);
        c = chosen(&ask);
        assert_int_equal(c.reason, REASON_TRANSLATED);
        assert_int_equal(c.how, TRACE_RANDOM);
        assert_int_equal(c.backend, 0);
        assert_int_equal(c.endpoints_n, 3);
        assert_true(trace_choice_has(&c, 3));
        assert_false(trace_choice_has(&c, 4));
        assert_int_equal(trace_backend_at(&maps, &c, &a, htons(8080)), 3);
        assert_int_equal(trace_backend_at(&maps, &c, &a, htons(80)), 0);
        trace_choice_deinit(&c);
}

static void a_permutation_is_foretold_by_the_hash(void **state)
{
        struct trace_ask ask = ask_for("10.96.0.1", 80);
        uint32_t seen = 0;

        serve("10.96.0.1", SERVICE_HASH_IN, 4);
        for (uint16_t port = 1; port < 200; port++) {
                struct trace_choice c;

                ask.tuple.sport = htons(port);
                c = chosen(&ask);
                assert_int_equal(c.how, TRACE_PERMUTATION);
                assert_int_equal(c.backend, 1 + ((uint64_t)(uint32_t)(tuple_hash(&ask.tuple) >> 32) * 4 >> 32));
                seen |= 1U << c.backend;
                trace_choice_deinit(&c);
        }
        assert_int_equal(seen, 0x1e);
}

static void a_remembered_client_stays_until_its_time_is_over(void **state)
{
        struct trace_ask ask = ask_for("10.96.0.1", 80);
        struct affinity_key key = trace_affinity_key(&ask, ID);
        struct affinity a = {.backend = 2, .generation = 9, .seen = 950};
        struct trace_choice c;

        serve("10.96.0.1", SERVICE_AFFINITY, 4);
        put(MAP_AFFINITY, &key, &a);
        c = chosen(&ask);
        assert_int_equal(c.how, TRACE_AFFINITY);
        assert_int_equal(c.backend, 2);
        assert_int_equal(c.idle_s, 50);
        assert_true(c.remembered);
        trace_choice_deinit(&c);
        ask.now = 1051; /* 101 s */
        c = chosen(&ask);
        assert_int_equal(c.how, TRACE_RANDOM);
        trace_choice_deinit(&c);
        ask.now = 1000;
        a.generation = 8; /* another backend has the id now */
        put(MAP_AFFINITY, &key, &a);
        c = chosen(&ask);
        assert_int_equal(c.how, TRACE_RANDOM);
        assert_true(c.remembers);
        trace_choice_deinit(&c);
}

static void what_is_refused_has_its_reason(void **state)
{
        struct trace_ask ask = ask_for("10.96.0.1", 80);
        struct trace_choice c;

        serve("10.96.0.1", SERVICE_DROP_OUT, 0);
        c = chosen(&ask);
        assert_int_equal(c.reason, REASON_NO_ENDPOINTS);
        trace_choice_deinit(&c);
        ask.outside = true;
        c = chosen(&ask);
        assert_int_equal(c.reason, REASON_UNKNOWN_PORT); /* a ClusterIP */
        trace_choice_deinit(&c);
        serve("10.96.0.1", SERVICE_EXTERNAL | SERVICE_DROP_OUT, 0);
        c = chosen(&ask);
        assert_int_equal(c.reason, REASON_NO_LOCAL_ENDPOINTS);
        trace_choice_deinit(&c);
        serve("10.96.0.1", SERVICE_EXTERNAL | SERVICE_RANGES, 4);
        c = chosen(&ask);
        assert_int_equal(c.reason, REASON_SOURCE_RANGE);
        trace_choice_deinit(&c);
        ask = ask_for("10.96.0.1", 81);
        c = chosen(&ask);
        assert_int_equal(c.reason, REASON_UNKNOWN_PORT);
        assert_false(c.found);
}

static void node_ports_are_of_nodes_addresses(void **state)
{
        struct route_key route = {.prefixlen = 128, .addr = addr("192.0.2.1")};
        struct route host = {.type = ROUTE_HOST, .flags = ROUTE_NODEPORT};
        struct trace_ask ask = ask_for("192.0.2.1", 80);
        struct trace_choice c;

        serve("0.0.0.0", SERVICE_EXTERNAL, 2);
        c = chosen(&ask);
        assert_int_equal(c.reason, REASON_OK);
        put(MAP_ROUTES, &route, &host);
        c = chosen(&ask);
        assert_int_equal(c.reason, REASON_TRANSLATED);
        assert_int_equal(c.endpoints_n, 2);
        trace_choice_deinit(&c);
}

static void a_frame_is_read_as_it_was_meant(void **state)
{
        static const struct {
                const char *src, *dst;
                uint8_t proto;
        } cases[] = {
                {"10.0.0.1", "10.0.0.2", IPPROTO_TCP},  {"10.0.0.1", "10.0.0.2", IPPROTO_UDP},
                {"10.0.0.1", "10.0.0.2", IPPROTO_ICMP}, {"fd00::1", "fd00::2", IPPROTO_TCP},
                {"fd00::1", "fd00::2", IPPROTO_UDP},    {"fd00::1", "fd00::2", IPPROTO_ICMPV6},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct trace_spec spec = {.payload = 3};
                struct trace_frame frame;
                struct trace_seen seen;

                spec.tuple.src = addr(cases[i].src);
                spec.tuple.dst = addr(cases[i].dst);
                spec.tuple.sport = htons(700);
                spec.tuple.proto = cases[i].proto;
                if (cases[i].proto == IPPROTO_TCP || cases[i].proto == IPPROTO_UDP)
                        spec.tuple.dport = htons(80);
                trace_frame_build(&spec, &frame);
                assert_true(trace_frame_read(&frame, &seen));
                assert_memory_equal(&seen.tuple, &spec.tuple, sizeof(spec.tuple));
                assert_int_equal(seen.ttl, TRACE_TTL);
                assert_int_equal(seen.tcp, cases[i].proto == IPPROTO_TCP ? 2 : 0);
                for (size_t n = 0; n < 40; n++) {
                        frame.length = n;
                        assert_false(trace_frame_read(&frame, &seen) && n < 34);
                }
        }
}

static void targets_are_parsed(void **state)
{
        static const struct {
                const char *text, *name, *port;
                uint8_t proto;
        } good[] = {
                {"10.0.0.1:80", "10.0.0.1", "80", IPPROTO_TCP},
                {"10.0.0.1:80/udp", "10.0.0.1", "80", IPPROTO_UDP},
                {"[fd00::1]:80/TCP", "fd00::1", "80", IPPROTO_TCP},
                {"fd00::1/icmp", "fd00::1", "", IPPROTO_ICMP},
                {"10.0.0.1/icmp", "10.0.0.1", "", IPPROTO_ICMP},
                {"web:http", "web", "http", IPPROTO_TCP},
                {"default/web:80/udp", "default/web", "80", IPPROTO_UDP},
                {"default/web/icmp", "default/web", "", IPPROTO_ICMP},
        };
        static const char *const bad[] = {"10.0.0.1",    "fd00::1", ":80",         "10.0.0.1:80/icmp", "[fd00::1",
                                          "[fd00::1]80", "",        "web:80/sctp", "[fd00::1]:80/foo"};
        struct trace_target t;
        struct err err = ERR_NULL;

        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                assert_int_equal(trace_target_parse(good[i].text, &t, &err), 0);
                assert_string_equal(t.name, good[i].name);
                assert_string_equal(t.port, good[i].port);
                assert_int_equal(t.proto, good[i].proto);
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                err = ERR_NULL;
                assert_int_equal(trace_target_parse(bad[i], &t, &err), -EINVAL);
                assert_true(err.msg[0]);
        }
}

/* A pod's packet to 10.96.0.1:80, whose endpoint 10.0.0.1:8080 is a pod here on the device 7: as it should be. */
static void fill_step(struct trace_step *s)
{
        struct trace_spec spec = {.tuple = ask_for("10.96.0.1", 80).tuple};
        struct monitor_event *e = &s->run.event;

        *s = (struct trace_step){.name = "from_pod", .ran = true, .run.program = PROGRAM_from_pod, .run.verdict = 7};
        e->reason = REASON_FORWARDED;
        e->way = MONITOR_WAY_POD;
        e->next_ifindex = 7;
        e->tuple = e->to = spec.tuple;
        e->to.dst = addr("10.0.0.1");
        e->to.dport = htons(8080);
        e->rewritten = 1;
        spec.tuple = e->to;
        trace_frame_build(&spec, &s->run.out);
}

static size_t disagreements(struct trace_step *s, const struct trace_choice *c)
{
        struct view v = {.maps = maps};
        struct trace t = {.view = &v};
        size_t n;

        trace_check_step(&t, s, c);
        n = t.disagreements_n;
        trace_deinit(&t);
        return n;
}

static void what_does_not_agree_is_said(void **state)
{
        struct route_key key = {.prefixlen = 128, .addr = addr("10.0.0.1")};
        struct route pod = {.type = ROUTE_POD, .ifindex = 7};
        struct trace_ask ask = ask_for("10.96.0.1", 80);
        struct trace_choice c, foretold;
        struct trace_step s;

        serve("10.96.0.1", 0, 4);
        put(MAP_ROUTES, &key, &pod);
        c = chosen(&ask);
        fill_step(&s);
        assert_int_equal(disagreements(&s, &c), 0);
        s.run.verdict = 2; /* it dropped what it says to have sent on */
        assert_int_equal(disagreements(&s, &c), 1);
        fill_step(&s);
        s.run.event.next_ifindex = 8; /* another device than the route's */
        assert_int_equal(disagreements(&s, &c), 1);
        fill_step(&s);
        s.run.out.bytes[33] ^= 1; /* another destination than it says */
        assert_int_equal(disagreements(&s, &c), 1);
        fill_step(&s);
        s.run.out.length = 20;
        assert_int_equal(disagreements(&s, &c), 1);
        fill_step(&s);
        foretold = c;
        foretold.backend = 2; /* another endpoint than the hash gives */
        assert_int_equal(disagreements(&s, &foretold), 1);
        foretold.backend = 1;
        assert_int_equal(disagreements(&s, &foretold), 0);
        foretold.reason = REASON_SOURCE_RANGE; /* it let through what it should not */
        assert_int_equal(disagreements(&s, &foretold), 1);
        trace_choice_deinit(&c);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_maps, free_maps)
        const struct CMUnitTest tests[] = {
                TEST(addresses_are_called_what_they_are),
                TEST(no_service_is_left_alone),
                TEST(chance_may_choose_any_endpoint),
                TEST(a_permutation_is_foretold_by_the_hash),
                TEST(a_remembered_client_stays_until_its_time_is_over),
                TEST(what_is_refused_has_its_reason),
                TEST(node_ports_are_of_nodes_addresses),
                TEST(a_frame_is_read_as_it_was_meant),
                TEST(targets_are_parsed),
                TEST(what_does_not_agree_is_said),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
