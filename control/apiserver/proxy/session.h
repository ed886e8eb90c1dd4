/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the proxy: one request that is passed on. It belongs to the proxy's thread, but for what the lock of its body
 * protects, which the HTTP server's loops read.
 *
 * References: the proxy's list has one until the session is over, the response's source one until it is closed, and
 * each function posted to the loop one until it has run.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "apiserver/proxy/backend.h"
#include "apiserver/proxy/head.h"
#include "apiserver/proxy/proxy.h"
#include "base/loop.h"
#include "http/parse.h"

#define PROXY_SESSIONS_MAX 4096
#define PROXY_CONNECT_MS   10000 /* TCP and TLS together */
#define PROXY_SEND_MS      60000 /* without a byte of the request being taken */
#define PROXY_HEAD_MS      60000 /* from the request being sent to the head of its answer */
#define PROXY_ERROR_MS     5000  /* for an error's text: then what there is of it is told */
#define PROXY_HEAD_MAX     65536
#define PROXY_BUFFER_MAX   65536 /* of a body that its reader does not take: then no more is read */
#define PROXY_ERROR_MAX    50000 /* bytes of an error's text; what follows is cut off */
#define PROXY_STEPS        16    /* reads in a row, before others have their turn */

struct proxy_creds; /* certificates in use, counted; of the proxy's thread */

enum session_state {
        SESSION_CONNECT,
        SESSION_HANDSHAKE,
        SESSION_SEND,
        SESSION_HEAD,
        SESSION_BODY,
        SESSION_CARRY, /* upgraded */
        SESSION_OVER,
};

enum session_step {
        SESSION_AGAIN,
        SESSION_WAIT_READ,
        SESSION_WAIT_WRITE,
        SESSION_PAUSE, /* until the body's reader has taken something */
        SESSION_END,
};

/* What was read of a body and not yet taken by its reader. */
struct session_body {
        pthread_mutex_t lock; /* all of this */
        struct strbuf data;
        size_t off;
        bool ended, broken; /* nothing more comes */
        bool closed;        /* nobody reads any more */
        bool paused;
        struct http_stream *stream; /* to be woken, or NULL */
};

/* One direction of an upgraded connection: what its receiver did not take yet. */
struct session_lane {
        struct strbuf held;
        size_t off;
        bool ended; /* the sender said so */
        bool told;  /* and the receiver knows */
};

struct session {
        atomic_uint refs;
        struct proxy *proxy;
        struct session *prev, *next;
        enum session_state state;

        const struct http_request *http; /* NULL once it is answered */
        enum proxy_style style;
        enum proxy_tls tls;
        char *url, *server_name, *where; /* for errors; where: "127.0.0.2:10250" */
        union backend_address address;
        bool to_head, wants_upgrade;

        struct backend backend;
        struct proxy_creds *creds;
        struct loop_fd *watch;
        struct loop_timer *timer;
        struct strbuf out; /* the request */
        size_t out_off;

        struct strbuf in; /* the head of the answer, and what came with it */
        struct http_scan scan;
        int status;
        bool chunked, has_length;
        uint64_t left; /* of a body of known length */
        struct http_chunked decoder;
        struct strbuf error; /* of PROXY_LOG */
        bool collect;        /* the body goes there */

        struct http_source source;
        struct session_body body;

        int local; /* our end of an upgraded connection */
        struct loop_fd *local_watch;
        struct session_lane to_client, to_backend;
};

struct session *session_ref(struct session *s);
void session_unref(struct session *s);
/* Runs fn in the proxy's thread unless the session is over by then. From any thread. */
void session_post(struct session *s, void (*fn)(struct session *s));
/* Gets it on as far as possible. May end it: the caller needs a reference to look at it afterwards. */
void session_drive(struct session *s);
/* Begins in the proxy's thread. */
void session_begin(struct session *s);
/* Whatever it is doing. Who waits for an answer gets one. */
void session_end(struct session *s);

/* answer.c: each is the answer, once. */
void session_answer_status(struct session *s, int code, const char *reason, const char *message);
/* The other side could not be reached, or broke off before its answer. */
void session_answer_error(struct session *s, const char *why);
/* The other side's own answer: its head, and a body that is still to come (or an upgraded connection). */
void session_answer_head(struct session *s, const struct proxy_head *h);
/* The text that came with a refusal of a PROXY_LOG. */
void session_answer_refusal(struct session *s);

/* body.c */
void session_body_init(struct session *s);
enum session_step session_body_step(struct session *s);
/* The first bytes of it came with the head. */
enum session_step session_body_take(struct session *s, const char *p, size_t n);
/* No more comes, or not all of it. */
void session_body_end(struct session *s, bool broken);

/* carry.c */
enum session_step session_carry_step(struct session *s);
/* Opens the pair of sockets; *ret is the client's end. */
int session_carry_begin(struct session *s, int *ret);
/* Sets what both descriptors are watched for. */
void session_carry_arm(struct session *s);

/* proxy.c */
struct loop *proxy_loop(struct proxy *p);
/* 16 KiB that serve whoever runs. */
char *proxy_scratch(struct proxy *p);
/* A reference, or NULL with what is wrong. */
struct proxy_creds *proxy_creds_get(struct proxy *p, enum proxy_tls tls, struct err *reterr);
gnutls_certificate_credentials_t proxy_creds_use(struct proxy_creds *c);
/* Whether names are checked. */
bool proxy_creds_verify(const struct proxy_creds *c);
void proxy_creds_unref(struct proxy_creds *c);
void proxy_forget(struct session *s);
