/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTPS server: HTTP/1.1 over TLS (GnuTLS) on a few epoll loops, with worker threads for requests that may wait.
 *
 * Why it is our own: thousands of open watches and hand-over between threads are what an API server does all day, and
 * the library that does the rest well (libmicrohttpd) walks all suspended connections at each resume. See
 * ARCHITECTURE.md.
 *
 * It knows nothing of Kubernetes. The application gives three functions (struct http_app); a request is complete (body
 * included, within its limit) before the application sees it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/blob.h"
#include "base/err.h"
#include "base/strbuf.h"

/* Who is at the other end, from the client certificate; the same for all requests of a connection. */
struct http_peer {
        const char *address; /* "127.0.0.1:4711", "[::1]:4711" */
        bool verified;       /* a certificate that chains up to the client CA */
        const char *common_name;
        const char *const *organizations; /* NULL-terminated */
        const char *refused;              /* why a certificate that was sent is not accepted, or NULL */
};

struct http_header {
        const char *name;  /* as sent */
        const char *value; /* without blanks around it */
};

struct http_request {
        const char *method; /* "GET" */
        const char *path;   /* percent-decoding is left to the application; starts with '/' */
        const char *query;  /* behind '?', raw; "" when there is none */
        const struct http_header *headers;
        size_t nheaders;
        const char *body;
        size_t body_len;
        const struct http_peer *peer;
        struct arena *arena; /* lives until the response is sent */
        uint64_t start_ns;   /* monotonic, when the first byte came */
};

/* The first header of that name (any case), or NULL. */
const char *http_header(const struct http_request *req, const char *name);

#define HTTP_SOURCE_BROKEN (-2)

struct http_stream; /* the server's side of a streamed answer */

/*
 * An answer without an end (watch, follow): the server calls read whenever the connection can take more. All calls come
 * from the connection's loop, one at a time.
 */
struct http_source {
        /* Once, before the first read: stream is what http_stream_wake wants. */
        void (*start)(struct http_source *s, struct http_stream *stream);
        /* Puts up to max (>= 16 KiB) bytes into buf. Returns their number, 0 for "nothing now, I will wake", -1 for the
         * end, HTTP_SOURCE_BROKEN when that is not all there should have been (the client then sees no proper end). A
         * source that has more than max puts the rest at the next call. */
        ssize_t (*read)(struct http_source *s, char *buf, size_t max);
        /* Once, at the end, also when the client went away (then perhaps without start): releases everything. No wake
         * may come after it returns. The request and its arena are there until then. */
        void (*close)(struct http_source *s);
};

/* Read is wanted again. From any thread; cheap and merged when repeated; only between start and close. */
void http_stream_wake(struct http_stream *stream);

/*
 * The answer 101: from then on the connection belongs to another protocol. The server carries bytes both ways between
 * the client and fd, for as long as both like, and the application does as it likes with the other end.
 *
 * The client's end comes to fd as the end of its input; when the application shuts its end down for writing, the client
 * gets TLS' close_notify, and may still send. When the application closes its end, the connection ends once
 * everything is out. Who reads slowly slows the other down. A server that stops shuts fd down both ways.
 */
struct http_upgrade {
        int fd; /* a stream socket (one of socketpair()); owned by the response; need not be non-blocking */
        const char *protocol; /* "websocket"; constant or in the arena */
};

enum http_body_kind {
        HTTP_BODY_NONE,
        HTTP_BODY_BUFFER,  /* response.buffer, owned */
        HTTP_BODY_BLOB,    /* response.blob, a reference */
        HTTP_BODY_PARTS,   /* response.parts: sent as a fixed-length body without being put together in memory */
        HTTP_BODY_SOURCE,  /* response.source: chunked, each read flushed */
        HTTP_BODY_UPGRADE, /* response.upgrade; status is 101 */
};

/* A long body in pieces (a list of objects): `get` fills *data and *len for piece i of n; borrowed until release. */
struct http_parts {
        size_t n;
        uint64_t total_len;
        void (*get)(const struct http_parts *p, size_t i, const char **data, size_t *len);
        void (*release)(struct http_parts *p); /* everything */
};

struct http_response {
        int status;                        /* 200 */
        const char *content_type;          /* constant or in the arena */
        const struct http_header *headers; /* more of them, in the arena */
        size_t nheaders;
        bool gzip_ok; /* the application allows compressing (buffer, blob, parts) when the client asks and it is worth
                         it */
        bool close;   /* close the connection afterwards */
        enum http_body_kind kind;
        union {
                struct strbuf buffer;
                struct blob *blob;
                struct http_parts *parts;
                struct http_source *source;
                struct http_upgrade upgrade;
        };
};

/*
 * For an answer that handle does not have yet and does not want to wait for: after http_later(req), handle leaves its
 * res alone and returns. http_answer gives the answer, once, from any thread, also when the client has gone meanwhile;
 * until then request and arena stay. http_server_stop waits for it.
 */
void http_later(const struct http_request *req);
/* Takes over what is in res. */
void http_answer(const struct http_request *req, const struct http_response *res);

enum http_where {
        HTTP_INLINE, /* answer at once on the loop: must not block */
        HTTP_WORKER, /* hand to a worker thread */
        HTTP_REFUSE, /* too busy: 429 and Retry-After, without calling handle */
};

struct http_app {
        void *userdata;
        /* Decides by method, path, query and headers (the body is not there yet). */
        enum http_where (*classify)(void *userdata, const struct http_request *req);
        void (*handle)(void *userdata, const struct http_request *req, struct http_response *res);
        /* The body of an answer that the server itself must give (400, 408, 413, 414, 415, 429, 431, 501, ...); fills
         * buffer and content_type, may add headers. */
        void (*error)(void *userdata, int status, const char *message, struct http_response *res);
        /* After each answer is out (or the client is gone): for metrics and the request log; may be NULL. bytes: body.
         * method and path are "" when the head could not be read. */
        void (*done)(void *userdata, const struct http_request *req, int status, uint64_t bytes, uint64_t duration_ns);
};

/* A number that is 0 stands for its default. */
struct http_config {
        const char *address;              /* "0.0.0.0", "::", "127.0.0.1" */
        uint16_t port;                    /* 0: any; http_server_port tells */
        const char *cert_file, *key_file; /* PEM, server certificate (chain) and key */
        const char *client_ca_file;       /* PEM; NULL: clients are not asked for certificates */
        unsigned loops;                   /* 0: as many as CPUs, at most 4 */
        unsigned workers;                 /* 0: 64 */
        size_t max_body;                  /* bytes; 413 beyond */
        size_t max_body_total;            /* bytes of all bodies held at a time, 429 beyond; 0: 64 * max_body */
        size_t max_head;                  /* request line and headers; 431 (414 within the line) beyond */
        unsigned max_connections;
        unsigned head_timeout_ms;  /* for the handshake, and from a request's first byte to the end of its head (408) */
        unsigned body_timeout_ms;  /* for the whole body */
        unsigned idle_timeout_ms;  /* between requests */
        unsigned worker_idle_ms;   /* a worker ends after that long without work; 0: 5000 */
        unsigned write_timeout_ms; /* a client that does not take any byte of an answer for that long is cut off */
};

struct http_server;

/* *ret is set before the first request is served (the application may use it in its callbacks), and NULL on failure. */
int http_server_new(const struct http_config *config, const struct http_app *app, struct http_server **ret,
                    struct err *reterr);
uint16_t http_server_port(const struct http_server *s);
/* Reads the certificate files again (renewal); running connections stay. */
int http_server_reload(struct http_server *s, struct err *reterr);
/* Stops listening, lets requests in progress end (up to grace_ms), ends streams cleanly, frees everything. A handler
 * that runs in a worker is waited for in any case. */
void http_server_stop(struct http_server *s, unsigned grace_ms);

struct http_stats {
        uint64_t connections, accepted_total, requests_total, tls_failures_total, bad_requests_total;
        uint64_t workers_busy, queue_len;
};
void http_server_stats(struct http_server *s, struct http_stats *ret);
