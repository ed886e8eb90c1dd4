/* SPDX-License-Identifier: Apache-2.0 */
/* Walking into a volume that a container may change at the same time: whatever links, names and races are there, the
 * result is in the volume. */
#pragma once

#include "base/err.h"

/* Opens (O_PATH) what is called path below root, a folder. Links are followed as long as they stay inside; what is
 * missing is made as folders of root's mode. -EXDEV: it leads out of the volume. */
int subpath_open(int root, const char *path, int *ret, struct err *reterr);
/* The path itself: relative, without "..". */
int subpath_check(const char *path, struct err *reterr);
