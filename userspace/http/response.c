/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "http/internal.h"

static const char *reason(int status)
{
        static const struct {
                int status;
                const char *reason;
        } reasons[] = {
                {101, "Switching Protocols"},
                {200, "OK"},
                {201, "Created"},
                {202, "Accepted"},
                {204, "No Content"},
                {301, "Moved Permanently"},
                {302, "Found"},
                {304, "Not Modified"},
                {307, "Temporary Redirect"},
                {400, "Bad Request"},
                {401, "Unauthorized"},
                {403, "Forbidden"},
                {404, "Not Found"},
                {405, "Method Not Allowed"},
                {406, "Not Acceptable"},
                {408, "Request Timeout"},
                {409, "Conflict"},
                {410, "Gone"},
                {412, "Precondition Failed"},
                {413, "Request Entity Too Large"},
                {414, "Request URI Too Long"},
                {415, "Unsupported Media Type"},
                {417, "Expectation Failed"},
                {422, "Unprocessable Entity"},
                {429, "Too Many Requests"},
                {431, "Request Header Fields Too Large"},
                {500, "Internal Server Error"},
                {501, "Not Implemented"},
                {502, "Bad Gateway"},
                {503, "Service Unavailable"},
                {504, "Gateway Timeout"},
                {505, "HTTP Version Not Supported"},
        };
        size_t i;

        for (i = 0; i < ARRAY_SIZE(reasons); i++)
                if (reasons[i].status == status)
                        return reasons[i].reason;
        return "";
}

struct cursor {
        char *p, *end;
};

/* Text of the application: a line break in it must not make a header of its own. */
static void put_text(struct cursor *to, const char *s)
{
        for (; *s; s++)
                *to->p++ = (unsigned char)*s >= 0x20 && *s != 0x7f ? *s : ' ';
}

/* A header that does not fit is left out. */
static void put_header(struct cursor *to, const char *name, const char *value)
{
        if ((size_t)(to->end - to->p) < strlen(name) + strlen(value) + 4)
                return;
        put_text(to, name);
        to->p = mempcpy(to->p, ": ", 2);
        put_text(to, value);
        to->p = mempcpy(to->p, "\r\n", 2);
}

/* digits, not snprintf: this is done for each answer */
static char *number_text(uint64_t v, char buf[24])
{
        char *p = buf + 23;

        *p = '\0';
        do
                *--p = (char)('0' + v % 10);
        while (v /= 10);
        return p;
}

static void put_framing(struct cursor *to, const struct exchange *x)
{
        bool bodiless = x->res.status == 101 || x->res.status == 204 || x->res.status == 304;
        char buf[24];

        if (x->framing == FRAME_CHUNKED)
                put_header(to, "Transfer-Encoding", "chunked");
        else if (!bodiless && x->res.kind != HTTP_BODY_SOURCE)
                put_header(to, "Content-Length", number_text(x->total, buf));
}

size_t response_head(struct exchange *x, char *buf)
{
        struct cursor to = {buf, buf + RESPONSE_HEAD_MAX - 512}; /* the server's own headers always fit */
        const struct http_response *res = &x->res;
        char number[24];
        size_t i;

        to.p = mempcpy(to.p, "HTTP/1.1 ", 9);
        to.p = stpcpy(to.p, number_text((uint64_t)res->status, number));
        *to.p++ = ' ';
        to.p = stpcpy(to.p, reason(res->status));
        to.p = mempcpy(to.p, "\r\n", 2);
        for (i = 0; i < res->nheaders; i++)
                put_header(&to, res->headers[i].name, res->headers[i].value);
        if (res->content_type)
                put_header(&to, "Content-Type", res->content_type);
        to.end = buf + RESPONSE_HEAD_MAX;
        put_header(&to, "Date", http_loop_date(x->conn->loop));
        if (x->gzip) {
                put_header(&to, "Content-Encoding", "gzip");
                put_header(&to, "Vary", "Accept-Encoding");
        }
        put_framing(&to, x);
        if (x->res.kind == HTTP_BODY_UPGRADE) {
                put_header(&to, "Connection", "Upgrade");
                put_header(&to, "Upgrade", x->res.upgrade.protocol);
        } else if (!x->keep) {
                put_header(&to, "Connection", "close");
        }
        to.p = mempcpy(to.p, "\r\n", 2);
        return (size_t)(to.p - buf);
}

uint64_t response_len(const struct http_response *res)
{
        switch (res->kind) {
        case HTTP_BODY_BUFFER:
                return res->buffer.len;
        case HTTP_BODY_BLOB:
                return res->blob->len;
        case HTTP_BODY_PARTS:
                return res->parts->total_len;
        default:
                return 0;
        }
}

static size_t parts_span(struct exchange *x, const char **ret)
{
        const struct http_parts *parts = x->res.parts;
        size_t len;

        for (; x->part < parts->n; x->part++, x->off = 0) {
                parts->get(parts, x->part, ret, &len);
                *ret += x->off;
                if (x->off < len)
                        return len - x->off;
        }
        return 0;
}

size_t response_span(struct exchange *x, const char **ret)
{
        const struct http_response *res = &x->res;
        size_t left = (size_t)(x->total - x->pos);

        switch (res->kind) {
        case HTTP_BODY_BUFFER:
                *ret = res->buffer.data + x->pos;
                return left;
        case HTTP_BODY_BLOB:
                *ret = res->blob->data + x->pos;
                return left;
        case HTTP_BODY_PARTS:
                return MIN(left, parts_span(x, ret));
        default:
                return 0;
        }
}

void response_skip(struct exchange *x, size_t n)
{
        x->pos += n;
        x->off += n;
}

void response_release(struct http_response *res)
{
        switch (res->kind) {
        case HTTP_BODY_BUFFER:
                strbuf_deinit(&res->buffer);
                break;
        case HTTP_BODY_BLOB:
                blob_unref(res->blob);
                break;
        case HTTP_BODY_PARTS:
                res->parts->release(res->parts);
                break;
        case HTTP_BODY_SOURCE:
                res->source->close(res->source);
                break;
        case HTTP_BODY_UPGRADE:
                closep(&res->upgrade.fd);
                break;
        default:
                break;
        }
        res->kind = HTTP_BODY_NONE;
}
