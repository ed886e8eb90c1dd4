/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a bpffs below which everything is pinned. Names there may have no dots. */
#pragma once

#include "base/err.h"

#define PINS_PATH 512

/* root exists and is of a bpffs: mounts one when there is none (at /sys/fs/bpf for what is below it, else at root). 0
 * or negative errno. */
int pins_prepare(const char *root, struct err *reterr);
/* Makes a folder and those above it, below root. 0 or negative errno. */
int pins_folder(const char *path, struct err *reterr);
/* One agent at a time: *ret_fd holds the lock. 0, -EBUSY, or negative errno. */
int pins_lock(const char *root, int *ret_fd, struct err *reterr);

/* Pins what fd is at path, in the place of what is there, in one step. 0 or negative errno. */
int pins_replace(int fd, const char *path);
/* Calls fn with the name of each entry of the folder, sorted, collected first; a folder that is not there has none.
 * 0, what fn returned other than 0, or negative errno. */
int pins_each(const char *folder, int (*fn)(void *userdata, const char *folder, const char *name), void *userdata);
/* Everything at and below path. 0 or the first error. */
int pins_remove(const char *path);
/* And root itself, with the bpffs if pins_prepare has mounted it there. 0 or the first error. */
int pins_remove_root(const char *root);
