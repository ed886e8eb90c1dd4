/* SPDX-License-Identifier: Apache-2.0 */
/* The values of a node label as small numbers: which domain (zone, rack, host) each node is in. */
#pragma once

#include "scheduler/model/atom.h"

#define NO_DOMAIN UINT32_MAX

struct topology {
        const struct atom *key;     /* a reference */
        uint64_t made;              /* what state->topology was */
        uint32_t *domain;           /* by slot; NO_DOMAIN: the node has no such label */
        const struct atom **values; /* of the domains; borrowed from nodes */
        uint32_t ndomains, cap;
};

struct topologies {
        struct topology **all;
        uint32_t n;
};

struct state;

/* Borrowed until a node changes. */
const struct topology *topology_get(struct state *s, const struct atom *key);
void topologies_deinit(struct topologies *t, struct atoms *atoms);
