/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "apiserver/peek.h"

/* Length of the string at p with both quotes, 0 when it does not end. */
static size_t string_len(const char *p, const char *end)
{
        const char *q = p + 1;

        for (;;) {
                q = memchr(q, '"', (size_t)(end - q));
                if (!q)
                        return 0;
                size_t back = 0;
                while (q - back > p + 1 && q[-1 - (ptrdiff_t)back] == '\\')
                        back++;
                if (back % 2 == 0)
                        return (size_t)(q - p) + 1;
                q++;
        }
}

static size_t nested_len(const char *p, const char *end)
{
        const char *q = p;
        size_t depth = 0, n;

        while (q < end) {
                switch (*q) {
                case '"':
                        n = string_len(q, end);
                        if (!n)
                                return 0;
                        q += n;
                        continue;
                case '{':
                case '[':
                        depth++;
                        break;
                case '}':
                case ']':
                        if (--depth == 0)
                                return (size_t)(q - p) + 1;
                        break;
                default:
                        break;
                }
                q++;
        }
        return 0;
}

size_t peek_value(const char *p, const char *end)
{
        const char *q = p;

        if (p >= end)
                return 0;
        if (*p == '"')
                return string_len(p, end);
        if (*p == '{' || *p == '[')
                return nested_len(p, end);
        while (q < end && *q != ',' && *q != '}' && *q != ']')
                q++;
        return (size_t)(q - p);
}

bool peek_next(struct span obj, size_t *at, struct span *ret_key, struct span *ret_value)
{
        const char *p, *end;
        size_t n;

        if (!obj.p || obj.len < 2 || obj.p[0] != '{')
                return false;
        p = obj.p + (*at ? *at : 1);
        end = obj.p + obj.len;
        if (p < end && *p == ',')
                p++;
        if (p >= end || *p != '"')
                return false;
        n = string_len(p, end);
        if (!n || p + n >= end || p[n] != ':')
                return false;
        *ret_key = (struct span){p + 1, n - 2};
        p += n + 1;
        n = peek_value(p, end);
        if (!n)
                return false;
        *ret_value = (struct span){p, n};
        *at = (size_t)(p + n - obj.p);
        return true;
}

static struct span member_n(struct span obj, const char *key, size_t len)
{
        struct span k, v;
        size_t at = 0;

        while (peek_next(obj, &at, &k, &v))
                if (k.len == len && memcmp(k.p, key, len) == 0)
                        return v;
        return SPAN_NULL;
}

struct span peek_member(struct span obj, const char *key)
{
        return member_n(obj, key, strlen(key));
}

struct span peek_path(struct span obj, const char *path)
{
        while (obj.p && *path) {
                size_t n = strcspn(path, ".");

                obj = member_n(obj, path, n);
                path += n + (path[n] == '.');
        }
        return obj;
}

struct span peek_plain_string(struct span value)
{
        if (value.len < 2 || value.p[0] != '"' || memchr(value.p, '\\', value.len))
                return SPAN_NULL;
        return (struct span){value.p + 1, value.len - 2};
}
