/* SPDX-License-Identifier: Apache-2.0 */
/* Requests without a server, for what answers from constant data. */
#pragma once

#include "apiserver/request.h"

#define ASK_HEADERS_MAX 4

struct ask {
        struct arena arena;
        struct http_header headers[ASK_HEADERS_MAX];
        struct http_request http;
        struct http_response res;
        struct api_request req;
};

/* A GET of that path ("/x?y=z"); headers end with a NULL name, those without a value are not sent. */
void ask_init(struct ask *a, const char *path, const struct http_header *headers);
void ask_done(struct ask *a);
/* Of the answer, or NULL. */
const char *ask_header(const struct ask *a, const char *name);
