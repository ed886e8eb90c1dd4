/* SPDX-License-Identifier: Apache-2.0 */
/* Sums by topology domain, for several topologies: what pods add up to in a zone, on a host. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "scheduler/state/topology.h"

struct domain_sum {
        const struct topology *topology;
        int64_t *sum; /* by domain */
        uint32_t cap;
};

struct domain_sums {
        struct domain_sum *all;
        uint32_t n, cap;
        int64_t total; /* of what was added */
};

void domain_sums_reset(struct domain_sums *d);
void domain_sums_deinit(struct domain_sums *d);
/* times for each pod that is counted by slot. */
void domain_sums_add_counts(struct domain_sums *d, const struct topology *t, const uint32_t *count, uint32_t nslots,
                            int64_t times);
void domain_sums_add(struct domain_sums *d, const struct topology *t, uint32_t slot, int64_t value);
/* In the node's domain; 0 when the node is in none. */
int64_t domain_sums_get(const struct domain_sums *d, const struct topology *t, uint32_t slot);
/* Over all topologies. */
int64_t domain_sums_total(const struct domain_sums *d, uint32_t slot);
/* A sum above zero in one of the node's domains. */
bool domain_sums_any(const struct domain_sums *d, uint32_t slot);
