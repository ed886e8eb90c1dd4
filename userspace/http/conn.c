/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/internal.h"
#include "base/mem.h"
#include "base/str.h"

#define GZIP_STEP_COST 8 /* a slice of compressing is as long as that many records */

static void conn_free(struct conn *c)
{
        list_del(&c->all);
        list_del(&c->timer);
        list_del(&c->turn);
        relay_free(c);
        tls_end(c);
        /* close alone does not take it out of the epoll set while a process that is just being spawned has it, too. */
        epoll_ctl(c->loop->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
        close(c->fd);
        c->fd = -1;
        c->loop->nconns--;
        atomic_fetch_sub(&c->loop->server->conns, 1);
        free(c->in);
        free(c->peer_data);
        list_append(&c->loop->dead, &c->all);
}

void conn_bury(struct http_loop *l)
{
        while (!list_empty(&l->dead)) {
                struct conn *c = container_of(l->dead.next, struct conn, all);

                list_del(&c->all);
                free(c);
        }
}

bool conn_has_input(const struct conn *c)
{
        const struct http_loop *l = c->loop;

        return c->readable || c->raw || (l->raw_owner == c && l->raw_off < l->raw_len) ||
               gnutls_record_check_pending(c->session);
}

void conn_new(struct http_loop *l, int fd, const char *address)
{
        struct epoll_event ev = {.events = EPOLLIN};
        struct conn *c = mem_new(struct conn);

        *c = (struct conn){.loop = l, .fd = fd, .armed = EPOLLIN, .timer_kind = TIMER_NONE};
        list_init(&c->all);
        list_init(&c->timer);
        list_init(&c->turn);
        list_append(&l->conns, &c->all);
        l->nconns++;
        str_copy(c->address, sizeof(c->address), address);
        c->peer.address = c->address;
        ev.data.ptr = c;
        if (l->draining || tls_start(c) < 0 || epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
                conn_free(c);
                return;
        }
        http_loop_timer(c, TIMER_HANDSHAKE);
}

void conn_destroy(struct conn *c)
{
        if (c->state == CONN_WORKING) {
                c->gone = true;
                epoll_ctl(c->loop->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
                list_del(&c->timer);
                list_del(&c->turn);
                tls_stash(c);
                return;
        }
        if (c->x) {
                response_release(&c->x->res);
                exchange_done(c->x);
                exchange_free(c->x);
        }
        conn_free(c);
}

static enum step step_handshake(struct conn *c)
{
        switch (tls_handshake(c)) {
        case IO_OK:
                peer_read(c);
                conn_set_state(c, CONN_HEAD);
                return STEP_AGAIN;
        case IO_WAIT:
                return STEP_WAIT;
        default:
                atomic_fetch_add(&c->loop->server->tls_failures, 1);
                return STEP_DEAD;
        }
}

static enum step step_working(struct conn *c)
{
        return STEP_WAIT;
}

/* What still comes is not even decrypted. */
static enum step step_linger(struct conn *c)
{
        ssize_t r;

        if (!c->readable)
                return STEP_WAIT;
        r = recv(c->fd, c->loop->raw, RAW_SIZE, MSG_DONTWAIT);
        if (r > 0)
                return STEP_AGAIN;
        c->readable = false;
        return r < 0 && (errno == EAGAIN || errno == EINTR) ? STEP_WAIT : STEP_DEAD;
}

static enum step conn_step(struct conn *c)
{
        static enum step (*const steps[])(struct conn *) = {
                [CONN_HANDSHAKE] = step_handshake, [CONN_HEAD] = conn_receive,   [CONN_BODY] = conn_receive,
                [CONN_WORKING] = step_working,     [CONN_WRITING] = conn_write,  [CONN_STREAMING] = conn_stream,
                [CONN_LINGER] = step_linger,       [CONN_RELAYING] = conn_relay,
        };

        if (tls_pending(c) && tls_flush(c) == IO_DEAD)
                return STEP_DEAD;
        return steps[c->state](c);
}

static uint32_t wanted_events(const struct conn *c)
{
        bool bye = c->relay && c->relay->ended && !c->bye;
        uint32_t out = tls_pending(c) || c->handshake_out || bye ? EPOLLOUT : 0;

        switch (c->state) {
        case CONN_WORKING:
        case CONN_WRITING:
                /* A client rarely says more before it is answered: not worth a system call for each request. */
                return (c->readable ? 0 : EPOLLIN) | out;
        case CONN_HANDSHAKE:
                return out ? out : EPOLLIN;
        case CONN_RELAYING: /* what fd does not take stays where it is, in the end with the client */
                return (c->in_len || c->eof || c->readable ? 0 : EPOLLIN) | out;
        default:
                return EPOLLIN | out;
        }
}

static enum timer_kind wanted_timer(const struct conn *c)
{
        static const enum timer_kind kinds[] = {
                [CONN_HANDSHAKE] = TIMER_HANDSHAKE, [CONN_HEAD] = TIMER_IDLE,     [CONN_BODY] = TIMER_BODY,
                [CONN_WORKING] = TIMER_NONE,        [CONN_WRITING] = TIMER_NONE,  [CONN_STREAMING] = TIMER_NONE,
                [CONN_LINGER] = TIMER_LINGER,       [CONN_RELAYING] = TIMER_NONE,
        };

        if (c->state == CONN_HEAD && c->x)
                return TIMER_HEAD;
        if (tls_pending(c) && (c->state == CONN_WRITING || c->state == CONN_STREAMING))
                return TIMER_WRITE;
        return kinds[c->state];
}

static void set_timer(struct conn *c)
{
        enum timer_kind kind = wanted_timer(c);

        if (kind != c->timer_kind || (kind == TIMER_WRITE && c->progress))
                http_loop_timer(c, kind);
        c->progress = false;
}

void conn_set_state(struct conn *c, enum conn_state state)
{
        c->state = state;
        c->timer_kind = TIMER_STALE;
}

void conn_drive(struct conn *c)
{
        enum step step;
        int left = STEPS;

        do {
                left -= c->x && c->x->gzip ? GZIP_STEP_COST : 1;
                step = conn_step(c);
        } while (step == STEP_AGAIN && left > 0);
        if (step == STEP_DEAD) {
                conn_destroy(c);
                return;
        }
        tls_stash(c);
        list_del(&c->turn);
        if (step == STEP_AGAIN)
                list_append(&c->loop->turn, &c->turn);
        set_timer(c);
        http_loop_arm(c, wanted_events(c));
        if (c->relay)
                relay_arm(c);
}

void conn_event(struct conn *c, uint32_t events)
{
        if (events & (EPOLLERR | EPOLLHUP)) {
                conn_destroy(c);
                return;
        }
        if (events & EPOLLIN)
                c->readable = true;
        conn_drive(c);
}

void conn_expired(struct conn *c)
{
        if (c->state == CONN_BODY || (c->state == CONN_HEAD && c->x)) {
                conn_refuse(c, 408, "the request took too long to arrive");
                conn_drive(c);
                return;
        }
        if (c->state == CONN_HANDSHAKE)
                atomic_fetch_add(&c->loop->server->tls_failures, 1);
        if (c->state == CONN_HEAD)
                gnutls_bye(c->session, GNUTLS_SHUT_WR);
        conn_destroy(c);
}

void conn_drain(struct conn *c)
{
        switch (c->state) {
        case CONN_HEAD:
                gnutls_bye(c->session, GNUTLS_SHUT_WR);
                conn_destroy(c);
                break;
        case CONN_HANDSHAKE:
                conn_destroy(c);
                break;
        case CONN_STREAMING:
                conn_drive(c);
                break;
        case CONN_RELAYING:
                relay_stop(c);
                conn_drive(c);
                break;
        default:
                break;
        }
}
