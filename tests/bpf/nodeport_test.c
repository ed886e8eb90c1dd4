// SPDX-License-Identifier: Apache-2.0
/* NodePorts and load balancers' addresses: from outside by the uplink and by the edge, from pods, and from the host. */
#include "bpf/story.h"

#define OUT_ROW(from, port_, to, dport_, nfrom, nport, nto, ndport, flags_)                                            \
        FLOW_PAIR(IPPROTO_TCP, from, port_, to, dport_, nfrom, nport, nto, ndport, FLOW_DNAT | FLOW_OUTSIDE | (flags_))

static const struct flow_row local[] = {
        OUT_ROW(CLIENT, 1000, NODE, LAB_NODEPORT, CLIENT, 1000, POD_B, 8080, 0),
        NO_MORE,
};
static const struct flow_row remote[] = {
        OUT_ROW(CLIENT, 1000, NODE, LAB_NODEPORT, NODE, LAB_SNAT_PORT, POD_R, 8080, FLOW_SNAT),
        NO_MORE,
};
static const struct flow_row host[] = {
        OUT_ROW(CLIENT, 1000, NODE, LAB_NODEPORT, CLIENT, 1000, NODE, 8080, 0),
        NO_MORE,
};
static const struct flow_row lb[] = {
        OUT_ROW(CLIENT, 1000, LB, 443, CLIENT, 1000, POD_B, 8443, 0),
        NO_MORE,
};
static const struct flow_row own_external[] = {
        OUT_ROW(CLIENT, 1000, NODE, 443, CLIENT, 1000, POD_B, 8443, 0),
        NO_MORE,
};
static const struct flow_row from_pod[] = {
        FLOW_PAIR(IPPROTO_TCP, POD_A, 1000, NODE, LAB_NODEPORT, POD_A, 1000, POD_B, 8080, FLOW_DNAT),
        NO_MORE,
};
static const struct flow_row from_pod2[] = {
        FLOW_PAIR(IPPROTO_TCP, POD_A, 1000, NODE2, LAB_NODEPORT, POD_A, 1000, POD_B, 8080, FLOW_DNAT),
        NO_MORE,
};

static const struct flow_row from_remote[] = {
        FLOW_PAIR(IPPROTO_TCP, POD_R, 1000, NODE, LAB_NODEPORT, POD_R, 1000, POD_B, 8080, FLOW_DNAT),
        NO_MORE,
};
static const struct flow_row lb_inside[] = {
        FLOW_PAIR(IPPROTO_TCP, POD_A, 1000, LB, 443, POD_A, 1000, POD_B, 8443, FLOW_DNAT),
        NO_MORE,
};
static const struct flow_row datagram[] = {
        FLOW_PAIR(IPPROTO_UDP, CLIENT, 1000, NODE, LAB_NODEPORT, CLIENT, 1000, POD_B, 5353, FLOW_DNAT | FLOW_OUTSIDE),
        NO_MORE,
};

#define CLIENT_SYN TCP(CLIENT, 1000, NODE, LAB_NODEPORT, TH_SYN_), FROM_ROUTER

/* clang-format off */
static const struct story stories[] = {
        {
                "a_client_outside_reaches_a_backend_here",
                .services = { NODEPORT(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_UPLINK, .in = { CLIENT_SYN },
                          .out = { TCP(CLIENT, 1000, POD_B, 8080, TH_SYN_), INTO_B },
                          SENT_ON, .flows = local },
                        { HOOK_FROM_POD, .pod_b = 1,
                          .in = { TCP(POD_B, 8080, CLIENT, 1000, TH_SYNACK_), FROM_B },
                          .out = { TCP(NODE, LAB_NODEPORT, CLIENT, 1000, TH_SYNACK_), FROM_B, .hop_step = 1 },
                          SENT_ON, .flows = local, .marked = 1 },
                },
        },
        {
                "a_client_outside_reaches_a_backend_elsewhere",
                .services = { NODEPORT(ON(POD_R, 8080)) },
                .steps = {
                        { HOOK_UPLINK, .in = { CLIENT_SYN },
                          .out = { TCP(NODE, LAB_SNAT_PORT, POD_R, 8080, TH_SYN_), FROM_ROUTER, .hop_step = 1 },
                          SENT_OUT, .flows = remote },
                        { HOOK_OVERLAY, .in = { TCP(POD_R, 8080, NODE, LAB_SNAT_PORT, TH_SYNACK_), TUNNELLED },
                          .out = { TCP(NODE, LAB_NODEPORT, CLIENT, 1000, TH_SYNACK_), TUNNELLED, .hop_step = 1 },
                          SENT_ON, .flows = remote, .marked = 1 },
                        { HOOK_UPLINK, .in = { TCP(CLIENT, 1000, NODE, LAB_NODEPORT, TH_ACK_), FROM_ROUTER },
                          .out = { TCP(NODE, LAB_SNAT_PORT, POD_R, 8080, TH_ACK_), FROM_ROUTER, .hop_step = 1 },
                          SENT_OUT, .flows = remote },
                },
        },
        {
                "a_backend_in_the_host_network_serves_clients_outside",
                .services = { NODEPORT(ON(NODE, 8080)) },
                .steps = {
                        { HOOK_UPLINK, .in = { CLIENT_SYN },
                          .out = { TCP(CLIENT, 1000, NODE, 8080, TH_SYN_), FROM_ROUTER },
                          TRANSLATED_ONLY, .flows = host },
                        { HOOK_TO_UPLINK, .in = { TCP(NODE, 8080, CLIENT, 1000, TH_SYNACK_), TO_ROUTER },
                          .out = { TCP(NODE, LAB_NODEPORT, CLIENT, 1000, TH_SYNACK_), TO_ROUTER },
                          TRANSLATED_ONLY, .flows = host },
                },
        },
        {
                "a_pod_reaches_a_nodeport_of_its_node",
                .services = { NODEPORT(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, NODE, LAB_NODEPORT, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_B, 8080, TH_SYN_), INTO_B },
                          SENT_ON, .flows = from_pod },
                },
        },
        {
                "a_pod_reaches_a_nodeport_of_another_node",
                .services = { NODEPORT(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, NODE2, LAB_NODEPORT, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_B, 8080, TH_SYN_), INTO_B },
                          SENT_ON, .flows = from_pod2 },
                },
        },
        {
                "a_pod_elsewhere_reaches_a_nodeport_through_the_tunnel",
                .services = { NODEPORT(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_OVERLAY, .in = { TCP(POD_R, 1000, NODE, LAB_NODEPORT, TH_SYN_), TUNNELLED },
                          .out = { TCP(POD_R, 1000, POD_B, 8080, TH_SYN_), INTO_B }, SENT_ON, .flows = from_remote },
                        { HOOK_FROM_POD, .pod_b = 1, .in = { TCP(POD_B, 8080, POD_R, 1000, TH_SYNACK_), FROM_B },
                          .out = { TCP(NODE, LAB_NODEPORT, POD_R, 1000, TH_SYNACK_), FROM_B, .hop_step = 1 },
                          SENT_OUT, .flows = from_remote },
                },
        },
        {
                "datagrams_from_outside_are_carried",
                .services = { { .addr = ANY, .port = LAB_NODEPORT, .proto = IPPROTO_UDP, .flags = SERVICE_EXTERNAL,
                                .backends = { ON(POD_B, 5353) } } },
                .steps = {
                        { HOOK_UPLINK, .in = { UDP(CLIENT, 1000, NODE, LAB_NODEPORT), FROM_ROUTER, .payload = 11 },
                          .out = { UDP(CLIENT, 1000, POD_B, 5353), INTO_B, .payload = 11 }, SENT_ON,
                          .flows = datagram },
                        { HOOK_FROM_POD, .pod_b = 1,
                          .in = { UDP(POD_B, 5353, CLIENT, 1000), FROM_B, .payload = 21 },
                          .out = { UDP(NODE, LAB_NODEPORT, CLIENT, 1000), FROM_B, .payload = 21, .hop_step = 1 },
                          SENT_OUT, .flows = datagram },
                },
        },
        {
                "a_pod_reaches_a_load_balancers_address_from_inside",
                .services = { { .addr = LB, .port = 443, .flags = SERVICE_EXTERNAL, .source_range = CLIENT,
                                .backends = { ON(POD_B, 8443) } } },
                .steps = {
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, LB, 443, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_B, 8443, TH_SYN_), INTO_B }, SENT_ON, .flows = lb_inside },
                },
        },
        {
                "another_port_of_the_node_is_the_nodes_own",
                .services = { NODEPORT(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_UPLINK, .in = { TCP(CLIENT, 1000, NODE, 22, TH_SYN_), FROM_ROUTER }, LEFT_ALONE },
                        { HOOK_UPLINK, .in = { UDP(CLIENT, 1000, NODE, LAB_NODEPORT), FROM_ROUTER }, LEFT_ALONE },
                },
        },
        {
                "an_external_ip_may_be_the_nodes_own_address",
                .services = { { .addr = NODE, .port = 443, .flags = SERVICE_EXTERNAL,
                                .backends = { ON(POD_B, 8443) } }, NODEPORT(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_UPLINK, .in = { TCP(CLIENT, 1000, NODE, 443, TH_SYN_), FROM_ROUTER },
                          .out = { TCP(CLIENT, 1000, POD_B, 8443, TH_SYN_), INTO_B },
                          SENT_ON, .flows = own_external },
                        { HOOK_UPLINK, .in = { TCP(CLIENT, 1000, NODE, 22, TH_SYN_), FROM_ROUTER }, LEFT_ALONE,
                          .flows = own_external },
                        { HOOK_UPLINK, .in = { CLIENT_SYN },
                          .out = { TCP(CLIENT, 1000, POD_B, 8080, TH_SYN_), INTO_B },
                          SENT_ON, .any_flows = 1 },
                },
        },
        {
                "a_cluster_ip_is_nothing_to_clients_outside",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_UPLINK, .in = { TCP(CLIENT, 1000, VIP, 80, TH_SYN_), FROM_ROUTER, .seq = 9 },
                          .out = { TCP(VIP, 80, CLIENT, 1000, TH_RST_ | TH_ACK_), TO_ROUTER, .ack = 10,
                                   .window = WINDOW_ZERO, .flags = PACKET_ANSWER },
                          REFUSED_FOR(REASON_UNKNOWN_PORT), .marked = 1 },
                },
        },
        {
                "source_ranges_let_in_whom_they_name",
                .services = { { .addr = LB, .port = 443, .flags = SERVICE_EXTERNAL, .source_range = CLIENT,
                                .backends = { ON(POD_B, 8443) } } },
                .steps = {
                        { HOOK_UPLINK, .in = { TCP(CLIENT2, 1000, LB, 443, TH_SYN_), FROM_ROUTER },
                          DROPPED(REASON_SOURCE_RANGE) },
                        { HOOK_UPLINK, .in = { TCP(CLIENT, 1000, LB, 443, TH_SYN_), FROM_ROUTER },
                          .out = { TCP(CLIENT, 1000, POD_B, 8443, TH_SYN_), INTO_B },
                          SENT_ON, .flows = lb },
                },
        },
        {
                "policy_local_drops_what_has_no_endpoint_here",
                .services = { { .addr = ANY, .port = LAB_NODEPORT, .ranges = LAB_OUT_LOCAL,
                                .flags = SERVICE_EXTERNAL | SERVICE_DROP_OUT | SERVICE_LOCAL_OUT,
                                .backends = { ON(POD_R, 8080) } } },
                .steps = {
                        { HOOK_UPLINK, .in = { CLIENT_SYN }, DROPPED(REASON_NO_LOCAL_ENDPOINTS) },
                },
        },
        {
                "policy_local_keeps_the_client_on_this_node",
                .services = { { .addr = ANY, .port = LAB_NODEPORT, .ranges = LAB_OUT_LOCAL,
                                .flags = SERVICE_EXTERNAL | SERVICE_DROP_OUT | SERVICE_LOCAL_OUT,
                                .backends = { ON(POD_R, 8080), ON(POD_B, 8080), ON(POD_R2, 8080) } } },
                .steps = {
                        { HOOK_UPLINK, .in = { CLIENT_SYN },
                          .out = { TCP(CLIENT, 1000, POD_B, 8080, TH_SYN_), INTO_B },
                          SENT_ON, .flows = local },
                },
        },
        {
                "a_host_port_at_the_loopback_is_not_for_the_network", /* hostIP: 127.0.0.1 */
                .services = { { .addr = LOOPBACK, .port = 8081, .flags = SERVICE_EXTERNAL | SERVICE_HOSTPORT,
                                .backends = { ON(POD_B, 8080) } } },
                .steps = {
                        { HOOK_UPLINK, .in = { TCP(CLIENT, 1000, LOOPBACK, 8081, TH_SYN_), FROM_ROUTER }, LEFT_ALONE },
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, LOOPBACK, 8081, TH_SYN_), FROM_A }, LEFT_ALONE },
                },
        },
        {
                "an_address_of_the_service_cidr_that_is_nobodys_does_not_go_round",
                .steps = {
                        { HOOK_UPLINK, .in = { TCP(CLIENT, 1000, VIP_NONE, 80, TH_SYN_), FROM_ROUTER, .seq = 9 },
                          .out = { TCP(VIP_NONE, 80, CLIENT, 1000, TH_RST_ | TH_ACK_), TO_ROUTER, .ack = 10,
                                   .window = WINDOW_ZERO, .flags = PACKET_ANSWER },
                          REFUSED_FOR(REASON_UNKNOWN_PORT), .marked = 1 },
                        { HOOK_TO_UPLINK, .in = { TCP(NODE, 1000, VIP_NONE, 80, TH_SYN_), TO_ROUTER, .seq = 9 },
                          .out = { TCP(VIP_NONE, 80, NODE, 1000, TH_RST_ | TH_ACK_), FROM_ROUTER, .ack = 10,
                                   .window = WINDOW_ZERO, .flags = PACKET_ANSWER },
                          REFUSED_FOR(REASON_UNKNOWN_PORT) },
                },
        },
        {
                "a_packet_with_the_mark_has_been_handled",
                .services = { NODEPORT(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_TO_UPLINK, .in_mark = LAB_MARK,
                          .in = { TCP(NODE, 1000, VIP, 80, TH_SYN_), TO_ROUTER }, .verdict = PASS,
                                 .reason = NOT_COUNTED, .marked = 1 },
                },
        },
};
/* clang-format on */

int main(void)
{
        struct knobs knobs = lab_knobs();

        return stories_run("nodeport", stories, sizeof(stories) / sizeof(*stories), &knobs);
}
