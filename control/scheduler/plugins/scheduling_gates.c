/* SPDX-License-Identifier: Apache-2.0 */
/* Pods with spec.schedulingGates do not come into the active queue (queue.c): no cycle asks this. */
#include "scheduler/plugins/plugin.h"

const struct plugin plugin_scheduling_gates = {.name = "SchedulingGates"};
