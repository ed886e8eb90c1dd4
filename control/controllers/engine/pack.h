/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One block of exactly the size that is needed: the same code fills it twice, first into scratch memory to learn the
 * size, then into the block.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"

struct pack {
        char *block;           /* NULL: the first time */
        size_t used;           /* bytes so far */
        struct arena *scratch; /* of the first time */
};

/* Zeroed. align: a power of two. */
static inline void *pack_take(struct pack *p, size_t size, size_t align)
{
        size_t at = (p->used + align - 1) & ~(align - 1);

        p->used = at + size;
        return p->block ? p->block + at : arena_zalloc(p->scratch, size ? size : 1);
}

#define pack_array(p, type, n) ((type *)pack_take((p), sizeof(type) * (n), _Alignof(type)))

/* NULL becomes "". */
static inline const char *pack_text(struct pack *p, const char *s)
{
        size_t n = s ? strlen(s) + 1 : 0;

        return n > 1 ? memcpy(pack_take(p, n, 1), s, n) : "";
}
