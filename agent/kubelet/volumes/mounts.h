/* SPDX-License-Identifier: Apache-2.0 */
/* What is mounted where, as /proc/self/mountinfo tells. */
#pragma once

#include "agent/kubelet/pods/textlist.h"

/* Adds the mounts at and below the folder (a resolved path), in the order in which they were made. 0 or negative errno.
 */
int mounts_below(const char *folder, struct textlist *ret);
/* Of one line: the mount's place, in the arena; NULL: it is no line of mountinfo. */
char *mountinfo_place(const char *line, struct arena *mem);
