/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod may know of itself: the downward API, for variables and for files. Pure. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

struct downward {
        const struct json_object *pod;
        const struct json_object *node; /* limits that a container does not have are the node's; or NULL */
        const char *const *pod_ips, *const *host_ips; /* NULL: those of the pod's status */
};

/* fieldRef.fieldPath: "metadata.labels['app']", "status.podIP", ... 0 with text in the arena, or -EINVAL. */
int downward_field(const struct downward *d, const char *path, struct arena *mem, const char **ret, struct err *reterr);

/* resourceFieldRef; of container unless it names another. Rounded up to whole divisors. 0, or -EINVAL. */
int downward_resource(const struct downward *d, const struct json_object *ref, const struct json_object *container,
                      struct arena *mem, const char **ret, struct err *reterr);
