/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/json.h"

enum yaml_scalar {
        YAML_STR,
        YAML_NULL,
        YAML_BOOL,
        YAML_INT,
        YAML_FLOAT,
        YAML_UNSUPPORTED, /* infinity and NaN, which JSON lacks */
};

/* What a plain scalar means in YAML 1.1 as Go's yaml.v2 reads it. *ret is the value, but for YAML_STR and YAML_NULL. */
enum yaml_scalar yaml_scalar_resolve(const char *s, struct json_object **ret);
