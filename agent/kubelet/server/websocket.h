/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's side of a WebSocket (RFC 6455): bytes in, pieces of messages and bytes out. Pure: knows no socket.
 *
 * Messages are handed on as they come, in pieces, so that their length needs no bound; text and binary ones are the
 * same here, because Kubernetes' clients send both. Pings are answered.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

#define WEBSOCKET_ACCEPT_SIZE 29

/* The answer to Sec-WebSocket-Key. 0, or -EINVAL: that is no key (16 bytes in base64). */
int websocket_accept(const char *key, char ret[static WEBSOCKET_ACCEPT_SIZE]);

enum websocket_code {
        WEBSOCKET_NORMAL = 1000,
        WEBSOCKET_GOING_AWAY = 1001,
        WEBSOCKET_PROTOCOL_ERROR = 1002,
        WEBSOCKET_INTERNAL_ERROR = 1011,
};

/* All zero at first, but for out, data and userdata. */
struct websocket {
        struct strbuf *out; /* what is to be sent; borrowed */
        /* A piece of a message; first: its beginning, last: its end. An empty message is one empty piece. */
        void (*data)(void *userdata, const char *data, size_t n, bool first, bool last);
        void *userdata;

        uint8_t head[14]; /* of the frame under way */
        uint8_t head_len, opcode;
        bool in_frame, fin, in_message, message_begun;
        bool close_sent;
        uint64_t left; /* bytes of the frame */
        uint8_t mask[4], mask_at;
        uint8_t control[125], control_len;
};

enum { WEBSOCKET_CLOSED = 1 };

/*
 * Takes n bytes, which are overwritten (unmasked). 0; WEBSOCKET_CLOSED: the peer has said goodbye, which was answered,
 * what follows is not looked at; -EPROTO: it breaks the rules, and was told so.
 */
int websocket_feed(struct websocket *w, char *data, size_t n);

/* One binary message: prefix (nprefix bytes, may be none) and data. Dropped after websocket_close. */
void websocket_send(struct websocket *w, const void *prefix, size_t nprefix, const void *data, size_t n);
void websocket_ping(struct websocket *w);
/* Once; more calls do nothing. */
void websocket_close(struct websocket *w, enum websocket_code code);
