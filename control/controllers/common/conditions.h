/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions in a status, as JSON. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"

/* NULL when there is none. */
struct json_object *condition_find(struct json_object *status, const char *type);
/* "True", "False", "Unknown", or "" */
const char *condition_status(struct json_object *status, const char *type);

/* Sets it. lastTransitionTime changes with the status only; lastUpdateTime (where stamped: Deployments) whenever
 * anything does, and it moves to the end as upstream's do. Whether anything changed. */
bool condition_set(struct json_object *status, const char *type, const char *value, const char *reason,
                   const char *message, int64_t now_s);
bool condition_set_stamped(struct json_object *status, const char *type, const char *value, const char *reason,
                           const char *message, int64_t now_s);
bool condition_remove(struct json_object *status, const char *type);
