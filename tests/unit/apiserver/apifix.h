/* SPDX-License-Identifier: Apache-2.0 */
/* The whole API server but for its sockets and its disk: requests go in as the HTTP server would hand them over. */
#pragma once

#include "apiserver/server.h"
#include "base/json.h"

struct apifix {
        struct server server;
};

struct api_call {
        const char *method, *url; /* with its query */
        const char *body;
        const char *type;   /* Content-Type; NULL: JSON */
        const char *accept; /* NULL: none */
        const char *agent;  /* User-Agent; NULL: "tests" */
        const char *user;   /* NULL: admin */
        const char *group;  /* NULL: system:masters */
};

struct api_reply {
        int status;
        char *text;               /* the body */
        struct json_object *body; /* NULL when it is no JSON object */
        char *warning;            /* the first Warning header, or NULL */
};

void apifix_open(struct apifix *f); /* with the namespace default */
void apifix_close(struct apifix *f);
struct store *apifix_store(struct apifix *f);

/* The reply is valid until apifix_reply_deinit. */
struct api_reply apifix_call(struct apifix *f, const struct api_call *call);
void apifix_reply_deinit(struct api_reply *r);
#define _cleanup_reply_ _cleanup_(apifix_reply_deinit)
/* Makes the call, fails unless the answer has that status, and returns the reply. ' in body stands for ". */
struct api_reply apifix_do(struct apifix *f, int status, const char *method, const char *url, const char *body);
/* The same, and only the status and the text at the path ("" when there is none) matter. */
void apifix_expect(struct apifix *f, int status, const char *method, const char *url, const char *body,
                   const char *path, const char *want);

/* A watch: opened, then read event by event. */
struct apifix_watch {
        struct arena arena;
        struct http_request http;
        struct http_response res;
        struct strbuf text;
        size_t at;
        bool ended;
};

/* Returns the status; the watch is open when it is 200. apifix_watch_close in both cases. */
int apifix_watch_open(struct apifix *f, struct apifix_watch *w, const char *url, const char *accept);
/* The next event, owned by the caller; NULL when there is none now (or the watch has ended). */
struct json_object *apifix_watch_next(struct apifix_watch *w);
/* Fails unless the next event is of that type and the object's name. "" for none. */
void apifix_watch_expect(struct apifix_watch *w, const char *type, const char *name);
void apifix_watch_close(struct apifix_watch *w);
