/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maglev hashing (Eisenbud et al., NSDI 2016, 3.4): a table in which every backend has its weighted share and that
 * changes little when a backend comes or goes. The same members give the same table on every node, whatever their
 * order.
 */
#pragma once

#include <stdint.h>

#include "bpf/abi/types.h"

#define MAGLEV_MAX_SIZE 16381

struct maglev_member {
        uint64_t identity; /* the same on all nodes: of address, port and protocol (maglev_identity) */
        uint32_t weight;   /* at least 1 */
        uint32_t value;    /* what goes into the table: the backend's id */
};

uint64_t maglev_identity(const struct addr *a, __be16 port, uint8_t proto);
/* The smallest prime that is about 100 times the number of members, at most MAGLEV_MAX_SIZE; 0 for none, 1 for one. */
uint32_t maglev_size(uint32_t members);
/* Fills table[size]; size is of maglev_size, or another prime. 0, -EINVAL (no members, no prime), or -ENOMEM. */
int maglev_fill(const struct maglev_member *members, uint32_t count, uint32_t size, uint32_t *table);
