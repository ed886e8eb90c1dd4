/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading HTTP/1.1 requests (RFC 9112): the head and the chunked coding. Pure: bytes in, values out. Strict where two
 * readers could disagree about where a message ends (request smuggling): no bare CR or LF, no folded lines, no blank
 * before a colon, one way to tell a body's length.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "http/http.h"
#include "base/arena.h"

#define HTTP_HEADERS_MAX       128
#define HTTP_METHOD_MAX        32
#define HTTP_CHUNK_EXT_MAX     4096 /* bytes of extensions in one body */
#define HTTP_CHUNK_TRAILER_MAX 8192 /* bytes of trailers of one body */

/* How far the search for the end of a head has come; all zero at first. */
struct http_scan {
        size_t start; /* of the head, behind empty lines in front of it */
        size_t line;  /* of the line that is not complete */
        size_t pos;   /* nothing to be found before it */
};

/*
 * Looks for the empty line that ends a head in buf, which holds all bytes since the first call. Returns the offset
 * behind it (the head is buf[scan->start ..)), 0 when more bytes are needed, or -EBADMSG for a line without CR.
 */
ssize_t http_head_scan(struct http_scan *scan, const char *buf, size_t len);

struct http_head {
        const char *method, *path, *query;
        struct http_header *headers;
        size_t nheaders;
        const char *message; /* what is wrong, when http_head_parse refuses */
        bool http_1_0;
        bool close; /* the connection ends with this request */
        bool chunked;
        bool has_length;
        bool expect_continue;
        bool encoded_body; /* Content-Encoding other than identity */
        bool accept_gzip;
        bool has_host;
        uint64_t content_length; /* UINT64_MAX: more than fits */
};

/*
 * Takes apart a complete head; text (len bytes, its empty line included) is written to and must live as long as *ret.
 * Returns 0, or the HTTP status to refuse it with (400, 417, 431, 501, 505), and then ret->message.
 */
int http_head_parse(char *text, size_t len, struct arena *arena, struct http_head *ret);

/* True when an Accept-Encoding value allows gzip (RFC 9110, 12.5.3). */
bool http_accepts_gzip(const char *value);

enum http_chunked_state {
        HTTP_CHUNKED_SIZE,
        HTTP_CHUNKED_SIZE_BLANK,
        HTTP_CHUNKED_EXT,
        HTTP_CHUNKED_SIZE_LF,
        HTTP_CHUNKED_BYTES,
        HTTP_CHUNKED_BYTES_CR,
        HTTP_CHUNKED_BYTES_LF,
        HTTP_CHUNKED_LINE,
        HTTP_CHUNKED_NAME,
        HTTP_CHUNKED_VALUE,
        HTTP_CHUNKED_VALUE_LF,
        HTTP_CHUNKED_LAST_LF,
        HTTP_CHUNKED_DONE,
};

/* A chunked body on its way; all zero at first. */
struct http_chunked {
        enum http_chunked_state state;
        unsigned digits;
        unsigned ext_bytes, trailer_bytes;
        uint64_t left; /* of this chunk */
};

enum http_chunked_result {
        HTTP_CHUNKED_MORE, /* all input is used */
        HTTP_CHUNKED_DATA, /* *ret_data, *ret_len */
        HTTP_CHUNKED_END,  /* *p is behind the body */
};

/*
 * Takes the next step through *p .. end: returns one of http_chunked_result, or -EBADMSG when it is malformed or its
 * extensions or trailers are too long.
 */
int http_chunked_next(struct http_chunked *d, const char **p, const char *end, const char **ret_data, size_t *ret_len);
