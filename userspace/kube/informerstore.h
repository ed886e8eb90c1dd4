/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the informer: what it keeps, by key and by indexes. Every entry carries the round of the initial state that
 * saw it last, so that what a new round did not see can be swept out without a second copy. */
#pragma once

#include "base/hashmap.h"
#include "kube/informer.h"

#define INFORMER_INDEXES_MAX 8

/* One block with its texts: there may be as many as a cluster has endpoints. */
struct informer_entry {
        void *value;
        uint32_t round;
        uint16_t version, room; /* where in `key` the resourceVersion is, and the bytes there */
        char key[];
};

static inline const char *informer_entry_version(const struct informer_entry *e)
{
        return e->key + e->version;
}

struct informer_index {
        char *name;
        informer_index_fn fn;
        struct hashmap buckets; /* index value -> struct bucket * */
};

struct informer_store {
        struct hashmap entries; /* key -> struct informer_entry * */
        struct informer_index indexes[INFORMER_INDEXES_MAX];
        size_t nindexes;
        void (*release)(void *userdata, void *value);
        void *userdata;
};

void informer_store_init(struct informer_store *s);
void informer_store_deinit(struct informer_store *s);
struct informer_entry *informer_store_get(const struct informer_store *s, const char *key);
/* Sets the value and returns the old one, which is the caller's to release. key and version are copied. An entry may
 * move. */
void *informer_store_set(struct informer_store *s, const char *key, void *value, const char *version, uint32_t round);
/* Removes the entry and returns its value, which is the caller's to release. */
void *informer_store_del(struct informer_store *s, const char *key);
void informer_store_by_index(const struct informer_store *s, const char *name, const char *index_value,
                             void (*fn)(void *userdata, const char *key, void *value), void *userdata);
