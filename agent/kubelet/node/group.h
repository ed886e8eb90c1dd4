/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of the group that a node lives in: a node may itself be in a container, or share a machine with others.
 * group is a path relative to the hierarchies' roots ("" for these); a limit above it counts too, as far as it can be
 * seen (in a cgroup namespace the root is the namespace's).
 */
#pragma once

#include "agent/kubelet/runtime/builtin/cgroup.h"

/* UINT64_MAX: none. */
uint64_t group_memory_limit(const struct cgroups *cg, const char *group);
/* By quota and set of processors, in thousandths; UINT64_MAX: no limit. */
uint64_t group_milli_cpus(const struct cgroups *cg, const char *group);
/* What it uses. 0 or -ENOENT: the memory controller does not say (the true root of v2). */
int group_memory(const struct cgroups *cg, const char *group, uint64_t *ret_used, uint64_t *ret_working_set);
/* How many processes and threads the group may have (UINT64_MAX: any) and has. */
uint64_t group_pids_limit(const struct cgroups *cg, const char *group, uint64_t *ret_used);
/* Processes in a group of v2 and those below it. */
uint64_t group_count_processes(const struct cgroups *cg, const char *group);
