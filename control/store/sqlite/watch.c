/* SPDX-License-Identifier: Apache-2.0 */
/* Runs in the writer thread between commits, so that nothing falls between the past, told here, and what follows. */
#include <errno.h>
#include <string.h>

#include "store/sqlite/internal.h"

#define CHUNK_EVENTS 256

static int event_read(sqlite3_stmt *stmt, struct store_event *ret)
{
        const void *key = sqlite3_column_blob(stmt, 1);
        _cleanup_free_ char *copy = strndup(key ? key : "", (size_t)sqlite3_column_bytes(stmt, 1));
        _cleanup_blob_ struct blob *value = NULL;

        if (!copy)
                return -ENOMEM;
        if (sqlite3_column_type(stmt, 2) != SQLITE_NULL) {
                const void *data = sqlite3_column_blob(stmt, 2);

                value = blob_new(data, (size_t)sqlite3_column_bytes(stmt, 2));
                if (!value)
                        return -ENOMEM;
        }
        *ret = (struct store_event){.revision = row_revision(sqlite3_column_int64(stmt, 0)),
                                    .create_revision = (uint64_t)sqlite3_column_int64(stmt, 3),
                                    .key = TAKE_PTR(copy),
                                    .value = TAKE_PTR(value)};
        return 0;
}

static void chunk_tell(const struct watch_request *watch, struct store_event *events, size_t n)
{
        if (n)
                watch->fn(watch->userdata, events, n);
        for (size_t i = 0; i < n; i++) {
                free((char *)events[i].key);
                blob_unref(events[i].value);
        }
}

static int replay(sqlite3 *db, const struct watch_request *watch, struct err *reterr)
{
        _cleanup_(db_finalizep) sqlite3_stmt *stmt = NULL;
        struct store_event events[CHUNK_EVENTS];
        size_t n = 0;
        int r, rc;

        r = db_prepare(db, "SELECT id, key, value, create_rev FROM log WHERE id > ?1 ORDER BY id", &stmt, reterr);
        if (r)
                return r;
        sqlite3_bind_int64(stmt, 1, row_id_last(watch->after_revision));
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
                r = event_read(stmt, &events[n]);
                if (r)
                        break;
                if (++n == CHUNK_EVENTS) {
                        chunk_tell(watch, events, n);
                        n = 0;
                }
        }
        chunk_tell(watch, events, n);
        if (r)
                return err_set(reterr, r, "out of memory");
        return rc == SQLITE_DONE ? 0 : db_error(db, rc, reterr);
}

int watch_set(struct sqlite_store *s, const struct watch_request *watch, struct err *reterr)
{
        int r = 0;

        if (watch->after_revision < atomic_load(&s->compacted))
                return err_set(reterr, STORE_COMPACTED, "revision %llu is compacted, history begins at %llu",
                               (unsigned long long)watch->after_revision, (unsigned long long)s->compacted);
        if (watch->after_revision > s->writer.revision)
                return err_set(reterr, STORE_FUTURE, "revision %llu is not reached, now is %llu",
                               (unsigned long long)watch->after_revision, (unsigned long long)s->writer.revision);
        s->writer.watch = NULL;
        if (watch->fn)
                r = replay(s->writer.db, watch, reterr);
        if (r)
                return r;
        s->writer.watch = watch->fn;
        s->writer.watch_data = watch->userdata;
        return 0;
}
