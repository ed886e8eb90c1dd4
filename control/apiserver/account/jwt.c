/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/account/jwt.h"
#include "base/base64.h"
#include "base/mem.h"
#include "base/str.h"

void jwt_base64_encode(struct strbuf *b, const void *data, size_t n)
{
        size_t from = b->len;

        base64_encode(b, data, n);
        while (b->len > from && b->data[b->len - 1] == '=')
                b->data[--b->len] = '\0';
        for (size_t i = from; i < b->len; i++)
                b->data[i] = b->data[i] == '+' ? '-' : b->data[i] == '/' ? '_' : b->data[i];
}

static bool is_url_char(char c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

int jwt_base64_decode(const char *s, size_t n, char **ret, size_t *ret_len)
{
        _cleanup_free_ char *copy = mem_alloc(n + 4);
        size_t len = n;

        for (size_t i = 0; i < n; i++) {
                if (!is_url_char(s[i]))
                        return -EBADMSG;
                copy[i] = s[i] == '-' ? '+' : s[i] == '_' ? '/' : s[i];
        }
        while (len % 4)
                copy[len++] = '=';
        return base64_decode(copy, len, ret, ret_len) ? -EBADMSG : 0;
}

static int decode_object(const char *s, size_t n, struct json_object **ret)
{
        _cleanup_free_ char *text = NULL;
        size_t len;

        if (jwt_base64_decode(s, n, &text, &len) || json_parse(text, len, ret, NULL))
                return -EBADMSG;
        return json_is_object(*ret) ? 0 : -EBADMSG;
}

int jwt_split(const char *token, struct jwt_parts *ret)
{
        const char *dot = strchr(token, '.'), *dot2 = dot ? strchr(dot + 1, '.') : NULL;

        *ret = (struct jwt_parts){0};
        if (!dot2 || strchr(dot2 + 1, '.') || strnlen(token, JWT_MAX + 1) > JWT_MAX)
                return -EBADMSG;
        ret->signed_len = (size_t)(dot2 - token);
        if (decode_object(token, (size_t)(dot - token), &ret->header) ||
            decode_object(dot + 1, (size_t)(dot2 - dot - 1), &ret->claims))
                return -EBADMSG;
        return jwt_base64_decode(dot2 + 1, strlen(dot2 + 1), &ret->signature, &ret->signature_len);
}

void jwt_parts_deinit(struct jwt_parts *p)
{
        json_object_put(p->header);
        json_object_put(p->claims);
        free(p->signature);
        *p = (struct jwt_parts){0};
}
