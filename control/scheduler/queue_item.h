/* SPDX-License-Identifier: Apache-2.0 */
/* Where a pod is in the queue (queue.h): embedded in the pod. */
#pragma once

#include <stdint.h>

enum queue_place {
        QUEUE_NOWHERE, /* not in the queue: scheduled, being scheduled, or none of ours */
        QUEUE_ACTIVE,
        QUEUE_BACKOFF,
        QUEUE_UNSCHEDULABLE,
        QUEUE_GATED,
        QUEUE_PLACES,
};

struct queue_item {
        enum queue_place place;
        uint32_t index;    /* in the place's array */
        uint64_t since_ns; /* when it came into the queue, or its last attempt ended; monotonic */
        uint64_t first_ns; /* when it was first to be tried; 0: never yet */
        uint64_t ready_ns; /* while backing off: until then */
        uint32_t attempts;
        uint32_t failures;    /* one after the other: they make the backoff */
        uint32_t rejected_by; /* bits of enum plugin_id */
};
