/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/blob.h"
#include "base/mem.h"
#include "base/str.h"
#include "unit/http/fixture_pki.h"

#define BIG_LEN (4 * 1024 * 1024)
#define PARTS   1000

struct fixture_stream {
        struct http_source source;
        struct fixture *fixture;
        struct http_stream *stream; /* NULL: not started */
        struct fixture_stream *next;
        struct strbuf pending;
};

static void stream_started(struct http_source *source, struct http_stream *stream)
{
        struct fixture_stream *s = container_of(source, struct fixture_stream, source);
        struct fixture *f = s->fixture;

        pthread_mutex_lock(&f->lock);
        s->stream = stream;
        s->next = f->streams;
        f->streams = s;
        f->nstreams++;
        pthread_mutex_unlock(&f->lock);
}

static ssize_t stream_read(struct http_source *source, char *buf, size_t max)
{
        struct fixture_stream *s = container_of(source, struct fixture_stream, source);
        size_t n;
        bool end;

        pthread_mutex_lock(&s->fixture->lock);
        n = MIN(max, s->pending.len);
        if (n) {
                memcpy(buf, s->pending.data, n);
                memmove(s->pending.data, s->pending.data + n, s->pending.len - n);
                s->pending.len -= n;
        }
        pthread_mutex_unlock(&s->fixture->lock);
        end = n >= 3 && !memcmp(buf, "END", 3);
        return end ? -1 : (ssize_t)n;
}

static void stream_closed(struct http_source *source)
{
        struct fixture_stream *s = container_of(source, struct fixture_stream, source), **at;
        struct fixture *f = s->fixture;

        pthread_mutex_lock(&f->lock);
        for (at = &f->streams; s->stream && *at; at = &(*at)->next)
                if (*at == s) {
                        *at = s->next;
                        f->nstreams--;
                        break;
                }
        pthread_mutex_unlock(&f->lock);
        strbuf_deinit(&s->pending);
        atomic_fetch_add(&f->closed_streams, 1);
        free(s);
}

void fixture_publish(struct fixture *f, const char *text)
{
        struct fixture_stream *s;

        pthread_mutex_lock(&f->lock);
        for (s = f->streams; s; s = s->next) {
                strbuf_add_str(&s->pending, text);
                http_stream_wake(s->stream);
        }
        pthread_mutex_unlock(&f->lock);
}

void fixture_wait_streams(struct fixture *f, unsigned n)
{
        unsigned tries, now = 0;

        for (tries = 0; tries < 2000; tries++) {
                pthread_mutex_lock(&f->lock);
                now = f->nstreams;
                pthread_mutex_unlock(&f->lock);
                if (now == n)
                        return;
                usleep(5000);
        }
        fail_msg("%u streams are open, not %u", now, n);
}

static void parts_get(const struct http_parts *p, size_t i, const char **data, size_t *len)
{
        static const char pieces[] = "0123456789abcdefghijklmnopqrstuvwxyz";

        *data = pieces;
        *len = i % (sizeof(pieces) - 1); /* empty ones, too */
}

static void parts_release(struct http_parts *p)
{
        free(p);
}

static void answer_parts(struct http_response *res, uint64_t more)
{
        struct http_parts *p = mem_new(struct http_parts);
        const char *data;
        size_t i, len;

        *p = (struct http_parts){.n = PARTS, .total_len = more, .get = parts_get, .release = parts_release};
        for (i = 0; i < PARTS; i++) {
                parts_get(p, i, &data, &len);
                p->total_len += len;
        }
        res->kind = HTTP_BODY_PARTS;
        res->parts = p;
}

static void answer_stream(struct fixture *f, struct http_response *res)
{
        struct fixture_stream *s = mem_new(struct fixture_stream);

        s->fixture = f;
        s->source = (struct http_source){stream_started, stream_read, stream_closed};
        res->kind = HTTP_BODY_SOURCE;
        res->source = &s->source;
}

static void answer_who(const struct http_request *req, struct http_response *res)
{
        const struct http_peer *p = req->peer;
        const char *const *o;

        res->kind = HTTP_BODY_BUFFER;
        strbuf_printf(&res->buffer, "%s %s",
                      p->verified  ? "verified"
                      : p->refused ? "refused"
                                   : "nobody",
                      p->verified ? p->common_name : "");
        for (o = p->verified ? p->organizations : NULL; o && *o; o++)
                strbuf_printf(&res->buffer, "|%s", *o);
}

static void answer_upgrade(struct fixture *f, struct http_response *res)
{
        struct timeval tv = {.tv_sec = 5};
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
        res->status = 101;
        res->kind = HTTP_BODY_UPGRADE;
        res->upgrade = (struct http_upgrade){.fd = fds[0], .protocol = "test/1"};
        atomic_store(&f->upgraded, fds[1]);
}

int fixture_take_upgraded(struct fixture *f)
{
        unsigned tries;
        int fd;

        for (tries = 0; tries < 2000; tries++) {
                fd = atomic_exchange(&f->upgraded, -1);
                if (fd >= 0)
                        return fd;
                usleep(2000);
        }
        fail_msg("nothing was upgraded");
        return -1;
}

static void *answer_late(void *arg)
{
        const struct http_request *req = arg;
        struct http_response res = {.status = 200, .kind = HTTP_BODY_BUFFER};

        usleep(strlen(req->query) > 3 ? 30000 : 0);
        strbuf_printf(&res.buffer, "late %s", req->query);
        http_answer(req, &res);
        return NULL;
}

static void leave_for_later(const struct http_request *req)
{
        pthread_t t;

        http_later(req);
        assert_int_equal(pthread_create(&t, NULL, answer_late, (void *)req), 0);
        pthread_detach(t);
}

static enum http_where classify(void *userdata, const struct http_request *req)
{
        if (str_eq(req->path, "/refuse"))
                return HTTP_REFUSE;
        if (str_eq(req->path, "/upgrade") || str_eq(req->path, "/later"))
                return *req->query ? HTTP_WORKER : HTTP_INLINE;
        return str_eq(req->path, "/echo") || str_eq(req->path, "/slow") ? HTTP_WORKER : HTTP_INLINE;
}

static void handle(void *userdata, const struct http_request *req, struct http_response *res)
{
        struct fixture *f = userdata;

        atomic_fetch_add(&f->handled, 1);
        res->status = 200;
        res->content_type = "text/plain";
        if (str_eq(req->path, "/later")) {
                leave_for_later(req);
                return;
        }
        if (str_eq(req->path, "/upgrade")) {
                answer_upgrade(f, res);
        } else if (str_eq(req->path, "/who")) {
                answer_who(req, res);
        } else if (str_eq(req->path, "/big")) {
                res->kind = HTTP_BODY_BLOB;
                res->blob = blob_ref(f->big);
                res->gzip_ok = true;
        } else if (str_eq(req->path, "/parts") || str_eq(req->path, "/short")) {
                answer_parts(res, str_eq(req->path, "/short") ? 10 : 0);
        } else if (str_eq(req->path, "/stream")) {
                answer_stream(f, res);
        } else if (str_eq(req->path, "/inject")) {
                struct http_header *h = arena_new(req->arena, struct http_header);

                *h = (struct http_header){"X-Text", "a\r\nX-Evil: 1"};
                res->headers = h;
                res->nheaders = 1;
        } else {
                if (str_eq(req->path, "/slow"))
                        usleep(100000);
                res->kind = HTTP_BODY_BUFFER;
                if (str_eq(req->path, "/hello"))
                        strbuf_add_str(&res->buffer, "hello");
                else
                        strbuf_printf(&res->buffer, "%s %s %s", req->method, req->query, req->body);
        }
}

static void error(void *userdata, int status, const char *message, struct http_response *res)
{
        res->kind = HTTP_BODY_BUFFER;
        res->content_type = "text/plain";
        strbuf_printf(&res->buffer, "%d %s", status, message);
}

static void done(void *userdata, const struct http_request *req, int status, uint64_t bytes, uint64_t duration_ns)
{
        struct fixture *f = userdata;

        assert_true(duration_ns > 0);
        assert_non_null(req->method);
        atomic_fetch_add(&f->done, 1);
        atomic_fetch_add(&f->bytes, bytes);
}

void fixture_start(struct fixture *f, struct http_config config)
{
        static const struct http_app app = {.classify = classify, .handle = handle, .error = error, .done = done};
        char cert[96], key[96], ca[96];
        struct http_app mine = app;
        struct err e = ERR_NULL;
        size_t i;

        atomic_store(&f->done, 0);
        atomic_store(&f->upgraded, -1);
        pthread_mutex_init(&f->lock, NULL);
        f->big = blob_alloc(BIG_LEN);
        for (i = 0; i < BIG_LEN; i++)
                f->big->data[i] = (char)('a' + ((i * 2654435761U) >> 27) % 16);
        mine.userdata = f;
        config.address = "127.0.0.1";
        snprintf(cert, sizeof(cert), "%s/server.pem", f->pki->dir);
        snprintf(key, sizeof(key), "%s/key.pem", f->pki->dir);
        snprintf(ca, sizeof(ca), "%s/ca.pem", f->pki->dir);
        config.cert_file = cert;
        config.key_file = key;
        config.client_ca_file = ca;
        if (!config.loops)
                config.loops = 2;
        if (http_server_new(&config, &mine, &f->server, &e) < 0)
                fail_msg("%s", e.msg);
        f->port = http_server_port(f->server);
}

void fixture_stop(struct fixture *f, unsigned grace_ms)
{
        http_server_stop(f->server, grace_ms);
        assert_int_equal(f->nstreams, 0);
        assert_int_equal(atomic_load(&f->big->refs), 1);
        blob_unref(TAKE_PTR(f->big));
        pthread_mutex_destroy(&f->lock);
}
