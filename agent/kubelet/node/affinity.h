/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a node is one that a pod allows, and one whose taints it bears: as the scheduler asks. Pure. */
#pragma once

#include <stdbool.h>

#include "base/json.h"

/* spec.nodeSelector and what its node affinity requires. */
bool affinity_allows(const struct json_object *pod, const struct json_object *node);
/* The first taint of that effect that it does not tolerate; NULL: none. */
const struct json_object *taint_untolerated(const struct json_object *pod, const struct json_object *node,
                                            const char *effect);
/* Whether it tolerates a taint of that key and effect, without a value. */
bool taint_tolerated(const struct json_object *pod, const char *key, const char *effect);
