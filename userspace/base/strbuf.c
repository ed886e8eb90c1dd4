/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "base/strbuf.h"
#include "base/utf8.h"

char *strbuf_reserve(struct strbuf *b, size_t n)
{
        if (b->cap - b->len < n + 1) {
                size_t cap = MAX(b->cap * 2, b->len + n + 1);
                char *p;

                cap = MAX(cap, (size_t)256);
                p = realloc(b->data, cap);
                if (!p) {
                        fprintf(stderr, "level=fatal msg=\"out of memory\" bytes=%zu\n", cap);
                        abort();
                }
                b->data = p;
                b->cap = cap;
        }
        return b->data + b->len;
}

void strbuf_add(struct strbuf *b, const void *data, size_t n)
{
        char *p = strbuf_reserve(b, n);

        if (n)
                memcpy(p, data, n);
        b->len += n;
        b->data[b->len] = '\0';
}

void strbuf_vprintf(struct strbuf *b, const char *fmt, va_list ap)
{
        va_list copy;
        int n;

        va_copy(copy, ap);
        n = vsnprintf(NULL, 0, fmt, copy);
        va_end(copy);
        vsnprintf(strbuf_reserve(b, (size_t)n), (size_t)n + 1, fmt, ap);
        b->len += (size_t)n;
}

void strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        strbuf_vprintf(b, fmt, ap);
        va_end(ap);
}

void strbuf_add_u64(struct strbuf *b, uint64_t v)
{
        char tmp[20];
        size_t i = sizeof(tmp);

        do
                tmp[--i] = (char)('0' + v % 10);
        while (v /= 10);
        strbuf_add(b, tmp + i, sizeof(tmp) - i);
}

void strbuf_add_i64(struct strbuf *b, int64_t v)
{
        if (v < 0)
                strbuf_add_char(b, '-');
        strbuf_add_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

static void add_escaped(struct strbuf *b, unsigned char c)
{
        static const char hex[] = "0123456789abcdef";
        char u[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

        switch (c) {
        case '"':
                strbuf_add(b, "\\\"", 2);
                break;
        case '\\':
                strbuf_add(b, "\\\\", 2);
                break;
        case '\n':
                strbuf_add(b, "\\n", 2);
                break;
        case '\r':
                strbuf_add(b, "\\r", 2);
                break;
        case '\t':
                strbuf_add(b, "\\t", 2);
                break;
        default:
                strbuf_add(b, u, sizeof(u));
        }
}

void strbuf_add_json_str(struct strbuf *b, const char *s, size_t n)
{
        size_t i, plain = 0;

        strbuf_add_char(b, '"');
        for (i = 0; i < n; i++) {
                unsigned char c = (unsigned char)s[i];

                if (c >= 0x20 && c != '"' && c != '\\')
                        continue;
                strbuf_add(b, s + plain, i - plain);
                add_escaped(b, c);
                plain = i + 1;
        }
        strbuf_add(b, s + plain, n - plain);
        strbuf_add_char(b, '"');
}

void strbuf_add_quoted(struct strbuf *b, const char *s, size_t n)
{
        static const char escapes[] = "\"\"\\\\\aa\bb\ff\nn\rr\tt\vv"; /* a byte and its letter, in turns */
        size_t i, len;

        strbuf_add_char(b, '"');
        for (i = 0; i < n; i += len) {
                unsigned char c = (unsigned char)s[i];
                const char *e = NULL;

                len = c >= 0x80 ? utf8_len((const unsigned char *)s + i, n - i) : 1;
                for (const char *p = escapes; *p && !e; p += 2)
                        e = *p == s[i] ? p : NULL;
                if (e)
                        strbuf_printf(b, "\\%c", e[1]);
                else if (len && c >= 0x20 && c != 0x7f)
                        strbuf_add(b, s + i, len);
                else
                        strbuf_printf(b, "\\x%02x", c);
                len = MAX(len, (size_t)1);
        }
        strbuf_add_char(b, '"');
}

char *strbuf_take(struct strbuf *b, size_t *ret_len)
{
        char *p;

        strbuf_reserve(b, 0);
        b->data[b->len] = '\0';
        p = b->data;
        if (ret_len)
                *ret_len = b->len;
        *b = STRBUF_NULL;
        return p;
}

void strbuf_deinit(struct strbuf *b)
{
        free(b->data);
        *b = STRBUF_NULL;
}
