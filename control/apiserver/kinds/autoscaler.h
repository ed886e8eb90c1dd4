/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/json.h"

/* Fills what autoscaling/v2 fills: minReplicas, metrics, behavior. */
void autoscaler_defaults_v2(struct json_object *obj);
/* Whole objects between autoscaling/v1 and v2, but for apiVersion: what v1 has no fields for lives in annotations. */
void autoscaler_to_v2(struct json_object *obj);
void autoscaler_to_v1(struct json_object *obj);
