/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "store/sqlite/dbfile.h"
#include "store/sqlite/internal.h"

/* One read transaction: a server may go on writing. The copy has no unused pages and needs no WAL. */
static int vacuum_into(const char *path, const char *dst, struct err *reterr)
{
        _cleanup_(db_closep) sqlite3 *db = NULL;
        _cleanup_(db_finalizep) sqlite3_stmt *stmt = NULL;
        int r;

        r = db_open(path, SQLITE_OPEN_READWRITE, &db, reterr);
        if (!r)
                r = db_exec(db, "PRAGMA temp_store = MEMORY", reterr);
        if (!r)
                r = schema_check(db, false, reterr);
        if (!r)
                r = db_prepare(db, "VACUUM INTO ?1", &stmt, reterr);
        if (r)
                return r;
        sqlite3_bind_text(stmt, 1, dst, -1, SQLITE_STATIC);
        return db_run(stmt, reterr);
}

static bool same_file(const char *a, const char *b)
{
        struct stat sa, sb;

        return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static int space_to_errno(int r)
{
        return r == STORE_FULL ? -ENOSPC : r;
}

int store_sqlite_snapshot_save(const char *path, const char *dst, struct err *reterr)
{
        _cleanup_free_ char *tmp = NULL;
        int r;

        if (access(path, F_OK) < 0)
                return err_set(reterr, -errno, "%s: %s", path, strerror(errno));
        if (same_file(path, dst))
                return err_set(reterr, -EINVAL, "%s: is the store itself, not a place for its snapshot", dst);
        r = dbfile_make_temporary(dst, &tmp, reterr);
        if (!r)
                r = vacuum_into(path, tmp, reterr);
        if (!r)
                r = dbfile_publish(tmp, dst, reterr);
        if (r && tmp)
                dbfile_unlink(tmp);
        return space_to_errno(r);
}

/* The copy is checked, not the original, so that what was checked is what is used. */
static int check_copy(const char *tmp, const char *snapshot, struct err *reterr)
{
        _cleanup_(db_closep) sqlite3 *db = NULL;
        uint64_t missing;
        int r;

        r = db_open(tmp, SQLITE_OPEN_READWRITE, &db, reterr);
        if (!r)
                r = schema_check(db, true, reterr);
        if (!r)
                r = db_u64(db,
                           "SELECT (SELECT count(*) FROM log) != (SELECT count(*) FROM hist) OR"
                           " EXISTS (SELECT 1 FROM hist WHERE NOT EXISTS (SELECT 1 FROM log WHERE log.id = hist.id))",
                           &missing, reterr);
        if (!r && missing)
                r = err_set(reterr, -EUCLEAN, "its index and its rows do not belong together");
        return r ? err_prefix(reterr, r, "%s: not a usable snapshot", snapshot) : 0;
}

static int move(const char *path, const char *from_suffix, const char *to_suffix, struct err *reterr)
{
        _cleanup_free_ char *from = dbfile_beside(path, from_suffix), *to = dbfile_beside(path, to_suffix);

        if (!from || !to)
                return err_set(reterr, -ENOMEM, "out of memory");
        if (rename(from, to) < 0 && errno != ENOENT)
                return err_set(reterr, -errno, "%s: cannot rename to %s: %s", from, to, strerror(errno));
        return 0;
}

/*
 * The old database and its WAL go together as path.old. After a crash in between, path is missing and -wal may be
 * there: a server refuses to start then, and the same restore can be run again.
 */
static int set_aside(const char *path, struct err *reterr)
{
        _cleanup_free_ char *old = dbfile_beside(path, ".old"), *shm = dbfile_beside(path, "-shm");
        int r;

        if (!old || !shm)
                return err_set(reterr, -ENOMEM, "out of memory");
        if (access(path, F_OK) == 0) {
                dbfile_unlink(old);
                r = move(path, "", ".old", reterr);
                if (r)
                        return r;
        }
        unlink(shm);
        return move(path, "-wal", ".old-wal", reterr);
}

static int restore_locked(const char *snapshot, const char *path, bool force, struct err *reterr)
{
        _cleanup_free_ char *tmp = NULL;
        int r;

        if (!force && access(path, F_OK) == 0)
                return err_set(reterr, -EEXIST, "%s: exists; with --force it is kept as %s.old", path, path);
        r = dbfile_make_temporary(path, &tmp, reterr);
        if (!r)
                r = dbfile_copy(snapshot, tmp, reterr);
        if (!r)
                r = check_copy(tmp, snapshot, reterr);
        if (!r)
                r = set_aside(path, reterr);
        if (!r)
                r = dbfile_publish(tmp, path, reterr);
        if (r && tmp)
                dbfile_unlink(tmp);
        return space_to_errno(r);
}

int store_sqlite_snapshot_restore(const char *snapshot, const char *path, bool force, struct err *reterr)
{
        _cleanup_close_ int lock_fd = -1;
        int r;

        if (access(snapshot, R_OK) < 0)
                return err_set(reterr, -errno, "%s: %s", snapshot, strerror(errno));
        r = lock_take(path, &lock_fd, reterr);
        return r ? r : restore_locked(snapshot, path, force, reterr);
}
