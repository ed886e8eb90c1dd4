/* SPDX-License-Identifier: Apache-2.0 */
/* Database files as files: made under a temporary name, moved into place whole and durable. */
#pragma once

#include "base/err.h"

/* Makes an empty file, mode 0600, beside path: one left over by a crash is replaced. *ret_name is the caller's. */
int dbfile_make_temporary(const char *path, char **ret_name, struct err *reterr);
/* Syncs tmp, gives it the name path (replacing what is there) and syncs the folder. */
int dbfile_publish(const char *tmp, const char *path, struct err *reterr);
/* Makes renames in path's folder durable. */
int dbfile_sync_folder(const char *path, struct err *reterr);
/* path + suffix; NULL when out of memory. */
char *dbfile_beside(const char *path, const char *suffix);
/* Removes a database and what SQLite keeps beside it. */
void dbfile_unlink(const char *path);
/* Copies a whole file. */
int dbfile_copy(const char *from, const char *to, struct err *reterr);
