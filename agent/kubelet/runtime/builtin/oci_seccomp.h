/* SPDX-License-Identifier: Apache-2.0 */
/* The seccomp profile RuntimeDefault: the calls that Docker and containerd allow by default, and those that come with
 * capabilities. Everything else fails with EPERM. */
#pragma once

#include <stdint.h>

#include "base/json.h"

/* linux.seccomp of a container with these capabilities (bit n: capability n). The caller owns it. */
struct json_object *oci_seccomp(uint64_t capabilities);
