/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "unit/base/fakeserver.h"

#define MAX_CONNECTIONS 1024

struct fake_server {
        int fd;
        char url[64];
        fake_script script;
        void *userdata;
        pthread_t acceptor;
        pthread_mutex_t lock;
        pthread_t threads[MAX_CONNECTIONS];
        int fds[MAX_CONNECTIONS]; /* -1: closed */
        int nconnections;
        atomic_int requests;
        atomic_bool stopping;
};

struct start {
        struct fake_server *server;
        int index, fd;
};

void fake_send(struct fake_conn *c, const void *data, size_t n)
{
        const char *p = data;

        while (n) {
                ssize_t w = send(c->fd, p, n, MSG_NOSIGNAL);

                if (w <= 0)
                        return;
                p += w;
                n -= (size_t)w;
        }
}

static void send_str(struct fake_conn *c, const char *s)
{
        fake_send(c, s, strlen(s));
}

void fake_answer(struct fake_conn *c, int status, const char *extra, const char *body)
{
        _cleanup_free_ char *text =
                mem_printf("HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n%s", status,
                           strlen(body), extra, body);

        send_str(c, text);
}

void fake_stream(struct fake_conn *c, int status)
{
        char head[128];

        snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n", status);
        send_str(c, head);
}

void fake_chunk(struct fake_conn *c, const void *data, size_t n)
{
        char *buf = mem_alloc(n + 32);
        int head = sprintf(buf, "%zx\r\n", n);

        memcpy(buf + head, data, n);
        memcpy(buf + head + n, "\r\n", 2);
        fake_send(c, buf, (size_t)head + n + 2);
        free(buf);
}

void fake_chunk_str(struct fake_conn *c, const char *s)
{
        fake_chunk(c, s, strlen(s));
}

void fake_stream_end(struct fake_conn *c)
{
        send_str(c, "0\r\n\r\n");
}

void fake_linger(struct fake_conn *c, int ms)
{
        struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};

        for (int waited = 0; waited < ms && !atomic_load(&c->server->stopping); waited += 10)
                if (poll(&p, 1, 10) > 0)
                        return;
}

/* Reads until the blank line; bytes of the body that came along stay in buf. Returns the head's length or 0. */
static size_t read_head(int fd, char *buf, size_t size, size_t *len)
{
        for (;;) {
                char *end;
                ssize_t n;

                buf[*len] = '\0';
                end = strstr(buf, "\r\n\r\n");
                if (end)
                        return (size_t)(end - buf) + 4;
                if (*len + 1 >= size)
                        return 0;
                n = read(fd, buf + *len, size - 1 - *len);
                if (n <= 0)
                        return 0;
                *len += (size_t)n;
        }
}

static bool read_body(int fd, struct fake_request *r, const char *have, size_t n)
{
        const char *length = strcasestr(r->headers, "Content-Length:");

        r->body_len = length ? strtoul(length + 15, NULL, 10) : 0;
        r->body = mem_zalloc(r->body_len + 1);
        memcpy(r->body, have, MIN(n, r->body_len));
        while (n < r->body_len) {
                ssize_t got = read(fd, r->body + n, r->body_len - n);

                if (got <= 0)
                        return false;
                n += (size_t)got;
        }
        return true;
}

static bool serve_one(struct fake_conn *c, int connection)
{
        struct fake_request r = {.connection = connection};
        char buf[8192];
        size_t len = 0, head = read_head(c->fd, buf, sizeof(buf), &len);
        bool again = false;

        if (!head || sscanf(buf, "%15s %2047s", r.method, r.target) != 2)
                return false;
        snprintf(r.headers, sizeof(r.headers), "%.*s", (int)MIN(head, sizeof(r.headers) - 1), buf);
        if (read_body(c->fd, &r, buf + head, len - head)) {
                r.number = atomic_fetch_add(&c->server->requests, 1) + 1;
                again = c->server->script(c->server->userdata, c, &r);
        }
        free(r.body);
        return again;
}

static void *connection_main(void *arg)
{
        struct start *start = arg;
        struct fake_conn c = {.fd = start->fd, .server = start->server};

        while (!atomic_load(&c.server->stopping) && serve_one(&c, start->index + 1))
                ;
        pthread_mutex_lock(&c.server->lock);
        c.server->fds[start->index] = -1;
        pthread_mutex_unlock(&c.server->lock);
        close(c.fd);
        free(start);
        return NULL;
}

static void *acceptor_main(void *arg)
{
        struct fake_server *s = arg;

        for (;;) {
                int fd = accept(s->fd, NULL, NULL), one = 1;
                struct start *start;

                if (fd < 0)
                        return NULL;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
                start = mem_new(struct start);
                *start = (struct start){.server = s, .index = s->nconnections, .fd = fd};
                pthread_mutex_lock(&s->lock);
                s->fds[s->nconnections] = fd;
                pthread_create(&s->threads[s->nconnections++], NULL, connection_main, start);
                pthread_mutex_unlock(&s->lock);
                if (s->nconnections == MAX_CONNECTIONS)
                        return NULL;
        }
}

static struct fake_server *start_on(int fd, fake_script script, void *userdata)
{
        struct fake_server *s = mem_new(struct fake_server);

        if (listen(fd, 256))
                abort();
        s->fd = fd;
        s->script = script;
        s->userdata = userdata;
        pthread_mutex_init(&s->lock, NULL);
        pthread_create(&s->acceptor, NULL, acceptor_main, s);
        return s;
}

struct fake_server *fake_server_start(fake_script script, void *userdata)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(a);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct fake_server *s;

        if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || getsockname(fd, (struct sockaddr *)&a, &len))
                abort();
        s = start_on(fd, script, userdata);
        snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u", ntohs(a.sin_port));
        return s;
}

struct fake_server *fake_server_start_unix(const char *path, fake_script script, void *userdata)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct fake_server *s;

        snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
        if (bind(fd, (struct sockaddr *)&a, sizeof(a)))
                abort();
        s = start_on(fd, script, userdata);
        snprintf(s->url, sizeof(s->url), "http://localhost");
        return s;
}

const char *fake_server_url(const struct fake_server *s)
{
        return s->url;
}

int fake_server_requests(const struct fake_server *s)
{
        return atomic_load(&s->requests);
}

void fake_server_stop(struct fake_server *s)
{
        atomic_store(&s->stopping, true);
        shutdown(s->fd, SHUT_RDWR);
        pthread_join(s->acceptor, NULL);
        close(s->fd);
        pthread_mutex_lock(&s->lock);
        for (int i = 0; i < s->nconnections; i++)
                if (s->fds[i] >= 0)
                        shutdown(s->fds[i], SHUT_RDWR);
        pthread_mutex_unlock(&s->lock);
        for (int i = 0; i < s->nconnections; i++)
                pthread_join(s->threads[i], NULL);
        pthread_mutex_destroy(&s->lock);
        free(s);
}
