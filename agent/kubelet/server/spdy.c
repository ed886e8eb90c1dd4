/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "agent/kubelet/server/spdy.h"
#include "base/mem.h"

#define VERSION        3
#define HEAD_SIZE      8
#define ACK_AT         (SPDY_WINDOW_DEFAULT / 2)
#define WINDOW_MAX     INT32_MAX
#define FLAG_FIN       1
#define ID_MASK        0x7fffffff
#define SETTING_WINDOW 7

enum frame_type {
        SYN_STREAM = 1,
        SYN_REPLY = 2,
        RST_STREAM = 3,
        SETTINGS = 4,
        PING = 6,
        GOAWAY = 7,
        HEADERS = 8,
        WINDOW_UPDATE = 9,
};

enum rst_status {
        RST_PROTOCOL_ERROR = 1,
        RST_INVALID_STREAM = 2,
        RST_REFUSED_STREAM = 3,
        RST_CANCEL = 5,
        RST_FLOW_CONTROL_ERROR = 7,
        RST_STREAM_ALREADY_CLOSED = 9,
};

struct stream {
        uint32_t id;
        bool in_ended, out_ended;
        int64_t room;    /* of the peer's window */
        uint32_t unsaid; /* bytes that came and were not acknowledged */
};

struct spdy {
        const struct stream_events *events;
        void *userdata;
        struct strbuf *out;
        struct hashmap streams;
        struct spdy_inflater *inflater;
        struct spdy_deflater *deflater;
        uint32_t last; /* stream of the peer */
        uint32_t pings;
        bool windowed; /* the peer has windows */
        bool peer_leaves, left;
        int64_t window, room; /* of new streams; of the session */
        uint32_t unsaid;

        char head[HEAD_SIZE]; /* of the frame under way */
        size_t head_len;
        uint32_t left_of_frame;
        bool discard; /* its stream is not there */
        char control[SPDY_CONTROL_MAX];
        size_t control_len;
};

static uint32_t get_u32(const char *p)
{
        const uint8_t *b = (const uint8_t *)p;

        return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void add_u32(struct strbuf *b, uint32_t v)
{
        const uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

        strbuf_add(b, bytes, sizeof(bytes));
}

static void add_control(struct strbuf *b, enum frame_type type, uint8_t flags, uint32_t n)
{
        add_u32(b, 0x80000000U | VERSION << 16 | (uint32_t)type);
        add_u32(b, (uint32_t)flags << 24 | n);
}

static void add_pair(struct spdy *s, enum frame_type type, uint32_t a, uint32_t b)
{
        add_control(s->out, type, 0, 8);
        add_u32(s->out, a);
        add_u32(s->out, b);
}

static bool is_control(const struct spdy *s)
{
        return s->head[0] & 0x80;
}

static unsigned frame_type(const struct spdy *s)
{
        return (unsigned)(uint8_t)s->head[2] << 8 | (uint8_t)s->head[3];
}

static bool frame_fin(const struct spdy *s)
{
        return s->head[4] & FLAG_FIN;
}

static struct stream *find(const struct spdy *s, uint32_t id)
{
        return hashmap_get_u64(&s->streams, id);
}

static void forget(struct spdy *s, struct stream *st)
{
        hashmap_del_u64(&s->streams, st->id);
        free(st);
}

int spdy_new(const struct stream_events *events, void *userdata, struct strbuf *out, struct spdy **ret)
{
        _cleanup_(spdy_freep) struct spdy *s = mem_new(struct spdy);

        s->events = events;
        s->userdata = userdata;
        s->out = out;
        s->window = s->room = SPDY_WINDOW_DEFAULT;
        hashmap_init(&s->streams, HASHMAP_U64);
        if (spdy_inflater_new(&s->inflater) || spdy_deflater_new(&s->deflater))
                return -ENOMEM;
        *ret = TAKE_PTR(s);
        return 0;
}

void spdy_free(struct spdy *s)
{
        if (!s)
                return;
        hashmap_foreach (&s->streams, slot)
                free(slot->value);
        hashmap_deinit(&s->streams);
        spdy_inflater_free(s->inflater);
        spdy_deflater_free(s->deflater);
        free(s);
}

static void reply(struct spdy *s, uint32_t id)
{
        _cleanup_strbuf_ struct strbuf block = STRBUF_NULL;

        spdy_deflate(s->deflater, "\0\0\0\0", 4, &block);
        add_control(s->out, SYN_REPLY, 0, (uint32_t)(4 + block.len));
        add_u32(s->out, id);
        strbuf_add(s->out, block.data, block.len);
}

/* The peer has ended its half; the stream is gone when we had ended ours. */
static void end_in(struct spdy *s, struct stream *st)
{
        uint32_t id = st->id;

        st->in_ended = true;
        if (st->out_ended)
                forget(s, st);
        s->events->ended(s->userdata, id, false);
}

static void open_stream(struct spdy *s, uint32_t id, const struct spdy_headers *h)
{
        struct stream *st = mem_new(struct stream);

        *st = (struct stream){.id = id, .room = s->window};
        hashmap_put_u64(&s->streams, id, st);
        reply(s, id);
        if (!s->events->opened(s->userdata, id, h))
                spdy_reset(s, id);
        else if (frame_fin(s) && (st = find(s, id)))
                end_in(s, st);
}

static int inflate_headers(struct spdy *s, size_t skip, struct spdy_headers *ret)
{
        char block[SPDY_BLOCK_MAX];
        ssize_t n = s->control_len < skip
                            ? -EPROTO
                            : spdy_inflate(s->inflater, s->control + skip, s->control_len - skip, block, sizeof(block));

        return n < 0 ? -EPROTO : spdy_headers_parse(block, (size_t)n, ret);
}

/* Numbers of a client are odd and grow (2.3.2). */
static int take_syn_stream(struct spdy *s)
{
        struct spdy_headers headers;
        uint32_t id;
        int r = inflate_headers(s, 10, &headers);

        if (r)
                return r;
        id = get_u32(s->control) & ID_MASK;
        if (id % 2 == 0 || id <= s->last)
                return -EPROTO;
        s->last = id;
        if (s->left || s->streams.count >= SPDY_STREAMS_MAX)
                add_pair(s, RST_STREAM, id, RST_REFUSED_STREAM);
        else
                open_stream(s, id, &headers);
        return 0;
}

/* Nothing is asked of the peer, and headers that come later say nothing to us; but all go through one inflater. */
static int take_headers(struct spdy *s)
{
        struct spdy_headers headers;
        struct stream *st;
        int r = inflate_headers(s, 4, &headers);

        if (!r && frame_fin(s) && (st = find(s, get_u32(s->control) & ID_MASK)) && !st->in_ended)
                end_in(s, st);
        return r;
}

static int take_rst(struct spdy *s)
{
        struct stream *st = s->control_len == 8 ? find(s, get_u32(s->control) & ID_MASK) : NULL;
        uint32_t id;

        if (s->control_len != 8)
                return -EPROTO;
        if (!st)
                return 0;
        id = st->id;
        forget(s, st);
        s->events->ended(s->userdata, id, true);
        return 0;
}

/* A new size of windows counts for the streams that are open, too (2.6.8). */
static void set_window(struct spdy *s, uint32_t size)
{
        int64_t change = (int64_t)MIN(size, (uint32_t)WINDOW_MAX) - s->window;

        s->windowed = true;
        s->window += change;
        hashmap_foreach (&s->streams, slot)
                ((struct stream *)slot->value)->room += change;
        s->events->room(s->userdata, 0);
}

static int take_settings(struct spdy *s)
{
        uint32_t n = s->control_len >= 4 ? get_u32(s->control) : 0;

        if (s->control_len < 4 || s->control_len - 4 != (uint64_t)n * 8)
                return -EPROTO;
        for (uint32_t i = 0; i < n; i++) {
                const char *p = s->control + 4 + (size_t)i * 8;

                if ((get_u32(p) & 0xffffff) == SETTING_WINDOW)
                        set_window(s, get_u32(p + 4));
        }
        return 0;
}

static int take_window_update(struct spdy *s)
{
        struct stream *st;
        uint32_t id, more;

        if (s->control_len != 8)
                return -EPROTO;
        id = get_u32(s->control) & ID_MASK;
        more = get_u32(s->control + 4) & ID_MASK;
        st = find(s, id);
        s->windowed = true;
        if (id && !st)
                return 0;
        if (!more || (st ? st->room : s->room) > WINDOW_MAX - (int64_t)more) {
                if (id)
                        spdy_reset(s, id);
                return id ? 0 : -EPROTO;
        }
        *(st ? &st->room : &s->room) += more;
        s->events->room(s->userdata, id);
        return 0;
}

static int take_ping(struct spdy *s)
{
        if (s->control_len != 4)
                return -EPROTO;
        if (get_u32(s->control) % 2 == 0) /* an answer */
                return 0;
        add_control(s->out, PING, 0, 4);
        strbuf_add(s->out, s->control, 4);
        return 0;
}

static int take_control(struct spdy *s)
{
        switch (frame_type(s)) {
        case SYN_STREAM:
                return take_syn_stream(s);
        case SYN_REPLY:
        case HEADERS:
                return take_headers(s);
        case RST_STREAM:
                return take_rst(s);
        case SETTINGS:
                return take_settings(s);
        case PING:
                return take_ping(s);
        case GOAWAY:
                s->peer_leaves = true;
                return 0;
        case WINDOW_UPDATE:
                return take_window_update(s);
        default: /* (2.2.1) */
                return 0;
        }
}

/* Bytes that came are room again as soon as they were handed on. */
static void acknowledge(struct spdy *s, struct stream *st, size_t n)
{
        s->unsaid += (uint32_t)n;
        st->unsaid += (uint32_t)n;
        if (st->unsaid >= ACK_AT)
                add_pair(s, WINDOW_UPDATE, st->id, TAKE(st->unsaid, 0));
        if (s->unsaid >= ACK_AT)
                add_pair(s, WINDOW_UPDATE, 0, TAKE(s->unsaid, 0));
}

static void take_data(struct spdy *s, const char *data, size_t n)
{
        uint32_t id = get_u32(s->head) & ID_MASK;
        struct stream *st = s->discard ? NULL : find(s, id);

        if (st && n)
                s->events->data(s->userdata, id, data, n);
        if (n && (st = s->discard ? NULL : find(s, id)))
                acknowledge(s, st, n);
        if (!s->left_of_frame && frame_fin(s) && st)
                end_in(s, st);
}

static int begin_frame(struct spdy *s)
{
        uint32_t id = get_u32(s->head) & ID_MASK;
        const struct stream *st;

        s->left_of_frame = get_u32(s->head + 4) & 0xffffff;
        s->control_len = 0;
        s->discard = false;
        if (is_control(s)) {
                if ((get_u32(s->head) >> 16 & 0x7fff) != VERSION || s->left_of_frame > SPDY_CONTROL_MAX)
                        return -EPROTO;
                return s->left_of_frame ? 0 : take_control(s);
        }
        st = find(s, id);
        s->discard = !st || st->in_ended;
        if (!id)
                return -EPROTO;
        if (s->discard)
                add_pair(s, RST_STREAM, id, st ? RST_STREAM_ALREADY_CLOSED : RST_INVALID_STREAM);
        if (!s->left_of_frame)
                take_data(s, NULL, 0);
        return 0;
}

static int take_frame(struct spdy *s, const char *data, size_t n)
{
        s->left_of_frame -= (uint32_t)n;
        if (!is_control(s)) {
                take_data(s, data, n);
                return 0;
        }
        memcpy(s->control + s->control_len, data, n);
        s->control_len += n;
        return s->left_of_frame ? 0 : take_control(s);
}

/* One step: some of a head, or some of what follows it. */
static int step(struct spdy *s, const char *data, size_t n, size_t *ret_used)
{
        int r;

        if (s->head_len < HEAD_SIZE) {
                *ret_used = MIN(HEAD_SIZE - s->head_len, n);
                memcpy(s->head + s->head_len, data, *ret_used);
                s->head_len += *ret_used;
                r = s->head_len < HEAD_SIZE ? 0 : begin_frame(s);
        } else {
                *ret_used = MIN(s->left_of_frame, n);
                r = take_frame(s, data, *ret_used);
        }
        if (s->head_len == HEAD_SIZE && !s->left_of_frame)
                s->head_len = 0;
        return r;
}

int spdy_feed(struct spdy *s, const char *data, size_t n)
{
        while (n) {
                size_t used = 0;

                if (step(s, data, n, &used)) {
                        add_pair(s, GOAWAY, s->last, RST_PROTOCOL_ERROR);
                        s->left = true;
                        return -EPROTO;
                }
                data += used;
                n -= used;
        }
        return s->peer_leaves && !s->streams.count ? SPDY_GONE : 0;
}

size_t spdy_room(const struct spdy *s, uint32_t id)
{
        const struct stream *st = find(s, id);
        int64_t room = st && !st->out_ended ? SPDY_WINDOW_DEFAULT : 0;

        if (room && s->windowed)
                room = MIN(room, MIN(st->room, s->room));
        return (size_t)MAX(room, 0);
}

static void add_data(struct spdy *s, uint32_t id, uint8_t flags, const char *data, size_t n)
{
        add_u32(s->out, id);
        add_u32(s->out, (uint32_t)flags << 24 | (uint32_t)n);
        strbuf_add(s->out, data, n);
}

void spdy_send(struct spdy *s, uint32_t id, const char *data, size_t n)
{
        struct stream *st = find(s, id);

        if (!st || st->out_ended)
                return;
        for (size_t part; n; data += part, n -= part) {
                part = MIN(n, SPDY_WINDOW_DEFAULT);
                add_data(s, id, 0, data, part);
                st->room -= (int64_t)part;
                s->room -= (int64_t)part;
        }
}

void spdy_close(struct spdy *s, uint32_t id)
{
        struct stream *st = find(s, id);

        if (!st || st->out_ended)
                return;
        add_data(s, id, FLAG_FIN, NULL, 0);
        st->out_ended = true;
        if (st->in_ended)
                forget(s, st);
}

void spdy_reset(struct spdy *s, uint32_t id)
{
        struct stream *st = find(s, id);

        if (!st)
                return;
        add_pair(s, RST_STREAM, id, RST_CANCEL);
        forget(s, st);
}

void spdy_ping(struct spdy *s)
{
        add_control(s->out, PING, 0, 4);
        add_u32(s->out, s->pings += 2);
}

void spdy_goaway(struct spdy *s)
{
        if (!s->left)
                add_pair(s, GOAWAY, s->last, 0);
        s->left = true;
}
