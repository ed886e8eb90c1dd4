// SPDX-License-Identifier: Apache-2.0
/* The life of a flow: states, time-outs, eviction. Time passes by making the entries older. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bpf/story.h"

/* A to the VIP and back, with the state bits of the forward entry and of the reply's, and those they must not have. */
#define WEB_FLOW(forward_, reply_, not_)                                                                               \
        {                                                                                                              \
                {POD_A, VIP, 1000, 80, POD_A, POD_B, 1000, 8080, FLOW_DNAT, forward_, not_, 0},                        \
                        {POD_B, POD_A, 8080, 1000, VIP, POD_A, 80, 1000, FLOW_DNAT | FLOW_REPLY, reply_, not_, 0},     \
                        NO_MORE                                                                                        \
        }

#define EST (FLOW_ESTABLISHED | FLOW_SEEN_REPLY)

static const struct flow_row opening[] = WEB_FLOW(0, 0, EST | FLOW_RST | FLOW_FIN | FLOW_FIN_REPLY);
static const struct flow_row answered[] = WEB_FLOW(FLOW_SEEN_REPLY, FLOW_SEEN_REPLY, FLOW_ESTABLISHED | FLOW_RST);
static const struct flow_row established[] = WEB_FLOW(EST, EST, FLOW_RST | FLOW_FIN | FLOW_FIN_REPLY);
static const struct flow_row half_closed[] = WEB_FLOW(EST | FLOW_FIN, EST | FLOW_FIN_REPLY, FLOW_RST);
static const struct flow_row closed[] = WEB_FLOW(FLOW_FIN | FLOW_FIN_REPLY, FLOW_FIN | FLOW_FIN_REPLY, FLOW_RST);
static const struct flow_row reset[] = WEB_FLOW(FLOW_RST, FLOW_RST, 0);
static const struct flow_row moved[] = {
        FLOW_PAIR(IPPROTO_TCP, POD_A, 1000, VIP, 80, POD_A, 1000, POD_R, 8080, FLOW_DNAT),
        NO_MORE,
};
static const struct flow_row dns_b[] = {
        FLOW_PAIR(IPPROTO_UDP, POD_A, 1000, VIP, 53, POD_A, 1000, POD_B, 5353, FLOW_DNAT),
        NO_MORE,
};
static const struct flow_row dns_r[] = {
        FLOW_PAIR(IPPROTO_UDP, POD_A, 1000, VIP, 53, POD_A, 1000, POD_R, 5353, FLOW_DNAT),
        NO_MORE,
};

/* From now on the service is elsewhere: a flow that is made anew tells by its backend. The old backend is still there.
 */
static void web_moves(struct lab *lab, int family)
{
        static const struct lab_service service = WEB(ON(POD_R, 8080));

        lab_service(lab, &service, family);
}

static void dns_moves(struct lab *lab, int family)
{
        static const struct lab_service service = DNS(ON(POD_R, 5353));

        lab_service(lab, &service, family);
}

#define AGE(name_, seconds_)                                                                                           \
        static void name_(struct lab *lab, int family)                                                                 \
        {                                                                                                              \
                lab_age_flows(lab, seconds_);                                                                          \
                web_moves(lab, family);                                                                                \
        }
AGE(after_5_s, 5)
AGE(after_15_s, 15)
AGE(after_55_s, 55)
AGE(after_70_s, 70)
AGE(after_7900_s, 7900)
AGE(after_8100_s, 8100)

#define AGE_UDP(name_, seconds_)                                                                                       \
        static void name_(struct lab *lab, int family)                                                                 \
        {                                                                                                              \
                lab_age_flows(lab, seconds_);                                                                          \
                dns_moves(lab, family);                                                                                \
        }
AGE_UDP(udp_after_25_s, 25)
AGE_UDP(udp_after_40_s, 40)
AGE_UDP(udp_after_110_s, 110)
AGE_UDP(udp_after_130_s, 130)

#define A_SENDS(flags_, rows_)                                                                                         \
        {                                                                                                              \
                HOOK_FROM_POD, .in = {TCP(POD_A, 1000, VIP, 80, flags_), FROM_A},                                      \
                               .out = {TCP(POD_A, 1000, POD_B, 8080, flags_), INTO_B}, SENT_ON, .flows = rows_         \
        }
#define B_SENDS(flags_, rows_)                                                                                         \
        {                                                                                                              \
                HOOK_FROM_POD, .pod_b = 1, .in = {TCP(POD_B, 8080, POD_A, 1000, flags_), FROM_B},                      \
                               .out = {TCP(VIP, 80, POD_A, 1000, flags_), INTO_A}, SENT_ON, .flows = rows_             \
        }
/* `seen` is renewed then, and state with it. */
#define B_SENDS_AFTER_5_S(flags_, rows_)                                                                               \
        {                                                                                                              \
                HOOK_FROM_POD, .before = after_5_s, .pod_b = 1, .in = {TCP(POD_B, 8080, POD_A, 1000, flags_), FROM_B}, \
                               .out = {TCP(VIP, 80, POD_A, 1000, flags_), INTO_A}, SENT_ON, .flows = rows_             \
        }
#define HANDSHAKE A_SENDS(TH_SYN_, opening), B_SENDS(TH_SYNACK_, answered), A_SENDS(TH_ACK_, established)
/* After that time: still on its old backend, or on the new one. */
#define STAYS(flags_, before_, rows_)                                                                                  \
        {                                                                                                              \
                HOOK_FROM_POD, .before = before_, .in = {TCP(POD_A, 1000, VIP, 80, flags_), FROM_A},                   \
                               .out = {TCP(POD_A, 1000, POD_B, 8080, flags_), INTO_B}, SENT_ON, .flows = rows_         \
        }
#define STARTS_ANEW(flags_, before_)                                                                                   \
        {                                                                                                              \
                HOOK_FROM_POD, .before = before_, .in = {TCP(POD_A, 1000, VIP, 80, flags_), FROM_A},                   \
                               .out = {TCP(POD_A, 1000, POD_R, 8080, flags_), INTO_TUNNEL}, SENT_OUT, .flows = moved   \
        }
#define UDP_SENT(before_)                                                                                              \
        {                                                                                                              \
                HOOK_FROM_POD, .before = before_, .in = {UDP(POD_A, 1000, VIP, 53), FROM_A},                           \
                               .out = {UDP(POD_A, 1000, POD_B, 5353), INTO_B}, SENT_ON, .flows = dns_b                 \
        }
#define UDP_MOVED(before_)                                                                                             \
        {                                                                                                              \
                HOOK_FROM_POD, .before = before_, .in = {UDP(POD_A, 1000, VIP, 53), FROM_A},                           \
                               .out = {UDP(POD_A, 1000, POD_R, 5353), INTO_TUNNEL}, SENT_OUT, .flows = dns_r           \
        }
#define UDP_ANSWERED                                                                                                   \
        {                                                                                                              \
                HOOK_FROM_POD, .pod_b = 1, .in = {UDP(POD_B, 5353, POD_A, 1000), FROM_B},                              \
                               .out = {UDP(VIP, 53, POD_A, 1000), INTO_A}, SENT_ON, .flows = dns_b                     \
        }

/* --- more connections than there is room for */

static size_t live(struct lab *lab)
{
        return lab_flows(lab, NULL, 0);
}

static void send_one(struct lab *lab, int family, const struct packet_spec *spec, bool pod_b)
{
        static struct packet packet;
        static struct lab_run run;

        packet_build(&packet, spec, family);
        run = (struct lab_run){.hook = HOOK_FROM_POD, .in = &packet, .ifindex = pod_b ? lab->pod_b : 0};
        assert_int_equal(lab_run(lab, &run), 0);
        assert_int_equal(story_verdict(run.hook, run.verdict), SENT);
}

/* Thousands of connections through a table of 2048 entries: each gets through, and no half of a pair stays behind. */
static void fill(struct lab *lab, int family)
{
        struct packet_spec spec = {TCP(POD_A, 0, VIP, 80, TH_SYN_), FROM_A};

        for (int i = 0; i < 4000; i++) {
                spec.sport = (uint16_t)(2000 + i);
                send_one(lab, family, &spec, false);
        }
        assert_in_range(live(lab), LAB_FLOW_SETS * FLOW_WAYS / 2, LAB_FLOW_SETS * FLOW_WAYS);
        assert_int_equal(live(lab) % 2, 0);
}

/* A client that was silent for a while, and thousands of others whose SYNs are answered, but who do not go on. Who is
 * sent to the service's new backend after that has been forgotten. */
static void flood(struct lab *lab, int family)
{
        struct packet_spec syn = {TCP(POD_A, 0, VIP, 80, TH_SYN_), FROM_A};
        struct packet_spec answer = {TCP(POD_B, 8080, POD_A, 0, TH_SYNACK_), FROM_B};

        lab_age_flows(lab, 50);
        for (int i = 0; i < 4000; i++) {
                syn.sport = answer.dport = (uint16_t)(2000 + i);
                send_one(lab, family, &syn, false);
                send_one(lab, family, &answer, true);
        }
        web_moves(lab, family);
}

static void nothing_is_torn(struct lab *lab, int family, const struct packet *out)
{
        const size_t max = LAB_FLOW_SETS * FLOW_WAYS;
        struct flow *flows = calloc(max, sizeof(*flows));
        size_t n, replies = 0;

        assert_non_null(flows);
        n = lab_flows(lab, flows, max);
        for (size_t i = 0; i < n; i++) {
                const struct flow *peer = &lab->flows[flows[i].peer / FLOW_WAYS].flow[flows[i].peer % FLOW_WAYS];

                replies += !!(flows[i].flags & FLOW_REPLY);
                assert_memory_equal(&flows[i].new_src, &peer->key.dst, sizeof(struct addr));
                assert_memory_equal(&flows[i].new_dst, &peer->key.src, sizeof(struct addr));
                assert_int_equal(flows[i].new_sport, peer->key.dport);
        }
        assert_int_equal(replies * 2, n);
        free(flows);
}

/* clang-format off */
static const struct story stories[] = {
        {
                "a_handshake_establishes",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = { HANDSHAKE, STAYS(TH_ACK_, after_7900_s, established) },
        },
        {
                "an_established_connection_that_is_silent_too_long_is_forgotten",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = { HANDSHAKE, STARTS_ANEW(TH_SYN_, after_8100_s) },
        },
        {
                "a_half_open_connection_lasts_a_minute",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = { A_SENDS(TH_SYN_, opening), STAYS(TH_SYN_, after_55_s, opening), STARTS_ANEW(TH_SYN_,
                  after_70_s) },
        },
        {
                "a_connection_that_one_side_closed_stays",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = { HANDSHAKE, A_SENDS(TH_FIN_ | TH_ACK_, half_closed), B_SENDS(TH_ACK_, half_closed),
                           STAYS(TH_ACK_, after_70_s, half_closed) },
        },
        {
                "segments_of_the_other_side_close_nothing",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = { HANDSHAKE, A_SENDS(TH_FIN_ | TH_ACK_, half_closed), B_SENDS_AFTER_5_S(TH_ACK_, half_closed),
                           B_SENDS(TH_ACK_, half_closed), STAYS(TH_ACK_, after_70_s, half_closed) },
        },
        {
                "a_connection_that_both_sides_closed_goes_soon",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = { HANDSHAKE, A_SENDS(TH_FIN_ | TH_ACK_, half_closed), B_SENDS(TH_FIN_ | TH_ACK_, closed),
                           STAYS(TH_ACK_, after_5_s, closed), STARTS_ANEW(TH_SYN_, after_15_s) },
        },
        {
                "a_reset_closes",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = { HANDSHAKE, B_SENDS(TH_RST_, reset), STARTS_ANEW(TH_SYN_, after_15_s) },
        },
        {
                "a_syn_reuses_a_port_that_was_just_closed",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = { HANDSHAKE, A_SENDS(TH_FIN_ | TH_ACK_, half_closed), B_SENDS(TH_FIN_ | TH_ACK_, closed),
                           STARTS_ANEW(TH_SYN_, web_moves) },
        },
        {
                "a_segment_in_the_middle_finds_a_backend_when_the_table_was_lost",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = { A_SENDS(TH_ACK_ | TH_PUSH_, opening) },
        },
        {
                "a_question_without_an_answer_lasts_30_s",
                .services = { DNS(ON(POD_B, 5353)) },
                .steps = { UDP_SENT(NULL), UDP_SENT(udp_after_25_s),
                           UDP_MOVED(udp_after_40_s) },
        },
        {
                "a_dialogue_lasts_120_s",
                .services = { DNS(ON(POD_B, 5353)) },
                .steps = { UDP_SENT(NULL), UDP_ANSWERED,
                           UDP_SENT(udp_after_110_s), UDP_MOVED(udp_after_130_s) },
        },
        {
                "a_full_table_gives_up_the_oldest_pairs",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = { { HOOK_FROM_POD, .before = fill, .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A },
                             .out = { TCP(POD_A, 1000, POD_B, 8080, TH_SYN_), INTO_B }, SENT_ON, .any_flows = 1,
                             .after = nothing_is_torn } },
        },
        {
                "a_flood_of_answered_syns_does_not_push_a_connection_out",
                .services = { WEB(ON(POD_B, 8080)) },
                .steps = { HANDSHAKE, { HOOK_FROM_POD, .before = flood, .in = { TCP(POD_A, 1000, VIP, 80, TH_ACK_), FROM_A },
                                        .out = { TCP(POD_A, 1000, POD_B, 8080, TH_ACK_), INTO_B }, SENT_ON, .any_flows = 1,
                                        .after = nothing_is_torn } },
        },
};
/* clang-format on */

int main(void)
{
        struct knobs knobs = lab_knobs();

        return stories_run("states", stories, sizeof(stories) / sizeof(*stories), &knobs);
}
