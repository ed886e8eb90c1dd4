/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the HTTPS server. What holds everywhere:
 *
 * - A connection belongs to one loop, and only that loop's thread touches it, its TLS session and its sources. Other
 *   threads reach it by posting a task to the loop: a worker that is done, a stream that is to be read.
 * - A connection has at most one request in progress (struct exchange). While there is one, nothing more is read from
 *   the client but in a stream, to notice that it left; what came along with the request waits in conn.in.
 * - An idle connection holds no buffers: reading and writing go through buffers of the loop.
 * - Everything a connection does is a step (conn_step): it gets on as far as it can, or until its share is used up;
 * then it waits for the socket, a task, a deadline, or its next turn (loop.turn).
 * - No wake walks over all connections. Each kind of deadline has one duration, so a list in the order of setting is
 *   sorted.
 *
 * After 101 a connection has a second descriptor, of the application (relay.c). Its events carry the address of the
 * connection with the lowest bit set. So one batch of events may name a connection twice, and who is destroyed by the
 * first is freed after the batch.
 */
#pragma once

#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdatomic.h>

#include "http/http.h"
#include "http/list.h"
#include "http/parse.h"

#define RECORD_SIZE       16384 /* of TLS, the most that one send takes */
#define RAW_SIZE          32768 /* one read from a socket */
#define CHUNK_FRAME       16    /* room for a chunk's size line in front of it, and its end */
#define STREAM_INPUT_MAX  16384 /* bytes that a client may send behind a request that is being streamed */
#define STEPS             16    /* a connection's share of a turn: that many records */
#define RESPONSE_HEAD_MAX 12288
#define GZIP_MIN          (128 * 1024) /* kube-apiserver's defaultGzipThresholdBytes */
#define GZIP_PER_LOOP     16           /* compressions at a time: 268 KB each */

enum conn_state {
        CONN_HANDSHAKE,
        CONN_HEAD,    /* between requests, or within a head */
        CONN_BODY,    /* of the request */
        CONN_WORKING, /* a worker has it */
        CONN_WRITING,
        CONN_STREAMING,
        CONN_RELAYING, /* after 101 */
        CONN_LINGER,   /* all is said; until the client has read it and closes (RFC 9112, 9.6) */
};

/* How long a server that ends waits for a client to close what has been answered whole. */
#define LINGER_STOP_MS 300

enum timer_kind {
        TIMER_HANDSHAKE,
        TIMER_IDLE,
        TIMER_HEAD,
        TIMER_BODY,
        TIMER_WRITE,
        TIMER_LINGER,
        TIMER_KINDS,
        TIMER_NONE = TIMER_KINDS,
        TIMER_STALE, /* to be set again */
};

enum io {
        IO_OK,
        IO_WAIT, /* for the socket */
        IO_EOF,
        IO_DEAD,
};

enum step {
        STEP_AGAIN,
        STEP_WAIT,
        STEP_DEAD, /* destroy the connection */
};

/* Work for a loop from any thread. Embedded; may be posted again from the moment that run is called. */
struct http_task {
        struct http_task *next;
        void (*run)(struct http_task *t);
};

struct tls_creds {
        atomic_uint refs;
        gnutls_certificate_credentials_t cred;
        bool ask_client;
};

struct http_stream {
        struct http_task task;
        struct http_loop *loop;
        atomic_bool queued;
        bool orphan; /* the connection is gone: run frees the exchange */
};

enum framing {
        FRAME_NONE, /* no body may follow (HEAD, 204, 304) */
        FRAME_LENGTH,
        FRAME_CHUNKED,
        FRAME_CLOSE, /* HTTP/1.0: the end of the connection is the end of the body */
};

struct gzip;

/* The application's side of a connection that has left HTTP. What it has not taken yet is in conn.in. */
struct relay {
        int fd;
        uint32_t armed; /* epoll events */
        bool watched;   /* in the epoll set */
        bool readable;  /* fd has, or may have, something to read */
        bool deaf;      /* fd takes nothing any more: what the client says is dropped */
        bool told;      /* the client's end was handed on */
        bool ended;     /* all that the application said was read */
        size_t in_off;  /* in conn.in */
};

/* One request and its answer. */
struct exchange {
        struct http_task task; /* completion */
        struct exchange *next; /* in the workers' queue */
        struct conn *conn;
        struct http_server *server;
        struct http_request req;
        struct http_response res;
        struct http_head head;
        struct arena arena;
        enum http_where where;

        char *body;
        size_t body_len, body_cap, dropped;
        struct http_chunked chunked;

        enum framing framing;
        bool keep; /* the connection, afterwards */
        bool head_out, started, ended, done;
        bool later;          /* http_later was called */
        atomic_bool halfway; /* handle has returned, or the answer is there: who comes second posts the task */
        size_t part, off;    /* where in the body */
        uint64_t pos;        /* bytes of it that are out of our hands */
        uint64_t total;      /* its length, if it has one */
        uint64_t wire;       /* bytes of it as sent (perhaps compressed) */
        struct gzip *gzip;
        struct http_stream stream;
};

struct conn {
        struct list all, timer, turn;
        struct http_loop *loop;
        gnutls_session_t session;
        struct tls_creds *creds;
        struct exchange *x;
        struct relay *relay;
        int fd; /* -1: to be freed */
        enum conn_state state;
        enum timer_kind timer_kind;
        uint64_t deadline_ms;
        uint32_t armed;     /* epoll events */
        bool readable;      /* the socket has, or may have, something to read */
        bool flushing;      /* gnutls holds a record that the socket did not take */
        bool progress;      /* bytes went out since the write deadline was set */
        bool handshake_out; /* the handshake waits for the socket to take something */
        bool bye;           /* close_notify was said */
        bool eof;
        bool gone;    /* the client is, while a worker has the request */
        bool in_seen; /* conn.in was looked at and is not enough */

        char *in; /* bytes that were read and not used yet */
        size_t in_len;
        struct http_scan scan;
        char *raw; /* the same below TLS */
        size_t raw_len;
        char *out; /* bytes that TLS did not take yet */
        size_t out_len, out_off;

        struct http_peer peer;
        char *peer_data; /* what peer points to */
        char address[56];
};

struct http_loop {
        struct http_server *server;
        pthread_t thread;
        int epoll_fd, event_fd;
        _Atomic(struct http_task *) tasks;
        atomic_bool asleep;
        bool draining, quit, reported;
        bool accept_paused;
        uint64_t accept_again_ms;
        uint64_t now_ms;
        time_t date_s;
        char date[40];
        struct list conns, turn, dead, timers[TIMER_KINDS];
        unsigned nconns, ngzip;
        struct http_task drain_task, cut_task, quit_task;

        /* Of the connection that is served right now: what was read from its socket. */
        struct conn *raw_owner;
        size_t raw_off, raw_len;
        char raw[RAW_SIZE];
        char clear[RECORD_SIZE];
        char scratch[RECORD_SIZE + CHUNK_FRAME];
};

struct worker_pool {
        pthread_mutex_t lock;
        struct exchange *head, **tail;
        struct worker *idle; /* the last that went idle is the first to work: its stack and cache are warm */
        struct worker *all;
        struct worker *left; /* the last that ended by itself, to be joined */
        unsigned count, max, idle_ms;
        size_t queued;
        atomic_uint busy;
        atomic_bool stop;
};

struct http_server {
        struct http_config config;
        struct http_app app;
        int listen_fd;
        uint16_t port;
        pthread_mutex_t tls_lock; /* creds */
        struct tls_creds *creds;
        gnutls_priority_t priority;
        char *cert_file, *key_file, *client_ca_file;
        struct http_loop *loops;
        unsigned nloops, nthreads, next_loop;
        unsigned timeouts[TIMER_KINDS];
        struct worker_pool pool;

        pthread_mutex_t stop_lock;
        pthread_cond_t stop_cond;
        unsigned loops_empty;

        atomic_uint conns;
        atomic_uint later; /* calls of http_later whose http_answer has not returned */
        atomic_size_t body_bytes;
        atomic_uint_least64_t accepted, requests, tls_failures, bad_requests;
};

/* server.c: waits with a limit are on the monotonic clock. */
struct timespec http_deadline(unsigned ms);
void http_cond_init(pthread_cond_t *cond);

/* tls.c */
int tls_creds_load(const struct http_server *s, struct tls_creds **ret, struct err *reterr);
void tls_creds_unref(struct tls_creds *creds);
int tls_priority_new(gnutls_priority_t *ret, struct err *reterr);
/* The session of a fresh connection. 0 or negative errno. */
int tls_start(struct conn *c);
enum io tls_handshake(struct conn *c);
/* Up to n (RECORD_SIZE) bytes; *ret_n > 0 with IO_OK. */
enum io tls_recv(struct conn *c, char *buf, size_t n, size_t *ret_n);
/* Takes all of buf; IO_WAIT says that some of it is kept until tls_flush returns IO_OK. Not while there is such. */
enum io tls_send(struct conn *c, const char *buf, size_t n);
enum io tls_flush(struct conn *c);
/* Says close_notify, once. Not while tls_pending. */
enum io tls_bye(struct conn *c);
static inline bool tls_pending(const struct conn *c)
{
        return c->flushing || c->out_len;
}
/* Keeps what was read from the socket and not used, before the loop's buffer serves another connection. */
void tls_stash(struct conn *c);
/* Forgets what was read and not used. */
void tls_discard(struct conn *c);
void tls_end(struct conn *c);

/* peer.c */
/* Who is at the other end, once the handshake is over. */
void peer_read(struct conn *c);

/* conn.c */
void conn_new(struct http_loop *l, int fd, const char *address);
/* Gets the connection on; it may be freed afterwards. */
void conn_drive(struct conn *c);
void conn_set_state(struct conn *c, enum conn_state state);
void conn_event(struct conn *c, uint32_t events);
/* Whether tls_recv may have something, as far as is known. */
bool conn_has_input(const struct conn *c);
/* Frees those that were destroyed. */
void conn_bury(struct http_loop *l);
void conn_expired(struct conn *c);
/* Nothing new is served: what is in progress ends, the others close. May free it. */
void conn_drain(struct conn *c);
/* Frees it, or leaves it to the worker's completion. */
void conn_destroy(struct conn *c);

/* receive.c */
enum step conn_receive(struct conn *c);
/* Answers by the application's error function, and closes afterwards. */
enum step conn_refuse(struct conn *c, int status, const char *message);

/* exchange.c */
struct exchange *exchange_new(struct conn *c);
/* Makes the answer one of the application's errors. */
void exchange_error(struct exchange *x, int status, const char *message);
/* The answer is there: begins to write it. */
void exchange_respond(struct exchange *x);
/* After the application's handle: whether the answer is there. Otherwise x may be gone. */
bool exchange_answered(struct exchange *x);
/* Tells the application that the answer is out or will never be, once. */
void exchange_done(struct exchange *x);
void exchange_free(struct exchange *x);
/* Room for n more bytes of body. 0, or the HTTP status to refuse them with. */
int exchange_reserve(struct exchange *x, size_t n);

/* write.c */
enum step conn_write(struct conn *c);
/* The answer is out: the next request, or the end. */
enum step conn_answered(struct conn *c);

/* response.c */
/* Puts the head into buf, which holds RESPONSE_HEAD_MAX bytes; returns its length. */
size_t response_head(struct exchange *x, char *buf);
/* The bytes of the body that lie together where it has come to; 0 at its end. Borrowed. */
size_t response_span(struct exchange *x, const char **ret);
void response_skip(struct exchange *x, size_t n);
/* Bytes of the body; 0 for a source. */
uint64_t response_len(const struct http_response *res);
/* Everything that the application put into it. */
void response_release(struct http_response *res);

/* stream.c */
void stream_start(struct exchange *x);
enum step conn_stream(struct conn *c);

/* relay.c */
void relay_start(struct exchange *x);
enum step conn_relay(struct conn *c);
void relay_event(struct conn *c, uint32_t events);
/* What fd is to be watched for, after a step. */
void relay_arm(struct conn *c);
/* The server stops: tells the application, and lets the connection end once everything is out. */
void relay_stop(struct conn *c);
void relay_free(struct conn *c);

/* gzip.c */
int gzip_new(struct gzip **ret);
/* Compresses a slice of the body into buf (as chunks); 0 with *ret_end false: nothing came out yet. */
size_t gzip_next(struct exchange *x, char *buf, size_t max, bool *ret_end);
void gzip_free(struct gzip *g);

/* worker.c */
int workers_init(struct worker_pool *p, unsigned max, unsigned idle_ms);
/* Never waits; from any loop. Returns 0, or -errno when there is not a single thread and none can be had. */
int workers_submit(struct worker_pool *p, struct exchange *x);
/* Waits for the running ones; what is queued is completed without an answer. */
void workers_stop(struct worker_pool *p);
void workers_deinit(struct worker_pool *p);

/* loop.c */
int http_loop_init(struct http_loop *l, struct http_server *s);
void http_loop_deinit(struct http_loop *l);
void *http_loop_run(void *loop);
void http_loop_post(struct http_loop *l, struct http_task *t);
void http_loop_arm(struct conn *c, uint32_t events);
void http_loop_timer(struct conn *c, enum timer_kind kind);
const char *http_loop_date(struct http_loop *l);
/* accept.c */
void accept_ready(struct http_loop *l);
void accept_pause(struct http_loop *l);
void accept_resume(struct http_loop *l);
