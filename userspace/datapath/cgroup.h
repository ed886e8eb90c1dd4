/* SPDX-License-Identifier: Apache-2.0 */
/* Where cgroup v2 is mounted: on hybrid hosts not at /sys/fs/cgroup. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The root of the first cgroup2 mount of this process whose root is the hierarchy's (of the process's cgroup
 * namespace). 0, -ENOENT, or negative errno. */
int cgroup_find_v2(char *ret_path, size_t size);
/* The same of the text of a mountinfo file, which is changed. */
int cgroup_parse_mountinfo(char *text, char *ret_path, size_t size);
/* The id by which the kernel names the cgroup of that folder (of links, say). 0 or negative errno. */
int cgroup_id(const char *path, uint64_t *ret);
