/* SPDX-License-Identifier: Apache-2.0 */
/* What is done for a pod that fits nowhere: preempt.c. */
#include "scheduler/plugins/plugin.h"

const struct plugin plugin_default_preemption = {.name = "DefaultPreemption"};
