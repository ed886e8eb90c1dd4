/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings a tree into the form in which Go would write the object: what every write, patch result and stored object is
 * held to.
 */
#pragma once

#include "apiserver/codec/report.h"
#include "base/json.h"
#include "kube/schema.h"

/*
 * Checks and rewrites *obj in place (owned by the caller; single values may be replaced):
 *
 *  - Wrong JSON types, numbers out of range, bad times, quantities or base64 are errors, worded as Kubernetes does.
 *  - Members that the schema does not have are dropped and reported; nulls are dropped.
 *  - Quantities become canonical, times UTC.
 *  - Zero values are dropped where Go's omitempty drops them, and what Go always writes is added (see
 *    schema_field_flags).
 *
 * report may be NULL. Returns 0 or -EINVAL; the tree is then half done and only good for being freed.
 */
int codec_normalise(struct json_object *obj, const struct schema_struct *type, struct codec_report *report,
                    struct err *reterr);
