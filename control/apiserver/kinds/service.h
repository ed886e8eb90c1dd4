/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of Services; defaults and what an update keeps are in service.c. */
#pragma once

#include "apiserver/alloc/service.h"

void service_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e);
void service_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                             struct ferrs *e);
void service_validate_status(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                             struct ferrs *e);
