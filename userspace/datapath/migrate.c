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
static bool read_flow(struct flow_table t, uint32_t index, struct flow *ret)
{
        const struct flow *f = &t.sets[index / FLOW_WAYS].flow[index % FLOW_WAYS];
        uint32_t control = __atomic_load_n(&f->control, __ATOMIC_ACQUIRE);

        if (FLOW_STATUS(control) != FLOW_LIVE)
                return false;
        memcpy(ret, f, sizeof(*ret));
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        return __atomic_load_n(&f->control, __ATOMIC_RELAXED) == control;
}

/* Has the set a live entry of that key? */
static bool has_flow(struct flow_table t, uint64_t hash, const struct tuple *key)
{
        uint32_t first = flow_set_of(hash, t.count) * FLOW_WAYS;
        struct flow flow;

        for (uint32_t i = first; i < first + FLOW_WAYS; i++)
                if (read_flow(t, i, &flow) && memcmp(&flow.key, key, sizeof(*key)) == 0)
                        return true;
        return false;
}

/* Changes the byte of a way that is ours. */
static void leave_way(struct flow_table t, uint32_t index, uint8_t from, uint8_t to)
{
        __atomic_fetch_xor(&t.marks[index / FLOW_WAYS], (uint64_t)(uint8_t)(from ^ to) << index % FLOW_WAYS * 8,
                           __ATOMIC_ACQ_REL);
}

static struct flow *flow_at(struct flow_table t, uint32_t index)
{
        return &t.sets[index / FLOW_WAYS].flow[index % FLOW_WAYS];
}

/* Hashes want an alignment that entries of the table have, and that says so. */
static uint64_t key_hash(const struct flow *flow)
{
        struct tuple key __attribute__((aligned(8))) = flow->key;

        return tuple_hash(&key);
}

/* A free way of the word of marks, that one if it is; or FLOW_WAYS. */
static uint32_t free_way(uint64_t marks, uint32_t home)
{
        uint32_t way = 0;

        if (!(marks >> home * 8 & 0xff))
                return home;
        while (way < FLOW_WAYS && marks >> way * 8 & 0xff)
                way++;
        return way;
}

/* Owns a free way for a key that has no entry: *ret_index names it in the whole table. -EEXIST, or -ENOSPC when the set
 * has none. As the programs do it (bpf/lib/flow.h, point 3). */
static int claim_way(struct flow_table t, const struct flow *flow, uint32_t *ret_index)
{
        uint64_t hash = key_hash(flow), *marks = &t.marks[flow_set_of(hash, t.count)], old, busy;
        uint32_t way;

        do {
                old = __atomic_load_n(marks, __ATOMIC_ACQUIRE);
                if (has_flow(t, hash, &flow->key))
                        return -EEXIST;
                way = free_way(old, flow_home_of(hash));
                if (way == FLOW_WAYS)
                        return -ENOSPC;
                busy = old | (uint64_t)(flow_mark_of(hash) | FLOW_MARK_BUSY) << way * 8;
        } while (!__atomic_compare_exchange_n(marks, &old, busy, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
        *ret_index = flow_set_of(hash, t.count) * FLOW_WAYS + way;
        return 0;
}

/* Into a way that is ours, which is everybody's then. */
static void write_flow(struct flow_table t, uint32_t index, const struct flow *flow, uint32_t peer)
{
        struct flow *to = flow_at(t, index);
        uint8_t mark = flow_mark_of(key_hash(flow));
        uint32_t generation = FLOW_GENERATION(to->control) + 1;

        __atomic_store_n(&to->control, FLOW_CONTROL(generation, FLOW_BUSY), __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_RELEASE);
        memcpy((char *)to + sizeof(to->control), (const char *)flow + sizeof(to->control),
               sizeof(*to) - sizeof(to->control));
        to->peer = peer;
        to->epoch = (__u16)generation;
        __atomic_store_n(&to->control, FLOW_CONTROL(generation, FLOW_LIVE), __ATOMIC_RELEASE);
        leave_way(t, index, mark | FLOW_MARK_BUSY, mark);
}

/* Both directions or none. False: there is no room. */
static bool insert_pair(struct flow_table t, const struct flow *forward, const struct flow *reply)
{
        uint32_t at[2];
        int r = claim_way(t, forward, &at[0]);

        if (r)
                return r == -EEXIST;
        r = claim_way(t, reply, &at[1]);
        if (r) {
                leave_way(t, at[0], flow_mark_of(key_hash(forward)) | FLOW_MARK_BUSY, 0);
                return r == -EEXIST;
        }
        write_flow(t, at[0], forward, at[1]);
        write_flow(t, at[1], reply, at[0]);
        return true;
}

void migrate_flows(struct flow_table from, struct flow_table to, size_t *ret_lost)
{
        struct flow forward, reply;
        size_t lost = 0;

        for (uint32_t i = 0; i < from.count * FLOW_WAYS; i++) {
                if (!read_flow(from, i, &forward) || forward.flags & FLOW_REPLY ||
                    forward.peer / FLOW_WAYS >= from.count)
                        continue;
                /* the other direction has it as its peer, or has been evicted since */
                if (read_flow(from, forward.peer, &reply) && reply.peer == i && !insert_pair(to, &forward, &reply))
                        lost++;
        }
        *ret_lost = lost;
}

void migrate_mark_flows(struct flow_table t)
{
        struct flow flow;

        for (uint32_t i = 0; i < t.count * FLOW_WAYS; i++) {
                uint8_t known =
                        (uint8_t)(__atomic_load_n(&t.marks[i / FLOW_WAYS], __ATOMIC_RELAXED) >> i % FLOW_WAYS * 8);

                if (!known && read_flow(t, i, &flow))
                        leave_way(t, i, 0, flow_mark_of(key_hash(&flow)));
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
