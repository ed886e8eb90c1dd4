/* SPDX-License-Identifier: Apache-2.0 */
/* What goes to standard output. All of it is owned by the caller. */
#pragma once

#include "cni/record.h"

/* The result of an ADD in the format of conf's version: what prevResult has, and behind that ours. dns: NULL when there
 * is none. */
struct json_object *result_add(const struct attachment *a, const struct cni_conf *conf, const struct json_object *dns);
struct json_object *result_version(enum cni_version version);
struct json_object *result_error(enum cni_version version, const struct err *err, const char *details);
/* The interface of prevResult that has that name and is (or is not) in a container; its place in *ret_index. */
const struct json_object *result_find_interface(const struct json_object *result, const char *name, bool sandbox,
                                                size_t *ret_index);
