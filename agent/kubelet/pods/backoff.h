/* SPDX-License-Identifier: Apache-2.0 */
/* Doubling waits that are forgotten after a long time without failures, as the kubelet's flowcontrol has them. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct backoff {
        uint64_t delay_ms; /* of the next wait; 0: the next try comes at once */
        uint64_t last_ms;  /* monotonic: when that was set */
};

struct backoff_limits {
        uint64_t initial_ms, max_ms;
};

/* Twice the longest wait without anything: all is well again. */
static inline bool backoff_is_over(const struct backoff *b, const struct backoff_limits *l, uint64_t since_ms)
{
        return !b->delay_ms || (since_ms > b->last_ms && since_ms - b->last_ms > 2 * l->max_ms);
}

/* A try is made, or has failed: the next wait is longer. */
static inline void backoff_next(struct backoff *b, const struct backoff_limits *l, uint64_t now_ms)
{
        if (backoff_is_over(b, l, now_ms))
                b->delay_ms = l->initial_ms;
        else
                b->delay_ms = b->delay_ms * 2 < l->max_ms ? b->delay_ms * 2 : l->max_ms;
        b->last_ms = now_ms;
}

/* When to try again what failed then; 0: now. */
static inline uint64_t backoff_until(const struct backoff *b, const struct backoff_limits *l, uint64_t failed_ms)
{
        return backoff_is_over(b, l, failed_ms) ? 0 : failed_ms + b->delay_ms;
}
