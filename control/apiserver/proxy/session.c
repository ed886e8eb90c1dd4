/* SPDX-License-Identifier: Apache-2.0 */
/* From a connection to the head of its answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/proxy/session.h"
#include "base/mem.h"

struct session *session_ref(struct session *s)
{
        atomic_fetch_add(&s->refs, 1);
        return s;
}

void session_unref(struct session *s)
{
        if (atomic_fetch_sub(&s->refs, 1) != 1)
                return;
        pthread_mutex_destroy(&s->body.lock);
        strbuf_deinit(&s->body.data);
        strbuf_deinit(&s->out);
        strbuf_deinit(&s->in);
        strbuf_deinit(&s->error);
        strbuf_deinit(&s->to_client.held);
        strbuf_deinit(&s->to_backend.held);
        free(s->url);
        free(s->server_name);
        free(s->where);
        free(s);
}

struct posted {
        struct session *session;
        void (*fn)(struct session *s);
};

static void run_posted(void *userdata)
{
        struct posted *p = userdata;

        if (p->session->state != SESSION_OVER)
                p->fn(p->session);
        session_unref(p->session);
        free(p);
}

void session_post(struct session *s, void (*fn)(struct session *s))
{
        struct posted *p = mem_new(struct posted);

        *p = (struct posted){session_ref(s), fn};
        loop_post(proxy_loop(s->proxy), run_posted, p);
}

void session_end(struct session *s)
{
        if (s->state == SESSION_OVER)
                return;
        s->state = SESSION_OVER;
        loop_fd_free(TAKE_PTR(s->watch));
        loop_fd_free(TAKE_PTR(s->local_watch));
        loop_timer_free(TAKE_PTR(s->timer));
        backend_close(&s->backend);
        proxy_creds_unref(TAKE_PTR(s->creds));
        closep(&s->local);
        session_body_end(s, true);
        if (s->http)
                session_answer_error(s, "the connection was closed");
        proxy_forget(s);
        session_unref(s);
}

static enum session_step fail(struct session *s, const char *why)
{
        session_answer_error(s, why);
        return SESSION_END;
}

static enum session_step begin_sending(struct session *s)
{
        loop_timer_set(s->timer, PROXY_SEND_MS);
        s->state = SESSION_SEND;
        return SESSION_AGAIN;
}

static enum session_step begin_tls(struct session *s)
{
        struct err err = ERR_NULL;

        if (s->tls == PROXY_PLAIN)
                return begin_sending(s);
        s->creds = proxy_creds_get(s->proxy, s->tls, &err);
        if (!s->creds)
                return fail(s, err.msg);
        if (backend_secure(&s->backend, proxy_creds_use(s->creds),
                           proxy_creds_verify(s->creds) ? s->server_name : NULL))
                return fail(s, "tls: no session can be made");
        s->state = SESSION_HANDSHAKE;
        return SESSION_AGAIN;
}

/* Go's words: dial tcp 127.0.0.2:10250: connect: connection refused */
static enum session_step fail_dialing(struct session *s, const char *why)
{
        char text[sizeof(((struct err *)0)->msg) + 64];

        snprintf(text, sizeof(text), "dial tcp %s: %s", s->where, why);
        return fail(s, text);
}

static enum session_step step_connect(struct session *s)
{
        struct err err = ERR_NULL;

        if (backend_connected(&s->backend, &err))
                return fail_dialing(s, err.msg);
        return begin_tls(s);
}

static enum session_step step_handshake(struct session *s)
{
        struct err err = ERR_NULL;
        int r = backend_handshake(&s->backend, &err);

        if (r == -EAGAIN)
                return backend_wants_write(&s->backend) ? SESSION_WAIT_WRITE : SESSION_WAIT_READ;
        return r ? fail(s, err.msg) : begin_sending(s);
}

static enum session_step step_send(struct session *s)
{
        ssize_t n;

        if (s->out_off == s->out.len) {
                strbuf_deinit(&s->out);
                loop_timer_set(s->timer, PROXY_HEAD_MS);
                s->state = SESSION_HEAD;
                return SESSION_AGAIN;
        }
        n = backend_send(&s->backend, s->out.data + s->out_off, s->out.len - s->out_off);
        if (n == -EAGAIN || n == -EINTR)
                return SESSION_WAIT_WRITE;
        if (n < 0) { /* it may have answered and closed without waiting for all of it */
                s->out_off = s->out.len;
                return SESSION_AGAIN;
        }
        s->out_off += (size_t)n;
        loop_timer_set(s->timer, PROXY_SEND_MS);
        return SESSION_AGAIN;
}

/* What follows the head, by what it says. */
static enum session_step take_answer(struct session *s, const struct proxy_head *h, const char *rest, size_t n)
{
        bool bodiless = s->to_head || h->status == 204 || h->status == 304;

        loop_timer_cancel(s->timer);
        s->status = h->status;
        s->chunked = h->chunked;
        s->has_length = h->has_length || bodiless;
        s->left = bodiless ? 0 : h->length;
        s->collect = s->style == PROXY_LOG && (h->status < 200 || h->status > 299);
        if (h->status == 101) {
                strbuf_add(&s->to_client.held, rest, n);
                session_answer_head(s, h);
                return s->state == SESSION_CARRY ? SESSION_AGAIN : SESSION_END;
        }
        s->state = SESSION_BODY;
        if (s->collect)
                loop_timer_set(s->timer, PROXY_ERROR_MS);
        else
                session_answer_head(s, h);
        return session_body_take(s, rest, n);
}

static enum session_step take_head(struct session *s, size_t end)
{
        struct proxy_head h;
        struct arena *a = s->http->arena; /* headers of our answer point into it */
        size_t len = end - s->scan.start;
        char *text = arena_strndup(a, s->in.data + s->scan.start, len);
        _cleanup_strbuf_ struct strbuf in = TAKE(s->in, STRBUF_NULL);
        const char *why;

        s->scan = (struct http_scan){0};
        if (proxy_head_parse(text, len, a, &h, &why))
                return fail(s, arena_printf(a, "malformed HTTP response: %s", why));
        if (h.status < 200 && h.status != 101) { /* 100 Continue: the answer is still to come */
                strbuf_add(&s->in, in.data + end, in.len - end);
                return SESSION_AGAIN;
        }
        if (h.status == 101 && (!s->wants_upgrade || !h.upgrade))
                return fail(s, "it switched protocols unasked");
        return take_answer(s, &h, in.data + end, in.len - end);
}

static enum session_step step_head(struct session *s)
{
        ssize_t end = s->in.len ? http_head_scan(&s->scan, s->in.data, s->in.len) : 0, n;

        if (end < 0)
                return fail(s, "malformed HTTP response");
        if (end > 0)
                return take_head(s, (size_t)end);
        if (s->in.len > PROXY_HEAD_MAX)
                return fail(s, "the head of the answer is too long");
        n = backend_recv(&s->backend, strbuf_reserve(&s->in, BACKEND_READ), BACKEND_READ);
        if (n == -EAGAIN || n == -EINTR)
                return SESSION_WAIT_READ;
        if (n <= 0)
                return fail(s, n ? "read: connection reset by peer" : "EOF");
        s->in.len += (size_t)n;
        return SESSION_AGAIN;
}

static enum session_step step(struct session *s)
{
        switch (s->state) {
        case SESSION_CONNECT:
                return step_connect(s);
        case SESSION_HANDSHAKE:
                return step_handshake(s);
        case SESSION_SEND:
                return step_send(s);
        case SESSION_HEAD:
                return step_head(s);
        case SESSION_BODY:
                return session_body_step(s);
        case SESSION_CARRY:
                return session_carry_step(s);
        default:
                return SESSION_END;
        }
}

static void arm(struct session *s, enum session_step r)
{
        if (s->state == SESSION_CARRY)
                session_carry_arm(s);
        else
                loop_fd_set(s->watch, r == SESSION_WAIT_READ ? LOOP_READ : r == SESSION_WAIT_WRITE ? LOOP_WRITE : 0);
}

void session_drive(struct session *s)
{
        enum session_step r;
        int left = PROXY_STEPS;

        session_ref(s);
        do
                r = step(s);
        while (r == SESSION_AGAIN && --left);
        if (r == SESSION_END)
                session_end(s);
        else
                arm(s, r);
        if (r == SESSION_AGAIN)
                session_post(s, session_drive);
        session_unref(s);
}

static void on_event(void *userdata, unsigned int events)
{
        (void)events;
        session_drive(userdata);
}

static void on_timer(void *userdata)
{
        struct session *s = userdata;

        if (s->state == SESSION_SEND)
                session_answer_error(s, "timed out sending the request");
        else if (s->state == SESSION_HEAD)
                session_answer_error(s, "timed out waiting for the answer");
        else if (s->state == SESSION_BODY)
                session_answer_refusal(s);
        else
                fail_dialing(s, "i/o timeout");
        session_end(s);
}

void session_begin(struct session *s)
{
        struct err err = ERR_NULL;
        int r = backend_open(&s->backend, &s->address, &err);

        if (!r)
                r = loop_timer_new(proxy_loop(s->proxy), on_timer, s, &s->timer);
        if (!r)
                r = loop_fd_new(proxy_loop(s->proxy), s->backend.fd, LOOP_WRITE, on_event, s, &s->watch);
        if (r) {
                fail_dialing(s, *err.msg ? err.msg : strerror(-r));
                session_end(s);
                return;
        }
        loop_timer_set(s->timer, PROXY_CONNECT_MS);
}
