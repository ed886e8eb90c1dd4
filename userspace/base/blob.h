/* SPDX-License-Identifier: Apache-2.0 */
/* Immutable bytes shared by reference count: an object's JSON on its way store -> cache -> every list and watcher.
 * References may be taken and dropped by any thread. The bytes are NUL-terminated behind len. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct blob {
        atomic_uint refs;
        uint32_t len;
        char data[];
};

/* One reference, len bytes to be filled by the caller before it is shared. NULL when out of memory. */
static inline struct blob *blob_alloc(size_t len)
{
        struct blob *b = malloc(sizeof(*b) + len + 1);

        if (!b)
                return NULL;
        atomic_init(&b->refs, 1);
        b->len = (uint32_t)len;
        b->data[len] = '\0';
        return b;
}

static inline struct blob *blob_new(const void *data, size_t len)
{
        struct blob *b = blob_alloc(len);

        if (b && len)
                memcpy(b->data, data, len);
        return b;
}

static inline struct blob *blob_ref(struct blob *b)
{
        if (b)
                atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
        return b;
}

static inline void blob_unref(struct blob *b)
{
        if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
                free(b);
}

DEFINE_CLEANUP(struct blob *, blob_unref)
#define _cleanup_blob_ _cleanup_(blob_unrefp)
