/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the dataplane's programs cost, in ns above a program that passes the packet, among 10,000 services of ten
 * backends; needs root. Measured by the `duration` of BPF_PROG_TEST_RUN, behind programs that restore the packet
 * (bpf/restore.bpf.c). The best of a few rounds, because what else the machine does makes a round only slower.
 *   ..._one: packets of one connection; ..._many: of 20,000 in turn; ..._new: each begins one, and once the flow table
 *   is full each takes the place of an old one.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bpf/restore.h"
#include "bpf/lab.h"

#define ROUNDS       7
#define REPEAT       50000
#define MANY         20000
#define SERVICES     10000
#define ENDPOINTS    10
#define NODEPORT_MIN 30000
#define NODEPORTS    2700
#define FLOW_SETS    16384
#define VIPS         0x0a610000u /* 10.97.0.0 and on */
#define CLIENTS      0xc6336400u /* 198.51.100.0 and on */

#define FROM_IP (ETH_HLEN + 12)
#define TO_IP   (ETH_HLEN + 16)
#define SPORT   (ETH_HLEN + 20)
#define DPORT   (ETH_HLEN + 22)

enum course {
        ONE,
        EVERY,
        BEGIN,
        COURSES,
};

static const char *const course_names[COURSES] = {"one", "many", "new"};

static const uint32_t wraps[COURSES] = {[ONE] = 1, [EVERY] = MANY};

/* What is measured: packets at a hook. */
struct path {
        const char *name;
        enum hook hook;
        struct packet_spec packet;
        struct restore_part word, half[2];
        bool flows; /* it keeps connection state: measured in every course */
        int verdict;
};

struct bench {
        struct lab lab;
        struct bpf_object *restore;
        int image, next[2], run[2], pass[2]; /* of TC, of XDP */
};

static void die(const char *what)
{
        fprintf(stderr, "dataplane_programs: %s: %s\n", what, strerror(errno));
        exit(1);
}

static void set(const struct bench *b, enum map_id map, const void *key, const void *value)
{
        if (bpf_map_update_elem(b->lab.map[map], key, value, BPF_ANY) < 0)
                die("cannot write a map");
}

/* --- the services */

static void backend(struct bench *b, uint32_t id, uint32_t service, enum who who)
{
        struct backend value = {.addr = packet_addr(who, 4),
                                .port = htons((uint16_t)(8000 + id % 50000)),
                                .proto = IPPROTO_TCP,
                                .flags = who == POD_B ? BACKEND_LOCAL : 0,
                                .service = service,
                                .generation = 1};

        set(b, MAP_BACKENDS, &id, &value);
}

/* Service i, at a ClusterIP of its own with backends on this node, and the first ones at a NodePort, too, with backends
 * on the other node. */
static void service(struct bench *b, uint32_t i, struct filters *filters)
{
        uint32_t id = 2 * i + 1, line[2] = {2 * i + 1, 2 * i + 2};
        struct slot_line slots[2] = {{{0}}};
        struct service value = {
                .id = id, .in = {line[0] * SLOT_LINE, ENDPOINTS}, .out = {line[0] * SLOT_LINE, ENDPOINTS}};
        struct service_key key = {.addr = packet_addr(ANY, 4), .port = htons(80), .proto = IPPROTO_TCP};
        uint32_t bit;

        for (uint32_t k = 0; k < ENDPOINTS; k++) {
                slots[0].backend[k] = i * 2 * ENDPOINTS + k + 1;
                slots[1].backend[k] = slots[0].backend[k] + ENDPOINTS;
                backend(b, slots[0].backend[k], id, POD_B);
                backend(b, slots[1].backend[k], id + 1, POD_R);
        }
        for (int k = 0; k < 2; k++)
                set(b, MAP_SLOTS, &line[k], &slots[k]);
        key.addr.w[3] = htonl(VIPS + i);
        set(b, MAP_SERVICES, &key, &value);
        bit = addr_filter_bit(&key.addr);
        filters->address[bit / 64] |= 1ULL << bit % 64;
        if (i >= NODEPORTS)
                return;
        key.addr.w[3] = 0;
        key.port = htons((uint16_t)(NODEPORT_MIN + i));
        value = (struct service){.id = id + 1,
                                 .flags = SERVICE_EXTERNAL,
                                 .in = {line[1] * SLOT_LINE, ENDPOINTS},
                                 .out = {line[1] * SLOT_LINE, ENDPOINTS}};
        set(b, MAP_SERVICES, &key, &value);
        filters->tcp[(NODEPORT_MIN + i) / 64] |= 1ULL << (NODEPORT_MIN + i) % 64;
}

static void services(struct bench *b)
{
        static struct filters filters;
        uint32_t zero = 0;

        memset(&filters, 0, sizeof(filters));
        for (uint32_t i = 0; i < SERVICES; i++)
                service(b, i, &filters);
        set(b, MAP_FILTERS, &zero, &filters);
}

/* --- the programs that restore */

static int program(const struct bench *b, const char *name)
{
        struct bpf_program *p = bpf_object__find_program_by_name(b->restore, name);

        if (!p)
                die(name);
        return bpf_program__fd(p);
}

static int map(const struct bench *b, const char *name)
{
        int fd = bpf_object__find_map_fd_by_name(b->restore, name);

        if (fd < 0)
                die(name);
        return fd;
}

static void open_bench(struct bench *ret, bool tunnel)
{
        const char *build = getenv("FL_BUILD");
        struct knobs knobs = lab_knobs();
        char path[4096];

        knobs.flow_sets = FLOW_SETS;
        knobs.snat_port_min = 32768; /* room for all the connections that are under way here */
        knobs.snat_port_max = 65535;
        if (!tunnel)
                knobs.flags &= ~(uint32_t)KNOB_TUNNEL;
        lab_open(&ret->lab, &knobs);
        snprintf(path, sizeof(path), "%s/bench/restore.bpf.o", build ? build : "build");
        ret->restore = bpf_object__open_file(path, NULL);
        if (!ret->restore || bpf_object__load(ret->restore) < 0)
                die(path);
        ret->image = map(ret, "image");
        ret->next[0] = map(ret, "next_tc");
        ret->next[1] = map(ret, "next_xdp");
        ret->run[0] = program(ret, "restore_tc");
        ret->run[1] = program(ret, "restore_xdp");
        ret->pass[0] = program(ret, "pass_tc");
        ret->pass[1] = program(ret, "pass_xdp");
        services(ret);
}

/* --- measuring */

static struct restore image_of(const struct packet *p, const struct path *path, enum course course)
{
        struct restore r = {.word = path->word, .half = {path->half[0], path->half[1]}, .wrap = wraps[course]};

        memcpy(r.head, p->data, RESTORE_BYTES);
        return r;
}

/* ns a packet. */
static double run(const struct bench *b, const struct path *path, const struct packet *p, int target, uint32_t repeat,
                  int verdict)
{
        bool xdp = path->hook == HOOK_EDGE;
        uint32_t zero = 0;
        struct __sk_buff skb = {.ifindex = path->hook == HOOK_FROM_POD ? b->lab.pod_a : b->lab.uplink};
        struct xdp_md md = {.data_end = (uint32_t)p->len, .ingress_ifindex = b->lab.uplink};
        LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = p->data, .data_size_in = (uint32_t)p->len,
                    .repeat = (int)repeat);

        opts.ctx_in = xdp ? (void *)&md : &skb;
        opts.ctx_size_in = xdp ? sizeof(md) : sizeof(skb);
        if (bpf_map_update_elem(b->next[xdp], &zero, &target, BPF_ANY) < 0)
                die("cannot set the program under test");
        if (bpf_prog_test_run_opts(b->run[xdp], &opts) < 0)
                die(path->name);
        if ((int)opts.retval != verdict) {
                fprintf(stderr, "dataplane_programs: %s: verdict %d and not %d\n", path->name, (int)opts.retval,
                        verdict);
                exit(1);
        }
        return opts.duration;
}

static void set_image(const struct bench *b, const struct restore *image)
{
        uint32_t zero = 0;

        if (bpf_map_update_elem(b->image, &zero, image, BPF_ANY) < 0)
                die("cannot set the packet");
}

/* Connections that the flow table has been given so far: two entries each. */
static uint64_t begun(const struct bench *b)
{
        struct flow_counters values[256];
        uint64_t inserted = 0;
        uint32_t zero = 0;

        if (b->lab.cpus > 256 || bpf_map_lookup_elem(b->lab.map[MAP_FLOW_COUNTERS], &zero, values) < 0)
                die("cannot read the flow table's counters");
        for (int cpu = 0; cpu < b->lab.cpus; cpu++)
                inserted += values[cpu].inserted;
        return inserted;
}

/* The packets did what they were meant to: nearly each has begun a connection, or nearly none (some sets of the flow
 * table get more connections than they have room for). */
static void check_course(const struct path *path, enum course course, uint64_t connections)
{
        uint64_t packets = (uint64_t)ROUNDS * REPEAT;

        if (course == BEGIN ? connections < packets * 98 / 100 : connections > packets / 100) {
                fprintf(stderr, "dataplane_programs: %s %s: %llu packets began %llu connections\n", path->name,
                        course_names[course], (unsigned long long)packets, (unsigned long long)connections);
                exit(1);
        }
}

static double measure(struct bench *b, const struct path *path, enum course course)
{
        bool xdp = path->hook == HOOK_EDGE;
        uint32_t warm = course == BEGIN ? 4 * REPEAT : course == EVERY ? MANY : 1;
        struct packet_spec begin = path->packet;
        struct restore first, image;
        struct packet syn, packet;
        double best = 1e9, floor = 1e9;
        uint64_t before;

        begin.tcp_flags = TH_SYN_;
        packet_build(&syn, &begin, 4);
        packet_build(&packet, &path->packet, 4);
        first = image_of(&syn, path, course);
        image = course == BEGIN ? first : image_of(&packet, path, course);
        lab_clear_flows(&b->lab);
        set_image(b, &first);
        run(b, path, &packet, b->lab.program[path->hook], warm, path->verdict);
        image.number = course == BEGIN ? warm : 0;
        set_image(b, &image);
        before = begun(b);
        for (int i = 0; i < ROUNDS; i++) {
                double ns = run(b, path, &packet, b->lab.program[path->hook], REPEAT, path->verdict);

                best = ns < best ? ns : best;
        }
        check_course(path, course, begun(b) - before);
        for (int i = 0; i < ROUNDS; i++) {
                double ns = run(b, path, &packet, b->pass[xdp], REPEAT, xdp ? (int)XDP_PASS : TC_ACT_OK);

                floor = ns < floor ? ns : floor;
        }
        return best - floor;
}

#define SEGMENT(from_, sport_, to_, dport_)                                                                            \
        .src = (from_), .sport = (sport_), .dst = (to_), .dport = (dport_), .proto = IPPROTO_TCP,                      \
        .tcp_flags = TH_ACK_, .payload = 64
#define AT_POD  .smac = MAC_POD_A, .dmac = MAC_GATEWAY
#define AT_NODE .smac = MAC_ROUTER, .dmac = MAC_UPLINK

static const struct path direct_paths[] = {
        {.name = "pod_to_pod", .hook = HOOK_FROM_POD, .packet = {SEGMENT(POD_A, 40000, POD_B, 80), AT_POD}},
        {.name = "pod_to_node_native", .hook = HOOK_FROM_POD, .packet = {SEGMENT(POD_A, 40000, POD_R, 80), AT_POD}},
        {.name = "pod_to_cluster_ip",
         .hook = HOOK_FROM_POD,
         .packet = {SEGMENT(POD_A, 40000, VIP, 80), AT_POD},
         .word = {TO_IP, VIPS, SERVICES},
         .half = {{SPORT, 1024, 59999}},
         .flows = true},
        {.name = "nodeport_xdp",
         .hook = HOOK_EDGE,
         .packet = {SEGMENT(CLIENT, 40000, NODE, NODEPORT_MIN), AT_NODE},
         .word = {FROM_IP, CLIENTS, 65521},
         .half = {{DPORT, NODEPORT_MIN, NODEPORTS}, {SPORT, 1024, 59999}},
         .flows = true},
        {.name = "nodeport_tc",
         .hook = HOOK_UPLINK,
         .packet = {SEGMENT(CLIENT, 40000, NODE, NODEPORT_MIN), AT_NODE},
         .word = {FROM_IP, CLIENTS, 65521},
         .half = {{DPORT, NODEPORT_MIN, NODEPORTS}, {SPORT, 1024, 59999}},
         .flows = true},
};

static const struct path tunnel_paths[] = {
        {.name = "pod_to_node_vxlan", .hook = HOOK_FROM_POD, .packet = {SEGMENT(POD_A, 40000, POD_R, 80), AT_POD}},
        {.name = "nodeport_tc_vxlan",
         .hook = HOOK_UPLINK,
         .packet = {SEGMENT(CLIENT, 40000, NODE, NODEPORT_MIN), AT_NODE},
         .word = {FROM_IP, CLIENTS, 65521},
         .half = {{DPORT, NODEPORT_MIN, NODEPORTS}, {SPORT, 1024, 59999}},
         .flows = true},
};

static void measure_all(const struct path *paths, size_t n, bool tunnel)
{
        struct bench b;

        open_bench(&b, tunnel);
        for (size_t i = 0; i < n; i++) {
                struct path path = paths[i];

                path.verdict = path.hook == HOOK_EDGE ? (int)XDP_TX : TC_ACT_REDIRECT;
                if (!path.flows)
                        printf("%s_ns=%.0f\n", path.name, measure(&b, &path, ONE));
                for (int course = 0; path.flows && course < COURSES; course++)
                        printf("%s_%s_ns=%.0f\n", path.name, course_names[course],
                               measure(&b, &path, (enum course)course));
        }
        bpf_object__close(b.restore);
        lab_close(&b.lab);
}

int main(void)
{
        measure_all(direct_paths, sizeof(direct_paths) / sizeof(*direct_paths), false);
        measure_all(tunnel_paths, sizeof(tunnel_paths) / sizeof(*tunnel_paths), true);
        return 0;
}
