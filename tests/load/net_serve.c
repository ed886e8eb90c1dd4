/* SPDX-License-Identifier: Apache-2.0 */
/* The server: "NAME CLIENT LOCAL REQUEST" is the answer to each line (TCP) or datagram (UDP). */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load/net.h"

#define READ_BYTES  65536
#define QUEUE_BYTES (256 * 1024) /* of answers that a client does not take: then nothing more is read from it */

struct socket {
        struct socket *next, **link; /* of all */
        enum socket_kind {
                TCP_LISTENER,
                TCP_CONNECTION,
                UDP_SOCKET,
        } kind;
        int fd;
        char prefix[sizeof(((struct net_count *)0)->name) + 2 * NET_TEXT];
        bool in_line;                  /* of a connection: between the first byte of a line and its end */
        bool line_closes, close_after; /* the line began with '!' */
        struct strbuf out;
        size_t out_off;
};

struct server {
        const struct net_server_opts *o;
        int epoll;
        struct socket *all;
        uint64_t connections, requests, datagrams;
        char in[READ_BYTES];
};

static int watch(struct server *s, struct socket *k, int op, uint32_t events)
{
        return epoll_ctl(s->epoll, op, k->fd, &(struct epoll_event){.events = events, .data.ptr = k});
}

static struct socket *add_socket(struct server *s, enum socket_kind kind, int fd)
{
        struct socket *k = calloc(1, sizeof(*k));

        if (!k)
                abort();
        k->kind = kind;
        k->fd = fd;
        k->next = s->all;
        k->link = &s->all;
        if (k->next)
                k->next->link = &k->next;
        s->all = k;
        return k;
}

static void drop(struct socket *k)
{
        *k->link = k->next;
        if (k->next)
                k->next->link = k->link;
        if (k->fd >= 0)
                close(k->fd);
        strbuf_deinit(&k->out);
        free(k);
}

static void accept_one(struct server *s, const struct socket *listener)
{
        struct sockaddr_storage peer, local;
        socklen_t peer_len = sizeof(peer), local_len = sizeof(local);
        char a[NET_TEXT], b[NET_TEXT];
        struct socket *k;
        int fd = accept4(listener->fd, (struct sockaddr *)&peer, &peer_len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
                return;
        if (getsockname(fd, (struct sockaddr *)&local, &local_len) < 0) {
                close(fd);
                return;
        }
        k = add_socket(s, TCP_CONNECTION, fd);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        snprintf(k->prefix, sizeof(k->prefix), "%s %s %s ", s->o->name, net_address_text((struct sockaddr *)&peer, a),
                 net_address_text((struct sockaddr *)&local, b));
        s->connections++;
        if (watch(s, k, EPOLL_CTL_ADD, EPOLLIN) < 0)
                drop(k);
}

/* Bytes of requests become bytes of answers. */
static void answer(struct server *s, struct socket *k, const char *data, size_t n)
{
        while (n && !k->close_after) {
                const char *end = memchr(data, '\n', n);
                size_t part = end ? (size_t)(end - data) + 1 : n;

                if (!k->in_line) {
                        k->in_line = true;
                        k->line_closes = *data == '!';
                        strbuf_add_str(&k->out, k->prefix);
                }
                strbuf_add(&k->out, data, part);
                if (end) {
                        k->in_line = false;
                        k->close_after = k->line_closes;
                        s->requests++;
                }
                data += part;
                n -= part;
        }
}

/* False: the connection is over. */
static bool flush(struct server *s, struct socket *k)
{
        while (k->out_off < k->out.len) {
                ssize_t n = send(k->fd, k->out.data + k->out_off, k->out.len - k->out_off, MSG_NOSIGNAL);

                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0)
                        return false;
                k->out_off += (size_t)n;
        }
        if (k->out_off < k->out.len)
                return watch(s, k, EPOLL_CTL_MOD,
                             k->out.len - k->out_off < QUEUE_BYTES ? EPOLLIN | EPOLLOUT : EPOLLOUT) == 0;
        k->out.len = k->out_off = 0;
        return !k->close_after;
}

static bool serve_connection(struct server *s, struct socket *k, uint32_t events)
{
        bool blocked = k->out_off < k->out.len;

        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
                ssize_t n = recv(k->fd, s->in, sizeof(s->in), 0);

                if (n == 0 || (n < 0 && errno != EAGAIN))
                        return false;
                if (n > 0)
                        answer(s, k, s->in, (size_t)n);
        }
        if (!flush(s, k))
                return false;
        return !blocked || k->out.len || watch(s, k, EPOLL_CTL_MOD, EPOLLIN) == 0;
}

/* Answers from the address that was asked, whichever of this host's it is. */
static void serve_datagram(struct server *s, const struct socket *k)
{
        struct sockaddr_storage peer, local;
        socklen_t local_len = sizeof(local);
        char control[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))] = {0};
        char head[sizeof(k->prefix)], a[NET_TEXT], b[NET_TEXT];
        struct iovec in = {s->in, sizeof(s->in)};
        struct msghdr m = {.msg_name = &peer,
                           .msg_namelen = sizeof(peer),
                           .msg_iov = &in,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(k->fd, &m, 0);
        struct iovec out[2];

        if (n < 0 || getsockname(k->fd, (struct sockaddr *)&local, &local_len) < 0)
                return;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
                if (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
                        struct in6_pktinfo *p = (struct in6_pktinfo *)CMSG_DATA(c);

                        ((struct sockaddr_in6 *)&local)->sin6_addr = p->ipi6_addr;
                        p->ipi6_ifindex = 0;
                } else if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_PKTINFO) {
                        struct in_pktinfo *p = (struct in_pktinfo *)CMSG_DATA(c);

                        ((struct sockaddr_in *)&local)->sin_addr = p->ipi_addr;
                        p->ipi_ifindex = 0;
                        p->ipi_spec_dst = p->ipi_addr;
                }
        }
        s->datagrams++;
        out[0] = (struct iovec){head, (size_t)snprintf(head, sizeof(head), "%s %s %s ", s->o->name,
                                                       net_address_text((struct sockaddr *)&peer, a),
                                                       net_address_text((struct sockaddr *)&local, b))};
        out[1] = (struct iovec){s->in, (size_t)n};
        m.msg_iov = out;
        m.msg_iovlen = 2;
        sendmsg(k->fd, &m, MSG_NOSIGNAL);
}

static int listen_at(struct server *s, bool udp, uint16_t port)
{
        struct net_address a = {0};
        struct sockaddr_in6 *any = (struct sockaddr_in6 *)&a.sa;
        struct socket *k;
        char text[NET_TEXT];
        int one = 1, zero = 0;

        any->sin6_family = AF_INET6;
        a.len = sizeof(*any);
        snprintf(text, sizeof(text), strchr(s->o->address ?: "", ':') ? "[%s]:1" : "%s:1", s->o->address);
        if (s->o->address && net_address_parse(text, &a) < 0) {
                fprintf(stderr, "netload: --address %s is no IPv4 or IPv6 address\n", s->o->address);
                return -1;
        }
        any->sin6_port = htons(port); /* at the same place in both families */
        k = add_socket(s, udp ? UDP_SOCKET : TCP_LISTENER,
                       socket(a.sa.ss_family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (k->fd >= 0) {
                setsockopt(k->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
                setsockopt(k->fd, SOL_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
        }
        if (k->fd >= 0 && udp) {
                setsockopt(k->fd, SOL_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
                setsockopt(k->fd, SOL_IP, IP_PKTINFO, &one, sizeof(one));
        }
        if (k->fd < 0 || bind(k->fd, (struct sockaddr *)&a.sa, a.len) < 0 || (!udp && listen(k->fd, 4096) < 0) ||
            watch(s, k, EPOLL_CTL_ADD, EPOLLIN) < 0) {
                fprintf(stderr, "netload: cannot listen at %s port %u: %m\n", udp ? "UDP" : "TCP", port);
                return -1;
        }
        return 0;
}

static void serve(struct server *s)
{
        struct epoll_event events[256];

        while (!net_stopped) {
                int n = net_wait(s->epoll, events, 256, -1);

                for (int i = 0; i < n; i++) {
                        struct socket *k = events[i].data.ptr;

                        if (k->kind == TCP_LISTENER)
                                accept_one(s, k);
                        else if (k->kind == UDP_SOCKET)
                                serve_datagram(s, k);
                        else if (!serve_connection(s, k, events[i].events))
                                drop(k);
                }
        }
}

static int listen_at_all(struct server *s)
{
        const struct net_server_opts *o = s->o;

        for (size_t i = 0; i < o->tcp.n; i++)
                if (listen_at(s, false, o->tcp.port[i]) < 0)
                        return -1;
        for (size_t i = 0; i < o->udp.n; i++)
                if (listen_at(s, true, o->udp.port[i]) < 0)
                        return -1;
        return 0;
}

int net_serve(const struct net_server_opts *o)
{
        static struct server s;
        int r;

        s.o = o;
        s.epoll = epoll_create1(EPOLL_CLOEXEC);
        r = listen_at_all(&s);
        if (!r) {
                printf("{\"ready\": true, \"name\": \"%s\", \"tcp\": %zu, \"udp\": %zu}\n", o->name, o->tcp.n,
                       o->udp.n);
                fflush(stdout);
                serve(&s);
                printf("{\"name\": \"%s\", \"connections\": %llu, \"requests\": %llu, \"datagrams\": %llu}\n", o->name,
                       (unsigned long long)s.connections, (unsigned long long)s.requests,
                       (unsigned long long)s.datagrams);
        }
        while (s.all)
                drop(s.all);
        close(s.epoll);
        return r ? 1 : 0;
}
