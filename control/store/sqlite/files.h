/* SPDX-License-Identifier: Apache-2.0 */
/* Database files as files: made under a temporary name, moved into place whole and durable. */
#pragma once

#include "base/err.h"

/* Makes an empty file, mode 0600, beside path: one left over by a crash is replaced. *ret_name is the caller's. */
int file_make_temporary(const char *path, char **ret_name, struct err *reterr);
/* Syncs tmp, gives it the name path (replacing what is there) and syncs the folder. */
int file_publish(const char *tmp, const char *path, struct err *reterr);
/* Makes renames in path's folder durable. */
int file_sync_folder(const char *path, struct err *reterr);
/* path + suffix; NULL when out of memory. */
char *file_beside(const char *path, const char *suffix);
/* Removes a database and what SQLite keeps beside it. */
void file_unlink_database(const char *path);
/* Copies a whole file. */
int file_copy(const char *from, const char *to, struct err *reterr);
