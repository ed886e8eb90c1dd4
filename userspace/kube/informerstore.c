/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "kube/informerstore.h"

/* The entries with one index value. */
struct bucket {
        struct informer_entry **entries;
        size_t n, cap;
};

void informer_store_init(struct informer_store *s)
{
        hashmap_init(&s->entries, HASHMAP_STR);
}

struct informer_entry *informer_store_get(const struct informer_store *s, const char *key)
{
        return hashmap_get(&s->entries, key);
}

/* One entry that goes into an index, or out of it. */
struct change {
        struct informer_index *index;
        struct informer_entry *entry;
};

static void index_add(void *ctx, const char *index_value)
{
        struct change *c = ctx;
        struct bucket *b = hashmap_get(&c->index->buckets, index_value);

        if (!b) {
                b = mem_new(struct bucket);
                hashmap_put(&c->index->buckets, index_value, b);
        }
        for (size_t i = 0; i < b->n; i++)
                if (b->entries[i] == c->entry)
                        return;
        if (b->n == b->cap) {
                b->cap = b->cap ? b->cap * 2 : 2;
                b->entries = mem_realloc(b->entries, b->cap, sizeof(struct informer_entry *));
        }
        b->entries[b->n++] = c->entry;
}

static void index_del(void *ctx, const char *index_value)
{
        struct change *c = ctx;
        struct bucket *b = hashmap_get(&c->index->buckets, index_value);

        for (size_t i = 0; b && i < b->n; i++)
                if (b->entries[i] == c->entry) {
                        b->entries[i] = b->entries[--b->n];
                        break;
                }
        if (b && !b->n) {
                hashmap_del(&c->index->buckets, index_value);
                free(b->entries);
                free(b);
        }
}

static void reindex(struct informer_store *s, struct informer_entry *e, void (*op)(void *ctx, const char *index_value))
{
        for (size_t i = 0; i < s->nindexes; i++) {
                struct change c = {&s->indexes[i], e};

                s->indexes[i].fn(e->value, op, &c);
        }
}

/* A version of a number that grows by a digit or two still fits. */
#define VERSION_ROOM 12

static struct informer_entry *entry_new(const char *key, const char *version)
{
        size_t at = strlen(key) + 1, room = MAX(strlen(version) + 1, (size_t)VERSION_ROOM);
        struct informer_entry *e = mem_alloc(sizeof(*e) + at + room);

        *e = (struct informer_entry){.version = (uint16_t)at, .room = (uint16_t)room};
        memcpy(e->key, key, at);
        return e;
}

void *informer_store_set(struct informer_store *s, const char *key, void *value, const char *version, uint32_t round)
{
        struct informer_entry *e = informer_store_get(s, key), *before = e;
        void *old = NULL;

        if (e) {
                reindex(s, e, index_del);
                old = e->value;
        }
        if (!e || strlen(version) >= e->room) {
                e = entry_new(key, version);
                hashmap_put(&s->entries, e->key, e);
                free(before);
        }
        strcpy(e->key + e->version, version);
        e->value = value;
        e->round = round;
        reindex(s, e, index_add);
        return old;
}

static void *entry_free(struct informer_entry *e)
{
        void *value = e->value;

        free(e);
        return value;
}

void *informer_store_del(struct informer_store *s, const char *key)
{
        struct informer_entry *e = informer_store_get(s, key);

        if (!e)
                return NULL;
        reindex(s, e, index_del);
        hashmap_del(&s->entries, key);
        return entry_free(e);
}

void informer_store_by_index(const struct informer_store *s, const char *name, const char *index_value,
                             void (*fn)(void *userdata, const char *key, void *value), void *userdata)
{
        for (size_t i = 0; i < s->nindexes; i++) {
                struct bucket *b;

                if (!str_eq(s->indexes[i].name, name))
                        continue;
                b = hashmap_get(&s->indexes[i].buckets, index_value);
                for (size_t j = 0; b && j < b->n; j++)
                        fn(userdata, b->entries[j]->key, b->entries[j]->value);
        }
}

void informer_store_deinit(struct informer_store *s)
{
        for (size_t i = 0; i < s->nindexes; i++) {
                hashmap_foreach (&s->indexes[i].buckets, slot) {
                        struct bucket *b = slot->value;

                        free(b->entries);
                        free(b);
                }
                hashmap_deinit(&s->indexes[i].buckets);
                free(s->indexes[i].name);
        }
        hashmap_foreach (&s->entries, slot)
                s->release(s->userdata, entry_free(slot->value));
        hashmap_deinit(&s->entries);
}
