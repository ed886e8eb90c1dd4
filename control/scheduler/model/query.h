/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label selectors over atoms, as the scheduler asks them of pods, nodes and namespaces. Immutable; what they point to
 * belongs to the pool that they were made in. kube/selector.h has the same for text.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/jsontree.h"
#include "base/strbuf.h"
#include "scheduler/model/atom.h"

struct label_pair {
        const struct atom *key, *value;
};

struct label_set {
        const struct label_pair *pairs;
        uint32_t n;
};

/* The value, or NULL when there is no such label. */
static inline const struct atom *label_get(const struct label_set *set, const struct atom *key)
{
        for (uint32_t i = 0; i < set->n; i++)
                if (set->pairs[i].key == key)
                        return set->pairs[i].value;
        return NULL;
}

/* A JSON map of strings. */
struct label_set label_set_parse(struct atom_pool *p, const struct jnode *map);
bool label_set_equal(const struct label_set *a, const struct label_set *b);

enum query_op {
        QUERY_IN,
        QUERY_NOT_IN,
        QUERY_EXISTS,
        QUERY_NOT_EXISTS,
        QUERY_GREATER,
        QUERY_LESS,
        QUERY_NEVER, /* an operator or a number that nobody understands */
};

struct query_req {
        const struct atom *key;
        enum query_op op;
        uint32_t nvalues;
        const struct atom *const *values;
        int64_t number; /* QUERY_GREATER, QUERY_LESS */
};

struct query {
        bool nothing; /* matches no object: an absent LabelSelector */
        uint32_t nreqs;
        const struct query_req *reqs; /* all must hold */
};

bool query_match(const struct query *q, const struct label_set *labels);

/* A LabelSelector: NULL selects nothing, {} everything. */
struct query query_of_selector(struct atom_pool *p, const struct jnode *selector);
/* A map of labels that must all be there; NULL and {} select everything. */
struct query query_of_map(struct atom_pool *p, const struct jnode *map);
/* A list of {key, operator, values}: matchExpressions, also those of nodes with Gt and Lt. */
struct query query_of_expressions(struct atom_pool *p, const struct jnode *list);
/* Both must match. */
struct query query_both(struct atom_pool *p, const struct query *a, const struct query *b);
/* One more requirement: key in, or not in, a single value. */
struct query query_with(struct atom_pool *p, const struct query *q, const struct atom *key, enum query_op op,
                        const struct atom *value);
/* A copy in another pool. */
struct query query_copy(struct atom_pool *p, const struct query *q);
/* Bytes that are equal for equal queries, as long as the atoms live. */
void query_write_key(struct strbuf *b, const struct query *q);
