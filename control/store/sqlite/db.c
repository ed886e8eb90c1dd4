/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "store/sqlite/db.h"
#include "store/store.h"

#define BUSY_TIMEOUT_MS 5000

static int errno_outcome(int sys_errno)
{
        switch (sys_errno) {
        case ENOSPC:
        case EDQUOT:
        case EFBIG: /* RLIMIT_FSIZE */
                return STORE_FULL;
        case 0:
                return -EIO;
        default:
                return -sys_errno;
        }
}

/*
 * SQLite keeps the errno of some failed calls, but not of those in COMMIT: there the errno that the call left behind
 * tells, if it is one that only a failed write can leave.
 */
static int io_outcome(sqlite3 *db, int left_errno)
{
        switch (left_errno) {
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
        case EIO:
        case EROFS:
                return errno_outcome(left_errno);
        default:
                return errno_outcome(sqlite3_system_errno(db));
        }
}

static int rc_outcome(sqlite3 *db, int rc)
{
        int left_errno = errno;

        switch (rc & 0xff) {
        case SQLITE_FULL:
                return STORE_FULL;
        case SQLITE_IOERR:
                return rc == SQLITE_IOERR_NOMEM ? -ENOMEM : io_outcome(db, left_errno);
        case SQLITE_CANTOPEN:
                return errno_outcome(sqlite3_system_errno(db));
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return -EUCLEAN;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return -EBUSY;
        case SQLITE_READONLY:
                return -EROFS;
        case SQLITE_PERM:
        case SQLITE_AUTH:
                return -EACCES;
        case SQLITE_TOOBIG:
                return -E2BIG;
        default:
                return -EIO;
        }
}

int db_error(sqlite3 *db, int rc, struct err *reterr)
{
        int r = rc_outcome(db, rc);
        const char *file = sqlite3_db_filename(db, "main");

        return err_set(reterr, r, "%s: %s (SQLite error %d)", file ? file : "database", sqlite3_errmsg(db), rc);
}

int db_open(const char *path, int flags, sqlite3 **ret, struct err *reterr)
{
        _cleanup_(db_closep) sqlite3 *db = NULL;
        int rc;

        rc = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
        if (!db)
                return err_set(reterr, -ENOMEM, "%s: out of memory", path);
        if (rc)
                return err_set(reterr, rc_outcome(db, rc), "%s: cannot open: %s", path, sqlite3_errmsg(db));
        sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
        *ret = TAKE_PTR(db);
        return 0;
}

int db_exec(sqlite3 *db, const char *sql, struct err *reterr)
{
        int rc;

        errno = 0;
        rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
        return rc ? db_error(db, rc, reterr) : 0;
}

int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct err *reterr)
{
        int rc = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);

        return rc ? db_error(db, rc, reterr) : 0;
}

int db_u64(sqlite3 *db, const char *sql, uint64_t *ret, struct err *reterr)
{
        _cleanup_(db_finalizep) sqlite3_stmt *stmt = NULL;
        int r, rc;

        r = db_prepare(db, sql, &stmt, reterr);
        if (r)
                return r;
        rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
                return db_error(db, rc, reterr);
        *ret = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
        return 0;
}

int db_run(sqlite3_stmt *stmt, struct err *reterr)
{
        int r, rc;

        errno = 0;
        rc = sqlite3_step(stmt);
        r = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : db_error(sqlite3_db_handle(stmt), rc, reterr);
        sqlite3_reset(stmt);
        return r;
}
