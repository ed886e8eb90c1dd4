// SPDX-License-Identifier: Apache-2.0
/* ICMP errors about translated flows: what is quoted becomes what its sender wrote. */
#include "bpf/story.h"

static const struct flow_row web_b[] = {
        FLOW_PAIR(IPPROTO_TCP, POD_A, 1000, VIP, 80, POD_A, 1000, POD_B, 8080, FLOW_DNAT),
        NO_MORE,
};
static const struct flow_row web_r[] = {
        FLOW_PAIR(IPPROTO_TCP, POD_A, 1000, VIP, 80, POD_A, 1000, POD_R, 8080, FLOW_DNAT),
        NO_MORE,
};
static const struct flow_row dns_b[] = {
        FLOW_PAIR(IPPROTO_UDP, POD_A, 1000, VIP, 53, POD_A, 1000, POD_B, 5353, FLOW_DNAT),
        NO_MORE,
};
static const struct flow_row hairpin[] = {
        FLOW_PAIR(IPPROTO_UDP, POD_A, 1000, VIP, 53, NODE, LAB_SNAT_PORT, POD_A, 5353, FLOW_DNAT | FLOW_SNAT),
        NO_MORE,
};
static const struct flow_row remote[] = {
        FLOW_PAIR(IPPROTO_TCP, CLIENT, 1000, NODE, LAB_NODEPORT, NODE, LAB_SNAT_PORT, POD_R, 8080,
                  FLOW_DNAT | FLOW_SNAT | FLOW_OUTSIDE),
        NO_MORE,
};
static const struct flow_row masqueraded[] = {
        FLOW_PAIR(IPPROTO_UDP, POD_A, 1000, SERVER, 53, NODE, LAB_SNAT_PORT, SERVER, 53, FLOW_MASQUERADE | FLOW_SNAT),
        NO_MORE,
};
static const struct flow_row pinged[] = {
        FLOW_PAIR(IPPROTO_ICMP, POD_A, 77, SERVER, 0, NODE, LAB_SNAT_PORT, SERVER, 0, FLOW_MASQUERADE | FLOW_SNAT),
        NO_MORE,
};

/* The same packet as client and backend know it. */
static const struct packet_spec to_vip = {TCP(POD_A, 1000, VIP, 80, TH_ACK_), .payload = 1400, .flags = PACKET_DF};
static const struct packet_spec to_b = {TCP(POD_A, 1000, POD_B, 8080, TH_ACK_), .payload = 1400, .flags = PACKET_DF};
static const struct packet_spec to_r = {TCP(POD_A, 1000, POD_R, 8080, TH_ACK_), .payload = 1400, .flags = PACKET_DF};
static const struct packet_spec from_vip = {TCP(VIP, 80, POD_A, 1000, TH_ACK_), .payload = 1401,
                                            .flags = PACKET_OPTIONS};
static const struct packet_spec from_b = {TCP(POD_B, 8080, POD_A, 1000, TH_ACK_), .payload = 1401,
                                          .flags = PACKET_OPTIONS};
static const struct packet_spec udp_to_vip = {UDP(POD_A, 1000, VIP, 53), .payload = 40, .flags = PACKET_ZERO_SUM};
static const struct packet_spec udp_to_b = {UDP(POD_A, 1000, POD_B, 5353), .payload = 40, .flags = PACKET_ZERO_SUM};
static const struct packet_spec udp_to_self = {UDP(NODE, LAB_SNAT_PORT, POD_A, 5353), .payload = 40};
static const struct packet_spec udp_to_own_vip = {UDP(POD_A, 1000, VIP, 53), .payload = 40};
static const struct packet_spec other = {TCP(POD_A, 1001, POD_B, 8080, TH_ACK_), .payload = 100};
static const struct packet_spec to_client = {TCP(NODE, LAB_NODEPORT, CLIENT, 1000, TH_ACK_), .payload = 1400};
static const struct packet_spec to_snat = {TCP(POD_R, 8080, NODE, LAB_SNAT_PORT, TH_ACK_), .payload = 1400};
static const struct packet_spec from_client = {TCP(CLIENT, 1000, NODE, LAB_NODEPORT, TH_ACK_), .payload = 1400};
static const struct packet_spec from_snat = {TCP(NODE, LAB_SNAT_PORT, POD_R, 8080, TH_ACK_), .payload = 1400};
static const struct packet_spec masq_in = {UDP(POD_A, 1000, SERVER, 53), .payload = 40, .hop_step = 1};
static const struct packet_spec masq_out = {UDP(NODE, LAB_SNAT_PORT, SERVER, 53), .payload = 40, .hop_step = 1};
static const struct packet_spec ping_in = {ICMP(POD_A, SERVER, ICMP_KIND_ECHO), .sport = 77, .payload = 40};
static const struct packet_spec ping_out = {ICMP(NODE, SERVER, ICMP_KIND_ECHO), .sport = LAB_SNAT_PORT, .payload = 40};

#define TOO_BIG_ABOUT(from_, to_, quote_, bytes_)                                                                      \
        ICMP(from_, to_, ICMP_KIND_TOO_BIG), .mtu = 1300, .inner = &(quote_), .inner_len = bytes_
#define A_CONNECTS(rows_)                                                                                              \
        {                                                                                                              \
                HOOK_FROM_POD, .in = {TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A}, .any_out = 1, SENT_ON,              \
                               .flows = rows_                                                                          \
        }

#define A_CONNECTS_AFAR(rows_)                                                                                         \
        {                                                                                                              \
                HOOK_FROM_POD, .in = {TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A}, .any_out = 1, SENT_OUT,             \
                               .flows = rows_                                                                          \
        }

/* Bytes of the quote. */
#define ODD_QUOTE 129

/* clang-format off */
static const struct story stories[] = {
        {
                "path_mtu_discovery_works_towards_a_backend_elsewhere",
                .services = { WEB(ON(POD_R, 8080)) },
                .steps = {
                        A_CONNECTS_AFAR(web_r),
                        { HOOK_OVERLAY, .in = { TOO_BIG_ABOUT(NODE2, POD_A, to_r, 548), TUNNELLED },
                          .out = { TOO_BIG_ABOUT(NODE2, POD_A, to_vip, 548), OUT_OF_TUNNEL_A },
                          SENT_ON, .flows = web_r },
                        { HOOK_OVERLAY, .in = { TOO_BIG_ABOUT(NODE2, POD_A, to_r, ODD_QUOTE), TUNNELLED },
                          .out = { TOO_BIG_ABOUT(NODE2, POD_A, to_vip, ODD_QUOTE), OUT_OF_TUNNEL_A },
                          SENT_ON, .flows = web_r },
                },
        },
        {
                "path_mtu_discovery_works_when_the_kernel_makes_the_error",
                .services = { WEB(ON(POD_R, 8080)) },
                .steps = {
                        A_CONNECTS_AFAR(web_r),
                        { HOOK_TO_POD, .in = { TOO_BIG_ABOUT(NODE, POD_A, to_r, 548), INTO_A },
                          .out = { TOO_BIG_ABOUT(NODE, POD_A, to_vip, 548), INTO_A },
                          TRANSLATED_ONLY, .flows = web_r },
                },
        },
        {
                "path_mtu_discovery_works_towards_the_client",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = {
                        A_CONNECTS(web_b),
                        { HOOK_FROM_POD, .in = { TOO_BIG_ABOUT(POD_A, VIP, from_vip, 300), FROM_A },
                          .out = { TOO_BIG_ABOUT(POD_A, POD_B, from_b, 300), INTO_B },
                          SENT_ON, .flows = web_b },
                },
        },
        {
                "a_backends_own_error_is_from_the_service",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = {
                        A_CONNECTS(web_b),
                        { HOOK_FROM_POD, .pod_b = 1, .in = { TOO_BIG_ABOUT(POD_B, POD_A, to_b, ODD_QUOTE), FROM_B },
                          .out = { TOO_BIG_ABOUT(VIP, POD_A, to_vip, ODD_QUOTE), INTO_A },
                          SENT_ON, .flows = web_b },
                },
        },
        {
                "a_pod_that_speaks_to_itself_gets_its_own_error_from_the_service",
                .services = { DNS(ON(POD_A, 5353)) },
                .steps = {
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, VIP, 53), FROM_A, .payload = 40 },
                          .out = { UDP(NODE, LAB_SNAT_PORT, POD_A, 5353), INTO_A, .payload = 40 },
                          SENT_ON, .flows = hairpin },
                        { HOOK_FROM_POD, .in = { ICMP(POD_A, NODE, ICMP_KIND_PORT_UNREACHABLE), .inner = &udp_to_self,
                                                 FROM_A },
                          .out = { ICMP(VIP, POD_A, ICMP_KIND_PORT_UNREACHABLE), .inner = &udp_to_own_vip, INTO_A },
                          SENT_ON, .flows = hairpin },
                },
        },
        {
                "a_quote_that_ends_before_the_checksum_is_enough",
                .services = { WEB(ON(POD_B, 8080)) },
                .family = 4,
                .steps = {
                        A_CONNECTS(web_b),
                        { HOOK_FROM_POD, .pod_b = 1, .in = { TOO_BIG_ABOUT(POD_B, POD_A, to_b, 28), FROM_B },
                          .out = { TOO_BIG_ABOUT(VIP, POD_A, to_vip, 28), INTO_A },
                          SENT_ON, .flows = web_b },
                        { HOOK_FROM_POD, .pod_b = 1, .in = { TOO_BIG_ABOUT(POD_B, POD_A, to_b, 36), FROM_B },
                          .out = { TOO_BIG_ABOUT(VIP, POD_A, to_vip, 36), INTO_A },
                          SENT_ON, .flows = web_b },
                        { HOOK_FROM_POD, .pod_b = 1, .in = { TOO_BIG_ABOUT(POD_B, POD_A, to_b, 38), FROM_B },
                          .out = { TOO_BIG_ABOUT(VIP, POD_A, to_vip, 38), INTO_A },
                          SENT_ON, .flows = web_b },
                },
        },
        {
                "a_quote_that_ends_before_the_ports_is_left_alone",
                .services = { WEB(ON(POD_B, 8080)) },
                .family = 4,
                .steps = {
                        A_CONNECTS(web_b),
                        { HOOK_FROM_POD, .pod_b = 1, .in = { TOO_BIG_ABOUT(POD_B, POD_A, to_b, 27), FROM_B },
                          .out = { TOO_BIG_ABOUT(POD_B, POD_A, to_b, 27), INTO_A },
                          SENT_ON, .flows = web_b },
                        { HOOK_FROM_POD, .pod_b = 1, .in = { TOO_BIG_ABOUT(POD_B, POD_A, to_b, 12), FROM_B },
                          .out = { TOO_BIG_ABOUT(POD_B, POD_A, to_b, 12), INTO_A },
                          SENT_ON, .flows = web_b },
                },
        },
        {
                "a_quoted_datagram_without_checksum_stays_without",
                .services = { DNS(ON(POD_B, 5353)) },
                .family = 4,
                .steps = {
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, VIP, 53), FROM_A }, .any_out = 1, SENT_ON,
                                 .flows = dns_b },
                        { HOOK_FROM_POD, .pod_b = 1,
                          .in = { ICMP(POD_B, POD_A, ICMP_KIND_PORT_UNREACHABLE), .inner = &udp_to_b, FROM_B },
                          .out = { ICMP(VIP, POD_A, ICMP_KIND_PORT_UNREACHABLE), .inner = &udp_to_vip, INTO_A },
                          SENT_ON, .flows = dns_b },
                },
        },
        {
                "an_error_about_another_connection_is_untouched",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = {
                        A_CONNECTS(web_b),
                        { HOOK_FROM_POD, .pod_b = 1, .in = { TOO_BIG_ABOUT(POD_B, POD_A, other, 0), FROM_B },
                          .out = { TOO_BIG_ABOUT(POD_B, POD_A, other, 0), INTO_A },
                          SENT_ON, .flows = web_b },
                },
        },
        {
                "an_error_that_is_not_for_the_quoted_sender_is_untouched",
                .services = { WEB(ON(POD_R, 8080)) },
                .steps = {
                        A_CONNECTS_AFAR(web_r),
                        { HOOK_OVERLAY, .in = { TOO_BIG_ABOUT(NODE2, POD_B, to_r, 200), TUNNELLED },
                          .out = { TOO_BIG_ABOUT(NODE2, POD_B, to_r, 200), INTO_B },
                          SENT_ON, .flows = web_r },
                },
        },
        {
                "errors_from_the_clients_side_of_a_nodeport_reach_the_remote_backend",
                .services = { NODEPORT(ON(POD_R, 8080)) },
                .steps = {
                        { HOOK_UPLINK, .in = { TCP(CLIENT, 1000, NODE, LAB_NODEPORT, TH_SYN_), FROM_ROUTER },
                                 .any_out = 1,
                          SENT_OUT, .flows = remote },
                        { HOOK_UPLINK, .in = { TOO_BIG_ABOUT(ROUTER, NODE, to_client, 200), FROM_ROUTER },
                          .out = { TOO_BIG_ABOUT(NODE, POD_R, to_snat, 200), FROM_ROUTER, .hop_step = 1 },
                          SENT_OUT, .flows = remote },
                },
        },
        {
                "errors_from_the_backends_side_of_a_nodeport_reach_the_client",
                .services = { NODEPORT(ON(POD_R, 8080)) },
                .steps = {
                        { HOOK_UPLINK, .in = { TCP(CLIENT, 1000, NODE, LAB_NODEPORT, TH_SYN_), FROM_ROUTER },
                                 .any_out = 1,
                          SENT_OUT, .flows = remote },
                        { HOOK_OVERLAY, .in = { TOO_BIG_ABOUT(POD_R, NODE, from_snat, 200), TUNNELLED },
                          .out = { TOO_BIG_ABOUT(NODE, CLIENT, from_client, 200), TUNNELLED, .hop_step = 1 },
                          SENT_ON, .flows = remote, .marked = 1 },
                },
        },
        {
                "errors_about_masqueraded_packets_reach_the_pod",
                .steps = {
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, SERVER, 53), FROM_A }, .any_out = 1, SENT_ON,
                          .flows = masqueraded, .marked = 1 },
                        { HOOK_UPLINK, .in = { ICMP(ROUTER, NODE, ICMP_KIND_TIME_EXCEEDED), .inner = &masq_out,
                                 FROM_ROUTER },
                          .out = { ICMP(ROUTER, POD_A, ICMP_KIND_TIME_EXCEEDED), .inner = &masq_in, INTO_A },
                          SENT_ON, .flows = masqueraded },
                        { HOOK_UPLINK, .in = { ICMP(SERVER, NODE, ICMP_KIND_PORT_UNREACHABLE), .inner = &masq_out,
                                 FROM_ROUTER },
                          .out = { ICMP(SERVER, POD_A, ICMP_KIND_PORT_UNREACHABLE), .inner = &masq_in, INTO_A },
                          SENT_ON, .flows = masqueraded },
                },
        },
        {
                "errors_about_pings_reach_the_pod",
                .steps = {
                        { HOOK_FROM_POD, .in = { ICMP(POD_A, SERVER, ICMP_KIND_ECHO), .sport = 77, FROM_A },
                                 .any_out = 1,
                          SENT_ON, .flows = pinged, .marked = 1 },
                        { HOOK_UPLINK, .in = { ICMP(ROUTER, NODE, ICMP_KIND_TIME_EXCEEDED), .inner = &ping_out,
                                 FROM_ROUTER },
                          .out = { ICMP(ROUTER, POD_A, ICMP_KIND_TIME_EXCEEDED), .inner = &ping_in, INTO_A },
                          SENT_ON, .flows = pinged },
                },
        },
};
/* clang-format on */

int main(void)
{
        struct knobs knobs = lab_knobs();

        return stories_run("icmp", stories, sizeof(stories) / sizeof(*stories), &knobs);
}
