/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the dataplane's programs cost, in ns above a program that only parses the packet, among 10,000 services of ten
 * backends; needs root. Measured by the `duration` of BPF_PROG_TEST_RUN, behind programs that restore the packet
 * (bpf/restore.bpf.c), which the parsing program is behind as well. Each figure is the median of a few rounds, less
 * the median of the parsing program's rounds, which take turns with them.
 *   <path>_<flows>_ns       packets of so many connections in turn, that have begun before
 *   <path>_new_<flows>_ns   each packet begins a connection, among so many others, in a table that has room for it
 *   <path>_new_full_ns      the same in a table of the default size that is full: each takes the place of another
 *   <path>_new_warm_ns      the same of 16 services in a small table that the cache holds: for the program's own cost,
 * as measurements that repeat one packet show it <path>_memory_<flows>_ns  the parsing program that also reads one
 * entry anywhere in that table: for the processor's wait alone <path>_ns               no connection state One JSON
 * object a figure: value (the median), min, max (of the rounds), rounds, unit.
 *
 * Tables are four times as large as their connections' entries, so that hardly any set has more of them than room: of
 * 64 MB for 1 and 64k, of 1 GB for 1m; for 16k it is that of the default size, 16 MB. Connections take turns, one
 * packet each, and their places in the table have no order: no packet finds in the cache what the one before has used.
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

#define ROUNDS_MAX    15
#define ROUNDS_LONG   5 /* where a round begins with a million packets */
#define REPEAT        40000
#define REPEAT_NEW    20000
#define SERVICES      10000
#define ENDPOINTS     10
#define WARM_SERVICES 16
#define WARM_REPEAT   500 /* connections; their table has room for eight times as many, in 512 KB */
#define WARM_RUNS     40  /* a round */
#define NODEPORT_MIN  30000
#define NODEPORTS     2700
#define VIPS          0x0a610000u /* 10.97.0.0 and on */
#define CLIENTS       0xc6336400u /* 198.51.100.0 and on */

#define FROM_IP (ETH_HLEN + 12)
#define TO_IP   (ETH_HLEN + 16)
#define SPORT   (ETH_HLEN + 20)
#define DPORT   (ETH_HLEN + 22)

/* How many connections there are, and how large the table is that has them. */
struct crowd {
        const char *name;
        uint32_t flows;
        uint32_t sets;
        bool established, full; /* full: of new ones, the table is filled up before */
        bool warm;              /* of new ones: everything that they touch is in the cache */
};

static const struct crowd crowds[] = {
        {"1", 1, 65536, true, false, false},
        {"64k", 65536, 65536, true, false, false},
        {"1m", 1048576, 1048576, true, false, false},
        {"16k", 16384, FLOW_SETS_DEFAULT, true, false, false},
        {"warm", 0, 512, false, false, true},
        {"full", 4 * FLOW_SETS_DEFAULT *FLOW_WAYS / 2, FLOW_SETS_DEFAULT, false, true, false},
};

/* What is measured: packets at a hook. */
struct path {
        const char *name;
        enum hook hook;
        struct packet_spec packet;
        struct restore_part word, half[2];
        bool flows; /* it keeps connection state */
        int verdict;
};

struct bench {
        struct lab lab;
        struct bpf_object *restore;
        int image, next[2], run[2], parse[2], memory[2]; /* of TC, of XDP */
        int rounds;
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

static struct bpf_object *open_restore(const char *path, int flows, uint32_t sets)
{
        struct bpf_object *o = bpf_object__open_file(path, NULL);
        struct bpf_map *m;

        if (!o || bpf_map__reuse_fd(bpf_object__find_map_by_name(o, "flows"), flows) < 0)
                die(path);
        for (m = bpf_object__next_map(o, NULL); m; m = bpf_object__next_map(o, m))
                if (strstr(bpf_map__name(m), ".rodata") && bpf_map__set_initial_value(m, &sets, sizeof(sets)) < 0)
                        die("cannot tell the size of the flow table");
        if (bpf_object__load(o) < 0)
                die(path);
        return o;
}

static void open_bench(struct bench *ret, bool tunnel, uint32_t sets)
{
        const char *build = getenv("FL_BUILD");
        struct knobs knobs = lab_knobs();
        char path[4096];

        knobs.flow_sets = sets;
        knobs.snat_port_min = 32768; /* room for all the connections that are under way here */
        knobs.snat_port_max = 65535;
        if (!tunnel)
                knobs.flags &= ~(uint32_t)KNOB_TUNNEL;
        lab_open(&ret->lab, &knobs);
        snprintf(path, sizeof(path), "%s/bench/restore.bpf.o", build ? build : "build");
        ret->restore = open_restore(path, ret->lab.map[MAP_FLOWS], sets);
        ret->image = map(ret, "image");
        ret->next[0] = map(ret, "next_tc");
        ret->next[1] = map(ret, "next_xdp");
        ret->run[0] = program(ret, "restore_tc");
        ret->run[1] = program(ret, "restore_xdp");
        ret->parse[0] = program(ret, "parse_tc");
        ret->parse[1] = program(ret, "parse_xdp");
        ret->memory[0] = program(ret, "memory_tc");
        ret->memory[1] = program(ret, "memory_xdp");
        ret->rounds = getenv("FL_QUICK") ? 5 : ROUNDS_MAX;
        services(ret);
}

/* --- measuring */

/* wrap: after so many packets the first one comes again; 0: never. */
static struct restore image_of(const struct packet *p, const struct path *path, uint32_t wrap)
{
        struct restore r = {.word = path->word, .half = {path->half[0], path->half[1]}, .wrap = wrap};

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
static void check_begun(const struct path *path, bool begin, uint64_t packets, uint64_t connections)
{
        if (begin ? connections < packets * 98 / 100 : connections > packets / 100) {
                fprintf(stderr, "dataplane_programs: %s %s: %llu packets began %llu connections\n", path->name,
                        begin ? "new" : "established", (unsigned long long)packets, (unsigned long long)connections);
                exit(1);
        }
}

/* The rounds of one figure: of the program and of the one that only parses. */
struct rounds {
        double program[ROUNDS_MAX], parse[ROUNDS_MAX];
        int count;
};

static void run_parse(const struct bench *b, const struct path *path, const struct packet *p, struct rounds *r)
{
        bool xdp = path->hook == HOOK_EDGE;

        r->parse[r->count] = run(b, path, p, b->parse[xdp], REPEAT, xdp ? (int)XDP_PASS : TC_ACT_OK);
}

static int by_size(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

static void tell(const char *path, const char *what, const char *crowd, struct rounds *r)
{
        double floor;

        qsort(r->program, (size_t)r->count, sizeof(double), by_size);
        qsort(r->parse, (size_t)r->count, sizeof(double), by_size);
        floor = r->parse[r->count / 2];
        printf("{\"name\": \"%s%s%s_ns\", \"value\": %.0f, \"min\": %.0f, \"max\": %.0f, \"rounds\": %d, \"floor\": "
               "%.0f, "
               "\"unit\": \"ns\"}\n",
               path, what, crowd, r->program[r->count / 2] - floor, r->program[0] - r->parse[0],
               r->program[r->count - 1] - floor, r->count, floor);
        fflush(stdout);
}

/* Packets of connections that have begun. */
static void measure_established(struct bench *b, const struct path *path, uint32_t flows, struct rounds *ret)
{
        struct packet_spec begin = path->packet;
        struct restore image;
        struct packet packet;
        uint64_t before;

        begin.tcp_flags = TH_SYN_;
        packet_build(&packet, &begin, 4);
        image = image_of(&packet, path, flows);
        lab_clear_flows(&b->lab);
        set_image(b, &image);
        run(b, path, &packet, b->lab.program[path->hook], flows, path->verdict);
        packet_build(&packet, &path->packet, 4);
        image = image_of(&packet, path, flows);
        set_image(b, &image);
        before = begun(b);
        for (ret->count = 0; ret->count < b->rounds; ret->count++) {
                ret->program[ret->count] = run(b, path, &packet, b->lab.program[path->hook], REPEAT, path->verdict);
                run_parse(b, path, &packet, ret);
        }
        check_begun(path, false, (uint64_t)b->rounds * REPEAT, begun(b) - before);
}

/* Packets that begin connections. Where there shall be room, each round begins with the crowd alone. */
static void measure_new(struct bench *b, const struct path *path, const struct crowd *crowd, struct rounds *ret)
{
        struct packet_spec begin = path->packet;
        struct packet packet;
        struct restore image;
        uint64_t connections = 0, before;
        int rounds = !crowd->full && crowd->flows > 100000 ? ROUNDS_LONG : b->rounds;

        begin.tcp_flags = TH_SYN_;
        packet_build(&packet, &begin, 4);
        for (ret->count = 0; ret->count < rounds; ret->count++) {
                if (ret->count == 0 || !crowd->full) {
                        image = image_of(&packet, path, 0);
                        lab_clear_flows(&b->lab);
                        set_image(b, &image);
                        run(b, path, &packet, b->lab.program[path->hook], crowd->flows, path->verdict);
                }
                before = begun(b);
                ret->program[ret->count] = run(b, path, &packet, b->lab.program[path->hook], REPEAT_NEW, path->verdict);
                connections += begun(b) - before;
                run_parse(b, path, &packet, ret);
        }
        check_begun(path, true, (uint64_t)rounds * REPEAT_NEW, connections);
}

/* A packet's part that says which service it is for. */
static void few_services(struct path *path)
{
        struct restore_part *parts[] = {&path->word, &path->half[0], &path->half[1]};

        for (size_t i = 0; i < 3; i++)
                if (parts[i]->offset == TO_IP || parts[i]->offset == DPORT)
                        parts[i]->count = WARM_SERVICES;
}

/* Short runs, between which the table is emptied: it stays in the cache, and never fills up. */
static void measure_warm(struct bench *b, const struct path *what, struct rounds *ret)
{
        struct path path = *what;
        struct packet_spec begin = path.packet;
        struct packet packet;
        struct restore image;
        uint64_t before = begun(b);

        few_services(&path);
        begin.tcp_flags = TH_SYN_;
        packet_build(&packet, &begin, 4);
        image = image_of(&packet, &path, 0);
        set_image(b, &image);
        for (ret->count = 0; ret->count < b->rounds; ret->count++) {
                ret->program[ret->count] = 0;
                for (int i = 0; i < WARM_RUNS; i++) {
                        lab_clear_flows(&b->lab);
                        ret->program[ret->count] +=
                                run(b, &path, &packet, b->lab.program[path.hook], WARM_REPEAT, path.verdict) /
                                WARM_RUNS;
                }
                run_parse(b, &path, &packet, ret);
        }
        check_begun(&path, true, (uint64_t)b->rounds * WARM_RUNS * WARM_REPEAT, begun(b) - before);
}

/* What a wait for one entry of the table costs here and now. */
static void measure_memory(struct bench *b, const struct path *path, struct rounds *ret)
{
        struct packet packet;
        struct restore image;
        bool xdp = path->hook == HOOK_EDGE;

        packet_build(&packet, &path->packet, 4);
        image = image_of(&packet, path, 1);
        set_image(b, &image);
        for (ret->count = 0; ret->count < b->rounds; ret->count++) {
                ret->program[ret->count] =
                        run(b, path, &packet, b->memory[xdp], REPEAT, xdp ? (int)XDP_PASS : TC_ACT_OK);
                run_parse(b, path, &packet, ret);
        }
}

static void measure_crowd(struct bench *b, const struct path *path, const struct crowd *crowd)
{
        struct rounds rounds;

        if (crowd->established) {
                measure_established(b, path, crowd->flows, &rounds);
                tell(path->name, "_", crowd->name, &rounds);
                measure_memory(b, path, &rounds);
                tell(path->name, "_memory_", crowd->name, &rounds);
        }
        if (crowd->warm)
                measure_warm(b, path, &rounds);
        else
                measure_new(b, path, crowd, &rounds);
        tell(path->name, "_new_", crowd->name, &rounds);
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

/* Arguments are paths' names; none: all. */
static int chosen_count;
static char **chosen;

static bool is_chosen(const struct path *path)
{
        for (int i = 0; i < chosen_count; i++)
                if (strcmp(chosen[i], path->name) == 0)
                        return true;
        return chosen_count == 0;
}

static void measure_path(struct bench *b, const struct path *what, const struct crowd *crowds_, size_t n)
{
        struct path path = *what;
        struct rounds rounds;

        path.verdict = path.hook == HOOK_EDGE ? (int)XDP_TX : TC_ACT_REDIRECT;
        for (size_t i = 0; path.flows && i < n; i++)
                measure_crowd(b, &path, &crowds_[i]);
        if (path.flows)
                return;
        measure_established(b, &path, 1, &rounds);
        tell(path.name, "", "", &rounds);
}

static void measure_all(const struct path *paths, size_t n, bool tunnel)
{
        size_t first = 0, next;

        for (; first < sizeof(crowds) / sizeof(*crowds); first = next) {
                struct bench b = {.rounds = 0};

                for (next = first + 1; next < sizeof(crowds) / sizeof(*crowds); next++)
                        if (crowds[next].sets != crowds[first].sets)
                                break;
                open_bench(&b, tunnel, crowds[first].sets);
                for (size_t i = 0; i < n; i++)
                        if ((paths[i].flows || first == 0) && is_chosen(&paths[i]))
                                measure_path(&b, &paths[i], &crowds[first], next - first);
                bpf_object__close(b.restore);
                lab_close(&b.lab);
        }
}

int main(int argc, char **argv)
{
        chosen_count = argc - 1;
        chosen = argv + 1;
        measure_all(direct_paths, sizeof(direct_paths) / sizeof(*direct_paths), false);
        measure_all(tunnel_paths, sizeof(tunnel_paths) / sizeof(*tunnel_paths), true);
        return 0;
}
