/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct strbuf *b, const void *data, size_t n)
{
        const unsigned char *p = data;

        for (size_t i = 0; i < n; i += 3) {
                size_t have = MIN(n - i, (size_t)3);
                unsigned int v = (unsigned int)p[i] << 16;
                char out[4];

                if (have > 1)
                        v |= (unsigned int)p[i + 1] << 8;
                if (have > 2)
                        v |= p[i + 2];
                for (int j = 0; j < 4; j++)
                        out[j] = (size_t)j <= have ? alphabet[v >> (18 - 6 * j) & 63] : '=';
                strbuf_add(b, out, 4);
        }
}

int base64_decode(const char *s, size_t n, char **ret, size_t *ret_len)
{
        _cleanup_free_ char *out = mem_alloc(n / 4 * 3 + 4);
        size_t len = 0, digits = 0, padding = 0;
        unsigned int v = 0;

        for (size_t i = 0; i < n; i++) {
                const char *digit = s[i] ? strchr(alphabet, s[i]) : NULL;

                if (s[i] && strchr(" \t\r\n", s[i]))
                        continue;
                if (s[i] == '=')
                        padding++;
                else if (!digit || padding)
                        return -EINVAL;
                v = v << 6 | (unsigned int)(digit ? digit - alphabet : 0);
                if (++digits % 4)
                        continue;
                if (padding > 2)
                        return -EINVAL;
                out[len++] = (char)(v >> 16);
                out[len++] = (char)(v >> 8);
                out[len++] = (char)v;
        }
        if (digits % 4 || padding > 2)
                return -EINVAL;
        len -= padding;
        out[len] = '\0';
        *ret = TAKE_PTR(out);
        *ret_len = len;
        return 0;
}
