// SPDX-License-Identifier: Apache-2.0
/* Fragments follow their first one. */
#include "bpf/story.h"

static const struct flow_row dns_b[] = {
        FLOW_PAIR(IPPROTO_UDP, POD_A, 1000, VIP, 53, POD_A, 1000, POD_B, 5353, FLOW_DNAT),
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

/* A datagram of 1608 bytes in two: 808 with its header, and 800. */
#define FIRST(from_, sport_, to_, dport_)                                                                              \
        UDP(from_, sport_, to_, dport_), .payload = 800, .datagram = 1608, .flags = PACKET_MORE, .id = 4711
#define LATER(from_, to_) .src = from_, .dst = to_, .proto = IPPROTO_UDP, .fragment = 808, .payload = 800, .id = 4711

/* clang-format off */
static const struct story stories[] = {
        {
                "fragments_to_a_service_follow_their_first_one",
                .services = { DNS(ON(POD_B, 5353)) },
                .steps = {
                        { HOOK_FROM_POD, .in = { FIRST(POD_A, 1000, VIP, 53), FROM_A },
                          .out = { FIRST(POD_A, 1000, POD_B, 5353), INTO_B }, SENT_ON, .flows = dns_b },
                        { HOOK_FROM_POD, .in = { LATER(POD_A, VIP), FROM_A },
                          .out = { LATER(POD_A, POD_B), INTO_B }, SENT_ON, .flows = dns_b },
                },
        },
        {
                "fragments_of_an_answer_follow_their_first_one",
                .services = { DNS(ON(POD_B, 5353)) },
                .steps = {
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, VIP, 53), FROM_A }, .any_out = 1, SENT_ON,
                                 .flows = dns_b },
                        { HOOK_FROM_POD, .pod_b = 1, .in = { FIRST(POD_B, 5353, POD_A, 1000), FROM_B },
                          .out = { FIRST(VIP, 53, POD_A, 1000), INTO_A }, SENT_ON, .flows = dns_b },
                        { HOOK_FROM_POD, .pod_b = 1, .in = { LATER(POD_B, POD_A), FROM_B },
                          .out = { LATER(VIP, POD_A), INTO_A }, SENT_ON, .flows = dns_b },
                },
        },
        {
                "a_fragment_that_overtook_its_first_one_is_dropped_at_a_service",
                .services = { DNS(ON(POD_B, 5353)) },
                .steps = {
                        { HOOK_FROM_POD, .in = { LATER(POD_A, VIP), FROM_A }, DROPPED(REASON_FRAGMENT) },
                        { HOOK_FROM_POD, .in = { FIRST(POD_A, 1000, VIP, 53), FROM_A },
                          .out = { FIRST(POD_A, 1000, POD_B, 5353), INTO_B }, SENT_ON, .flows = dns_b },
                        { HOOK_FROM_POD, .in = { LATER(POD_A, VIP), .flags = PACKET_MORE, FROM_A },
                          .out = { LATER(POD_A, POD_B), .flags = PACKET_MORE, INTO_B }, SENT_ON, .flows = dns_b },
                },
        },
        {
                "fragments_between_pods_are_untouched",
                .services = { DNS(ON(POD_B, 5353)) },
                .steps = {
                        { HOOK_FROM_POD, .in = { LATER(POD_A, POD_B), FROM_A }, .out = { LATER(POD_A, POD_B), INTO_B },
                          SENT_ON },
                        { HOOK_FROM_POD, .in = { FIRST(POD_A, 1000, POD_B, 53), FROM_A },
                          .out = { FIRST(POD_A, 1000, POD_B, 53), INTO_B }, SENT_ON },
                        { HOOK_FROM_POD, .in = { LATER(POD_A, POD_R), FROM_A }, .out = { LATER(POD_A, POD_R),
                                 INTO_TUNNEL },
                          SENT_OUT },
                },
        },
        {
                "masqueraded_fragments_follow_their_first_one",
                .steps = {
                        { HOOK_FROM_POD, .in = { FIRST(POD_A, 1000, SERVER, 53), FROM_A },
                          .out = { FIRST(NODE, LAB_SNAT_PORT, SERVER, 53), FROM_A, .hop_step = 1 },
                          SENT_ON, .flows = masqueraded, .marked = 1 },
                        { HOOK_FROM_POD, .in = { LATER(POD_A, SERVER), FROM_A },
                          .out = { LATER(NODE, SERVER), FROM_A, .hop_step = 1 },
                          SENT_ON, .flows = masqueraded, .marked = 1 },
                },
        },
        {
                "datagrams_are_told_apart_by_their_identification",
                .services = { DNS(ON(POD_B, 5353)) },
                .steps = {
                        { HOOK_FROM_POD, .in = { FIRST(POD_A, 1000, VIP, 53), FROM_A },
                          .out = { FIRST(POD_A, 1000, POD_B, 5353), INTO_B }, SENT_ON, .flows = dns_b },
                        { HOOK_FROM_POD,
                          .in = { .src = POD_A, .dst = VIP, .proto = IPPROTO_UDP, .fragment = 808, .payload = 800,
                                  .id = 4712, FROM_A },
                          DROPPED(REASON_FRAGMENT), .flows = dns_b },
                },
        },
        {
                "a_fragment_never_leaves_with_a_pods_address",
                .steps = {
                        { HOOK_FROM_POD, .in = { LATER(POD_A, SERVER), FROM_A }, DROPPED(REASON_FRAGMENT) },
                },
        },
        {
                "large_pings_are_masqueraded",
                .steps = {
                        { HOOK_FROM_POD,
                          .in = { ICMP(POD_A, SERVER, ICMP_KIND_ECHO), .sport = 77, .payload = 800, .datagram = 1608,
                                  .flags = PACKET_MORE, .id = 5, FROM_A },
                          .out = { ICMP(NODE, SERVER, ICMP_KIND_ECHO), .sport = LAB_SNAT_PORT, .payload = 800,
                                 .datagram = 1608,
                                   .flags = PACKET_MORE, .id = 5, FROM_A, .hop_step = 1 },
                          SENT_ON, .flows = pinged, .marked = 1 },
                        { HOOK_FROM_POD,
                          .in = { .src = POD_A, .dst = SERVER, .proto = IPPROTO_ICMP, .fragment = 808,
                                 .payload = 800, .id = 5, FROM_A },
                          .out = { .src = NODE, .dst = SERVER, .proto = IPPROTO_ICMP, .fragment = 808,
                                 .payload = 800, .id = 5, FROM_A,
                                   .hop_step = 1 },
                          SENT_ON, .flows = pinged, .marked = 1 },
                },
        },
        {
                "an_atomic_fragment_is_a_whole_packet",
                .family = 6,
                .services = { DNS(ON(POD_B, 5353)) },
                .steps = {
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, VIP, 53), FROM_A, .payload = 30,
                                 .flags = PACKET_FRAGMENT },
                          .out = { UDP(POD_A, 1000, POD_B, 5353), INTO_B, .payload = 30, .flags = PACKET_FRAGMENT },
                          SENT_ON, .flows = dns_b },
                },
        },
};
/* clang-format on */

int main(void)
{
        struct knobs knobs = lab_knobs();

        return stories_run("fragments", stories, sizeof(stories) / sizeof(*stories), &knobs);
}
