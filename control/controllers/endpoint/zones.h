/* SPDX-License-Identifier: Apache-2.0 */
/* How the CPUs of the cluster's ready nodes are spread over its zones. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controllers/engine/kobj.h"

#define ZONE_LABEL "topology.kubernetes.io/zone"

/* "" when it is in none. */
const char *node_zone(const struct kobj *node);

struct zone {
        char *name;
        int64_t cpu_milli;
        size_t nodes;
};

struct zones {
        struct zone *all; /* sorted by name; none without nodes */
        size_t n;
        int64_t cpu_milli;
        size_t untold; /* ready nodes that tell no zone, or no CPU */
};

void zones_deinit(struct zones *z);
/* changed() of nodes. Whether the shares have changed. */
bool zones_node_changed(struct zones *z, const struct kobj *old, const struct kobj *now);
/* There are several zones, and every ready node tells of itself. */
bool zones_known(const struct zones *z);
