/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>

#include "apiserver/rest/token.h"
#include "base/json.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static char *encode(struct arena *a, const char *s, size_t n)
{
        char *out = arena_alloc(a, n * 4 / 3 + 4), *o = out;

        for (size_t i = 0; i < n; i += 3) {
                uint32_t v = (uint32_t)(uint8_t)s[i] << 16;

                if (i + 1 < n)
                        v |= (uint32_t)(uint8_t)s[i + 1] << 8;
                if (i + 2 < n)
                        v |= (uint8_t)s[i + 2];
                for (size_t k = 0; k < MIN(n - i, (size_t)3) + 1; k++)
                        *o++ = letters[v >> (18 - 6 * k) & 63];
        }
        *o = '\0';
        return out;
}

/* NULL when there is any other letter. */
static char *decode(struct arena *a, const char *s, size_t *ret_len)
{
        char *out = arena_alloc(a, strlen(s) + 1), *o = out;
        uint32_t v = 0, bits = 0;

        for (; *s && *s != '='; s++) {
                const char *at = strchr(letters, *s);

                if (!at)
                        return NULL;
                v = v << 6 | (uint32_t)(at - letters);
                bits += 6;
                if (bits >= 8) {
                        bits -= 8;
                        *o++ = (char)(v >> bits);
                }
        }
        *ret_len = (size_t)(o - out);
        return out;
}

const char *token_make(struct arena *a, uint64_t revision, const char *last_key)
{
        struct strbuf b = STRBUF_NULL;
        char *token;

        strbuf_add_str(&b, "{\"v\":\"meta.k8s.io/v1\",\"rv\":");
        strbuf_add_i64(&b, revision == TOKEN_NOW ? -1 : (int64_t)revision);
        strbuf_add_str(&b, ",\"start\":");
        strbuf_add_json_str(&b, last_key, strlen(last_key));
        strbuf_add_char(&b, '}');
        token = encode(a, b.data, b.len);
        strbuf_deinit(&b);
        return token;
}

int token_parse(struct arena *a, const char *token, uint64_t *ret_revision, const char **ret_last_key)
{
        _cleanup_json_ struct json_object *o = NULL;
        const char *start;
        char *text;
        size_t len;
        int64_t rv;

        text = decode(a, token, &len);
        if (!text || json_parse(text, len, &o, NULL))
                return -EINVAL;
        start = json_get_str(o, "start");
        rv = json_get_i64(o, "rv", 0);
        if (!start || rv < -1 || !rv)
                return -EINVAL;
        *ret_revision = rv < 0 ? TOKEN_NOW : (uint64_t)rv;
        *ret_last_key = arena_strdup(a, start);
        return 0;
}
