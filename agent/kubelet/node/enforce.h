/* SPDX-License-Identifier: Apache-2.0 */
/* What pods may have together, as limits of the group that all of them are in. */
#pragma once

#include "agent/kubelet/node/capacity.h"
#include "agent/kubelet/runtime/builtin/cgroup.h"

/*
 * Limits kubepods below root to what is not reserved (evictions keep more free, before that is reached), gives
 * processors in that proportion, and to best-effort pods the least of them. Only by controllers of v2: in v1
 * hierarchies pods are where they have limits themselves. 0 or negative errno.
 */
int enforce_limits(const struct cgroups *cg, const char *root, const struct machine *m,
                   const struct node_reserved *reserved, uint64_t max_pids, struct err *reterr);
