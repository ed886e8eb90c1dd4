/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/apply.h"
#include "agent/apply_books.h"
#include "base/clock.h"
#include "base/mem.h"
#include "datapath/address.h"

#define GRACE_MS       1000
#define BACKEND_LAG_MS 10 /* a program that is on its way to a backend is there by then */

/* ---- the commit: map by map ---- */

static int write_stage(struct apply *a, enum map_id id, struct stage *s)
{
        size_t done = 0;
        int r;

        if (!s->n)
                return 0;
        r = map_update_many(a->maps->m[id], s->keys, s->values, s->n, &done);
        a->stats.writes += done;
        if (r > 0)
                return -ENOSPC; /* an array is never full: its size is what the books were made of */
        if (!r)
                stage_clear(s);
        return r;
}

static void frontend_found_no_room(struct apply *a, size_t i)
{
        struct service_state *s = a->owners[i].state;
        struct frontend_state *f = &s->frontends[a->owners[i].frontend];

        apply_forget_frontend(a, &f->key);
        f->absent = true;
        if (a->opts.full)
                a->opts.full(a->opts.userdata, s->key, MAP_SERVICES);
}

static int write_frontends(struct apply *a)
{
        struct stage *s = &a->frontends;
        struct map *m = a->maps->m[MAP_SERVICES];

        for (size_t i = 0; i < s->n;) {
                size_t done = 0;
                int r = map_update_many(m, s->keys + i * s->key_size, s->values + i * s->value_size, s->n - i, &done);

                a->stats.writes += done;
                i += done;
                if (r < 0)
                        return r;
                if (r == MAP_FULL)
                        frontend_found_no_room(a, i++);
        }
        stage_clear(s);
        a->nowners = 0;
        return 0;
}

/* loadBalancerSourceRanges that find no room let nobody in, as the frontend asks for them. */
static int write_ranges(struct apply *a)
{
        struct stage *s = &a->ranges;
        struct map *m = a->maps->m[MAP_SOURCE_RANGES];

        for (size_t i = 0; i < s->n; i++) {
                int r = map_update(m, stage_key(s, i), s->values + i);

                if (r < 0)
                        return r;
                if (r == MAP_FULL)
                        hashmap_del_n(&a->present_ranges, stage_key(s, i), s->key_size);
                if (r == MAP_FULL && a->opts.full)
                        a->opts.full(a->opts.userdata, a->range_owners[i]->key, MAP_SOURCE_RANGES);
                a->stats.writes += !r;
        }
        stage_clear(s);
        return 0;
}

static int delete_all(struct apply *a, enum map_id id, struct stage *s)
{
        for (size_t i = 0; i < s->n; i++) {
                int r = map_delete(a->maps->m[id], stage_key(s, i));

                if (r)
                        return r;
                a->stats.writes++;
        }
        stage_clear(s);
        return 0;
}

static int write_filters(struct apply *a, bool wanted)
{
        if (!wanted)
                return 0;
        a->stats.writes++;
        return filter_books_write(&a->filters, a->maps->m[MAP_FILTERS]);
}

static int write_new(struct apply *a)
{
        int r = write_stage(a, MAP_SERVICE_NAMES, &a->names);

        if (!r)
                r = write_stage(a, MAP_BACKENDS, &a->backends);
        if (!r)
                r = write_stage(a, MAP_SLOTS, &a->lines);
        return r ? r : write_ranges(a);
}

/* A filter's bit is there before its frontend, and as long. */
static int write_turn(struct apply *a)
{
        int r = 0;

        for (size_t i = 0; !r && i < a->frontend_dels.n; i++) {
                const struct service_key *key = stage_key(&a->frontend_dels, i);

                r = map_delete(a->maps->m[MAP_SERVICES], key);
                if (!r)
                        apply_forget_frontend(a, key);
                a->stats.writes += !r;
        }
        if (r)
                return r;
        stage_clear(&a->frontend_dels);
        for (size_t i = 0; i < a->frontends.n; i++)
                apply_note_frontend(a, stage_key(&a->frontends, i));
        r = write_filters(a, a->filters.grown);
        return r ? r : write_frontends(a);
}

static int write_old(struct apply *a)
{
        int r = delete_all(a, MAP_SOURCE_RANGES, &a->range_dels);

        if (!r)
                r = write_stage(a, MAP_SERVICE_NAMES, &a->name_dels);
        return r ? r : write_filters(a, a->filters.shrunk);
}

static void release(struct apply *a)
{
        uint64_t now = a->now_ms();

        for (size_t i = 0; i < a->nfreed_ranges; i++)
                slots_release(a->lines_books, a->freed_ranges[i], now);
        for (size_t i = 0; i < a->nfreed_ids; i++)
                ids_release(a->service_ids, a->freed_ids[i], now);
        for (size_t i = a->ngraves_dated; i < a->ngraves; i++)
                a->graves[i].due_ms = now + BACKEND_LAG_MS;
        a->nfreed_ranges = a->nfreed_ids = 0;
        a->ngraves_dated = a->ngraves;
}

int apply_commit(struct apply *a)
{
        int r = write_new(a);

        if (!r)
                r = write_turn(a);
        if (!r)
                r = write_old(a);
        a->stats.commits++;
        if (!r) {
                release(a);
                return 0;
        }
        /* What goes stays gathered, and goes with the next commit that works. */
        a->stats.failures++;
        stage_clear(&a->names);
        stage_clear(&a->backends);
        stage_clear(&a->lines);
        stage_clear(&a->ranges);
        stage_clear(&a->frontends);
        a->nowners = 0;
        return r;
}

uint64_t apply_tidy(struct apply *a)
{
        uint64_t now = a->now_ms();
        size_t n = 0;

        while (n < a->ngraves_dated && a->graves[n].due_ms <= now) {
                uint32_t id = a->graves[n].id;
                struct backend gone = {.generation = ++a->generation};

                if (map_update(a->maps->m[MAP_BACKENDS], &id, &gone) < 0)
                        break;
                a->stats.writes++;
                ids_release(a->backend_ids, id, now);
                n++;
        }
        if (n)
                memmove(a->graves, a->graves + n, (a->ngraves - n) * sizeof(*a->graves));
        a->ngraves -= n;
        a->ngraves_dated -= n;
        if (!a->ngraves_dated)
                return 0;
        return a->graves[0].due_ms > now ? a->graves[0].due_ms - now : 1000;
}

/* ---- making and unmaking ---- */

static int make_books(struct apply *a)
{
        struct map *const *m = a->maps->m;
        uint64_t grace = a->opts.grace_ms ? a->opts.grace_ms : GRACE_MS;
        int r;

        a->stats.max_frontends = map_info(m[MAP_SERVICES])->max_entries;
        a->stats.max_service_ids = map_info(m[MAP_SERVICE_NAMES])->max_entries;
        a->stats.max_backends = map_info(m[MAP_BACKENDS])->max_entries;
        a->stats.max_slot_lines = map_info(m[MAP_SLOTS])->max_entries;
        a->stats.max_source_ranges = map_info(m[MAP_SOURCE_RANGES])->max_entries;
        r = slots_new(a->stats.max_slot_lines, grace, &a->lines_books);
        if (!r)
                r = ids_new(a->stats.max_backends, grace, &a->backend_ids);
        if (!r)
                r = ids_new(a->stats.max_service_ids, grace, &a->service_ids);
        if (r)
                return r;
        a->generations = calloc(a->stats.max_backends, sizeof(*a->generations));
        return a->generations ? 0 : -ENOMEM;
}

int apply_new(const struct apply_opts *opts, struct apply **ret, struct err *reterr)
{
        struct apply *a = mem_new(struct apply);
        int r;

        a->opts = *opts;
        a->maps = opts->maps;
        a->now_ms = opts->now_ms ? opts->now_ms : clock_mono_ms;
        stage_init(&a->names, sizeof(uint32_t), sizeof(struct service_name));
        stage_init(&a->name_dels, sizeof(uint32_t), sizeof(struct service_name));
        stage_init(&a->backends, sizeof(uint32_t), sizeof(struct backend));
        stage_init(&a->lines, sizeof(uint32_t), sizeof(struct slot_line));
        stage_init(&a->ranges, sizeof(struct range_key), 1);
        stage_init(&a->range_dels, sizeof(struct range_key), 0);
        stage_init(&a->frontends, sizeof(struct service_key), sizeof(struct service));
        stage_init(&a->frontend_dels, sizeof(struct service_key), 0);
        filter_books_init(&a->filters);
        hashmap_init(&a->present, HASHMAP_STR_OWNED);
        hashmap_init(&a->present_ranges, HASHMAP_STR_OWNED);
        r = make_books(a);
        if (r) {
                apply_free(a);
                return err_set(reterr, r, "no memory for the books of the service tables");
        }
        *ret = a;
        return 0;
}

void apply_free(struct apply *a)
{
        if (!a)
                return;
        stage_deinit(&a->names);
        stage_deinit(&a->name_dels);
        stage_deinit(&a->backends);
        stage_deinit(&a->lines);
        stage_deinit(&a->ranges);
        stage_deinit(&a->range_dels);
        stage_deinit(&a->frontends);
        stage_deinit(&a->frontend_dels);
        filter_books_deinit(&a->filters);
        hashmap_deinit(&a->present);
        hashmap_deinit(&a->present_ranges);
        slots_free(a->lines_books);
        ids_free(a->backend_ids);
        ids_free(a->service_ids);
        free(a->generations);
        free(a->owners);
        free(a->range_owners);
        free(a->freed_ranges);
        free(a->freed_ids);
        free(a->graves);
        free(a);
}

void apply_stats(const struct apply *a, struct apply_stats *ret)
{
        *ret = a->stats;
        ret->frontends = (uint32_t)a->present.count;
        ret->service_ids = ids_used(a->service_ids);
        ret->backends = ids_used(a->backend_ids);
        ret->slot_lines = slots_used(a->lines_books);
        ret->source_ranges = (uint32_t)a->present_ranges.count;
}

/* ---- taking over ---- */

int apply_adopt_service_id(struct apply *a, uint32_t id)
{
        return ids_adopt(a->service_ids, id);
}

void apply_adopt_generation(struct apply *a, uint32_t generation)
{
        if ((int32_t)(generation - a->generation) > 0)
                a->generation = generation;
}

int apply_adopt_backend(struct apply *a, uint32_t id, uint32_t generation)
{
        apply_adopt_generation(a, generation);
        if (id >= a->stats.max_backends)
                return -ERANGE;
        a->generations[id] = generation;
        return ids_adopt(a->backend_ids, id);
}

int apply_adopt_range(struct apply *a, struct slot_range range)
{
        return range.size ? slots_adopt(a->lines_books, apply_lines_of(range)) : 0;
}

void apply_adopt_frontend(struct apply *a, const struct service_key *key)
{
        apply_note_frontend(a, key);
}

void apply_adopt_source_range(struct apply *a, const struct range_key *key)
{
        hashmap_put_n(&a->present_ranges, (const char *)key, sizeof(*key), a);
}

int apply_adopted(struct apply *a)
{
        return filter_books_write(&a->filters, a->maps->m[MAP_FILTERS]);
}
