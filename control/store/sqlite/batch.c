/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit. All requests of a batch go into one SQLite transaction, each with its own revision; one that conflicts
 * writes nothing, as its preconditions are looked at before its first write. When SQLite fails anywhere, the whole
 * batch is rolled back and each request is tried alone, so that a request gets a result that comes from a state which
 * was really committed, and one that is too big for the disk does not fail its neighbours.
 */
#include <errno.h>
#include <string.h>

#include "store/sqlite/internal.h"

/* What a row takes beside its key (twice) and its value: ids, headers, its share of the trees. */
#define ROW_OVERHEAD 96
/* Left for deletions and compaction when puts are refused, so that a full store can be emptied. */
#define RESERVE_DIVISOR 32

struct head {
        uint64_t mod_revision; /* 0: the key does not exist */
        uint64_t create_revision;
};

static int bind_key(sqlite3_stmt *stmt, int column, const char *key)
{
        return sqlite3_bind_blob(stmt, column, key, (int)strlen(key), SQLITE_STATIC);
}

static int key_head(struct writer *w, const char *key, struct head *ret, struct err *reterr)
{
        struct head head = {0};
        int rc;

        bind_key(w->head, 1, key);
        rc = sqlite3_step(w->head);
        if (rc == SQLITE_ROW && sqlite3_column_int64(w->head, 1)) {
                head.mod_revision = row_revision(sqlite3_column_int64(w->head, 0));
                head.create_revision = (uint64_t)sqlite3_column_int64(w->head, 1);
        }
        sqlite3_reset(w->head);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
                return db_error(w->db, rc, reterr);
        *ret = head;
        return 0;
}

static int preconditions(struct writer *w, struct request *req, struct head *ret_heads, struct err *reterr)
{
        const struct store_txn *txn = req->txn;
        int r;

        for (size_t i = 0; i < txn->nops; i++) {
                r = key_head(w, txn->ops[i].key, &ret_heads[i], reterr);
                if (r)
                        return r;
                if (txn->ops[i].expect_rev == STORE_REV_ANY || txn->ops[i].expect_rev == ret_heads[i].mod_revision)
                        continue;
                req->result = (struct store_result){.failed_op = i, .failed_rev = ret_heads[i].mod_revision};
                return STORE_CONFLICT;
        }
        return 0;
}

static int push_event(struct writer *w, const struct store_event *event)
{
        if (w->n_events == w->cap_events) {
                size_t cap = w->cap_events ? w->cap_events * 2 : 64;
                struct store_event *events = reallocarray(w->events, cap, sizeof(*events));

                if (!events)
                        return -ENOMEM;
                w->events = events;
                w->cap_events = cap;
        }
        w->events[w->n_events++] = *event;
        return 0;
}

static int write_row(struct writer *w, int64_t id, const struct store_op *op, uint64_t create_revision,
                     struct err *reterr)
{
        bool put = op->kind == STORE_PUT;
        int r;

        sqlite3_bind_int64(w->append, 1, id);
        bind_key(w->append, 2, op->key);
        if (put)
                sqlite3_bind_blob64(w->append, 3, op->value->data, op->value->len, SQLITE_STATIC);
        else
                sqlite3_bind_null(w->append, 3);
        sqlite3_bind_int64(w->append, 4, (int64_t)create_revision);
        r = db_run(w->append, reterr);
        if (r)
                return r;
        bind_key(w->index, 1, op->key);
        sqlite3_bind_int64(w->index, 2, id);
        sqlite3_bind_int64(w->index, 3, put ? (int64_t)create_revision : 0);
        return db_run(w->index, reterr);
}

static int write_op(struct writer *w, const struct store_op *op, const struct head *head, uint32_t seq,
                    struct err *reterr)
{
        bool exists = head->mod_revision != 0;
        uint64_t create_revision = exists ? head->create_revision : w->revision;
        int r;

        r = write_row(w, row_id(w->revision, seq), op, create_revision, reterr);
        if (r)
                return r;
        if (op->kind == STORE_PUT)
                w->keys += !exists;
        else
                w->keys--;
        return push_event(w, &(struct store_event){.revision = w->revision,
                                                   .create_revision = create_revision,
                                                   .key = op->key,
                                                   .value = op->kind == STORE_PUT ? op->value : NULL});
}

static bool op_changes(const struct store_op *op, const struct head *head)
{
        return op->kind == STORE_PUT || (op->kind == STORE_DELETE && head->mod_revision);
}

/* Refuses puts near the size limit; deletions always go on. */
static int check_space(struct sqlite_store *s, const struct store_txn *txn, struct err *reterr)
{
        uint64_t need = 0, limit = s->max_size_bytes - s->max_size_bytes / RESERVE_DIVISOR;

        if (!s->max_size_bytes)
                return 0;
        for (size_t i = 0; i < txn->nops; i++)
                if (txn->ops[i].kind == STORE_PUT)
                        need += txn->ops[i].value->len + 2 * strlen(txn->ops[i].key) + ROW_OVERHEAD;
        if (need && s->writer.used_bytes + need > limit)
                return err_set(reterr, STORE_FULL,
                               "%s: the store is full: it holds %llu of %llu bytes; delete objects or raise the limit",
                               s->path, (unsigned long long)s->writer.used_bytes,
                               (unsigned long long)s->max_size_bytes);
        s->writer.used_bytes += need;
        return 0;
}

static int write_ops(struct writer *w, struct request *req, const struct head *heads, struct err *reterr)
{
        const struct store_txn *txn = req->txn;
        uint64_t revision = w->revision;
        uint32_t seq = 0;
        int r;

        for (size_t i = 0; i < txn->nops; i++) {
                if (!op_changes(&txn->ops[i], &heads[i]))
                        continue;
                if (!seq)
                        w->revision = revision + 1;
                r = write_op(w, &txn->ops[i], &heads[i], seq++, reterr);
                if (r)
                        return r;
        }
        req->result = (struct store_result){.revision = w->revision};
        return 0;
}

/*
 * Returns 0, STORE_CONFLICT, STORE_FULL (by our own limit, nothing written) in req->r, and as the function's result 0
 * or the failure of the database, after which the SQLite transaction is worthless.
 */
static int txn_apply(struct sqlite_store *s, struct request *req, struct err *reterr)
{
        struct head few[8], *heads = few;
        _cleanup_free_ struct head *many = NULL;
        int r;

        if (req->txn->nops > ARRAY_SIZE(few)) {
                heads = many = calloc(req->txn->nops, sizeof(*many));
                if (!many)
                        return err_set(reterr, -ENOMEM, "out of memory");
        }
        r = preconditions(&s->writer, req, heads, reterr);
        if (r && r != STORE_CONFLICT)
                return r;
        req->r = r ? r : check_space(s, req->txn, req->reterr);
        if (req->r)
                return 0;
        return write_ops(&s->writer, req, heads, reterr);
}

static int measure_space(struct sqlite_store *s, struct err *reterr)
{
        uint64_t pages, unused;
        int r;

        if (!s->max_size_bytes)
                return 0;
        r = db_u64(s->writer.db, "PRAGMA page_count", &pages, reterr);
        if (!r)
                r = db_u64(s->writer.db, "PRAGMA freelist_count", &unused, reterr);
        if (!r)
                s->writer.used_bytes = (pages - unused) * STORE_PAGE_SIZE;
        return r;
}

static int batch_write(struct sqlite_store *s, struct request **requests, size_t n, struct err *reterr)
{
        struct writer *w = &s->writer;
        int r;

        r = db_run(w->begin, reterr);
        if (!r)
                r = measure_space(s, reterr);
        for (size_t i = 0; !r && i < n; i++)
                r = txn_apply(s, requests[i], reterr);
        return r ? r : db_run(w->commit, reterr);
}

/* The caller's view of the state after a commit: first the watcher, then the counters; the callers are woken later. */
static void batch_publish(struct sqlite_store *s, struct request **requests, size_t n, uint64_t started_ns)
{
        struct writer *w = &s->writer;
        bool full = false;

        if (w->n_events) {
                atomic_store(&s->revision, w->revision);
                atomic_store(&s->keys, w->keys);
                atomic_fetch_add(&s->commits, 1);
                atomic_fetch_add(&s->commit_ns, now_ns() - started_ns);
                if (w->watch)
                        w->watch(w->watch_data, w->events, w->n_events);
        }
        for (size_t i = 0; i < n; i++)
                full |= requests[i]->r == STORE_FULL;
        if (full || w->n_events)
                atomic_store(&s->full, full);
        atomic_fetch_add(&s->txns, n);
}

/* Returns 0, with each request's own result in it, or the failure that left nothing written. */
static int batch_try(struct sqlite_store *s, struct request **requests, size_t n, struct err *reterr)
{
        struct writer *w = &s->writer;
        uint64_t started_ns = now_ns(), keys = w->keys;
        int r;

        w->n_events = 0;
        r = batch_write(s, requests, n, reterr);
        if (!r) {
                batch_publish(s, requests, n, started_ns);
                return 0;
        }
        /* SQLite may have rolled back by itself already. */
        if (!sqlite3_get_autocommit(w->db))
                db_run(w->rollback, NULL);
        w->revision = atomic_load(&s->revision);
        w->keys = keys;
        if (r == STORE_FULL)
                atomic_store(&s->full, true);
        return r;
}

void batch_run(struct sqlite_store *s, struct request **requests, size_t n)
{
        int r;

        if (n > 1 && batch_try(s, requests, n, NULL) == 0)
                return;
        for (size_t i = 0; i < n; i++) {
                r = batch_try(s, &requests[i], 1, requests[i]->reterr);
                if (r)
                        requests[i]->r = r;
        }
}
