/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML to the tree that its JSON would give, as sigs.k8s.io/yaml does it: YAML 1.1 scalars (yes, on, 0777), keys made
 * strings, anchors and merge keys resolved. One document.
 */
#pragma once

#include "base/json.h"

/* *ret is NULL for an empty document. Duplicate keys, what JSON cannot say, and aliases that blow the document up are
 * errors. Returns 0, or -EINVAL with "yaml: line N: ...". */
int yaml_read(const char *data, size_t len, struct json_object **ret, struct err *reterr);
