// SPDX-License-Identifier: Apache-2.0
/* NodePorts of the own node, packet by packet: a process of the host sends by lo, and the answer comes in there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/story.h"

#define BY_LO .smac = MAC_NONE, .dmac = MAC_NONE
#define PORT  LAB_NODEPORT
#define SNAT  LAB_SNAT_PORT

#define OWN_FLOW(proto_, from, who_, port_)                                                                            \
        FLOW_PAIR(proto_, from, 1000, from, PORT, NODE, SNAT, who_, port_, FLOW_DNAT | FLOW_SNAT)
static const struct flow_row own_b[] = {OWN_FLOW(IPPROTO_TCP, NODE, POD_B, 8080), NO_MORE};
static const struct flow_row own_r[] = {OWN_FLOW(IPPROTO_TCP, NODE, POD_R, 8080), NO_MORE};
static const struct flow_row own_host[] = {OWN_FLOW(IPPROTO_TCP, NODE, NODE, 6443), NO_MORE};
static const struct flow_row lo_b[] = {OWN_FLOW(IPPROTO_TCP, LOOPBACK, POD_B, 8080), NO_MORE};
static const struct flow_row lo_host[] = {OWN_FLOW(IPPROTO_TCP, LOOPBACK, NODE, 6443), NO_MORE};
static const struct flow_row udp_b[] = {OWN_FLOW(IPPROTO_UDP, NODE, POD_B, 5353), NO_MORE};

static const struct packet_spec to_b = {UDP(NODE, SNAT, POD_B, 5353), .payload = 30};
static const struct packet_spec to_own = {UDP(NODE, 1000, NODE, PORT), .payload = 30};

#define UDP_NODEPORT(...)                                                                                              \
        {                                                                                                              \
                .addr = ANY, .port = PORT, .proto = IPPROTO_UDP, .flags = SERVICE_EXTERNAL, .backends = {              \
                        __VA_ARGS__                                                                                    \
                }                                                                                                      \
        }
#define RESET(who_)                                                                                                    \
        TCP(who_, PORT, who_, 1000, TH_RST_ | TH_ACK_), BY_LO, .ack = 41, .window = WINDOW_ZERO, .flags = PACKET_ANSWER

/* clang-format off */
static const struct story stories[] = {
        {
                "a_pod_beside_serves_and_sees_the_node",
                .services = { NODEPORT(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_TO_LO, .in = { TCP(NODE, 1000, NODE, PORT, TH_SYN_), BY_LO },
                          .out = { TCP(NODE, SNAT, POD_B, 8080, TH_SYN_), INTO_B }, SENT_ON, .flows = own_b },
                        { HOOK_FROM_POD, .pod_b = 1, .in = { TCP(POD_B, 8080, NODE, SNAT, TH_SYNACK_), FROM_B },
                          .out = { TCP(NODE, PORT, NODE, 1000, TH_SYNACK_), BY_LO }, SENT_ON, .flows = own_b },
                        { HOOK_TO_LO, .in = { TCP(NODE, 1000, NODE, PORT, TH_ACK_), BY_LO },
                          .out = { TCP(NODE, SNAT, POD_B, 8080, TH_ACK_), INTO_B }, SENT_ON, .flows = own_b },
                },
        },
        {
                "a_pod_elsewhere_serves_and_sees_the_node",
                .services = { NODEPORT(ON(POD_R, 8080)) },
                .steps = {
                        { HOOK_TO_LO, .in = { TCP(NODE, 1000, NODE, PORT, TH_SYN_), BY_LO },
                          .out = { TCP(NODE, SNAT, POD_R, 8080, TH_SYN_), BY_LO, .hop_step = 1 }, SENT_OUT, .flows = own_r },
                        { HOOK_OVERLAY, .in = { TCP(POD_R, 8080, NODE, SNAT, TH_SYNACK_), TUNNELLED },
                          .out = { TCP(NODE, PORT, NODE, 1000, TH_SYNACK_), BY_LO }, SENT_ON, .flows = own_r },
                        { HOOK_UPLINK, .in = { TCP(POD_R, 8080, NODE, SNAT, TH_ACK_), FROM_ROUTER },
                          .out = { TCP(NODE, PORT, NODE, 1000, TH_ACK_), BY_LO }, SENT_ON, .flows = own_r },
                },
        },
        {
                "a_process_beside_serves_without_leaving_lo",
                .services = { NODEPORT(ON(NODE, 6443)) },
                .steps = {
                        { HOOK_TO_LO, .in = { TCP(NODE, 1000, NODE, PORT, TH_SYN_), BY_LO },
                          .out = { TCP(NODE, SNAT, NODE, 6443, TH_SYN_), BY_LO }, TRANSLATED_ONLY, .flows = own_host },
                        { HOOK_TO_LO, .in = { TCP(NODE, 6443, NODE, SNAT, TH_SYNACK_), BY_LO },
                          .out = { TCP(NODE, PORT, NODE, 1000, TH_SYNACK_), BY_LO }, TRANSLATED_ONLY, .flows = own_host },
                },
        },
        {
                "the_loopback_address_serves_too",
                .services = { NODEPORT(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_TO_LO, .in = { TCP(LOOPBACK, 1000, LOOPBACK, PORT, TH_SYN_), BY_LO },
                          .out = { TCP(NODE, SNAT, POD_B, 8080, TH_SYN_), INTO_B }, SENT_ON, .flows = lo_b },
                        { HOOK_FROM_POD, .pod_b = 1, .in = { TCP(POD_B, 8080, NODE, SNAT, TH_SYNACK_), FROM_B },
                          .out = { TCP(LOOPBACK, PORT, LOOPBACK, 1000, TH_SYNACK_), BY_LO }, SENT_ON, .flows = lo_b },
                },
        },
        {
                "the_loopback_address_leads_to_a_process_beside",
                .services = { NODEPORT(ON(NODE, 6443)) },
                .steps = {
                        { HOOK_TO_LO, .in = { TCP(LOOPBACK, 1000, LOOPBACK, PORT, TH_SYN_), BY_LO },
                          .out = { TCP(NODE, SNAT, NODE, 6443, TH_SYN_), BY_LO }, TRANSLATED_ONLY, .flows = lo_host },
                        { HOOK_TO_LO, .in = { TCP(NODE, 6443, NODE, SNAT, TH_SYNACK_), BY_LO },
                          .out = { TCP(LOOPBACK, PORT, LOOPBACK, 1000, TH_SYNACK_), BY_LO }, TRANSLATED_ONLY, .flows = lo_host },
                },
        },
        {
                "a_pods_error_comes_in_by_lo",
                .services = { UDP_NODEPORT(ON(POD_B, 5353)) },
                .steps = {
                        { HOOK_TO_LO, .in = { UDP(NODE, 1000, NODE, PORT), BY_LO, .payload = 30 },
                          .out = { UDP(NODE, SNAT, POD_B, 5353), INTO_B, .payload = 30 }, SENT_ON, .flows = udp_b },
                        { HOOK_FROM_POD, .pod_b = 1,
                          .in = { ICMP(POD_B, NODE, ICMP_KIND_PORT_UNREACHABLE), .inner = &to_b, FROM_B },
                          .out = { ICMP(NODE, NODE, ICMP_KIND_PORT_UNREACHABLE), .inner = &to_own, BY_LO },
                          SENT_ON, .flows = udp_b },
                },
        },
        {
                "without_endpoints_it_is_refused",
                .services = { NODEPORT() },
                .steps = {
                        { HOOK_TO_LO, .in = { TCP(NODE, 1000, NODE, PORT, TH_SYN_), BY_LO, .seq = 40 },
                          .out = { RESET(NODE) }, REFUSED_FOR(REASON_NO_ENDPOINTS) },
                        { HOOK_TO_LO, .in = { TCP(LOOPBACK, 1000, LOOPBACK, PORT, TH_SYN_), BY_LO, .seq = 40 },
                          .out = { RESET(LOOPBACK) }, REFUSED_FOR(REASON_NO_ENDPOINTS) },
                },
        },
        {
                "a_datagram_that_no_pod_takes_is_refused",
                .services = { UDP_NODEPORT(ON(POD_B, 5353)) },
                .steps = {
                        { HOOK_TO_LO, .in = { UDP(NODE, 1000, NODE, PORT), BY_LO, .payload = 1500 },
                          REFUSED_FOR(REASON_TOO_BIG), .any_out = 1, .flows = udp_b },
                },
        },
        {
                "what_is_no_services_is_left_alone",
                .services = { NODEPORT(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_TO_LO, .in = { TCP(NODE, 1000, NODE, 22, TH_SYN_), BY_LO }, LEFT_ALONE },
                        { HOOK_TO_LO, .in = { TCP(LOOPBACK, 1000, LOOPBACK, 22, TH_SYN_), BY_LO }, LEFT_ALONE },
                        { HOOK_TO_LO, .in = { UDP(NODE, 1000, NODE, PORT), BY_LO }, LEFT_ALONE },
                        { HOOK_TO_LO, .in = { ICMP(LOOPBACK, LOOPBACK, ICMP_KIND_ECHO), BY_LO }, LEFT_ALONE },
                },
        },
        {
                "what_the_stack_says_to_groups_in_the_tunnel_is_no_drop",
                .steps = {
                        { HOOK_TO_OVERLAY, .in = { UDP(NODE, 5353, GROUP, 5353), TUNNELLED }, LEFT_ALONE },
                },
        },
};
/* clang-format on */

int main(void)
{
        struct knobs knobs = lab_knobs();

        knobs.flags |= KNOB_NODEPORT_LOOPBACK;
        knobs.pod_mtu = LAB_MTU_POD;
        return stories_run("own_node", stories, sizeof(stories) / sizeof(*stories), &knobs);
}
