/* SPDX-License-Identifier: Apache-2.0 */
/* The order of the active queue (queue.c): by priority, then by time. */
#include "scheduler/plugins/plugin.h"

const struct plugin plugin_priority_sort = {.name = "PrioritySort"};
