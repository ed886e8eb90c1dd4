/* SPDX-License-Identifier: Apache-2.0 */
/* One service's steps: ids and ranges are given out at once, the writes are gathered. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/apply_books.h"
#include "base/mem.h"
#include "datapath/address.h"
#include "datapath/maglev.h"

#define LIST_MAX 65536 /* slots of a weighted list */

struct change {
        struct apply *a;
        const struct service_state *old;
        struct service_state *now;
        struct arena arena;
};

#define GROW(array, n, cap)                                                                                            \
        do {                                                                                                           \
                if ((n) == (cap)) {                                                                                    \
                        (cap) = (cap) ? 2 * (cap) : 64;                                                                \
                        (array) = mem_realloc((array), (cap), sizeof(*(array)));                                       \
                }                                                                                                      \
        } while (0)

struct slot_range apply_lines_of(struct slot_range slots)
{
        return (struct slot_range){slots.base / SLOT_LINE, (slots.size + SLOT_LINE - 1) / SLOT_LINE};
}

void apply_note_frontend(struct apply *a, const struct service_key *key)
{
        if (hashmap_get_n(&a->present, (const char *)key, sizeof(*key)))
                return;
        hashmap_put_n(&a->present, (const char *)key, sizeof(*key), a);
        filter_books_add(&a->filters, key);
}

void apply_forget_frontend(struct apply *a, const struct service_key *key)
{
        if (hashmap_del_n(&a->present, (const char *)key, sizeof(*key)))
                filter_books_remove(&a->filters, key);
}

void apply_remove_frontend(struct apply *a, const struct service_key *key)
{
        if (!hashmap_get_n(&a->present, (const char *)key, sizeof(*key)))
                return;
        stage_add(&a->frontend_dels, key, NULL);
}

static void found_no_room(struct change *c, enum map_id map)
{
        if (c->a->opts.full)
                c->a->opts.full(c->a->opts.userdata, c->now->key, map);
}

/* ---- ports ---- */

static void stage_name(struct change *c, const struct port_state *p)
{
        struct service_name name = {0};
        char text[16];

        snprintf(name.name, sizeof(name.name), "%s:%s/%s", c->now->key, port_state_text(p, text),
                 protocol_text(p->proto));
        stage_add(&c->a->names, &p->id, &name);
}

/* Counters of who had the id before. */
static void clear_stats(struct change *c, uint32_t id)
{
        struct apply *a = c->a;
        struct map *m = a->maps->m[MAP_SERVICE_STATS];
        size_t size = (size_t)map_cpus() * ((sizeof(struct service_stats) + 7) / 8 * 8);

        if (a->maps->fresh && id > a->highest_service_id)
                a->highest_service_id = id;
        else
                map_update(m, &id, arena_zalloc(&c->arena, size));
}

static void port_new(struct change *c, struct port_state *p)
{
        if (ids_alloc(c->a->service_ids, c->a->now_ms(), &p->id)) {
                p->id = 0;
                found_no_room(c, MAP_SERVICE_NAMES);
                return;
        }
        clear_stats(c, p->id);
        stage_name(c, p);
}

/* ---- backends ---- */

static void backend_set(struct change *c, struct port_state *p, struct backend_state *b)
{
        struct apply *a = c->a;
        struct backend value = {
                .addr = b->addr, .port = b->port, .proto = p->proto, .flags = b->flags, .service = p->id};

        if (!p->id)
                return;
        if (!b->id) {
                if (ids_alloc(a->backend_ids, a->now_ms(), &b->id)) {
                        b->id = 0;
                        found_no_room(c, MAP_BACKENDS);
                        return;
                }
                a->generations[b->id] = ++a->generation;
        }
        value.generation = a->generations[b->id];
        stage_add(&a->backends, &b->id, &value);
}

/* ---- pools ---- */

static size_t members_of(const struct port_state *p, unsigned pool, struct maglev_member *ret)
{
        size_t n = 0;

        for (uint32_t i = 0; i < p->nbackends; i++) {
                const struct backend_state *b = &p->backends[i];

                if (b->id && backend_in_pool(b, pool))
                        ret[n++] = (struct maglev_member){.identity = maglev_identity(&b->addr, b->port, p->proto),
                                                          .weight = b->weight,
                                                          .value = b->id};
        }
        return n;
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
        while (b) {
                uint64_t rest = a % b;

                a = b;
                b = rest;
        }
        return a;
}

/* Each as often as its weight, in the smallest numbers that keep the proportion. Returns the length. */
static uint32_t make_list(struct change *c, const struct maglev_member *m, size_t n, uint32_t **ret)
{
        uint64_t divisor = 0, total = 0, k = 0;

        for (size_t i = 0; i < n; i++) {
                divisor = gcd(divisor, m[i].weight);
                total += m[i].weight;
        }
        if (divisor && total / divisor > LIST_MAX)
                divisor = (total + LIST_MAX - 1) / LIST_MAX;
        *ret = arena_array(&c->arena, uint32_t, LIST_MAX / 64 + total / MAX(divisor, 1) + n);
        for (size_t i = 0; i < n; i++)
                for (uint64_t w = MAX(m[i].weight / MAX(divisor, 1), 1); w > 0; w--)
                        (*ret)[k++] = m[i].value;
        return (uint32_t)k;
}

static void stage_slots(struct apply *a, struct slot_range range, const uint32_t *slots)
{
        for (uint32_t done = 0; done < range.size; done += SLOT_LINE) {
                uint32_t line = (range.base + done) / SLOT_LINE;
                struct slot_line value = {0};

                memcpy(value.backend, slots + done, MIN(range.size - done, (uint32_t)SLOT_LINE) * sizeof(*slots));
                stage_add(&a->lines, &line, &value);
        }
}

static bool take_range(struct change *c, uint32_t size, struct slot_range *ret)
{
        struct slot_range lines;

        if (slots_alloc(c->a->lines_books, (size + SLOT_LINE - 1) / SLOT_LINE, c->a->now_ms(), &lines))
                return false;
        *ret = (struct slot_range){lines.base * SLOT_LINE, size};
        return true;
}

static const struct port_state *same_port(const struct service_state *s, const struct port_state *p)
{
        for (size_t i = 0; s && i < s->nports; i++)
                if (s->ports[i].id == p->id)
                        return &s->ports[i];
        return NULL;
}

/* The last resort: over the pool's old range. Every slot holds an endpoint at all times, the old or the new one: also
 * those behind the new end, until the frontends have turned to it. */
static void write_old_range(struct change *c, struct port_state *p, unsigned pool, const uint32_t *slots, uint32_t size)
{
        const struct port_state *o = same_port(c->old, p);
        struct slot_range was = o ? o->range[pool] : (struct slot_range){0};
        uint32_t room = MAX(was.size, size);
        uint32_t *padded;

        if (!o || apply_lines_of(was).size < apply_lines_of((struct slot_range){0, size}).size)
                return;
        padded = arena_array(&c->arena, uint32_t, room);
        for (uint32_t i = 0; i < room; i++)
                padded[i] = slots[i % size];
        stage_slots(c->a, (struct slot_range){was.base, room}, padded);
        p->range[pool] = (struct slot_range){was.base, size};
}

static void pool_set(struct change *c, struct port_state *p, unsigned pool)
{
        struct maglev_member *members = arena_array(&c->arena, struct maglev_member, p->nbackends);
        size_t n = p->id ? members_of(p, pool, members) : 0;
        uint32_t size = pool & POOL_HASH ? maglev_size((uint32_t)n) : 0, *slots = NULL;

        if (!n)
                return;
        if (size) {
                slots = arena_array(&c->arena, uint32_t, size);
                if (maglev_fill(members, (uint32_t)n, size, slots) || !take_range(c, size, &p->range[pool])) {
                        p->listed |= (uint8_t)(1U << pool);
                        found_no_room(c, MAP_SLOTS);
                        size = 0;
                }
        }
        if (!size) {
                size = make_list(c, members, n, &slots);
                if (!take_range(c, size, &p->range[pool])) {
                        found_no_room(c, MAP_SLOTS);
                        write_old_range(c, p, pool, slots, size);
                        return;
                }
        }
        stage_slots(c->a, p->range[pool], slots);
}

static void pool_free(struct change *c, const struct port_state *o, unsigned pool)
{
        struct apply *a = c->a;
        struct slot_range was = apply_lines_of(o->range[pool]), now = {0};
        const struct port_state *p = o->id ? same_port(c->now, o) : NULL;

        if (p && p->range[pool].size && p->range[pool].base == o->range[pool].base) {
                now = apply_lines_of(p->range[pool]);
                was.base += now.size;
                was.size -= now.size;
        }
        if (!was.size)
                return;
        GROW(a->freed_ranges, a->nfreed_ranges, a->freed_ranges_cap);
        a->freed_ranges[a->nfreed_ranges++] = was;
}

/* ---- frontends and source ranges ---- */

static bool is_table(const struct port_state *p, uint8_t pool)
{
        return pool != POOL_NONE && pool & POOL_HASH && !(p->listed & 1U << pool);
}

static void frontend_set(struct change *c, struct frontend_state *f, size_t index)
{
        struct apply *a = c->a;
        const struct port_state *p = &c->now->ports[f->port];
        struct service value = {.id = p->id, .flags = f->flags};

        f->absent = !p->id;
        if (f->absent) { /* and it must not lead to another service that has given it up for this one */
                apply_remove_frontend(a, &f->key);
                return;
        }
        if (f->in != POOL_NONE)
                value.in = p->range[f->in];
        if (f->out != POOL_NONE)
                value.out = p->range[f->out];
        value.flags |= (is_table(p, f->in) ? SERVICE_HASH_IN : 0) | (is_table(p, f->out) ? SERVICE_HASH_OUT : 0);
        value.affinity_s = f->flags & SERVICE_AFFINITY ? c->now->affinity_s : 0;
        GROW(a->owners, a->nowners, a->owners_cap);
        a->owners[a->nowners++] = (struct frontend_owner){.frontend = (uint16_t)index};
        stage_add(&a->frontends, &f->key, &value);
}

static struct range_key range_key(const struct svc_range *r, uint32_t id)
{
        return (struct range_key){.prefixlen = 32 + r->bits, .service = id, .addr = r->addr};
}

static void range_set(struct change *c, const struct port_state *p, const struct svc_range *r)
{
        struct apply *a = c->a;
        struct range_key key = range_key(r, p->id);
        uint8_t yes = 1;

        if (!p->id)
                return;
        if (a->ranges.n >= a->range_owners_cap) {
                a->range_owners_cap = a->range_owners_cap ? 2 * a->range_owners_cap : 64;
                a->range_owners = mem_realloc(a->range_owners, a->range_owners_cap, sizeof(struct service_state *));
        }
        a->range_owners[a->ranges.n] = NULL;
        stage_add(&a->ranges, &key, &yes);
        if (!hashmap_get_n(&a->present_ranges, (const char *)&key, sizeof(key)))
                hashmap_put_n(&a->present_ranges, (const char *)&key, sizeof(key), a);
}

static void range_del(struct change *c, const struct port_state *o, const struct svc_range *r)
{
        struct range_key key = range_key(r, o->id);

        stage_add(&c->a->range_dels, &key, NULL);
        hashmap_del_n(&c->a->present_ranges, (const char *)&key, sizeof(key));
}

/* ---- all of it ---- */

void apply_free_backend(struct apply *a, uint32_t id)
{
        GROW(a->graves, a->ngraves, a->graves_cap);
        a->graves[a->ngraves++] = (struct grave){.id = id};
}

static void port_free(struct change *c, uint32_t id)
{
        struct apply *a = c->a;
        struct service_name none = {0};

        stage_add(&a->name_dels, &id, &none);
        GROW(a->freed_ids, a->nfreed_ids, a->freed_ids_cap);
        a->freed_ids[a->nfreed_ids++] = id;
}

static void do_op(struct change *c, const struct op *op)
{
        struct port_state *now = op->kind < OP_FRONTEND_DEL ? &c->now->ports[op->port] : NULL;
        const struct port_state *was = op->kind > OP_FRONTEND_SET ? &c->old->ports[op->port] : NULL;

        switch (op->kind) {
        case OP_PORT_NEW:
                port_new(c, now);
                break;
        case OP_PORT_RENAME:
                stage_name(c, now);
                break;
        case OP_BACKEND_SET:
                backend_set(c, now, &now->backends[op->index]);
                break;
        case OP_POOL_SET:
                pool_set(c, now, op->index);
                break;
        case OP_RANGE_SET:
                range_set(c, now, &c->now->ranges[op->index]);
                break;
        case OP_FRONTEND_DEL:
                apply_remove_frontend(c->a, &c->old->frontends[op->index].key);
                break;
        case OP_FRONTEND_SET:
                frontend_set(c, &c->now->frontends[op->index], op->index);
                break;
        case OP_RANGE_DEL:
                range_del(c, was, &c->old->ranges[op->index]);
                break;
        case OP_POOL_FREE:
                pool_free(c, was, op->index);
                break;
        case OP_BACKEND_FREE:
                apply_free_backend(c->a, was->backends[op->index].id);
                break;
        case OP_PORT_FREE:
                port_free(c, was->id);
                break;
        }
}

struct service_state *apply_service(struct apply *a, struct service_state *old, struct service_state *now, bool doubt)
{
        struct change c = {.a = a, .now = now};
        struct op_list ops = {.arena = &c.arena};
        size_t owners = a->nowners, ranges = a->ranges.n;
        struct service_state *packed;

        if (old)
                c.old = service_state_unpack(old, &c.arena);
        diff_service(c.old, now, doubt, &ops);
        for (size_t i = 0; i < ops.n; i++)
                do_op(&c, &ops.ops[i]);
        packed = service_state_pack(now);
        for (size_t i = owners; i < a->nowners; i++)
                a->owners[i].state = packed;
        for (size_t i = ranges; i < a->ranges.n; i++)
                a->range_owners[i] = packed;
        arena_deinit(&c.arena);
        free(old);
        return packed;
}
