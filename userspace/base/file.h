/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files: read with a limit, written so that readers and a power cut see the old or the new content, never half.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Replaces path: a temporary file in the same folder, fsync, rename, fsync of the folder. The file gets exactly that
 * mode. 0 or negative errno; on failure the old file is as it was.
 */
int file_write_atomic(const char *path, const void *data, size_t n, mode_t mode, struct err *reterr);

/* The same without the waits for the disk: whoever reads sees the old or the new content, also when the writer is
 * killed, but a power cut may leave either, or an empty file. */
int file_replace(const char *path, const void *data, size_t n, mode_t mode, struct err *reterr);

/* Removes the temporary files that a killed file_write_atomic has left in the folder. Only while nobody else writes
 * there: whoever calls it holds a lock of its own. */
void file_remove_temps(const char *folder);

/* The whole content with a NUL behind it, owned by the caller. 0, -EFBIG above limit bytes, or negative errno. */
int file_read(const char *path, size_t limit, char **ret, size_t *ret_len, struct err *reterr);

/* mkdir -p; folders that are made get that mode. 0 or negative errno. */
int file_mkdirs(const char *path, mode_t mode, struct err *reterr);
