/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carriers: pods on nodes that have rules about other pods, by rule. A new pod must be held against the rules of those
 * that are there already; there are far fewer rules than pods.
 */
#pragma once

#include "scheduler/model/shape.h"

struct carrier_place {
        uint32_t slot, pods;
};

struct carrier {
        struct shape *shape;          /* a reference; one of those that have this rule */
        uint32_t index;               /* in the list */
        struct carrier_place *places; /* by slot */
        uint32_t nplaces, cap;
};

struct carriers {
        struct hashmap table; /* shape->pods.key -> struct carrier * */
        struct shapes *shapes;
        struct carrier **all;
        uint32_t n, cap;
};

void carriers_init(struct carriers *c, struct shapes *shapes);
void carriers_deinit(struct carriers *c);
/* A pod of this shape came onto (1) or left (-1) the node of that slot. Shapes without such rules are none. */
void carriers_count(struct carriers *c, struct shape *shape, uint32_t slot, int delta);
