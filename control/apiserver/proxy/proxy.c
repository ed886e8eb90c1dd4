/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "apiserver/proxy/session.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "base/mem.h"
#include "base/str.h"

struct proxy_creds {
        unsigned refs;
        bool verify;
        gnutls_certificate_credentials_t cred;
};

struct proxy {
        char *ca_file, *cert_file, *key_file;
        bool insecure;
        struct loop *loop;
        pthread_t thread;
        struct session *sessions;
        struct proxy_creds *kubelet, *any;
        atomic_uint count;
        atomic_bool draining;
        char scratch[BACKEND_READ];
};

struct loop *proxy_loop(struct proxy *p)
{
        return p->loop;
}

char *proxy_scratch(struct proxy *p)
{
        return p->scratch;
}

/* ---- certificates ---- */

gnutls_certificate_credentials_t proxy_creds_use(struct proxy_creds *c)
{
        return c->cred;
}

bool proxy_creds_verify(const struct proxy_creds *c)
{
        return c->verify;
}

void proxy_creds_unref(struct proxy_creds *c)
{
        if (!c || --c->refs)
                return;
        gnutls_certificate_free_credentials(c->cred);
        free(c);
}

static int load_kubelet(const struct proxy *p, struct proxy_creds *c, struct err *reterr)
{
        int r;

        c->verify = !p->insecure;
        if (c->verify && !p->ca_file)
                return err_set(reterr, -EINVAL,
                               "tls: kubelets cannot be verified without --kubelet-certificate-authority");
        if (c->verify) {
                r = gnutls_certificate_set_x509_trust_file(c->cred, p->ca_file, GNUTLS_X509_FMT_PEM);
                if (r <= 0)
                        return err_set(reterr, -EINVAL, "tls: CA %s: %s", p->ca_file,
                                       r < 0 ? gnutls_strerror(r) : "there is no certificate in it");
        }
        if (!p->cert_file)
                return 0;
        r = gnutls_certificate_set_x509_key_file(c->cred, p->cert_file, p->key_file, GNUTLS_X509_FMT_PEM);
        return r < 0 ? err_set(reterr, -EINVAL, "tls: certificate %s: %s", p->cert_file, gnutls_strerror(r)) : 0;
}

struct proxy_creds *proxy_creds_get(struct proxy *p, enum proxy_tls tls, struct err *reterr)
{
        struct proxy_creds **slot = tls == PROXY_TLS_KUBELET ? &p->kubelet : &p->any, *c;

        if (!*slot) {
                c = mem_new(struct proxy_creds);
                c->refs = 1;
                if (gnutls_certificate_allocate_credentials(&c->cred) < 0) {
                        free(c);
                        err_set(reterr, -ENOMEM, "out of memory");
                        return NULL;
                }
                if (tls == PROXY_TLS_KUBELET && load_kubelet(p, c, reterr)) {
                        proxy_creds_unref(c);
                        return NULL;
                }
                *slot = c;
        }
        (*slot)->refs++;
        return *slot;
}

static void forget_creds(void *userdata)
{
        struct proxy *p = userdata;

        proxy_creds_unref(TAKE_PTR(p->kubelet));
}

void proxy_reload(struct proxy *p)
{
        loop_post(p->loop, forget_creds, p);
}

/* ---- sessions ---- */

void proxy_forget(struct session *s)
{
        struct proxy *p = s->proxy;

        if (s->prev)
                s->prev->next = s->next;
        else if (p->sessions == s)
                p->sessions = s->next;
        if (s->next)
                s->next->prev = s->prev;
        s->prev = s->next = NULL;
        atomic_fetch_sub(&p->count, 1);
}

static void adopt(void *userdata)
{
        struct session *s = userdata;
        struct proxy *p = s->proxy;

        s->next = p->sessions;
        if (s->next)
                s->next->prev = s;
        p->sessions = s;
        if (atomic_load(&p->draining)) {
                session_answer_status(s, 503, NULL, "the server is shutting down");
                session_end(s);
        } else {
                session_begin(s);
        }
}

static bool is_kept_header(const char *name)
{
        static const char *const dropped[] = {"Host", "Authorization", "Expect", "X-Forwarded-For",
                                              "X-Forwarded-Proto"};

        for (size_t i = 0; i < ARRAY_SIZE(dropped); i++)
                if (!strcasecmp(name, dropped[i]))
                        return false;
        return strncasecmp(name, "Impersonate-", 12) != 0 && !proxy_is_hop_header(name);
}

/* Connection: Upgrade, with a protocol. */
static const char *asked_upgrade(const struct http_request *http)
{
        const char *connection = http_header(http, "Connection");

        return connection && strcasestr(connection, "upgrade") ? http_header(http, "Upgrade") : NULL;
}

static void write_request(struct strbuf *b, const struct http_request *http, const struct proxy_target *t,
                          const char *where)
{
        const char *upgrade = asked_upgrade(http);

        strbuf_printf(b, "%s %s HTTP/1.1\r\nHost: %s\r\n", http->method, t->path, where);
        for (size_t i = 0; i < http->nheaders; i++)
                if (is_kept_header(http->headers[i].name))
                        strbuf_printf(b, "%s: %s\r\n", http->headers[i].name, http->headers[i].value);
        if (upgrade)
                strbuf_printf(b, "Connection: Upgrade\r\nUpgrade: %s\r\n", upgrade);
        else
                strbuf_add_str(b, "Connection: close\r\n");
        if (t->style == PROXY_HTTP && http->peer) {
                size_t n = (size_t)(strrchr(http->peer->address, ':') - http->peer->address);

                strbuf_printf(b, "X-Forwarded-For: %.*s\r\nX-Forwarded-Proto: https\r\n", (int)n, http->peer->address);
        }
        if (http->body_len || !strcmp(http->method, "POST") || !strcmp(http->method, "PUT"))
                strbuf_printf(b, "Content-Length: %zu\r\n", http->body_len);
        strbuf_add_str(b, "\r\n");
        strbuf_add(b, http->body, http->body_len);
}

static struct session *session_new(struct proxy *p, const struct http_request *http, const struct proxy_target *t,
                                   const union backend_address *address)
{
        struct session *s = mem_new(struct session);

        *s = (struct session){
                .proxy = p,
                .http = http,
                .style = t->style,
                .tls = t->tls,
                .address = *address,
                .server_name = mem_strdup(t->tls == PROXY_TLS_KUBELET ? t->server_name : NULL),
                .where = mem_printf(strchr(t->ip, ':') ? "[%s]:%u" : "%s:%u", t->ip, t->port),
                .to_head = str_eq(http->method, "HEAD"),
                .wants_upgrade = asked_upgrade(http),
                .backend = BACKEND_NULL,
                .local = -1,
        };
        atomic_init(&s->refs, 1);
        s->url = mem_printf("%s://%s%s", t->tls == PROXY_PLAIN ? "http" : "https", s->where, t->path);
        session_body_init(s);
        write_request(&s->out, http, t, s->where);
        return s;
}

int proxy_pass(struct api_request *req, const struct proxy_target *t)
{
        struct proxy *p = req->server->proxy;
        union backend_address address;

        if (!p || atomic_load(&p->draining))
                return api_fail(req, 503, "the server does not pass requests on now");
        if (backend_address(t->ip, t->port, &address))
                return api_fail(req, 500, "\"%s\" is no IP address", t->ip);
        if (atomic_fetch_add(&p->count, 1) >= PROXY_SESSIONS_MAX) {
                atomic_fetch_sub(&p->count, 1);
                return api_fail(req, 429, "too many requests are being passed on, try again later");
        }
        http_later(req->http);
        loop_post(p->loop, adopt, session_new(p, req->http, t, &address));
        return API_ANSWERED;
}

/* ---- life ---- */

static void *run(void *arg)
{
        loop_run(((struct proxy *)arg)->loop);
        return NULL;
}

int proxy_new(const struct proxy_config *config, struct proxy **ret, struct err *reterr)
{
        struct proxy *p = mem_new(struct proxy);
        sigset_t all, old;
        int r = loop_new(&p->loop);

        p->ca_file = mem_strdup(config->ca_file);
        p->cert_file = mem_strdup(config->cert_file);
        p->key_file = mem_strdup(config->key_file);
        p->insecure = config->insecure;
        if (!r) {
                sigfillset(&all);
                pthread_sigmask(SIG_BLOCK, &all, &old);
                r = -pthread_create(&p->thread, NULL, run, p);
                pthread_sigmask(SIG_SETMASK, &old, NULL);
        }
        if (r) {
                loop_free(p->loop);
                free(p->ca_file);
                free(p->cert_file);
                free(p->key_file);
                free(p);
                return err_set(reterr, r, "starting the thread that talks to kubelets: %s", strerror(-r));
        }
        *ret = p;
        return 0;
}

static void drain(void *userdata)
{
        struct proxy *p = userdata;
        struct session *s, *next;

        for (s = p->sessions; s; s = next) {
                next = s->next;
                if (!s->http)
                        continue;
                session_answer_status(s, 503, NULL, "the server is shutting down");
                session_end(s);
        }
}

void proxy_drain(struct proxy *p)
{
        if (!p)
                return;
        atomic_store(&p->draining, true);
        loop_post(p->loop, drain, p);
}

static void end_all(void *userdata)
{
        struct proxy *p = userdata;

        while (p->sessions)
                session_end(p->sessions);
        proxy_creds_unref(TAKE_PTR(p->kubelet));
        proxy_creds_unref(TAKE_PTR(p->any));
        loop_stop(p->loop);
}

void proxy_free(struct proxy *p)
{
        if (!p)
                return;
        atomic_store(&p->draining, true);
        loop_post(p->loop, end_all, p);
        pthread_join(p->thread, NULL);
        loop_free(p->loop);
        free(p->ca_file);
        free(p->cert_file);
        free(p->key_file);
        free(p);
}
