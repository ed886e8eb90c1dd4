// SPDX-License-Identifier: Apache-2.0
#include "bpf/lab.h"

#include <arpa/inet.h>
#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/netns.h"

static const char *const object_names[] = {"pod", "overlay", "uplink", "edge", "lo"};
static const char *const program_names[HOOK_COUNT] = {
        [HOOK_FROM_POD] = "from_pod",
        [HOOK_TO_POD] = "to_pod",
        [HOOK_OVERLAY] = "from_overlay",
        [HOOK_TO_OVERLAY] = "to_overlay",
        [HOOK_UPLINK] = "from_uplink",
        [HOOK_TO_UPLINK] = "to_uplink",
        [HOOK_EDGE] = "edge",
        [HOOK_TO_LO] = "to_lo",
};
static const char *const map_names[MAP_COUNT] = {
#define X(id, name) [MAP_##id] = #name,
        DATAPATH_MAPS(X)
#undef X
};

/* Small where the whole is cleared for each test. 0: as the object says. */
static const uint32_t map_sizes[MAP_COUNT] = {
        [MAP_SERVICES] = 256,  [MAP_SLOTS] = 256,        [MAP_BACKENDS] = 256, [MAP_ROUTES] = 256,
        [MAP_FRAGMENTS] = 256, [MAP_SOURCE_RANGES] = 64, [MAP_AFFINITY] = 256,
};

static void die(int code, const char *what, int error)
{
        fprintf(stderr, "tests/bpf: %s: %s\n", what, strerror(abs(error)));
        exit(code);
}

static void check(int r, const char *what)
{
        if (r < 0)
                die(EXIT_FAILURE, what, errno);
}

static bool kernel_shows_skbs(void)
{
        struct btf *btf = btf__load_vmlinux_btf();
        bool known = btf && btf__find_by_name_kind(btf, "bpf_cast_to_kern_ctx", BTF_KIND_FUNC) > 0;

        btf__free(btf);
        return known;
}

struct knobs lab_knobs(void)
{
        uint32_t skb = kernel_shows_skbs() ? KNOB_SKB : 0;

        return (struct knobs){
                .flags = KNOB_TUNNEL | KNOB_MASQUERADE | KNOB_REDIRECT_PEER | skb,
                .hz = 250,
                .flow_sets = LAB_FLOW_SETS,
                .mark = LAB_MARK,
                .vni = LAB_VNI,
                .snat_port_min = LAB_SNAT_PORT,
                .snat_port_max = LAB_SNAT_PORT,
                .timeouts = {.tcp_syn = 60,
                             .tcp_established = 8000,
                             .tcp_closing = 10,
                             .udp = 30,
                             .udp_stream = 120,
                             .icmp = 30},
                .pod_mtu = LAB_MTU_POD,
                .drop_events_per_s = 0,
        };
}

/* --- loading */

static const char *quiet_log(void)
{
        return getenv("LAB_VERBOSE");
}

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
        if (level == LIBBPF_DEBUG || (level == LIBBPF_INFO && !quiet_log()))
                return 0;
        return vfprintf(stderr, format, args);
}

/* BPF works at all: else there is nothing to test here. */
static void probe_bpf(void)
{
        int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "lab_probe", 4, 4, 1, NULL);

        if (fd < 0)
                die(77, "BPF maps cannot be made (root? kernel.unprivileged_bpf_disabled? CONFIG_BPF_SYSCALL?)", errno);
        close(fd);
}

static int map_index(const char *name)
{
        for (int i = 0; i < MAP_COUNT; i++)
                if (strcmp(map_names[i], name) == 0)
                        return i;
        return -1;
}

static struct {
        const char *name; /* NULL: none */
        int fd;
} scratch = {NULL, -1};

void lab_share_scratch(const char *map)
{
        scratch.name = map;
}

static void share_scratch(struct bpf_object *object)
{
        struct bpf_map *map = scratch.name ? bpf_object__find_map_by_name(object, scratch.name) : NULL;

        if (map && scratch.fd >= 0)
                check(bpf_map__reuse_fd(map, scratch.fd), scratch.name);
}

static void keep_scratch(struct bpf_object *object)
{
        struct bpf_map *map = scratch.name ? bpf_object__find_map_by_name(object, scratch.name) : NULL;

        if (map && scratch.fd < 0)
                scratch.fd = bpf_map__fd(map);
}

static void share_maps(struct lab *lab, struct bpf_object *object)
{
        struct bpf_map *map;

        bpf_object__for_each_map(map, object)
        {
                int i = map_index(bpf_map__name(map));

                bpf_map__set_pin_path(map, NULL);
                if (i < 0)
                        continue;
                if (lab->map[i] >= 0)
                        check(bpf_map__reuse_fd(map, lab->map[i]), bpf_map__name(map));
                else if (i == MAP_FLOWS || i == MAP_FLOW_MARKS)
                        check(bpf_map__set_max_entries(map, lab->knobs.flow_sets), bpf_map__name(map));
                else if (map_sizes[i] && lab->knobs.flow_sets == LAB_FLOW_SETS)
                        check(bpf_map__set_max_entries(map, map_sizes[i]), bpf_map__name(map));
        }
}

static void keep_maps(struct lab *lab, struct bpf_object *object)
{
        struct bpf_map *map;

        bpf_object__for_each_map(map, object)
        {
                int i = map_index(bpf_map__name(map));

                if (i >= 0 && lab->map[i] < 0)
                        lab->map[i] = bpf_map__fd(map);
        }
}

/* Finds `const volatile struct knobs knobs` by the object's BTF. */
static void set_knobs(struct bpf_object *object, const struct knobs *knobs)
{
        struct bpf_map *map = bpf_object__find_map_by_name(object, ".rodata");
        const struct btf *btf = bpf_object__btf(object);
        int id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
        const struct btf_type *section;
        const struct btf_var_secinfo *var;
        size_t size;
        char *data;

        if (!map) {
                map = bpf_object__next_map(object, NULL);
                while (map && !strstr(bpf_map__name(map), ".rodata"))
                        map = bpf_object__next_map(object, map);
        }
        if (!map || id < 0)
                die(EXIT_FAILURE, "the object has no knobs in .rodata", ENOENT);
        data = (char *)bpf_map__initial_value(map, &size);
        section = btf__type_by_id(btf, (uint32_t)id);
        var = btf_var_secinfos(section);
        for (int i = 0; i < btf_vlen(section); i++, var++) {
                const char *name = btf__name_by_offset(btf, btf__type_by_id(btf, var->type)->name_off);

                if (strcmp(name, "knobs") == 0 && var->offset + sizeof(*knobs) <= size) {
                        memcpy(data + var->offset, knobs, sizeof(*knobs));
                        return;
                }
        }
        die(EXIT_FAILURE, "the object has no variable `knobs`", ENOENT);
}

static struct bpf_object *load_object(struct lab *lab, const char *name)
{
        const char *build = getenv("FL_BUILD");
        struct bpf_object *object;
        char path[4096];

        snprintf(path, sizeof(path), "%s/bpf/%s.bpf.o", build ? build : "build", name);
        object = bpf_object__open_file(path, NULL);
        if (!object)
                die(EXIT_FAILURE, path, errno);
        share_maps(lab, object);
        share_scratch(object);
        set_knobs(object, &lab->knobs);
        check(bpf_object__load(object), path);
        keep_maps(lab, object);
        keep_scratch(object);
        return object;
}

static void find_programs(struct lab *lab, struct bpf_object *object)
{
        for (int hook = 0; hook < HOOK_COUNT; hook++) {
                struct bpf_program *program;

                if (!program_names[hook] || lab->program[hook] >= 0)
                        continue;
                program = bpf_object__find_program_by_name(object, program_names[hook]);
                if (program)
                        lab->program[hook] = bpf_program__fd(program);
        }
}

static void set(struct lab *lab, enum map_id map, const void *key, const void *value)
{
        check(bpf_map_update_elem(lab->map[map], key, value, BPF_ANY), map_names[map]);
}

/* --- the node */

void lab_route(struct lab *lab, enum who who, uint32_t bits, const struct route *route, int family)
{
        struct route_key key = {.addr = packet_addr(who, family)};
        uint32_t zero = 0;

        key.prefixlen = bits ? bits + (family == 4 ? ADDR_V4_BITS : 0) : 128;
        for (uint32_t i = key.prefixlen; i < 128; i++)
                key.addr.b[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
        set(lab, MAP_ROUTES, &key, route);
        lab->route_epoch++;
        set(lab, MAP_ROUTE_EPOCH, &zero, &lab->route_epoch);
}

static void pod_route(struct lab *lab, enum who who, uint32_t ifindex, enum mac mac, int family)
{
        struct route route = {.type = ROUTE_POD, .ifindex = ifindex};

        memcpy(route.mac, packet_mac(mac), 6);
        lab_route(lab, who, 0, &route, family);
}

static void routes(struct lab *lab, int family)
{
        uint32_t net = family == 4 ? 24 : 64;
        uint8_t tunnel = lab->knobs.flags & KNOB_TUNNEL ? ROUTE_TUNNEL : 0;
        struct route host = {.type = ROUTE_HOST, .flags = ROUTE_NODEPORT};
        struct route service = {.type = ROUTE_SERVICE};
        struct route hole = {.type = ROUTE_BLACKHOLE};
        struct route remote = {.type = ROUTE_REMOTE, .flags = tunnel, .peer = packet_addr(NODE2, 4)};
        struct route node2 = {.type = ROUTE_NODE, .flags = tunnel | ROUTE_NODEPORT, .peer = packet_addr(NODE2, 4)};

        pod_route(lab, POD_A, lab->pod_a, MAC_POD_A, family);
        pod_route(lab, POD_B, lab->pod_b, MAC_POD_B, family);
        lab_route(lab, POD_A, net, &hole, family);
        lab_route(lab, POD_R, net, &remote, family);
        lab_route(lab, NODE, 0, &host, family);
        lab_route(lab, NODE2, 0, &node2, family);
        lab_route(lab, VIP, net, &service, family);
}

static void pod(struct lab *lab, enum who who, uint32_t ifindex, enum mac mac, uint64_t bps, uint64_t burst)
{
        struct pod value = {.ifindex = ifindex,
                            .v4 = packet_addr(who, 4),
                            .v6 = packet_addr(who, 6),
                            .egress_bps = bps,
                            .egress_burst = burst};
        uint32_t key = ifindex % POD_SLOTS;

        memcpy(value.mac, packet_mac(mac), 6);
        memcpy(value.host_mac, packet_mac(MAC_GATEWAY), 6);
        set(lab, MAP_PODS, &key, &value);
}

void lab_pod_limit(struct lab *lab, uint64_t egress_bps, uint64_t egress_burst)
{
        struct bucket empty = {0};
        uint32_t key = lab->pod_a % POD_SLOTS;

        pod(lab, POD_A, lab->pod_a, MAC_POD_A, egress_bps, egress_burst);
        set(lab, MAP_BUCKETS, &key, &empty);
}

static void node(struct lab *lab)
{
        struct node value = {.v4 = packet_addr(NODE, 4), .v6 = packet_addr(NODE, 6), .vxlan_ifindex = lab->vxlan};
        uint32_t key = 0;

        value.uplinks[0] = (struct uplink){
                .ifindex = lab->uplink, .mtu = LAB_MTU_UPLINK, .v4 = packet_addr(NODE, 4), .v6 = packet_addr(NODE, 6)};
        memcpy(value.uplinks[0].mac, packet_mac(MAC_UPLINK), 6);
        set(lab, MAP_NODE, &key, &value);
}

static void devices(struct lab *lab)
{
        static bool entered;

        if (!entered)
                netns_enter();
        entered = true;
        lab->pod_a = if_nametoindex("pod_a");
        lab->pod_b = if_nametoindex("pod_b");
        lab->uplink = if_nametoindex("uplink");
        lab->vxlan = if_nametoindex("vxlan");
        assert(lab->pod_a && lab->pod_b && lab->uplink && lab->vxlan);
}

static size_t flows_size(const struct lab *lab)
{
        return lab->knobs.flow_sets * sizeof(struct flow_set);
}

void lab_open(struct lab *ret, const struct knobs *knobs)
{
        *ret = (struct lab){.knobs = *knobs, .cpus = libbpf_num_possible_cpus()};
        memset(ret->map, 0xff, sizeof(ret->map));
        memset(ret->program, 0xff, sizeof(ret->program));
        libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
        libbpf_set_print(print);
        probe_bpf();
        devices(ret);
        for (size_t i = 0; i < sizeof(object_names) / sizeof(*object_names); i++) {
                ret->objects[i] = load_object(ret, object_names[i]);
                find_programs(ret, ret->objects[i]);
        }
        ret->flows = mmap(NULL, flows_size(ret), PROT_READ | PROT_WRITE, MAP_SHARED, ret->map[MAP_FLOWS], 0);
        if (ret->flows == MAP_FAILED)
                die(EXIT_FAILURE, "mmap of the flow table", errno);
        ret->flow_marks = mmap(NULL, ret->knobs.flow_sets * sizeof(*ret->flow_marks), PROT_READ | PROT_WRITE,
                               MAP_SHARED, ret->map[MAP_FLOW_MARKS], 0);
        if (ret->flow_marks == MAP_FAILED)
                die(EXIT_FAILURE, "mmap of the flow table's marks", errno);
        lab_reset(ret);
}

void lab_close(struct lab *lab)
{
        munmap(lab->flows, flows_size(lab));
        munmap(lab->flow_marks, lab->knobs.flow_sets * sizeof(*lab->flow_marks));
        for (size_t i = 0; i < sizeof(lab->objects) / sizeof(*lab->objects); i++)
                bpf_object__close(lab->objects[i]);
}

/* --- state */

static void clear_hash(struct lab *lab, enum map_id map)
{
        uint8_t key[64];

        if (lab->map[map] < 0)
                return;
        for (int i = 0; i < 100000 && bpf_map_get_next_key(lab->map[map], NULL, key) == 0; i++)
                bpf_map_delete_elem(lab->map[map], key);
}

void lab_clear_flows(struct lab *lab)
{
        memset(lab->flows, 0, flows_size(lab));
        memset(lab->flow_marks, 0, lab->knobs.flow_sets * sizeof(*lab->flow_marks));
}

void lab_reset(struct lab *lab)
{
        static const enum map_id hashes[] = {MAP_SERVICES, MAP_FRAGMENTS, MAP_SOURCE_RANGES, MAP_AFFINITY, MAP_ROUTES};
        static const struct filters no_filters;
        const struct backend no_backend = {0};
        uint32_t zero = 0;

        for (size_t i = 0; i < sizeof(hashes) / sizeof(*hashes); i++)
                clear_hash(lab, hashes[i]);
        set(lab, MAP_FILTERS, &zero, &no_filters);
        for (uint32_t id = 1; id <= lab->next_backend && id < map_sizes[MAP_BACKENDS]; id++)
                set(lab, MAP_BACKENDS, &id, &no_backend);
        lab->next_service = lab->next_backend = lab->next_line = 1;
        lab_clear_flows(lab);
        node(lab);
        lab_pod_limit(lab, 0, 0);
        pod(lab, POD_B, lab->pod_b, MAC_POD_B, 0, 0);
        routes(lab, 4);
        routes(lab, 6);
}

static uint8_t backend_flags(const struct lab_backend *backend)
{
        bool local = backend->who == POD_A || backend->who == POD_B || backend->who == NODE;
        bool host = backend->who == NODE || backend->who == NODE2;

        return (uint8_t)(backend->flags | (local ? BACKEND_LOCAL : 0) | (host ? BACKEND_HOST : 0));
}

static uint32_t add_backend(struct lab *lab, const struct lab_backend *backend, uint32_t service, uint8_t proto,
                            int family)
{
        static uint32_t generation = 1000;
        struct backend value = {.addr = packet_addr(backend->who, family),
                                .port = htons(backend->port),
                                .proto = proto,
                                .flags = backend_flags(backend),
                                .service = service,
                                .generation = generation++};
        uint32_t id = lab->next_backend++;

        set(lab, MAP_BACKENDS, &id, &value);
        return id;
}

static struct slot_range add_range(struct lab *lab, const uint32_t *ids, uint32_t count)
{
        struct slot_line line = {{0}};
        uint32_t key = lab->next_line;

        if (count == 0)
                return (struct slot_range){0, 0};
        memcpy(line.backend, ids, count * sizeof(*ids));
        set(lab, MAP_SLOTS, &key, &line);
        lab->next_line++;
        return (struct slot_range){key * SLOT_LINE, count};
}

static void set_filters(struct lab *lab, const struct service_key *key, bool any)
{
        struct filters filters;
        uint32_t zero = 0, port = ntohs(key->port), bit = addr_filter_bit(&key->addr);

        check(bpf_map_lookup_elem(lab->map[MAP_FILTERS], &zero, &filters), "filters");
        if (!any)
                filters.address[bit / 64] |= 1ULL << bit % 64;
        else if (key->proto == IPPROTO_TCP)
                filters.tcp[port / 64] |= 1ULL << port % 64;
        else if (key->proto == IPPROTO_UDP)
                filters.udp[port / 64] |= 1ULL << port % 64;
        else
                filters.sctp[port / 64] |= 1ULL << port % 64;
        set(lab, MAP_FILTERS, &zero, &filters);
}

static void add_address(struct lab *lab, const struct addr *addr, uint32_t id)
{
        struct service_key key = {.addr = *addr};
        struct service value = {.id = id, .flags = SERVICE_ADDRESS};

        set(lab, MAP_SERVICES, &key, &value);
}

static void add_source_range(struct lab *lab, enum who who, uint32_t id, int family)
{
        struct range_key key = {.prefixlen = 32 + 128, .service = id, .addr = packet_addr(who, family)};
        uint8_t one = 1;

        set(lab, MAP_SOURCE_RANGES, &key, &one);
}

uint32_t lab_service(struct lab *lab, const struct lab_service *service, int family)
{
        uint32_t all[LAB_BACKENDS], local[LAB_BACKENDS], n = 0, n_local = 0, id = lab->next_service++;
        uint8_t proto = service->proto ? service->proto : IPPROTO_TCP;
        struct service_key key = {packet_addr(service->addr, family), htons(service->port), proto, 0};
        struct service value = {.id = id, .flags = service->flags, .affinity_s = service->affinity_s};

        for (int i = 0; i < LAB_BACKENDS && service->backends[i].who != NOBODY; i++) {
                all[n] = add_backend(lab, &service->backends[i], id, proto, family);
                if (backend_flags(&service->backends[i]) & BACKEND_LOCAL)
                        local[n_local++] = all[n];
                n++;
        }
        value.in = service->ranges & LAB_IN_LOCAL ? add_range(lab, local, n_local) : add_range(lab, all, n);
        value.out = service->ranges & LAB_OUT_LOCAL ? add_range(lab, local, n_local) : add_range(lab, all, n);
        if (service->affinity_s)
                value.flags |= SERVICE_AFFINITY;
        if (service->source_range != NOBODY) {
                value.flags |= SERVICE_RANGES;
                add_source_range(lab, service->source_range, id, family);
        }
        set(lab, MAP_SERVICES, &key, &value);
        set_filters(lab, &key, service->addr == ANY);
        if (service->addr != ANY && service->addr != NODE)
                add_address(lab, &key.addr, id);
        return id;
}

void lab_remove_backends(struct lab *lab, enum who who, int family)
{
        struct addr addr = packet_addr(who, family);
        struct backend value;

        for (uint32_t id = 1; id < lab->next_backend; id++) {
                check(bpf_map_lookup_elem(lab->map[MAP_BACKENDS], &id, &value), "backends");
                if (memcmp(&value.addr, &addr, sizeof(addr)) != 0)
                        continue;
                value = (struct backend){.generation = value.generation + 1};
                set(lab, MAP_BACKENDS, &id, &value);
        }
}

/* --- running */

static uint32_t hook_ifindex(const struct lab *lab, const struct lab_run *run)
{
        if (run->ifindex)
                return run->ifindex;
        switch (run->hook) {
        case HOOK_FROM_POD:
        case HOOK_TO_POD:
                return lab->pod_a;
        case HOOK_OVERLAY:
        case HOOK_TO_OVERLAY:
                return lab->vxlan;
        case HOOK_TO_LO:
                return 1;
        default:
                return lab->uplink;
        }
}

int lab_run(struct lab *lab, struct lab_run *run)
{
        struct __sk_buff skb = {.mark = run->mark}, ret_skb = {0};
        struct xdp_md xdp = {.data_end = (uint32_t)run->in->len}, ret_xdp = {0};
        bool edge = run->hook == HOOK_EDGE;
        LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = run->in->data, .data_size_in = (uint32_t)run->in->len,
                    .data_out = run->out.data, .data_size_out = sizeof(run->out.data), .repeat = 1);

        skb.ifindex = xdp.ingress_ifindex = hook_ifindex(lab, run);
        opts.ctx_in = edge ? (void *)&xdp : &skb;
        opts.ctx_out = edge ? (void *)&ret_xdp : &ret_skb;
        opts.ctx_size_in = opts.ctx_size_out = edge ? sizeof(xdp) : sizeof(skb);
        if (bpf_prog_test_run_opts(lab->program[run->hook], &opts) < 0)
                return -errno;
        run->verdict = (int)opts.retval;
        run->ret_mark = ret_skb.mark;
        run->out.len = opts.data_size_out;
        return 0;
}

uint64_t lab_counter(struct lab *lab, enum hook hook, enum reason reason)
{
        struct counter values[256];
        uint32_t key = (uint32_t)reason * HOOK_COUNT + (uint32_t)hook;
        uint64_t packets = 0;

        assert(lab->cpus <= 256);
        check(bpf_map_lookup_elem(lab->map[MAP_COUNTERS], &key, values), "counters");
        for (int cpu = 0; cpu < lab->cpus; cpu++)
                packets += values[cpu].packets;
        return packets;
}

size_t lab_flows(struct lab *lab, struct flow *ret, size_t max)
{
        size_t n = 0;

        for (uint32_t set_index = 0; set_index < lab->knobs.flow_sets; set_index++) {
                for (int way = 0; way < FLOW_WAYS; way++) {
                        struct flow_set *one = &lab->flows[set_index];

                        if (FLOW_STATUS(one->flow[way].control) != FLOW_LIVE)
                                continue;
                        if (n < max)
                                ret[n] = one->flow[way];
                        n++;
                }
        }
        return n;
}

void lab_age_flows(struct lab *lab, uint32_t seconds)
{
        for (uint32_t set_index = 0; set_index < lab->knobs.flow_sets; set_index++)
                for (int way = 0; way < FLOW_WAYS; way++)
                        lab->flows[set_index].flow[way].seen -= seconds;
}

void lab_age_affinity(struct lab *lab, uint32_t seconds)
{
        struct affinity_key keys[64];
        struct affinity value;
        size_t n = 0;

        while (n < 64 && bpf_map_get_next_key(lab->map[MAP_AFFINITY], n ? &keys[n - 1] : NULL, &keys[n]) == 0)
                n++;
        for (size_t i = 0; i < n; i++) {
                check(bpf_map_lookup_elem(lab->map[MAP_AFFINITY], &keys[i], &value), "affinity");
                value.seen -= seconds;
                set(lab, MAP_AFFINITY, &keys[i], &value);
        }
}
