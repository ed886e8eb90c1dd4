/* SPDX-License-Identifier: Apache-2.0 */
/* A static pod's file to the Pod that the kubelet runs: named after the node, bound to it, with the defaults that the
 * API server would have set. Pure. */
#pragma once

#include "base/err.h"
#include "base/json.h"

#define CONFIG_HASH_ANNOTATION   "kubernetes.io/config.hash"
#define CONFIG_MIRROR_ANNOTATION "kubernetes.io/config.mirror"
#define CONFIG_SOURCE_ANNOTATION "kubernetes.io/config.source"

/* name: of the file, for messages and the uid, which follows from text, name and node. 0 and an owned object, or
 * -EINVAL with what is wrong and what would be right. */
int manifest_read(const char *text, size_t len, const char *name, const char *node, struct json_object **ret,
                  struct err *reterr);
/* What the API server would have filled in. */
void manifest_defaults(struct json_object *pod);
/* What the API is told of it: a copy that is marked as a mirror and owned by the Node (uid "": by nobody). */
struct json_object *manifest_mirror(const struct json_object *pod, const char *node, const char *node_uid);
