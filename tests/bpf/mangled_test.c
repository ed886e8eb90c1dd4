// SPDX-License-Identifier: Apache-2.0
/*
 * Packets that nobody should send: each of many good ones cut short at every length, with and without its headers made
 * to fit, and with bits turned over. Nothing may come out that the oracle has a complaint about.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/oracle.h"
#include "bpf/story.h"

#define FLIPS_EACH 1500
#define MAX_FLOWS  (LAB_FLOW_SETS * FLOW_WAYS)

static struct lab lab;
static struct flow flows[MAX_FLOWS];
static uint64_t random_state;

/* The same ones in each run (xorshift64). */
static uint32_t next_random(void)
{
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return (uint32_t)(random_state >> 16);
}

/* clang-format off */
static const struct lab_service services[] = {
        WEB(ON(POD_B, 8080)),
        WEB2(ON(POD_R, 8080), ON(POD_B, 80)),
        DNS(ON(POD_B, 5353), ON(NODE, 5353)),
        { .addr = VIP, .port = 99, .proto = IPPROTO_SCTP, .backends = { ON(POD_B, 99) } },
        NODEPORT(ON(POD_B, 8080), ON(POD_R, 8080)),
        { .addr = ANY, .port = LAB_NODEPORT, .proto = IPPROTO_UDP, .flags = SERVICE_EXTERNAL,
          .backends = { ON(POD_R, 8080), ON(NODE, 8080) } },
        { .addr = LB, .port = 443, .flags = SERVICE_EXTERNAL, .source_range = CLIENT, .backends = { ON(POD_B, 8443) } },
        { .addr = VIP2, .port = 53, .proto = IPPROTO_UDP },
};

#define FIRST_OF_MANY .payload = 800, .datagram = 1608, .flags = PACKET_MORE, .id = 4711
#define LATER_OF_MANY .fragment = 808, .payload = 200, .id = 4711

static const struct packet_spec quoted = { TCP(POD_A, 1000, POD_B, 8080, TH_ACK_), .payload = 60 };
static const struct packet_spec quoted_back = { TCP(VIP, 80, POD_A, 1000, TH_ACK_), .payload = 60,
  .flags = PACKET_OPTIONS };
static const struct packet_spec quoted_out = { TCP(NODE, LAB_NODEPORT, CLIENT, 1000, TH_ACK_), .payload = 60 };

/* In this order: later ones are of the flows of those before. */
static const struct sample {
        enum hook hook;
        struct packet_spec spec;
        bool pod_b;
} samples[] = {
        { HOOK_FROM_POD, { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A, .flags = PACKET_TCP_OPTS }, false },
        { HOOK_FROM_POD, { TCP(POD_A, 1000, VIP, 80, TH_ACK_), FROM_A, .payload = 33,
                 .flags = PACKET_OPTIONS | PACKET_ROUTING }, false },
        { HOOK_FROM_POD, { TCP(POD_B, 8080, POD_A, 1000, TH_SYNACK_), FROM_B, .payload = 10 }, true },
        { HOOK_FROM_POD, { UDP(POD_A, 1000, VIP, 53), FROM_A, .payload = 40 }, false },
        { HOOK_FROM_POD, { UDP(POD_A, 1001, VIP, 53), FROM_A, .payload = 41,
                 .flags = PACKET_OPTIONS | PACKET_ZERO_SUM }, false },
        { HOOK_FROM_POD, { UDP(POD_A, 1000, VIP2, 53), FROM_A, .payload = 41 }, false },
        { HOOK_FROM_POD, { TCP(POD_A, 1000, VIP2, 81, TH_SYN_), FROM_A, .flags = PACKET_OPTIONS }, false },
        { HOOK_FROM_POD, { SCTP(POD_A, 1000, VIP, 99), FROM_A, .payload = 24 }, false },
        { HOOK_FROM_POD, { UDP(POD_A, 1002, VIP, 53), FROM_A, FIRST_OF_MANY }, false },
        { HOOK_FROM_POD, { UDP(POD_A, 0, VIP, 0), FROM_A, LATER_OF_MANY }, false },
        { HOOK_FROM_POD, { TCP(POD_A, 1000, SERVER, 443, TH_SYN_), FROM_A }, false },
        { HOOK_FROM_POD, { ICMP(POD_A, SERVER, ICMP_KIND_ECHO), .sport = 7, FROM_A, .payload = 20 }, false },
        { HOOK_FROM_POD, { TCP(POD_A, 1000, POD_R, 443, TH_SYN_), FROM_A, .flags = PACKET_OPTIONS }, false },
        { HOOK_FROM_POD, { ICMP(POD_B, POD_A, ICMP_KIND_TOO_BIG), .mtu = 1300, .inner = &quoted, FROM_B }, true },
        { HOOK_FROM_POD, { ICMP(POD_A, VIP, ICMP_KIND_TOO_BIG), .mtu = 1300, .inner = &quoted_back, FROM_A }, false },
        { HOOK_FROM_POD, { ICMP(POD_A, VIP, ICMP_KIND_ECHO), .sport = 7, FROM_A, .payload = 20 }, false },
        { HOOK_TO_POD, { TCP(NODE, 5353, POD_A, 1000, TH_ACK_), INTO_A }, false },
        { HOOK_UPLINK, { TCP(CLIENT, 1000, NODE, LAB_NODEPORT, TH_SYN_), FROM_ROUTER, .payload = 5 }, false },
        { HOOK_UPLINK, { UDP(CLIENT, 1000, NODE, LAB_NODEPORT), FROM_ROUTER, .payload = 5, .flags = PACKET_OPTIONS },
                 false },
        { HOOK_UPLINK, { TCP(CLIENT, 1000, LB, 443, TH_SYN_), FROM_ROUTER }, false },
        { HOOK_UPLINK, { TCP(CLIENT, 1000, VIP, 80, TH_SYN_), FROM_ROUTER }, false },
        { HOOK_UPLINK, { ICMP(ROUTER, NODE, ICMP_KIND_TOO_BIG), .mtu = 1300, .inner = &quoted_out, FROM_ROUTER },
                 false },
        { HOOK_UPLINK, { TCP(CLIENT, 1000, LB, 443, TH_SYN_), FROM_ROUTER, .flags = PACKET_VLAN }, false },
        { HOOK_EDGE, { TCP(CLIENT, 1001, NODE, LAB_NODEPORT, TH_SYN_), FROM_ROUTER, .payload = 5 }, false },
        { HOOK_EDGE, { UDP(CLIENT, 1001, NODE, LAB_NODEPORT), FROM_ROUTER, .payload = 5, .flags = PACKET_OPTIONS },
                 false },
        { HOOK_EDGE, { UDP(CLIENT, 1003, NODE, LAB_NODEPORT), FROM_ROUTER, .payload = 5, .flags = PACKET_ZERO_SUM },
                 false },
        { HOOK_OVERLAY, { TCP(POD_R, 8080, POD_A, 1000, TH_ACK_), TUNNELLED, .payload = 9 }, false },
        { HOOK_OVERLAY, { TCP(POD_R, 2000, NODE, LAB_NODEPORT, TH_SYN_), TUNNELLED, .payload = 9 }, false },
        { HOOK_TO_OVERLAY, { TCP(NODE, 3000, POD_R, 80, TH_SYN_), TUNNELLED, .payload = 9 }, false },
        { HOOK_TO_UPLINK, { TCP(NODE, 3000, VIP, 80, TH_SYN_), TO_ROUTER, .payload = 9 }, false },
        { HOOK_TO_UPLINK, { UDP(NODE, 8080, CLIENT, 1000), TO_ROUTER, .payload = 9 }, false },
};
#define N_SAMPLES (sizeof(samples) / sizeof(*samples))
/* clang-format on */

static void world(int family)
{
        lab_reset(&lab);
        for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++)
                lab_service(&lab, &services[i], family);
}

static void complain(const struct sample *s, int family, const struct packet *in, const struct lab_run *run,
                     const char *complaint)
{
        fprintf(stderr, "sample %td, IPv%d, verdict %d: %s\n", s - samples, family, run->verdict, complaint);
        packet_dump("in", in->data, in->len, NULL, 0);
        packet_dump("out", run->out.data, run->out.len, in->data, in->len);
        fail_msg("%s", complaint);
}

/* True: it was sent or passed on. */
static bool run_one(const struct sample *s, int family, const struct packet *in)
{
        static struct lab_run run;
        struct oracle oracle = {.flows = flows};
        enum verdict verdict;
        const char *complaint;
        int r;

        run = (struct lab_run){.hook = s->hook, .in = in, .ifindex = s->pod_b ? lab.pod_b : 0};
        r = lab_run(&lab, &run);
        if (r == -EINVAL) /* the kernel takes no frame of 14 bytes */
                return false;
        assert_int_equal(r, 0);
        verdict = story_verdict(run.hook, run.verdict);
        if (verdict == UNSET)
                complain(s, family, in, &run, "a verdict that is none");
        if (verdict == DROP)
                return false;
        if (run.out.len == in->len && memcmp(run.out.data + 12, in->data + 12, in->len - 12) == 0)
                return true;
        oracle.n_flows = lab_flows(&lab, flows, MAX_FLOWS);
        complaint = oracle_judge(&oracle, in, &run.out);
        if (complaint)
                complain(s, family, in, &run, complaint);
        return true;
}

/* The sample itself must get through, or mangling it shows nothing. */
static void build_sample(const struct sample *s, int family, struct packet *ret)
{
        packet_build(ret, &s->spec, family);
        run_one(s, family, ret);
}

/* Says in the headers that the packet ends where it does. */
static void fit_length(struct packet *p, int family)
{
        size_t len = p->len - p->l3;
        uint8_t *ip = p->data + p->l3;

        if (len < (size_t)(family == 4 ? 20 : 40))
                return;
        if (family == 6) {
                ip[4] = (uint8_t)((len - 40) >> 8);
                ip[5] = (uint8_t)(len - 40);
                return;
        }
        ip[2] = (uint8_t)(len >> 8);
        ip[3] = (uint8_t)len;
}

static void cut(int family, bool fitted)
{
        static struct packet whole, packet;

        for (const struct sample *s = samples; s < samples + N_SAMPLES; s++) {
                build_sample(s, family, &whole);
                for (size_t len = 14; len < whole.len; len++) {
                        packet = whole;
                        packet.len = len;
                        if (fitted)
                                fit_length(&packet, family);
                        run_one(s, family, &packet);
                }
        }
}

static void flip(struct packet *p)
{
        uint32_t bits = 1 + next_random() % 4;
        size_t from = next_random() % 8 ? 12 : 0;                      /* mostly behind the Ethernet addresses */
        size_t end = next_random() % 4 && p->len > 100 ? 100 : p->len; /* mostly in the headers */

        while (bits--) {
                size_t at = from + next_random() % (end - from);

                p->data[at] ^= (uint8_t)(1 << next_random() % 8);
        }
}

static void turn_bits(int family)
{
        static struct packet whole, packet;
        size_t on = 0;

        random_state = 0x9e3779b97f4a7c15ULL + (uint64_t)family;
        for (const struct sample *s = samples; s < samples + N_SAMPLES; s++) {
                build_sample(s, family, &whole);
                for (int i = 0; i < FLIPS_EACH; i++) {
                        packet = whole;
                        flip(&packet);
                        on += run_one(s, family, &packet);
                }
        }
        assert_true(on > N_SAMPLES * FLIPS_EACH / 10);
}

static void bytes_at_random(int family)
{
        static struct packet packet;

        random_state = 0xd1b54a32d192ed03ULL + (uint64_t)family;
        for (const struct sample *s = samples; s < samples + N_SAMPLES; s++) {
                for (int i = 0; i < FLIPS_EACH / 5; i++) {
                        packet_build(&packet, &s->spec, family);
                        for (size_t at = packet.l3 + 1; at < packet.len && at < packet.l3 + 80; at++)
                                if (next_random() % 6 == 0)
                                        packet.data[at] = (uint8_t)next_random();
                        run_one(s, family, &packet);
                }
        }
}

static void packets_that_end_too_soon_do_no_harm(void **state)
{
        for (int family = 4; family <= 6; family += 2) {
                world(family);
                cut(family, false);
        }
}

static void packets_cut_short_with_lengths_that_fit_do_no_harm(void **state)
{
        for (int family = 4; family <= 6; family += 2) {
                world(family);
                cut(family, true);
        }
}

static void packets_with_wrong_bits_do_no_harm(void **state)
{
        for (int family = 4; family <= 6; family += 2) {
                world(family);
                turn_bits(family);
        }
}

static void packets_with_random_bytes_do_no_harm(void **state)
{
        for (int family = 4; family <= 6; family += 2) {
                world(family);
                bytes_at_random(family);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(packets_that_end_too_soon_do_no_harm),
                cmocka_unit_test(packets_cut_short_with_lengths_that_fit_do_no_harm),
                cmocka_unit_test(packets_with_wrong_bits_do_no_harm),
                cmocka_unit_test(packets_with_random_bytes_do_no_harm),
        };
        struct knobs knobs = lab_knobs();
        int r = 0;

        knobs.snat_port_max = 65535;
        for (int tunnel = 1; tunnel >= 0; tunnel--) { /* without it the edge works */
                if (!tunnel)
                        knobs.flags &= ~(uint32_t)KNOB_TUNNEL;
                lab_open(&lab, &knobs);
                r |= cmocka_run_group_tests_name(tunnel ? "mangled, tunnel" : "mangled, native", tests, NULL, NULL);
                lab_close(&lab);
        }
        return r;
}
