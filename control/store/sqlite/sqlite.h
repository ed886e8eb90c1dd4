/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded store: one SQLite database in WAL mode, synchronous=FULL, written by one thread with group commit. */
#pragma once

#include "store/store.h"

struct store_sqlite_config {
        const char *path; /* the database file; -wal, -shm, .lock are beside it */
        /* Puts are refused (STORE_FULL) when objects and history fill 31/32 of it; 0: no limit but the disk's. The rest
         * is for deletions, so that compaction can make room. The WAL (usually under 32 MB) is not counted. */
        uint64_t max_size_bytes;
        bool skip_check; /* do not run the integrity check at start */
};

/*
 * Opens or makes the database, mode 0600, and locks it against a second server (path.lock). Checks its schema version
 * and integrity (about 1 ms a MB). Returns 0, -EBUSY (another server has it: reterr has its pid), -EUCLEAN (damaged:
 * reterr says what and how to restore), -EPROTONOSUPPORT (written by a newer fairlead), -ENOSPC, or negative errno.
 *
 * A full disk, a quota and a file size limit make writes STORE_FULL; for the latter the program must ignore SIGXFSZ.
 * The file does not shrink: what compaction frees is used again. A snapshot has no free pages.
 */
int store_sqlite_open(const struct store_sqlite_config *config, struct store **ret, struct err *reterr);

/*
 * Writes a consistent copy of a live or idle database to dst, mode 0600, in place of what is there (atomic rename,
 * fsync). A server goes on meanwhile. Returns 0 or negative errno.
 */
int store_sqlite_snapshot_save(const char *path, const char *dst, struct err *reterr);
/*
 * Makes path from a snapshot after checking it. Returns 0, -EEXIST (path is there; with force it is kept as path.old),
 * -EBUSY (a server runs on path), -EUCLEAN (a damaged snapshot), or negative errno.
 */
int store_sqlite_snapshot_restore(const char *snapshot, const char *path, bool force, struct err *reterr);
