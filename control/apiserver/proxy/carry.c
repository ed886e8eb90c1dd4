/* SPDX-License-Identifier: Apache-2.0 */
/* A connection that was upgraded: bytes both ways between the other side and the HTTP server, which has the other end
 * of a pair of sockets. Nothing is understood, and little is held: who is not read from waits. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "apiserver/proxy/session.h"

static void on_local(void *userdata, unsigned int events)
{
        (void)events;
        session_drive(userdata);
}

int session_carry_begin(struct session *s, int *ret)
{
        int fds[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return -errno;
        r = loop_fd_new(proxy_loop(s->proxy), fds[1], LOOP_READ, on_local, s, &s->local_watch);
        if (r) {
                closep(&fds[0]);
                closep(&fds[1]);
                return r;
        }
        s->local = fds[1];
        s->state = SESSION_CARRY;
        *ret = fds[0];
        return 0;
}

static ssize_t local_send(struct session *s, const char *p, size_t n)
{
        ssize_t r = send(s->local, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

        return r < 0 ? -errno : r;
}

static ssize_t local_recv(struct session *s, char *p, size_t n)
{
        ssize_t r = recv(s->local, p, n, MSG_DONTWAIT);

        return r < 0 ? -errno : r;
}

/* How one direction is read, written and ended. */
struct way {
        ssize_t (*read)(struct session *s, char *p, size_t n);
        ssize_t (*write)(struct session *s, const char *p, size_t n);
        int (*end)(struct session *s);
};

static ssize_t remote_send(struct session *s, const char *p, size_t n)
{
        return backend_send(&s->backend, p, n);
}

static ssize_t remote_recv(struct session *s, char *p, size_t n)
{
        return backend_recv(&s->backend, p, n);
}

static int local_end(struct session *s)
{
        return shutdown(s->local, SHUT_WR) < 0 ? -errno : 0;
}

static int remote_end(struct session *s)
{
        return backend_bye(&s->backend);
}

static const struct way to_client = {remote_recv, local_send, local_end};
static const struct way to_backend = {local_recv, remote_send, remote_end};

static bool not_now(ssize_t r)
{
        return r == -EAGAIN || r == -EINTR;
}

/* 1: something was done; 0: not now; negative: the connection is broken. */
static int write_held(struct session *s, const struct way *w, struct session_lane *l)
{
        ssize_t n = w->write(s, l->held.data + l->off, l->held.len - l->off);

        if (n < 0)
                return not_now(n) ? 0 : (int)n;
        l->off += (size_t)n;
        if (l->off == l->held.len) {
                strbuf_deinit(&l->held);
                l->off = 0;
        }
        return 1;
}

static int end_lane(struct session *s, const struct way *w, struct session_lane *l)
{
        int r = w->end(s);

        if (not_now(r))
                return 0;
        l->told = true;
        return 1;
}

static int move(struct session *s, const struct way *w, struct session_lane *l)
{
        char *buf = proxy_scratch(s->proxy);
        ssize_t n, done;

        if (l->held.len)
                return write_held(s, w, l);
        if (l->ended)
                return l->told ? 0 : end_lane(s, w, l);
        n = w->read(s, buf, BACKEND_READ);
        if (n < 0)
                return not_now(n) ? 0 : (int)n;
        if (!n) {
                l->ended = true;
                return 1;
        }
        done = w->write(s, buf, (size_t)n);
        if (done < 0 && !not_now(done))
                return (int)done;
        done = done < 0 ? 0 : done;
        if (done < n)
                strbuf_add(&l->held, buf + done, (size_t)(n - done));
        return 1;
}

/* The client has gone altogether: nobody would read an answer. */
static bool is_deserted(const struct session *s)
{
        struct pollfd p = {.fd = s->local};

        return poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLERR);
}

enum session_step session_carry_step(struct session *s)
{
        int in = move(s, &to_client, &s->to_client), out;

        if (in < 0)
                return SESSION_END;
        out = move(s, &to_backend, &s->to_backend);
        if (out < 0) { /* it takes nothing more, but may have said something that is still to be read */
                strbuf_deinit(&s->to_backend.held);
                s->to_backend.ended = s->to_backend.told = true;
        }
        if (s->to_client.told && s->to_backend.told)
                return SESSION_END;
        if (s->to_backend.told && is_deserted(s))
                return SESSION_END;
        return in || out ? SESSION_AGAIN : SESSION_WAIT_READ;
}

/* A lane with something held waits for its receiver, one without for its sender. */
static unsigned wanted(const struct session_lane *in, const struct session_lane *out)
{
        unsigned events = 0;

        if (!in->held.len && !in->ended)
                events |= LOOP_READ;
        if (out->held.len || (out->ended && !out->told))
                events |= LOOP_WRITE;
        return events;
}

void session_carry_arm(struct session *s)
{
        loop_fd_set(s->watch, wanted(&s->to_client, &s->to_backend));
        loop_fd_set(s->local_watch, wanted(&s->to_backend, &s->to_client));
}
