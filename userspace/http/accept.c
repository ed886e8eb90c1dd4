/* SPDX-License-Identifier: Apache-2.0 */
/* The first loop accepts and hands the connections round. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/internal.h"

#define ACCEPTS_PER_TURN 16
#define PAUSE_MS         100

struct handover {
        struct http_task task;
        struct http_loop *loop;
        int fd;
        char address[56];
};

static void handover_run(struct http_task *t)
{
        struct handover *h = container_of(t, struct handover, task);

        conn_new(h->loop, h->fd, h->address);
        free(h);
}

union address {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
};

static void address_text(const union address *a, char *buf, size_t size)
{
        char ip[INET6_ADDRSTRLEN] = "?";

        if (a->any.sa_family == AF_INET) {
                inet_ntop(AF_INET, &a->v4.sin_addr, ip, sizeof(ip));
                snprintf(buf, size, "%s:%u", ip, ntohs(a->v4.sin_port));
        } else if (IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr)) {
                inet_ntop(AF_INET, &a->v6.sin6_addr.s6_addr[12], ip, sizeof(ip));
                snprintf(buf, size, "%s:%u", ip, ntohs(a->v6.sin6_port));
        } else {
                inet_ntop(AF_INET6, &a->v6.sin6_addr, ip, sizeof(ip));
                snprintf(buf, size, "[%s]:%u", ip, ntohs(a->v6.sin6_port));
        }
}

/* Small answers go out at once; a peer that vanished without a word is found after two minutes. */
static void set_options(int fd)
{
        static const struct {
                int level, name, value;
        } options[] = {
                {IPPROTO_TCP, TCP_NODELAY, 1},    {SOL_SOCKET, SO_KEEPALIVE, 1}, {IPPROTO_TCP, TCP_KEEPIDLE, 60},
                {IPPROTO_TCP, TCP_KEEPINTVL, 15}, {IPPROTO_TCP, TCP_KEEPCNT, 4},
        };
        size_t i;

        for (i = 0; i < ARRAY_SIZE(options); i++)
                setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

static void hand_out(struct http_server *s, int fd, const union address *from)
{
        struct http_loop *to = &s->loops[s->next_loop++ % s->nloops];
        struct handover *h;

        if (atomic_fetch_add(&s->conns, 1) >= s->config.max_connections || !(h = malloc(sizeof(*h)))) {
                atomic_fetch_sub(&s->conns, 1);
                close(fd);
                return;
        }
        set_options(fd);
        *h = (struct handover){.task.run = handover_run, .loop = to, .fd = fd};
        address_text(from, h->address, sizeof(h->address));
        http_loop_post(to, &h->task);
}

void accept_ready(struct http_loop *l)
{
        struct http_server *s = l->server;
        int i;

        for (i = 0; i < ACCEPTS_PER_TURN; i++) {
                union address from = {0};
                socklen_t len = sizeof(from);
                int fd = accept4(s->listen_fd, &from.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

                if (fd >= 0) {
                        atomic_fetch_add(&s->accepted, 1);
                        hand_out(s, fd, &from);
                        continue;
                }
                if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                        accept_pause(l);
                if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO && errno != EPERM)
                        return;
        }
}

/* Out of descriptors or memory: the listening socket would be ready again and again. */
void accept_pause(struct http_loop *l)
{
        struct epoll_event ev = {.events = 0, .data.ptr = l->server};

        epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, l->server->listen_fd, &ev);
        l->accept_paused = true;
        l->accept_again_ms = l->now_ms + PAUSE_MS;
}

void accept_resume(struct http_loop *l)
{
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = l->server};

        l->accept_paused = false;
        if (!l->draining)
                epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, l->server->listen_fd, &ev);
}
