/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a pod fits on this node: pure. The scheduler has asked the same, but others may bind, and static pods come.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/json.h"

/*
 * others: the pods that are on the node and have not ended; node: the Node object, with status.allocatable and labels.
 * 0, or -EPERM with upstream's reason ("OutOfcpu", "OutOfmemory", "OutOfpods", "NodeAffinity", "NodeName", "NodePorts",
 * "TaintToleration", "PodOSNotSupported", "SupplementalGroupsPolicyNotSupported", ...) and message.
 */
int admission_check(const struct json_object *pod, const struct json_object *const *others, size_t nothers,
                    const struct json_object *node, char reason[static 64], struct err *reterr);

/* Static and mirror pods, and those of a system priority: a node makes room for them. */
bool admission_is_critical(const struct json_object *pod);
/* From a file of this node. */
bool admission_is_static(const struct json_object *pod);

/*
 * Which of the others would have to go so that the critical pod fits: as few as possible, the least important first.
 * ret_victims has nothers places; true at those that go. How many; 0: none fit or all of them would not help.
 */
size_t admission_preempt(const struct json_object *pod, const struct json_object *const *others, size_t nothers,
                         const struct json_object *node, bool *ret_victims);
