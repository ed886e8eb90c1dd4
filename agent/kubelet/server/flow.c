/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/kubelet/server/flow.h"

#define PIECE 32768
#define TURN  8 /* pieces, until others have theirs */

static void unblock(int fd)
{
        int flags = fcntl(fd, F_GETFL);

        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static void pump_over(struct pump *p)
{
        pump_close(p);
        p->over(p->userdata);
}

/* One piece. false: that was all for now. A terminal whose last process has gone is an error, EIO. */
static bool pump_piece(struct pump *p)
{
        size_t room = p->discard ? PIECE : MIN(link_room(p->link, p->stream), PIECE);
        char buf[PIECE];
        ssize_t n;

        if (!room) {
                p->blocked = true;
                loop_fd_set(p->watch, 0);
                return false;
        }
        n = read(p->fd, buf, room);
        if (n > 0 && !p->discard)
                link_send(p->link, p->stream, buf, (size_t)n);
        if (n > 0 || (n < 0 && errno == EINTR))
                return true;
        if (n == 0 || errno != EAGAIN || p->last)
                pump_over(p);
        return false;
}

static void pump_run(void *userdata, unsigned int events)
{
        struct pump *p = userdata;
        int left = TURN;

        while (p->fd >= 0 && left-- && pump_piece(p))
                ;
}

int pump_open(struct pump *p, struct loop *loop, int fd, void (*over)(void *userdata), void *userdata)
{
        p->fd = fd;
        p->over = over;
        p->userdata = userdata;
        unblock(fd);
        return loop_fd_new(loop, fd, LOOP_READ, pump_run, p, &p->watch);
}

void pump_resume(struct pump *p)
{
        if (p->fd < 0 || !p->blocked)
                return;
        p->blocked = false;
        loop_fd_set(p->watch, LOOP_READ);
        if (p->last)
                pump_last(p);
}

void pump_last(struct pump *p)
{
        p->last = true;
        while (p->fd >= 0 && !p->blocked && pump_piece(p))
                ;
}

void pump_close(struct pump *p)
{
        loop_fd_free(TAKE_PTR(p->watch));
        if (p->fd >= 0)
                close(TAKE_FD(p->fd));
}

static size_t waiting(const struct sink *s)
{
        return s->pending.len - s->at;
}

static void throttle(struct sink *s)
{
        bool full = !s->dead && waiting(s) > (s->paused ? SINK_PENDING_MAX / 2 : SINK_PENDING_MAX);

        if (full == s->paused)
                return;
        s->paused = full;
        if (full)
                link_pause(s->link);
        else
                link_resume(s->link);
}

/* Nobody reads there any more: what comes is dropped. */
static void die(struct sink *s)
{
        loop_fd_free(TAKE_PTR(s->watch));
        if (s->fd >= 0) {
                shutdown(s->fd, SHUT_WR); /* of a socket, whose other half may be open elsewhere */
                close(TAKE_FD(s->fd));
        }
        s->dead = true;
        s->at = 0;
        strbuf_deinit(&s->pending);
        throttle(s);
}

static void sink_run(void *userdata, unsigned int events)
{
        struct sink *s = userdata;

        while (waiting(s)) {
                ssize_t n = write(s->fd, s->pending.data + s->at, waiting(s));

                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0 && errno != EINTR) {
                        die(s);
                        return;
                }
                s->at += n > 0 ? (size_t)n : 0;
        }
        if (!waiting(s)) {
                s->at = 0;
                strbuf_deinit(&s->pending);
        }
        if (!waiting(s) && s->ending) {
                die(s);
                return;
        }
        loop_fd_set(s->watch, waiting(s) ? LOOP_WRITE : 0);
        throttle(s);
}

int sink_open(struct sink *s, struct loop *loop, int fd)
{
        int r;

        s->fd = fd;
        unblock(fd);
        r = loop_fd_new(loop, fd, 0, sink_run, s, &s->watch);
        if (!r)
                sink_run(s, LOOP_WRITE);
        return r;
}

void sink_write(struct sink *s, const char *data, size_t n)
{
        if (s->dead || s->ending)
                return;
        if (s->fd >= 0 && !waiting(s)) {
                ssize_t w = write(s->fd, data, n);

                if (w < 0 && errno != EAGAIN && errno != EINTR) {
                        die(s);
                        return;
                }
                data += MAX(w, 0);
                n -= (size_t)MAX(w, 0);
        }
        if (!n)
                return;
        if (s->at > SINK_PENDING_MAX) {
                memmove(s->pending.data, s->pending.data + s->at, waiting(s));
                s->pending.len -= TAKE(s->at, 0);
        }
        strbuf_add(&s->pending, data, n);
        if (s->watch)
                loop_fd_set(s->watch, LOOP_WRITE);
        throttle(s);
}

void sink_end(struct sink *s)
{
        s->ending = true;
        if (s->fd >= 0 && !waiting(s))
                die(s);
}

void sink_close(struct sink *s)
{
        if (!s->dead)
                die(s);
}
