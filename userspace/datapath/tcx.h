/* SPDX-License-Identifier: Apache-2.0 */
/* What Debian 12's headers and libbpf do not know of TCX (Linux 6.6). */
#pragma once

#include <stdbool.h>
#include <linux/bpf.h>

/* Values of enum bpf_attach_type. */
#define TCX_INGRESS ((enum bpf_attach_type)46)
#define TCX_EGRESS  ((enum bpf_attach_type)47)

/* Whether the kernel knows these attachments: asks what lo has of them. */
bool tcx_works(void);
