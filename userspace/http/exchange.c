/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/internal.h"
#include "base/clock.h"
#include "base/mem.h"

#define BODY_FIRST 4096

static void completed(struct http_task *t)
{
        struct exchange *x = container_of(t, struct exchange, task);
        struct conn *c = x->conn;

        if (c->gone) {
                c->state = CONN_WRITING;
                conn_destroy(c);
                return;
        }
        exchange_respond(x);
        conn_drive(c);
}

struct exchange *exchange_new(struct conn *c)
{
        struct exchange *x = mem_new(struct exchange);

        x->conn = c;
        x->server = c->loop->server;
        x->task.run = completed;
        x->req = (struct http_request){
                .method = "",
                .path = "",
                .query = "",
                .body = "",
                .peer = &c->peer,
                .arena = &x->arena,
                .start_ns = clock_mono_ns(),
        };
        c->x = x;
        return x;
}

static struct exchange *exchange_of(const struct http_request *req)
{
        return container_of((struct http_request *)req, struct exchange, req);
}

void http_later(const struct http_request *req)
{
        struct exchange *x = exchange_of(req);

        x->later = true;
        atomic_fetch_add(&x->server->later, 1);
}

bool exchange_answered(struct exchange *x)
{
        return !x->later || atomic_exchange(&x->halfway, true);
}

void http_answer(const struct http_request *req, const struct http_response *res)
{
        struct exchange *x = exchange_of(req);
        struct http_server *s = x->server;

        x->res = *res;
        if (atomic_exchange(&x->halfway, true))
                http_loop_post(x->conn->loop, &x->task);
        atomic_fetch_sub(&s->later, 1);
}

int exchange_reserve(struct exchange *x, size_t n)
{
        struct http_server *s = x->server;
        size_t need = x->body_len + n, cap, more;
        char *body;

        if (need > s->config.max_body)
                return 413;
        if (need < x->body_cap)
                return 0;
        cap = MAX(need, MAX(x->body_cap * 2, (size_t)BODY_FIRST));
        cap = MIN(cap, x->head.chunked ? s->config.max_body : (size_t)x->head.content_length) + 1;
        more = cap - x->body_cap;
        if (atomic_fetch_add(&s->body_bytes, more) + more > s->config.max_body_total ||
            !(body = realloc(x->body, cap))) {
                atomic_fetch_sub(&s->body_bytes, more);
                return 429;
        }
        x->body = body;
        x->body_cap = cap;
        return 0;
}

static void free_body(struct exchange *x)
{
        free(TAKE_PTR(x->body));
        atomic_fetch_sub(&x->server->body_bytes, x->body_cap);
        x->body_cap = 0;
}

static bool has_header(const struct http_response *res, const char *name)
{
        size_t i;

        for (i = 0; i < res->nheaders; i++)
                if (!strcasecmp(res->headers[i].name, name))
                        return true;
        return false;
}

/* Clients of Kubernetes wait for that many seconds and try again. */
static void add_retry_after(struct exchange *x)
{
        struct http_response *res = &x->res;
        struct http_header *h;

        if (has_header(res, "Retry-After"))
                return;
        h = arena_array(&x->arena, struct http_header, res->nheaders + 1);
        if (res->nheaders)
                memcpy(h, res->headers, res->nheaders * sizeof(*h));
        h[res->nheaders++] = (struct http_header){"Retry-After", "1"};
        res->headers = h;
}

void exchange_error(struct exchange *x, int status, const char *message)
{
        struct http_app *app = &x->server->app;
        bool close = x->res.close;

        response_release(&x->res);
        x->res = (struct http_response){.close = close};
        app->error(app->userdata, status, message, &x->res);
        x->res.status = status;
        if (status == 429)
                add_retry_after(x);
}

static bool wants_gzip(const struct exchange *x)
{
        const struct http_response *res = &x->res;

        return res->gzip_ok && x->head.accept_gzip && !x->head.http_1_0 && x->framing == FRAME_LENGTH &&
               x->total >= GZIP_MIN && x->conn->loop->ngzip < GZIP_PER_LOOP;
}

static enum framing framing_of(const struct exchange *x)
{
        const struct http_response *res = &x->res;

        if (!strcmp(x->req.method, "HEAD") || res->status == 101 || res->status == 204 || res->status == 304)
                return FRAME_NONE;
        if (res->kind != HTTP_BODY_SOURCE)
                return FRAME_LENGTH;
        return x->head.http_1_0 ? FRAME_CLOSE : FRAME_CHUNKED;
}

void exchange_respond(struct exchange *x)
{
        struct conn *c = x->conn;
        struct http_response *res = &x->res;

        if (res->kind == HTTP_BODY_UPGRADE && x->head.http_1_0)
                exchange_error(x, 400, "HTTP/1.0 has no upgrades");
        if (!res->status) /* no worker began with it before the server stopped */
                exchange_error(x, 503, "the server is shutting down");
        /* For a stream, the request's body has had its use; for the rest it is a matter of microseconds. */
        if (res->kind == HTTP_BODY_SOURCE || res->kind == HTTP_BODY_UPGRADE) {
                free_body(x);
                x->req.body = "";
                x->req.body_len = 0;
        }
        x->framing = framing_of(x);
        x->total = response_len(res);
        x->keep = !res->close && !x->head.close && !c->loop->draining && x->framing != FRAME_CLOSE;
        if (wants_gzip(x) && gzip_new(&x->gzip) == 0) {
                x->framing = FRAME_CHUNKED;
                c->loop->ngzip++;
        }
        if (res->kind == HTTP_BODY_SOURCE && x->framing != FRAME_NONE) {
                stream_start(x);
                conn_set_state(c, CONN_STREAMING);
                return;
        }
        if (res->kind == HTTP_BODY_UPGRADE) {
                relay_start(x);
                conn_set_state(c, CONN_RELAYING);
                return;
        }
        conn_set_state(c, CONN_WRITING);
}

void exchange_done(struct exchange *x)
{
        struct http_app *app = &x->server->app;

        if (x->done || !app->done)
                return;
        x->done = true;
        app->done(app->userdata, &x->req, x->res.status, x->wire, clock_mono_ns() - x->req.start_ns);
}

void exchange_free(struct exchange *x)
{
        if (x->gzip) {
                gzip_free(TAKE_PTR(x->gzip));
                x->conn->loop->ngzip--;
        }
        free_body(x);
        arena_deinit(&x->arena);
        x->conn = NULL;
        if (atomic_load(&x->stream.queued)) {
                x->stream.orphan = true; /* the loop still has it in its list of tasks */
                return;
        }
        free(x);
}
