/* SPDX-License-Identifier: Apache-2.0 */
/* The pinned iterators: what a file of tables/ prints is what the map holds, written as userspace would. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <bpf/bpf.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "bpf/host_agent.h"
#include "datapath/address.h"
#include "datapath/flows.h"
#include "datapath/tables.h"

#define TABLES_COUNT 4

/* What the file prints, in the test's memory until the next call. */
static const char *text_of(const char *table)
{
        static char text[1 << 20];
        char path[300];
        size_t n = 0, got;
        FILE *f;

        snprintf(path, sizeof(path), "%s/v1/tables/%s", host_pins, table);
        f = fopen(path, "re");
        assert_non_null(f);
        while ((got = fread(text + n, 1, sizeof(text) - 1 - n, f)) > 0)
                n += got;
        fclose(f);
        text[n] = '\0';
        return text;
}

static uint32_t lines_of(const char *text)
{
        uint32_t n = 0;

        for (; *text; text++)
                n += *text == '\n';
        return n;
}

/* The words of the line that has `word`, single spaces between them. Fails where there is none. */
static const char *line_with(const char *text, const char *word)
{
        static char line[1024];
        const char *at = strstr(text, word), *begin = at;
        size_t n = 0;

        if (!at)
                fail_msg("no line has `%s`:\n%s", word, text);
        while (begin > text && begin[-1] != '\n')
                begin--;
        for (; *begin && *begin != '\n' && n < sizeof(line) - 1; begin++)
                if (*begin != ' ' || (n && line[n - 1] != ' '))
                        line[n++] = *begin;
        while (n && line[n - 1] == ' ')
                n--;
        line[n] = '\0';
        return line;
}

static struct addr address(const char *text)
{
        struct addr a;

        assert_int_equal(address_parse(text, &a), 0);
        return a;
}

static void put(struct datapath *dp, enum map_id id, const void *key, const void *value)
{
        assert_int_equal(map_update(datapath_maps(dp)->m[id], key, value), 0);
}

static void put_name(struct datapath *dp, uint32_t id, const char *text)
{
        struct service_name name = {0};

        str_copy(name.name, sizeof(name.name), text);
        put(dp, MAP_SERVICE_NAMES, &id, &name);
}

static void put_backend(struct datapath *dp, uint32_t id, const struct backend *b)
{
        put(dp, MAP_BACKENDS, &id, b);
}

static void empty_tables_have_their_titles_only(void **state)
{
        agent_start();
        assert_int_equal(host_count_pins("v1/tables/*"), TABLES_COUNT);
#define X(file, program, map) assert_int_equal(lines_of(text_of(#file)), 1);
        TABLES(X)
#undef X
}

static void services_and_backends_are_listed(void **state)
{
        struct datapath *dp = agent_start();
        struct service_key key = {.addr = address("fd00::96:1"), .port = htons(443), .proto = IPPROTO_TCP};
        struct service s = {.id = 7,
                            .flags = SERVICE_EXTERNAL | SERVICE_HASH_OUT | SERVICE_AFFINITY | SERVICE_LOCAL_OUT,
                            .in = {0, 3},
                            .out = {16, 307},
                            .affinity_s = 60};
        struct backend b = {.addr = address("10.1.2.3"),
                            .port = htons(8080),
                            .proto = IPPROTO_UDP,
                            .service = 7,
                            .generation = 9,
                            .flags = BACKEND_LOCAL | BACKEND_TERMINATING};
        const char *text;

        put_name(dp, 7, "ns/web:https/TCP");
        put(dp, MAP_SERVICES, &key, &s);
        key = (struct service_key){.addr = address_of_v4(0), .port = htons(30080), .proto = IPPROTO_SCTP};
        s = (struct service){.id = 8, .flags = SERVICE_EXTERNAL | SERVICE_HASH_IN, .in = {32, 5}};
        put(dp, MAP_SERVICES, &key, &s);
        key = (struct service_key){.addr = address("fd00::96:1")};
        s = (struct service){.flags = SERVICE_ADDRESS};
        put(dp, MAP_SERVICES, &key, &s);
        put_backend(dp, 5, &b);
        text = text_of("services");
        assert_int_equal(lines_of(text), 3);
        assert_string_equal(line_with(text, "ns/web"),
                            "ns/web:https/TCP [fd00::96:1]:443 TCP random 3 maglev 307 affinity=60s external-local");
        assert_string_equal(line_with(text, "30080"), "- *:30080 SCTP maglev 5 none 0");
        text = text_of("backends");
        assert_int_equal(lines_of(text), 2);
        assert_string_equal(line_with(text, "10.1.2.3"), "5 ns/web:https/TCP 10.1.2.3:8080 UDP local terminating 9");
}

static void pods_are_listed(void **state)
{
        struct datapath *dp = agent_start();
        uint32_t ifindex = 0x100007, slot = ifindex % POD_SLOTS;
        struct pod p = {.ifindex = ifindex,
                        .v4 = address("10.244.1.7"),
                        .mac = {2, 0xab, 0, 1, 2, 3},
                        .egress_bps = 10000000000,
                        .ingress_bps = 1000};

        put(dp, MAP_PODS, &slot, &p);
        assert_int_equal(lines_of(text_of("pods")), 2);
        assert_string_equal(line_with(text_of("pods"), "10.244.1.7"),
                            "1048583 10.244.1.7 - 02:ab:00:01:02:03 10000000000 1000");
}

/* ---- flows */

static struct flow flow(const char *src, uint8_t proto, uint8_t state, uint32_t seen)
{
        return (struct flow){.key = {.src = address(src),
                                     .dst = address("10.96.0.1"),
                                     .sport = htons(4000),
                                     .dport = htons(80),
                                     .proto = proto},
                             .new_src = address("192.0.2.1"),
                             .new_dst = address("10.244.1.2"),
                             .new_sport = htons(61000),
                             .new_dport = htons(8080),
                             .service = 7,
                             .seen = seen,
                             .created = seen - 5,
                             .state = state,
                             .packets = 4,
                             .bytes = 1234};
}

static void flows_are_listed_but_those_that_are_over(void **state)
{
        struct datapath *dp = agent_start();
        uint32_t now = flow_now(), set_index = 1023;
        struct flow_set set = {0};
        const char *text;

        set.flow[0] = flow("10.0.0.1", IPPROTO_TCP, FLOW_ESTABLISHED | FLOW_SEEN_REPLY, now);
        set.flow[1] = flow("10.0.0.2", IPPROTO_UDP, FLOW_SEEN_REPLY, now - 110);
        set.flow[2] = flow("10.0.0.3", IPPROTO_UDP, FLOW_SEEN_REPLY, now - 130); /* 120 s */
        set.flow[3] = flow("10.0.0.4", IPPROTO_TCP, FLOW_RST, now);
        set.flow[4] = flow("10.0.0.5", IPPROTO_TCP, FLOW_ESTABLISHED, now);
        set.flow[4].flags = FLOW_REPLY;
        set.flow[5] = flow("10.0.0.6", IPPROTO_TCP, FLOW_ESTABLISHED, now);
        for (uint32_t way = 0; way < 5; way++)
                set.flow[way].control = FLOW_CONTROL(1, FLOW_LIVE);
        set.flow[5].control = FLOW_CONTROL(1, FLOW_BUSY);
        put_name(dp, 7, "ns/web:http/TCP");
        put(dp, MAP_FLOWS, &set_index, &set);
        text = text_of("flows");
        assert_int_equal(lines_of(text), 4);
        /* the programs' clock and this one's may differ by a second */
        assert_non_null(strstr(line_with(text, "10.0.0.1"), "TCP 10.0.0.1:4000 10.96.0.1:80 192.0.2.1:61000 "
                                                            "10.244.1.2:8080 ns/web:http/TCP established "));
        assert_non_null(strstr(line_with(text, "10.0.0.1"), " 4 1234"));
        assert_non_null(strstr(line_with(text, "10.0.0.2"), " both-ways 1"));
        assert_non_null(strstr(line_with(text, "10.0.0.4"), " reset "));
}

/* ---- addresses */

/* All kinds of zeros and lengths. */
static struct addr random_address(void)
{
        struct addr a;
        uint8_t zeros;

        random_bytes(&a, sizeof(a));
        random_bytes(&zeros, 1);
        for (int group = 0; group < 8; group++) {
                if (zeros >> group & 1)
                        a.b[2 * group] = a.b[2 * group + 1] = 0;
                else if (a.b[0] & 1)
                        a.b[2 * group] = 0;
        }
        if ((a.b[15] & 7) == 0)
                a = address_of_v4(a.w[3]);
        return a;
}

static void addresses_are_written_as_userspace_writes_them(void **state)
{
        enum { COUNT = 900 };
        struct datapath *dp = agent_start();
        struct backend all[COUNT];
        char want[COUNT][ADDRESS_TEXT];
        const char *text;

        for (uint32_t i = 0; i < COUNT; i++) {
                all[i] = (struct backend){.addr = random_address(), .port = (__be16)(i * 73), .service = 1};
                put_backend(dp, i + 1, &all[i]);
                address_port_text(&all[i].addr, all[i].port, want[i]);
        }
        text = text_of("backends");
        assert_int_equal(lines_of(text), COUNT + 1);
        for (uint32_t i = 0; i < COUNT; i++) {
                _cleanup_free_ char *word = mem_printf(" %s ", want[i]);

                text = strchr(text, '\n') + 1;
                if (address_is_zero(&all[i].addr) || !all[i].addr.w[3])
                        continue; /* "any" is written otherwise */
                if (!strstr(text, word) || strstr(text, word) > strchr(text, '\n'))
                        fail_msg("`%s` should be in `%.*s`", want[i], (int)strcspn(text, "\n"), text);
        }
}

/* ---- coming and going */

static void a_restart_shows_the_maps_of_the_new_agent(void **state)
{
        struct datapath_opts opts = agent_options();
        struct datapath *dp = agent_start();
        struct backend b = {.addr = address("10.1.2.3"), .port = htons(80), .service = 7};

        put_backend(dp, 5, &b);
        agent_close(dp);
        assert_non_null(line_with(text_of("backends"), "10.1.2.3")); /* nobody runs */
        opts.sizes.backends = 3000;
        dp = agent_open(&opts);
        assert_int_equal(host_count_pins("v1/tables/*"), TABLES_COUNT);
        b.addr = address("10.9.9.9");
        put_backend(dp, 2500, &b);
        assert_non_null(line_with(text_of("backends"), "10.1.2.3"));
        assert_non_null(line_with(text_of("backends"), "10.9.9.9"));
}

static void cleanup_leaves_none(void **state)
{
        struct err err = ERR_NULL;

        agent_close(agent_start());
        assert_int_equal(datapath_cleanup(host_pins, &err), 0);
        assert_int_equal(host_count_pins("v1/tables/*"), 0);
        assert_int_equal(host_count_pins(OWN_PINS), 0);
}

/* As where the kernel has no such iterators: a map that is none stands for it. */
static void without_them_those_of_a_former_agent_go(void **state)
{
        struct datapath *dp = agent_start();
        struct maps broken = *datapath_maps(dp);
        struct knobs knobs = {.flow_sets = 1024, .hz = 100};
        struct err err = ERR_NULL;
        char folder[300];

        snprintf(folder, sizeof(folder), "%s/v1/tables", host_pins);
        broken.m[MAP_PODS] = broken.m[MAP_ROUTES]; /* a trie, over which none runs */
        assert_int_equal(tables_pin(&broken, &knobs, folder, &err), TABLES_UNSUPPORTED);
        assert_non_null(strstr(err.msg, "pods"));
        assert_int_equal(host_count_pins("v1/tables/*"), 0);
}

#define test(name) cmocka_unit_test_teardown(name, agent_clean)

int main(void)
{
        const struct CMUnitTest tests[] = {
                test(empty_tables_have_their_titles_only),
                test(services_and_backends_are_listed),
                test(pods_are_listed),
                test(flows_are_listed_but_those_that_are_over),
                test(addresses_are_written_as_userspace_writes_them),
                test(a_restart_shows_the_maps_of_the_new_agent),
                test(cleanup_leaves_none),
                test(without_them_those_of_a_former_agent_go),
        };
        int r;

        host_enter();
        r = cmocka_run_group_tests(tests, NULL, NULL);
        host_leave();
        return r;
}
