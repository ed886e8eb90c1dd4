/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads for requests that may wait (for the store, for a lock). They are started when a request finds all others
 * busy, up to the limit; beyond it requests queue, first come first served. The queue is bounded by the number of
 * connections, each of which has one request in progress at most.
 *
 * Those that had nothing to do for a while end: a thread keeps memory of its own (stack, allocator). The last that went
 * idle is the first to work, so what a smaller load does not need is what ends.
 */
#include <errno.h>
#include <stdlib.h>

#include "http/internal.h"

#ifdef __SANITIZE_ADDRESS__
#define STACK_SIZE (1024 * 1024)
#else
#define STACK_SIZE (256 * 1024)
#endif

struct worker {
        struct worker_pool *pool;
        struct worker *next_idle, *next;
        struct exchange *job;
        bool leaving;
        pthread_cond_t cond;
        pthread_t thread;
};

int workers_init(struct worker_pool *p, unsigned max, unsigned idle_ms)
{
        *p = (struct worker_pool){.max = max, .idle_ms = idle_ms};
        p->tail = &p->head;
        return -pthread_mutex_init(&p->lock, NULL);
}

/* With the lock. */
static void unlink_idle(struct worker_pool *p, struct worker *w)
{
        struct worker **at;

        for (at = &p->idle; *at != w; at = &(*at)->next_idle)
                ;
        *at = w->next_idle;
        for (at = &p->all; *at != w; at = &(*at)->next)
                ;
        *at = w->next;
        p->count--;
}

/* Waits for a job; a worker that is to end for want of one is out of the pool's lists when it returns. */
static void wait_for_job(struct worker *w)
{
        struct worker_pool *p = w->pool;
        struct timespec until = http_deadline(p->idle_ms);
        int r = 0;

        while (!w->job && !p->stop && !r)
                r = pthread_cond_timedwait(&w->cond, &p->lock, &until);
        w->leaving = !w->job && !p->stop;
        if (w->leaving)
                unlink_idle(p, w);
}

/* The next job, or NULL: the worker is to end. Called and returns with the lock. */
static struct exchange *next_job(struct worker *w)
{
        struct worker_pool *p = w->pool;
        struct exchange *x;

        if (p->head) {
                x = p->head;
                p->head = x->next;
                if (!p->head)
                        p->tail = &p->head;
                p->queued--;
                return x;
        }
        if (p->stop)
                return NULL;
        atomic_fetch_sub(&p->busy, 1);
        w->next_idle = p->idle;
        p->idle = w;
        wait_for_job(w);
        return TAKE_PTR(w->job);
}

static void worker_join(struct worker *w)
{
        pthread_join(w->thread, NULL);
        pthread_cond_destroy(&w->cond);
        free(w);
}

/* Who leaves sees off the one that left before; the last one is left to workers_stop. */
static void worker_leave(struct worker *w)
{
        struct worker_pool *p = w->pool;
        struct worker *before;

        pthread_mutex_lock(&p->lock);
        before = p->left;
        p->left = w;
        pthread_mutex_unlock(&p->lock);
        if (before)
                worker_join(before);
}

static void *worker_run(void *arg)
{
        struct worker *w = arg;
        struct worker_pool *p = w->pool;
        struct exchange *x = TAKE_PTR(w->job);

        while (x) {
                struct http_server *s = x->server;

                if (!atomic_load(&p->stop))
                        s->app.handle(s->app.userdata, &x->req, &x->res);
                if (exchange_answered(x))
                        http_loop_post(x->conn->loop, &x->task);
                pthread_mutex_lock(&p->lock);
                x = next_job(w);
                pthread_mutex_unlock(&p->lock);
        }
        if (w->leaving)
                worker_leave(w);
        return NULL;
}

/* With the lock. */
static int worker_start(struct worker_pool *p, struct exchange *x)
{
        struct worker *w = calloc(1, sizeof(*w));
        pthread_attr_t attr;
        int r;

        if (!w)
                return -ENOMEM;
        *w = (struct worker){.pool = p, .job = x};
        http_cond_init(&w->cond);
        pthread_attr_init(&attr);
        pthread_attr_setstacksize(&attr, STACK_SIZE);
        r = pthread_create(&w->thread, &attr, worker_run, w);
        pthread_attr_destroy(&attr);
        if (r) {
                pthread_cond_destroy(&w->cond);
                free(w);
                return -r;
        }
        w->next = p->all;
        p->all = w;
        p->count++;
        atomic_fetch_add(&p->busy, 1);
        return 0;
}

int workers_submit(struct worker_pool *p, struct exchange *x)
{
        struct worker *w;
        int r = 0;

        x->next = NULL;
        pthread_mutex_lock(&p->lock);
        w = p->idle;
        if (p->stop) {
                r = -ESHUTDOWN;
        } else if (w) {
                p->idle = w->next_idle;
                w->job = x;
                atomic_fetch_add(&p->busy, 1);
                pthread_cond_signal(&w->cond);
        } else if (p->count >= p->max || (r = worker_start(p, x)) < 0) {
                if (p->count) { /* one of those that run takes it */
                        *p->tail = x;
                        p->tail = &x->next;
                        p->queued++;
                        r = 0;
                }
        }
        pthread_mutex_unlock(&p->lock);
        return r;
}

void workers_stop(struct worker_pool *p)
{
        struct worker *w, *next;

        pthread_mutex_lock(&p->lock);
        p->stop = true;
        for (w = p->all; w; w = w->next)
                pthread_cond_signal(&w->cond);
        pthread_mutex_unlock(&p->lock);
        for (w = p->all; w; w = next) {
                next = w->next;
                worker_join(w);
        }
        p->all = NULL;
        if (p->left)
                worker_join(TAKE_PTR(p->left));
}

void workers_deinit(struct worker_pool *p)
{
        pthread_mutex_destroy(&p->lock);
}
