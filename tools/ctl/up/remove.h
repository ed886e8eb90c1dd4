/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a cluster, and the proof that nothing is left of it. */
#pragma once

#include "ctl/up/machine.h"

struct removed {
        struct groups_end groups;
        size_t networks; /* network namespaces */
        size_t files;
};

/* Kills what runs in the group of the cluster or of one of its machines ("fairlead+dev", "fairlead+dev/node-1") and
 * removes it. 0, or negative errno with what stays: processes, or namespaces that somebody else holds. */
int remove_group(const struct hierarchies *h, const char *group, struct removed *ret, struct err *reterr);
/* Removes a folder with all that is in it, on that file system. 0 or negative errno with the first that stays. */
int remove_folder(const char *path, size_t *ret_files, struct err *reterr);
/* Is there a mount of this mount namespace at or below that path? 0, or -EBUSY with the mount. */
int remove_check_mounts(const char *path, struct err *reterr);
