/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preemption: which node would take the pod if pods of lower priority went, and which these are. Looks only, at the
 * state that the cycle has just been run on; whoever asked does the rest.
 */
#pragma once

#include "scheduler/cycle.h"

enum {
        PREEMPT_NONE = 1, /* no node would do */
        PREEMPT_NOT_NOW,  /* the pod may not, or waits for its victims already */
};

struct preemption {
        /* The result. */
        struct node *node;
        struct pod **victims; /* the most important first */
        uint32_t nvictims;

        /* Buffers, kept for the next time. */
        struct node **nodes; /* that may be of use */
        struct pod **pods, **trial;
        uint8_t *violating;
        uint32_t nodes_cap, pods_cap, violations;
        struct diagnosis diagnosis;
};

void preemption_deinit(struct preemption *p);
/* 0, PREEMPT_NONE or PREEMPT_NOT_NOW; the cycle's diagnosis then has the reason behind its own. */
int preempt_find(struct cycle *c, struct preemption *p);
/* So many candidates are compared, of n nodes. */
uint32_t preempt_enough(uint32_t n);
