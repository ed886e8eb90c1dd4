/* SPDX-License-Identifier: Apache-2.0 */
/* All maps of the dataplane together: their layouts, fakes of them, and the pinned ones for who only looks. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <bpf/bpf.h>

#include "bpf/abi/maps.h"
#include "bpf/abi/monitor.h"
#include "datapath/map_ops.h"

#define FAKE_FLOW_SETS 64

#define LAYOUT(id, map, key, value, entries, is_array, cpu)                                                            \
        [MAP_##id] = {.info = {.name = #map,                                                                           \
                               .key_size = sizeof(key),                                                                \
                               .value_size = sizeof(value),                                                            \
                               .max_entries = (entries),                                                               \
                               .per_cpu = (cpu)},                                                                      \
                      .array = (is_array)}
#define HASH(id, map, key, value, entries)     LAYOUT(id, map, key, value, entries, false, false)
#define ARRAY(id, map, value, entries)         LAYOUT(id, map, uint32_t, value, entries, true, false)
#define PER_CPU_ARRAY(id, map, value, entries) LAYOUT(id, map, uint32_t, value, entries, true, true)

static const struct map_layout layouts[MAP_COUNT] = {
        HASH(SERVICES, services, struct service_key, struct service, SERVICES_DEFAULT),
        ARRAY(SLOTS, slots, struct slot_line, SLOT_LINES_DEFAULT),
        ARRAY(BACKENDS, backends, struct backend, BACKENDS_DEFAULT),
        ARRAY(FILTERS, filters, struct filters, 1),
        HASH(ROUTES, routes, struct route_key, struct route, ROUTES_DEFAULT),
        ARRAY(ROUTE_EPOCH, route_epoch, uint32_t, 1),
        ARRAY(PODS, pods, struct pod, POD_SLOTS),
        ARRAY(BUCKETS, buckets, struct bucket, POD_SLOTS),
        ARRAY(NODE, node, struct node, 1),
        ARRAY(FLOWS, flows, struct flow_set, FLOW_SETS_DEFAULT),
        ARRAY(FLOW_MARKS, flow_marks, uint64_t, FLOW_SETS_DEFAULT),
        HASH(FRAGMENTS, fragments, struct fragment_key, struct fragment_ports, FRAGMENTS_DEFAULT),
        HASH(SOURCE_RANGES, source_ranges, struct range_key, __u8, RANGES_DEFAULT),
        HASH(AFFINITY, affinity, struct affinity_key, struct affinity, AFFINITY_DEFAULT),
        HASH(SOCK_CONNECTED, sock_connected, int, struct sock_peer, SOCK_ORIG_DEFAULT),
        HASH(SOCK_REPLIES, sock_replies, struct sock_reply_key, struct sock_peer, SOCK_ORIG_DEFAULT),
        ARRAY(SERVICE_NAMES, service_names, struct service_name, SERVICE_IDS),
        PER_CPU_ARRAY(SERVICE_STATS, service_stats, struct service_stats, SERVICE_IDS),
        PER_CPU_ARRAY(COUNTERS, counters, struct counter, REASON_COUNT *HOOK_COUNT),
        PER_CPU_ARRAY(FLOW_COUNTERS, flow_counters, struct flow_counters, 1),
        ARRAY(MONITORS, monitors, struct monitors, 1),
        HASH(MONITOR_EVENTS, monitor_events, uint32_t, uint32_t, MONITORS_MAX *MONITOR_CPUS),
        [MAP_EVENTS] = {.info = {.name = "events", .max_entries = EVENTS_BYTES}},
};

const struct map_layout *map_layout(enum map_id id)
{
        return &layouts[id];
}

int maps_init_fake(struct maps *maps)
{
        struct maps all = MAPS_NULL;

        for (int id = 0; id < MAP_COUNT; id++) {
                struct map_info info = layouts[id].info;
                int r;

                if (id == MAP_FLOWS || id == MAP_FLOW_MARKS)
                        info.max_entries = FAKE_FLOW_SETS;
                r = map_new_fake(&info, layouts[id].array, &all.m[id]);
                if (r) {
                        maps_deinit(&all);
                        return r;
                }
        }
        *maps = all;
        return 0;
}

static int open_one(const char *path, bool read_only, struct map **ret)
{
        LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = read_only ? BPF_F_RDONLY : 0);
        int fd = bpf_obj_get_opts(path, &opts);

        return fd < 0 ? fd : map_new_kernel(fd, ret);
}

static int check_layout(const struct map *m, const struct map_info *want, const char *path, struct err *reterr)
{
        const struct map_info *is = map_info(m);

        if (is->key_size == want->key_size && is->value_size == want->value_size && is->per_cpu == want->per_cpu)
                return 0;
        return err_set(reterr, -EPROTO,
                       "%s has keys of %u and values of %u bytes where this program expects %u and %u: use the program "
                       "of the same release as the agent that runs",
                       path, is->key_size, is->value_size, want->key_size, want->value_size);
}

int maps_open_pinned(struct maps *maps, const char *pin_root, bool read_only, struct err *reterr)
{
        struct maps all = MAPS_NULL;
        int r = 0;

        for (int id = 0; r == 0 && id < MAP_COUNT; id++) {
                const struct map_info *want = &layouts[id].info;
                char path[512];

                snprintf(path, sizeof(path), "%s/v%d/maps/%s", pin_root, MAPS_VERSION, want->name);
                /* Whoever reads events moves their ring's tail, and a descriptor that cannot write cannot be mapped as
                 * shared. */
                r = open_one(path,
                             read_only && id != MAP_EVENTS && id != MAP_FLOWS && id != MAP_MONITORS &&
                                     id != MAP_MONITOR_EVENTS,
                             &all.m[id]);
                if (r == -ENOENT)
                        err_set(reterr, r, "%s is not there: no fairlead-agent of this release has run on this host",
                                path);
                else if (r)
                        err_set(reterr, r, "cannot open the map %s: %s", path, strerror(-r));
                else
                        r = check_layout(all.m[id], want, path, reterr);
        }
        if (r) {
                maps_deinit(&all);
                return r;
        }
        *maps = all;
        return 0;
}

void maps_deinit(struct maps *maps)
{
        for (int id = 0; id < MAP_COUNT; id++)
                map_free(maps->m[id]);
        *maps = MAPS_NULL;
}
