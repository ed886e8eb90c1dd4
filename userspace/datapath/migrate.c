/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "bpf/abi/hash.h"
#include "datapath/map_ops.h"
#include "datapath/migrate.h"

/* The layouts have not changed yet: there is no other version to come from. */
const struct converters migrate_converters = {.items = NULL, .count = 0};

const struct converter *migrate_find(const struct converters *table, uint32_t version, enum map_id map)
{
        for (size_t i = 0; i < table->count; i++)
                if (table->items[i].version == version && table->items[i].map == map)
                        return &table->items[i];
        return NULL;
}

static bool is_zero(const void *data, size_t n)
{
        const char *p = data;

        return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

struct copy {
        struct map *to;
        const struct converter *converter;
        char *key, *value, *present; /* buffers: of the successor's sizes */
        size_t lost;
};

/* Whether the successor has that entry already. Of a trie that cannot be asked; there the agent wrote both. */
static int has_already(struct copy *c, const void *key, bool *ret)
{
        int r = c->to->prefixes ? -ENOENT : map_lookup(c->to, key, c->present);

        if (r && r != -ENOENT)
                return r;
        *ret = r == 0 && !(c->to->array && is_zero(c->present, map_lookup_size(c->to)));
        return 0;
}

static int copy_entry(void *userdata, const void *key, const void *value)
{
        struct copy *c = userdata;
        bool has = false;
        int r;

        if (c->converter) {
                memset(c->key, 0, c->to->info.key_size);
                memset(c->value, 0, map_lookup_size(c->to));
                if (c->converter->convert(key, value, c->key, c->value) == MIGRATE_LEAVE)
                        return 0;
                key = c->key;
                value = c->value;
        }
        if (c->to->array && is_zero(value, map_lookup_size(c->to)))
                return 0;
        r = has_already(c, key, &has);
        if (r || has)
                return r;
        r = map_update(c->to, key, value);
        if (r == MAP_FULL || r == -ERANGE) {
                c->lost++;
                r = 0;
        }
        return r;
}

int migrate_copy(struct map *from, struct map *to, const struct converter *converter, size_t *ret_lost)
{
        _cleanup_free_ char *key = mem_alloc(to->info.key_size + 1), *value = mem_alloc(map_lookup_size(to) + 1),
                            *present = mem_alloc(map_lookup_size(to) + 1);
        struct copy c = {.to = to, .converter = converter, .key = key, .value = value, .present = present};
        int r;

        if (!converter && (from->info.key_size != to->info.key_size || from->info.value_size != to->info.value_size ||
                           from->info.per_cpu != to->info.per_cpu || from->array != to->array))
                return -EPROTO;
        r = map_each(from, copy_entry, &c);
        if (r == 0)
                *ret_lost = c.lost;
        return r;
}

/* A live entry as it was at one moment. False when there is none, or a program changes it. */
static bool read_flow(const struct flow_set *set, uint32_t way, uint64_t *ret_control, struct flow *ret)
{
        uint64_t control = __atomic_load_n(&set->control[way], __ATOMIC_ACQUIRE);

        if (FLOW_STATUS(control) != FLOW_LIVE)
                return false;
        memcpy(ret, &set->flow[way], sizeof(*ret));
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        *ret_control = control;
        return __atomic_load_n(&set->control[way], __ATOMIC_RELAXED) == control;
}

/* The way of a set that holds that key, or -1. */
static int find_way(const struct flow_set *set, uint32_t tag, const struct tuple *key)
{
        struct flow flow;
        uint64_t control;

        for (uint32_t way = 0; way < FLOW_WAYS; way++)
                if (read_flow(set, way, &control, &flow) && FLOW_TAG(control) == tag &&
                    memcmp(&flow.key, key, sizeof(*key)) == 0)
                        return (int)way;
        return -1;
}

/* Claims a free way: *ret_index names it in the whole table. False when the set has none. */
static bool claim_way(struct flow_table t, uint64_t hash, uint32_t *ret_index)
{
        uint32_t index = flow_set_of(hash, t.count);
        struct flow_set *set = &t.sets[index];

        for (uint32_t way = 0; way < FLOW_WAYS; way++) {
                __u64 control = __atomic_load_n(&set->control[way], __ATOMIC_RELAXED);

                if (FLOW_STATUS(control) == FLOW_FREE &&
                    __atomic_compare_exchange_n(&set->control[way], &control,
                                                FLOW_CONTROL(flow_tag_of(hash), FLOW_GENERATION(control), FLOW_BUSY),
                                                false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
                        *ret_index = index * FLOW_WAYS + way;
                        return true;
                }
        }
        return false;
}

static __u64 *control_at(struct flow_table t, uint32_t index)
{
        return &t.sets[index / FLOW_WAYS].control[index % FLOW_WAYS];
}

/* FREE again, or LIVE with the next generation. */
static void leave_way(struct flow_table t, uint32_t index, enum flow_status status)
{
        __u64 *control = control_at(t, index), held = __atomic_load_n(control, __ATOMIC_RELAXED);

        __atomic_store_n(control, FLOW_CONTROL(FLOW_TAG(held), FLOW_GENERATION(held) + (status == FLOW_LIVE), status),
                         __ATOMIC_RELEASE);
}

static void mark(struct flow_table t, uint32_t index, uint64_t hash)
{
        uint8_t *marks = (uint8_t *)&t.marks[index / FLOW_WAYS];

        __atomic_store_n(&marks[index % FLOW_WAYS], flow_mark_of(hash), __ATOMIC_RELAXED);
}

/* LIVE comes after the mark: leave_way releases. */
static void write_flow(struct flow_table t, uint32_t index, const struct flow *flow, uint32_t peer)
{
        struct flow *to = &t.sets[index / FLOW_WAYS].flow[index % FLOW_WAYS];

        mark(t, index, (uint64_t)FLOW_TAG(*control_at(t, index)) << 32);

        memcpy(to, flow, sizeof(*to));
        to->peer = peer;
        leave_way(t, index, FLOW_LIVE);
}

/* Hashes want an alignment that entries of the table have, and that says so. */
static uint64_t key_hash(const struct flow *flow)
{
        struct tuple key __attribute__((aligned(8))) = flow->key;

        return tuple_hash(&key);
}

/* Both directions or none. */
static bool insert_pair(struct flow_table t, const struct flow *forward, const struct flow *reply)
{
        uint64_t hashes[2] = {key_hash(forward), key_hash(reply)};
        uint32_t at[2];

        if (find_way(&t.sets[flow_set_of(hashes[0], t.count)], flow_tag_of(hashes[0]), &forward->key) >= 0 ||
            find_way(&t.sets[flow_set_of(hashes[1], t.count)], flow_tag_of(hashes[1]), &reply->key) >= 0)
                return true;
        if (!claim_way(t, hashes[0], &at[0]))
                return false;
        if (!claim_way(t, hashes[1], &at[1])) {
                leave_way(t, at[0], FLOW_FREE);
                return false;
        }
        write_flow(t, at[0], forward, at[1]);
        write_flow(t, at[1], reply, at[0]);
        return true;
}

void migrate_flows(struct flow_table from, struct flow_table to, size_t *ret_lost)
{
        struct flow forward, reply;
        uint64_t control;
        size_t lost = 0;

        for (uint32_t i = 0; i < from.count * FLOW_WAYS; i++) {
                if (!read_flow(&from.sets[i / FLOW_WAYS], i % FLOW_WAYS, &control, &forward) ||
                    forward.flags & FLOW_REPLY || forward.peer / FLOW_WAYS >= from.count)
                        continue;
                /* the other direction has it as its peer, or has been evicted since */
                if (read_flow(&from.sets[forward.peer / FLOW_WAYS], forward.peer % FLOW_WAYS, &control, &reply) &&
                    reply.peer == i && !insert_pair(to, &forward, &reply))
                        lost++;
        }
        *ret_lost = lost;
}

void migrate_mark_flows(struct flow_table t)
{
        for (uint32_t i = 0; i < t.count * FLOW_WAYS; i++) {
                uint64_t control = __atomic_load_n(control_at(t, i), __ATOMIC_ACQUIRE);

                if (FLOW_STATUS(control) == FLOW_LIVE)
                        mark(t, i, (uint64_t)FLOW_TAG(control) << 32);
        }
}

struct need {
        const struct map *map;
        uint32_t entries;
};

static int note_needed(void *userdata, const void *key, const void *value)
{
        struct need *need = userdata;

        if (!need->map->array) {
                need->entries++;
        } else if (!is_zero(value, map_lookup_size(need->map))) {
                memcpy(&need->entries, key, sizeof(need->entries));
                need->entries++;
        }
        return 0;
}

int migrate_needed(struct map *m, uint32_t *ret)
{
        struct need need = {.map = m};
        int r = map_each(m, note_needed, &need);

        if (r == 0)
                *ret = need.entries;
        return r;
}

static int note_slots(void *userdata, const void *key, const void *value)
{
        uint32_t *end = userdata;
        struct service s;

        memcpy(&s, value, sizeof(s));
        *end = MAX(*end, MAX(s.in.base + s.in.size, s.out.base + s.out.size));
        return 0;
}

int migrate_needed_slot_lines(struct map *services, uint32_t *ret)
{
        uint32_t end = 0;
        int r = map_each(services, note_slots, &end);

        if (r == 0)
                *ret = (end + SLOT_LINE - 1) / SLOT_LINE;
        return r;
}
