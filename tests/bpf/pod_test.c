// SPDX-License-Identifier: Apache-2.0
/* What pods send and get that is no service's: delivery, spoofing, masquerade. */
#include <bpf/bpf.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "bpf/story.h"

#define OUTSIDE(proto_, sport_, dport_)                                                                                \
        FLOW_PAIR(proto_, POD_A, sport_, SERVER, dport_, NODE, LAB_SNAT_PORT, SERVER, dport_,                          \
                  FLOW_MASQUERADE | FLOW_SNAT)

static const struct flow_row masqueraded[] = {OUTSIDE(IPPROTO_TCP, 1000, 443), NO_MORE};
static const struct flow_row masqueraded_udp[] = {OUTSIDE(IPPROTO_UDP, 1000, 53), NO_MORE};
static const struct flow_row masqueraded_echo[] = {OUTSIDE(IPPROTO_ICMP, 77, 0), NO_MORE};

static void limit(struct lab *lab, int family)
{
        lab_pod_limit(lab, 8000, 8000);
}

/* Pod A has an IPv4 address only. */
static void no_v6(struct lab *lab, int family)
{
        uint32_t key = lab->pod_a % POD_SLOTS;
        struct pod pod;

        assert_int_equal(bpf_map_lookup_elem(lab->map[MAP_PODS], &key, &pod), 0);
        pod.v6 = (struct addr){0};
        assert_int_equal(bpf_map_update_elem(lab->map[MAP_PODS], &key, &pod, BPF_ANY), 0);
}

/* The server is on the list of what is not masqueraded. */
static void direct(struct lab *lab, int family)
{
        static const struct route route = {.type = ROUTE_DIRECT};

        lab_route(lab, SERVER, 0, &route, family);
}

#define A_TO(who_) TCP(POD_A, 1000, who_, 80, TH_SYN_), FROM_A

/* clang-format off */
static const struct story stories[] = {
        {
                "a_pod_reaches_a_pod_on_its_node",
                .steps = {
                        { HOOK_FROM_POD, .in = { A_TO(POD_B) }, .out = { TCP(POD_A, 1000, POD_B, 80, TH_SYN_), INTO_B },
                          SENT_ON },
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, POD_B, 80), FROM_A, .payload = 3000,
                                 .flags = PACKET_OPTIONS },
                          .out = { UDP(POD_A, 1000, POD_B, 80), INTO_B, .payload = 3000, .flags = PACKET_OPTIONS },
                          SENT_ON },
                        { HOOK_FROM_POD, .in = { ICMP(POD_A, POD_B, ICMP_KIND_ECHO), .sport = 5, FROM_A,
                                 .payload = 56 },
                          .out = { ICMP(POD_A, POD_B, ICMP_KIND_ECHO), .sport = 5, INTO_B, .payload = 56 },
                          SENT_ON },
                        { HOOK_FROM_POD, .in = { POD_A, POD_B, 0, 0, IPPROTO_GRE, 0, FROM_A, .payload = 56 },
                          .out = { POD_A, POD_B, 0, 0, IPPROTO_GRE, 0, INTO_B, .payload = 56 },
                          SENT_ON },
                },
        },
        {
                "a_pod_reaches_a_pod_on_another_node",
                .steps = {
                        { HOOK_FROM_POD, .in = { A_TO(POD_R) }, .out = { TCP(POD_A, 1000, POD_R, 80, TH_SYN_),
                                 INTO_TUNNEL },
                          SENT_OUT },
                        { HOOK_OVERLAY, .in = { TCP(POD_R, 80, POD_A, 1000, TH_SYNACK_), TUNNELLED },
                          .out = { TCP(POD_R, 80, POD_A, 1000, TH_SYNACK_), OUT_OF_TUNNEL_A },
                          SENT_ON },
                },
        },
        {
                "a_pod_and_its_node_speak_through_the_kernel",
                .steps = {
                        { HOOK_FROM_POD, .in = { A_TO(NODE) }, LEFT_ALONE },
                        { HOOK_TO_POD, .in = { TCP(NODE, 80, POD_A, 1000, TH_SYNACK_), INTO_A }, LEFT_ALONE },
                },
        },
        {
                "the_tunnel_brings_packets_for_the_node_itself",
                .steps = {
                        { HOOK_OVERLAY, .in = { TCP(POD_R, 1000, NODE, 10250, TH_SYN_), TUNNELLED }, LEFT_ALONE },
                },
        },
        {
                "a_pod_reaches_another_node_through_the_tunnel",
                .steps = {
                        { HOOK_FROM_POD, .in = { A_TO(NODE2) },
                          .out = { TCP(POD_A, 1000, NODE2, 80, TH_SYN_), INTO_TUNNEL }, SENT_OUT },
                },
        },
        {
                "a_pod_that_is_not_there_is_no_route",
                .steps = {
                        { HOOK_FROM_POD, .in = { A_TO(GHOST) }, .any_out = 1, REFUSED_FOR(REASON_NO_ROUTE) },
                },
        },
        {
                "another_source_address_is_spoofed",
                .steps = {
                        { HOOK_FROM_POD, .in = { TCP(POD_B, 1000, SERVER, 80, TH_SYN_), FROM_A },
                                 DROPPED(REASON_SPOOFED) },
                        { HOOK_FROM_POD, .in = { TCP(NODE, 1000, POD_B, 80, TH_SYN_), FROM_A },
                                 DROPPED(REASON_SPOOFED) },
                        { HOOK_FROM_POD, .in = { TCP(POD_R, 1000, NODE, 80, TH_SYN_), FROM_A },
                                 DROPPED(REASON_SPOOFED) },
                        { HOOK_FROM_POD, .in = { UDP(VIP, 53, POD_B, 80), FROM_A }, DROPPED(REASON_SPOOFED) },
                        { HOOK_FROM_POD, .in = { UDP(NOBODY, 53, POD_B, 80), FROM_A }, DROPPED(REASON_SPOOFED) },
                        { HOOK_FROM_POD, .in = { UDP(CLIENT, 53, NODE, 80), FROM_A }, DROPPED(REASON_SPOOFED) },
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, POD_B, 80, TH_SYN_), FROM_B },
                                 DROPPED(REASON_SPOOFED) },
                },
        },
        {
                "neighbour_discovery_has_the_pods_own_link_address",
                .family = 6,
                .steps = {
                        { HOOK_FROM_POD, .in = { ICMP(NOBODY, GROUP, ICMP_KIND_NEIGHBOUR), FROM_A }, LEFT_ALONE },
                        { HOOK_FROM_POD, .in = { ICMP(NOBODY, GROUP, ICMP_KIND_NEIGHBOUR), FROM_B },
                          DROPPED(REASON_SPOOFED) },
                },
        },
        {
                "a_pod_without_ipv6_is_not_the_one_of_the_address_zero",
                .family = 6,
                .setup = no_v6,
                .steps = {
                        { HOOK_FROM_POD, .in = { UDP(NOBODY, 53, POD_B, 80), FROM_A }, DROPPED(REASON_SPOOFED) },
                },
        },
        {
                "pods_to_the_outside_get_the_nodes_address",
                .steps = {
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, SERVER, 443, TH_SYN_), FROM_A },
                          .out = { TCP(NODE, LAB_SNAT_PORT, SERVER, 443, TH_SYN_), FROM_A, .hop_step = 1 },
                          SENT_ON, .flows = masqueraded, .marked = 1 },
                        { HOOK_UPLINK, .in = { TCP(SERVER, 443, NODE, LAB_SNAT_PORT, TH_SYNACK_), FROM_ROUTER },
                          .out = { TCP(SERVER, 443, POD_A, 1000, TH_SYNACK_), INTO_A },
                          SENT_ON, .flows = masqueraded },
                },
        },
        {
                "udp_to_the_outside_gets_the_nodes_address",
                .steps = {
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, SERVER, 53), FROM_A, .payload = 30 },
                          .out = { UDP(NODE, LAB_SNAT_PORT, SERVER, 53), FROM_A, .payload = 30, .hop_step = 1 },
                          SENT_ON, .flows = masqueraded_udp, .marked = 1 },
                        { HOOK_UPLINK, .in = { UDP(SERVER, 53, NODE, LAB_SNAT_PORT), FROM_ROUTER, .payload = 99 },
                          .out = { UDP(SERVER, 53, POD_A, 1000), INTO_A, .payload = 99 },
                          SENT_ON, .flows = masqueraded_udp },
                },
        },
        {
                "pings_to_the_outside_get_the_nodes_address",
                .steps = {
                        { HOOK_FROM_POD, .in = { ICMP(POD_A, SERVER, ICMP_KIND_ECHO), .sport = 77, FROM_A,
                                 .payload = 56 },
                          .out = { ICMP(NODE, SERVER, ICMP_KIND_ECHO), .sport = LAB_SNAT_PORT, FROM_A, .payload = 56,
                                 .hop_step = 1 },
                          SENT_ON, .flows = masqueraded_echo, .marked = 1 },
                        { HOOK_UPLINK,
                          .in = { ICMP(SERVER, NODE, ICMP_KIND_ECHO_REPLY), .dport = LAB_SNAT_PORT, FROM_ROUTER,
                                 .payload = 56 },
                          .out = { ICMP(SERVER, POD_A, ICMP_KIND_ECHO_REPLY), .dport = 77, INTO_A, .payload = 56 },
                          SENT_ON, .flows = masqueraded_echo },
                },
        },
        {
                "what_is_not_to_be_masqueraded_is_the_kernels",
                .setup = direct,
                .steps = {
                        { HOOK_FROM_POD, .in = { A_TO(SERVER) }, .out = { TCP(POD_A, 1000, SERVER, 80, TH_SYN_),
                                 FROM_A, .hop_step = 1 },
                          SENT_ON, .marked = 1 },
                },
        },
        {
                "the_last_hop_is_exceeded",
                .steps = {
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, SERVER, 53), FROM_A, .ttl = 1 },
                          .any_out = 1, REFUSED_FOR(REASON_TTL), .flows = masqueraded_udp },
                },
        },
        {
                "a_pod_sends_no_more_than_it_may",
                .setup = limit,
                .steps = {
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, POD_B, 53), FROM_A, .payload = 700 },
                          .out = { UDP(POD_A, 1000, POD_B, 53), INTO_B, .payload = 700 }, SENT_ON },
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, POD_B, 53), FROM_A, .payload = 700 },
                          DROPPED(REASON_RATE_LIMIT) },
                },
        },
        {
                "an_answer_to_a_connection_from_outside_keeps_its_source",
                .steps = {
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 80, SERVER, 1000, TH_SYNACK_), FROM_A },
                          .out = { TCP(POD_A, 80, SERVER, 1000, TH_SYNACK_), FROM_A, .hop_step = 1 }, SENT_OUT },
                },
        },
        {
                "the_host_reaches_pods_elsewhere_through_the_tunnel",
                .steps = {
                        { HOOK_TO_OVERLAY, .in = { TCP(NODE, 1000, POD_R, 80, TH_SYN_), TUNNELLED }, LEFT_ALONE,
                          .marked = 1 },
                },
        },
        {
                "headers_that_contradict_each_other_are_malformed",
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, POD_B, 80, TH_SYN_), FROM_A, .flags = PACKET_LONG_HEADER },
                          DROPPED(REASON_MALFORMED) },
                        { HOOK_UPLINK,
                          .in = { TCP(CLIENT, 1000, POD_B, 80, TH_SYN_), FROM_ROUTER, .flags = PACKET_LONG_HEADER },
                          DROPPED(REASON_MALFORMED) },
                },
        },
        {
                "groups_are_the_kernels",
                .steps = {
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 5353, GROUP, 5353), .smac = MAC_POD_A, .dmac = MAC_GROUP },
                          LEFT_ALONE },
                        { HOOK_UPLINK, .in = { UDP(CLIENT, 5353, GROUP, 5353), .smac = MAC_ROUTER, .dmac = MAC_GROUP },
                          LEFT_ALONE },
                },
        },
};
/* clang-format on */

int main(void)
{
        struct knobs knobs = lab_knobs();

        return stories_run("pod", stories, sizeof(stories) / sizeof(*stories), &knobs);
}
