/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts of a container: what every Linux container has, then what the pod mounts, outer targets first. */
#pragma once

#include "agent/kubelet/runtime/builtin/oci_spec.h"

/* An array that the caller owns, or -EINVAL for a target that is no absolute path without "..". */
int oci_mounts(const struct oci_input *in, struct json_object **ret, struct err *reterr);
/* What the mounts' propagation asks of the root: "rshared", "rslave", or NULL for nothing. */
const char *oci_rootfs_propagation(const struct container_config *c);
