/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges: one read transaction each, on a small pool of read-only connections that are opened when first needed. */
#include <errno.h>
#include <string.h>

#include "store/sqlite/internal.h"

#define READER_PRAGMAS "PRAGMA cache_size = -512; PRAGMA temp_store = MEMORY; PRAGMA query_only = 1"

static void reader_deinit(struct reader *r)
{
        sqlite3_finalize(r->begin);
        sqlite3_finalize(r->end);
        sqlite3_finalize(r->revision);
        sqlite3_finalize(r->scan);
        sqlite3_finalize(r->value);
        db_close(r->db);
        *r = (struct reader){0};
}

static int reader_open(const char *path, struct reader *ret, struct err *reterr)
{
        _cleanup_(reader_deinit) struct reader reader = {0};
        const struct {
                sqlite3_stmt **stmt;
                const char *sql;
        } statements[] = {
                {&reader.begin, "BEGIN"},
                {&reader.end, "COMMIT"},
                {&reader.revision,
                 "SELECT (SELECT max(id) FROM log), (SELECT value FROM meta WHERE name = 'compacted')"},
                {&reader.scan,
                 "SELECT key, id, create_rev FROM hist WHERE key >= ?1 AND (?2 IS NULL OR key < ?2) ORDER BY key, id"},
                {&reader.value, "SELECT value FROM log WHERE id = ?1"},
        };
        int r;

        r = db_open(path, SQLITE_OPEN_READONLY, &reader.db, reterr);
        if (!r)
                r = db_exec(reader.db, READER_PRAGMAS, reterr);
        for (size_t i = 0; !r && i < ARRAY_SIZE(statements); i++)
                r = db_prepare(reader.db, statements[i].sql, statements[i].stmt, reterr);
        if (r)
                return r;
        *ret = TAKE(reader, (struct reader){0});
        return 0;
}

/* Waits for one when all are busy. */
static int reader_get(struct sqlite_store *s, struct reader *ret, struct err *reterr)
{
        struct reader_pool *pool = &s->readers;
        bool open = false;
        int r = 0;

        pthread_mutex_lock(&pool->lock);
        while (!pool->n_idle && pool->n_open == READERS_MAX)
                pthread_cond_wait(&pool->freed, &pool->lock);
        if (pool->n_idle)
                *ret = pool->idle[--pool->n_idle];
        else
                open = ++pool->n_open;
        pthread_mutex_unlock(&pool->lock);

        if (open)
                r = reader_open(s->path, ret, reterr);
        if (r) {
                pthread_mutex_lock(&pool->lock);
                pool->n_open--;
                pthread_cond_signal(&pool->freed);
                pthread_mutex_unlock(&pool->lock);
        }
        return r;
}

static void reader_put(struct sqlite_store *s, const struct reader *reader)
{
        struct reader_pool *pool = &s->readers;

        pthread_mutex_lock(&pool->lock);
        pool->idle[pool->n_idle++] = *reader;
        pthread_cond_signal(&pool->freed);
        pthread_mutex_unlock(&pool->lock);
}

void readers_deinit(struct sqlite_store *s)
{
        while (s->readers.n_idle)
                reader_deinit(&s->readers.idle[--s->readers.n_idle]);
}

struct bounds {
        char low[KEY_MAX + 2], high[KEY_MAX + 1];
        size_t low_len, high_len; /* high_len 0: no upper bound */
};

/* The least string above all that begin with prefix: its last byte that is not 0xff goes up by one. */
static size_t prefix_end(const char *prefix, size_t len, char *ret)
{
        while (len && (unsigned char)prefix[len - 1] == 0xff)
                len--;
        if (!len)
                return 0;
        memcpy(ret, prefix, len);
        ret[len - 1] = (char)((unsigned char)ret[len - 1] + 1);
        return len;
}

/* Returns 0 or -EINVAL. Keys have no NUL, so "key NUL" is the least string above key. */
static int range_bounds(const struct store_range *range, struct bounds *b, struct err *reterr)
{
        const char *prefix = range->prefix ? range->prefix : "", *after = range->start_after;
        size_t len = strlen(prefix);

        if (len > KEY_MAX || (after && strlen(after) > KEY_MAX))
                return err_set(reterr, -EINVAL, "a key has at most %d bytes", KEY_MAX);
        b->high_len = prefix_end(prefix, len, b->high);
        if (after && strcmp(after, prefix) >= 0) {
                b->low_len = strlen(after) + 1;
                memcpy(b->low, after, b->low_len);
        } else {
                b->low_len = len;
                memcpy(b->low, prefix, len);
        }
        return 0;
}

struct scan {
        struct reader *reader;
        uint64_t revision;
        uint32_t limit, n;
        store_range_fn fn;
        void *userdata;
        /* The last row at or below the revision of the key that the scan is in; id 0: none. */
        char key[KEY_MAX + 1];
        size_t key_len;
        int64_t id;
        uint64_t create_revision; /* 0: deleted */
};

static int value_read(struct scan *scan, struct blob **ret, struct err *reterr)
{
        sqlite3_stmt *stmt = scan->reader->value;
        struct blob *value = NULL;
        int rc, r = 0;

        sqlite3_bind_int64(stmt, 1, scan->id);
        rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW) {
                const void *data = sqlite3_column_blob(stmt, 0);

                value = blob_new(data, (size_t)sqlite3_column_bytes(stmt, 0));
                if (!value)
                        r = err_set(reterr, -ENOMEM, "out of memory");
        } else if (rc == SQLITE_DONE) {
                r = err_set(reterr, -EUCLEAN, "%s: \"%s\" at revision %llu has no value",
                            sqlite3_db_filename(scan->reader->db, "main"), scan->key,
                            (unsigned long long)row_revision(scan->id));
        } else {
                r = db_error(scan->reader->db, rc, reterr);
        }
        sqlite3_reset(stmt);
        if (!r)
                *ret = value;
        return r;
}

/* Hands out the key that the scan leaves, if it exists at the revision. */
static int scan_emit(struct scan *scan, struct err *reterr)
{
        _cleanup_blob_ struct blob *value = NULL;
        int r;

        if (!scan->id || !scan->create_revision)
                return 0;
        r = value_read(scan, &value, reterr);
        if (r)
                return r;
        scan->n++;
        return scan->fn(scan->userdata, scan->key, value, row_revision(scan->id), scan->create_revision);
}

static int scan_row(struct scan *scan, struct err *reterr)
{
        sqlite3_stmt *row = scan->reader->scan;
        const char *key = sqlite3_column_blob(row, 0);
        size_t len = (size_t)sqlite3_column_bytes(row, 0);
        int64_t id = sqlite3_column_int64(row, 1);
        int r;

        if (!key || len > KEY_MAX)
                return err_set(reterr, -EUCLEAN, "a key of %zu bytes in the store", len);
        if (len != scan->key_len || memcmp(key, scan->key, len) != 0) {
                r = scan_emit(scan, reterr);
                if (r)
                        return r;
                memcpy(scan->key, key, len);
                scan->key[len] = '\0';
                scan->key_len = len;
                scan->id = 0;
        }
        if (row_revision(id) > scan->revision)
                return 0;
        scan->id = id;
        scan->create_revision = (uint64_t)sqlite3_column_int64(row, 2);
        return 0;
}

static bool scan_full(const struct scan *scan)
{
        return scan->limit && scan->n >= scan->limit;
}

static int scan_run(struct scan *scan, const struct bounds *b, struct err *reterr)
{
        sqlite3_stmt *stmt = scan->reader->scan;
        int r = 0, rc = SQLITE_ROW;

        sqlite3_bind_blob(stmt, 1, b->low, (int)b->low_len, SQLITE_STATIC);
        if (b->high_len)
                sqlite3_bind_blob(stmt, 2, b->high, (int)b->high_len, SQLITE_STATIC);
        else
                sqlite3_bind_null(stmt, 2);
        while (!r && !scan_full(scan)) {
                rc = sqlite3_step(stmt);
                if (rc != SQLITE_ROW)
                        break;
                r = scan_row(scan, reterr);
        }
        if (rc == SQLITE_DONE && !r)
                r = scan_emit(scan, reterr);
        else if (rc != SQLITE_ROW && rc != SQLITE_DONE)
                r = db_error(scan->reader->db, rc, reterr);
        sqlite3_reset(stmt);
        return r;
}

/* The revision to read at, as the reader's snapshot has it. */
static int snapshot_revision(struct reader *reader, uint64_t wanted, uint64_t *ret_now, struct err *reterr)
{
        int rc = sqlite3_step(reader->revision);
        uint64_t now = 0, compacted = 0;

        if (rc == SQLITE_ROW) {
                compacted = (uint64_t)sqlite3_column_int64(reader->revision, 1);
                now = MAX(row_revision(sqlite3_column_int64(reader->revision, 0)), compacted);
        }
        sqlite3_reset(reader->revision);
        if (rc != SQLITE_ROW)
                return db_error(reader->db, rc, reterr);
        if (wanted > now)
                return err_set(reterr, STORE_FUTURE, "revision %llu is not reached, now is %llu",
                               (unsigned long long)wanted, (unsigned long long)now);
        if (wanted && wanted < compacted)
                return err_set(reterr, STORE_COMPACTED, "revision %llu is compacted, history begins at %llu",
                               (unsigned long long)wanted, (unsigned long long)compacted);
        *ret_now = wanted ? wanted : now;
        return 0;
}

int sqlite_range(struct store *base, const struct store_range *range, store_range_fn fn, void *userdata,
                 uint64_t *ret_revision, struct err *reterr)
{
        struct sqlite_store *s = container_of(base, struct sqlite_store, base);
        struct scan scan = {.limit = range->limit, .fn = fn, .userdata = userdata};
        struct reader reader;
        struct bounds bounds;
        int r;

        r = range_bounds(range, &bounds, reterr);
        if (!r)
                r = reader_get(s, &reader, reterr);
        if (r)
                return r;
        scan.reader = &reader;
        r = db_run(reader.begin, reterr);
        if (!r)
                r = snapshot_revision(&reader, range->revision, &scan.revision, reterr);
        if (!r)
                r = scan_run(&scan, &bounds, reterr);
        if (!sqlite3_get_autocommit(reader.db))
                db_run(reader.end, NULL);
        reader_put(s, &reader);
        if (!r && ret_revision)
                *ret_revision = scan.revision;
        return r;
}
