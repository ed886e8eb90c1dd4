/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carriers: pods on nodes that have rules about other pods, by shape. A new pod must be held against the rules of those
 * that are there already; there are far fewer shapes than pods.
 */
#pragma once

#include "scheduler/model/shape.h"

struct carrier_place {
        uint32_t slot, pods;
};

struct carrier {
        struct shape *shape;          /* borrowed: its pods have it */
        uint32_t index;               /* in the list */
        struct carrier_place *places; /* by slot */
        uint32_t nplaces, cap;
};

struct carriers {
        struct carrier **all;
        uint32_t n, cap;
};

void carriers_deinit(struct carriers *c);
/* A pod of this shape came onto (1) or left (-1) the node of that slot. Shapes without such rules are none. */
void carriers_count(struct carriers *c, struct shape *shape, uint32_t slot, int delta);
