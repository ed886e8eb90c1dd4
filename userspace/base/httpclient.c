/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_start and http_call_cancel only post to the loop: libcurl must not be entered from its own callbacks, and so no
 * caller has to know whether it is inside one. References to a call: the client's list until it ends, each post under
 * way, and the user who asked for it. Once a call has ended, its client may be gone; its loop is still there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/httptransfer.h"
#include "base/mem.h"
#include "base/str.h"

/* Left alone, libcurl keeps four connections for each call under way, so that it closes most of those of a burst at its
 * end, and the next one begins with handshakes. */
#define KEPT_CONNECTIONS 256L

struct http_call {
        struct http_transfer transfer;
        struct http_handler handler;
        struct loop *loop;
        struct http_call *prev, *next; /* in client->calls */
        atomic_uint refs;
        bool running, ended; /* loop's thread only */
};

/* A socket of libcurl's that the loop watches. */
struct watched {
        struct http_client *client;
        curl_socket_t fd;
        struct loop_fd *source;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
        curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void link_call(struct http_client *c, struct http_call *call)
{
        pthread_mutex_lock(&c->lock);
        call->next = c->calls;
        if (call->next)
                call->next->prev = call;
        c->calls = call;
        pthread_mutex_unlock(&c->lock);
}

static void unlink_call(struct http_client *c, struct http_call *call)
{
        pthread_mutex_lock(&c->lock);
        if (call->prev)
                call->prev->next = call->next;
        else
                c->calls = call->next;
        if (call->next)
                call->next->prev = call->prev;
        pthread_mutex_unlock(&c->lock);
}

static void call_end(struct http_call *call, CURLcode result)
{
        struct http_client *c = call->transfer.client;

        call->ended = true;
        if (call->running)
                curl_multi_remove_handle(c->multi, call->transfer.easy);
        unlink_call(c, call);
        http_transfer_finish(&call->transfer, result);
        call->handler.done(call->transfer.userdata, &call->transfer.resp);
        http_call_unref(call);
}

static void reap(struct http_client *c)
{
        CURLMsg *msg;
        int left;

        while ((msg = curl_multi_info_read(c->multi, &left))) {
                struct http_call *call = NULL;

                if (msg->msg != CURLMSG_DONE)
                        continue;
                curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
                call_end(call, msg->data.result);
        }
}

static void on_socket_ready(void *userdata, unsigned int events)
{
        struct watched *w = userdata;
        struct http_client *c = w->client;
        int running, mask = (events & LOOP_READ ? CURL_CSELECT_IN : 0) | (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0);

        curl_multi_socket_action(c->multi, w->fd, mask, &running);
        reap(c);
}

static void on_timeout(void *userdata)
{
        struct http_client *c = userdata;
        int running;

        curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        reap(c);
}

static int on_multi_timer(CURLM *multi, long ms, void *arg)
{
        struct http_client *c = arg;

        if (ms < 0)
                loop_timer_cancel(c->timer);
        else
                loop_timer_set(c->timer, (uint64_t)ms);
        return 0;
}

static int on_multi_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket)
{
        struct http_client *c = arg;
        struct watched *w = socket;
        unsigned int events = (what & CURL_POLL_IN ? LOOP_READ : 0) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0);

        if (what == CURL_POLL_REMOVE) {
                if (w)
                        loop_fd_free(w->source);
                free(w);
                curl_multi_assign(c->multi, fd, NULL);
                return 0;
        }
        if (w)
                return loop_fd_set(w->source, events) ? -1 : 0;
        w = mem_new(struct watched);
        *w = (struct watched){.client = c, .fd = fd};
        if (loop_fd_new(c->loop, fd, events, on_socket_ready, w, &w->source)) {
                free(w);
                return -1;
        }
        curl_multi_assign(c->multi, fd, w);
        return 0;
}

/* Runs in the loop. */
static void begin(void *userdata)
{
        struct http_call *call = userdata;
        struct http_client *c = call->transfer.client;

        if (!call->ended) {
                call->running = curl_multi_add_handle(c->multi, call->transfer.easy) == CURLM_OK;
                if (!call->running)
                        call_end(call, CURLE_FAILED_INIT);
        }
        http_call_unref(call);
}

int http_start(struct http_client *c, const struct http_client_request *req, const struct http_handler *h,
               void *userdata, struct http_call **ret)
{
        struct http_call *call;
        CURL *easy = curl_easy_init();
        int r;

        if (!easy)
                return -ENOMEM;
        call = mem_new(struct http_call);
        call->handler = *h;
        call->loop = c->loop;
        call->transfer =
                (struct http_transfer){.client = c, .easy = easy, .handler = &call->handler, .userdata = userdata};
        atomic_init(&call->refs, ret ? 3 : 2); /* the list's, the post's, the user's */
        r = http_transfer_prepare(&call->transfer, req);
        if (r) {
                http_transfer_deinit(&call->transfer);
                curl_easy_cleanup(easy);
                free(call);
                return r;
        }
        curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
        if (ret)
                *ret = call;
        link_call(c, call);
        loop_post(c->loop, begin, call);
        return 0;
}

static void cancel(void *userdata)
{
        struct http_call *call = userdata;

        if (!call->ended) {
                call->transfer.verdict = -ECANCELED;
                call_end(call, CURLE_ABORTED_BY_CALLBACK);
        }
        http_call_unref(call);
}

void http_call_cancel(struct http_call *call)
{
        atomic_fetch_add(&call->refs, 1);
        loop_post(call->loop, cancel, call);
}

void http_call_unref(struct http_call *call)
{
        if (!call || atomic_fetch_sub(&call->refs, 1) != 1)
                return;
        curl_easy_cleanup(call->transfer.easy);
        http_transfer_deinit(&call->transfer);
        free(call);
}

static CURL *take_idle(struct http_client *c)
{
        CURL *easy = NULL;

        pthread_mutex_lock(&c->lock);
        if (c->nidle)
                easy = c->idle[--c->nidle];
        pthread_mutex_unlock(&c->lock);
        return easy ? easy : curl_easy_init();
}

static void give_idle(struct http_client *c, CURL *easy)
{
        curl_easy_reset(easy); /* keeps its connections */
        pthread_mutex_lock(&c->lock);
        if (c->nidle < ARRAY_SIZE(c->idle))
                c->idle[c->nidle++] = TAKE_PTR(easy);
        pthread_mutex_unlock(&c->lock);
        if (easy)
                curl_easy_cleanup(easy);
}

int http_do(struct http_client *c, const struct http_client_request *req, struct http_client_response *ret,
            struct err *reterr)
{
        struct http_transfer t = {.client = c, .easy = take_idle(c)};
        int r;

        *ret = HTTP_CLIENT_RESPONSE_NULL;
        if (!t.easy)
                return err_set(reterr, -ENOMEM, "out of memory");
        r = http_transfer_prepare(&t, req);
        if (r)
                err_set(reterr, r, "%s%s: not a URL", c->base_url, req->path);
        else
                http_transfer_finish(&t, curl_easy_perform(t.easy));
        give_idle(c, t.easy);
        if (!r && t.resp.error)
                r = err_set(reterr, t.resp.error, "%s %s%s: %s", req->method ? req->method : "GET", c->base_url,
                            req->path, t.resp.message);
        *ret = TAKE(t.resp, HTTP_CLIENT_RESPONSE_NULL);
        http_transfer_deinit(&t);
        return r;
}

static int pem_set(struct http_pem *pem, const char *file, const char *text, struct err *reterr)
{
        if (file) {
                pem->path = mem_strdup(file);
                return access(file, R_OK) ? err_set(reterr, -errno, "%s: %s", file, strerror(errno)) : 0;
        }
        if (!text)
                return 0;
        pem->fd = memfd_create("pem", MFD_CLOEXEC);
        if (pem->fd < 0 || write(pem->fd, text, strlen(text)) != (ssize_t)strlen(text))
                return err_set(reterr, -EIO, "cannot keep a certificate in memory: %s", strerror(errno));
        pem->path = mem_printf("/proc/self/fd/%d", pem->fd);
        return 0;
}

/* libcurl names the expected server by the URL alone, so that name goes there and the true address is dialled. */
static int set_server_name(struct http_client *c, const char *url, const char *name, struct err *reterr)
{
        _cleanup_free_ char *host = NULL, *port = NULL;
        CURLU *u = curl_url();
        int r = 0;

        if (curl_url_set(u, CURLUPART_URL, url, 0) || curl_url_get(u, CURLUPART_HOST, &host, 0) ||
            curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT)) {
                r = err_set(reterr, -EINVAL, "%s: not a URL", url);
        } else {
                c->base_url = mem_printf("https://%s:%s", name, port);
                c->connect_to = mem_printf("%s:%s:%s:%s", name, port, host, port);
                c->connect_to_list = curl_slist_append(NULL, c->connect_to);
        }
        curl_url_cleanup(u);
        return r;
}

static int set_up(struct http_client *c, const struct http_client_opts *opts, struct err *reterr)
{
        const struct http_tls *tls = &opts->tls;
        int r = pem_set(&c->ca, tls->ca_file, tls->ca_pem, reterr);

        if (!r)
                r = pem_set(&c->cert, tls->cert_file, tls->cert_pem, reterr);
        if (!r)
                r = pem_set(&c->key, tls->key_file, tls->key_pem, reterr);
        if (!r && !str_empty(tls->server_name) && str_has_prefix(opts->base_url, "https://"))
                r = set_server_name(c, opts->base_url, tls->server_name, reterr);
        if (!r && !c->base_url)
                c->base_url = mem_strdup(opts->base_url);
        return r;
}

static int set_up_multi(struct http_client *c)
{
        int r = loop_timer_new(c->loop, on_timeout, c, &c->timer);

        if (r)
                return r;
        c->multi = curl_multi_init();
        if (!c->multi)
                return -ENOMEM;
        curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_multi_socket);
        curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
        curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_multi_timer);
        curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
        curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS);
        return 0;
}

int http_client_new(const struct http_client_opts *opts, struct http_client **ret, struct err *reterr)
{
        _cleanup_(http_client_freep) struct http_client *c = mem_new(struct http_client);
        int r;

        pthread_once(&curl_once, init_curl);
        pthread_mutex_init(&c->lock, NULL);
        c->ca.fd = c->cert.fd = c->key.fd = -1;
        c->loop = opts->loop;
        c->unix_socket = mem_strdup(opts->unix_socket);
        c->user_agent = mem_strdup(opts->user_agent);
        c->insecure = opts->tls.insecure;
        c->http2 = opts->http2;
        c->connect_timeout_ms = opts->connect_timeout_ms ? opts->connect_timeout_ms : 10000;
        r = set_up(c, opts, reterr);
        if (r)
                return r;
        if (c->loop && (r = set_up_multi(c)))
                return err_set(reterr, r, "cannot set up HTTP calls: %s", strerror(-r));
        *ret = TAKE_PTR(c);
        return 0;
}

static void pem_deinit(struct http_pem *pem)
{
        free(pem->path);
        closep(&pem->fd);
}

void http_client_free(struct http_client *c)
{
        if (!c)
                return;
        while (c->calls) {
                c->calls->transfer.verdict = -ECANCELED;
                call_end(c->calls, CURLE_ABORTED_BY_CALLBACK);
        }
        if (c->multi)
                curl_multi_cleanup(c->multi);
        loop_timer_free(c->timer);
        for (size_t i = 0; i < c->nidle; i++)
                curl_easy_cleanup(c->idle[i]);
        curl_slist_free_all(c->connect_to_list);
        pem_deinit(&c->ca);
        pem_deinit(&c->cert);
        pem_deinit(&c->key);
        free(c->base_url);
        free(c->unix_socket);
        free(c->user_agent);
        free(c->connect_to);
        pthread_mutex_destroy(&c->lock);
        free(c);
}
