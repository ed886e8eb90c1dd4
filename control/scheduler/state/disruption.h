/* SPDX-License-Identifier: Apache-2.0 */
/* PodDisruptionBudgets: which pods preemption had better leave alone. */
#pragma once

#include "scheduler/model/shape.h"

struct budget {
        struct atom_pool pool;
        const struct atom *ns;
        struct query pods;
        int64_t allowed;               /* disruptions, as the controller has it */
        const struct atom **disrupted; /* pods that are counted already */
        uint32_t ndisrupted;
        int64_t left; /* while victims are being chosen */
};

struct disruption {
        struct hashmap budgets; /* "ns/name" -> struct budget * */
};

void disruption_init(struct disruption *d);
void disruption_deinit(struct disruption *d);
/* pdb NULL: gone. */
void disruption_set(struct disruption *d, struct atoms *atoms, const char *key, const struct jnode *pdb);

/* Before a node's victims are looked at. */
void disruption_begin(struct disruption *d);
/* One more victim: true when that breaks a budget. */
bool disruption_violates(struct disruption *d, const struct shape *shape, const char *pod);
