// SPDX-License-Identifier: Apache-2.0
/* ClusterIP, packet by packet: from pods, and back. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/story.h"

#define A_WEB_ON(who_, port_) FLOW_PAIR(IPPROTO_TCP, POD_A, 1000, VIP, 80, POD_A, 1000, who_, port_, FLOW_DNAT)
#define A_DNS_ON(who_)        FLOW_PAIR(IPPROTO_UDP, POD_A, 1000, VIP, 53, POD_A, 1000, who_, 5353, FLOW_DNAT)

static const struct flow_row web_b[] = {A_WEB_ON(POD_B, 8080), NO_MORE};
static const struct flow_row web_b80[] = {A_WEB_ON(POD_B, 80), NO_MORE};
static const struct flow_row web_r[] = {A_WEB_ON(POD_R, 8080), NO_MORE};
static const struct flow_row web_node[] = {A_WEB_ON(NODE, 6443), NO_MORE};
static const struct flow_row dns_b[] = {A_DNS_ON(POD_B), NO_MORE};
static const struct flow_row dns_r[] = {A_DNS_ON(POD_R), NO_MORE};
static const struct flow_row sctp_b[] = {
        FLOW_PAIR(IPPROTO_SCTP, POD_A, 1000, VIP, 80, POD_A, 1000, POD_B, 80, FLOW_DNAT),
        NO_MORE,
};
static const struct flow_row hairpin[] = {
        FLOW_PAIR(IPPROTO_TCP, POD_A, 1000, VIP, 80, NODE, LAB_SNAT_PORT, POD_A, 8080, FLOW_DNAT | FLOW_SNAT),
        NO_MORE,
};
static const struct flow_row two_vips[] = {
        A_WEB_ON(POD_B, 8080),
        FLOW_PAIR(IPPROTO_TCP, POD_A, 1000, VIP2, 80, POD_A, LAB_SNAT_PORT, POD_B, 8080, FLOW_DNAT),
        NO_MORE,
};
static const struct flow_row beside_vip[] = {
        A_WEB_ON(POD_B, 8080),
        FLOW_PAIR(IPPROTO_TCP, POD_A, 1000, POD_B, 8080, POD_A, LAB_SNAT_PORT, POD_B, 8080, FLOW_SNAT),
        NO_MORE,
};
static const struct flow_row none_left[] = {NO_MORE};

#define HOST_WEB_ON(who_) FLOW_PAIR(IPPROTO_TCP, NODE, 1000, VIP, 80, NODE, 1000, who_, 8080, FLOW_DNAT)
static const struct flow_row host_b[] = {HOST_WEB_ON(POD_B), NO_MORE};
static const struct flow_row host_r[] = {HOST_WEB_ON(POD_R), NO_MORE};

static const struct packet_spec host_to_b = {TCP(NODE, 1000, POD_B, 8080, TH_ACK_), .payload = 30};
static const struct packet_spec host_to_vip = {TCP(NODE, 1000, VIP, 80, TH_ACK_), .payload = 30};

#define BY_UPLINK .smac = MAC_UPLINK, .dmac = MAC_UPLINK

static void table_lost(struct lab *lab, int family)
{
        lab_clear_flows(lab);
}

static void remove_b(struct lab *lab, int family)
{
        lab_remove_backends(lab, POD_B, family);
}

static void web_moves_to_r(struct lab *lab, int family)
{
        static const struct lab_service web = WEB(ON(POD_R, 8080));

        lab_remove_backends(lab, POD_B, family);
        lab_service(lab, &web, family);
}

static void dns_moves_to_r(struct lab *lab, int family)
{
        static const struct lab_service moved = DNS(ON(POD_R, 5353));

        lab_remove_backends(lab, POD_B, family);
        lab_service(lab, &moved, family);
}

static void dns_loses_all(struct lab *lab, int family)
{
        static const struct lab_service none = {.addr = VIP, .port = 53, .proto = IPPROTO_UDP};

        lab_remove_backends(lab, POD_B, family);
        lab_service(lab, &none, family);
}

/* --- affinity: the destination of the first connection is that of the others. */

static struct addr first_backend;

static struct addr destination(const struct packet *out, int family)
{
        struct addr a = packet_addr(ANY, family);

        if (family == 4)
                memcpy(&a.w[3], out->data + 14 + 16, 4);
        else
                memcpy(&a, out->data + 14 + 24, 16);
        return a;
}

static void keep_backend(struct lab *lab, int family, const struct packet *out)
{
        first_backend = destination(out, family);
}

static void same_backend(struct lab *lab, int family, const struct packet *out)
{
        struct addr now = destination(out, family);

        assert_memory_equal(&now, &first_backend, sizeof(now));
}

static void after_99_s(struct lab *lab, int family)
{
        lab_age_affinity(lab, 99);
}

static void after_101_s(struct lab *lab, int family)
{
        lab_age_affinity(lab, 101);
}

/* Of the two endpoints of the VIP only that one serves clients inside, as the policy says. */
static void serve_only(struct lab *lab, int family, uint32_t slot, uint32_t flags)
{
        struct service_key key = {packet_addr(VIP, family), htons(80), IPPROTO_TCP, 0};
        struct service value;

        assert_int_equal(bpf_map_lookup_elem(lab->map[MAP_SERVICES], &key, &value), 0);
        value.in = (struct slot_range){value.out.base + slot, 1};
        value.flags |= flags;
        assert_int_equal(bpf_map_update_elem(lab->map[MAP_SERVICES], &key, &value, BPF_ANY), 0);
}

static void serve_elsewhere(struct lab *lab, int family)
{
        serve_only(lab, family, 0, 0);
}

static void serve_locally(struct lab *lab, int family)
{
        serve_only(lab, family, 1, SERVICE_DROP_IN);
}

static bool moved;

static void perhaps_another(struct lab *lab, int family, const struct packet *out)
{
        struct addr now = destination(out, family);

        moved = moved || memcmp(&now, &first_backend, sizeof(now)) != 0;
}

/* Each time one of three: that it never moves happens once in 40 million runs. */
static void has_moved(struct lab *lab, int family, const struct packet *out)
{
        perhaps_another(lab, family, out);
        assert_true(moved);
        moved = false;
}

#define CONNECT_LATER(sport_, before_, after_)                                                                         \
        {                                                                                                              \
                HOOK_FROM_POD, .in = {TCP(POD_A, sport_, VIP, 80, TH_SYN_), FROM_A}, .verdict = SENT,                  \
                               .reason = REASON_FORWARDED, .any_out = 1, .any_flows = 1, .before = before_,            \
                               .after = after_                                                                         \
        }
#define CONNECT(sport_, after_)                                                                                        \
        {                                                                                                              \
                HOOK_FROM_POD, .in = {TCP(POD_A, sport_, VIP, 80, TH_SYN_), FROM_A}, .verdict = SENT,                  \
                               .reason = REASON_FORWARDED, .any_out = 1, .any_flows = 1, .after = after_               \
        }

/* clang-format off */
static const struct story stories[] = {
        {
                "a_pod_reaches_a_backend_on_its_node",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A, .flags = PACKET_TCP_OPTS },
                          .out = { TCP(POD_A, 1000, POD_B, 8080, TH_SYN_), INTO_B, .flags = PACKET_TCP_OPTS },
                          SENT_ON, .flows = web_b },
                        { HOOK_FROM_POD, .pod_b = 1,
                          .in = { TCP(POD_B, 8080, POD_A, 1000, TH_SYNACK_), FROM_B },
                          .out = { TCP(VIP, 80, POD_A, 1000, TH_SYNACK_), INTO_A },
                          SENT_ON, .flows = web_b },
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_ACK_), FROM_A, .payload = 1401 },
                          .out = { TCP(POD_A, 1000, POD_B, 8080, TH_ACK_), INTO_B, .payload = 1401 },
                          SENT_ON, .flows = web_b },
                },
        },
        {
                "a_pod_reaches_a_backend_on_another_node_through_the_tunnel",
                .services = { WEB(ON(POD_R, 8080)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_R, 8080, TH_SYN_), INTO_TUNNEL },
                          SENT_OUT, .flows = web_r },
                        { HOOK_OVERLAY,
                          .in = { TCP(POD_R, 8080, POD_A, 1000, TH_SYNACK_), TUNNELLED },
                          .out = { TCP(VIP, 80, POD_A, 1000, TH_SYNACK_), OUT_OF_TUNNEL_A },
                          SENT_ON, .flows = web_r },
                },
        },
        {
                "a_backend_in_the_host_network_answers_through_the_kernel",
                .services = { WEB(ON(NODE, 6443)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1000, NODE, 6443, TH_SYN_), FROM_A },
                          TRANSLATED_ONLY, .flows = web_node },
                        { HOOK_TO_POD,
                          .in = { TCP(NODE, 6443, POD_A, 1000, TH_SYNACK_), INTO_A },
                          .out = { TCP(VIP, 80, POD_A, 1000, TH_SYNACK_), INTO_A },
                          TRANSLATED_ONLY, .flows = web_node },
                },
        },
        {
                "udp_is_carried",
                .services = { DNS(ON(POD_B, 5353)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { UDP(POD_A, 1000, VIP, 53), FROM_A, .payload = 33 },
                          .out = { UDP(POD_A, 1000, POD_B, 5353), INTO_B, .payload = 33 },
                          SENT_ON, .flows = dns_b },
                        { HOOK_FROM_POD, .pod_b = 1,
                          .in = { UDP(POD_B, 5353, POD_A, 1000), FROM_B, .payload = 512 },
                          .out = { UDP(VIP, 53, POD_A, 1000), INTO_A, .payload = 512 },
                          SENT_ON, .flows = dns_b },
                },
        },
        {
                "udp_without_a_checksum_stays_without",
                .family = 4,
                .services = { DNS(ON(POD_B, 5353)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { UDP(POD_A, 1000, VIP, 53), FROM_A, .payload = 33, .flags = PACKET_ZERO_SUM },
                          .out = { UDP(POD_A, 1000, POD_B, 5353), INTO_B, .payload = 33, .flags = PACKET_ZERO_SUM },
                          SENT_ON, .flows = dns_b },
                },
        },
        {
                "a_wrong_checksum_stays_wrong_by_as_much",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A, .flags = PACKET_BAD_SUM },
                          .out = { TCP(POD_A, 1000, POD_B, 8080, TH_SYN_), INTO_B, .flags = PACKET_BAD_SUM },
                          SENT_ON, .flows = web_b },
                },
        },
        {
                "sctp_is_carried_where_the_port_stays",
                .services = { { .addr = VIP, .port = 80, .proto = IPPROTO_SCTP, .backends = { ON(POD_B, 80) } } },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { SCTP(POD_A, 1000, VIP, 80), FROM_A, .payload = 20 },
                          .out = { SCTP(POD_A, 1000, POD_B, 80), INTO_B, .payload = 20 },
                          SENT_ON, .flows = sctp_b },
                        { HOOK_FROM_POD, .pod_b = 1,
                          .in = { SCTP(POD_B, 80, POD_A, 1000), FROM_B, .payload = 20 },
                          .out = { SCTP(VIP, 80, POD_A, 1000), INTO_A, .payload = 20 },
                          SENT_ON, .flows = sctp_b },
                },
        },
        {
                "only_the_address_changes_when_the_port_is_the_same",
                .services = { WEB(ON(POD_B, 80)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_B, 80, TH_SYN_), INTO_B },
                          SENT_ON, .flows = web_b80 },
                },
        },
        {
                "a_pod_reaches_itself_through_its_service",
                .services = { WEB(ON(POD_A, 8080)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A },
                          .out = { TCP(NODE, LAB_SNAT_PORT, POD_A, 8080, TH_SYN_), INTO_A },
                          SENT_ON, .flows = hairpin },
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 8080, NODE, LAB_SNAT_PORT, TH_SYNACK_), FROM_A },
                          .out = { TCP(VIP, 80, POD_A, 1000, TH_SYNACK_), INTO_A },
                          SENT_ON, .flows = hairpin },
                },
        },
        {
                "one_backend_behind_two_services_serves_one_client_port",
                .services = { WEB(ON(POD_B, 8080)), WEB2(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_B, 8080, TH_SYN_), INTO_B },
                          SENT_ON, .flows = web_b },
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP2, 80, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, LAB_SNAT_PORT, POD_B, 8080, TH_SYN_), INTO_B },
                          SENT_ON, .flows = two_vips },
                        { HOOK_FROM_POD, .pod_b = 1,
                          .in = { TCP(POD_B, 8080, POD_A, 1000, TH_SYNACK_), FROM_B },
                          .out = { TCP(VIP, 80, POD_A, 1000, TH_SYNACK_), INTO_A },
                          SENT_ON, .flows = two_vips },
                        { HOOK_FROM_POD, .pod_b = 1,
                          .in = { TCP(POD_B, 8080, POD_A, LAB_SNAT_PORT, TH_SYNACK_), FROM_B },
                          .out = { TCP(VIP2, 80, POD_A, 1000, TH_SYNACK_), INTO_A },
                          SENT_ON, .flows = two_vips },
                },
        },
        {
                "a_direct_connection_beside_one_to_a_service_with_the_same_port_gets_another_one",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_B, 8080, TH_SYN_), INTO_B },
                          SENT_ON, .flows = web_b },
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, POD_B, 8080, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, LAB_SNAT_PORT, POD_B, 8080, TH_SYN_), INTO_B },
                          SENT_ON, .flows = beside_vip },
                        { HOOK_FROM_POD, .pod_b = 1,
                          .in = { TCP(POD_B, 8080, POD_A, LAB_SNAT_PORT, TH_SYNACK_), FROM_B },
                          .out = { TCP(POD_B, 8080, POD_A, 1000, TH_SYNACK_), INTO_A },
                          SENT_ON, .flows = beside_vip },
                        { HOOK_FROM_POD, .pod_b = 1,
                          .in = { TCP(POD_B, 8080, POD_A, 1000, TH_SYNACK_), FROM_B },
                          .out = { TCP(VIP, 80, POD_A, 1000, TH_SYNACK_), INTO_A },
                          SENT_ON, .flows = beside_vip },
                },
        },
        {
                "a_direct_connection_takes_the_port_of_one_to_a_service_that_is_over",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_B, 8080, TH_SYN_), INTO_B },
                          SENT_ON, .flows = web_b },
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_RST_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_B, 8080, TH_RST_), INTO_B },
                          SENT_ON, .flows = web_b },
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, POD_B, 8080, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_B, 8080, TH_SYN_), INTO_B },
                          SENT_ON, .flows = none_left },
                },
        },
        {
                "no_free_source_port_is_a_reason",
                .services = { WEB(ON(POD_A, 8080)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A },
                          .out = { TCP(NODE, LAB_SNAT_PORT, POD_A, 8080, TH_SYN_), INTO_A },
                          SENT_ON, .flows = hairpin },
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1001, VIP, 80, TH_SYN_), FROM_A },
                          DROPPED(REASON_SNAT_PORTS), .flows = hairpin },
                },
        },
        {
                "tcp_stays_with_a_backend_that_is_removed",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_B, 8080, TH_SYN_), INTO_B },
                          SENT_ON, .flows = web_b },
                        { HOOK_FROM_POD, .before = remove_b,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_ACK_), FROM_A, .payload = 10 },
                          .out = { TCP(POD_A, 1000, POD_B, 8080, TH_ACK_), INTO_B, .payload = 10 },
                          SENT_ON, .flows = web_b },
                },
        },
        {
                "a_port_that_is_used_again_finds_another_backend_when_the_first_died",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_B, 8080, TH_SYN_), INTO_B },
                          SENT_ON, .flows = web_b },
                        { HOOK_FROM_POD, .pod_b = 1,
                          .in = { TCP(POD_B, 8080, POD_A, 1000, TH_SYNACK_), FROM_B },
                          .out = { TCP(VIP, 80, POD_A, 1000, TH_SYNACK_), INTO_A },
                          SENT_ON, .flows = web_b },
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_ACK_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_B, 8080, TH_ACK_), INTO_B },
                          SENT_ON, .flows = web_b },
                        { HOOK_FROM_POD, .before = web_moves_to_r,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_R, 8080, TH_SYN_), INTO_TUNNEL },
                          SENT_OUT, .flows = web_r },
                },
        },
        {
                "udp_moves_when_its_backend_is_removed",
                .services = { DNS(ON(POD_B, 5353)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { UDP(POD_A, 1000, VIP, 53), FROM_A },
                          .out = { UDP(POD_A, 1000, POD_B, 5353), INTO_B },
                          SENT_ON, .flows = dns_b },
                        { HOOK_FROM_POD, .before = dns_moves_to_r,
                          .in = { UDP(POD_A, 1000, VIP, 53), FROM_A },
                          .out = { UDP(POD_A, 1000, POD_R, 5353), INTO_TUNNEL },
                          SENT_OUT, .flows = dns_r },
                },
        },
        {
                "udp_is_refused_when_no_backend_is_left",
                .services = { DNS(ON(POD_B, 5353)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { UDP(POD_A, 1000, VIP, 53), FROM_A },
                          .out = { UDP(POD_A, 1000, POD_B, 5353), INTO_B },
                          SENT_ON, .flows = dns_b },
                        { HOOK_FROM_POD, .before = dns_loses_all,
                          .in = { UDP(POD_A, 1000, VIP, 53), FROM_A },
                          .any_out = 1, REFUSED_FOR(REASON_NO_ENDPOINTS), .flows = NULL },
                },
        },
        {
                "affinity_keeps_a_client_on_one_backend",
                .services = { { .addr = VIP, .port = 80, .affinity_s = 100,
                                .backends = { ON(POD_B, 8080), ON(POD_R, 8080), ON(POD_R2, 8080) } } },
                .steps = {
                        CONNECT(1000, keep_backend), CONNECT(1001, same_backend), CONNECT(1002, same_backend),
                        CONNECT(1003, same_backend), CONNECT(1004, same_backend), CONNECT(1005, same_backend),
                        CONNECT(1006, same_backend), CONNECT(1007, same_backend), CONNECT(1008, same_backend),
                },
        },
        {
                "affinity_ends_when_its_time_has_passed",
                .services = { { .addr = VIP, .port = 80, .affinity_s = 100,
                                .backends = { ON(POD_B, 8080), ON(POD_R, 8080), ON(POD_R2, 8080) } } },
                .steps = {
                        CONNECT(1000, keep_backend),
                        CONNECT_LATER(1001, after_99_s, same_backend),
                        CONNECT_LATER(1002, after_101_s, perhaps_another),
                        CONNECT_LATER(1003, after_101_s, perhaps_another),
                        CONNECT_LATER(1004, after_101_s, perhaps_another),
                        CONNECT_LATER(1005, after_101_s, perhaps_another),
                        CONNECT_LATER(1006, after_101_s, perhaps_another),
                        CONNECT_LATER(1007, after_101_s, perhaps_another),
                        CONNECT_LATER(1008, after_101_s, perhaps_another),
                        CONNECT_LATER(1009, after_101_s, perhaps_another),
                        CONNECT_LATER(1010, after_101_s, perhaps_another),
                        CONNECT_LATER(1011, after_101_s, perhaps_another),
                        CONNECT_LATER(1012, after_101_s, perhaps_another),
                        CONNECT_LATER(1013, after_101_s, perhaps_another),
                        CONNECT_LATER(1014, after_101_s, perhaps_another),
                        CONNECT_LATER(1015, after_101_s, perhaps_another),
                        CONNECT_LATER(1016, after_101_s, perhaps_another),
                        CONNECT_LATER(1017, after_101_s, has_moved),
                },
        },
        {
                "a_backend_that_is_gone_ends_affinity",
                .services = { { .addr = VIP, .port = 80, .affinity_s = 100,
                                .backends = { ON(POD_B, 8080) } } },
                .steps = {
                        CONNECT(1000, NULL),
                        { HOOK_FROM_POD, .before = remove_b, .in = { TCP(POD_A, 1001, VIP, 80, TH_SYN_), FROM_A },
                          DROPPED(REASON_NO_BACKEND), .any_flows = 1 },
                },
        },
        {
                "affinity_to_another_node_gives_way_to_the_policy_local",
                .services = { { .addr = VIP, .port = 80, .affinity_s = 100,
                                .backends = { ON(POD_R, 8080), ON(POD_B, 8080) } } },
                .steps = {
                        { HOOK_FROM_POD, .before = serve_elsewhere, .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_R, 8080, TH_SYN_), INTO_TUNNEL }, SENT_OUT, .any_flows = 1 },
                        { HOOK_FROM_POD, .before = serve_locally, .in = { TCP(POD_A, 1001, VIP, 80, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1001, POD_B, 8080, TH_SYN_), INTO_B }, SENT_ON, .any_flows = 1 },
                },
        },
        {
                "who_is_hashed_stays_on_one_backend",
                .services = { { .addr = VIP, .port = 80, .flags = SERVICE_HASH_IN,
                                .backends = { ON(POD_B, 8080), ON(POD_R, 8080), ON(POD_R2, 8080) } } },
                .steps = {
                        CONNECT(1000, keep_backend), CONNECT_LATER(1000, table_lost, same_backend),
                        CONNECT_LATER(1000, table_lost, same_backend), CONNECT_LATER(1000, table_lost, same_backend),
                        CONNECT_LATER(1000, table_lost, same_backend), CONNECT_LATER(1000, table_lost, same_backend),
                        CONNECT_LATER(1000, table_lost, same_backend), CONNECT_LATER(1000, table_lost, same_backend),
                },
        },
        /* IPv4 compares a source with the device that it comes in by. */
        {
                "an_answer_to_the_host_from_here_comes_in_by_the_uplink",
                .family = 4,
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_TO_UPLINK, .in = { TCP(NODE, 1000, VIP, 80, TH_SYN_), TO_ROUTER },
                          .out = { TCP(NODE, 1000, POD_B, 8080, TH_SYN_), INTO_B }, SENT_ON, .flows = host_b },
                        { HOOK_FROM_POD, .pod_b = 1, .in = { TCP(POD_B, 8080, NODE, 1000, TH_SYNACK_), FROM_B },
                          .out = { TCP(VIP, 80, NODE, 1000, TH_SYNACK_), BY_UPLINK }, SENT_ON, .flows = host_b },
                        { HOOK_FROM_POD, .pod_b = 1,
                          .in = { ICMP(POD_B, NODE, ICMP_KIND_PORT_UNREACHABLE), .inner = &host_to_b, FROM_B },
                          .out = { ICMP(VIP, NODE, ICMP_KIND_PORT_UNREACHABLE), .inner = &host_to_vip, BY_UPLINK }, SENT_ON,
                          .flows = host_b },
                },
        },
        {
                "an_answer_to_the_host_from_here_comes_in_by_the_pod",
                .family = 6,
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_TO_UPLINK, .in = { TCP(NODE, 1000, VIP, 80, TH_SYN_), TO_ROUTER },
                          .out = { TCP(NODE, 1000, POD_B, 8080, TH_SYN_), INTO_B }, SENT_ON, .flows = host_b },
                        { HOOK_FROM_POD, .pod_b = 1, .in = { TCP(POD_B, 8080, NODE, 1000, TH_SYNACK_), FROM_B },
                          .out = { TCP(VIP, 80, NODE, 1000, TH_SYNACK_), FROM_B }, TRANSLATED_ONLY, .flows = host_b },
                        { HOOK_FROM_POD, .pod_b = 1,
                          .in = { ICMP(POD_B, NODE, ICMP_KIND_PORT_UNREACHABLE), .inner = &host_to_b, FROM_B },
                          .out = { ICMP(VIP, NODE, ICMP_KIND_PORT_UNREACHABLE), .inner = &host_to_vip, FROM_B }, TRANSLATED_ONLY,
                          .flows = host_b },
                },
        },
        {
                "an_answer_to_the_host_from_elsewhere_comes_in_by_the_uplink",
                .family = 4,
                .services = { WEB(ON(POD_R, 8080)) },
                .steps = {
                        { HOOK_TO_UPLINK, .in = { TCP(NODE, 1000, VIP, 80, TH_SYN_), TO_ROUTER },
                          .out = { TCP(NODE, 1000, POD_R, 8080, TH_SYN_), TO_ROUTER, .hop_step = 1 },
                          SENT_OUT, .flows = host_r },
                        { HOOK_OVERLAY, .in = { TCP(POD_R, 8080, NODE, 1000, TH_SYNACK_), TUNNELLED },
                          .out = { TCP(VIP, 80, NODE, 1000, TH_SYNACK_), BY_UPLINK }, SENT_ON,
                          .flows = host_r },
                },
        },
        {
                "an_answer_to_the_host_from_elsewhere_comes_in_by_the_tunnel",
                .family = 6,
                .services = { WEB(ON(POD_R, 8080)) },
                .steps = {
                        { HOOK_TO_UPLINK, .in = { TCP(NODE, 1000, VIP, 80, TH_SYN_), TO_ROUTER },
                          .out = { TCP(NODE, 1000, POD_R, 8080, TH_SYN_), TO_ROUTER, .hop_step = 1 },
                          SENT_OUT, .flows = host_r },
                        { HOOK_OVERLAY, .in = { TCP(POD_R, 8080, NODE, 1000, TH_SYNACK_), TUNNELLED },
                          .out = { TCP(VIP, 80, NODE, 1000, TH_SYNACK_), TUNNELLED }, TRANSLATED_ONLY,
                          .flows = host_r },
                },
        },
        {
                "options_and_extension_headers_are_carried",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A,
                                 .flags = PACKET_OPTIONS | PACKET_ROUTING },
                          .out = { TCP(POD_A, 1000, POD_B, 8080, TH_SYN_), INTO_B,
                                   .flags = PACKET_OPTIONS | PACKET_ROUTING },
                          SENT_ON, .flows = web_b },
                        { HOOK_FROM_POD, .pod_b = 1,
                          .in = { TCP(POD_B, 8080, POD_A, 1000, TH_SYNACK_), FROM_B, .flags = PACKET_OPTIONS },
                          .out = { TCP(VIP, 80, POD_A, 1000, TH_SYNACK_), INTO_A, .flags = PACKET_OPTIONS },
                          SENT_ON, .flows = web_b },
                },
        },
        {
                "bytes_behind_the_packet_are_no_part_of_it",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A, .flags = PACKET_PADDED },
                          .out = { TCP(POD_A, 1000, POD_B, 8080, TH_SYN_), INTO_B, .flags = PACKET_PADDED },
                          SENT_ON, .flows = web_b },
                },
        },
        {
                "a_large_packet_is_carried",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_ACK_), FROM_A, .payload = 3400 },
                          .out = { TCP(POD_A, 1000, POD_B, 8080, TH_ACK_), INTO_B, .payload = 3400 },
                          SENT_ON, .flows = web_b },
                },
        },
        {
                "a_vlan_is_nothing_that_pods_may_use_and_elsewhere_not_ours",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A, .flags = PACKET_VLAN },
                          DROPPED(REASON_UNSUPPORTED) },
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A, .flags = PACKET_QINQ },
                          DROPPED(REASON_UNSUPPORTED) },
                        { HOOK_UPLINK,
                          .in = { TCP(CLIENT, 1000, VIP, 80, TH_SYN_), FROM_ROUTER, .flags = PACKET_VLAN },
                          LEFT_ALONE },
                        { HOOK_OVERLAY,
                          .in = { TCP(POD_R, 1000, VIP, 80, TH_SYN_), TUNNELLED, .flags = PACKET_QINQ },
                          LEFT_ALONE },
                },
        },
};
/* clang-format on */

int main(void)
{
        struct knobs knobs = lab_knobs();

        return stories_run("cluster_ip", stories, sizeof(stories) / sizeof(*stories), &knobs);
}
