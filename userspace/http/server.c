/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http/internal.h"
#include "base/mem.h"

#define LOOPS_DEFAULT_MAX   4
#define WORKERS_DEFAULT     64
#define BODIES_DEFAULT      64 /* full ones at a time */
#define MAX_BODY_DEFAULT    (3 * 1024 * 1024)
#define MAX_HEAD_DEFAULT    (64 * 1024)
#define CONNECTIONS_DEFAULT 16384
#define HEAD_MS_DEFAULT     32000 /* as kube-apiserver's ReadHeaderTimeout */
#define BODY_MS_DEFAULT     60000
#define IDLE_MS_DEFAULT     90000 /* as kube-apiserver's IdleTimeout */
#define WRITE_MS_DEFAULT    60000
#define WORKER_IDLE_MS      5000
#define LINGER_MS           2000

static void set_defaults(struct http_server *s)
{
        struct http_config *config = &s->config;
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);

#define SET_DEFAULT(field, value) config->field = config->field ? config->field : (value)
        SET_DEFAULT(loops, (unsigned)MAX(1, MIN(cpus, LOOPS_DEFAULT_MAX)));
        SET_DEFAULT(workers, WORKERS_DEFAULT);
        SET_DEFAULT(max_body, MAX_BODY_DEFAULT);
        SET_DEFAULT(max_body_total, BODIES_DEFAULT * config->max_body);
        SET_DEFAULT(max_head, MAX_HEAD_DEFAULT);
        SET_DEFAULT(max_connections, CONNECTIONS_DEFAULT);
        SET_DEFAULT(head_timeout_ms, HEAD_MS_DEFAULT);
        SET_DEFAULT(body_timeout_ms, BODY_MS_DEFAULT);
        SET_DEFAULT(idle_timeout_ms, IDLE_MS_DEFAULT);
        SET_DEFAULT(write_timeout_ms, WRITE_MS_DEFAULT);
        SET_DEFAULT(worker_idle_ms, WORKER_IDLE_MS);
#undef SET_DEFAULT
        s->timeouts[TIMER_HANDSHAKE] = config->head_timeout_ms;
        s->timeouts[TIMER_IDLE] = config->idle_timeout_ms;
        s->timeouts[TIMER_HEAD] = config->head_timeout_ms;
        s->timeouts[TIMER_BODY] = config->body_timeout_ms;
        s->timeouts[TIMER_WRITE] = config->write_timeout_ms;
        s->timeouts[TIMER_LINGER] = LINGER_MS;
}

_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port), "port");

static int listen_on(struct http_server *s, struct err *reterr)
{
        struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *ai;
        struct sockaddr_in6 sa = {0}; /* the port of a struct sockaddr_in is in the same place */
        socklen_t len = sizeof(sa);
        char port[8];
        int one = 1, zero = 0, r = 0;

        snprintf(port, sizeof(port), "%u", s->config.port);
        if (getaddrinfo(s->config.address, port, &hints, &ai))
                return err_set(reterr, -EINVAL, "%s is not an IP address", s->config.address);
        s->listen_fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (s->listen_fd >= 0) {
                setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
                if (ai->ai_family == AF_INET6)
                        setsockopt(s->listen_fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
        }
        if (s->listen_fd < 0 || bind(s->listen_fd, ai->ai_addr, ai->ai_addrlen) < 0 ||
            listen(s->listen_fd, SOMAXCONN) < 0 || getsockname(s->listen_fd, (struct sockaddr *)&sa, &len) < 0)
                r = err_set(reterr, -errno, "listening on %s port %u: %m", s->config.address, s->config.port);
        freeaddrinfo(ai);
        if (r)
                return r;
        s->port = ntohs(sa.sin6_port);
        return 0;
}

/* Threads without signals: those are for who called. */
static int start_loops(struct http_server *s, struct err *reterr)
{
        sigset_t all, old;
        int r;

        while (s->nloops < s->config.loops) {
                r = http_loop_init(&s->loops[s->nloops++], s);
                if (r < 0)
                        return err_set(reterr, r, "event loop: %s", strerror(-r));
        }
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &old);
        for (r = 0; s->nthreads < s->nloops && !r; s->nthreads += !r)
                r = pthread_create(&s->loops[s->nthreads].thread, NULL, http_loop_run, &s->loops[s->nthreads]);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        return r ? err_set(reterr, -r, "starting a thread: %s", strerror(r)) : 0;
}

static int start_accepting(struct http_server *s, struct err *reterr)
{
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};

        if (epoll_ctl(s->loops[0].epoll_fd, EPOLL_CTL_ADD, s->listen_fd, &ev) < 0)
                return err_set(reterr, -errno, "event loop: %m");
        return 0;
}

static int server_init(struct http_server *s, struct err *reterr)
{
        int r;

        pthread_mutex_init(&s->tls_lock, NULL);
        pthread_mutex_init(&s->stop_lock, NULL);
        http_cond_init(&s->stop_cond);
        workers_init(&s->pool, s->config.workers, s->config.worker_idle_ms);
        r = tls_priority_new(&s->priority, reterr);
        if (r < 0)
                return r;
        r = tls_creds_load(s, &s->creds, reterr);
        if (r < 0)
                return r;
        r = listen_on(s, reterr);
        if (r < 0)
                return r;
        s->loops = calloc(s->config.loops, sizeof(*s->loops));
        return s->loops ? start_loops(s, reterr) : err_set(reterr, -ENOMEM, "out of memory");
}

int http_server_new(const struct http_config *config, const struct http_app *app, struct http_server **ret,
                    struct err *reterr)
{
        struct http_server *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return err_set(reterr, -ENOMEM, "out of memory");
        s->config = *config;
        s->app = *app;
        s->listen_fd = -1;
        s->cert_file = mem_strdup(config->cert_file);
        s->key_file = mem_strdup(config->key_file);
        s->client_ca_file = mem_strdup(config->client_ca_file);
        set_defaults(s);
        r = server_init(s, reterr);
        if (!r) {
                *ret = s; /* before the first request: the application may ask for the statistics in it */
                r = start_accepting(s, reterr);
        }
        if (r < 0) {
                *ret = NULL;
                http_server_stop(s, 0);
                return r;
        }
        return 0;
}

uint16_t http_server_port(const struct http_server *s)
{
        return s->port;
}

int http_server_reload(struct http_server *s, struct err *reterr)
{
        struct tls_creds *creds, *old;
        int r;

        r = tls_creds_load(s, &creds, reterr);
        if (r < 0)
                return r;
        pthread_mutex_lock(&s->tls_lock);
        old = s->creds;
        s->creds = creds;
        pthread_mutex_unlock(&s->tls_lock);
        tls_creds_unref(old);
        return 0;
}

/* The next one may be freed with this one only by being this one: a step touches its own connection. */
static void each_conn(struct http_loop *l, void (*fn)(struct conn *))
{
        struct list *node, *next;

        for (node = l->conns.next; node != &l->conns; node = next) {
                next = node->next;
                fn(container_of(node, struct conn, all));
        }
}

static void drain(struct http_task *t)
{
        struct http_loop *l = container_of(t, struct http_loop, drain_task);

        l->draining = true;
        if (l == &l->server->loops[0])
                epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, l->server->listen_fd, NULL);
        each_conn(l, conn_drain);
}

static void cut(struct http_task *t)
{
        each_conn(container_of(t, struct http_loop, cut_task), conn_destroy);
}

static void quit(struct http_task *t)
{
        container_of(t, struct http_loop, quit_task)->quit = true;
}

struct timespec http_deadline(unsigned ms)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        t.tv_sec += ms / 1000;
        t.tv_nsec += (long)(ms % 1000) * 1000000;
        if (t.tv_nsec >= 1000000000) {
                t.tv_sec++;
                t.tv_nsec -= 1000000000;
        }
        return t;
}

void http_cond_init(pthread_cond_t *cond)
{
        pthread_condattr_t attr;

        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(cond, &attr);
        pthread_condattr_destroy(&attr);
}

static void wait_empty(struct http_server *s, unsigned grace_ms)
{
        struct timespec until = http_deadline(grace_ms);
        int r = 0;

        pthread_mutex_lock(&s->stop_lock);
        while (s->loops_empty < s->nthreads && r != ETIMEDOUT)
                r = pthread_cond_timedwait(&s->stop_cond, &s->stop_lock, &until);
        pthread_mutex_unlock(&s->stop_lock);
}

static void stop_loops(struct http_server *s, unsigned grace_ms)
{
        unsigned i;

        for (i = 0; i < s->nthreads; i++) {
                s->loops[i].drain_task.run = drain;
                http_loop_post(&s->loops[i], &s->loops[i].drain_task);
        }
        wait_empty(s, grace_ms);
        for (i = 0; i < s->nthreads; i++) {
                s->loops[i].cut_task.run = cut;
                http_loop_post(&s->loops[i], &s->loops[i].cut_task);
        }
        workers_stop(&s->pool);
        for (i = 0; i < s->nthreads; i++) {
                s->loops[i].quit_task.run = quit;
                http_loop_post(&s->loops[i], &s->loops[i].quit_task);
        }
        for (i = 0; i < s->nthreads; i++)
                pthread_join(s->loops[i].thread, NULL);
        while (atomic_load(&s->later)) /* who has just given the last answer may still be waking its loop */
                usleep(100);
        for (i = 0; i < s->nloops; i++)
                http_loop_deinit(&s->loops[i]);
}

void http_server_stop(struct http_server *s, unsigned grace_ms)
{
        if (!s)
                return;
        stop_loops(s, grace_ms);
        workers_deinit(&s->pool);
        closep(&s->listen_fd);
        tls_creds_unref(s->creds);
        if (s->priority)
                gnutls_priority_deinit(s->priority);
        pthread_mutex_destroy(&s->tls_lock);
        pthread_mutex_destroy(&s->stop_lock);
        pthread_cond_destroy(&s->stop_cond);
        free(s->loops);
        free(s->cert_file);
        free(s->key_file);
        free(s->client_ca_file);
        free(s);
}

void http_server_stats(struct http_server *s, struct http_stats *ret)
{
        *ret = (struct http_stats){
                .connections = atomic_load(&s->conns),
                .accepted_total = atomic_load(&s->accepted),
                .requests_total = atomic_load(&s->requests),
                .tls_failures_total = atomic_load(&s->tls_failures),
                .bad_requests_total = atomic_load(&s->bad_requests),
                .workers_busy = atomic_load(&s->pool.busy),
        };
        pthread_mutex_lock(&s->pool.lock);
        ret->queue_len = s->pool.queued;
        pthread_mutex_unlock(&s->pool.lock);
}
