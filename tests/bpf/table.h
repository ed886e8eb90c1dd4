/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold for the flow table whatever happened, once nobody is at it. */
#pragma once

#include "bpf/lab.h"

/* Fails the test when a key is there twice or an entry is left half written. Returns how many live entries have no
 * other half (flow.h, point 5): after one CPU alone there are none. */
size_t table_check(const struct lab *lab);
/* Of all CPUs. */
struct flow_counters table_counters(const struct lab *lab);
