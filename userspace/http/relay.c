/* SPDX-License-Identifier: Apache-2.0 */
/* After 101: bytes both ways between the client and a descriptor of the application, without a look at them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/internal.h"

static void watch(struct conn *c, int op, uint32_t events)
{
        struct epoll_event ev = {.events = events, .data.u64 = (uintptr_t)c | 1};

        epoll_ctl(c->loop->epoll_fd, op, c->relay->fd, &ev);
        c->relay->armed = events;
        c->relay->watched = op != EPOLL_CTL_DEL;
}

void relay_start(struct exchange *x)
{
        struct conn *c = x->conn;
        struct relay *r = mem_new(struct relay);

        *r = (struct relay){.fd = TAKE_FD(x->res.upgrade.fd), .readable = true};
        c->relay = r;
        watch(c, EPOLL_CTL_ADD, 0);
        if (c->loop->draining)
                relay_stop(c);
}

void relay_free(struct conn *c)
{
        if (!c->relay)
                return;
        if (c->relay->watched)
                watch(c, EPOLL_CTL_DEL, 0); /* a child of the application may hold it open */
        close(c->relay->fd);
        free(TAKE_PTR(c->relay));
}

void relay_stop(struct conn *c)
{
        struct relay *r = c->relay;

        shutdown(r->fd, SHUT_RDWR);
        r->deaf = r->told = r->readable = true;
}

/* The peer closed (always told, wanted or not): what it said before is still to be read. */
void relay_event(struct conn *c, uint32_t events)
{
        c->relay->readable = true;
        if (events & (EPOLLHUP | EPOLLERR))
                watch(c, EPOLL_CTL_DEL, 0);
        conn_drive(c);
}

void relay_arm(struct conn *c)
{
        struct relay *r = c->relay;
        uint32_t events = (r->ended || r->readable || tls_pending(c) ? 0 : EPOLLIN) | (c->in_len ? EPOLLOUT : 0);

        if (r->watched && r->armed != events)
                watch(c, EPOLL_CTL_MOD, events);
}

/* How much of n bytes fd takes. */
static size_t give(struct relay *r, const char *p, size_t n)
{
        ssize_t k = r->deaf ? (ssize_t)n : send(r->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (k >= 0)
                return (size_t)k;
        if (errno == EAGAIN || errno == EINTR)
                return 0;
        r->deaf = true;
        return n;
}

static enum step give_kept(struct conn *c)
{
        struct relay *r = c->relay;
        size_t n = give(r, c->in + r->in_off, c->in_len - r->in_off);

        r->in_off += n;
        if (r->in_off < c->in_len)
                return n ? STEP_AGAIN : STEP_WAIT;
        free(TAKE_PTR(c->in));
        c->in_len = r->in_off = 0;
        return STEP_AGAIN;
}

static enum step give_fresh(struct conn *c, size_t n)
{
        size_t taken = give(c->relay, c->loop->clear, n);

        if (taken < n) {
                c->in_len = n - taken;
                c->in = mem_alloc(c->in_len);
                memcpy(c->in, c->loop->clear + taken, c->in_len);
        }
        return STEP_AGAIN;
}

static enum step from_client(struct conn *c)
{
        size_t n;

        if (c->in_len)
                return give_kept(c);
        if (c->eof) {
                if (!c->relay->told)
                        shutdown(c->relay->fd, SHUT_WR);
                c->relay->told = true;
                return STEP_WAIT;
        }
        if (!conn_has_input(c))
                return STEP_WAIT;
        switch (tls_recv(c, c->loop->clear, sizeof(c->loop->clear), &n)) {
        case IO_OK:
                return give_fresh(c, n);
        case IO_WAIT:
                return STEP_WAIT;
        case IO_EOF:
                c->eof = true;
                return STEP_AGAIN;
        default:
                return STEP_DEAD;
        }
}

static enum step to_client(struct conn *c)
{
        struct relay *r = c->relay;
        char *buf = c->loop->scratch;
        ssize_t n;

        if (tls_pending(c) || !r->readable || r->ended)
                return STEP_WAIT;
        n = recv(r->fd, buf, RECORD_SIZE, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
                return STEP_AGAIN;
        if (n < 0 && errno == EAGAIN) {
                r->readable = false;
                r->ended = !r->watched; /* nobody would tell of more */
                return STEP_WAIT;
        }
        if (n <= 0) {
                r->ended = true;
                return STEP_AGAIN;
        }
        /* A short read emptied it; epoll (level-triggered) tells when there is more, or the end. */
        r->readable = n == RECORD_SIZE || !r->watched;
        c->x->wire += (size_t)n;
        return tls_send(c, buf, (size_t)n) == IO_DEAD ? STEP_DEAD : STEP_AGAIN;
}

static enum step send_head(struct conn *c)
{
        size_t n = response_head(c->x, c->loop->scratch);

        c->x->head_out = true;
        return tls_send(c, c->loop->scratch, n) == IO_DEAD ? STEP_DEAD : STEP_AGAIN;
}

/* The application will neither say nor hear any more, or one has ended and so has the other. */
static bool is_over(const struct conn *c)
{
        const struct relay *r = c->relay;

        return r->ended && !tls_pending(c) && c->bye && (r->told || !r->watched);
}

enum step conn_relay(struct conn *c)
{
        enum step in, out;

        if (!c->x->head_out)
                return send_head(c);
        in = from_client(c);
        if (in == STEP_DEAD)
                return STEP_DEAD;
        out = to_client(c);
        if (out == STEP_DEAD)
                return STEP_DEAD;
        if (c->relay->ended && !tls_pending(c) && tls_bye(c) == IO_DEAD)
                return STEP_DEAD;
        if (is_over(c)) {
                relay_free(c);
                c->in_len = 0;
                return conn_answered(c);
        }
        return in == STEP_AGAIN || out == STEP_AGAIN ? STEP_AGAIN : STEP_WAIT;
}
