// SPDX-License-Identifier: Apache-2.0
/* Programs, devices, runs. */
#include "model/rig.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/rig_impl.h"

void rig_die(const char *what, int error)
{
        fprintf(stderr, "tests/model: %s: %s\n", what, strerror(abs(error)));
        exit(EXIT_FAILURE);
}

void rig_set(struct rig *rig, enum map_id map, const void *key, const void *value)
{
        if (bpf_map_update_elem(rig->lab.map[map], key, value, BPF_ANY))
                rig_die("a map", errno);
}

/* --- devices: those of tests/bpf/netns.c, and a second NIC, a third pod, and routes that lead elsewhere or nowhere */

static void text_of(enum place place, bool v6, unsigned bits, char ret[static PLACE_TEXT])
{
        struct addr a = place_addr(place, 0, v6);

        for (unsigned bit = v6 || bits > 32 ? bits : 96 + bits; bit < 128; bit++)
                a.b[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
        addr_text(&a, ret);
}

static const char *const nics[WORLD_UPLINKS] = {"uplink", "uplink_b"};

/* The MTU is locked: of other ones bpf_fib_lookup does not know for IPv6. */
static void write_kernel_route(FILE *ip, const struct kernel_route *r, bool v6)
{
        char to[PLACE_TEXT], via[PLACE_TEXT];

        text_of(r->place, v6, v6 ? r->bits6 : r->bits4, to);
        text_of(r->gateway, v6, 128, via);
        if (r->kind == KERNEL_UNREACHABLE)
                fprintf(ip, "route replace unreachable %s/%u\n", to, v6 ? r->bits6 : r->bits4);
        else if (r->kind == KERNEL_VIA && r->mtu)
                fprintf(ip, "route replace %s/%u via %s mtu lock %u\n", to, v6 ? r->bits6 : r->bits4, via, r->mtu);
        else if (r->kind == KERNEL_VIA && r->place != PLACE_NOBODY)
                fprintf(ip, "route replace %s/%u via %s\n", to, v6 ? r->bits6 : r->bits4, via);
}

static void write_devices(FILE *ip)
{
        static const char *const more =
                "link add pod_c address 02:00:00:00:00:09 type veth peer name pod_c_in\n"
                "link add uplink_b address 02:00:00:00:03:01 type veth peer name router_b address 02:00:00:00:03:fe\n"
                "link set pod_c up\nlink set pod_c_in up\nlink set router_b up\nlink set uplink_b up\n"
                "addr add 198.18.0.1/24 dev uplink_b\naddr add 2001:db8:18::1/64 dev uplink_b nodad\n"
                "neigh add 198.18.0.254 lladdr 02:00:00:00:03:fe dev uplink_b nud permanent\n"
                "neigh add 2001:db8:18::254 lladdr 02:00:00:00:03:fe dev uplink_b nud permanent\n"
                "route add 10.244.1.7 dev pod_c\nroute add fd00:1::7 dev pod_c\n"
                "neigh add 10.244.1.7 lladdr 02:00:00:00:00:0c dev pod_c nud permanent\n"
                "neigh add fd00:1::7 lladdr 02:00:00:00:00:0c dev pod_c nud permanent\n";

        fputs(more, ip);
        for (size_t i = 0; i < 2 * kernel_routes_n; i++)
                write_kernel_route(ip, &kernel_routes[i / 2], i % 2);
}

static void forwarding_on(const char *name)
{
        char path[128];
        FILE *f;

        for (int v6 = 0; v6 < 2; v6++) {
                snprintf(path, sizeof(path), "/proc/sys/net/ipv%d/conf/%s/forwarding", v6 ? 6 : 4, name);
                f = fopen(path, "w");
                if (!f || fputs("1", f) < 0 || fclose(f))
                        rig_die(path, errno);
        }
}

static void find_devices(struct rig *rig)
{
        static bool made;
        FILE *ip;

        if (!made) {
                ip = popen("ip -batch -", "w");
                if (!ip)
                        rig_die("ip(8)", errno);
                write_devices(ip);
                if (pclose(ip))
                        rig_die("cannot make more devices with ip(8)", EINVAL);
                forwarding_on("pod_c");
                forwarding_on("uplink_b");
        }
        made = true;
        rig->devices = (struct devices){.pods = {rig->lab.pod_a, rig->lab.pod_b, if_nametoindex("pod_c")},
                                        .uplinks = {rig->lab.uplink, if_nametoindex(nics[1])},
                                        .vxlan = rig->lab.vxlan};
}

/* --- places in the programs' own memory, by their BTF */

static uint32_t member_at(const struct btf *btf, const char *type, const char *member)
{
        int id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT);
        const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

        for (uint32_t i = 0; t && i < btf_vlen(t); i++)
                if (strcmp(btf__name_by_offset(btf, btf_members(t)[i].name_off), member) == 0)
                        return btf_member_bit_offset(t, i) / 8;
        fprintf(stderr, "tests/model: struct %s has no %s any more: mend rig.c\n", type, member);
        exit(EXIT_FAILURE);
}

static uint32_t variable_at(const struct btf *btf, const char *section, const char *name)
{
        int id = btf__find_by_name_kind(btf, section, BTF_KIND_DATASEC);
        const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

        for (uint32_t i = 0; t && i < btf_vlen(t); i++) {
                const struct btf_var_secinfo *var = &btf_var_secinfos(t)[i];

                if (strcmp(btf__name_by_offset(btf, btf__type_by_id(btf, var->type)->name_off), name) == 0)
                        return var->offset;
        }
        fprintf(stderr, "tests/model: there is no variable %s in %s any more: mend rig.c\n", name, section);
        exit(EXIT_FAILURE);
}

static struct bpf_map *find_map(const struct rig *rig, int object, const char *name)
{
        struct bpf_map *map;

        bpf_object__for_each_map(map, rig->lab.objects[object])
        {
                const char *is = bpf_map__name(map);
                size_t len = strlen(is);

                /* .bss has the beginning of the object's name before it. */
                if (strcmp(is, name) == 0 || (len > strlen(name) && strcmp(is + len - strlen(name), name) == 0))
                        return map;
        }
        rig_die(name, ENOENT);
}

int rig_object_map(const struct rig *rig, int object, const char *name)
{
        return bpf_map__fd(find_map(rig, object, name));
}

static void find_places(struct rig *rig)
{
        const struct btf *btf = bpf_object__btf(rig->lab.objects[0]);

        rig->way_at = member_at(btf, "hook_work", "way");
        rig->way_ifindex = member_at(btf, "way", "ifindex");
        rig->way_next = member_at(btf, "way", "next");
        rig->way_tunnel = member_at(btf, "way", "tunnel");
        rig->scratch_size = (bpf_map__value_size(find_map(rig, 0, "hook_scratch")) + 7) & ~7U;
        if ((size_t)rig->lab.cpus * rig->scratch_size > 64 * 1024)
                rig_die("too many CPUs", E2BIG);
        for (int i = 0; i < RIG_OBJECTS; i++) {
                rig->scratch[i] = rig_object_map(rig, i, "hook_scratch");
                if (i != 3) /* the edge answers nothing */
                        rig->answers_at[i] = variable_at(bpf_object__btf(rig->lab.objects[i]), ".bss", "reject_rates");
        }
}

/* seconds 0: as if none had been given in this second. */
static void set_answers(struct rig *rig, uint32_t given)
{
        uint32_t rates[4] = {rig->clock, given, rig->clock, given};

        for (int i = 0; i < RIG_OBJECTS; i++) {
                struct bpf_map *bss = i == 3 ? NULL : find_map(rig, i, ".bss");
                uint32_t zero = 0, size = bss ? bpf_map__value_size(bss) : 0;
                uint8_t value[4096];

                if (!bss)
                        continue;
                if (size > sizeof(value) || bpf_map_lookup_elem(bpf_map__fd(bss), &zero, value))
                        rig_die(".bss", errno);
                memcpy(value + rig->answers_at[i], rates, sizeof(rates));
                if (bpf_map_update_elem(bpf_map__fd(bss), &zero, value, BPF_ANY))
                        rig_die(".bss", errno);
        }
}

/* --- life */

static void stay_on_one_cpu(struct rig *rig)
{
        cpu_set_t set;

        rig->cpu = sched_getcpu();
        CPU_ZERO(&set);
        CPU_SET((size_t)rig->cpu, &set);
        if (sched_setaffinity(0, sizeof(set), &set))
                rig_die("sched_setaffinity", errno);
}

/*
 * The programs' second is of 2^31 jiffies here, so that it does not change: by bpf/lib/clock.h it is the 300th, or the
 * 299th in the first minutes after a boot (jiffies begin 300 seconds before 32 bits overflow).
 */
static uint32_t still_second(void)
{
        struct timespec now;

        clock_gettime(CLOCK_BOOTTIME, &now);
        if (now.tv_sec < 310)
                rig_die("the machine must have been up for 310 seconds", EAGAIN);
        return 300;
}

struct rig *rig_open(const struct knobs *knobs)
{
        struct rig *rig = calloc(1, sizeof(*rig));
        struct knobs still = *knobs;

        if (!rig)
                abort();
        still.hz = 1U << 31;
        rig->clock = still_second();
        lab_open(&rig->lab, &still);
        stay_on_one_cpu(rig);
        find_devices(rig);
        find_places(rig);
        rig_tables_open(rig);
        rig_look_open(rig);
        return rig;
}

void rig_close(struct rig *rig)
{
        rig_tables_close(rig);
        lab_close(&rig->lab);
        free(rig->counters);
        free(rig->counters_now);
        free(rig->shadow);
        free(rig);
}

const struct devices *rig_devices(const struct rig *rig)
{
        return &rig->devices;
}

const struct ids *rig_ids(const struct rig *rig)
{
        return &rig->ids;
}

static void clear(struct rig *rig, enum map_id map)
{
        uint8_t key[128];

        while (bpf_map_get_next_key(rig->lab.map[map], NULL, key) == 0)
                if (bpf_map_delete_elem(rig->lab.map[map], key))
                        rig_die("a map", errno);
}

void rig_begin(struct rig *rig, const struct world *world)
{
        clear(rig, MAP_AFFINITY);
        clear(rig, MAP_FRAGMENTS);
        rig->age = 1000000;
        rig_tables_write(rig, world);
        rig_look_begin(rig);
        set_answers(rig, 0);
}

void rig_changed(struct rig *rig, const struct world *world)
{
        rig_tables_write(rig, world);
}

bool rig_end(struct rig *rig)
{
        return rig_tables_empty(rig);
}

void rig_clock(struct rig *rig, uint32_t seconds)
{
        rig_look_clock(rig, seconds);
        set_answers(rig, 0);
}

void rig_spend_answers(struct rig *rig)
{
        set_answers(rig, 1U << 30);
}

static uint64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void rig_debt(struct rig *rig, const struct world *world, unsigned pod, bool egress, uint32_t bits)
{
        uint32_t key = rig->devices.pods[pod] % POD_SLOTS;
        struct bucket bucket = {0};
        uint64_t at = now_ns() + (uint64_t)bits * 1000000000 / 8;

        if (!(egress ? world->pods[pod].egress_bits : world->pods[pod].ingress_bits))
                return;
        if (bpf_map_lookup_elem(rig->lab.map[MAP_BUCKETS], &key, &bucket))
                rig_die("buckets", errno);
        if (egress)
                bucket.egress_ns = at;
        else
                bucket.ingress_ns = at;
        rig_set(rig, MAP_BUCKETS, &key, &bucket);
}

void rig_run(struct rig *rig, const struct event *e, struct observed *ret)
{
        struct __sk_buff skb = {.ifindex = e->ifindex, .mark = e->marked ? LAB_MARK : 0}, ret_skb = {0};
        struct xdp_md xdp = {.data_end = (uint32_t)e->in.len, .ingress_ifindex = e->ifindex}, ret_xdp = {0};
        bool edge = e->hook == HOOK_EDGE;
        LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = e->in.b, .data_size_in = (uint32_t)e->in.len,
                    .data_out = ret->out.b, .data_size_out = FRAME_MAX, .repeat = 1);

        skb.gso_size = e->gso;
        skb.gso_segs = e->gso ? 2 : 0;
        opts.ctx_in = edge ? (void *)&xdp : &skb;
        opts.ctx_out = edge ? (void *)&ret_xdp : &ret_skb;
        opts.ctx_size_in = opts.ctx_size_out = edge ? sizeof(xdp) : sizeof(skb);
        ret->nchanges = 0;
        ret->counted_packets = ret->counted_bytes = 0;
        ret->error = bpf_prog_test_run_opts(rig->lab.program[e->hook], &opts) < 0 ? -errno : 0;
        ret->verdict = (int)opts.retval;
        ret->marked = ret_skb.mark & LAB_MARK;
        ret->out.len = opts.data_size_out;
        rig_look_after(rig, e, ret);
}
