/* SPDX-License-Identifier: Apache-2.0 */
/* linux.devices of an OCI configuration: the ones that a container names, or all of the node for a privileged one. */
#pragma once

#include "agent/kubelet/runtime/runtime.h"
#include "base/json.h"

/* Sets "devices" of linux_part. 0, or -EINVAL with the one that is none. */
int oci_devices(const struct container_config *c, struct json_object *linux_part, struct err *reterr);
