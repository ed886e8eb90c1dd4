/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash map from strings or 64-bit numbers to pointers: open addressing with linear probing, SipHash-1-3 with a random
 * key per map, so that chosen keys cannot flood it. Values are never freed by the map. String keys are borrowed
 * (usually they lie inside the value) unless the map was made with HASHMAP_STR_OWNED, which copies them. Not
 * thread-safe. Aborts when out of memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

enum hashmap_kind {
        HASHMAP_STR,       /* keys borrowed: they must outlive their entry */
        HASHMAP_STR_OWNED, /* keys copied */
        HASHMAP_U64,
};

struct hashmap_slot {
        union {
                const char *str;
                uint64_t num;
        } key;
        void *value;
        uint32_t hash; /* 0: free */
        uint32_t len;  /* of a string key */
};

struct hashmap {
        struct hashmap_slot *slots;
        size_t cap; /* a power of two, or 0 */
        size_t count;
        uint64_t seed[2];
        enum hashmap_kind kind;
};

/* Allocates nothing until the first put. */
void hashmap_init(struct hashmap *m, enum hashmap_kind kind);
/* Frees the table (and owned keys), not the values. The map can be initialised again. */
void hashmap_deinit(struct hashmap *m);
/* Removes every entry and keeps the table. */
void hashmap_clear(struct hashmap *m);

/* The value, or NULL when there is none. */
void *hashmap_get(const struct hashmap *m, const char *key);
void *hashmap_get_n(const struct hashmap *m, const char *key, size_t len);
void *hashmap_get_u64(const struct hashmap *m, uint64_t key);
/* Also tells a NULL value from no entry. Borrowed until the next change of the map. */
struct hashmap_slot *hashmap_find(const struct hashmap *m, const char *key, size_t len);

/* Sets or replaces; returns the value that was there before or NULL. A borrowed key is replaced with the value. */
void *hashmap_put(struct hashmap *m, const char *key, void *value);
void *hashmap_put_n(struct hashmap *m, const char *key, size_t len, void *value);
void *hashmap_put_u64(struct hashmap *m, uint64_t key, void *value);

/* Removes; returns the value that was there or NULL. */
void *hashmap_del(struct hashmap *m, const char *key);
void *hashmap_del_n(struct hashmap *m, const char *key, size_t len);
void *hashmap_del_u64(struct hashmap *m, uint64_t key);

/* The first used slot at or behind s, or NULL. */
struct hashmap_slot *hashmap_next(const struct hashmap *m, struct hashmap_slot *s);

/* for each (struct hashmap_slot *slot), in no order. Values may be replaced; the map must not be changed otherwise. */
#define hashmap_foreach(m, slot)                                                                                       \
        for (struct hashmap_slot *slot = hashmap_next(m, (m)->slots); slot; slot = hashmap_next(m, slot + 1))

/* SipHash-1-3 of n bytes. */
uint64_t hash_bytes(const uint64_t seed[2], const void *data, size_t n);
