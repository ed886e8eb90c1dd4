/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/objindex.h"

/* The last chunk whose first key is <= key; 0 when there is none. */
static size_t chunk_for(const struct objindex *ix, const char *key)
{
        size_t lo = 0, hi = ix->nchunks;

        while (lo + 1 < hi) {
                size_t mid = (lo + hi) / 2;

                if (strcmp(ix->chunks[mid]->items[0]->key, key) <= 0)
                        lo = mid;
                else
                        hi = mid;
        }
        return lo;
}

/* The first item of the chunk whose key is >= key. */
static size_t item_for(const struct objindex_chunk *c, const char *key)
{
        size_t lo = 0, hi = c->n;

        while (lo < hi) {
                size_t mid = (lo + hi) / 2;

                if (strcmp(c->items[mid]->key, key) < 0)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}

static bool is_at(const struct objindex_chunk *c, size_t item, const char *key)
{
        return item < c->n && strcmp(c->items[item]->key, key) == 0;
}

struct object *objindex_get(const struct objindex *ix, const char *key)
{
        const struct objindex_chunk *c;
        size_t item;

        if (!ix->nchunks)
                return NULL;
        c = ix->chunks[chunk_for(ix, key)];
        item = item_for(c, key);
        return is_at(c, item, key) ? c->items[item] : NULL;
}

static struct objindex_chunk *chunk_insert(struct objindex *ix, size_t at)
{
        struct objindex_chunk *c = malloc(sizeof(*c));

        if (ix->nchunks == ix->cap) {
                size_t cap = ix->cap ? ix->cap * 2 : 8;
                struct objindex_chunk **p = realloc(ix->chunks, cap * sizeof(*p));

                if (!p)
                        abort();
                ix->chunks = p;
                ix->cap = cap;
        }
        if (!c)
                abort();
        c->n = 0;
        memmove(ix->chunks + at + 1, ix->chunks + at, (ix->nchunks - at) * sizeof(*ix->chunks));
        ix->chunks[at] = c;
        ix->nchunks++;
        return c;
}

/* Makes room in a full chunk. Keys mostly grow (loading, generated names): then the new chunk starts empty. */
static size_t chunk_split(struct objindex *ix, size_t at, size_t item)
{
        struct objindex_chunk *c = ix->chunks[at], *next = chunk_insert(ix, at + 1);
        size_t keep = item == c->n ? c->n : c->n / 2;

        next->n = c->n - keep;
        memcpy(next->items, c->items + keep, next->n * sizeof(*c->items));
        c->n = keep;
        return item >= keep ? at + 1 : at;
}

struct object *objindex_put(struct objindex *ix, struct object *o)
{
        size_t at = ix->nchunks ? chunk_for(ix, o->key) : 0, item;
        struct objindex_chunk *c = ix->nchunks ? ix->chunks[at] : chunk_insert(ix, 0);
        struct object *old;

        item = item_for(c, o->key);
        if (is_at(c, item, o->key)) {
                old = c->items[item];
                c->items[item] = object_ref(o);
                return old;
        }
        if (c->n == OBJINDEX_CHUNK) {
                at = chunk_split(ix, at, item);
                c = ix->chunks[at];
                item = item_for(c, o->key);
        }
        memmove(c->items + item + 1, c->items + item, (c->n - item) * sizeof(*c->items));
        c->items[item] = object_ref(o);
        c->n++;
        ix->n++;
        return NULL;
}

struct object *objindex_remove(struct objindex *ix, const char *key)
{
        struct objindex_chunk *c;
        struct object *old;
        size_t at, item;

        if (!ix->nchunks)
                return NULL;
        at = chunk_for(ix, key);
        c = ix->chunks[at];
        item = item_for(c, key);
        if (!is_at(c, item, key))
                return NULL;
        old = c->items[item];
        memmove(c->items + item, c->items + item + 1, (c->n - item - 1) * sizeof(*c->items));
        ix->n--;
        if (--c->n == 0) {
                free(c);
                memmove(ix->chunks + at, ix->chunks + at + 1, (ix->nchunks - at - 1) * sizeof(*ix->chunks));
                ix->nchunks--;
        }
        return old;
}

struct objindex_pos objindex_seek(const struct objindex *ix, const char *key, bool after)
{
        struct objindex_pos pos = {0, 0};

        if (!ix->nchunks)
                return pos;
        pos.chunk = chunk_for(ix, key);
        pos.item = item_for(ix->chunks[pos.chunk], key);
        if (after && is_at(ix->chunks[pos.chunk], pos.item, key))
                pos.item++;
        return pos;
}

struct object *objindex_next(const struct objindex *ix, struct objindex_pos *pos)
{
        while (pos->chunk < ix->nchunks && pos->item >= ix->chunks[pos->chunk]->n) {
                pos->chunk++;
                pos->item = 0;
        }
        return pos->chunk < ix->nchunks ? ix->chunks[pos->chunk]->items[pos->item++] : NULL;
}

void objindex_deinit(struct objindex *ix)
{
        for (size_t i = 0; i < ix->nchunks; i++) {
                for (size_t k = 0; k < ix->chunks[i]->n; k++)
                        object_unref(ix->chunks[i]->items[k]);
                free(ix->chunks[i]);
        }
        free(ix->chunks);
        *ix = OBJINDEX_NULL;
}
