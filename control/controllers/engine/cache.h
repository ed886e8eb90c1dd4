/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What controllers know of the cluster: the objects that the informers have told of, by key and by indexes. Controllers
 * only read it; what they find is borrowed until the end of their sync. Lists are in no order and lie in the arena.
 */
#pragma once

#include "base/arena.h"
#include "controllers/engine/object.h"

struct cache;

struct objects {
        const struct object **items;
        size_t n;
};

#define objects_foreach(list, o)                                                                                       \
        for (const struct object *o, **_p_##o = (list).items; _p_##o < (list).items + (list).n && (o = *_p_##o, true); \
             _p_##o++)

/* NULL: not there. ns NULL or "" for what has no namespace. */
const struct object *cache_get(const struct cache *c, const struct resource *r, const char *ns, const char *name);
const struct object *cache_find(const struct cache *c, const struct resource *r, const char *key);

struct objects cache_all(const struct cache *c, const struct resource *r, struct arena *mem);
struct objects cache_in(const struct cache *c, const struct resource *r, const char *ns, struct arena *mem);
/* Those whose controller has that UID. */
struct objects cache_controlled(const struct cache *c, const struct resource *r, const char *uid, struct arena *mem);
/* Those in the namespace that nobody controls. */
struct objects cache_orphans(const struct cache *c, const struct resource *r, const char *ns, struct arena *mem);
/* Those that have an ownerReference, of whatever kind, with that UID. */
struct objects cache_dependents(const struct cache *c, const struct resource *r, const char *uid, struct arena *mem);
/* Pods of that node; "" for those that have none. */
struct objects cache_on_node(const struct cache *c, const char *node, struct arena *mem);
size_t cache_count(const struct cache *c, const struct resource *r);

/* For who fills it. */
struct cache *cache_new(void);
void cache_free(struct cache *c);
DEFINE_CLEANUP(struct cache *, cache_free)
/* Before the first object of it; the same again does nothing. */
void cache_follow(struct cache *c, const struct resource *r);
bool cache_follows(const struct cache *c, const struct resource *r);
/* Takes a reference over; now NULL: it is gone. Returns what was there before, which is the caller's to unref. */
const struct object *cache_set(struct cache *c, const struct resource *r, const char *key, const struct object *now);
