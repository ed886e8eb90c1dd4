/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Every map and the knobs, declared once for all programs. An object brings all of them along; the loader pins them by
 * name, so that the first object makes them and the others find them. Sizes are defaults that the loader may change,
 * and none of the code here relies on them: array look-ups that miss are handled where they happen.
 *
 * `scratch` is no shared state: each object has its own, for what does not fit on the stack of 512 bytes. Programs of
 * TC and XDP run with softirqs off and never nest within one object, so one element a CPU is enough. Programs of
 * sockets run in processes' context, where that is not so: they must not use it.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

#include "bpf/abi/config.h"
#include "bpf/abi/maps.h"
#include "bpf/abi/monitor.h"

const volatile struct knobs knobs;

#define PINNED_MAP(name, map_type, key_type, value_type, entries, map_flag_bits)                                       \
        struct {                                                                                                       \
                __uint(type, map_type);                                                                                \
                __type(key, key_type);                                                                                 \
                __type(value, value_type);                                                                             \
                __uint(max_entries, entries);                                                                          \
                __uint(map_flags, map_flag_bits);                                                                      \
                __uint(pinning, LIBBPF_PIN_BY_NAME);                                                                   \
        } name SEC(".maps")

PINNED_MAP(services, BPF_MAP_TYPE_HASH, struct service_key, struct service, SERVICES_DEFAULT, BPF_F_NO_PREALLOC);
PINNED_MAP(slots, BPF_MAP_TYPE_ARRAY, __u32, struct slot_line, SLOT_LINES_DEFAULT, 0);
PINNED_MAP(backends, BPF_MAP_TYPE_ARRAY, __u32, struct backend, BACKENDS_DEFAULT, 0);
PINNED_MAP(filters, BPF_MAP_TYPE_ARRAY, __u32, struct filters, 1, 0);
PINNED_MAP(routes, BPF_MAP_TYPE_LPM_TRIE, struct route_key, struct route, ROUTES_DEFAULT, BPF_F_NO_PREALLOC);
PINNED_MAP(route_epoch, BPF_MAP_TYPE_ARRAY, __u32, __u32, 1, 0);
PINNED_MAP(pods, BPF_MAP_TYPE_ARRAY, __u32, struct pod, POD_SLOTS, 0);
PINNED_MAP(buckets, BPF_MAP_TYPE_ARRAY, __u32, struct bucket, POD_SLOTS, 0);
PINNED_MAP(node, BPF_MAP_TYPE_ARRAY, __u32, struct node, 1, 0);
PINNED_MAP(flows, BPF_MAP_TYPE_ARRAY, __u32, struct flow_set, FLOW_SETS_DEFAULT, BPF_F_MMAPABLE);
PINNED_MAP(flow_marks, BPF_MAP_TYPE_ARRAY, __u32, __u64, FLOW_SETS_DEFAULT, BPF_F_MMAPABLE);
PINNED_MAP(fragments, BPF_MAP_TYPE_LRU_HASH, struct fragment_key, struct fragment_ports, FRAGMENTS_DEFAULT, 0);
PINNED_MAP(source_ranges, BPF_MAP_TYPE_LPM_TRIE, struct range_key, __u8, RANGES_DEFAULT, BPF_F_NO_PREALLOC);
PINNED_MAP(affinity, BPF_MAP_TYPE_LRU_HASH, struct affinity_key, struct affinity, AFFINITY_DEFAULT, 0);
PINNED_MAP(sock_connected, BPF_MAP_TYPE_SK_STORAGE, int, struct sock_peer, 0, BPF_F_NO_PREALLOC);
PINNED_MAP(sock_replies, BPF_MAP_TYPE_LRU_HASH, struct sock_reply_key, struct sock_peer, SOCK_ORIG_DEFAULT, 0);
PINNED_MAP(service_names, BPF_MAP_TYPE_ARRAY, __u32, struct service_name, SERVICE_IDS, 0);
PINNED_MAP(service_stats, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct service_stats, SERVICE_IDS, 0);
PINNED_MAP(counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct counter, REASON_COUNT *HOOK_COUNT, 0);
PINNED_MAP(flow_counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct flow_counters, 1, 0);
PINNED_MAP(monitors, BPF_MAP_TYPE_ARRAY, __u32, struct monitors, 1, BPF_F_MMAPABLE);
PINNED_MAP(monitor_events, BPF_MAP_TYPE_PERF_EVENT_ARRAY, __u32, __u32, MONITORS_MAX *MONITOR_CPUS, 0);

struct {
        __uint(type, BPF_MAP_TYPE_RINGBUF);
        __uint(max_entries, EVENTS_BYTES);
        __uint(pinning, LIBBPF_PIN_BY_NAME);
} events SEC(".maps");

/* The one element of an array of one. */
static __always_inline void *map_single(void *map)
{
        __u32 zero = 0;

        return bpf_map_lookup_elem(map, &zero);
}
