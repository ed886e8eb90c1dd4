/* SPDX-License-Identifier: Apache-2.0 */
/* Token bucket: rate per second on average, burst at once. Not thread-safe. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ratelimit {
        double rate, burst, tokens;
        uint64_t last_ns;
};

/* A full bucket. A rate of 0 limits nothing when burst is 0, and else lets burst through once. */
void ratelimit_init(struct ratelimit *l, double rate, unsigned int burst);
/* Takes a token if there is one. now_ns is of the monotonic clock. */
bool ratelimit_allow(struct ratelimit *l, uint64_t now_ns);
/* Takes a token, of the future if need be, and returns how long to wait for it. Needs a rate. */
uint64_t ratelimit_reserve(struct ratelimit *l, uint64_t now_ns);
