/* SPDX-License-Identifier: Apache-2.0 */
/* The body of an answer: read here, sent by the HTTP server at its client's pace, with a bounded buffer in between. */
#include <errno.h>
#include <string.h>

#include "apiserver/proxy/session.h"

static struct session *session_of(struct http_source *source)
{
        return container_of(source, struct session, source);
}

/* ---- the reader's side, on a loop of the HTTP server ---- */

static void source_start(struct http_source *source, struct http_stream *stream)
{
        struct session_body *b = &session_of(source)->body;

        pthread_mutex_lock(&b->lock);
        b->stream = stream;
        pthread_mutex_unlock(&b->lock);
}

static size_t take_out(struct session_body *b, char *buf, size_t max)
{
        size_t n = MIN(max, b->data.len - b->off);

        if (n)
                memcpy(buf, b->data.data + b->off, n);
        b->off += n;
        if (b->off == b->data.len) {
                strbuf_deinit(&b->data);
                b->off = 0;
        }
        return n;
}

static ssize_t source_read(struct http_source *source, char *buf, size_t max)
{
        struct session *s = session_of(source);
        struct session_body *b = &s->body;
        bool resume;
        ssize_t n;

        pthread_mutex_lock(&b->lock);
        n = (ssize_t)take_out(b, buf, max);
        resume = b->paused && b->data.len - b->off <= PROXY_BUFFER_MAX / 2;
        if (resume)
                b->paused = false;
        if (!n && b->ended)
                n = b->broken ? HTTP_SOURCE_BROKEN : -1;
        pthread_mutex_unlock(&b->lock);
        if (resume)
                session_post(s, session_drive);
        return n;
}

static void source_close(struct http_source *source)
{
        struct session *s = session_of(source);

        pthread_mutex_lock(&s->body.lock);
        s->body.closed = true;
        s->body.stream = NULL;
        pthread_mutex_unlock(&s->body.lock);
        session_post(s, session_end);
        session_unref(s);
}

void session_body_init(struct session *s)
{
        pthread_mutex_init(&s->body.lock, NULL);
        s->source = (struct http_source){source_start, source_read, source_close};
}

/* ---- the proxy's side ---- */

void session_body_end(struct session *s, bool broken)
{
        struct session_body *b = &s->body;

        pthread_mutex_lock(&b->lock);
        if (!b->ended) {
                b->ended = true;
                b->broken = broken;
        }
        if (b->stream)
                http_stream_wake(b->stream);
        pthread_mutex_unlock(&b->lock);
}

static void put(struct session *s, const char *p, size_t n)
{
        struct session_body *b = &s->body;

        if (s->collect) {
                strbuf_add(&s->error, p, MIN(n, PROXY_ERROR_MAX - s->error.len));
                return;
        }
        pthread_mutex_lock(&b->lock);
        if (!b->closed)
                strbuf_add(&b->data, p, n);
        b->paused = b->data.len - b->off > PROXY_BUFFER_MAX;
        if (b->stream)
                http_stream_wake(b->stream);
        pthread_mutex_unlock(&b->lock);
}

/* All of it is there. */
static enum session_step finish(struct session *s)
{
        session_body_end(s, false);
        if (s->collect)
                session_answer_refusal(s);
        return SESSION_END;
}

static enum session_step broken(struct session *s)
{
        session_body_end(s, true);
        if (s->collect)
                session_answer_refusal(s);
        return SESSION_END;
}

static enum session_step take_chunks(struct session *s, const char *p, size_t n)
{
        const char *end = p + n, *data;
        size_t len;
        int r;

        while ((r = http_chunked_next(&s->decoder, &p, end, &data, &len)) == HTTP_CHUNKED_DATA)
                put(s, data, len);
        if (r < 0)
                return broken(s);
        return r == HTTP_CHUNKED_END ? finish(s) : SESSION_AGAIN;
}

enum session_step session_body_take(struct session *s, const char *p, size_t n)
{
        if (s->chunked)
                return take_chunks(s, p, n);
        if (s->has_length)
                n = MIN(n, s->left);
        if (n)
                put(s, p, n);
        if (!s->has_length)
                return SESSION_AGAIN;
        s->left -= n;
        return s->left ? SESSION_AGAIN : finish(s);
}

static bool is_paused(struct session *s)
{
        bool paused;

        pthread_mutex_lock(&s->body.lock);
        paused = s->body.paused;
        pthread_mutex_unlock(&s->body.lock);
        return paused;
}

enum session_step session_body_step(struct session *s)
{
        char *buf = proxy_scratch(s->proxy);
        ssize_t n;

        if (is_paused(s))
                return SESSION_PAUSE;
        n = backend_recv(&s->backend, buf, BACKEND_READ);
        if (n == -EAGAIN || n == -EINTR)
                return SESSION_WAIT_READ;
        if (n > 0)
                return session_body_take(s, buf, (size_t)n);
        /* Without a length, the end of the connection is the end of the body. */
        return n == 0 && !s->chunked && !s->has_length ? finish(s) : broken(s);
}
