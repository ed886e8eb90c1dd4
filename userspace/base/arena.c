/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"

/* Many arenas never need more than the first, and some live long (a watch's request). */
#define ARENA_FIRST 2048
#define ARENA_CHUNK 8192
#define ARENA_LARGE (1024 * 1024) /* what malloc gives back to the system at once */

struct arena_chunk {
        struct arena_chunk *next;
        size_t size;
        _Alignas(max_align_t) char data[];
};

static _noreturn_ void arena_oom(size_t size)
{
        fprintf(stderr, "level=fatal msg=\"out of memory\" bytes=%zu\n", size);
        abort();
}

static void arena_grow(struct arena *a, size_t size)
{
        size_t next = MAX((size_t)ARENA_CHUNK, MIN(a->total / 2, (size_t)ARENA_LARGE));
        size_t want = MAX(size, (a->head ? next : (size_t)ARENA_FIRST) - sizeof(struct arena_chunk));
        struct arena_chunk *c = malloc(sizeof(*c) + want);

        if (!c)
                arena_oom(want);
        c->size = want;
        c->next = a->head;
        a->head = c;
        a->used = 0;
        a->total += want;
}

void *arena_alloc(struct arena *a, size_t size)
{
        void *p;

        size = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
        if (!a->head || a->head->size - a->used < size)
                arena_grow(a, size);
        p = a->head->data + a->used;
        a->used += size;
        return p;
}

void *arena_zalloc(struct arena *a, size_t size)
{
        return memset(arena_alloc(a, size), 0, size);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
        char *p = arena_alloc(a, n + 1);

        memcpy(p, s, n);
        p[n] = '\0';
        return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
        return arena_strndup(a, s, strlen(s));
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
        va_list copy;
        char *p;
        int n;

        va_copy(copy, ap);
        n = vsnprintf(NULL, 0, fmt, copy);
        va_end(copy);
        p = arena_alloc(a, (size_t)n + 1);
        vsnprintf(p, (size_t)n + 1, fmt, ap);
        return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
        va_list ap;
        char *p;

        va_start(ap, fmt);
        p = arena_vprintf(a, fmt, ap);
        va_end(ap);
        return p;
}

void arena_deinit(struct arena *a)
{
        struct arena_chunk *c = a->head, *next;

        for (; c; c = next) {
                next = c->next;
                free(c);
        }
        *a = ARENA_NULL;
}
