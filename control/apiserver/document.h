/* SPDX-License-Identifier: Apache-2.0 */
/* An answer that stays the same while the server runs (discovery, OpenAPI): its bytes, type and entity tag. */
#pragma once

#include "apiserver/request.h"

#define DOCUMENT_TAG_SIZE 36 /* two quotes, 128 bits in hexadecimal, NUL */

struct document {
        const char *content_type; /* constant */
        struct blob *blob;
        char tag[DOCUMENT_TAG_SIZE]; /* with its quotes, as in the ETag header; the same text gives the same tag */
};

/* Takes the buffer's text over. */
void document_init(struct document *d, const char *content_type, struct strbuf *b);
void document_deinit(struct document *d);
/* Writes the entity tag of n bytes. */
void document_tag(const void *data, size_t n, char tag[DOCUMENT_TAG_SIZE]);
/* The client has it already: one of the tags in If-None-Match (RFC 9110, 13.1.2) is this one. */
bool document_is_cached(const struct api_request *req, const char *tag);
/* 200 with the bytes, or 304 when the client has them. Returns API_ANSWERED. */
int document_answer(struct api_request *req, const struct document *d);
/* 304 for that tag. Returns API_ANSWERED. */
int document_not_modified(struct api_request *req, const char *tag);
