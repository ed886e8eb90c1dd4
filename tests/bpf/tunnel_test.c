// SPDX-License-Identifier: Apache-2.0
/* The tunnel's header, where the programs write and read it themselves. What they leave to the device has to come
 * through as it was. */
#include "bpf/story.h"

#include <bpf/btf.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PORT       8472
#define ADDR_NODE  0xc0000201 /* 192.0.2.1 */
#define ADDR_NODE2 0xc0000202
#define ADDR_OTHER 0xc6336402 /* nobody's: the same last byte as the other node's */

#define WRITTEN(...)                                                                                                   \
        .smac = MAC_POD_A, .dmac = MAC_GATEWAY, .src = ADDR_NODE, .dst = ADDR_NODE2, .dport = PORT, .vni = LAB_VNI,    \
        .flags = OUTER_ANY_PORT, __VA_ARGS__
#define ARRIVES(src_, dst_, port_, vni_)                                                                               \
        .smac = MAC_NODE2, .dmac = MAC_UPLINK, .sport = 50000, .src = src_, .dst = dst_, .dport = port_, .vni = vni_
#define COMES(...) ARRIVES(ADDR_NODE2, ADDR_NODE, PORT, LAB_VNI), __VA_ARGS__

static const struct outer_spec written = {WRITTEN()}, written_ect = {WRITTEN(.tos = 2)},
                               written_ect1 = {WRITTEN(.tos = 1)};
static const struct outer_spec comes = {COMES()}, comes_ect = {COMES(.tos = 2)}, comes_congested = {COMES(.tos = 3)};
static const struct outer_spec left_alone[] = {
        {ARRIVES(ADDR_NODE2, ADDR_NODE, PORT, LAB_VNI + 1)},
        {ARRIVES(ADDR_NODE2, ADDR_NODE, PORT, LAB_VNI | 1 << 16)},
        {COMES(.flags = OUTER_EXT)},
        {COMES(.flags = OUTER_NO_VNI)},
        {COMES(.flags = OUTER_UDP_SUM)},
        {COMES(.flags = OUTER_BAD_SUM)},
        {COMES(.flags = OUTER_SHORT)},
        {COMES(.flags = OUTER_UDP_LONG)},
        {COMES(.flags = OUTER_ARP)},
        {ARRIVES(ADDR_OTHER, ADDR_NODE, PORT, LAB_VNI)},
        {COMES(.fragment = 0x2000)},
        {COMES(.fragment = 0x0010)},
        {ARRIVES(ADDR_NODE2, ADDR_NODE, PORT + 1, LAB_VNI)},
        {ARRIVES(ADDR_NODE2, ADDR_OTHER, PORT, LAB_VNI)},
};

static const struct flow_row web[] = {FLOW_PAIR(IPPROTO_TCP, POD_A, 1000, VIP, 80, POD_A, 1000, POD_R, 8080, FLOW_DNAT),
                                      NO_MORE};

/* Of the expected fields. */
#define TAKEN SENT_ON, .counted = HOOK_OVERLAY
#define R_TO_A(...)                                                                                                    \
        {                                                                                                              \
                TCP(POD_R, 80, POD_A, 1000, TH_SYNACK_), TUNNELLED, __VA_ARGS__                                        \
        }
#define LEFT(i)                                                                                                        \
        {                                                                                                              \
                HOOK_UPLINK, .in = R_TO_A(.outer = &left_alone[i], .payload = 30), LEFT_ALONE                          \
        }

static void set_mtu(int mtu)
{
        struct ifreq request = {.ifr_name = "uplink", .ifr_mtu = mtu};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        assert_int_equal(ioctl(fd, SIOCSIFMTU, &request), 0);
        close(fd);
}

/* What was found out about the other node is too old (lib/tunnel.h), and no longer so. */
static void mtu_falls(struct lab *lab, int family)
{
        usleep(400 * 1000);
        set_mtu(1400);
}

static void mtu_is_back(struct lab *lab, int family, const struct packet *out)
{
        set_mtu(LAB_MTU_UPLINK);
}

/* clang-format off */
static const struct story stories[] = {
        {
                /* The first one: before it nothing was sent to that node, of which something could be remembered. */
                "who_was_only_heard_of_is_sent_to_by_the_header_too",
                .steps = {
                        { HOOK_UPLINK, .in = R_TO_A(.outer = &comes),
                          .out = { TCP(POD_R, 80, POD_A, 1000, TH_SYNACK_), OUT_OF_TUNNEL_A }, TAKEN },
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, POD_R, 80, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_R, 80, TH_SYN_), INTO_TUNNEL, .outer = &written }, SENT_OUT },
                },
        },
        {
                "what_a_pod_sends_to_another_node_gets_the_header",
                .steps = {
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, POD_R, 80, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_R, 80, TH_SYN_), INTO_TUNNEL, .outer = &written }, SENT_OUT },
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, POD_R, 80, TH_ACK_), FROM_A, .payload = 1300 },
                          .out = { TCP(POD_A, 1000, POD_R, 80, TH_ACK_), INTO_TUNNEL, .payload = 1300,
                                   .outer = &written }, SENT_OUT },
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, POD_R2, 80), FROM_A, .payload = 100 },
                          .out = { UDP(POD_A, 1000, POD_R2, 80), INTO_TUNNEL, .payload = 100, .outer = &written },
                          SENT_OUT },
                        { HOOK_FROM_POD, .in = { ICMP(POD_A, POD_R, ICMP_KIND_ECHO), .sport = 5, FROM_A, .payload = 56 },
                          .out = { ICMP(POD_A, POD_R, ICMP_KIND_ECHO), .sport = 5, INTO_TUNNEL, .payload = 56,
                                   .outer = &written }, SENT_OUT },
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, NODE2, 80), FROM_A, .payload = 100 },
                          .out = { UDP(POD_A, 1000, NODE2, 80), INTO_TUNNEL, .payload = 100, .outer = &written },
                          SENT_OUT },
                        { HOOK_FROM_POD, .in = { POD_A, POD_R, 0, 0, IPPROTO_GRE, 0, FROM_A, .payload = 56 },
                          .out = { POD_A, POD_R, 0, 0, IPPROTO_GRE, 0, INTO_TUNNEL, .payload = 56, .outer = &written },
                          SENT_OUT },
                },
        },
        {
                "the_header_tells_of_congestion_control_but_not_of_classes",
                .steps = {
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, POD_R, 80), FROM_A, .tos = 0xb8 },
                          .out = { UDP(POD_A, 1000, POD_R, 80), INTO_TUNNEL, .tos = 0xb8, .outer = &written },
                          SENT_OUT },
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, POD_R, 80), FROM_A, .tos = 0x02 },
                          .out = { UDP(POD_A, 1000, POD_R, 80), INTO_TUNNEL, .tos = 0x02, .outer = &written_ect },
                          SENT_OUT },
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, POD_R, 80), FROM_A, .tos = 0x01 },
                          .out = { UDP(POD_A, 1000, POD_R, 80), INTO_TUNNEL, .tos = 0x01, .outer = &written_ect1 },
                          SENT_OUT },
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, POD_R, 80), FROM_A, .tos = 0x03 },
                          .out = { UDP(POD_A, 1000, POD_R, 80), INTO_TUNNEL, .tos = 0x03, .outer = &written_ect },
                          SENT_OUT },
                },
        },
        {
                "what_does_not_fit_is_for_the_device_to_cut",
                .family = 4,
                .steps = {
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, POD_R, 80), FROM_A, .payload = LAB_MTU_POD - 28 },
                          .out = { UDP(POD_A, 1000, POD_R, 80), INTO_TUNNEL, .payload = LAB_MTU_POD - 28,
                                   .outer = &written }, SENT_OUT },
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, POD_R, 80), FROM_A, .payload = LAB_MTU_POD - 27 },
                          .out = { UDP(POD_A, 1000, POD_R, 80), INTO_TUNNEL, .payload = LAB_MTU_POD - 27 }, SENT_OUT },
                },
        },
        {
                "what_comes_from_outside_goes_by_the_device",
                .services = { NODEPORT(ON(POD_R, 8080)) },
                .steps = {
                        { HOOK_UPLINK, .in = { TCP(CLIENT, 1000, NODE, LAB_NODEPORT, TH_SYN_), FROM_ROUTER },
                          .out = { TCP(NODE, LAB_SNAT_PORT, POD_R, 8080, TH_SYN_), FROM_ROUTER, .hop_step = 1 },
                          SENT_OUT, .any_flows = 1 },
                },
        },
        {
                "what_another_node_sends_to_a_pod_goes_straight_into_it",
                .steps = {
                        { HOOK_UPLINK, .in = R_TO_A(.outer = &comes),
                          .out = { TCP(POD_R, 80, POD_A, 1000, TH_SYNACK_), OUT_OF_TUNNEL_A }, TAKEN },
                        { HOOK_UPLINK, .in = { UDP(POD_R, 80, POD_B, 1000), TUNNELLED, .payload = 1400, .outer = &comes },
                          .out = { UDP(POD_R, 80, POD_B, 1000), INTO_B, .payload = 1400 }, TAKEN },
                        { HOOK_UPLINK, .in = { UDP(NODE2, 80, POD_B, 1000), TUNNELLED, .payload = 99, .outer = &comes },
                          .out = { UDP(NODE2, 80, POD_B, 1000), INTO_B, .payload = 99 }, TAKEN },
                        { HOOK_UPLINK, .in = R_TO_A(.outer = &comes, .tos = 2),
                          .out = { TCP(POD_R, 80, POD_A, 1000, TH_SYNACK_), OUT_OF_TUNNEL_A, .tos = 2 }, TAKEN },
                },
        },
        {
                "a_pod_hears_of_congestion_in_the_tunnel",
                .steps = {
                        { HOOK_UPLINK, .in = R_TO_A(.outer = &comes_ect, .tos = 2),
                          .out = { TCP(POD_R, 80, POD_A, 1000, TH_SYNACK_), OUT_OF_TUNNEL_A, .tos = 2 }, TAKEN },
                        { HOOK_UPLINK, .in = R_TO_A(.outer = &comes_congested, .tos = 2),
                          .out = { TCP(POD_R, 80, POD_A, 1000, TH_SYNACK_), OUT_OF_TUNNEL_A, .tos = 3 }, TAKEN },
                        { HOOK_UPLINK, .in = R_TO_A(.outer = &comes_congested), LEFT_ALONE },
                },
        },
        {
                "what_the_programs_do_not_write_the_device_reads",
                .steps = {
                        LEFT(0), LEFT(1), LEFT(2), LEFT(3), LEFT(4), LEFT(5), LEFT(6), LEFT(7), LEFT(8), LEFT(12), LEFT(13),
                        { HOOK_UPLINK, .in = R_TO_A(.outer = &comes, .flags = PACKET_PADDED),
                          .out = { TCP(POD_R, 80, POD_A, 1000, TH_SYNACK_), OUT_OF_TUNNEL_A, .flags = PACKET_PADDED },
                          TAKEN },
                },
        },
        {
                "fragments_of_the_tunnel_are_the_hosts",
                .steps = { LEFT(10), LEFT(11) },
        },
        {
                "only_nodes_speak_in_the_tunnel",
                .steps = {
                        LEFT(9),
                        { HOOK_UPLINK, .in = R_TO_A(.outer = &comes),
                          .out = { TCP(POD_R, 80, POD_A, 1000, TH_SYNACK_), OUT_OF_TUNNEL_A }, TAKEN },
                        LEFT(9),
                },
        },
        {
                "what_is_for_no_pod_here_the_device_reads",
                .steps = {
                        { HOOK_UPLINK, .in = { UDP(POD_R, 80, NODE, 1000), TUNNELLED, .outer = &comes }, LEFT_ALONE },
                        { HOOK_UPLINK, .in = { UDP(POD_R, 80, GHOST, 1000), TUNNELLED, .outer = &comes }, LEFT_ALONE },
                        { HOOK_UPLINK, .in = { UDP(POD_R, 80, CLIENT, 1000), TUNNELLED, .outer = &comes }, LEFT_ALONE },
                        { HOOK_UPLINK, .in = { UDP(POD_R, 80, VIP, 1000), TUNNELLED, .outer = &comes }, LEFT_ALONE },
                },
        },
        {
                "what_is_broken_inside_is_dropped_as_it_is_by_the_device",
                .steps = {
                        { HOOK_UPLINK, .in = R_TO_A(.outer = &comes, .flags = PACKET_LONG_HEADER),
                          DROPPED(REASON_MALFORMED), .counted = HOOK_OVERLAY },
                },
        },
        {
                "a_service_with_its_endpoint_on_another_node",
                .services = { WEB(ON(POD_R, 8080)) },
                .steps = {
                        { HOOK_FROM_POD, .in = { TCP(POD_A, 1000, VIP, 80, TH_SYN_), FROM_A },
                          .out = { TCP(POD_A, 1000, POD_R, 8080, TH_SYN_), INTO_TUNNEL, .outer = &written },
                          SENT_OUT, .flows = web },
                        { HOOK_UPLINK, .in = { TCP(POD_R, 8080, POD_A, 1000, TH_SYNACK_), TUNNELLED, .outer = &comes },
                          .out = { TCP(VIP, 80, POD_A, 1000, TH_SYNACK_), OUT_OF_TUNNEL_A }, TAKEN, .flows = web },
                },
        },
        {
                /* The last one, since it leaves the NIC as it should not be when it fails. */
                "hearing_of_a_node_does_not_renew_what_was_known_of_the_way_to_it",
                .steps = {
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, POD_R, 80), FROM_A, .payload = 1400 },
                          .out = { UDP(POD_A, 1000, POD_R, 80), INTO_TUNNEL, .payload = 1400, .outer = &written },
                          SENT_OUT },
                        { HOOK_UPLINK, .before = mtu_falls, .in = R_TO_A(.outer = &comes),
                          .out = { TCP(POD_R, 80, POD_A, 1000, TH_SYNACK_), OUT_OF_TUNNEL_A }, TAKEN },
                        { HOOK_FROM_POD, .in = { UDP(POD_A, 1000, POD_R, 80), FROM_A, .payload = 1400 },
                          .out = { UDP(POD_A, 1000, POD_R, 80), INTO_TUNNEL, .payload = 1400 }, SENT_OUT,
                          .after = mtu_is_back },
                },
        },
};
/* clang-format on */

#define N_STORIES (sizeof(stories) / sizeof(*stories))

/* Linux before 6.4 cannot take an IPv4 header off an IPv6 packet: there the device does it. */
static bool kernel_takes_v6(void)
{
        struct btf *btf = btf__load_vmlinux_btf();
        bool found = false;

        for (uint32_t id = 1; btf && !found && id < btf__type_cnt(btf); id++) {
                const struct btf_type *t = btf__type_by_id(btf, id);

                for (int i = 0; btf_is_enum(t) && i < btf_vlen(t); i++)
                        found |= !strcmp(btf__name_by_offset(btf, btf_enum(t)[i].name_off),
                                         "BPF_F_ADJ_ROOM_DECAP_L3_IPV6");
                for (int i = 0; btf_is_enum64(t) && i < btf_vlen(t); i++)
                        found |= !strcmp(btf__name_by_offset(btf, btf_enum64(t)[i].name_off),
                                         "BPF_F_ADJ_ROOM_DECAP_L3_IPV6");
        }
        btf__free(btf);
        return found;
}

static bool takes_a_packet(const struct story *story)
{
        for (int i = 0; i < STORY_STEPS; i++)
                if (story->steps[i].counted)
                        return true;
        return false;
}

/* The memory of other nodes is a CPU's. */
static void stay_on_one_cpu(void)
{
        cpu_set_t cpu;

        CPU_ZERO(&cpu);
        CPU_SET(sched_getcpu(), &cpu);
        sched_setaffinity(0, sizeof(cpu), &cpu);
}

/* Today each object remembers other nodes for itself, and what one hears of them the other cannot mistake for a way.
 * Here they share it, as programs of one object would. */
int main(void)
{
        static struct story told[N_STORIES];
        struct knobs knobs = lab_knobs();
        bool v6 = kernel_takes_v6();

        memcpy(told, stories, sizeof(stories));
        for (size_t i = 0; i < N_STORIES; i++)
                if (!v6 && takes_a_packet(&told[i]))
                        told[i].family = 4;
        knobs.vxlan_port = PORT;
        stay_on_one_cpu();
        lab_share_scratch("tunnel_scratch");
        return stories_run("tunnel", told, N_STORIES, &knobs);
}
