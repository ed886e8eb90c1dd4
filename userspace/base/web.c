/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/web.h"
#include "base/mem.h"
#include "base/str.h"

#define HEAD_MAX        8192
#define CONNECTIONS_MAX 64
#define TIMEOUT_MS      10000

struct web_conn {
        struct web *web;
        struct web_conn *next;
        int fd;
        struct loop_fd *source;
        struct loop_timer *timer;
        char head[HEAD_MAX];
        size_t head_len;
        struct strbuf out;
        size_t sent;
};

struct web {
        struct loop *loop;
        int fd;
        struct loop_fd *source;
        web_fn fn;
        void *userdata;
        struct web_conn *conns;
        unsigned nconns;
};

static void conn_free(struct web_conn *c)
{
        struct web_conn **at = &c->web->conns;

        while (*at != c)
                at = &(*at)->next;
        *at = c->next;
        c->web->nconns--;
        loop_fd_free(c->source);
        loop_timer_free(c->timer);
        strbuf_deinit(&c->out);
        close(c->fd);
        free(c);
}

static void on_timeout(void *userdata)
{
        conn_free(userdata);
}

static const char *status_text(int status)
{
        switch (status) {
        case 200:
                return "OK";
        case 400:
                return "Bad Request";
        case 404:
                return "Not Found";
        case 405:
                return "Method Not Allowed";
        default:
                return "Service Unavailable";
        }
}

static void make_answer(struct web_conn *c, struct web_answer *a, bool body)
{
        strbuf_printf(&c->out,
                      "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nX-Content-Type-Options: nosniff\r\nContent-Length: %zu\r\n"
                      "%s%sConnection: close\r\n\r\n",
                      a->status, status_text(a->status),
                      a->content_type ? a->content_type : "text/plain; charset=utf-8", a->body.len,
                      a->headers ? a->headers : "", a->header);
        if (body)
                strbuf_add(&c->out, a->body.data ? a->body.data : "", a->body.len);
        strbuf_deinit(&a->body);
}

/* "GET /path?query HTTP/1.1" */
static void answer(struct web_conn *c)
{
        struct web_answer a = {.status = 400};
        char *method = c->head, *path = strchr(method, ' '), *end = path ? strpbrk(path + 1, " \r\n") : NULL;
        bool head;

        if (!end || *end != ' ' || path[1] != '/' || !str_has_prefix(end + 1, "HTTP/1.")) {
                strbuf_add_str(&a.body, "this is no HTTP request\n");
                make_answer(c, &a, true);
                return;
        }
        *path++ = *end = '\0';
        path[strcspn(path, "?")] = '\0';
        head = str_eq(method, "HEAD");
        if (!head && !str_eq(method, "GET")) {
                a.status = 405;
                a.headers = "Allow: GET, HEAD\r\n";
        } else {
                a.status = 404;
                c->web->fn(c->web->userdata, path, &a);
        }
        make_answer(c, &a, !head);
}

static void on_writable(struct web_conn *c)
{
        ssize_t n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n > 0)
                c->sent += (size_t)n;
        if (n <= 0 || c->sent == c->out.len) {
                shutdown(c->fd, SHUT_WR);
                conn_free(c);
        }
}

static void on_readable(struct web_conn *c)
{
        ssize_t n = recv(c->fd, c->head + c->head_len, HEAD_MAX - 1 - c->head_len, 0);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) {
                conn_free(c);
                return;
        }
        c->head_len += (size_t)n;
        c->head[c->head_len] = '\0';
        if (!strstr(c->head, "\r\n\r\n") && c->head_len < HEAD_MAX - 1 && strlen(c->head) == c->head_len)
                return;
        answer(c);
        loop_fd_set(c->source, LOOP_WRITE);
}

static void on_conn(void *userdata, unsigned int events)
{
        struct web_conn *c = userdata;

        if (c->out.len)
                on_writable(c);
        else
                on_readable(c);
        (void)events;
}

static void on_accept(void *userdata, unsigned int events)
{
        struct web *w = userdata;
        int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct web_conn *c;

        (void)events;
        if (fd < 0)
                return;
        if (w->nconns == CONNECTIONS_MAX) {
                close(fd);
                return;
        }
        c = mem_new(struct web_conn);
        c->web = w;
        c->fd = fd;
        c->next = w->conns;
        w->conns = c;
        w->nconns++;
        if (loop_fd_new(w->loop, fd, LOOP_READ, on_conn, c, &c->source) ||
            loop_timer_new(w->loop, on_timeout, c, &c->timer)) {
                conn_free(c);
                return;
        }
        loop_timer_set(c->timer, TIMEOUT_MS);
}

static int parse_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len)
{
        struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
        const char *colon = strrchr(text, ':');
        size_t n = colon ? (size_t)(colon - text) : 0;
        char host[64];
        uint16_t port;
        bool brackets = n > 2 && text[0] == '[' && text[n - 1] == ']';

        if (!n || n >= sizeof(host) || str_parse_u16(colon + 1, &port))
                return -EINVAL;
        memcpy(host, text + brackets, n - 2 * (size_t)brackets);
        host[n - 2 * (size_t)brackets] = '\0';
        memset(ret, 0, sizeof(*ret));
        if (brackets) {
                v6->sin6_family = AF_INET6;
                v6->sin6_port = htons(port);
                *ret_len = sizeof(*v6);
                return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1 ? 0 : -EINVAL;
        }
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        *ret_len = sizeof(*v4);
        return inet_pton(AF_INET, host, &v4->sin_addr) == 1 ? 0 : -EINVAL;
}

static int open_socket(const char *address, int *ret)
{
        struct sockaddr_storage sa;
        socklen_t len;
        int yes = 1, no = 0, fd, r = parse_address(address, &sa, &len);

        if (r)
                return r;
        fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
        if (sa.ss_family == AF_INET6)
                setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
        if (bind(fd, (struct sockaddr *)&sa, len) || listen(fd, 128)) {
                r = -errno;
                close(fd);
                return r;
        }
        *ret = fd;
        return 0;
}

int web_new(struct loop *loop, const char *address, web_fn fn, void *userdata, struct web **ret, struct err *reterr)
{
        struct web *w;
        int fd = -1, r = open_socket(address, &fd);

        if (r)
                return err_set(reterr, r, "cannot listen on %s: %s", address, strerror(-r));
        w = mem_new(struct web);
        *w = (struct web){.loop = loop, .fd = fd, .fn = fn, .userdata = userdata};
        r = loop_fd_new(loop, fd, LOOP_READ, on_accept, w, &w->source);
        if (r) {
                web_free(w);
                return err_set(reterr, r, "cannot listen on %s: %s", address, strerror(-r));
        }
        *ret = w;
        return 0;
}

void web_free(struct web *w)
{
        if (!w)
                return;
        while (w->conns)
                conn_free(w->conns);
        loop_fd_free(w->source);
        close(w->fd);
        free(w);
}

uint16_t web_port(const struct web *w)
{
        struct sockaddr_storage sa = {0};
        socklen_t len = sizeof(sa);

        if (getsockname(w->fd, (struct sockaddr *)&sa, &len))
                return 0;
        return ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
                                              : ((struct sockaddr_in *)&sa)->sin_port);
}
