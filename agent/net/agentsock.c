/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "agent/net/agentsock.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define CALLERS_MAX 256
#define LINE_MAX_   4096
#define ANSWERS_MAX 65536 /* unread answers of a caller: then its requests wait */
#define IDLE_MS     30000
#define SWEEP_MS    5000

struct caller {
        struct agentsock *sock;
        struct caller *next;
        struct loop_fd *source;
        struct strbuf answers;
        uint64_t used_ms;
        size_t sent;
        size_t len;
        int fd;
        bool ending; /* no more requests */
        char line[LINE_MAX_];
};

struct agentsock {
        struct agentsock_opts opts;
        char *path;
        struct loop_fd *source;
        struct loop_timer *sweep;
        struct caller *callers;
        uint32_t callers_n;
        int fd;
        bool bound;
};

static void caller_free(struct caller *c)
{
        struct agentsock *s = c->sock;

        for (struct caller **at = &s->callers; *at; at = &(*at)->next)
                if (*at == c) {
                        *at = c->next;
                        break;
                }
        if (s->callers_n-- == CALLERS_MAX && s->source)
                loop_fd_set(s->source, LOOP_READ);
        if (c->source)
                loop_fd_free(c->source);
        close(c->fd);
        strbuf_deinit(&c->answers);
        free(c);
}

static void answer(struct caller *c, int res, const struct strbuf *extra, const struct err *err)
{
        const char *text = res < 0 ? (*err->msg ? err->msg : strerror(-res)) : "";

        if (res < 0) {
                strbuf_add_str(&c->answers, "{\"ok\":false,\"error\":");
                strbuf_add_json_str(&c->answers, text, strlen(text));
        } else {
                strbuf_add_str(&c->answers, "{\"ok\":true");
                if (extra->len)
                        strbuf_add(&c->answers, extra->data, extra->len);
        }
        strbuf_add_str(&c->answers, "}\n");
}

static void serve_line(struct caller *c, const char *line, size_t len)
{
        _cleanup_strbuf_ struct strbuf extra = STRBUF_NULL;
        struct request request;
        struct err err = ERR_NULL;
        int res = request_parse(line, len, &request, &err);

        if (res == 0)
                res = c->sock->opts.serve(c->sock->opts.userdata, &request, &extra, &err);
        answer(c, res, &extra, &err);
}

static bool wants_room(const struct caller *c)
{
        return c->answers.len - c->sent >= ANSWERS_MAX;
}

static void serve_lines(struct caller *c)
{
        size_t at = 0;
        char *end;

        while (!wants_room(c) && (end = memchr(c->line + at, '\n', c->len - at))) {
                serve_line(c, c->line + at, (size_t)(end - c->line) - at);
                at = (size_t)(end - c->line) + 1;
        }
        memmove(c->line, c->line + at, c->len - at);
        c->len -= at;
        if (c->len == sizeof(c->line) && !memchr(c->line, '\n', c->len)) {
                const struct err err = {.msg = "a request is longer than 4096 bytes"};

                answer(c, -EMSGSIZE, NULL, &err);
                c->ending = true;
        }
}

/* False when the caller is gone. */
static bool flush(struct caller *c)
{
        while (c->sent < c->answers.len) {
                ssize_t n =
                        send(c->fd, c->answers.data + c->sent, c->answers.len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n < 0)
                        return errno == EAGAIN || errno == EINTR;
                c->sent += (size_t)n;
        }
        c->answers.len = c->sent = 0;
        return true;
}

static bool receive(struct caller *c)
{
        ssize_t n = recv(c->fd, c->line + c->len, sizeof(c->line) - c->len, MSG_DONTWAIT);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR;
        c->ending = c->ending || n == 0;
        c->len += (size_t)n;
        return true;
}

static void on_caller(void *userdata, unsigned int events)
{
        struct caller *c = userdata;
        bool there = true;

        c->used_ms = clock_mono_ms();
        if (events & LOOP_READ && !c->ending && c->len < sizeof(c->line))
                there = receive(c);
        do {
                serve_lines(c);
                there = there && flush(c);
        } while (there && !c->answers.len && memchr(c->line, '\n', c->len));
        if (!there || (c->ending && !c->answers.len))
                caller_free(c);
        else
                loop_fd_set(c->source,
                            (c->answers.len ? LOOP_WRITE : 0) |
                                    (c->ending || wants_room(c) || c->len == sizeof(c->line) ? 0 : LOOP_READ));
}

static void add_caller(struct agentsock *s, int fd)
{
        struct caller *c = mem_new(struct caller);

        c->sock = s;
        c->fd = fd;
        c->used_ms = clock_mono_ms();
        c->next = s->callers;
        s->callers = c;
        if (++s->callers_n == CALLERS_MAX)
                loop_fd_set(s->source, 0);
        if (loop_fd_new(s->opts.loop, fd, LOOP_READ, on_caller, c, &c->source) < 0)
                caller_free(c);
}

static void on_connect(void *userdata, unsigned int events)
{
        struct agentsock *s = userdata;

        while (s->callers_n < CALLERS_MAX) {
                int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

                if (fd < 0) {
                        if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
                                loop_fd_set(s->source, 0); /* no descriptors left: the sweep tries again */
                        return;
                }
                add_caller(s, fd);
        }
}

static void on_sweep(void *userdata)
{
        struct agentsock *s = userdata;
        struct caller *next;
        uint64_t now = clock_mono_ms();

        for (struct caller *c = s->callers; c; c = next) {
                next = c->next;
                if (now - c->used_ms >= IDLE_MS)
                        caller_free(c);
        }
        if (s->callers_n < CALLERS_MAX)
                loop_fd_set(s->source, LOOP_READ);
        loop_timer_set(s->sweep, SWEEP_MS);
}

static int open_socket(struct agentsock *s)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};

        if (!str_copy(a.sun_path, sizeof(a.sun_path), s->path))
                return -ENAMETOOLONG;
        s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s->fd < 0)
                return -errno;
        /* The file gets the socket's own mode: nobody else can connect, not even at once. */
        if (fchmod(s->fd, 0600) < 0 || (unlink(s->path) < 0 && errno != ENOENT) ||
            bind(s->fd, (void *)&a, sizeof(a)) < 0)
                return -errno;
        s->bound = true;
        return listen(s->fd, SOMAXCONN) < 0 ? -errno : 0;
}

int agentsock_new(const struct agentsock_opts *opts, struct agentsock **ret, struct err *reterr)
{
        _cleanup_(agentsock_freep) struct agentsock *s = mem_new(struct agentsock);
        int res;

        s->opts = *opts;
        s->path = mem_strdup(opts->path);
        s->fd = -1;
        res = open_socket(s);
        if (res == 0)
                res = loop_fd_new(opts->loop, s->fd, LOOP_READ, on_connect, s, &s->source);
        if (res == 0)
                res = loop_timer_new(opts->loop, on_sweep, s, &s->sweep);
        if (res < 0)
                return err_set(reterr, res, "cannot listen at %s: %s", s->path, strerror(-res));
        loop_timer_set(s->sweep, SWEEP_MS);
        *ret = TAKE_PTR(s);
        return 0;
}

void agentsock_free(struct agentsock *s)
{
        if (!s)
                return;
        while (s->callers)
                caller_free(s->callers);
        if (s->source)
                loop_fd_free(s->source);
        if (s->sweep)
                loop_timer_free(s->sweep);
        if (s->fd >= 0)
                close(s->fd);
        if (s->bound)
                unlink(s->path);
        free(s->path);
        free(s);
}
