/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a pod fits on this node: pure. The scheduler has asked the same, but others may bind, and static pods come.
 */
#pragma once

#include "base/err.h"
#include "base/json.h"

/*
 * others: the pods that are on the node and have not ended; node: the Node object, with status.allocatable and labels.
 * 0, or -EPERM with upstream's reason ("OutOfcpu", "OutOfmemory", "OutOfpods", "NodeAffinity", "NodeName", "NodePorts",
 * "TaintToleration", "UnexpectedAdmissionError", "PodOSNotSupported", ...) and message.
 */
int admission_check(const struct json_object *pod, const struct json_object *const *others, size_t nothers,
                    const struct json_object *node, char reason[static 64], struct err *reterr);
