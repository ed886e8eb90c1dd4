/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which nodes a pod may run on, by what its spec says of nodes (nodeName, nodeSelector, required node affinity) and of
 * their taints. What else a scheduler looks at (resources, ports, other pods) is not asked here.
 */
#pragma once

#include "base/arena.h"
#include "controllers/engine/kobj.h"

struct nodefit;

/* Of a PodSpec, from which it borrows, in the arena. A selector that cannot be read matches no node. */
struct nodefit *nodefit_new(struct arena *mem, const struct json_object *spec);
bool nodefit_matches(const struct nodefit *fit, const struct kobj *node);

enum {
        TAINT_NO_SCHEDULE = 1,
        TAINT_NO_EXECUTE = 2,
};

/* All taints that have one of these effects. */
bool nodefit_tolerates(const struct nodefit *fit, const struct kobj *node, unsigned int effects);
