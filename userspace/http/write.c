/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that are there as a whole: head and body in as few records as they fit in. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http/internal.h"

enum step conn_answered(struct conn *c)
{
        bool keep = c->x->keep && !c->loop->draining && !c->eof;

        response_release(&c->x->res);
        exchange_done(c->x);
        exchange_free(TAKE_PTR(c->x));
        if (keep) {
                conn_set_state(c, CONN_HEAD);
                return STEP_AGAIN;
        }
        tls_bye(c);
        if (c->eof || shutdown(c->fd, SHUT_WR) < 0)
                return STEP_DEAD;
        free(TAKE_PTR(c->in));
        c->in_len = 0;
        tls_discard(c);
        c->readable = true;
        conn_set_state(c, CONN_LINGER);
        return STEP_AGAIN;
}

/* Fills buf from the body. */
static size_t gather(struct exchange *x, char *buf, size_t max)
{
        const char *p;
        size_t n, used = 0;

        while (used < max && x->pos < x->total && (n = response_span(x, &p)) > 0) {
                n = MIN(n, max - used);
                memcpy(buf + used, p, n);
                response_skip(x, n);
                used += n;
        }
        return used;
}

/* The next record. Returns its length and where it is: in buf, or in the body itself. */
static size_t next_record(struct exchange *x, char *buf, const char **ret)
{
        size_t n = 0, body = 0;

        *ret = buf;
        if (!x->head_out)
                n = response_head(x, buf);
        if (x->framing == FRAME_NONE) {
                x->ended = true;
        } else if (x->gzip) {
                body = gzip_next(x, buf + n, RECORD_SIZE - n, &x->ended);
        } else {
                if (x->head_out && response_span(x, ret) >= RECORD_SIZE) {
                        body = RECORD_SIZE;
                        response_skip(x, body);
                } else {
                        *ret = buf;
                        body = gather(x, buf + n, RECORD_SIZE - n);
                }
                x->ended = x->pos == x->total;
        }
        x->head_out = true;
        x->wire += body;
        return n + body;
}

enum step conn_write(struct conn *c)
{
        struct exchange *x = c->x;
        const char *record;
        size_t n;

        if (tls_pending(c))
                return STEP_WAIT;
        if (x->ended)
                return conn_answered(c);
        n = next_record(x, c->loop->scratch, &record);
        if (!n && !x->gzip)
                return STEP_DEAD; /* the parts are shorter than was announced: only the end of the connection tells */
        return n && tls_send(c, record, n) == IO_DEAD ? STEP_DEAD : STEP_AGAIN;
}
