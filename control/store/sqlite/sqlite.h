/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded store: one SQLite database in WAL mode, synchronous=FULL, written by one thread with group commit. */
#pragma once

#include "store/store.h"

struct store_sqlite_config {
        const char *path;        /* the database file; -wal, -shm and .lock are beside it */
        uint64_t max_size_bytes; /* writes are refused beyond; 0: no limit but the disk's */
        bool skip_check;         /* do not run the integrity check at start */
};

/*
 * Opens or makes the database, mode 0600, and locks it against a second server. Checks its integrity and schema
 * version. Returns 0, -EBUSY (another server has it), -EUCLEAN (damaged: reterr names what and how to restore), or
 * negative errno.
 */
int store_sqlite_open(const struct store_sqlite_config *config, struct store **ret, struct err *reterr);

/* Writes a consistent copy of a live or idle database to dst (atomic rename, fsync). */
int store_sqlite_snapshot_save(const char *path, const char *dst, struct err *reterr);
/* Makes path from a snapshot after checking it; refuses when path exists, unless force (kept as path.old). */
int store_sqlite_snapshot_restore(const char *snapshot, const char *path, bool force, struct err *reterr);
