/* SPDX-License-Identifier: Apache-2.0 */
/* The paths of OpenAPI documents with their operations. */
#pragma once

#include "apiserver/openapi_schema.h"

/* Calls fn with each path item (borrowed) of a resource and its subresources. */
void openapi_paths_each(enum openapi_dialect d, const struct schema_resource *r, openapi_emit_fn fn, void *arg);
/* Adds the schemas that those operations take and return. */
void openapi_paths_reach(const struct schema_resource *r, struct openapi_set *s);
