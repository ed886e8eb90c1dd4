/* SPDX-License-Identifier: Apache-2.0 */
/* What the kinds of handlers share: one that is under way. */
#pragma once

#include "agent/kubelet/probes/handler.h"
#include "base/httpclient.h"

#define HANDLER_OUTPUT_MAX ((size_t)10 * 1024) /* of a body or a command's output, in a message */

struct handlers {
        struct loop *loop;
        const struct runtime *runtime;
        struct handler_run *runs;
};

struct handler_run {
        struct handlers *h; /* NULL: they were freed meanwhile */
        struct loop *loop;
        struct handler_run *prev, *next;
        void (*done)(void *userdata, enum handler_outcome outcome, const char *message); /* NULL: cancelled */
        void *userdata;
        uint64_t timeout_ms;
        bool hook;
        bool telling; /* the end is posted */
        enum handler_outcome outcome;
        char *message;

        struct http_client *client; /* httpGet, tcpSocket, grpc */
        uint64_t deadline_ms;
        char *address;                  /* "10.0.0.1:80" */
        char *first_url, *url, *method; /* httpGet: as asked; as redirected */
        char **headers;                 /* NULL-terminated */
        unsigned int redirects;
        struct loop_timer *timer; /* sleep */
        char *command;            /* exec, for people */
};

/* Tells the outcome, later; nothing else may happen to the run after it. */
void handler_end(struct handler_run *run, enum handler_outcome outcome, const char *fmt, ...) _printf_(3, 4);

/* host: the action's, or the pod's address. 0, or negative errno with what is wrong. */
int handler_address(struct handler_run *run, const char *host, struct json_object *port,
                    const struct json_object *container, struct err *reterr);

/* Each begins; 0, or negative errno with what is wrong and nothing is under way. */
int handler_http(struct handler_run *run, const struct json_object *action, const struct handler_target *t,
                 struct err *reterr);
int handler_tcp(struct handler_run *run, const struct json_object *action, const struct handler_target *t,
                struct err *reterr);
int handler_grpc(struct handler_run *run, const struct json_object *action, const struct handler_target *t,
                 struct err *reterr);

/* What Go's dialer says of a connection that did not come to be: "dial tcp 10.0.0.1:80: connect: connection refused".
 */
void handler_dial_error(const struct handler_run *run, const struct http_client_response *r, char *buf, size_t size);
/* "1s", "1.5s", "500ms", as Go writes a duration. */
const char *handler_duration(uint64_t ms, char *buf, size_t size);
