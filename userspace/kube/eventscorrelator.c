/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers are those of client-go's tools/record. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/ratelimit.h"
#include "kube/eventscorrelator.h"

#define CACHE_MAX     4096   /* entries in each of the maps */
#define SIMILAR_MAX   10     /* different messages of one group ... */
#define SIMILAR_MS    600000 /* ... within that time, then they are combined */
#define BUDGET_BURST  25
#define BUDGET_RATE   (1.0 / 300)
#define COMBINED_TEXT "(combined from similar events): "

/* Events that differ only in their message. */
struct event_group {
        char *key;
        uint64_t seen_ms;
        uint64_t hashes[SIMILAR_MAX]; /* of the messages */
        size_t n;
};

struct event_budget {
        char *key;
        uint64_t seen_ms;
        struct ratelimit limit;
};

void event_note_free(struct event_note *e)
{
        if (!e)
                return;
        free(e->api_version);
        free(e->kind);
        free(e->ns);
        free(e->name);
        free(e->uid);
        free(e->version);
        free(e->field_path);
        free(e->reason);
        free(e->message);
        free(e);
}

static void record_free(void *value)
{
        struct event_record *r = value;

        free(r->key);
        free(r->event_name);
        free(r);
}

static void group_free(void *value)
{
        struct event_group *g = value;

        free(g->key);
        free(g);
}

static void budget_free(void *value)
{
        struct event_budget *b = value;

        free(b->key);
        free(b);
}

static uint64_t record_seen(const void *value)
{
        return ((const struct event_record *)value)->seen_ms;
}

static uint64_t group_seen(const void *value)
{
        return ((const struct event_group *)value)->seen_ms;
}

static uint64_t budget_seen(const void *value)
{
        return ((const struct event_budget *)value)->seen_ms;
}

void events_correlator_init(struct events_correlator *c)
{
        hashmap_init(&c->records, HASHMAP_STR);
        hashmap_init(&c->groups, HASHMAP_STR);
        hashmap_init(&c->budgets, HASHMAP_STR);
}

static void map_deinit(struct hashmap *m, void (*free_value)(void *value))
{
        hashmap_foreach (m, slot)
                free_value(slot->value);
        hashmap_deinit(m);
}

void events_correlator_deinit(struct events_correlator *c)
{
        map_deinit(&c->records, record_free);
        map_deinit(&c->groups, group_free);
        map_deinit(&c->budgets, budget_free);
}

/* Makes room in a full map: the half that was not seen for longest goes, so that this is rarely needed. */
static void make_room(struct hashmap *m, uint64_t now_ms, uint64_t (*seen)(const void *value),
                      void (*free_value)(void *value))
{
        uint64_t oldest = now_ms, limit;
        struct hashmap kept;

        if (m->count < CACHE_MAX)
                return;
        hashmap_foreach (m, slot)
                oldest = MIN(oldest, seen(slot->value));
        limit = oldest + (now_ms - oldest) / 2;
        hashmap_init(&kept, HASHMAP_STR);
        hashmap_foreach (m, slot) {
                if (seen(slot->value) > limit)
                        hashmap_put_n(&kept, slot->key.str, slot->len, slot->value);
                else
                        free_value(slot->value);
        }
        hashmap_deinit(m);
        *m = kept;
}

static const char *or_empty(const char *s)
{
        return s ? s : "";
}

/* Fields are separated by a byte that none of them has. */
static char *object_key(const struct event_note *e)
{
        return mem_printf("%s\n%s\n%s\n%s\n%s", or_empty(e->kind), or_empty(e->ns), or_empty(e->name), or_empty(e->uid),
                          or_empty(e->api_version));
}

static bool within_budget(struct events_correlator *c, const char *key, uint64_t now_ms)
{
        struct event_budget *b = hashmap_get(&c->budgets, key);

        if (!b) {
                make_room(&c->budgets, now_ms, budget_seen, budget_free);
                b = mem_new(struct event_budget);
                b->key = mem_strdup(key);
                ratelimit_init(&b->limit, BUDGET_RATE, BUDGET_BURST);
                hashmap_put(&c->budgets, b->key, b);
        }
        b->seen_ms = now_ms;
        return ratelimit_allow(&b->limit, now_ms * NS_PER_MS);
}

/* Whether the group has had so many different messages that this one is to be combined with others. */
static bool too_similar(struct events_correlator *c, const char *key, const char *message, uint64_t now_ms)
{
        static const uint64_t seed[2] = {0x6576656e74, 1};
        uint64_t hash = hash_bytes(seed, message, strlen(message));
        struct event_group *g = hashmap_get(&c->groups, key);

        if (!g) {
                make_room(&c->groups, now_ms, group_seen, group_free);
                g = mem_new(struct event_group);
                g->key = mem_strdup(key);
                hashmap_put(&c->groups, g->key, g);
        } else if (now_ms - g->seen_ms > SIMILAR_MS) {
                g->n = 0;
        }
        g->seen_ms = now_ms;
        for (size_t i = 0; i < g->n; i++)
                if (g->hashes[i] == hash)
                        return false;
        if (g->n == SIMILAR_MAX)
                return true;
        g->hashes[g->n++] = hash;
        return false;
}

static struct event_record *count_up(struct events_correlator *c, const char *key, const struct event_note *e,
                                     uint64_t now_ms)
{
        struct event_record *r = hashmap_get(&c->records, key);

        if (!r) {
                make_room(&c->records, now_ms, record_seen, record_free);
                r = mem_new(struct event_record);
                r->key = mem_strdup(key);
                r->event_name = mem_strdup("");
                r->first_s = e->wall_s;
                hashmap_put(&c->records, r->key, r);
        }
        r->count++;
        r->seen_ms = now_ms;
        return r;
}

struct event_record *events_correlate(struct events_correlator *c, struct event_note *e, uint64_t now_ms)
{
        _cleanup_free_ char *object = object_key(e), *group = NULL, *key = NULL;
        struct event_record *r;

        group = mem_printf("%s\n%s\n%d\n%s", object, or_empty(e->field_path), e->warning, e->reason);
        if (too_similar(c, group, e->message, now_ms)) {
                char *combined = mem_printf(COMBINED_TEXT "%s", e->message);

                free(e->message);
                e->message = combined;
                key = mem_printf("%s\ncombined", group); /* one record, whatever the messages */
        } else {
                key = mem_printf("%s\n=%s", group, e->message);
        }
        r = count_up(c, key, e, now_ms);
        return within_budget(c, object, now_ms) ? r : NULL;
}
