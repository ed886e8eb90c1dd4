/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fairctl __relay: carries connections of the host's loopback to the API server in its namespace. The listening socket
 * (descriptor 3) was made in the host's network namespace and stays there; the sockets that are made here belong to
 * this one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/view.h"

#define LISTENER 3
#define BUFFER   65536
#define PAUSE_MS 100 /* when no descriptor is left for another connection */

/* One direction's end: what was read from the other side and is to be written here. */
struct side {
        struct pair *pair;
        int fd;
        struct loop_fd *watch;
        size_t from, to; /* in the buffer */
        bool ended;      /* no more comes for it */
        bool shut;       /* and it was told so */
        char buffer[BUFFER];
};

struct pair {
        struct side sides[2];
        bool connecting; /* the second side */
};

struct relay {
        struct loop *loop;
        struct loop_fd *listener;
        struct loop_timer *pause;
        struct sockaddr_storage server;
        socklen_t server_size;
};

static void pair_free(struct pair *p)
{
        for (size_t i = 0; i < 2; i++) {
                loop_fd_free(p->sides[i].watch);
                if (p->sides[i].fd >= 0)
                        close(p->sides[i].fd);
        }
        free(p);
}

static struct side *other(struct side *s)
{
        return &s->pair->sides[s == &s->pair->sides[0]];
}

/* Reads from s what is for the other side. False: the connection is broken. */
static bool pull(struct side *s)
{
        struct side *o = other(s);
        ssize_t n;

        if (o->ended || o->to == BUFFER)
                return true;
        n = read(s->fd, o->buffer + o->to, BUFFER - o->to);
        if (n > 0)
                o->to += (size_t)n;
        o->ended = n == 0;
        return n >= 0 || errno == EAGAIN || errno == EINTR;
}

/* Writes what there is for it. False: the connection is broken. */
static bool push(struct side *s)
{
        while (s->from < s->to) {
                ssize_t n = send(s->fd, s->buffer + s->from, s->to - s->from, MSG_NOSIGNAL);

                if (n < 0)
                        return errno == EAGAIN || errno == EINTR;
                s->from += (size_t)n;
        }
        s->from = s->to = 0;
        if (s->ended && !s->shut) {
                shutdown(s->fd, SHUT_WR);
                s->shut = true;
        }
        return true;
}

static void watch(struct side *s)
{
        bool reads = !s->pair->connecting && !other(s)->ended && other(s)->to < BUFFER;
        bool writes = s->from < s->to || (s->pair->connecting && s == &s->pair->sides[1]);

        loop_fd_set(s->watch, (reads ? LOOP_READ : 0) | (writes ? LOOP_WRITE : 0));
}

static bool is_connected(struct pair *p)
{
        socklen_t size = sizeof(int);
        int error = 0;

        getsockopt(p->sides[1].fd, SOL_SOCKET, SO_ERROR, &error, &size);
        p->connecting = false;
        return !error;
}

static void side_ready(void *userdata, unsigned int events)
{
        struct side *s = userdata, *o = other(s);
        struct pair *p = s->pair;
        bool good = true;

        if (p->connecting)
                good = s != &p->sides[1] || is_connected(p);
        else if (events & LOOP_READ)
                good = pull(s) && push(o);
        if (good && !p->connecting && (events & LOOP_WRITE))
                good = push(s);
        if (!good || (s->shut && o->shut)) {
                pair_free(p);
                return;
        }
        watch(s);
        watch(o);
}

static int connect_server(const struct relay *r)
{
        int fd = socket(r->server.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

        if (fd < 0)
                return -1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (connect(fd, (const struct sockaddr *)&r->server, r->server_size) && errno != EINPROGRESS) {
                close(fd);
                return -1;
        }
        return fd;
}

/* A connection that cannot be taken stays in the listener's queue, which would wake us at once again. */
static void pause_listener(struct relay *r)
{
        loop_fd_set(r->listener, 0);
        loop_timer_set(r->pause, PAUSE_MS);
}

static void resume_listener(void *userdata)
{
        struct relay *r = userdata;

        loop_fd_set(r->listener, LOOP_READ);
}

static void accept_one(void *userdata, unsigned int events)
{
        struct relay *r = userdata;
        struct pair *p = mem_new(struct pair);
        int one = 1, result = 0;

        p->connecting = true;
        p->sides[0].fd = accept4(LISTENER, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        p->sides[1].fd = p->sides[0].fd < 0 ? -1 : connect_server(r);
        for (size_t i = 0; i < 2; i++) {
                p->sides[i].pair = p;
                if (p->sides[i].fd < 0)
                        result = -1;
                if (!result)
                        result = loop_fd_new(r->loop, p->sides[i].fd, 0, side_ready, &p->sides[i], &p->sides[i].watch);
        }
        if (result) {
                if (p->sides[0].fd < 0 && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
                        pause_listener(r);
                pair_free(p);
                return;
        }
        setsockopt(p->sides[0].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        watch(&p->sides[0]);
        watch(&p->sides[1]);
}

static int set_server(struct view *v, struct relay *r)
{
        const char *address = view_argument(v, 0), *port = view_argument(v, 1);
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        uint16_t number;

        if (str_parse_u16(port, &number))
                return view_wrong(v, "%s is no port", port);
        v4.sin_port = v6.sin6_port = htons(number);
        if (inet_pton(AF_INET, address, &v4.sin_addr) == 1) {
                memcpy(&r->server, &v4, sizeof(v4));
                r->server_size = sizeof(v4);
        } else if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1) {
                memcpy(&r->server, &v6, sizeof(v6));
                r->server_size = sizeof(v6);
        } else {
                return view_wrong(v, "%s is no IP address", address);
        }
        return 0;
}

/* Two for each connection. */
static void raise_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit))
                return;
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
}

static int run(struct view *v)
{
        struct relay r = {0};
        int result = set_server(v, &r);

        if (result)
                return result;
        signal(SIGPIPE, SIG_IGN);
        fcntl(LISTENER, F_SETFD, FD_CLOEXEC);
        fcntl(LISTENER, F_SETFL, O_NONBLOCK);
        raise_limit();
        result = loop_new(&r.loop);
        if (!result)
                result = loop_timer_new(r.loop, resume_listener, &r, &r.pause);
        if (!result)
                result = loop_fd_new(r.loop, LISTENER, LOOP_READ, accept_one, &r, &r.listener);
        if (!result)
                result = loop_run(r.loop);
        fprintf(stderr, "fairctl __relay: %s\n", strerror(-result));
        return 1;
}

const struct cli_command ctl_relay = {
        .name = "__relay",
        .summary = "carries connections of descriptor 3 to a server",
        .arguments = "ADDRESS PORT",
        .examples = "fairctl __relay 127.0.0.1 6443\n",
        .hidden = true,
        .run = run,
};
