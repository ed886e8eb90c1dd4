/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON text to a tree, for bodies: RFC 8259 to the letter, duplicate keys are noticed, and the schema, where one is
 * given, spares the copies of keys (the tree then points at the field names in the tables).
 */
#pragma once

#include "apiserver/codec/report.h"
#include "base/json.h"
#include "kube/schema.h"

struct json_source {
        const char *data;
        size_t len;
        const struct schema_struct *type; /* of the document, or NULL; a hint, nothing is checked against it */
        struct codec_report *duplicates;  /* or NULL; of equal keys the last one counts */
};

/*
 * Refuses, besides what is no JSON: bytes that are not UTF-8, \u0000, lone surrogates, numbers that no double holds,
 * nesting beyond JSON_DEPTH_MAX, more than JSON_CONTAINERS_MAX objects and arrays. *ret is NULL for the text `null`.
 * Returns 0 or -EINVAL with a message that is worded as Go's encoding/json does.
 */
int json_read(const struct json_source *source, struct json_object **ret, struct err *reterr);
