/* SPDX-License-Identifier: Apache-2.0 */
/* The map `routes`: what should be in it, and the way there. Pure functions. */
#pragma once

#include "agent/net/inputs.h"
#include "bpf/abi/maps.h"

struct lpm_entry {
        struct route_key key;
        struct route value;
};

/* In the order of their keys, each key once. */
struct lpm_table {
        struct lpm_entry *entries;
        size_t count, cap;
};

#define LPM_TABLE_NULL ((struct lpm_table){0})

void lpm_table_deinit(struct lpm_table *t);
/* An exact address has 128 bits. For lpm_sort to put in order. */
void lpm_add(struct lpm_table *t, const struct addr *a, uint32_t bits, const struct route *value);
/* Of entries with the same key the first that was added stays. */
void lpm_sort(struct lpm_table *t);
int lpm_compare(const struct lpm_entry *a, const struct lpm_entry *b); /* of their keys */
const struct lpm_entry *lpm_find(const struct lpm_table *t, const struct route_key *key);

/* Whose claims come first wins a key: this host, its pods, other nodes, their pods, services, non-masquerade. */
void lpm_desired(const struct net_inputs *in, struct lpm_table *ret, struct problems *problems);

struct lpm_diff {
        struct lpm_table set; /* new or changed */
        struct lpm_table del; /* of have; values do not count */
};

#define LPM_DIFF_NULL ((struct lpm_diff){0})

void lpm_diff(const struct lpm_table *have, const struct lpm_table *want, struct lpm_diff *ret);
void lpm_diff_deinit(struct lpm_diff *d);
