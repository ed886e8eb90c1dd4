// SPDX-License-Identifier: Apache-2.0
/* Source ports of the node when there are too few: those of closed connections go to new ones, the longest closed
 * first, and nobody else's. The range has four here. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/story.h"
#include "bpf/table.h"

#define PORTS 4
#define NONE  0

static struct lab lab;
static int family;

static enum verdict send_packet(enum hook hook, const struct packet_spec *spec)
{
        static struct packet packet;
        static struct lab_run run;

        packet_build(&packet, spec, family);
        run = (struct lab_run){.hook = hook, .in = &packet};
        assert_int_equal(lab_run(&lab, &run), 0);
        return story_verdict(hook, run.verdict);
}

/* The source port that the client's connection has: NONE when there is no connection. Each has both its halves. */
static uint16_t port_of(uint16_t client)
{
        struct flow flows[4 * PORTS];
        size_t n = lab_flows(&lab, flows, 4 * PORTS);
        uint16_t port = NONE;

        assert_in_range(n, 0, 4 * PORTS);
        assert_int_equal(table_check(&lab), 0);
        for (size_t i = 0; i < n; i++)
                if (!(flows[i].flags & FLOW_REPLY) && ntohs(flows[i].key.sport) == client)
                        port = ntohs(flows[i].new_sport);
        return port;
}

/* A client outside, to a NodePort whose endpoint is elsewhere. */
static enum verdict client_sends(uint16_t client, uint8_t flags)
{
        struct packet_spec spec = {TCP(CLIENT, client, NODE, LAB_NODEPORT, flags), FROM_ROUTER};

        return send_packet(HOOK_UPLINK, &spec);
}

static void endpoint_sends(uint16_t client, uint8_t flags)
{
        struct packet_spec spec = {TCP(POD_R, 8080, NODE, port_of(client), flags), TUNNELLED};

        assert_int_equal(send_packet(HOOK_OVERLAY, &spec), SENT);
}

static uint16_t begin(uint16_t client)
{
        assert_int_equal(client_sends(client, TH_SYN_), SENT);
        assert_in_range(port_of(client), LAB_SNAT_PORT, LAB_SNAT_PORT + PORTS - 1);
        return port_of(client);
}

static uint16_t establish(uint16_t client)
{
        uint16_t port = begin(client);

        endpoint_sends(client, TH_SYNACK_);
        assert_int_equal(client_sends(client, TH_ACK_), SENT);
        return port;
}

static uint16_t begin_and_close(uint16_t client)
{
        uint16_t port = establish(client);

        endpoint_sends(client, TH_FIN_ | TH_ACK_);
        assert_int_equal(client_sends(client, TH_FIN_ | TH_ACK_), SENT);
        return port;
}

static uint16_t begin_and_reset(uint16_t client)
{
        uint16_t port = begin(client);

        endpoint_sends(client, TH_RST_ | TH_ACK_);
        return port;
}

/* A new one finds no port, and what is there stays. */
static void check_no_port(uint16_t client)
{
        uint64_t dropped = lab_counter(&lab, HOOK_UPLINK, REASON_SNAT_PORTS);
        uint64_t taken = table_counters(&lab).taken_over;
        size_t live = lab_flows(&lab, NULL, 0);

        assert_int_equal(client_sends(client, TH_SYN_), DROP);
        assert_int_equal(lab_counter(&lab, HOOK_UPLINK, REASON_SNAT_PORTS), dropped + 1);
        assert_int_equal(table_counters(&lab).taken_over, taken);
        assert_int_equal(lab_flows(&lab, NULL, 0), live);
        assert_int_equal(port_of(client), NONE);
}

static void check_takes_over(uint16_t client, uint16_t from, uint16_t port)
{
        uint64_t taken = table_counters(&lab).taken_over;

        assert_int_equal(begin(client), port);
        assert_int_equal(port_of(from), NONE);
        assert_int_equal(table_counters(&lab).taken_over, taken + 1);
}

/* With *state as the family. */
static int start(void **state)
{
        static const struct lab_service services[] = {
                NODEPORT(ON(POD_R, 8080)),
                {.addr = ANY,
                 .port = LAB_NODEPORT,
                 .proto = IPPROTO_UDP,
                 .flags = SERVICE_EXTERNAL,
                 .backends = {ON(POD_R, 5353)}},
        };

        family = *(const int *)*state;
        lab_reset(&lab);
        for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++)
                lab_service(&lab, &services[i], family);
        return 0;
}

/* ---- the tests */

static void the_longest_closed_gives_up_its_port(void **state)
{
        uint16_t ports[PORTS];

        for (uint16_t i = 0; i < PORTS; i++) {
                ports[i] = i % 2 ? begin_and_close(1000 + i) : begin_and_reset(1000 + i);
                lab_age_flows(&lab, 1);
        }
        for (uint16_t i = 0; i < PORTS; i++)
                check_takes_over(2000 + i, 1000 + i, ports[i]);
        check_no_port(3000);
}

static void a_free_port_comes_first(void **state)
{
        uint64_t taken = table_counters(&lab).taken_over;

        for (uint16_t i = 0; i < PORTS - 1; i++)
                begin_and_close(1000 + i);
        lab_age_flows(&lab, 5);
        begin(2000);
        assert_int_equal(table_counters(&lab).taken_over, taken);
        for (uint16_t i = 0; i < PORTS - 1; i++)
                assert_int_not_equal(port_of(1000 + i), NONE);
}

/* What is still under way of it, and may have to be sent again, must find it. */
static void what_was_closed_in_this_second_rests(void **state)
{
        uint16_t port = begin_and_close(1000);

        for (uint16_t i = 1; i < PORTS; i++)
                begin_and_reset(1000 + i);
        check_no_port(2000);
        lab_age_flows(&lab, 1);
        for (uint16_t i = 1; i < PORTS; i++) /* they go on, whatever was said to be a reset */
                assert_int_equal(client_sends(1000 + i, TH_ACK_), SENT);
        check_takes_over(2000, 1000, port);
        check_no_port(2001);
}

static void live_connections_keep_their_ports(void **state)
{
        begin(1000);
        begin(1001);
        endpoint_sends(1001, TH_SYNACK_);
        establish(1002);
        establish(1003);
        assert_int_equal(client_sends(1003, TH_FIN_ | TH_ACK_), SENT);
        lab_age_flows(&lab, 9);
        for (uint16_t i = 0; i < 50; i++)
                check_no_port(2000 + i);
        endpoint_sends(1003, TH_FIN_ | TH_ACK_);
        lab_age_flows(&lab, 1);
        check_takes_over(3000, 1003, port_of(1003));
}

static void datagrams_have_no_end_and_keep_their_ports(void **state)
{
        struct packet_spec spec = {UDP(CLIENT, 1000, NODE, LAB_NODEPORT), FROM_ROUTER};

        for (uint16_t i = 0; i < PORTS; i++, spec.sport++)
                assert_int_equal(send_packet(HOOK_UPLINK, &spec), SENT);
        lab_age_flows(&lab, 20);
        assert_int_equal(send_packet(HOOK_UPLINK, &spec), DROP);
        assert_int_equal(lab_flows(&lab, NULL, 0), 2 * PORTS);
}

/* One second's closed connections make room for as many in the next. */
static void ports_go_round(void **state)
{
        uint64_t dropped = lab_counter(&lab, HOOK_UPLINK, REASON_SNAT_PORTS);

        for (uint16_t i = 0; i < 50 * PORTS; i++) {
                if (i % PORTS == 0)
                        lab_age_flows(&lab, 1);
                begin_and_close(1000 + i);
        }
        assert_int_equal(lab_counter(&lab, HOOK_UPLINK, REASON_SNAT_PORTS), dropped);
}

#define BOTH(test)                                                                                                     \
        {#test "_v4", test, start, NULL, &four},                                                                       \
        {                                                                                                              \
#test "_v6", test, start, NULL, &six                                                                   \
        }

int main(void)
{
        static int four = 4, six = 6;
        const struct CMUnitTest tests[] = {
                BOTH(the_longest_closed_gives_up_its_port),       BOTH(a_free_port_comes_first),
                BOTH(what_was_closed_in_this_second_rests),       BOTH(live_connections_keep_their_ports),
                BOTH(datagrams_have_no_end_and_keep_their_ports), BOTH(ports_go_round),
        };
        struct knobs knobs = lab_knobs();
        int r;

        knobs.snat_port_max = LAB_SNAT_PORT + PORTS - 1;
        lab_open(&lab, &knobs);
        r = cmocka_run_group_tests_name("source ports", tests, NULL, NULL);
        lab_close(&lab);
        return r;
}
