/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <string.h>

#include "agent/kubelet/server/url.h"
#include "base/str.h"

static int hex(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *url_decode(const char *s, size_t n, bool query, struct arena *mem)
{
        char *out = arena_alloc(mem, n + 1), *to = out;

        for (size_t i = 0; i < n; i++) {
                bool escape = s[i] == '%' && i + 2 < n && hex(s[i + 1]) >= 0 && hex(s[i + 2]) >= 0;

                if (escape) {
                        *to++ = (char)(hex(s[i + 1]) << 4 | hex(s[i + 2]));
                        i += 2;
                } else {
                        *to++ = query && s[i] == '+' ? ' ' : s[i];
                }
        }
        *to = '\0';
        return strlen(out) == (size_t)(to - out) ? out : NULL;
}

const char *url_param(const char *query, const char *name, size_t i, struct arena *mem)
{
        for (struct str_span piece; str_split(&query, '&', &piece);) {
                const char *is = memchr(piece.s, '=', piece.n), *end = piece.s + piece.n;
                const char *key = url_decode(piece.s, (size_t)((is ?: end) - piece.s), true, mem);

                if (str_eq(key, name) && i-- == 0)
                        return is ? url_decode(is + 1, (size_t)(end - is - 1), true, mem) : "";
        }
        return NULL;
}

static size_t count_pieces(const char *query)
{
        size_t n = 1;

        for (const char *p = query; (p = strchr(p, '&')); p++)
                n++;
        return n;
}

int url_params(const char *query, const char *name, size_t max, const char *const **ret, struct arena *mem)
{
        const char **values = arena_array(mem, const char *, MIN(count_pieces(query), max) + 1);
        size_t n = 0;

        for (struct str_span piece; str_split(&query, '&', &piece);) {
                const char *is = memchr(piece.s, '=', piece.n), *end = piece.s + piece.n;

                if (!str_eq(url_decode(piece.s, (size_t)((is ?: end) - piece.s), true, mem), name))
                        continue;
                if (n == max)
                        return -1;
                values[n] = is ? url_decode(is + 1, (size_t)(end - is - 1), true, mem) : "";
                if (!values[n++])
                        return -1;
        }
        values[n] = NULL;
        *ret = values;
        return (int)n;
}

int url_segments(const char *path, const char **ret, size_t max, struct arena *mem)
{
        const char *rest = *path == '/' ? path + 1 : path;
        size_t n = 0;

        for (struct str_span piece; str_split(&rest, '/', &piece); n++) {
                if (n == max || !piece.n)
                        return -1;
                ret[n] = url_decode(piece.s, piece.n, false, mem);
                if (!ret[n])
                        return -1;
        }
        return (int)n;
}
