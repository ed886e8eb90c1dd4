/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The streams of an exec, attach or port-forward, whatever carries them: bytes of a connection in, events of streams
 * and bytes of the connection out. Pure.
 *
 *     CHANNELS_WEBSOCKET     v4.channel.k8s.io: the first byte of a message is its stream's number
 *     CHANNELS_WEBSOCKET_V5  v5.channel.k8s.io: and with the bytes 255, N the client ends stream N
 *     CHANNELS_SPDY          SPDY/3.1: streams are opened by the peer, headers say what for
 *     CHANNELS_TUNNEL        SPDY/3.1+portforward.k8s.io: the same in the messages of a WebSocket
 */
#pragma once

#include "agent/kubelet/server/spdy.h"
#include "agent/kubelet/server/websocket.h"

enum channels_kind {
        CHANNELS_WEBSOCKET,
        CHANNELS_WEBSOCKET_V5,
        CHANNELS_SPDY,
        CHANNELS_TUNNEL,
};

struct channels;

int channels_new(enum channels_kind kind, const struct stream_events *events, void *userdata, struct channels **ret);
void channels_free(struct channels *c);
DEFINE_CLEANUP(struct channels *, channels_free)

static inline bool channels_are_numbered(enum channels_kind kind)
{
        return kind == CHANNELS_WEBSOCKET || kind == CHANNELS_WEBSOCKET_V5;
}

enum { CHANNELS_OVER = 1 };

/* Takes bytes of the connection, which are overwritten. 0; CHANNELS_OVER: the peer has said goodbye; -EPROTO. */
int channels_feed(struct channels *c, char *data, size_t n);

/* What is to be sent on the connection; the caller takes from its front. */
struct strbuf *channels_out(struct channels *c);

/* Bytes that may be sent on a stream now. */
size_t channels_room(const struct channels *c, uint32_t stream);
void channels_send(struct channels *c, uint32_t stream, const char *data, size_t n);
/* Nothing more comes on it. WebSocket clients are not told: they have no word for it in that direction. */
void channels_close(struct channels *c, uint32_t stream);
void channels_ping(struct channels *c);
/* Nothing more comes at all. */
void channels_goodbye(struct channels *c);
