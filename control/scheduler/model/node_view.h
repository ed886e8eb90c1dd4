/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the scheduler keeps of a Node as the API server tells it: immutable, shared by reference. Nodes report that they
 * are alive far more often than something changes that matters here: marks of each part tell without comparing.
 */
#pragma once

#include "scheduler/model/shape.h"

struct node_image {
        const struct atom *name; /* one of them: an image has several */
        int64_t bytes;
};

struct node_marks {
        uint64_t labels, taints, allocatable, images; /* hashes of what is written in the object */
};

struct node_view {
        uint32_t refs;
        struct atom_pool pool;
        struct node_marks marks;
        const struct atom *name;
        struct label_set labels;
        const struct taint *taints; /* in the object's order */
        uint32_t ntaints;
        bool unschedulable;
        struct resources allocatable;
        int64_t pods; /* so many at most */
        const struct node_image *images;
        uint32_t nimages;
};

/* A reference; NULL when the object has no name. before (may be NULL) is what the node was: when nothing that matters
 * has changed, the result is a reference to that. */
struct node_view *node_view_new(struct atoms *atoms, const struct jnode *node, struct node_view *before);
void node_view_put(struct node_view *v);

/* Whether the pods of this shape may be on the node by spec.nodeSelector and required node affinity. */
bool node_rule_allows(const struct node_rule *rule, const struct node_view *node);
bool node_term_matches(const struct node_term *t, const struct node_view *node);
/* The first taint that keeps pods off and that no toleration matches; NULL: none. */
const struct taint *node_untolerated_taint(const struct node_view *node, const struct shape *s);
