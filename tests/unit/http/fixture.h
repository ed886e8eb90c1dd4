/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the HTTPS server: certificates, a small application, and a blocking client. Failures end the test. */
#pragma once

#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "http/http.h"
#include "base/strbuf.h"

struct test_pki;
struct fixture_stream;

/*
 * The application: /hello (5 bytes, on the loop), /who (the peer), /echo (by a worker: method, query and body), /slow
 * (by a worker, 100 ms), /big (4 MiB, may be compressed), /parts (1,000 pieces), /short (parts that break their word),
 * /stream (what fixture_publish gives), /refuse (429), /inject (a header with a line break), /upgrade (101; by a worker
 * with a query), /later (answered by another thread, with the query).
 */
struct fixture {
        struct test_pki *pki;
        struct http_server *server;
        uint16_t port;
        atomic_uint done, handled;
        atomic_uint_least64_t bytes;
        pthread_mutex_t lock;
        struct fixture_stream *streams;
        unsigned nstreams;
        atomic_uint closed_streams;
        struct blob *big;
        atomic_int upgraded; /* the application's end, or -1 */
};

/* config: limits; address and certificates are filled in. */
void fixture_start(struct fixture *f, struct http_config config);
/* Ends it all, and checks that each request had its done and each stream its close. */
void fixture_stop(struct fixture *f, unsigned grace_ms);
/* One event for all streams. */
void fixture_publish(struct fixture *f, const char *text);
/* Waits until so many streams are open. */
void fixture_wait_streams(struct fixture *f, unsigned n);

/* The application's end of the connection that was upgraded; the caller's. It times out after a few seconds. */
int fixture_take_upgraded(struct fixture *f);

enum identity {
        ID_NONE,
        ID_ADMIN,   /* CN admin, O system:masters and "second, group" */
        ID_FOREIGN, /* of another CA */
        ID_EXPIRED,
        ID_SERVER, /* of the right CA, but not for clients */
        ID_COUNT,
};

struct client {
        int fd;
        gnutls_certificate_credentials_t cred;
        gnutls_session_t session;
        struct strbuf in;
};

void client_open(struct fixture *f, struct client *c, enum identity id);
void client_close(struct client *c);
/* Whether the server talks to one more connection, or closes it at once. */
bool client_accepted(struct fixture *f);
void client_send(struct client *c, const char *data, size_t n);
void client_say(struct client *c, const char *text);

struct reply {
        int status;
        char *head; /* with its line breaks */
        struct strbuf body;
        bool chunked;
};

/* The next answer, whole (to_head: a HEAD request's). */
void client_reply(struct client *c, struct reply *ret, bool to_head);
/* Only the head of it. */
void client_reply_head(struct client *c, struct reply *ret);
/* One chunk; false at the last one. */
bool client_chunk(struct client *c, struct strbuf *ret);
void reply_deinit(struct reply *r);
/* Sends text, expects status and body (NULL: any). */
void client_expect(struct client *c, const char *text, int status, const char *body);
/* Nothing more comes: the server has closed. */
void client_expect_closed(struct client *c);
