/* SPDX-License-Identifier: Apache-2.0 */
/* The conditions that a node tells of itself, and the Events of their changes. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

enum node_condition_kind {
        NODE_MEMORY_PRESSURE,
        NODE_DISK_PRESSURE,
        NODE_PID_PRESSURE,
        NODE_READY,
        NODE_CONDITIONS,
};

struct node_health {
        bool pressure[NODE_READY];   /* by kind */
        const char *network_problem; /* NULL: none */
};

/* "MemoryPressure" */
const char *node_condition_name(enum node_condition_kind kind);

/* status.conditions: before (may be NULL) as told last, for the time of the last change. The caller owns it. */
struct json_object *conditions_make(const struct node_health *h, const struct json_object *before, int64_t now_s);
/* Whether what they say (not when) is in `told` already. */
bool conditions_told(const struct json_object *conditions, const struct json_object *told);

/* Calls fn with the reason of an Event ("NodeReady") for each that differs from before (NULL: the node is new). */
void conditions_changes(const struct json_object *before, const struct json_object *now,
                        void (*fn)(void *userdata, const char *reason), void *userdata);
