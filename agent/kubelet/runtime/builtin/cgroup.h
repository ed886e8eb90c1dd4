/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The groups of pods: kubepods/[burstable/|besteffort/]podUID/ID. Each exists in the v2 hierarchy, because programs of
 * the dataplane and the device filter are attached there. Limits are written where their controllers live: there, or in
 * v1 hierarchies, in which a group is made only when it limits something (the first process that enters one waits about
 * 9 ms for it).
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/kubelet/runtime/runtime.h"
#include "base/err.h"

enum cgroup_controller {
        CGROUP_CPU,
        CGROUP_CPUSET,
        CGROUP_MEMORY,
        CGROUP_PIDS,
        CGROUP_CONTROLLERS,
};

#define CGROUP_PATH_MAX 512

struct cgroups {
        char v2[256];                     /* where it is mounted */
        char v1[CGROUP_CONTROLLERS][256]; /* "": that controller is in v2, or nowhere */
        bool in_v2[CGROUP_CONTROLLERS];
};

/* From the text of /proc/self/mountinfo and, for v2's controllers, cgroup.controllers. -ENOENT: no v2 is mounted. */
int cgroups_find(const char *mountinfo, struct cgroups *ret, struct err *reterr);

/* Whether v1 controllers stand beside v2. */
bool cgroups_hybrid(const struct cgroups *cg);

/* PATH is a group's, relative to the roots. Absolute path in v2. */
void cgroup_path(const struct cgroups *cg, const char *path, char ret[static CGROUP_PATH_MAX]);
/* Makes the group and those above it, and passes v2's controllers down to it. Is there already: fine. */
int cgroup_make(const struct cgroups *cg, const char *path, struct err *reterr);
/* Writes what is said (not -1, and not 0). A limit whose controller is nowhere is an error: it is never ignored. */
int cgroup_limit(const struct cgroups *cg, const char *path, const struct container_resources *res, struct err *reterr);
/* cgroup.procs of the v1 groups that exist for it. How many were written to ret. */
size_t cgroup_v1_procs(const struct cgroups *cg, const char *path,
                       char ret[static CGROUP_CONTROLLERS][CGROUP_PATH_MAX]);
/* Moves the processes that it has in v2 into its v1 groups. */
void cgroup_follow(const struct cgroups *cg, const char *path);
/* The file that counts OOM kills; false: nothing does. */
bool cgroup_oom_file(const struct cgroups *cg, const char *path, char ret[static CGROUP_PATH_MAX]);
/* KILL to all processes in it and below. */
void cgroup_kill(const struct cgroups *cg, const char *path);
/* Makes the group in v1 hierarchies as well, where the one above it is: what that one limits, its processes are to
 * count in.
 */
int cgroup_join(const struct cgroups *cg, const char *path);
/* Removes it and what is below it, everywhere. 0, -EBUSY while processes are left, or negative errno. */
int cgroup_remove(const struct cgroups *cg, const char *path);
/* Removes it where nothing is in it. */
void cgroup_remove_empty(const struct cgroups *cg, const char *path);
/* -ENOENT: no such group. Without a memory controller, memory is the sum of its processes' resident anonymous pages. */
int cgroup_usage(const struct cgroups *cg, const char *path, uint64_t *ret_cpu_ns, uint64_t *ret_memory,
                 uint64_t *ret_working_set);
