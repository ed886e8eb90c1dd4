/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work queue of keys, with the semantics of client-go's: a key that is waiting is not added again; a key that is added
 * while it is being processed is processed once more afterwards, never by two workers at once; failures are retried
 * with a backoff per key. First come, first served. All functions are thread-safe.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct workqueue;

struct workqueue_opts {
        uint64_t backoff_min_ms; /* 0: 5 ms, doubled with each failure of the key ... */
        uint64_t backoff_max_ms; /* ... up to this; 0: 1000 s */
        double qps;              /* over all keys, of rate-limited adds; 0: no such limit */
        unsigned int burst;
        uint64_t (*now_ns)(void); /* monotonic; NULL: the clock. For tests that cannot wait */
};

enum { WORKQUEUE_SHUTDOWN = 1, WORKQUEUE_EMPTY = 2 };

/* opts may be NULL. */
void workqueue_new(const struct workqueue_opts *opts, struct workqueue **ret);
/* Nobody may be in any function of it. */
void workqueue_free(struct workqueue *q);
DEFINE_CLEANUP(struct workqueue *, workqueue_free)

void workqueue_add(struct workqueue *q, const char *key);
/* Of several such adds of a key that wait, the earliest counts. */
void workqueue_add_after(struct workqueue *q, const char *key, uint64_t delay_ms);
/* After the key's backoff, which it makes longer. */
void workqueue_add_rate_limited(struct workqueue *q, const char *key);
/* Ends the key's backoff, after a success (or when giving up). */
void workqueue_forget(struct workqueue *q, const char *key);
/* How many rate-limited adds there were since the last forget. */
unsigned int workqueue_failures(struct workqueue *q, const char *key);

/* Waits for a key, which the caller frees and hands to workqueue_done when it is processed. 0, or WORKQUEUE_SHUTDOWN.
 */
int workqueue_get(struct workqueue *q, char **ret_key);
/* Does not wait: also WORKQUEUE_EMPTY. *ret_wait_ms (may be NULL) is then when to look again (UINT64_MAX: after an
 * add). */
int workqueue_try_get(struct workqueue *q, char **ret_key, uint64_t *ret_wait_ms);
void workqueue_done(struct workqueue *q, const char *key);
/* Keys that could be got now. */
size_t workqueue_len(struct workqueue *q);

/* Calls fn (from any thread, holding no lock of the queue) when a key became available: for loops that try_get. */
void workqueue_set_notify(struct workqueue *q, void (*fn)(void *userdata), void *userdata);

/* No more adds; what is queued is still handed out, then get returns WORKQUEUE_SHUTDOWN. Delayed keys are dropped. */
void workqueue_shutdown(struct workqueue *q);
/* The same, and waits until every key that was handed out is done. */
void workqueue_shutdown_drain(struct workqueue *q);

/* The delay before the retry that follows so many failures. */
uint64_t workqueue_backoff_ms(const struct workqueue_opts *opts, unsigned int failures);
