/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees of files that containers could write to: counted and removed without ever following a link or crossing into
 * another mount, and however deep they are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree_removal;

/* Removes what is called name in the folder `at` (a copy of which is kept). Mounts in it are unmounted (lazily), never
 * removed through. NULL: out of descriptors. */
struct tree_removal *tree_removal_new(int at, const char *name);
/* Goes on for about that many files. 0: all is gone; 1: there is more; or negative errno. */
int tree_removal_step(struct tree_removal *t, size_t files);
void tree_removal_free(struct tree_removal *t);

/* All of it at once: for what is known to be small. */
int tree_remove(int at, const char *name);

/* Plain files and links in and below the folder; counting ends at max. */
size_t tree_count_files(int folder, size_t max);

/* Bytes that it has on the disk. UINT64_MAX: it is too deep to be looked through (nobody does that by accident). */
uint64_t tree_usage(const char *path);
