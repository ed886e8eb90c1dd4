/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects in the order of their keys. A list of sorted chunks: a lookup is two binary searches, an insert moves at most
 * one chunk, a scan is linear memory. Not thread-safe; holds a reference to each object.
 */
#pragma once

#include "apiserver/object.h"

#define OBJINDEX_CHUNK 256

struct objindex_chunk {
        size_t n;
        struct object *items[OBJINDEX_CHUNK];
};

struct objindex {
        struct objindex_chunk **chunks;
        size_t nchunks, cap;
        size_t n; /* objects in all */
};

#define OBJINDEX_NULL ((struct objindex){0})

struct objindex_pos {
        size_t chunk, item;
};

/* Borrowed, or NULL. */
struct object *objindex_get(const struct objindex *ix, const char *key);
/* Takes a reference of its own. Returns the object that it replaced (the caller's to unref) or NULL. */
struct object *objindex_put(struct objindex *ix, struct object *o);
/* Returns the object that was there (the caller's to unref) or NULL. */
struct object *objindex_remove(struct objindex *ix, const char *key);
/* The first position whose key is >= key (or > key, when after is set). */
struct objindex_pos objindex_seek(const struct objindex *ix, const char *key, bool after);
/* The object at *pos, which then moves on; NULL at the end. Borrowed. */
struct object *objindex_next(const struct objindex *ix, struct objindex_pos *pos);
void objindex_deinit(struct objindex *ix);
