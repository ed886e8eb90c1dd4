/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kubelet/server/server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/kubelet/server/impl.h"
#include "agent/kubelet/server/logwatch.h"
#include "agent/kubelet/server/samples.h"
#include "agent/kubelet/server/url.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/x509.h"

#define CLIENT_NAME   "kube-apiserver-kubelet-client"
#define CERT_LIFE_S   (365L * 24 * 3600)
#define STOP_GRACE_MS 500

struct kubelet_server *server_ref(struct kubelet_server *s)
{
        atomic_fetch_add(&s->refs, 1);
        return s;
}

void server_unref(struct kubelet_server *s)
{
        if (atomic_fetch_sub(&s->refs, 1) != 1)
                return;
        samples_free(s->samples);
        pthread_mutex_destroy(&s->lock);
        arena_deinit(&s->mem);
        free(s);
}

void stream_client_add(struct kubelet_server *s, struct stream_client *c, void (*end)(struct stream_client *c))
{
        c->end = end;
        c->prev = NULL;
        c->next = s->clients;
        if (c->next)
                c->next->prev = c;
        s->clients = c;
}

void stream_client_del(struct kubelet_server *s, struct stream_client *c)
{
        if (!c->end)
                return;
        *(c->prev ? &c->prev->next : &s->clients) = c->next;
        if (c->next)
                c->next->prev = c->prev;
        c->end = NULL;
}

/* ---- who answers what ---- */

static void healthz(struct ask *a)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        strbuf_add_str(&b, "ok");
        ask_answer(a, "text/plain; charset=utf-8", &b);
}

static const struct endpoint {
        const char *name;
        const char *methods;
        size_t least, most; /* segments behind the name */
        void (*handle)(struct ask *a);
} endpoints[] = {
        {"healthz", "GET HEAD", 0, 1, healthz},
        {"pods", "GET", 0, 0, pods_get},
        {"runningpods", "GET", 0, 0, running_pods_get},
        {"containerLogs", "GET", 3, 3, logs_get},
        {"exec", "GET POST", 3, 4, exec_get},
        {"attach", "GET POST", 3, 4, attach_get},
        {"portForward", "GET POST", 2, 3, forward_get},
        {"metrics", "GET", 0, 1, metrics_get},
        {"stats", "GET", 1, 1, stats_get},
};

static const struct endpoint *find_endpoint(const char *name, size_t nsegments)
{
        for (size_t i = 0; i < ARRAY_SIZE(endpoints); i++)
                if (str_eq(endpoints[i].name, name) && nsegments >= endpoints[i].least &&
                    nsegments <= endpoints[i].most)
                        return &endpoints[i];
        return NULL;
}

static void fill_error(void *userdata, int status, const char *message, struct http_response *res)
{
        res->status = status;
        res->content_type = "text/plain; charset=utf-8";
        res->kind = HTTP_BODY_BUFFER;
        strbuf_printf(&res->buffer, "%s\n", message);
}

/* Says no to everybody but the API server. */
static bool is_allowed(struct kubelet_server *s, const struct http_request *req, struct http_response *res)
{
        const char *name = s->opts.client_name ?: CLIENT_NAME;
        char why[256];

        if (!req->peer->verified) {
                fill_error(s, 401, "Unauthorized", res);
                return false;
        }
        if (str_eq(req->peer->common_name, name))
                return true;
        snprintf(why, sizeof(why), "Forbidden (user=%s, verb=%s, resource=nodes, subresource=proxy)",
                 req->peer->common_name ?: "", str_eq(req->method, "GET") ? "get" : "create");
        fill_error(s, 403, why, res);
        return false;
}

static void run_ask(void *userdata)
{
        struct ask *a = userdata;

        if (a->s->closed)
                ask_fail(a, 503, "the kubelet is ending");
        else
                a->handle(a);
        server_unref(a->s);
        free(a);
}

/* Among those that the end of the server must answer. false: it is too late for that. */
static bool enlist(struct kubelet_server *s, struct ask *a)
{
        bool late;

        pthread_mutex_lock(&s->lock);
        late = s->ending;
        if (!late) {
                a->next = s->asks;
                if (a->next)
                        a->next->prev = a;
                s->asks = a;
                http_later(a->req);
        }
        pthread_mutex_unlock(&s->lock);
        return !late;
}

static void hand_over(struct kubelet_server *s, const struct http_request *req, const struct endpoint *e,
                      const char *const *segments, size_t n, struct http_response *res)
{
        struct ask *a = mem_new(struct ask);

        *a = (struct ask){.s = server_ref(s), .req = req, .handle = e->handle, .nsegments = n};
        for (size_t i = 0; i < n; i++)
                a->segments[i] = segments[i];
        if (enlist(s, a)) {
                loop_post(s->opts.loop, run_ask, a);
                return;
        }
        fill_error(s, 503, "the kubelet is ending", res);
        server_unref(s);
        free(a);
}

static bool method_fits(const char *methods, const char *method)
{
        const char *at = strstr(methods, method);

        return at && *method && (at[strlen(method)] == ' ' || !at[strlen(method)]);
}

static void handle(void *userdata, const struct http_request *req, struct http_response *res)
{
        struct kubelet_server *s = userdata;
        const char *segments[ASK_SEGMENTS_MAX];
        const struct endpoint *e;
        int n;

        if (!is_allowed(s, req, res))
                return;
        n = url_segments(req->path, segments, ASK_SEGMENTS_MAX, req->arena);
        e = n > 0 ? find_endpoint(segments[0], (size_t)n - 1) : NULL;
        if (!e)
                fill_error(s, 404, "404 page not found", res);
        else if (!method_fits(e->methods, req->method))
                fill_error(s, 405, "405: Method Not Allowed", res);
        else
                hand_over(s, req, e, segments + 1, (size_t)n - 1, res);
}

static enum http_where classify(void *userdata, const struct http_request *req)
{
        return HTTP_INLINE;
}

/* ---- beginning and end ---- */

static int memory_file(const char *name, const char *text)
{
        int fd = memfd_create(name, MFD_CLOEXEC);
        size_t n = strlen(text);

        if (fd >= 0 && write(fd, text, n) != (ssize_t)n) {
                close(fd);
                return -1;
        }
        return fd;
}

/* The API server does not ask who signed a kubelet's certificate unless it is told to. */
static int make_certificate(struct kubelet_server *s, struct err *reterr)
{
        const char *name = s->opts.node_name ?: "node";
        const char *const names[] = {name, "localhost", NULL}, *const ips[] = {"127.0.0.1", NULL};
        const struct x509_spec spec = {
                .common_name = name, .dns_names = names, .ips = ips, .server = true, .lifetime_s = CERT_LIFE_S};
        _cleanup_free_ char *ca_key = NULL, *ca_cert = NULL, *cert = NULL, *key = NULL;
        _cleanup_(x509_ca_freep) struct x509_ca *ca = NULL;
        int r = x509_key_new(&ca_key, reterr);

        if (!r)
                r = x509_ca_cert_new(ca_key, arena_printf(&s->mem, "%s-ca", name), CERT_LIFE_S, &ca_cert, reterr);
        if (!r)
                r = x509_ca_new(ca_cert, ca_key, &ca, reterr);
        if (!r)
                r = x509_issue(ca, &spec, &cert, &key, reterr);
        if (r)
                return r;
        s->cert_fd = memory_file("kubelet.crt", cert);
        s->key_fd = memory_file("kubelet.key", key);
        if (s->cert_fd < 0 || s->key_fd < 0)
                return err_set(reterr, -errno, "the server's certificate: %s", strerror(errno));
        s->opts.cert_file = arena_printf(&s->mem, "/proc/self/fd/%d", s->cert_fd);
        s->opts.key_file = arena_printf(&s->mem, "/proc/self/fd/%d", s->key_fd);
        return 0;
}

static void copy_opts(struct kubelet_server *s, const struct kubelet_server_opts *o)
{
        const char **strings[] = {&s->opts.address,     &s->opts.cert_file, &s->opts.key_file, &s->opts.client_ca_file,
                                  &s->opts.client_name, &s->opts.node_name, &s->opts.log_dir};

        s->opts = *o;
        for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
                if (*strings[i])
                        *strings[i] = arena_strdup(&s->mem, *strings[i]);
}

static void *run_streams(void *userdata)
{
        struct kubelet_server *s = userdata;

        loop_run(s->streams);
        return NULL;
}

/* No signal is for this thread; a reader of a pipe that is gone is an error of write. */
static int start_streams(struct kubelet_server *s, struct err *reterr)
{
        sigset_t all, before;
        int r = loop_new(&s->streams);

        if (!r)
                r = logwatch_new(s->streams, s, &s->logwatch);
        if (r)
                return err_set(reterr, r, "the loop of streams: %s", strerror(-r));
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = -pthread_create(&s->streams_thread, NULL, run_streams, s);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        s->streams_running = !r;
        return r ? err_set(reterr, r, "the thread of streams: %s", strerror(-r)) : 0;
}

static int start_http(struct kubelet_server *s, struct err *reterr)
{
        const struct http_app app = {.userdata = s, .classify = classify, .handle = handle, .error = fill_error};
        const struct http_config config = {.address = s->opts.address ?: "0.0.0.0",
                                           .port = s->opts.port,
                                           .cert_file = s->opts.cert_file,
                                           .key_file = s->opts.key_file,
                                           .client_ca_file = s->opts.client_ca_file,
                                           .loops = 1,
                                           .workers = 1,
                                           .max_body = 64 * 1024,
                                           .max_connections = 2048};

        return http_server_new(&config, &app, &s->http, reterr);
}

int kubelet_server_new(const struct kubelet_server_opts *opts, struct kubelet_server **ret, struct err *reterr)
{
        struct kubelet_server *s = mem_new(struct kubelet_server);
        int r = 0;

        atomic_init(&s->refs, 1);
        s->cert_fd = s->key_fd = -1;
        pthread_mutex_init(&s->lock, NULL);
        copy_opts(s, opts);
        s->samples = samples_new();
        if (!s->opts.client_ca_file)
                r = err_set(reterr, -EINVAL,
                            "the kubelet's server needs the CA of the API server's client certificate");
        if (!r && !s->opts.cert_file)
                r = make_certificate(s, reterr);
        if (!r)
                r = start_streams(s, reterr);
        if (!r)
                r = start_http(s, reterr);
        if (r) {
                kubelet_server_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

uint16_t kubelet_server_port(const struct kubelet_server *s)
{
        return http_server_port(s->http);
}

/* What waits for this loop, which does not turn any more, is answered here; what still comes, at once. */
static void answer_all(struct kubelet_server *s)
{
        struct ask *a;

        do {
                pthread_mutex_lock(&s->lock);
                s->ending = true;
                a = s->asks;
                pthread_mutex_unlock(&s->lock);
                if (a)
                        ask_fail(a, 503, "the kubelet is ending");
        } while (a);
}

static void end_streams(void *userdata)
{
        struct kubelet_server *s = userdata;

        while (s->clients)
                s->clients->end(s->clients);
        loop_stop(s->streams);
}

static void stop_streams(struct kubelet_server *s)
{
        if (s->streams_running) {
                loop_post(s->streams, end_streams, s);
                pthread_join(s->streams_thread, NULL);
        }
        logwatch_free(TAKE_PTR(s->logwatch));
        loop_free(TAKE_PTR(s->streams));
}

void kubelet_server_free(struct kubelet_server *s)
{
        if (!s)
                return;
        s->closed = true;
        remotes_end(s);
        answer_all(s);
        if (s->http)
                http_server_stop(s->http, STOP_GRACE_MS);
        stop_streams(s);
        for (int i = 0; i < 2; i++)
                if ((i ? s->key_fd : s->cert_fd) >= 0)
                        close(i ? s->key_fd : s->cert_fd);
        server_unref(s);
}
