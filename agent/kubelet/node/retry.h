/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schedule by which a node tries again while the API does not answer: one for all that it tells, so that a thousand
 * nodes come back spread over a second, and each is back within that second. Refusals slow down, since they do not go
 * away by themselves.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kube/client.h"

struct retry {
        uint64_t next_ms; /* monotonic: not before */
        uint64_t down_since_ms;
        unsigned int refusals;
        unsigned int tries; /* in a row without an answer */
        bool down;
        bool trying; /* while down, one call at a time finds out whether that is over */
};

/* Whether a call may begin now; then it does. false: again after retry_wait, or a moment later when that is 0. */
bool retry_begin(struct retry *r, uint64_t now_ms);

/* What came of a call: as kube_done_fn's. true: the API has just come back. */
bool retry_note(struct retry *r, int result, const struct kube_status *status, uint64_t now_ms);
/* Until the next try: 0 while there is nothing wrong. */
uint64_t retry_wait(const struct retry *r, uint64_t now_ms);
/* How long one call may take: short while nobody answers, since a connection may hang from before. */
uint32_t retry_timeout_ms(const struct retry *r);
