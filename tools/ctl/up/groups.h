/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroups of a cluster, fairlead+NAME/MACHINE in the v2 hierarchy and in those v1 hierarchies whose controllers pods
 * are limited by. Every process of a cluster is born in them, so that killing the group leaves none. The cluster's v2
 * group bears a mark, an extended attribute: nothing is killed in a group without it, whatever its name is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define GROUPS_MAX 6

struct hierarchy {
        char mount[192];       /* where it is mounted */
        char controllers[128]; /* of v1: "cpu,cpuacct"; "" is v2 */
};

/* The first one is v2. */
struct hierarchies {
        struct hierarchy items[GROUPS_MAX];
        size_t n;
};

/* 0, or -ENOENT without a v2 hierarchy. */
int hierarchies_find(struct hierarchies *ret, struct err *reterr);
/* The same from the text of a mountinfo file, which is not changed. */
int hierarchies_parse(const char *mountinfo, struct hierarchies *ret, struct err *reterr);

/* Makes the group of that machine ("fairlead+dev/node-1") in all of them. 0 or negative errno. */
int groups_make(const struct hierarchies *h, const char *path, struct err *reterr);
/* Moves the calling process into it. 0 or negative errno. */
int groups_enter(const struct hierarchies *h, const char *path, struct err *reterr);
/* Kills every process of the group and below, and removes it. Waits up to patience_ms for the end of what dies. Counts
 * what it has killed and removed. 0, -EBUSY with the group that stays, or -EPERM: it is somebody else's. */
struct groups_end {
        size_t processes, groups;
};
int groups_remove(const struct hierarchies *h, const char *path, unsigned patience_ms, struct groups_end *ret,
                  struct err *reterr);
/* Processes of the v2 group and of those below it. */
size_t groups_processes(const struct hierarchies *h, const char *path);
/* Calls fn with the number of each of them, as text. */
void groups_each_process(const struct hierarchies *h, const char *path, void (*fn)(void *userdata, const char *pid),
                         void *userdata);
bool groups_exist(const struct hierarchies *h, const char *path);
/* Is the group, or what there is of it, fairctl's: marked, or without processes? */
bool groups_are_ours(const struct hierarchies *h, const char *path);
/* Calls fn with the name of each cluster that has a group of fairctl's. */
int groups_each(const struct hierarchies *h, int (*fn)(void *userdata, const char *name), void *userdata);
