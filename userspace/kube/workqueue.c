/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One item per key that is in any state: queued (in the FIFO), processing (handed out), dirty (added while processing),
 * waiting (in the heap of delays), or failing (has a backoff). An item in none of them is freed. There is no timer
 * thread: whoever waits for a key waits no longer than for the first delay.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/ratelimit.h"
#include "kube/workqueue.h"

#define NOT_WAITING SIZE_MAX

struct item {
        struct item *next; /* in the FIFO */
        bool queued, processing, dirty;
        size_t heap_at; /* NOT_WAITING, or its place in the heap */
        uint64_t due_ns;
        unsigned int failures;
        char key[];
};

struct workqueue {
        pthread_mutex_t lock;
        pthread_cond_t changed; /* a key became available, a delay changed, or the end */
        pthread_cond_t idle;    /* nothing is being processed */
        struct workqueue_opts opts;
        struct ratelimit limit;
        struct hashmap items;
        struct item *head, **tail;
        size_t queued, processing;
        struct item **heap;
        size_t nheap, heap_cap;
        bool shutdown;
        void (*notify)(void *userdata);
        void *notify_userdata;
};

void workqueue_new(const struct workqueue_opts *opts, struct workqueue **ret)
{
        struct workqueue *q = mem_new(struct workqueue);
        pthread_condattr_t attr;

        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&q->changed, &attr);
        pthread_cond_init(&q->idle, &attr);
        pthread_condattr_destroy(&attr);
        pthread_mutex_init(&q->lock, NULL);
        if (opts)
                q->opts = *opts;
        if (!q->opts.now_ns)
                q->opts.now_ns = clock_mono_ns;
        ratelimit_init(&q->limit, q->opts.qps, q->opts.burst);
        hashmap_init(&q->items, HASHMAP_STR);
        q->tail = &q->head;
        *ret = q;
}

void workqueue_free(struct workqueue *q)
{
        if (!q)
                return;
        hashmap_foreach (&q->items, slot)
                free(slot->value);
        hashmap_deinit(&q->items);
        free(q->heap);
        pthread_cond_destroy(&q->changed);
        pthread_cond_destroy(&q->idle);
        pthread_mutex_destroy(&q->lock);
        free(q);
}

static struct item *item_of(struct workqueue *q, const char *key)
{
        struct item *i = hashmap_get(&q->items, key);
        size_t n = strlen(key) + 1;

        if (i)
                return i;
        i = mem_zalloc(sizeof(*i) + n);
        memcpy(i->key, key, n);
        i->heap_at = NOT_WAITING;
        hashmap_put(&q->items, i->key, i);
        return i;
}

static void item_put(struct workqueue *q, struct item *i)
{
        if (i->queued || i->processing || i->heap_at != NOT_WAITING || i->failures)
                return;
        hashmap_del(&q->items, i->key);
        free(i);
}

static void heap_place(struct workqueue *q, size_t at, struct item *i)
{
        q->heap[at] = i;
        i->heap_at = at;
}

static void heap_up(struct workqueue *q, size_t at, struct item *i)
{
        for (; at && q->heap[(at - 1) / 2]->due_ns > i->due_ns; at = (at - 1) / 2)
                heap_place(q, at, q->heap[(at - 1) / 2]);
        heap_place(q, at, i);
}

static void heap_down(struct workqueue *q, size_t at, struct item *i)
{
        for (size_t child; (child = at * 2 + 1) < q->nheap; at = child) {
                if (child + 1 < q->nheap && q->heap[child + 1]->due_ns < q->heap[child]->due_ns)
                        child++;
                if (q->heap[child]->due_ns >= i->due_ns)
                        break;
                heap_place(q, at, q->heap[child]);
        }
        heap_place(q, at, i);
}

static void heap_add(struct workqueue *q, struct item *i)
{
        if (q->nheap == q->heap_cap) {
                q->heap_cap = q->heap_cap ? q->heap_cap * 2 : 16;
                q->heap = mem_realloc(q->heap, q->heap_cap, sizeof(struct item *));
        }
        heap_up(q, q->nheap++, i);
}

static struct item *heap_pop(struct workqueue *q)
{
        struct item *first = q->heap[0], *last = q->heap[--q->nheap];

        if (q->nheap)
                heap_down(q, 0, last);
        first->heap_at = NOT_WAITING;
        return first;
}

static void enqueue(struct workqueue *q, struct item *i)
{
        i->queued = true;
        i->next = NULL;
        *q->tail = i;
        q->tail = &i->next;
        q->queued++;
        pthread_cond_signal(&q->changed);
}

/* Returns true when a key became available. */
static bool add_item(struct workqueue *q, struct item *i)
{
        if (i->queued)
                return false;
        if (i->processing) {
                i->dirty = true;
                return false;
        }
        enqueue(q, i);
        return true;
}

/* Moves what is due from the delays into the FIFO. */
static void promote(struct workqueue *q)
{
        uint64_t now = q->nheap ? q->opts.now_ns() : 0;

        while (q->nheap && q->heap[0]->due_ns <= now)
                add_item(q, heap_pop(q));
}

/* Unlocks, and tells the loop that there is something new to get (or to wait for). */
static void unlock_and_notify(struct workqueue *q, bool news)
{
        void (*fn)(void *) = news ? q->notify : NULL;
        void *userdata = q->notify_userdata;

        pthread_mutex_unlock(&q->lock);
        if (fn)
                fn(userdata);
}

void workqueue_add(struct workqueue *q, const char *key)
{
        bool news = false;

        pthread_mutex_lock(&q->lock);
        if (!q->shutdown)
                news = add_item(q, item_of(q, key));
        unlock_and_notify(q, news);
}

static bool delay_item(struct workqueue *q, struct item *i, uint64_t delay_ns)
{
        uint64_t due = q->opts.now_ns() + delay_ns;

        if (!delay_ns)
                return add_item(q, i);
        if (i->heap_at != NOT_WAITING && i->due_ns <= due)
                return false;
        i->due_ns = due;
        if (i->heap_at == NOT_WAITING)
                heap_add(q, i);
        else
                heap_up(q, i->heap_at, i);
        if (i->heap_at == 0)
                pthread_cond_signal(&q->changed); /* somebody waits for too long */
        return i->heap_at == 0;
}

void workqueue_add_after(struct workqueue *q, const char *key, uint64_t delay_ms)
{
        bool news = false;

        pthread_mutex_lock(&q->lock);
        if (!q->shutdown)
                news = delay_item(q, item_of(q, key), delay_ms * NS_PER_MS);
        unlock_and_notify(q, news);
}

uint64_t workqueue_backoff_ms(const struct workqueue_opts *opts, unsigned int failures)
{
        uint64_t min = opts->backoff_min_ms ? opts->backoff_min_ms : 5;
        uint64_t max = opts->backoff_max_ms ? opts->backoff_max_ms : 1000000;

        return failures >= 63 || min > max >> failures ? max : min << failures;
}

void workqueue_add_rate_limited(struct workqueue *q, const char *key)
{
        bool news = false;

        pthread_mutex_lock(&q->lock);
        if (!q->shutdown) {
                struct item *i = item_of(q, key);
                uint64_t own = workqueue_backoff_ms(&q->opts, i->failures++) * NS_PER_MS;

                news = delay_item(q, i, MAX(own, ratelimit_reserve(&q->limit, q->opts.now_ns())));
        }
        unlock_and_notify(q, news);
}

void workqueue_forget(struct workqueue *q, const char *key)
{
        struct item *i;

        pthread_mutex_lock(&q->lock);
        i = hashmap_get(&q->items, key);
        if (i) {
                i->failures = 0;
                item_put(q, i);
        }
        pthread_mutex_unlock(&q->lock);
}

unsigned int workqueue_failures(struct workqueue *q, const char *key)
{
        struct item *i;
        unsigned int n;

        pthread_mutex_lock(&q->lock);
        i = hashmap_get(&q->items, key);
        n = i ? i->failures : 0;
        pthread_mutex_unlock(&q->lock);
        return n;
}

static char *hand_out(struct workqueue *q)
{
        struct item *i = q->head;

        q->head = i->next;
        if (!q->head)
                q->tail = &q->head;
        q->queued--;
        i->queued = false;
        i->processing = true;
        q->processing++;
        return mem_strdup(i->key);
}

static int try_get(struct workqueue *q, char **ret_key)
{
        promote(q);
        if (q->head) {
                *ret_key = hand_out(q);
                return 0;
        }
        return q->shutdown ? WORKQUEUE_SHUTDOWN : WORKQUEUE_EMPTY;
}

int workqueue_get(struct workqueue *q, char **ret_key)
{
        int r;

        pthread_mutex_lock(&q->lock);
        while ((r = try_get(q, ret_key)) == WORKQUEUE_EMPTY) {
                struct timespec ts;

                if (!q->nheap) {
                        pthread_cond_wait(&q->changed, &q->lock);
                        continue;
                }
                ts.tv_sec = (time_t)(q->heap[0]->due_ns / NS_PER_S);
                ts.tv_nsec = (long)(q->heap[0]->due_ns % NS_PER_S);
                pthread_cond_timedwait(&q->changed, &q->lock, &ts);
        }
        if (q->head || q->shutdown)
                pthread_cond_signal(&q->changed); /* promote may have found more than one */
        pthread_mutex_unlock(&q->lock);
        return r;
}

int workqueue_try_get(struct workqueue *q, char **ret_key, uint64_t *ret_wait_ms)
{
        int r;

        pthread_mutex_lock(&q->lock);
        r = try_get(q, ret_key);
        if (ret_wait_ms && r == WORKQUEUE_EMPTY) {
                uint64_t now = q->opts.now_ns(), due = q->nheap ? q->heap[0]->due_ns : 0;

                *ret_wait_ms = !q->nheap ? UINT64_MAX : due <= now ? 0 : (due - now) / NS_PER_MS + 1;
        }
        pthread_mutex_unlock(&q->lock);
        return r;
}

void workqueue_done(struct workqueue *q, const char *key)
{
        bool news = false;
        struct item *i;

        pthread_mutex_lock(&q->lock);
        i = hashmap_get(&q->items, key);
        if (i && i->processing) {
                i->processing = false;
                q->processing--;
                news = i->dirty;
                if (i->dirty) {
                        i->dirty = false;
                        enqueue(q, i);
                }
                item_put(q, i);
                if (!q->processing)
                        pthread_cond_broadcast(&q->idle);
        }
        unlock_and_notify(q, news);
}

size_t workqueue_len(struct workqueue *q)
{
        size_t n;

        pthread_mutex_lock(&q->lock);
        promote(q);
        n = q->queued;
        pthread_mutex_unlock(&q->lock);
        return n;
}

void workqueue_set_notify(struct workqueue *q, void (*fn)(void *userdata), void *userdata)
{
        pthread_mutex_lock(&q->lock);
        q->notify = fn;
        q->notify_userdata = userdata;
        pthread_mutex_unlock(&q->lock);
}

static void shutdown_locked(struct workqueue *q)
{
        q->shutdown = true;
        while (q->nheap)
                item_put(q, heap_pop(q));
        pthread_cond_broadcast(&q->changed);
}

void workqueue_shutdown(struct workqueue *q)
{
        pthread_mutex_lock(&q->lock);
        shutdown_locked(q);
        pthread_mutex_unlock(&q->lock);
}

void workqueue_shutdown_drain(struct workqueue *q)
{
        pthread_mutex_lock(&q->lock);
        shutdown_locked(q);
        while (q->processing)
                pthread_cond_wait(&q->idle, &q->lock);
        pthread_mutex_unlock(&q->lock);
}
