/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer on the heap, always NUL-terminated behind len once anything was added. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"

struct strbuf {
        char *data;
        size_t len;
        size_t cap;
};

#define STRBUF_NULL ((struct strbuf){0})

/* Makes room for n more bytes (and a NUL) and returns where they go; the caller then adds to len. Aborts when out of
 * memory: sizes are bounded by the callers (a body by its limit, a list by what is stored). */
char *strbuf_reserve(struct strbuf *b, size_t n);
void strbuf_add(struct strbuf *b, const void *data, size_t n);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) _printf_(2, 3);
void strbuf_vprintf(struct strbuf *b, const char *fmt, va_list ap);
void strbuf_add_u64(struct strbuf *b, uint64_t v);
void strbuf_add_i64(struct strbuf *b, int64_t v);
/* Adds s as a JSON string with its quotes; bytes that are not UTF-8 must not be in s. */
void strbuf_add_json_str(struct strbuf *b, const char *s, size_t n);
/* Adds s in double quotes as Go's %q does, as Kubernetes' messages have it: backslash escapes, and \xNN for what is no
 * printable ASCII and no well-formed UTF-8. */
void strbuf_add_quoted(struct strbuf *b, const char *s, size_t n);
void strbuf_deinit(struct strbuf *b);
/* Hands the data over (the caller frees it); the buffer is empty again. Never NULL. */
char *strbuf_take(struct strbuf *b, size_t *ret_len);

static inline void strbuf_add_str(struct strbuf *b, const char *s)
{
        strbuf_add(b, s, strlen(s));
}

static inline void strbuf_add_char(struct strbuf *b, char c)
{
        *strbuf_reserve(b, 1) = c;
        b->data[++b->len] = '\0';
}

#define _cleanup_strbuf_ _cleanup_(strbuf_deinit)
