/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/str.h"
#include "unit/kubelet/spdy_client.h"

static void add_u32(struct strbuf *b, uint32_t v)
{
        for (int shift = 24; shift >= 0; shift -= 8)
                strbuf_add_char(b, (char)(v >> shift));
}

static uint32_t get_u32(const char *p)
{
        const uint8_t *b = (const uint8_t *)p;

        return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

void spdy_client_init(struct spdy_client *c)
{
        *c = (struct spdy_client){.out = STRBUF_NULL};
        strbuf_add_str(&c->told, "");
        if (spdy_deflater_new(&c->deflater) || spdy_inflater_new(&c->inflater))
                abort();
}

void spdy_client_deinit(struct spdy_client *c)
{
        strbuf_deinit(&c->out);
        strbuf_deinit(&c->told);
        spdy_deflater_free(c->deflater);
        spdy_inflater_free(c->inflater);
}

static void add_string(struct strbuf *b, struct str_span s)
{
        add_u32(b, (uint32_t)s.n);
        strbuf_add(b, s.s, s.n);
}

static uint32_t add_headers(struct strbuf *b, const char *headers)
{
        struct str_span one;
        uint32_t n = 0;

        for (const char *rest = headers; *headers && str_split(&rest, ',', &one); n++) {
                const char *is = memchr(one.s, '=', one.n);
                size_t name = (size_t)(is - one.s);

                add_string(b, (struct str_span){one.s, name});
                add_string(b, (struct str_span){is + 1, one.n - name - 1});
        }
        return n;
}

void spdy_client_open(struct spdy_client *c, uint32_t id, const char *headers, bool fin)
{
        _cleanup_strbuf_ struct strbuf pairs = STRBUF_NULL, block = STRBUF_NULL, packed = STRBUF_NULL;

        add_u32(&block, add_headers(&pairs, headers));
        strbuf_add(&block, pairs.data ?: "", pairs.len);
        spdy_deflate(c->deflater, block.data, block.len, &packed);
        add_u32(&c->out, 0x80030001);
        add_u32(&c->out, (fin ? 1U << 24 : 0) | (uint32_t)(10 + packed.len));
        add_u32(&c->out, id);
        add_u32(&c->out, 0);
        strbuf_add(&c->out, "\0\0", 2);
        strbuf_add(&c->out, packed.data, packed.len);
}

void spdy_client_data(struct spdy_client *c, uint32_t id, const char *data, size_t n, bool fin)
{
        add_u32(&c->out, id);
        add_u32(&c->out, (fin ? 1U << 24 : 0) | (uint32_t)n);
        strbuf_add(&c->out, data, n);
}

void spdy_client_control(struct spdy_client *c, unsigned type, const uint32_t *words, size_t n)
{
        add_u32(&c->out, 0x80030000 | type);
        add_u32(&c->out, (uint32_t)n * 4);
        for (size_t i = 0; i < n; i++)
                add_u32(&c->out, words[i]);
}

static void hear_reply(struct spdy_client *c, const char *p, size_t n)
{
        char block[SPDY_BLOCK_MAX];
        struct spdy_headers h;
        ssize_t len = spdy_inflate(c->inflater, p + 4, n - 4, block, sizeof(block));

        if (len < 0 || spdy_headers_parse(block, (size_t)len, &h))
                abort();
        strbuf_printf(&c->told, "reply %u;", get_u32(p));
}

static void hear_control(struct spdy_client *c, unsigned type, const char *p, size_t n)
{
        if (type == 2) {
                hear_reply(c, p, n);
                return;
        }
        strbuf_printf(&c->told, "%s",
                      type == 3   ? "rst"
                      : type == 6 ? "ping"
                      : type == 7 ? "goaway"
                      : type == 9 ? "window"
                                  : "?");
        for (size_t i = 0; i + 4 <= n; i += 4)
                strbuf_printf(&c->told, " %u", get_u32(p + i));
        strbuf_add_str(&c->told, ";");
}

void spdy_client_hear(struct spdy_client *c, const char *data, size_t n)
{
        while (n) {
                uint32_t head = get_u32(data), len = get_u32(data + 4) & 0xffffff;
                bool fin = data[4] & 1;

                if (n < 8 || n - 8 < len)
                        abort();
                if (head & 0x80000000) {
                        hear_control(c, head & 0xffff, data + 8, len);
                } else if (len) {
                        strbuf_printf(&c->told, "data %u ", head);
                        strbuf_add(&c->told, data + 8, len);
                        strbuf_add_str(&c->told, ";");
                }
                if (!(head & 0x80000000) && fin)
                        strbuf_printf(&c->told, "fin %u;", head);
                data += 8 + len;
                n -= 8 + len;
        }
}
