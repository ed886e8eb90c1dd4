/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/ratelimit.h"

void ratelimit_init(struct ratelimit *l, double rate, unsigned int burst)
{
        *l = (struct ratelimit){.rate = rate, .burst = burst, .tokens = burst};
}

static void refill(struct ratelimit *l, uint64_t now_ns)
{
        if (l->last_ns && now_ns > l->last_ns)
                l->tokens = MIN(l->burst, l->tokens + (double)(now_ns - l->last_ns) / NS_PER_S * l->rate);
        l->last_ns = MAX(now_ns, l->last_ns);
}

bool ratelimit_allow(struct ratelimit *l, uint64_t now_ns)
{
        if (l->rate <= 0 && l->burst <= 0)
                return true;
        refill(l, now_ns);
        if (l->tokens < 1)
                return false;
        l->tokens -= 1;
        return true;
}

uint64_t ratelimit_reserve(struct ratelimit *l, uint64_t now_ns)
{
        if (l->rate <= 0)
                return 0;
        refill(l, now_ns);
        l->tokens -= 1;
        return l->tokens >= 0 ? 0 : (uint64_t)(-l->tokens / l->rate * NS_PER_S);
}
