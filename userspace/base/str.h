/* SPDX-License-Identifier: Apache-2.0 */
/* Strings: comparing, cutting, and strict parsing of numbers and durations. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Equal; NULL equals only NULL. */
static inline bool str_eq(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

/* NULL counts as empty. */
static inline bool str_empty(const char *s)
{
        return !s || !*s;
}

static inline bool str_has_prefix(const char *s, const char *prefix)
{
        return strncmp(s, prefix, strlen(prefix)) == 0;
}

static inline bool str_has_suffix(const char *s, const char *suffix)
{
        size_t n = strlen(s), m = strlen(suffix);

        return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

/* What follows the prefix, or NULL when s does not start with it. */
static inline const char *str_after(const char *s, const char *prefix)
{
        return str_has_prefix(s, prefix) ? s + strlen(prefix) : NULL;
}

/* Bytes of a string that belongs to someone else; not NUL-terminated. */
struct str_span {
        const char *s;
        size_t n;
};

static inline bool str_span_eq(struct str_span a, const char *b)
{
        return strlen(b) == a.n && memcmp(a.s, b, a.n) == 0;
}

/*
 * Cuts the next piece off *rest at sep: false when there is none left. Empty pieces count: "a,,b" has three, "" has
 * one.
 *
 *     for (const char *rest = s; str_split(&rest, ',', &piece);) ...
 */
bool str_split(const char **rest, char sep, struct str_span *ret);

/* Copies at most size - 1 bytes and a NUL; false when s did not fit (dst then holds the beginning). */
bool str_copy(char *dst, size_t size, const char *s);

/* s is one decimal number and nothing else: no sign for unsigned, no spaces, no empty string.
 * 0, -EINVAL, or -ERANGE. */
int str_parse_u16(const char *s, uint16_t *ret);
int str_parse_u32(const char *s, uint32_t *ret);
int str_parse_u64(const char *s, uint64_t *ret);
int str_parse_i64(const char *s, int64_t *ret); /* an optional + or - as in Go's strconv.ParseInt */

/* As Go's strconv.ParseBool: 1 t T TRUE true True 0 f F FALSE false False. 0 or -EINVAL. */
int str_parse_bool(const char *s, bool *ret);

/* As Go's time.ParseDuration: "300ms", "-1.5h", "2h45m", "0"; units ns us ms s m h. 0, -EINVAL or -ERANGE. */
int str_parse_duration(const char *s, int64_t *ret_ns);
