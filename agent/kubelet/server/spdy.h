/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's side of SPDY/3.1, as far as kubectl's exec and port-forward go (the draft "SPDY Protocol - Draft 3.1"):
 * bytes in, events and bytes out. Pure: knows no socket. Only the client opens streams; each is answered at once.
 *
 * Flow control: what comes is acknowledged when it was handed on; who is slow stops reading the connection. What goes
 * out minds the peer's windows only once it has shown that it has some (SETTINGS or WINDOW_UPDATE): Kubernetes' client
 * has none, and would wait for ever.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/hashmap.h"
#include "base/strbuf.h"

#define SPDY_HEADERS_MAX    32
#define SPDY_BLOCK_MAX      8192 /* of headers, uncompressed */
#define SPDY_CONTROL_MAX    16384
#define SPDY_STREAMS_MAX    1024
#define SPDY_WINDOW_DEFAULT 65536

struct spdy_header {
        const char *name, *value; /* lower case; several values are apart by NULs, of which the first is seen */
};

struct spdy_headers {
        struct spdy_header list[SPDY_HEADERS_MAX];
        size_t n;
        char text[SPDY_BLOCK_MAX];
};

/* Its value, or NULL. */
const char *spdy_header(const struct spdy_headers *h, const char *name);

/* Takes an uncompressed block of n bytes apart. 0 or -EPROTO. */
int spdy_headers_parse(const char *block, size_t n, struct spdy_headers *ret);

/* Compression of header blocks: one of each for a connection's life. */
struct spdy_inflater;
struct spdy_deflater;
int spdy_inflater_new(struct spdy_inflater **ret);
void spdy_inflater_free(struct spdy_inflater *z);
/* At most max bytes come out. Bytes, or -EPROTO. */
ssize_t spdy_inflate(struct spdy_inflater *z, const char *data, size_t n, char *out, size_t max);
int spdy_deflater_new(struct spdy_deflater **ret);
void spdy_deflater_free(struct spdy_deflater *z);
void spdy_deflate(struct spdy_deflater *z, const char *data, size_t n, struct strbuf *out);

struct spdy;

/* What the peer does with the streams of a connection; of WebSocket channels, too (channels.h). */
struct stream_events {
        /* false: it is refused. SPDY alone. */
        bool (*opened)(void *userdata, uint32_t stream, const struct spdy_headers *headers);
        void (*data)(void *userdata, uint32_t stream, const char *data, size_t n);
        /* The peer sends no more on it; aborted: nor does it want to hear more. */
        void (*ended)(void *userdata, uint32_t stream, bool aborted);
        /* More may be sent on it (0: on all) than the last time. */
        void (*room)(void *userdata, uint32_t stream);
};

/* out: what is to be sent, borrowed. 0 or -ENOMEM. */
int spdy_new(const struct stream_events *events, void *userdata, struct strbuf *out, struct spdy **ret);
void spdy_free(struct spdy *s);
DEFINE_CLEANUP(struct spdy *, spdy_free)

enum { SPDY_GONE = 1 };

/* 0; SPDY_GONE: the peer has said GOAWAY and has no stream any more; -EPROTO: it breaks the rules, and was told so. */
int spdy_feed(struct spdy *s, const char *data, size_t n);

/* Bytes that the peer's windows allow on that stream now; 0 too when it is closed. */
size_t spdy_room(const struct spdy *s, uint32_t stream);
/* Dropped when the stream is closed. n is within spdy_room, unless losing an excess to a peer's window is no harm. */
void spdy_send(struct spdy *s, uint32_t stream, const char *data, size_t n);
/* Nothing more is sent on it. */
void spdy_close(struct spdy *s, uint32_t stream);
/* Neither is sent nor heard. */
void spdy_reset(struct spdy *s, uint32_t stream);
void spdy_ping(struct spdy *s);
void spdy_goaway(struct spdy *s);
