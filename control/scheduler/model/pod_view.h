/* SPDX-License-Identifier: Apache-2.0 */
/* What the scheduler keeps of a Pod as the API server tells it: immutable, one block of memory. */
#pragma once

#include "base/uuid.h"
#include "scheduler/model/shape.h"

struct pod_view {
        struct shape *shape;
        const struct atom *node;      /* spec.nodeName, or NULL */
        const struct atom *nominated; /* status.nominatedNodeName, or NULL */
        int64_t created_s, started_s; /* seconds since 1970; 0: not yet */
        uint64_t condition;           /* hash of PodScheduled's reason and message while it is False; 0: none */
        bool terminating;             /* has a deletionTimestamp */
        bool ended;                   /* Succeeded or Failed */
        bool preempted;               /* DisruptionTarget by PreemptionByScheduler */
        char uid[UUID_TEXT_SIZE];
        char name[];
};

/* The caller's; NULL when the object has no name. */
struct pod_view *pod_view_new(struct shapes *shapes, const struct jnode *pod);
void pod_view_free(struct shapes *shapes, struct pod_view *v);
/* What `condition` would be for this. Never 0. */
uint64_t pod_condition_hash(const char *reason, const char *message);
