/* SPDX-License-Identifier: Apache-2.0 */
/* Answers without a known end: what the source has now goes out as one chunk, then the connection waits for a wake. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/internal.h"
#include "base/mem.h"

#define SIZE_LINE 8 /* room in front of a chunk */

static void stream_run(struct http_task *t)
{
        struct exchange *x = container_of(t, struct exchange, stream.task);

        atomic_store(&x->stream.queued, false);
        if (x->stream.orphan)
                free(x);
        else
                conn_drive(x->conn);
}

void http_stream_wake(struct http_stream *stream)
{
        if (!atomic_load(&stream->queued) && !atomic_exchange(&stream->queued, true))
                http_loop_post(stream->loop, &stream->task);
}

void stream_start(struct exchange *x)
{
        struct http_source *source = x->res.source;

        x->stream.loop = x->conn->loop;
        x->stream.task.run = stream_run;
        source->start(source, &x->stream);
}

/* A client that goes away is noticed; one that says more than fits is cut off. */
static enum step listen_to(struct conn *c)
{
        size_t n;

        switch (tls_recv(c, c->loop->clear, sizeof(c->loop->clear), &n)) {
        case IO_OK:
                break;
        case IO_WAIT:
                return STEP_WAIT;
        default:
                return STEP_DEAD;
        }
        if (c->in_len + n > STREAM_INPUT_MAX)
                return STEP_DEAD;
        c->in = mem_realloc(c->in, c->in_len + n, 1);
        memcpy(c->in + c->in_len, c->loop->clear, n);
        c->in_len += n;
        return STEP_AGAIN;
}

static enum step send_chunk(struct conn *c, char *data, size_t n)
{
        char line[SIZE_LINE + 1];
        int k;

        c->x->wire += n;
        if (c->x->framing == FRAME_CHUNKED) {
                k = snprintf(line, sizeof(line), "%zx\r\n", n);
                memcpy(data + n, "\r\n", 2);
                data -= k;
                memcpy(data, line, (size_t)k);
                n += (size_t)k + 2;
        }
        return tls_send(c, data, n) == IO_DEAD ? STEP_DEAD : STEP_AGAIN;
}

static enum step end_stream(struct conn *c)
{
        struct exchange *x = c->x;

        response_release(&x->res);
        x->ended = true;
        if (x->framing == FRAME_CHUNKED && tls_send(c, "0\r\n\r\n", 5) == IO_DEAD)
                return STEP_DEAD;
        return STEP_AGAIN;
}

enum step conn_stream(struct conn *c)
{
        struct exchange *x = c->x;
        char *buf = c->loop->scratch + SIZE_LINE;
        enum step step;
        ssize_t n;

        if (conn_has_input(c)) {
                step = listen_to(c);
                if (step != STEP_WAIT)
                        return step;
        }
        if (tls_pending(c))
                return STEP_WAIT;
        if (x->ended)
                return conn_answered(c);
        if (!x->head_out) {
                x->head_out = true;
                n = (ssize_t)response_head(x, buf);
                return tls_send(c, buf, (size_t)n) == IO_DEAD ? STEP_DEAD : STEP_AGAIN;
        }
        n = c->loop->draining ? -1 : x->res.source->read(x->res.source, buf, RECORD_SIZE);
        if (n == HTTP_SOURCE_BROKEN)
                return STEP_DEAD;
        if (n < 0)
                return end_stream(c);
        return n ? send_chunk(c, buf, (size_t)n) : STEP_WAIT;
}
