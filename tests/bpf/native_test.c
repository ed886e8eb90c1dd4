// SPDX-License-Identifier: Apache-2.0
/* Without a tunnel: other nodes' pods by the kernel's routes, and the edge, which then sends on by itself. */
#include "bpf/story.h"

#define OUT_ROW(from, port_, to, dport_, nfrom, nport, nto, ndport, flags_)                                            \
        FLOW_PAIR(IPPROTO_TCP, from, port_, to, dport_, nfrom, nport, nto, ndport, FLOW_DNAT | FLOW_OUTSIDE | (flags_))

static const struct flow_row web_r[] = {
        FLOW_PAIR(IPPROTO_TCP, POD_A, 1000, VIP, 80, POD_A, 1000, POD_R, 8080, FLOW_DNAT),
        NO_MORE,
};
static const struct flow_row local[] = {
        OUT_ROW(CLIENT, 1000, NODE, LAB_NODEPORT, CLIENT, 1000, POD_B, 8080, 0),
        NO_MORE,
};
static const struct flow_row remote[] = {
        OUT_ROW(CLIENT, 1000, NODE, LAB_NODEPORT, NODE, LAB_SNAT_PORT, POD_R, 8080, FLOW_SNAT),
        NO_MORE,
};

static const struct packet_spec quoted_reply = {TCP(NODE, LAB_NODEPORT, CLIENT, 1000, TH_ACK_), .payload = 1400};

#define CLIENT_SYN TCP(CLIENT, 1000, NODE, LAB_NODEPORT, TH_SYN_), FROM_ROUTER
/* To the other node, and from it. */
#define TO_NODE2   .smac = MAC_UPLINK, .dmac = MAC_NODE2
#define FROM_NODE2 .smac = MAC_NODE2, .dmac = MAC_UPLINK

/* clang-format off */
static const struct story stories[] = {
        {
                "a_pod_reaches_a_backend_on_another_node",
                .services = { WEB(ON(POD_R, 8080)) },
                .steps = {
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_R, 8080, TH_SYN_), FROM_A, .hop_step = 1 },
                          SENT_OUT, .flows = web_r },
                        { HOOK_UPLINK, .in = { TCP(POD_R, 8080, POD_A, 1000, TH_SYNACK_), FROM_NODE2 },
                          .out = { TCP(VIP, 80, POD_A, 1000, TH_SYNACK_), INTO_A }, SENT_ON, .flows = web_r },
                },
        },
        {
                "the_edge_sends_on_to_a_backend_elsewhere",
                .services = { NODEPORT(ON(POD_R, 8080)) },
                .steps = {
                        { HOOK_EDGE, .in = { CLIENT_SYN },
                          .out = { TCP(NODE, LAB_SNAT_PORT, POD_R, 8080, TH_SYN_), TO_NODE2, .hop_step = 1 },
                          SENT_ON, .flows = remote },
                        { HOOK_EDGE, .in = { TCP(POD_R, 8080, NODE, LAB_SNAT_PORT, TH_SYNACK_), FROM_NODE2 },
                          .out = { TCP(NODE, LAB_NODEPORT, CLIENT, 1000, TH_SYNACK_), TO_ROUTER, .hop_step = 1 },
                          SENT_ON, .flows = remote },
                        { HOOK_EDGE, .in = { TCP(CLIENT, 1000, NODE, LAB_NODEPORT, TH_ACK_), FROM_ROUTER,
                                 .payload = 1400 },
                          .out = { TCP(NODE, LAB_SNAT_PORT, POD_R, 8080, TH_ACK_), TO_NODE2, .payload = 1400,
                                 .hop_step = 1 },
                          SENT_ON, .flows = remote },
                },
        },
        {
                "the_uplink_does_the_same_where_there_is_no_edge",
                .services = { NODEPORT(ON(POD_R, 8080)) },
                .steps = {
                        { HOOK_UPLINK, .in = { CLIENT_SYN },
                          .out = { TCP(NODE, LAB_SNAT_PORT, POD_R, 8080, TH_SYN_), FROM_ROUTER, .hop_step = 1 },
                          SENT_OUT, .flows = remote },
                        { HOOK_UPLINK, .in = { TCP(POD_R, 8080, NODE, LAB_SNAT_PORT, TH_SYNACK_), FROM_NODE2 },
                          .out = { TCP(NODE, LAB_NODEPORT, CLIENT, 1000, TH_SYNACK_), FROM_NODE2, .hop_step = 1 },
                          SENT_OUT, .flows = remote },
                },
        },
        {
                "the_edge_leaves_backends_here_to_the_uplink",
                .services = { NODEPORT(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_EDGE, .in = { CLIENT_SYN }, LEFT_ALONE, .any_flows = 1 },
                        { HOOK_UPLINK, .in = { CLIENT_SYN }, .out = { TCP(CLIENT, 1000, POD_B, 8080, TH_SYN_), INTO_B },
                          SENT_ON, .flows = local },
                },
        },
        {
                "the_edge_leaves_errors_fragments_and_vlans_to_the_uplink",
                .services = { NODEPORT(ON(POD_R, 8080)) },
                .steps = {
                        { HOOK_EDGE, .in = { CLIENT_SYN }, .any_out = 1, SENT_ON, .flows = remote },
                        { HOOK_EDGE, .in = { ICMP(ROUTER, NODE, ICMP_KIND_TOO_BIG), .mtu = 1300,
                                 .inner = &quoted_reply, FROM_ROUTER },
                          LEFT_ALONE, .flows = remote },
                        { HOOK_EDGE, .in = { TCP(CLIENT, 1000, NODE, LAB_NODEPORT, TH_ACK_), FROM_ROUTER,
                                 .flags = PACKET_MORE,
                                             .payload = 60, .datagram = 200 },
                          LEFT_ALONE, .flows = remote },
                        { HOOK_EDGE, .in = { TCP(CLIENT, 1000, NODE, LAB_NODEPORT, TH_ACK_), FROM_ROUTER,
                                 .flags = PACKET_VLAN },
                          LEFT_ALONE, .flows = remote },
                },
        },
        {
                "the_edge_carries_jumbo_frames_and_options",
                .services = { NODEPORT(ON(POD_R, 8080)) },
                .steps = {
                        { HOOK_EDGE, .in = { CLIENT_SYN, .flags = PACKET_OPTIONS },
                          .out = { TCP(NODE, LAB_SNAT_PORT, POD_R, 8080, TH_SYN_), TO_NODE2, .flags = PACKET_OPTIONS,
                                 .hop_step = 1 },
                          SENT_ON, .flows = remote },
                        { HOOK_EDGE, .in = { TCP(CLIENT, 1000, NODE, LAB_NODEPORT, TH_ACK_), FROM_ROUTER,
                                 .payload = 1300,
                                             .flags = PACKET_OPTIONS },
                          .out = { TCP(NODE, LAB_SNAT_PORT, POD_R, 8080, TH_ACK_), TO_NODE2, .payload = 1300,
                                   .flags = PACKET_OPTIONS, .hop_step = 1 },
                          SENT_ON, .flows = remote },
                },
        },
        {
                "the_edge_drops_who_is_not_in_the_source_ranges",
                .services = { { .addr = LB, .port = 443, .flags = SERVICE_EXTERNAL, .source_range = CLIENT,
                                .backends = { ON(POD_R, 8443) } } },
                .steps = {
                        { HOOK_EDGE, .in = { TCP(CLIENT2, 1000, LB, 443, TH_SYN_), FROM_ROUTER },
                                 DROPPED(REASON_SOURCE_RANGE) },
                },
        },
        {
                "the_edge_drops_what_has_no_endpoint_here_where_the_policy_is_local",
                .services = { { .addr = ANY, .port = LAB_NODEPORT, .ranges = LAB_OUT_LOCAL,
                                .flags = SERVICE_EXTERNAL | SERVICE_DROP_OUT | SERVICE_LOCAL_OUT,
                                .backends = { ON(POD_R, 8080) } } },
                .steps = {
                        { HOOK_EDGE, .in = { CLIENT_SYN }, DROPPED(REASON_NO_LOCAL_ENDPOINTS) },
                },
        },
        {
                "the_edge_leaves_refusals_to_the_uplink",
                .services = { { .addr = ANY, .port = LAB_NODEPORT, .flags = SERVICE_EXTERNAL } },
                .steps = {
                        { HOOK_EDGE, .in = { CLIENT_SYN }, LEFT_ALONE },
                        { HOOK_EDGE, .in = { TCP(CLIENT, 1000, NODE, 22, TH_SYN_), FROM_ROUTER }, LEFT_ALONE },
                },
        },
};
/* clang-format on */

int main(void)
{
        struct knobs knobs = lab_knobs();

        knobs.flags &= ~(uint32_t)(KNOB_TUNNEL | KNOB_SKB); /* checksums by the kernel, as where skbs cannot be seen */
        return stories_run("native", stories, sizeof(stories) / sizeof(*stories), &knobs);
}
