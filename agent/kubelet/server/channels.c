/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/kubelet/server/channels.h"
#include "base/mem.h"

#define END_OF_CHANNEL 255

struct channels {
        enum channels_kind kind;
        const struct stream_events *events;
        void *userdata;
        struct strbuf out, inner; /* inner: of a tunnel, what goes into its next message */
        struct websocket ws;
        struct spdy *spdy;
        int broken;       /* what the tunnel's inside said */
        uint8_t channel;  /* of the message under way */
        bool has_channel; /* its first byte was seen */
};

static bool has_spdy(const struct channels *c)
{
        return !channels_are_numbered(c->kind);
}

static void tunnel(struct channels *c)
{
        if (c->kind == CHANNELS_TUNNEL && c->inner.len)
                websocket_send(&c->ws, NULL, 0, c->inner.data, c->inner.len);
        c->inner.len = 0;
}

static void take_tunnelled(void *userdata, const char *data, size_t n, bool first, bool last)
{
        struct channels *c = userdata;

        if (!c->broken)
                c->broken = spdy_feed(c->spdy, data, n);
        tunnel(c);
}

static void end_channels(struct channels *c, const char *numbers, size_t n)
{
        for (size_t i = 0; i < n; i++)
                c->events->ended(c->userdata, (uint8_t)numbers[i], false);
}

static void take_numbered(void *userdata, const char *data, size_t n, bool first, bool last)
{
        struct channels *c = userdata;

        if (first)
                c->has_channel = false;
        if (n && !c->has_channel) {
                c->channel = (uint8_t)*data++;
                c->has_channel = true;
                n--;
        }
        if (!n)
                return;
        if (c->channel == END_OF_CHANNEL && c->kind == CHANNELS_WEBSOCKET_V5)
                end_channels(c, data, n);
        else
                c->events->data(c->userdata, c->channel, data, n);
}

int channels_new(enum channels_kind kind, const struct stream_events *events, void *userdata, struct channels **ret)
{
        _cleanup_(channels_freep) struct channels *c = mem_new(struct channels);
        int r;

        *c = (struct channels){.kind = kind, .events = events, .userdata = userdata};
        c->ws = (struct websocket){.out = &c->out, .userdata = c, .data = has_spdy(c) ? take_tunnelled : take_numbered};
        if (has_spdy(c)) {
                r = spdy_new(events, userdata, kind == CHANNELS_TUNNEL ? &c->inner : &c->out, &c->spdy);
                if (r)
                        return r;
        }
        *ret = TAKE_PTR(c);
        return 0;
}

void channels_free(struct channels *c)
{
        if (!c)
                return;
        spdy_free(c->spdy);
        strbuf_deinit(&c->out);
        strbuf_deinit(&c->inner);
        free(c);
}

/* CHANNELS_OVER, WEBSOCKET_CLOSED and SPDY_GONE are one. */
_Static_assert(CHANNELS_OVER == (int)WEBSOCKET_CLOSED && CHANNELS_OVER == (int)SPDY_GONE, "one word for the end");

int channels_feed(struct channels *c, char *data, size_t n)
{
        int r = c->kind == CHANNELS_SPDY ? spdy_feed(c->spdy, data, n) : websocket_feed(&c->ws, data, n);

        return r ?: c->broken;
}

struct strbuf *channels_out(struct channels *c)
{
        return &c->out;
}

size_t channels_room(const struct channels *c, uint32_t stream)
{
        return has_spdy(c) ? spdy_room(c->spdy, stream) : SPDY_WINDOW_DEFAULT;
}

void channels_send(struct channels *c, uint32_t stream, const char *data, size_t n)
{
        const uint8_t number = (uint8_t)stream;

        if (has_spdy(c)) {
                spdy_send(c->spdy, stream, data, n);
                tunnel(c);
        } else {
                websocket_send(&c->ws, &number, 1, data, n);
        }
}

void channels_close(struct channels *c, uint32_t stream)
{
        if (!has_spdy(c))
                return;
        spdy_close(c->spdy, stream);
        tunnel(c);
}

void channels_ping(struct channels *c)
{
        if (c->kind == CHANNELS_SPDY)
                spdy_ping(c->spdy);
        else
                websocket_ping(&c->ws);
}

void channels_goodbye(struct channels *c)
{
        if (has_spdy(c)) {
                spdy_goaway(c->spdy);
                tunnel(c);
        }
        if (c->kind != CHANNELS_SPDY)
                websocket_close(&c->ws, WEBSOCKET_NORMAL);
}
