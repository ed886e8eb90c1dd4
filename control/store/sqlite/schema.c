/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>

#include "store/sqlite/dbfile.h"
#include "store/sqlite/internal.h"

#define STR_(x) #x
#define STR(x)  STR_(x)

/* application_id is set last, inside the transaction: a file that has it has everything. */
static const char schema_sql[] = "PRAGMA page_size = " STR(
        STORE_PAGE_SIZE) ";"
                         "PRAGMA journal_mode = WAL;"
                         "BEGIN;"
                         "CREATE TABLE log (id INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB,"
                         " create_rev INTEGER NOT NULL);"
                         "CREATE TABLE hist (key BLOB NOT NULL, id INTEGER NOT NULL,"
                         " create_rev INTEGER NOT NULL, PRIMARY KEY (key, id)) WITHOUT ROWID;"
                         "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
                         "INSERT INTO meta VALUES ('compacted', 0), ('swept', 0);"
                         "PRAGMA user_version = " STR(
                                 STORE_SQLITE_SCHEMA) ";"
                                                      "PRAGMA application_id = " STR(
                                                              STORE_SQLITE_APPLICATION_ID) ";"
                                                                                           "COMMIT;";

static int schema_write(const char *path, struct err *reterr)
{
        _cleanup_(db_closep) sqlite3 *db = NULL;
        int r;

        r = db_open(path, SQLITE_OPEN_READWRITE, &db, reterr);
        return r ? r : db_exec(db, schema_sql, reterr);
}

int schema_create(const char *path, struct err *reterr)
{
        _cleanup_free_ char *tmp = NULL;
        int r;

        r = dbfile_make_temporary(path, &tmp, reterr);
        if (!r)
                r = schema_write(tmp, reterr);
        if (!r)
                r = dbfile_publish(tmp, path, reterr);
        if (r && tmp)
                dbfile_unlink(tmp);
        return r;
}

static int check_identity(sqlite3 *db, const char *path, struct err *reterr)
{
        uint64_t id, version;
        int r;

        r = db_u64(db, "PRAGMA application_id", &id, reterr);
        if (!r)
                r = db_u64(db, "PRAGMA user_version", &version, reterr);
        if (r)
                return r;
        if (id != STORE_SQLITE_APPLICATION_ID)
                return err_set(reterr, -EUCLEAN, "%s: is not a store of fairlead (application id %#llx)", path,
                               (unsigned long long)id);
        if (version > STORE_SQLITE_SCHEMA)
                return err_set(reterr, -EPROTONOSUPPORT,
                               "%s: was written by a newer fairlead: its schema is version %llu, this one knows up to "
                               "%d; use the newer program",
                               path, (unsigned long long)version, STORE_SQLITE_SCHEMA);
        return 0;
}

/* quick_check returns one row "ok" or a row for each finding; the first is enough to tell. */
static int check_pages(sqlite3 *db, const char *path, struct err *reterr)
{
        _cleanup_(db_finalizep) sqlite3_stmt *stmt = NULL;
        const char *text;
        int r, rc;

        r = db_prepare(db, "PRAGMA quick_check(1)", &stmt, reterr);
        if (r)
                return r;
        rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW)
                return db_error(db, rc, reterr);
        text = (const char *)sqlite3_column_text(stmt, 0);
        if (text && strcmp(text, "ok") == 0)
                return 0;
        return err_set(reterr, -EUCLEAN, "%s: %s", path, text ? text : "integrity check failed");
}

int schema_check(sqlite3 *db, bool deep, struct err *reterr)
{
        const char *path = sqlite3_db_filename(db, "main");
        int r;

        r = check_identity(db, path, reterr);
        if (!r && deep)
                r = check_pages(db, path, reterr);
        return r;
}
