/* SPDX-License-Identifier: Apache-2.0 */
/* From bytes to a complete request, and to who handles it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "http/internal.h"
#include "base/clock.h"
#include "base/mem.h"

enum step conn_refuse(struct conn *c, int status, const char *message)
{
        struct http_server *s = c->loop->server;
        struct exchange *x = c->x ? c->x : exchange_new(c);

        atomic_fetch_add(&s->bad_requests, 1);
        exchange_error(x, status, message);
        x->res.close = true;
        exchange_respond(x);
        return STEP_AGAIN;
}

static enum step dispatch(struct conn *c)
{
        struct exchange *x = c->x;
        struct http_server *s = x->server;

        if (x->body) {
                x->body[x->body_len] = '\0';
                x->req.body = x->body;
                x->req.body_len = x->body_len;
        }
        atomic_fetch_add(&s->requests, 1);
        switch (x->where) {
        case HTTP_WORKER:
                conn_set_state(c, CONN_WORKING);
                if (workers_submit(&s->pool, x) == 0)
                        return STEP_AGAIN;
                return conn_refuse(c, 503, "no thread can be had for the request");
        case HTTP_REFUSE:
                exchange_error(x, 429, "too many requests in progress, try again later");
                break;
        default:
                conn_set_state(c, CONN_WORKING);
                s->app.handle(s->app.userdata, &x->req, &x->res);
                if (!exchange_answered(x))
                        return STEP_WAIT;
                break;
        }
        exchange_respond(x);
        return STEP_AGAIN;
}

static enum step refuse_bytes(struct conn *c, int status)
{
        char text[80];

        if (status != 413)
                return conn_refuse(c, status, "too many bytes of requests in progress, try again later");
        snprintf(text, sizeof(text), "Request entity too large: limit is %zu", c->loop->server->config.max_body);
        return conn_refuse(c, status, text);
}

/* The head is there and in order. more: bytes are waiting behind it. */
static enum step begin_request(struct conn *c, bool more)
{
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        struct exchange *x = c->x;
        struct http_server *s = x->server;

        if (x->head.encoded_body)
                return conn_refuse(c, 415, "compressed request bodies are not supported");
        if (x->head.has_length && x->head.content_length > s->config.max_body)
                return refuse_bytes(c, 413);
        x->where = s->app.classify(s->app.userdata, &x->req);
        if (!x->head.chunked && !x->head.content_length)
                return dispatch(c);
        conn_set_state(c, CONN_BODY);
        if (!x->head.expect_continue || more)
                return STEP_AGAIN;
        if (x->where == HTTP_REFUSE) {
                x->res.close = true; /* the body will not come */
                return dispatch(c);
        }
        /* Without a place for one more record: the client goes on by itself after a while (RFC 9110, 10.1.1). */
        if (!tls_pending(c) && tls_send(c, go_on, sizeof(go_on) - 1) == IO_DEAD)
                return STEP_DEAD;
        return STEP_AGAIN;
}

static void fill_request(struct exchange *x)
{
        x->req.method = x->head.method;
        x->req.path = x->head.path;
        x->req.query = x->head.query;
        x->req.headers = x->head.headers;
        x->req.nheaders = x->head.nheaders;
}

static enum step take_head(struct conn *c, const char *p, size_t n, size_t *ret_used)
{
        size_t max = c->loop->server->config.max_head;
        struct exchange *x = c->x;
        struct http_head head;
        ssize_t end;
        char *text;
        int status;

        end = http_head_scan(&c->scan, p, n);
        if (end < 0)
                return conn_refuse(c, 400, "lines must end in CR LF");
        if ((end ? (size_t)end : n) > max) {
                bool line = memchr(p + c->scan.start, '\n', n - c->scan.start);

                return conn_refuse(c, line ? 431 : 414,
                                   line ? "the request headers are too large" : "the request line is too long");
        }
        if (!end) {
                c->in_seen = true;
                return STEP_AGAIN;
        }
        *ret_used = (size_t)end;
        n = (size_t)end - c->scan.start;
        text = arena_strndup(&x->arena, p + c->scan.start, n);
        c->scan = (struct http_scan){0};
        status = http_head_parse(text, n, &x->arena, &head);
        x->head = head;
        if (status)
                return conn_refuse(c, status, head.message);
        fill_request(x);
        return STEP_AGAIN;
}

/* 0, or the HTTP status to refuse it with. */
static int take_bytes(struct exchange *x, const char *p, size_t n)
{
        int status;

        if (x->where == HTTP_REFUSE) { /* read, so that the connection can go on, but not kept */
                x->dropped += n;
                return x->dropped > x->server->config.max_body ? 413 : 0;
        }
        status = exchange_reserve(x, n);
        if (status)
                return status;
        memcpy(x->body + x->body_len, p, n);
        x->body_len += n;
        return 0;
}

static enum step take_chunks(struct conn *c, const char *p, size_t n, size_t *ret_used)
{
        struct exchange *x = c->x;
        const char *at = p, *data;
        size_t len;
        int r, status;

        while ((r = http_chunked_next(&x->chunked, &at, p + n, &data, &len)) == HTTP_CHUNKED_DATA) {
                status = take_bytes(x, data, len);
                if (status)
                        return refuse_bytes(c, status);
        }
        *ret_used = (size_t)(at - p);
        if (r < 0)
                return conn_refuse(c, 400, "malformed chunked body");
        return r == HTTP_CHUNKED_END ? dispatch(c) : STEP_AGAIN;
}

static enum step take_body(struct conn *c, const char *p, size_t n, size_t *ret_used)
{
        struct exchange *x = c->x;
        uint64_t left = x->head.content_length - (x->body_len + x->dropped);
        int status;

        if (x->head.chunked)
                return take_chunks(c, p, n, ret_used);
        n = MIN(n, left);
        *ret_used = n;
        status = take_bytes(x, p, n);
        if (status)
                return refuse_bytes(c, status);
        return n == left ? dispatch(c) : STEP_AGAIN;
}

/* Uses what it can of n > 0 bytes; at most to the end of one request. */
static enum step consume(struct conn *c, const char *p, size_t n, size_t *ret_used)
{
        size_t used = 0;
        enum step step = STEP_AGAIN;

        *ret_used = 0;
        if (c->state == CONN_HEAD) {
                if (!c->x) {
                        exchange_new(c);
                        c->timer_kind = TIMER_STALE;
                }
                step = take_head(c, p, n, ret_used);
                if (c->state != CONN_HEAD || !*ret_used)
                        return step;
                step = begin_request(c, n > *ret_used);
        }
        if (c->state == CONN_BODY && step == STEP_AGAIN && n > *ret_used) {
                step = take_body(c, p + *ret_used, n - *ret_used, &used);
                *ret_used += used;
        }
        return step;
}

static void keep_input(struct conn *c, const char *p, size_t n)
{
        char *in = NULL;

        if (p == c->in && n == c->in_len)
                return;
        if (n) {
                in = mem_alloc(n);
                memcpy(in, p, n);
        }
        free(c->in);
        c->in = in;
        c->in_len = n;
}

static void append_input(struct conn *c, const char *p, size_t n)
{
        c->in = mem_realloc(c->in, c->in_len + n, 1);
        memcpy(c->in + c->in_len, p, n);
        c->in_len += n;
}

enum step conn_receive(struct conn *c)
{
        const char *p = c->in;
        size_t n = c->in_len, used;
        enum step step;

        if (!n || c->in_seen) {
                p = c->loop->clear;
                switch (tls_recv(c, c->loop->clear, sizeof(c->loop->clear), &n)) {
                case IO_OK:
                        break;
                case IO_WAIT:
                        return STEP_WAIT;
                default:
                        return STEP_DEAD;
                }
                if (c->in_len) {
                        append_input(c, p, n);
                        p = c->in;
                        n = c->in_len;
                }
        }
        c->in_seen = false;
        step = consume(c, p, n, &used);
        keep_input(c, p + used, n - used);
        return step;
}
