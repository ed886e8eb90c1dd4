/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/kubelet/server/link.h"
#include "base/clock.h"
#include "base/mem.h"

#define READ_SIZE   65536
#define TICK_MS     15000 /* between pings */
#define PAUSE_MS    1000  /* the same while it is not read: only a ping that fails tells that the client is gone */
#define LINGER_MS   2000
#define KEEP_BUFFER (64 * 1024)

struct link {
        struct loop *loop;
        struct loop_fd *watch;
        struct loop_timer *timer;
        struct channels *channels;
        const struct link_ops *ops;
        void *userdata;
        int fd;
        size_t out_at; /* what of the output is gone already */
        unsigned paused;
        bool finishing, shut, over, full;
        uint64_t last_ms;
        size_t seen; /* backlog at the last tick */
};

static size_t backlog(const struct link *l)
{
        return channels_out(l->channels)->len - l->out_at;
}

static void rearm(struct link *l)
{
        bool read = !l->paused && backlog(l) <= 4 * LINK_BACKLOG_MAX;

        if (!l->over)
                loop_fd_set(l->watch, (read || l->finishing ? LOOP_READ : 0U) | (backlog(l) ? LOOP_WRITE : 0U));
}

/* Told later, because callers are in the midst of something. */
static void end(struct link *l)
{
        if (l->over)
                return;
        l->over = true;
        loop_fd_set(l->watch, 0);
        loop_timer_set(l->timer, 0);
}

static void take_off(struct link *l, size_t n)
{
        struct strbuf *out = channels_out(l->channels);

        l->out_at += n;
        if (l->out_at < out->len)
                return;
        out->len = l->out_at = 0;
        if (out->cap > KEEP_BUFFER)
                strbuf_deinit(out);
}

static void shut(struct link *l)
{
        if (!l->finishing || l->shut || backlog(l))
                return;
        l->shut = true;
        shutdown(l->fd, SHUT_WR);
        loop_timer_set(l->timer, LINGER_MS);
}

/* The front of the output goes away when half of it is gone: each byte is moved once at most. */
static void compact(struct link *l)
{
        struct strbuf *out = channels_out(l->channels);

        if (l->out_at < out->len - l->out_at)
                return;
        memmove(out->data, out->data + l->out_at, out->len - l->out_at);
        out->len -= l->out_at;
        l->out_at = 0;
}

static void flush(struct link *l)
{
        struct strbuf *out = channels_out(l->channels);

        while (!l->over && backlog(l)) {
                ssize_t n = send(l->fd, out->data + l->out_at, backlog(l), MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0 && errno != EINTR)
                        end(l);
                else if (n > 0)
                        take_off(l, (size_t)n);
        }
        if (backlog(l))
                compact(l);
        shut(l);
        rearm(l);
}

static void tell_drained(struct link *l)
{
        if (!l->full || backlog(l) > LINK_BACKLOG_MAX / 2 || l->over)
                return;
        l->full = false;
        l->ops->drained(l->userdata);
}

static void receive(struct link *l)
{
        char buf[READ_SIZE];
        ssize_t n = recv(l->fd, buf, sizeof(buf), MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) {
                end(l);
                return;
        }
        l->last_ms = clock_mono_ms();
        if (l->finishing) /* said too late */
                return;
        if (channels_feed(l->channels, buf, (size_t)n))
                link_finish(l);
}

static void on_fd(void *userdata, unsigned int events)
{
        struct link *l = userdata;

        if (events & LOOP_READ)
                receive(l);
        flush(l);
        tell_drained(l);
}

/* Who is not read is looked at: his end of the connection may be gone behind what he said. */
static bool has_left(const struct link *l)
{
        struct pollfd p = {.fd = l->fd, .events = POLLRDHUP};

        return l->paused && poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLRDHUP | POLLERR);
}

/* All is said, and the client has not taken anything of it for a whole tick. */
static bool is_stuck(struct link *l)
{
        size_t before = l->seen;

        l->seen = backlog(l);
        return l->finishing && l->seen == before;
}

static void on_timer(void *userdata)
{
        struct link *l = userdata;
        bool quiet = clock_mono_ms() - l->last_ms >= LINK_IDLE_MS;

        if (!l->over && !l->shut && !is_stuck(l) && !has_left(l) && !quiet) {
                if (!l->finishing)
                        channels_ping(l->channels);
                loop_timer_set(l->timer, l->paused ? PAUSE_MS : TICK_MS);
                flush(l);
                return;
        }
        l->over = true;
        loop_fd_set(l->watch, 0);
        l->ops->closed(l->userdata);
}

int link_new(struct loop *loop, int fd, enum channels_kind kind, const struct link_ops *ops, void *userdata,
             struct link **ret)
{
        struct link *l = mem_new(struct link);
        int r;

        *l = (struct link){.loop = loop, .fd = fd, .ops = ops, .userdata = userdata, .last_ms = clock_mono_ms()};
        r = channels_new(kind, &ops->streams, userdata, &l->channels);
        if (!r)
                r = loop_fd_new(loop, fd, LOOP_READ, on_fd, l, &l->watch);
        if (!r)
                r = loop_timer_new(loop, on_timer, l, &l->timer);
        if (r) {
                link_free(l);
                return r;
        }
        loop_timer_set(l->timer, TICK_MS);
        *ret = l;
        return 0;
}

void link_free(struct link *l)
{
        if (!l)
                return;
        loop_fd_free(l->watch);
        loop_timer_free(l->timer);
        channels_free(l->channels);
        close(l->fd);
        free(l);
}

size_t link_room(const struct link *l, uint32_t stream)
{
        if (l->over || l->finishing)
                return 0;
        if (backlog(l) > LINK_BACKLOG_MAX) {
                ((struct link *)l)->full = true;
                return 0;
        }
        return channels_room(l->channels, stream);
}

void link_send(struct link *l, uint32_t stream, const char *data, size_t n)
{
        if (l->over || l->finishing)
                return;
        l->last_ms = clock_mono_ms();
        channels_send(l->channels, stream, data, n);
        flush(l);
}

void link_close(struct link *l, uint32_t stream)
{
        if (l->over || l->finishing)
                return;
        channels_close(l->channels, stream);
        flush(l);
}

void link_pause(struct link *l)
{
        if (!l->paused++ && !l->over && !l->finishing)
                loop_timer_set(l->timer, PAUSE_MS);
        rearm(l);
}

void link_resume(struct link *l)
{
        l->paused--;
        rearm(l);
}

void link_finish(struct link *l)
{
        if (l->finishing || l->over)
                return;
        channels_goodbye(l->channels);
        l->finishing = true;
        l->seen = backlog(l);
        loop_timer_set(l->timer, TICK_MS);
        flush(l);
}
