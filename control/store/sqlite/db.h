/* SPDX-License-Identifier: Apache-2.0 */
/* The few things the store does with a SQLite connection, and what SQLite's errors mean to us. */
#pragma once

#include <stdint.h>

#include <sqlite3.h>

#include "base/cleanup.h"
#include "base/err.h"

/* Opens a connection without SQLite's own mutexes (one thread at a time uses it); flags: SQLITE_OPEN_READONLY, ... */
int db_open(const char *path, int flags, sqlite3 **ret, struct err *reterr);
/* Runs one or more statements, results ignored. */
int db_exec(sqlite3 *db, const char *sql, struct err *reterr);
/* The first column of the first row; 0 when there is no row or it is NULL. */
int db_u64(sqlite3 *db, const char *sql, uint64_t *ret, struct err *reterr);
/* Prepares a statement that will be kept. */
int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct err *reterr);
/* Steps a statement that gives no rows and resets it. Returns 0 or what db_error makes of the failure. */
int db_run(sqlite3_stmt *stmt, struct err *reterr);

/*
 * What the failure rc of the last call on db means: STORE_FULL when there is no space left (disk, quota, file size
 * limit), -EUCLEAN when the file is damaged, else the errno of the system call or the nearest one.
 */
int db_error(sqlite3 *db, int rc, struct err *reterr);

static inline void db_close(sqlite3 *db)
{
        sqlite3_close(db);
}
DEFINE_CLEANUP(sqlite3 *, db_close)

static inline void db_finalizep(sqlite3_stmt **stmt)
{
        sqlite3_finalize(*stmt);
}
