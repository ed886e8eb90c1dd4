/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include <gnutls/crypto.h>

#include "agent/kubelet/server/websocket.h"
#include "base/base64.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

enum opcode {
        OP_CONTINUATION = 0,
        OP_TEXT = 1,
        OP_BINARY = 2,
        OP_CLOSE = 8,
        OP_PING = 9,
        OP_PONG = 10,
};

int websocket_accept(const char *key, char ret[static WEBSOCKET_ACCEPT_SIZE])
{
        _cleanup_strbuf_ struct strbuf text = STRBUF_NULL, encoded = STRBUF_NULL;
        _cleanup_free_ char *raw = NULL;
        uint8_t digest[20];
        size_t n;

        if (base64_decode(key, strlen(key), &raw, &n) || n != 16)
                return -EINVAL;
        strbuf_printf(&text, "%s" GUID, key);
        if (gnutls_hash_fast(GNUTLS_DIG_SHA1, text.data, text.len, digest))
                return -EINVAL;
        base64_encode(&encoded, digest, sizeof(digest));
        memcpy(ret, encoded.data, WEBSOCKET_ACCEPT_SIZE);
        return 0;
}

static void add_head(struct strbuf *b, enum opcode op, size_t n)
{
        uint8_t head[10] = {(uint8_t)(0x80 | op)};
        size_t more = n < 126 ? 0 : n < 65536 ? 2 : 8;

        head[1] = n < 126 ? (uint8_t)n : n < 65536 ? 126 : 127;
        for (size_t i = 0; i < more; i++)
                head[2 + i] = (uint8_t)((uint64_t)n >> 8 * (more - 1 - i));
        strbuf_add(b, head, 2 + more);
}

void websocket_send(struct websocket *w, const void *prefix, size_t nprefix, const void *data, size_t n)
{
        if (w->close_sent)
                return;
        add_head(w->out, OP_BINARY, nprefix + n);
        strbuf_add(w->out, prefix, nprefix);
        strbuf_add(w->out, data, n);
}

void websocket_ping(struct websocket *w)
{
        if (!w->close_sent)
                add_head(w->out, OP_PING, 0);
}

void websocket_close(struct websocket *w, enum websocket_code code)
{
        const uint8_t body[2] = {(uint8_t)((unsigned)code >> 8), (uint8_t)code};

        if (w->close_sent)
                return;
        add_head(w->out, OP_CLOSE, sizeof(body));
        strbuf_add(w->out, body, sizeof(body));
        w->close_sent = true;
}

static bool is_control(uint8_t opcode)
{
        return opcode & 8;
}

/* Bytes of the head, as far as its first two tell. */
static size_t head_size(const struct websocket *w)
{
        static const size_t more[2] = {2, 8};
        uint8_t n = w->head_len < 2 ? 0 : w->head[1] & 0x7f;

        return w->head_len < 2 ? 2 : 2 + (n < 126 ? 0 : more[n - 126]) + 4;
}

/* Clients mask (5.1), no extension was agreed on (5.2), and control frames are short and whole (5.5). */
static bool head_is_good(const struct websocket *w, uint8_t opcode, bool fin, uint64_t n)
{
        if (w->head[0] & 0x70 || !(w->head[1] & 0x80))
                return false;
        if (is_control(opcode))
                return opcode <= OP_PONG && fin && n <= sizeof(w->control);
        return opcode <= OP_BINARY && (opcode == OP_CONTINUATION) == w->in_message && n >> 63 == 0;
}

static int begin_frame(struct websocket *w)
{
        uint8_t opcode = w->head[0] & 0x0f, *p = w->head + 2;
        bool fin = w->head[0] & 0x80;
        uint64_t n = w->head[1] & 0x7f;
        size_t more = (size_t)w->head_len - 6;

        if (more)
                n = 0;
        for (size_t i = 0; i < more; i++)
                n = n << 8 | *p++;
        if (!head_is_good(w, opcode, fin, n))
                return -EPROTO;
        memcpy(w->mask, p, sizeof(w->mask));
        w->mask_at = 0;
        w->left = n;
        w->opcode = opcode;
        w->fin = fin;
        w->in_frame = true;
        w->head_len = 0;
        w->control_len = 0;
        if (opcode == OP_TEXT || opcode == OP_BINARY)
                w->in_message = w->message_begun = true;
        return 0;
}

static size_t take_head(struct websocket *w, const char *data, size_t n)
{
        size_t used = 0;

        while (used < n && w->head_len < head_size(w))
                w->head[w->head_len++] = (uint8_t)data[used++];
        return used;
}

static void unmask(struct websocket *w, char *data, size_t n)
{
        uint64_t word;
        uint8_t mask[8];
        size_t i = 0;

        for (size_t k = 0; k < sizeof(mask); k++)
                mask[k] = w->mask[(w->mask_at + k) % 4];
        memcpy(&word, mask, sizeof(word));
        for (; i + 8 <= n; i += 8) {
                uint64_t v;

                memcpy(&v, data + i, sizeof(v));
                v ^= word;
                memcpy(data + i, &v, sizeof(v));
        }
        for (; i < n; i++)
                data[i] = (char)((uint8_t)data[i] ^ mask[i % 8]);
        w->mask_at = (uint8_t)((w->mask_at + n) % 4);
}

/* The code comes back as it was said. One byte alone is none (5.5.1). */
static int take_close(struct websocket *w)
{
        unsigned code = w->control_len < 2 ? WEBSOCKET_NORMAL : (unsigned)(w->control[0] << 8 | w->control[1]);

        if (w->control_len == 1 || code < 1000 || code >= 5000)
                return -EPROTO;
        websocket_close(w, (enum websocket_code)code);
        return WEBSOCKET_CLOSED;
}

static int end_control(struct websocket *w)
{
        if (w->opcode == OP_CLOSE)
                return take_close(w);
        if (w->opcode == OP_PING && !w->close_sent) {
                add_head(w->out, OP_PONG, w->control_len);
                strbuf_add(w->out, w->control, w->control_len);
        }
        return 0;
}

/* n bytes of the frame are here, perhaps its last ones. */
static int take_payload(struct websocket *w, char *data, size_t n)
{
        bool end = w->left == n;

        unmask(w, data, n);
        w->left -= n;
        w->in_frame = !end;
        if (is_control(w->opcode)) {
                memcpy(w->control + w->control_len, data, n);
                w->control_len = (uint8_t)(w->control_len + n);
                return end ? end_control(w) : 0;
        }
        if (end && w->fin)
                w->in_message = false;
        if (n || w->message_begun || !w->in_message)
                w->data(w->userdata, data, n, TAKE(w->message_begun, false), !w->in_message);
        return 0;
}

int websocket_feed(struct websocket *w, char *data, size_t n)
{
        int r = 0;

        while (!r && (n || (w->in_frame && !w->left))) {
                size_t used;

                if (!w->in_frame) {
                        used = take_head(w, data, n);
                        if (w->head_len == head_size(w) && w->head_len > 2)
                                r = begin_frame(w);
                } else {
                        used = (size_t)MIN(w->left, n);
                        r = take_payload(w, data, used);
                }
                data += used;
                n -= used;
        }
        if (r < 0)
                websocket_close(w, WEBSOCKET_PROTOCOL_ERROR);
        return r;
}
