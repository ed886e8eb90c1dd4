/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What controllers know of the cluster: the objects that the informers have told of, by key and by indexes. Controllers
 * only read it; what they find is borrowed until the end of their sync. Lists are in no order and lie in the arena.
 */
#pragma once

#include "base/arena.h"
#include "controllers/engine/kobj.h"

struct lister;

struct kobjs {
        const struct kobj **items;
        size_t n;
};

#define kobjs_foreach(list, o)                                                                                         \
        for (const struct kobj *o, **_p_##o = (list).items; _p_##o < (list).items + (list).n && (o = *_p_##o, true);   \
             _p_##o++)

/* NULL: not there. ns NULL or "" for what has no namespace. */
const struct kobj *lister_get(const struct lister *c, const struct resource *r, const char *ns, const char *name);
const struct kobj *lister_find(const struct lister *c, const struct resource *r, const char *key);

struct kobjs lister_all(const struct lister *c, const struct resource *r, struct arena *mem);
struct kobjs lister_in(const struct lister *c, const struct resource *r, const char *ns, struct arena *mem);
/* Those whose controller has that UID. */
struct kobjs lister_controlled(const struct lister *c, const struct resource *r, const char *uid, struct arena *mem);
/* Those in the namespace that nobody controls. */
struct kobjs lister_orphans(const struct lister *c, const struct resource *r, const char *ns, struct arena *mem);
/* Those that have an ownerReference, of whatever kind, with that UID. */
struct kobjs lister_dependents(const struct lister *c, const struct resource *r, const char *uid, struct arena *mem);
/* Whether there are any such, of any kind. */
bool lister_has_dependents(const struct lister *c, const char *uid);
/* The same as lister_dependents, of all kinds. */
struct kobjs lister_all_dependents(const struct lister *c, const char *uid, struct arena *mem);
/* Pods of that node; "" for those that have none. */
struct kobjs lister_on_node(const struct lister *c, const char *node, struct arena *mem);
/* Pods, EndpointSlices: those in the namespace that have all of these labels (n > 0). The work is that for the objects
 * with the rarest of them. */
struct kobjs lister_labelled(const struct lister *c, const struct resource *r, const char *ns,
                             const struct label *labels, size_t n, struct arena *mem);
size_t lister_count(const struct lister *c, const struct resource *r);
size_t lister_count_in(const struct lister *c, const struct resource *r, const char *ns);

/* The object with that UID was here and went, among the last 65,536 that did: it never comes back. */
bool lister_saw_end(const struct lister *c, const char *uid);

/* For who fills it. */
struct lister *lister_new(void);
void lister_free(struct lister *c);
DEFINE_CLEANUP(struct lister *, lister_free)
/* Before the first object of it; the same again does nothing. */
void lister_follow(struct lister *c, const struct resource *r);
/* Which are followed; how many. */
size_t lister_followed(const struct lister *c, const struct resource **ret, size_t room);
bool lister_follows(const struct lister *c, const struct resource *r);
/* Takes a reference over; now NULL: it is gone. Returns what was there before, which is the caller's to unref. */
const struct kobj *lister_set(struct lister *c, const struct resource *r, const char *key, const struct kobj *now);
