/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the informer: what it keeps, by key and by indexes. Every entry carries the round of the initial state that
 * saw it last, so that what a new round did not see can be swept out without a second copy. */
#pragma once

#include "base/hashmap.h"
#include "kube/informer.h"

#define INFORMER_INDEXES_MAX 8

struct informer_entry {
        char *key;
        void *value;
        char *version; /* resourceVersion */
        uint32_t round;
};

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
/* Sets the value and returns the old one, which is the caller's to release. version is copied. */
void *informer_store_set(struct informer_store *s, const char *key, void *value, const char *version, uint32_t round);
/* Removes the entry and returns its value, which is the caller's to release. */
void *informer_store_del(struct informer_store *s, const char *key);
void informer_store_by_index(const struct informer_store *s, const char *name, const char *index_value,
                             void (*fn)(void *userdata, const char *key, void *value), void *userdata);
