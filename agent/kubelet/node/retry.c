/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kubelet/node/retry.h"
#include "base/random.h"

#define WAIT_MIN_MS    400
#define WAIT_MAX_MS    900 /* and the call itself: back within a second */
#define REFUSED_MIN_MS 500
#define REFUSED_MAX_MS 10000
#define TIMEOUT_MS     10000

static uint64_t refused_wait(unsigned int refusals)
{
        uint64_t base = (uint64_t)REFUSED_MIN_MS << MIN(refusals, 10u);

        return random_jitter(MIN(base, (uint64_t)REFUSED_MAX_MS), 50);
}

/* A server that is starting or overloaded says so by these; it will be better soon. */
static bool is_passing(const struct kube_status *status)
{
        return status->code == 429 || status->code >= 500;
}

bool retry_begin(struct retry *r, uint64_t now_ms)
{
        if (retry_wait(r, now_ms) || (r->down && r->trying))
                return false;
        r->trying = true;
        return true;
}

bool retry_note(struct retry *r, int result, const struct kube_status *status, uint64_t now_ms)
{
        bool back;

        r->trying = false;
        if (result < 0 || (result == KUBE_REFUSED && is_passing(status))) {
                if (!r->down)
                        r->down_since_ms = now_ms;
                r->down = true;
                r->tries++;
                if (r->next_ms <= now_ms)
                        r->next_ms = now_ms + WAIT_MIN_MS + random_below(WAIT_MAX_MS - WAIT_MIN_MS);
                return false;
        }
        back = r->down;
        r->down = false;
        r->tries = 0;
        r->next_ms = 0;
        if (result == KUBE_REFUSED && status->code != 404 && status->code != 409)
                r->next_ms = now_ms + refused_wait(r->refusals++);
        else if (!result)
                r->refusals = 0;
        return back;
}

uint64_t retry_wait(const struct retry *r, uint64_t now_ms)
{
        return r->next_ms > now_ms ? r->next_ms - now_ms : 0;
}

uint32_t retry_timeout_ms(const struct retry *r)
{
        return r->down ? 2000U << r->tries % 3 : TIMEOUT_MS;
}
