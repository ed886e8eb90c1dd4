/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BPF map, or something that behaves like one: the kernel's behind file descriptors, and a fake in memory for tests
 * of whatever writes maps. Keys and values are the structs of bpf/abi. Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct map;

/* The maps by name; X(ID, name in the kernel and of the pin). The layouts are in bpf/abi/maps.h. */
#define DATAPATH_MAPS(X)                                                                                               \
        X(SERVICES, services)                                                                                          \
        X(SLOTS, slots)                                                                                                \
        X(BACKENDS, backends)                                                                                          \
        X(FILTERS, filters)                                                                                            \
        X(ROUTES, routes)                                                                                              \
        X(ROUTE_EPOCH, route_epoch)                                                                                    \
        X(PODS, pods)                                                                                                  \
        X(BUCKETS, buckets)                                                                                            \
        X(NODE, node)                                                                                                  \
        X(FLOWS, flows)                                                                                                \
        X(FLOW_MARKS, flow_marks)                                                                                      \
        X(FRAGMENTS, fragments)                                                                                        \
        X(SOURCE_RANGES, source_ranges)                                                                                \
        X(AFFINITY, affinity)                                                                                          \
        X(SOCK_CONNECTED, sock_connected)                                                                              \
        X(SOCK_REPLIES, sock_replies)                                                                                  \
        X(SERVICE_NAMES, service_names)                                                                                \
        X(SERVICE_STATS, service_stats)                                                                                \
        X(COUNTERS, counters)                                                                                          \
        X(FLOW_COUNTERS, flow_counters)                                                                                \
        X(EVENTS, events)                                                                                              \
        X(MONITORS, monitors)                                                                                          \
        X(MONITOR_EVENTS, monitor_events)

enum map_id {
#define X(id, name) MAP_##id,
        DATAPATH_MAPS(X)
#undef X
                MAP_COUNT,
};

struct map_info {
        const char *name;
        uint32_t key_size, value_size; /* value_size of one CPU */
        uint32_t max_entries;
        bool per_cpu;
};

enum { MAP_FULL = 1 };

/* Possible CPUs: the values that a lookup in a per-CPU map gives. 1 when that cannot be found out. */
int map_cpus(void);
/* Bytes that a lookup writes: value_size, or of a per-CPU map that of each possible CPU, rounded up to 8 bytes. */
size_t map_lookup_size(const struct map *m);

/* 0, -ENOENT, or negative errno. Of an LPM map: of the longest prefix that covers the key (a fake: of the same key). */
int map_lookup(const struct map *m, const void *key, void *ret_value);
/* Of an array the n elements from first on, each map_lookup_size long. 0, or negative errno: -ENOENT behind its end. */
int map_read(const struct map *m, uint32_t first, uint32_t n, void *ret_values);
/* Sets or replaces. 0, MAP_FULL, -ERANGE for an index behind an array's end, or negative errno. A value of a per-CPU
 * map is map_lookup_size long. */
int map_update(struct map *m, const void *key, const void *value);
/* The same for n keys and values that lie one after the other. *ret_done, set in any case: how many were written. */
int map_update_many(struct map *m, const void *keys, const void *values, size_t n, size_t *ret_done);
/* 0, also when there was none, or negative errno (an array's elements cannot be deleted: -EINVAL). */
int map_delete(struct map *m, const void *key);
/* Calls fn with a copy of each entry (of a hash, LRU or LPM map: the keys are collected first, so that fn may change
 * the map) until it returns other than 0, which is returned. 0 or negative errno. */
int map_each(struct map *m, int (*fn)(void *userdata, const void *key, const void *value), void *userdata);
const struct map_info *map_info(const struct map *m);
int map_fd(const struct map *m); /* -1 of a fake */

/* Takes over the descriptor, also when it fails. */
int map_new_kernel(int fd, struct map **ret);
/* A hash or array in memory, full at max_entries as the kernel's is. An array (key_size 4 and array set) has all its
 * elements from the beginning. The name is borrowed. */
int map_new_fake(const struct map_info *info, bool array, struct map **ret);
void map_free(struct map *m);
DEFINE_CLEANUP(struct map *, map_free)

/* All maps of the dataplane. */
struct maps {
        struct map *m[MAP_COUNT];
        bool fresh; /* those that the agent writes hold nothing yet, for sure */
};

/* Fakes with the layouts of bpf/abi; sizes are the defaults of limits.h, but for the flow table, which has 64 sets. */
int maps_init_fake(struct maps *maps);
/* The pinned maps below that folder (object.h), for who only looks. 0, -ENOENT when there are none, -EPROTO when one
 * has another layout than this program knows, or negative errno. */
int maps_open_pinned(struct maps *maps, const char *pin_root, bool read_only, struct err *reterr);
void maps_deinit(struct maps *maps);
#define MAPS_NULL ((struct maps){0})
