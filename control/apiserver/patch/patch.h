/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three patch types that rewrite an object without knowing who owns its fields: JSON patch (RFC 6902), merge patch
 * (RFC 7386) and strategic merge patch. Server-side apply is in apply.h.
 *
 * All of them are pure: the trees they are given stay as they are, and the result is a new tree that shares no node
 * with them (only immutable leaves are ever shared) and that the caller owns.
 */
#pragma once

#include "base/json.h"
#include "kube/schema.h"

/* Why a patch was refused; the values are the HTTP codes of the answer. Each fills reterr with the Status' message. */
enum patch_outcome {
        PATCH_BAD_REQUEST = 400,   /* the patch itself is malformed */
        PATCH_CONFLICT = 409,      /* server-side apply: others own fields of it */
        PATCH_TOO_LARGE = 413,     /* too many operations, or the result would be too large */
        PATCH_UNPROCESSABLE = 422, /* well-formed, but it cannot be applied to this object; reason Invalid */
        PATCH_INTERNAL = 500,      /* what Kubernetes answers with InternalError */
};

#define PATCH_JSON_OPERATIONS_MAX 10000     /* kube-apiserver's limit */
#define PATCH_JSON_COPY_MAX       (3 << 20) /* bytes that all copy operations of a patch may add (the body limit) */

/*
 * Applies the operations (an array) of a JSON patch to doc. Semantics where RFC 6902 leaves room are those of the
 * library that Kubernetes uses: a negative array index counts from the end, `test` against a missing value or null is
 * equal to null. Returns 0, or a patch_outcome.
 */
int patch_json_apply(const struct json_object *doc, const struct json_object *ops, struct json_object **ret,
                     struct err *reterr);

/* Applies a merge patch, which has to be an object. Returns 0, or a patch_outcome. */
int patch_merge_apply(const struct json_object *doc, const struct json_object *patch, struct json_object **ret,
                      struct err *reterr);

/*
 * Applies a strategic merge patch to an object of the given struct. type is NULL for kinds without a schema, which is
 * refused. Returns 0, or a patch_outcome.
 */
int patch_strategic_apply(const struct json_object *doc, const struct json_object *patch,
                          const struct schema_struct *type, struct json_object **ret, struct err *reterr);
