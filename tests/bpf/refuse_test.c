// SPDX-License-Identifier: Apache-2.0
/* What is refused, and how: resets and ICMP errors, and what gets no answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "bpf/story.h"

/* The packets, also as what errors quote. */
#define IS_UDP UDP(POD_A, 1000, VIP, 54), FROM_A, .payload = 100
static const struct packet_spec udp = {IS_UDP};

#define IS_UDP_OPTIONS UDP(POD_A, 1000, VIP, 54), FROM_A, .payload = 100, .flags = PACKET_OPTIONS
static const struct packet_spec udp_options = {IS_UDP_OPTIONS};

#define IS_UDP_ODD UDP(POD_A, 1000, VIP, 54), FROM_A, .payload = 333
static const struct packet_spec udp_odd = {IS_UDP_ODD};

#define IS_UDP_LARGE UDP(POD_A, 1000, VIP, 54), FROM_A, .payload = 1401
static const struct packet_spec udp_large = {IS_UDP_LARGE};

#define IS_SCTP SCTP(POD_A, 1000, VIP, 54), FROM_A, .payload = 20
static const struct packet_spec sctp = {IS_SCTP};

#define IS_ECHO ICMP(POD_A, VIP, ICMP_KIND_ECHO), .sport = 9, FROM_A, .payload = 56
static const struct packet_spec echo = {IS_ECHO};

#define IS_DNS UDP(POD_A, 1000, VIP, 53), FROM_A, .payload = 40
static const struct packet_spec dns = {IS_DNS};

#define IS_OUTSIDE UDP(CLIENT, 1000, NODE, LAB_NODEPORT), FROM_ROUTER, .payload = 40
static const struct packet_spec outside = {IS_OUTSIDE};

#define IS_FIRST UDP(POD_A, 1000, VIP, 53), FROM_A, .payload = 800, .datagram = 1608, .flags = PACKET_MORE, .id = 4711
static const struct packet_spec first = {IS_FIRST};

#define IS_TOO_BIG TCP(CLIENT, 1000, NODE, LAB_NODEPORT, TH_ACK_), FROM_ROUTER, .payload = 1440, .flags = PACKET_DF
static const struct packet_spec too_big = {IS_TOO_BIG};

#define IS_FIRST_TOO_BIG                                                                                               \
        UDP(CLIENT, 1000, NODE, LAB_NODEPORT), FROM_ROUTER, .payload = 1440, .datagram = 3000, .flags = PACKET_MORE,   \
                                                            .id = 9
static const struct packet_spec first_too_big = {IS_FIRST_TOO_BIG};

#define IS_EXPIRED UDP(POD_A, 1000, SERVER, 53), FROM_A, .ttl = 1
static const struct packet_spec expired = {IS_EXPIRED};

#define IS_GHOST TCP(POD_A, 1000, GHOST, 80, TH_SYN_), FROM_A
static const struct packet_spec ghost = {IS_GHOST};

static const struct flow_row masqueraded[] = {
        FLOW_PAIR(IPPROTO_UDP, POD_A, 1000, SERVER, 53, NODE, LAB_SNAT_PORT, SERVER, 53, FLOW_MASQUERADE | FLOW_SNAT),
        NO_MORE,
};

#define RESET_FOR_SYN(vip_, port_, seq_)                                                                               \
        TCP(vip_, port_, POD_A, 1000, TH_RST_ | TH_ACK_), INTO_A, .ack = (seq_) + 1, .window = WINDOW_ZERO,            \
                                                                  .flags = PACKET_ANSWER
#define ERROR_OF(from_, to_, kind_, about_) ICMP(from_, to_, kind_), .flags = PACKET_ANSWER, .inner = &(about_)

#define NOTHING_AT(addr_, port_, proto_)                                                                               \
        {                                                                                                              \
                .addr = addr_, .port = port_, .proto = proto_                                                          \
        }

/* A flood of what is refused is answered by 1000 a second. */
static void flood(struct lab *lab, int family)
{
        static struct packet packet;
        static struct lab_run run;
        time_t start = time(NULL);
        int sent = 0;

        packet_build(&packet, &dns, family);
        for (int i = 0; i < 4000; i++) {
                run = (struct lab_run){.hook = HOOK_FROM_POD, .in = &packet};
                assert_int_equal(lab_run(lab, &run), 0);
                sent += story_verdict(run.hook, run.verdict) == SENT;
        }
        assert_in_range(sent, 900, 1000 * (time(NULL) - start + 2));
        usleep(1200000); /* the next second is another one */
}

/* clang-format off */
static const struct story stories[] = {
        {
                "a_service_without_endpoints_resets_tcp",
                .services = { NOTHING_AT(VIP, 80, IPPROTO_TCP) },
                .steps = {
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A, .seq = 41 },
                          .out = { RESET_FOR_SYN(VIP, 80, 41) }, REFUSED_FOR(REASON_NO_ENDPOINTS) },
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A, .seq = 0xffffffff,
                                                 .flags = PACKET_TCP_OPTS | PACKET_OPTIONS },
                          .out = { RESET_FOR_SYN(VIP, 80, 0xffffffff) }, REFUSED_FOR(REASON_NO_ENDPOINTS) },
                },
        },
        {
                "a_service_without_endpoints_answers_udp_with_port_unreachable",
                .services = { NOTHING_AT(VIP, 53, IPPROTO_UDP) },
                .steps = {
                        { HOOK_FROM_POD, .in = { IS_DNS },
                          .out = { ERROR_OF(VIP, POD_A, ICMP_KIND_PORT_UNREACHABLE, dns), INTO_A },
                          REFUSED_FOR(REASON_NO_ENDPOINTS) },
                },
        },
        {
                "a_port_that_a_service_has_not_is_refused",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = {
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, VIP, 81, TH_SYN_), FROM_A, .seq = 41 },
                          .out = { RESET_FOR_SYN(VIP, 81, 41) }, REFUSED_FOR(REASON_UNKNOWN_PORT) },
                        { HOOK_FROM_POD, .in = { IS_UDP },
                          .out = { ERROR_OF(VIP, POD_A, ICMP_KIND_PORT_UNREACHABLE, udp), INTO_A },
                          REFUSED_FOR(REASON_UNKNOWN_PORT) },
                        { HOOK_FROM_POD, .in = { IS_UDP_OPTIONS },
                          .out = { ERROR_OF(VIP, POD_A, ICMP_KIND_PORT_UNREACHABLE, udp_options), INTO_A },
                          REFUSED_FOR(REASON_UNKNOWN_PORT) },
                        { HOOK_FROM_POD, .in = { IS_UDP_ODD },
                          .out = { ERROR_OF(VIP, POD_A, ICMP_KIND_PORT_UNREACHABLE, udp_odd), INTO_A },
                          REFUSED_FOR(REASON_UNKNOWN_PORT) },
                        { HOOK_FROM_POD, .in = { IS_UDP_LARGE },
                          .out = { ERROR_OF(VIP, POD_A, ICMP_KIND_PORT_UNREACHABLE, udp_large), INTO_A },
                          REFUSED_FOR(REASON_UNKNOWN_PORT) },
                        { HOOK_FROM_POD, .in = { IS_SCTP },
                          .out = { ERROR_OF(VIP, POD_A, ICMP_KIND_PORT_UNREACHABLE, sctp), INTO_A },
                          REFUSED_FOR(REASON_UNKNOWN_PORT) },
                        { HOOK_FROM_POD, .in = { IS_ECHO },
                          .out = { ERROR_OF(VIP, POD_A, ICMP_KIND_PROHIBITED, echo), INTO_A },
                          REFUSED_FOR(REASON_UNKNOWN_PORT) },
                },
        },
        {
                "an_address_of_the_service_range_that_no_service_has_is_refused",
                .steps = {
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, VIP_NONE, 80, TH_SYN_), FROM_A, .seq = 41 },
                          .out = { RESET_FOR_SYN(VIP_NONE, 80, 41) }, REFUSED_FOR(REASON_UNKNOWN_PORT) },
                },
        },
        {
                "a_segment_that_acknowledges_is_reset_at_what_it_acknowledges",
                .services = { NOTHING_AT(VIP, 80, IPPROTO_TCP) },
                .steps = {
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, VIP, 80, TH_ACK_), FROM_A, .seq = 5, .ack = 77,
                                 .payload = 301,
                                                 .flags = PACKET_OPTIONS | PACKET_PADDED },
                          .out = { TCP(VIP, 80, POD_A, 1000, TH_RST_), INTO_A, .seq = 77, .window = WINDOW_ZERO,
                                   .flags = PACKET_ANSWER },
                          REFUSED_FOR(REASON_NO_ENDPOINTS) },
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, VIP, 80, TH_FIN_), FROM_A, .seq = 5, .payload = 100 },
                          .out = { TCP(VIP, 80, POD_A, 1000, TH_RST_ | TH_ACK_), INTO_A, .ack = 106,
                                   .window = WINDOW_ZERO, .flags = PACKET_ANSWER },
                          REFUSED_FOR(REASON_NO_ENDPOINTS) },
                },
        },
        {
                "a_reset_gets_no_reset",
                .services = { NOTHING_AT(VIP, 80, IPPROTO_TCP) },
                .steps = {
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, VIP, 80, TH_RST_), FROM_A },
                                 DROPPED(REASON_NO_ENDPOINTS) },
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, VIP, 80, TH_RST_ | TH_ACK_), FROM_A },
                          DROPPED(REASON_NO_ENDPOINTS) },
                },
        },
        {
                "an_icmp_error_gets_no_answer",
                .services = { NOTHING_AT(VIP, 80, IPPROTO_TCP) },
                .steps = {
                        { HOOK_FROM_POD, .in = { ICMP(POD_A, VIP, ICMP_KIND_PORT_UNREACHABLE), FROM_A,
                                 .inner = &outside },
                          .verdict = DROP, .reason = REASON_UNKNOWN_PORT },
                },
        },
        {
                "a_first_fragment_gets_an_error_but_no_reset",
                .services = { NOTHING_AT(VIP, 53, IPPROTO_UDP), NOTHING_AT(VIP, 80, IPPROTO_TCP) },
                .steps = {
                        { HOOK_FROM_POD, .in = { IS_FIRST },
                          .out = { ERROR_OF(VIP, POD_A, ICMP_KIND_PORT_UNREACHABLE, first), INTO_A },
                          REFUSED_FOR(REASON_NO_ENDPOINTS) },
                        { HOOK_FROM_POD,
                          .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A, .payload = 804, .datagram = 1608,
                                  .flags = PACKET_MORE },
                          DROPPED(REASON_NO_ENDPOINTS) },
                },
        },
        {
                "a_later_fragment_gets_no_answer",
                .services = { NOTHING_AT(VIP, 53, IPPROTO_UDP) },
                .steps = {
                        { HOOK_FROM_POD, .in = { IS_FIRST },
                          .out = { ERROR_OF(VIP, POD_A, ICMP_KIND_PORT_UNREACHABLE, first), INTO_A },
                          REFUSED_FOR(REASON_NO_ENDPOINTS) },
                        { HOOK_FROM_POD,
                          .in = { .src = POD_A, .dst = VIP, .proto = IPPROTO_UDP, .fragment = 808, .payload = 800,
                                  .id = 4711, FROM_A },
                          DROPPED(REASON_NO_ENDPOINTS) },
                },
        },
        {
                "what_does_not_fit_into_the_tunnel_is_too_big",
                .services = { NODEPORT(ON(POD_R, 8080)) },
                .steps = {
                        { HOOK_UPLINK, .in = { IS_TOO_BIG },
                          .out = { ICMP(NODE, CLIENT, ICMP_KIND_TOO_BIG), TO_ROUTER, .mtu = LAB_MTU_POD,
                                   .flags = PACKET_ANSWER, .inner = &too_big },
                          REFUSED_FOR(REASON_TOO_BIG), .marked = 1, .any_flows = 1 },
                },
        },
        {
                "a_first_fragment_that_does_not_fit_is_too_big",
                .family = 6,
                .services = { { .addr = ANY, .port = LAB_NODEPORT, .proto = IPPROTO_UDP, .flags = SERVICE_EXTERNAL,
                                .backends = { ON(POD_R, 8080) } } },
                .steps = {
                        { HOOK_UPLINK, .in = { IS_FIRST_TOO_BIG },
                          .out = { ICMP(NODE, CLIENT, ICMP_KIND_TOO_BIG), TO_ROUTER, .mtu = LAB_MTU_POD,
                                   .flags = PACKET_ANSWER, .inner = &first_too_big },
                          REFUSED_FOR(REASON_TOO_BIG), .marked = 1, .any_flows = 1 },
                },
        },
        {
                "a_flood_is_not_answered_by_a_flood",
                .services = { NOTHING_AT(VIP, 53, IPPROTO_UDP) },
                .steps = {
                        { HOOK_FROM_POD, .before = flood, .in = { IS_DNS }, .any_out = 1,
                          REFUSED_FOR(REASON_NO_ENDPOINTS) },
                },
        },
        {
                "policy_local_drops_silently",
                .services = { { .addr = VIP, .port = 80, .ranges = LAB_IN_LOCAL, .flags = SERVICE_DROP_IN,
                                .backends = { ON(POD_R, 8080) } } },
                .steps = {
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A },
                          DROPPED(REASON_NO_LOCAL_ENDPOINTS) },
                },
        },
        {
                "clients_outside_are_refused",
                .services = { { .addr = ANY, .port = LAB_NODEPORT, .proto = IPPROTO_UDP, .flags = SERVICE_EXTERNAL } },
                .steps = {
                        { HOOK_UPLINK, .in = { IS_OUTSIDE },
                          .out = { ERROR_OF(NODE, CLIENT, ICMP_KIND_PORT_UNREACHABLE, outside), TO_ROUTER },
                          REFUSED_FOR(REASON_NO_ENDPOINTS), .marked = 1 },
                },
        },
        {
                "a_process_on_the_host_is_refused_at_the_way_out",
                .services = { NOTHING_AT(VIP, 80, IPPROTO_TCP) },
                .steps = {
                        { HOOK_TO_UPLINK, .in = { TCP(NODE, 1000, VIP, 80, TH_SYN_), TO_ROUTER, .seq = 41 },
                          .out = { TCP(VIP, 80, NODE, 1000, TH_RST_ | TH_ACK_), FROM_ROUTER, .ack = 42,
                                   .window = WINDOW_ZERO, .flags = PACKET_ANSWER },
                          REFUSED_FOR(REASON_NO_ENDPOINTS) },
                },
        },
        {
                "the_node_says_that_the_hop_limit_is_exceeded",
                .steps = {
                        { HOOK_FROM_POD, .in = { IS_EXPIRED },
                          .out = { ERROR_OF(NODE, POD_A, ICMP_KIND_TIME_EXCEEDED, expired), INTO_A },
                          REFUSED_FOR(REASON_TTL), .flows = masqueraded },
                },
        },
        {
                "the_node_says_that_a_pod_is_not_there",
                .steps = {
                        { HOOK_FROM_POD, .in = { IS_GHOST },
                          .out = { ERROR_OF(NODE, POD_A, ICMP_KIND_HOST_UNREACHABLE, ghost), INTO_A },
                          REFUSED_FOR(REASON_NO_ROUTE) },
                },
        },
};
/* clang-format on */

int main(void)
{
        struct knobs knobs = lab_knobs();

        return stories_run("refuse", stories, sizeof(stories) / sizeof(*stories), &knobs);
}
