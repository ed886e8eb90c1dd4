/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/ratelimit.h"
#include "base/str.h"
#include "kube/client.h"

#define TOKEN_CHECK_MS  10000
#define BACKOFF_MIN_MS  100
#define BACKOFF_MAX_MS  10000
#define RETRY_AFTER_MAX 60

struct kube_client {
        struct http_client *http;
        struct loop *loop;
        uint32_t timeout_ms;
        unsigned int retries;
        const atomic_bool *cancel;
        struct kube_call *calls; /* this and the next three: loop's thread only */
        uint32_t max_calls, sent;
        struct kube_call *first_waiting, *last_waiting;

        pthread_mutex_t lock; /* what follows */
        struct ratelimit limit;
        char *token, *token_file;
        struct timespec token_mtime;
        uint64_t token_check_ms;
};

/* token is loaded again when its file has changed. */
static void refresh_token(struct kube_client *c)
{
        uint64_t now = clock_mono_ms();
        struct err err = ERR_NULL;
        struct stat st;
        char *text;
        size_t n;

        if (!c->token_file || (c->token && now < c->token_check_ms))
                return;
        c->token_check_ms = now + TOKEN_CHECK_MS;
        if (stat(c->token_file, &st) == 0 && c->token && st.st_mtim.tv_sec == c->token_mtime.tv_sec &&
            st.st_mtim.tv_nsec == c->token_mtime.tv_nsec)
                return;
        if (file_read(c->token_file, 1 << 20, &text, &n, &err)) {
                log_limited(LOG_LEVEL_WARN, 60000, "cannot read token", "err=%s", err.msg);
                return;
        }
        while (n && strchr(" \t\r\n", text[n - 1]))
                text[--n] = '\0';
        free(c->token);
        c->token = text;
        c->token_mtime = st.st_mtim;
}

/* "Authorization: Bearer ...", or NULL; the caller's. */
static char *authorization(struct kube_client *c)
{
        char *s;

        pthread_mutex_lock(&c->lock);
        refresh_token(c);
        s = c->token ? mem_printf("Authorization: Bearer %s", c->token) : NULL;
        pthread_mutex_unlock(&c->lock);
        return s;
}

static uint64_t reserve(struct kube_client *c)
{
        uint64_t wait;

        pthread_mutex_lock(&c->lock);
        wait = ratelimit_reserve(&c->limit, clock_mono_ns());
        pthread_mutex_unlock(&c->lock);
        return wait;
}

int kube_client_new(const struct kube_client_opts *opts, struct kube_client **ret, struct err *reterr)
{
        const struct kubeconfig *k = opts->config;
        const struct http_client_opts http = {
                .loop = opts->loop,
                .base_url = k->server,
                .user_agent = opts->user_agent ? opts->user_agent : "fairlead/" FAIRLEAD_VERSION,
                .tls = {.ca_file = k->ca_file,
                        .ca_pem = k->ca_pem,
                        .cert_file = k->cert_file,
                        .cert_pem = k->cert_pem,
                        .key_file = k->key_file,
                        .key_pem = k->key_pem,
                        .server_name = k->server_name,
                        .insecure = k->insecure},
        };
        _cleanup_(kube_client_freep) struct kube_client *c = mem_new(struct kube_client);
        int r;

        pthread_mutex_init(&c->lock, NULL);
        c->loop = opts->loop;
        c->timeout_ms = opts->timeout_ms ? opts->timeout_ms : 30000;
        c->retries = opts->retries ? opts->retries : 10;
        c->cancel = opts->cancel;
        c->max_calls = opts->max_calls;
        c->token = k->token_file ? NULL : mem_strdup(k->token);
        c->token_file = mem_strdup(k->token_file);
        ratelimit_init(&c->limit, opts->qps > 0 ? opts->qps : 50, opts->burst ? opts->burst : 100);
        r = http_client_new(&http, &c->http, reterr);
        if (r)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

void kube_client_free(struct kube_client *c)
{
        if (!c)
                return;
        while (c->calls)
                kube_cancel(c->calls);
        http_client_free(c->http);
        pthread_mutex_destroy(&c->lock);
        free(c->token);
        free(c->token_file);
        free(c);
}

struct loop *kube_client_loop(const struct kube_client *c)
{
        return c->loop;
}

static void add_segment(struct strbuf *b, const char *s)
{
        strbuf_add_char(b, '/');
        http_escape(b, s);
}

char *kube_path(const struct kube_resource *r, const char *ns, const char *name, const char *sub)
{
        struct strbuf b = STRBUF_NULL;

        strbuf_add_str(&b, str_empty(r->group) ? "/api" : "/apis");
        if (!str_empty(r->group))
                add_segment(&b, r->group);
        add_segment(&b, r->version);
        if (!str_empty(ns)) {
                strbuf_add_str(&b, "/namespaces");
                add_segment(&b, ns);
        }
        add_segment(&b, r->plural);
        if (name)
                add_segment(&b, name);
        if (sub)
                add_segment(&b, sub);
        return strbuf_take(&b, NULL);
}

/* The headers and body of a request, as long as it is being started. */
struct prepared {
        char *auth, *type, *body;
        const char *headers[4];
        struct http_client_request http;
};

static void prepared_deinit(struct prepared *p)
{
        free(p->auth);
        free(p->type);
        free(p->body);
}

static void prepare(struct kube_client *c, const struct kube_request *req, struct prepared *p)
{
        size_t n = 0;

        *p = (struct prepared){.auth = authorization(c)};
        p->headers[n++] = "Accept: application/json";
        if (p->auth)
                p->headers[n++] = p->auth;
        if (req->body) {
                p->body = json_text(req->body);
                p->type = mem_printf("Content-Type: %s", req->content_type ? req->content_type : "application/json");
                p->headers[n++] = p->type;
        }
        p->http = (struct http_client_request){
                .method = req->method,
                .path = req->path,
                .headers = p->headers,
                .body = p->body,
                .body_len = p->body ? strlen(p->body) : 0,
                .timeout_ms = req->timeout_ms ? req->timeout_ms : c->timeout_ms,
                .cancel = c->cancel,
        };
}

static void status_set(struct kube_status *s, int code, const char *reason, const char *message)
{
        *s = (struct kube_status){.code = code, .retry_after_s = -1};
        str_copy(s->reason, sizeof(s->reason), reason ? reason : "");
        str_copy(s->message, sizeof(s->message), message ? message : "");
}

static int retry_after(const struct http_client_response *r)
{
        const char *value = http_response_header(r, "Retry-After");
        uint32_t s;

        return value && !str_parse_u32(value, &s) ? (int)MIN(s, (uint32_t)RETRY_AFTER_MAX) : -1;
}

/* The answer as kube_do returns it. */
static int interpret(const struct http_client_response *r, struct json_object **ret, struct kube_status *status)
{
        _cleanup_json_ struct json_object *o = NULL;
        struct err err = ERR_NULL;
        int parsed = 0;

        if (r->error) {
                status_set(status, 0, "", r->message);
                return r->error;
        }
        if (r->body.len)
                parsed = json_parse(r->body.data, r->body.len, &o, &err);
        if (r->status >= 200 && r->status < 300) {
                status_set(status, r->status, "", parsed ? err.msg : "");
                if (parsed)
                        return -EBADMSG;
                if (ret)
                        *ret = TAKE_PTR(o);
                return 0;
        }
        if (str_eq(json_get_str(o, "kind"), "Status"))
                status_set(status, r->status, json_get_str(o, "reason"), json_get_str(o, "message"));
        else
                status_set(status, r->status, "", r->body.len ? r->body.data : "no further explanation");
        status->retry_after_s = retry_after(r);
        return KUBE_REFUSED;
}

static int sleep_ns(struct kube_client *c, uint64_t ns)
{
        uint64_t until = clock_mono_ns() + ns;

        for (;;) {
                uint64_t now = clock_mono_ns(), step;
                struct timespec ts;

                if (c->cancel && atomic_load(c->cancel))
                        return -ECANCELED;
                if (now >= until)
                        return 0;
                step = c->cancel ? MIN(until - now, 100 * NS_PER_MS) : until - now;
                ts = (struct timespec){.tv_sec = (time_t)(step / NS_PER_S), .tv_nsec = (long)(step % NS_PER_S)};
                nanosleep(&ts, NULL);
        }
}

static int do_once(struct kube_client *c, const struct kube_request *req, struct json_object **ret,
                   struct kube_status *status)
{
        struct http_client_response resp;
        struct prepared p;
        int r = sleep_ns(c, reserve(c));

        if (r)
                return r;
        prepare(c, req, &p);
        http_do(c->http, &p.http, &resp, NULL);
        r = interpret(&resp, ret, status);
        http_response_deinit(&resp);
        prepared_deinit(&p);
        return r;
}

/* How long to wait before trying again, in ns; 0: not at all. */
static uint64_t retry_delay(const struct kube_request *req, int r, const struct kube_status *status,
                            unsigned int attempt)
{
        bool get = !req->method || str_eq(req->method, "GET");

        if (req->no_retry)
                return 0;
        if (r == KUBE_REFUSED && status->retry_after_s >= 0 && (status->code == 429 || status->code >= 500))
                return (uint64_t)MAX(status->retry_after_s, 1) * NS_PER_S;
        if (r == -ECONNREFUSED || (get && r == -ECONNRESET))
                return random_jitter(MIN((uint64_t)BACKOFF_MIN_MS << MIN(attempt, 10u), (uint64_t)BACKOFF_MAX_MS), 50) *
                       NS_PER_MS;
        return 0;
}

int kube_do(struct kube_client *c, const struct kube_request *req, struct json_object **ret, struct kube_status *status)
{
        struct kube_status mine;

        if (!status)
                status = &mine;
        for (unsigned int attempt = 0;; attempt++) {
                uint64_t delay;
                int r;

                status_set(status, 0, "", "");
                r = do_once(c, req, ret, status);
                delay = retry_delay(req, r, status, attempt);
                if (!delay || attempt >= c->retries)
                        return r;
                if (sleep_ns(c, delay))
                        return -ECANCELED;
        }
}

int kube_get(struct kube_client *c, const char *path, struct json_object **ret, struct kube_status *status)
{
        const struct kube_request req = {.path = path};

        return kube_do(c, &req, ret, status);
}

int kube_create(struct kube_client *c, const char *path, const struct json_object *o, struct json_object **ret,
                struct kube_status *status)
{
        const struct kube_request req = {.method = "POST", .path = path, .body = o};

        return kube_do(c, &req, ret, status);
}

int kube_update(struct kube_client *c, const char *path, const struct json_object *o, struct json_object **ret,
                struct kube_status *status)
{
        const struct kube_request req = {.method = "PUT", .path = path, .body = o};

        return kube_do(c, &req, ret, status);
}

int kube_patch(struct kube_client *c, const char *path, const char *content_type, const struct json_object *patch,
               struct json_object **ret, struct kube_status *status)
{
        const struct kube_request req = {.method = "PATCH", .path = path, .body = patch, .content_type = content_type};

        return kube_do(c, &req, ret, status);
}

int kube_delete(struct kube_client *c, const char *path, const struct json_object *options, struct kube_status *status)
{
        const struct kube_request req = {.method = "DELETE", .path = path, .body = options};

        return kube_do(c, &req, NULL, status);
}

static char *list_page_path(const char *path, const char *query, const char *token)
{
        struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "%s?limit=500", path);
        if (!str_empty(query))
                strbuf_printf(&b, "&%s", query);
        if (!str_empty(token)) {
                strbuf_add_str(&b, "&continue=");
                http_escape(&b, token);
        }
        return strbuf_take(&b, NULL);
}

int kube_list(struct kube_client *c, const char *path, const char *query,
              int (*fn)(void *userdata, struct json_object *item), void *userdata, struct kube_status *status)
{
        _cleanup_free_ char *token = NULL;

        do {
                _cleanup_free_ char *page_path = list_page_path(path, query, token);
                _cleanup_json_ struct json_object *page = NULL;
                int r = kube_get(c, page_path, &page, status);

                if (r)
                        return r;
                json_array_foreach (json_get(page, "items"), i, item) {
                        r = fn(userdata, item);
                        if (r)
                                return r;
                }
                free(token);
                token = mem_strdup(json_at_str(page, "metadata.continue"));
        } while (!str_empty(token));
        return 0;
}

/* A call on the loop: it waits for its turn of the rate limit, then for the answer. */
struct kube_call {
        struct kube_client *client; /* NULL: cancelled, nobody wants to know */
        struct kube_client *counts; /* in its sent; or NULL */
        struct kube_call *prev, *next;
        struct kube_call *next_waiting;
        bool waiting;
        struct loop_timer *timer; /* until it is sent */
        struct http_call *http;
        struct prepared prepared;
        char *method, *path;
        int (*data)(void *userdata, const char *data, size_t len);
        kube_done_fn done;
        void *userdata;
};

static void call_unlink(struct kube_call *call)
{
        if (call->prev)
                call->prev->next = call->next;
        else
                call->client->calls = call->next;
        if (call->next)
                call->next->prev = call->prev;
        call->client = NULL;
}

static void call_free(struct kube_call *call)
{
        loop_timer_free(call->timer);
        http_call_unref(call->http);
        prepared_deinit(&call->prepared);
        free(call->method);
        free(call->path);
        free(call);
}

static int on_data(void *userdata, const struct http_client_response *r, const char *data, size_t len)
{
        struct kube_call *call = userdata;

        return call->client ? call->data(call->userdata, data, len) : -ECANCELED;
}

/* ---- turns: at most max_calls are sent at a time ---- */

static void wait_for_turn(struct kube_call *call)
{
        struct kube_client *c = call->client;

        call->waiting = true;
        if (c->last_waiting)
                c->last_waiting->next_waiting = call;
        else
                c->first_waiting = call;
        c->last_waiting = call;
}

static void give_up_turn(struct kube_client *c, struct kube_call *call)
{
        struct kube_call *before = NULL, **at = &c->first_waiting;

        while (*at != call) {
                before = *at;
                at = &before->next_waiting;
        }
        *at = call->next_waiting;
        if (c->last_waiting == call)
                c->last_waiting = before;
        call->waiting = false;
        call->next_waiting = NULL;
}

static void call_dispatch(struct kube_call *call);

static void turn_is_over(struct kube_call *call)
{
        struct kube_client *c = TAKE_PTR(call->counts);
        struct kube_call *next;

        if (!c)
                return;
        c->sent--;
        next = c->first_waiting;
        if (!next)
                return;
        give_up_turn(c, next);
        call_dispatch(next);
}

static void on_done(void *userdata, struct http_client_response *resp)
{
        _cleanup_json_ struct json_object *o = NULL;
        struct kube_call *call = userdata;

        turn_is_over(call);
        if (call->client) {
                struct kube_status status;
                int r = interpret(resp, &o, &status);

                call_unlink(call);
                call->done(call->userdata, r, o, &status);
        }
        call_free(call);
}

static void call_fail(struct kube_call *call, int error)
{
        struct kube_status status;

        turn_is_over(call);
        status_set(&status, 0, "", strerror(-error));
        call_unlink(call);
        call->done(call->userdata, error, NULL, &status);
        call_free(call);
}

static void call_dispatch(struct kube_call *call)
{
        const struct http_handler h = {.data = call->data ? on_data : NULL, .done = on_done};
        struct kube_client *c = call->client;
        int r;

        if (c->max_calls && !call->data) {
                call->counts = c;
                c->sent++;
        }
        r = http_start(c->http, &call->prepared.http, &h, call, &call->http);
        if (r)
                call_fail(call, r);
}

static void call_send(void *userdata)
{
        struct kube_call *call = userdata;
        struct kube_client *c = call->client;

        if (c->max_calls && !call->data && c->sent >= c->max_calls)
                wait_for_turn(call);
        else
                call_dispatch(call);
}

struct kube_call *kube_stream(struct kube_client *c, const struct kube_request *req,
                              int (*data)(void *userdata, const char *data, size_t len), kube_done_fn done,
                              void *userdata)
{
        struct kube_call *call = mem_new(struct kube_call);

        *call = (struct kube_call){.client = c, .next = c->calls, .data = data, .done = done, .userdata = userdata};
        if (call->next)
                call->next->prev = call;
        c->calls = call;
        prepare(c, req, &call->prepared);
        call->method = mem_strdup(req->method);
        call->path = mem_strdup(req->path);
        call->prepared.http.method = call->method;
        call->prepared.http.path = call->path;
        call->prepared.http.cancel = NULL;
        if (data && !req->timeout_ms)
                call->prepared.http.timeout_ms = 0;
        if (loop_timer_new(c->loop, call_send, call, &call->timer))
                abort(); /* out of memory */
        loop_timer_set_ns(call->timer, reserve(c));
        return call;
}

struct kube_call *kube_start(struct kube_client *c, const struct kube_request *req, kube_done_fn done, void *userdata)
{
        return kube_stream(c, req, NULL, done, userdata);
}

void kube_cancel(struct kube_call *call)
{
        if (!call)
                return;
        if (call->waiting)
                give_up_turn(call->client, call);
        call_unlink(call);
        if (call->http)
                http_call_cancel(call->http); /* on_done frees it */
        else
                call_free(call);
}
