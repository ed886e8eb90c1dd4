// SPDX-License-Identifier: Apache-2.0
/* What the programs left in the maps. All that knows the flow table's layout is here. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/abi/hash.h"
#include "model/rig_impl.h"

#define COUNTERS ((size_t)REASON_COUNT * HOOK_COUNT)

void rig_look_open(struct rig *rig)
{
        size_t cpus = (size_t)rig->lab.cpus;

        rig->counters = calloc(COUNTERS * cpus, sizeof(struct counter));
        rig->counters_now = calloc(COUNTERS * cpus, sizeof(struct counter));
        rig->shadow = calloc(rig->lab.knobs.flow_sets, sizeof(struct flow_set));
        if (!rig->counters || !rig->counters_now || !rig->shadow)
                abort();
}

static void read_counters(struct rig *rig, struct counter *ret)
{
        uint32_t keys[COUNTERS], count = COUNTERS, next;
        int r = bpf_map_lookup_batch(rig->lab.map[MAP_COUNTERS], NULL, &next, keys, ret, &count, NULL);

        if ((r && r != -ENOENT && errno != ENOENT) || count != COUNTERS)
                rig_die("counters", r);
}

static struct flow_counters read_flow_counters(struct rig *rig)
{
        struct flow_counters values[256], sum = {0};
        uint32_t zero = 0;

        if (bpf_map_lookup_elem(rig->lab.map[MAP_FLOW_COUNTERS], &zero, values))
                rig_die("flow_counters", -errno);
        for (int cpu = 0; cpu < rig->lab.cpus; cpu++) {
                sum.inserted += values[cpu].inserted;
                sum.evicted += values[cpu].evicted;
                sum.expired += values[cpu].expired;
                sum.full += values[cpu].full;
                sum.stale += values[cpu].stale;
                sum.port_collisions += values[cpu].port_collisions;
                sum.taken_over += values[cpu].taken_over;
        }
        return sum;
}

void rig_look_begin(struct rig *rig)
{
        memset(rig->shadow, 0, rig->lab.knobs.flow_sets * sizeof(struct flow_set));
        lab_clear_flows(&rig->lab);
        read_counters(rig, rig->counters);
        rig->flow_counters = read_flow_counters(rig);
}

/* --- flows */

/* Of either direction: each notes its own packets. */
static uint32_t last_seen(const struct flow_set *sets, uint32_t index, const struct flow *f)
{
        const struct flow *other = &sets[f->peer / FLOW_WAYS].flow[f->peer % FLOW_WAYS];
        bool pair = FLOW_STATUS(other->control) == FLOW_LIVE && other->peer == index;

        return pair && (int32_t)(other->seen - f->seen) > 0 ? other->seen : f->seen;
}

static void decode(const struct rig *rig, const struct flow_set *sets, uint32_t set, uint32_t way,
                   struct seen_half *ret)
{
        const struct flow *f = &sets[set].flow[way];
        uint32_t control = f->control;

        *ret = (struct seen_half){.live = FLOW_STATUS(control) == FLOW_LIVE};
        if (!ret->live)
                return;
        ret->key = f->key;
        ret->to = (struct tuple){f->new_src, f->new_dst, f->new_sport, f->new_dport, f->key.proto, {0}};
        ret->backend = f->backend;
        ret->generation = f->generation;
        ret->service = f->service;
        ret->seen = last_seen(sets, set * FLOW_WAYS + way, f) - rig->clock + rig->age;
        ret->created = f->created - rig->clock + rig->age;
        ret->packets = f->packets;
        ret->bytes = f->bytes;
        ret->flags = f->flags;
        ret->state = f->state;
        ret->index = set * FLOW_WAYS + way;
        ret->peer = f->peer;
}

static void look_at_flows(struct rig *rig, struct observed *ret)
{
        for (uint32_t set = 0; set < rig->lab.knobs.flow_sets; set++) {
                struct flow_set *now = &rig->lab.flows[set], *was = &rig->shadow[set];

                if (memcmp(now, was, sizeof(*now)) == 0)
                        continue;
                for (uint32_t way = 0; way < FLOW_WAYS && ret->nchanges < CHANGES_MAX; way++) {
                        struct seen_change *c = &ret->changes[ret->nchanges];

                        if (memcmp(&now->flow[way], &was->flow[way], sizeof(struct flow)) == 0)
                                continue;
                        decode(rig, rig->shadow, set, way, &c->was);
                        decode(rig, rig->lab.flows, set, way, &c->is);
                        ret->nchanges++;
                }
        }
        for (uint32_t set = 0; set < rig->lab.knobs.flow_sets; set++)
                if (memcmp(&rig->lab.flows[set], &rig->shadow[set], sizeof(*rig->shadow)) != 0)
                        rig->shadow[set] = rig->lab.flows[set];
}

bool rig_find(const struct rig *rig, const struct tuple *key, struct seen_half *ret)
{
        uint32_t set = flow_set_of(tuple_hash(key), rig->lab.knobs.flow_sets);

        for (uint32_t way = 0; way < FLOW_WAYS; way++) {
                decode(rig, rig->lab.flows, set, way, ret);
                if (ret->live && same_tuple(&ret->key, key))
                        return true;
        }
        return false;
}

size_t rig_halves(const struct rig *rig, struct seen_half *ret, size_t max)
{
        size_t n = 0;

        for (uint32_t i = 0; i < rig->lab.knobs.flow_sets * FLOW_WAYS && n < max; i++) {
                decode(rig, rig->lab.flows, i / FLOW_WAYS, i % FLOW_WAYS, &ret[n]);
                n += ret[n].live;
        }
        return n;
}

static void older(struct flow_set *sets, uint32_t n, uint32_t seconds)
{
        for (uint32_t i = 0; i < n * FLOW_WAYS; i++) {
                sets[i / FLOW_WAYS].flow[i % FLOW_WAYS].seen -= seconds;
                sets[i / FLOW_WAYS].flow[i % FLOW_WAYS].created -= seconds;
        }
}

void rig_look_clock(struct rig *rig, uint32_t seconds)
{
        struct affinity_key keys[256];
        struct affinity value;
        size_t n = 0;

        older(rig->lab.flows, rig->lab.knobs.flow_sets, seconds);
        older(rig->shadow, rig->lab.knobs.flow_sets, seconds);
        while (n < 256 && !bpf_map_get_next_key(rig->lab.map[MAP_AFFINITY], n ? &keys[n - 1] : NULL, &keys[n]))
                n++;
        for (size_t i = 0; i < n; i++) {
                if (bpf_map_lookup_elem(rig->lab.map[MAP_AFFINITY], &keys[i], &value))
                        continue;
                value.seen -= seconds;
                rig_set(rig, MAP_AFFINITY, &keys[i], &value);
        }
        rig->age += seconds;
}

/* --- counters */

static void look_at_counters(struct rig *rig, struct observed *ret)
{
        int cpus = rig->lab.cpus;
        struct counter *swap;

        ret->reason = -1;
        read_counters(rig, rig->counters_now);
        for (size_t i = 0; i < COUNTERS * (size_t)cpus; i++) {
                uint64_t packets = rig->counters_now[i].packets - rig->counters[i].packets;
                uint64_t bytes = rig->counters_now[i].bytes - rig->counters[i].bytes;

                if (!packets && !bytes)
                        continue;
                ret->hook = (int)(i / (size_t)cpus % HOOK_COUNT);
                ret->reason = ret->reason == -1 ? (int)(i / (size_t)cpus / HOOK_COUNT) : -2;
                ret->counted_packets += packets;
                ret->counted_bytes += bytes;
        }
        swap = rig->counters;
        rig->counters = rig->counters_now;
        rig->counters_now = swap;
}

static void look_at_flow_counters(struct rig *rig, struct observed *ret)
{
        struct flow_counters now = read_flow_counters(rig), was = rig->flow_counters;

        ret->flows = (struct flow_counters){
                .inserted = now.inserted - was.inserted,
                .evicted = now.evicted - was.evicted,
                .expired = now.expired - was.expired,
                .full = now.full - was.full,
                .stale = now.stale - was.stale,
                .port_collisions = now.port_collisions - was.port_collisions,
                .taken_over = now.taken_over - was.taken_over,
        };
        rig->flow_counters = now;
}

void rig_stats(struct rig *rig, uint32_t id, struct service_stats *ret)
{
        struct service_stats values[256];

        *ret = (struct service_stats){0};
        if (bpf_map_lookup_elem(rig->lab.map[MAP_SERVICE_STATS], &id, values))
                rig_die("service_stats", errno);
        for (int cpu = 0; cpu < rig->lab.cpus; cpu++)
                for (size_t i = 0; i < sizeof(*ret) / 8; i++)
                        ((uint64_t *)ret)[i] += ((uint64_t *)&values[cpu])[i];
}

/* --- where the packet was sent to, as the program's scratch still has it */

static int object_of(enum hook hook)
{
        switch (hook) {
        case HOOK_FROM_POD:
        case HOOK_TO_POD:
                return 0;
        case HOOK_OVERLAY:
        case HOOK_TO_OVERLAY:
                return 1;
        case HOOK_EDGE:
                return 3;
        case HOOK_TO_LO:
                return 4;
        default:
                return 2;
        }
}

static struct addr addr_of(const void *bytes, bool v6)
{
        struct addr a = place_addr(PLACE_NOBODY, 0, v6);

        memcpy(v6 ? a.b : a.b + 12, bytes, v6 ? 16 : 4);
        return a;
}

static void look_at_way(struct rig *rig, const struct event *e, struct way_seen *ret)
{
        uint8_t values[64 * 1024];
        const uint8_t *way = values + (size_t)rig->cpu * rig->scratch_size + rig->way_at;
        struct bpf_redir_neigh next;
        struct bpf_tunnel_key key;
        uint32_t zero = 0;

        if (bpf_map_lookup_elem(rig->scratch[object_of(e->hook)], &zero, values))
                rig_die("hook_scratch", -errno);
        memcpy(&ret->ifindex, way + rig->way_ifindex, 4);
        memcpy(&next, way + rig->way_next, sizeof(next));
        memcpy(&key, way + rig->way_tunnel, sizeof(key));
        ret->next = addr_of(next.ipv6_nh, next.nh_family == AF_INET6);
        ret->tunnel_id = key.tunnel_id;
        /* IPv4 is in host order there. */
        key.remote_ipv4 =
                key.remote_ipv6[1] | key.remote_ipv6[2] | key.remote_ipv6[3] ? key.remote_ipv4 : htonl(key.remote_ipv4);
        ret->remote = addr_of(&key.remote_ipv4, key.remote_ipv6[1] | key.remote_ipv6[2] | key.remote_ipv6[3]);
}

void rig_look_after(struct rig *rig, const struct event *e, struct observed *ret)
{
        look_at_counters(rig, ret);
        look_at_flow_counters(rig, ret);
        look_at_flows(rig, ret);
        if (ret->verdict == TC_ACT_REDIRECT || e->hook == HOOK_TO_OVERLAY)
                look_at_way(rig, e, &ret->way);
}
