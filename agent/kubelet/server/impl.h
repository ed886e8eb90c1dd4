/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the kubelet's HTTPS server. Three kinds of threads meet here:
 *
 * - the HTTP server's loop calls handle and reads sources (logs). Nothing there knows pods;
 * - the kubelet's loop answers: a request is handed over to it (struct ask), and everything of runtime and pods is
 * asked there;
 * - the streams' loop, a thread of this server, carries the bytes of exec, attach and port-forward, and follows logs.
 *
 * The server's memory lives until the last thing that was posted to a loop has run; `closed` says that nothing may be
 * asked of the kubelet any more.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "agent/kubelet/server/server.h"
#include "base/arena.h"
#include "base/hashmap.h"
#include "http/http.h"

struct ask;
struct logwatch;
struct remote;
struct samples;

/* Whoever has a connection on the streams' loop, to be ended with the server. */
struct stream_client {
        struct stream_client *prev, *next;
        void (*end)(struct stream_client *c);
};

struct kubelet_server {
        struct kubelet_server_opts opts; /* strings owned, in mem */
        struct arena mem;
        atomic_uint refs;
        bool closed; /* of the kubelet's loop */
        struct http_server *http;
        struct loop *streams;
        pthread_t streams_thread;
        bool streams_running;
        pthread_mutex_t lock;          /* asks, ending */
        struct ask *asks;              /* not answered yet */
        bool ending;                   /* no more of them are taken */
        struct remote *remotes;        /* of the kubelet's loop: those that have a session of the runtime */
        struct stream_client *clients; /* of the streams' loop */
        struct logwatch *logwatch;     /* of the streams' loop */
        struct samples *samples;       /* of the kubelet's loop */
        int cert_fd, key_fd;           /* of the certificate that was made here */
};

struct kubelet_server *server_ref(struct kubelet_server *s);
void server_unref(struct kubelet_server *s);

void stream_client_add(struct kubelet_server *s, struct stream_client *c, void (*end)(struct stream_client *c));
/* Is not there: fine. */
void stream_client_del(struct kubelet_server *s, struct stream_client *c);

#define ASK_SEGMENTS_MAX 8

/* A request under way, from the HTTP server to the kubelet's loop and back. */
struct ask {
        struct ask *prev, *next;
        struct kubelet_server *s;
        const struct http_request *req; /* until it is answered */
        void (*handle)(struct ask *a);
        const char *segments[ASK_SEGMENTS_MAX]; /* of the path behind the first one, decoded, in the request's arena */
        size_t nsegments;
        bool answered;
};

/* The value of a query parameter, decoded, in the request's arena; the i-th of that name. NULL: there is none. */
const char *ask_param(struct ask *a, const char *name, size_t i);
/* "1", "true", ... of either name. */
bool ask_flag(struct ask *a, const char *name, const char *other);

/* Each answers, once. Text is what upstream's kubelet says, without a newline. */
void ask_fail(struct ask *a, int status, const char *fmt, ...) _printf_(3, 4);
void ask_answer(struct ask *a, const char *content_type, struct strbuf *body);
void ask_respond(struct ask *a, const struct http_response *res);

/* The pod of the first two segments; false: it was answered. */
bool ask_pod(struct ask *a, struct pod_view *ret);

/* The path's first segment and who answers: server.c has the table. */
void logs_get(struct ask *a);
void exec_get(struct ask *a);
void attach_get(struct ask *a);
void forward_get(struct ask *a);
void pods_get(struct ask *a);
void running_pods_get(struct ask *a);
void stats_get(struct ask *a);
void metrics_get(struct ask *a);

/* remote.c: ends what the runtime has under way for clients. */
void remotes_end(struct kubelet_server *s);
