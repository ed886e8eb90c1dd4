/* SPDX-License-Identifier: Apache-2.0 */
/* IntOrString fields that are a number or a part of one: 3, "25%". */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"

/* A percentage of total is rounded up or down. What is absent or cannot be read is `otherwise`. */
int64_t int_or_percent(const struct json_object *v, int64_t total, bool up, int64_t otherwise);
