/* SPDX-License-Identifier: Apache-2.0 */
/* Services and controllers: which pods count as siblings of a pod, from which it is spread by default. */
#pragma once

#include "scheduler/model/shape.h"

struct owner_view;

struct owners {
        struct hashmap controllers; /* "kind ns/name" -> struct owner_view * */
        struct hashmap services;    /* "ns/name" -> struct owner_view * */
        uint64_t generation;        /* counts changes; never 0 */
};

void owners_init(struct owners *o);
void owners_deinit(struct owners *o, struct atoms *atoms);
/* object NULL: gone. selector: spec.selector, a map for Services and ReplicationControllers. */
void owners_set(struct owners *o, struct atoms *atoms, enum owner_kind kind, const char *key,
                const struct jnode *selector);
/* OWNER_OTHER above means a Service. What selects the siblings; NULL: the pod has none. Borrowed from the shape. */
const struct query *owners_siblings(struct owners *o, struct atoms *atoms, struct shape *shape);
