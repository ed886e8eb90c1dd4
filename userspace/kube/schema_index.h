/* SPDX-License-Identifier: Apache-2.0 */
/* What schema.c needs of the generated tables besides schema.h: indexes for its searches. Not for others to include. */
#pragma once

#include "kube/schema.h"

struct schema_kind_entry {
        const char *kind, *group, *version;
        const struct schema_struct *type;
};

extern const struct schema_kind_entry schema_kinds[]; /* sorted by kind, group, version */
extern const size_t schema_nkinds;
extern const uint8_t schema_by_plural[]; /* of schema_resources, sorted by plural, group, version */
extern const uint8_t schema_by_kind[];   /* of schema_resources, sorted by kind, group, version */
