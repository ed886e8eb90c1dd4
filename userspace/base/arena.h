/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arena: memory for one API request (or one desired-state generation), freed whole. Not for use by two threads at once.
 * Nothing allocated here is freed on its own, and no struct mixes arena and heap pointers.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "base/cleanup.h"

struct arena_chunk;

struct arena {
        struct arena_chunk *head;
        size_t used;  /* bytes handed out of head */
        size_t total; /* bytes of all chunks */
};

#define ARENA_NULL ((struct arena){0})

/* All of these abort on out of memory only through arena_oom (a request that cannot get a few KiB cannot be answered).
 */
void *arena_alloc(struct arena *a, size_t size);
void *arena_zalloc(struct arena *a, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) _printf_(2, 3);
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap);

/* Frees everything; the arena can be used again. */
void arena_deinit(struct arena *a);

#define arena_new(a, type)      ((type *)arena_zalloc(a, sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_zalloc(a, sizeof(type) * (n)))
