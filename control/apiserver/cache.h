/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server knows, in memory: per stored resource the present objects in key order, and the latest changes as a
 * ring that watchers read at their own pace. Fed by the store's watch in revision order; all reads are served from
 * here.
 *
 * A watcher holds a position in the ring and nothing else, so that memory does not grow with slow ones: who falls off
 * the tail of the ring is told so (CACHE_LOST) and has to list again.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "apiserver/object.h"
#include "store/store.h"

struct cache; /* one stored resource */
struct cache_set;

enum cache_outcome {
        CACHE_OK = 0,
        CACHE_LOST = 1, /* those changes are not in memory any more */
};

struct cache_event {
        uint64_t revision;
        struct object *old; /* before the change; NULL: created */
        struct object *new; /* after the change; of a delete: the last state at the delete's revision */
        bool deleted;
};

struct object_list {
        struct object **items; /* each a reference */
        size_t n, cap;
        uint64_t revision; /* the list is complete as of this revision */
};

#define OBJECT_LIST_NULL ((struct object_list){0})
void object_list_deinit(struct object_list *l);
/* Adds o; its reference is taken over. */
void object_list_take(struct object_list *l, struct object *o);

struct cache_filter {
        const char *namespace;                                       /* NULL: all */
        bool (*match)(const void *userdata, const struct object *o); /* NULL: all */
        const void *userdata;
};

/* A watcher, embedded by its owner. Fields belong to the cache while it is attached. */
struct cache_watcher {
        struct cache *cache;
        struct cache_watcher *prev, *next;
        uint64_t position; /* of the next event to read */
        struct cache_filter filter;
        bool idle;                             /* has read everything and wants to be woken */
        void (*wake)(struct cache_watcher *w); /* from any thread, with the cache's lock held: only signal */
};

/* Changes of keys that are no resource ("/registry/ranges/..."), and of some that are: value NULL is a delete. */
typedef void (*cache_observer_fn)(void *userdata, const char *key, const struct blob *value);

/*
 * Loads everything from the store and follows it from there. observer (may be NULL) sees every key, at the load too.
 * Returns 0 or negative errno.
 */
int cache_set_open(struct store *store, cache_observer_fn observer, void *userdata, struct cache_set **ret,
                   struct err *reterr);
void cache_set_close(struct cache_set *set); /* after the store was closed */
/* NULL for resources that are not stored. */
struct cache *cache_find(struct cache_set *set, const char *group, const char *plural);
struct cache *cache_of(struct cache_set *set, const struct schema_resource *r);
/* All caches; *ret_n of them. */
struct cache *cache_at(struct cache_set *set, size_t i);
size_t cache_count(const struct cache_set *set);
const struct schema_resource *cache_resource(const struct cache *c);
const struct kind_ops *cache_ops(const struct cache *c);
size_t cache_objects(struct cache *c);

/* The revision up to which everything is in memory. */
uint64_t cache_revision(struct cache_set *set);
/* Waits until that revision is in memory. Returns 0 or -ETIMEDOUT. */
int cache_wait(struct cache_set *set, uint64_t revision, unsigned timeout_ms);
/* The revision of this resource's latest change. */
uint64_t cache_changed(struct cache *c);

/* Drops changes older than that from memory: a resource that had a storm and is quiet now gives it back. Watchers that
 * have not read them are lost. */
void cache_forget_old(struct cache_set *set, uint64_t age_ns);

/* The present object, a reference of the caller's, or NULL. */
struct object *cache_get(struct cache *c, const char *namespace, const char *name);
/* The objects that pass the filter, after the key start_after (may be NULL), at most limit (0: all); *ret_more counts
 * what is left beyond; with a match function it only says whether anything is. ret->revision is exact: nothing between
 * it and the snapshot is missing. */
void cache_list(struct cache *c, const struct cache_filter *filter, const char *start_after, size_t limit,
                struct object_list *ret, size_t *ret_more);

/* Attaches a watcher that has read everything up to now, with the present objects (as cache_list) when ret is given. */
void cache_watch_now(struct cache *c, struct cache_watcher *w, struct object_list *ret);
/* Attaches a watcher that wants all changes after revision. Returns 0 or CACHE_LOST. */
int cache_watch_after(struct cache *c, struct cache_watcher *w, uint64_t revision);
/*
 * Reads up to max events, fewer when they are large (references are the caller's: cache_event_release). *ret_n 0 means:
 * nothing new, w is idle and will be woken; *ret_revision is then a revision up to which w has seen everything. Returns
 * 0 or CACHE_LOST.
 */
int cache_watch_read(struct cache_watcher *w, struct cache_event *events, size_t max, size_t *ret_n,
                     uint64_t *ret_revision);
void cache_event_release(struct cache_event *e);
void cache_watch_detach(struct cache_watcher *w);
/* Calls fn for each attached watcher, under the lock: for timers. */
void cache_each_watcher(struct cache *c, void (*fn)(void *arg, struct cache_watcher *w), void *arg);
