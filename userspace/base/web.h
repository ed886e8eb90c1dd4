/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Just enough HTTP/1.1 for probes and scrapers: GET and HEAD, one answer a connection, in the loop's thread. Bounded in
 * connections, bytes and time.
 */
#pragma once

#include "base/err.h"
#include "base/loop.h"
#include "base/strbuf.h"

struct web_answer {
        int status;
        const char *content_type; /* constant; NULL: text/plain */
        const char *headers;      /* more of them, each with its CRLF; constant, or NULL */
        char header[96];          /* one more, with its CRLF */
        struct strbuf body;
};

/* path: without query. Fills *ret, which is {404}. */
typedef void (*web_fn)(void *userdata, const char *path, struct web_answer *ret);

struct web;

/* address: "0.0.0.0:80", "[::]:80" (then both families). 0 or negative errno. */
int web_new(struct loop *loop, const char *address, web_fn fn, void *userdata, struct web **ret, struct err *reterr);
void web_free(struct web *w);
DEFINE_CLEANUP(struct web *, web_free)
uint16_t web_port(const struct web *w);
