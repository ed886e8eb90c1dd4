/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "store/sqlite/internal.h"

#define BATCH_MAX       256
#define BATCH_BYTES_MAX (8U << 20)
#define IDLE_NS         20000000ULL /* without a request for that long, the store counts as idle */

uint64_t now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static size_t request_bytes(const struct request *req)
{
        size_t bytes = 0;

        for (size_t i = 0; i < req->txn->nops; i++)
                bytes += req->txn->ops[i].value ? req->txn->ops[i].value->len : 0;
        return bytes;
}

/* Takes transactions from the front of the list, as many as may go into one commit. */
static size_t batch_collect(struct request **list, struct request **ret)
{
        size_t n = 0, bytes = 0;

        while (*list && (*list)->kind == REQUEST_TXN && n < BATCH_MAX && bytes < BATCH_BYTES_MAX) {
                bytes += request_bytes(*list);
                ret[n++] = *list;
                *list = (*list)->next;
        }
        return n;
}

static void run_command(struct sqlite_store *s, struct request *req)
{
        if (req->kind == REQUEST_WATCH)
                req->r = watch_set(s, &req->watch, req->reterr);
        else
                req->r = compact_begin(s, req->compact_revision, req->reterr);
        requests_finish(&req, 1);
}

static void run_requests(struct sqlite_store *s, struct request *list)
{
        struct request *batch[BATCH_MAX];
        size_t n;

        while (list) {
                n = batch_collect(&list, batch);
                if (!n) {
                        struct request *command = list;

                        list = list->next;
                        run_command(s, command);
                        continue;
                }
                batch_run(s, batch, n);
                requests_finish(batch, n);
                checkpoint_advance(s, false);
                wal_extend(s, false);
        }
}

/* What there is to do while nobody waits. Returns whether there is more of it. */
static bool run_background(struct sqlite_store *s, bool idle)
{
        bool sweeping = s->writer.compaction.active, more = compact_step(s, false);

        /* Most of what watchers keep was made by this thread, and much of it has been let go of like the history. */
        if (sweeping && !s->writer.compaction.active)
                mem_trim();
        checkpoint_advance(s, idle);
        return wal_extend(s, true) || more;
}

/*
 * Handing a transaction to another thread and back costs two wake-ups, on an idle machine more than the disk takes. So
 * a caller that finds the queue empty and nobody committing does it itself; under load the lock is taken, callers queue
 * up, and the writer's thread makes one commit of many.
 */
bool writer_run_alone(struct sqlite_store *s, struct request *req)
{
        bool pending;

        if (!queue_is_empty(&s->queue) || pthread_mutex_trylock(&s->commit_lock))
                return false;
        batch_run(s, &req, 1);
        checkpoint_advance(s, false);
        wal_extend(s, false);
        compact_step(s, true);
        atomic_fetch_add(&s->alone, 1);
        pending = s->writer.compaction.active || checkpoint_pending(s);
        pthread_mutex_unlock(&s->commit_lock);
        if (pending)
                queue_rouse(&s->queue);
        return true;
}

/* One round of the writer's thread, with the lock. Returns whether there is more to do at once. */
static bool writer_round(struct sqlite_store *s, struct request *list, bool *idle)
{
        if (list) {
                run_requests(s, list);
                compact_step(s, true);
                *idle = false;
                return true;
        }
        if (run_background(s, *idle))
                return true;
        *idle = s->writer.compaction.active || checkpoint_pending(s);
        return false;
}

static void *writer_main(void *arg)
{
        struct sqlite_store *s = arg;
        bool idle = false, more;
        uint64_t alone;

        for (;;) {
                struct request *list = queue_take(&s->queue);

                if (!list && atomic_load(&s->queue.stopped))
                        return NULL;
                pthread_mutex_lock(&s->commit_lock);
                more = writer_round(s, list, &idle);
                alone = atomic_load(&s->alone);
                pthread_mutex_unlock(&s->commit_lock);
                if (more)
                        continue;
                queue_wait(&s->queue, idle ? IDLE_NS : 0);
                idle = idle && alone == atomic_load(&s->alone);
        }
}

static int writer_prepare(struct writer *w, struct err *reterr)
{
        const struct {
                sqlite3_stmt **stmt;
                const char *sql;
        } statements[] = {
                {&w->begin, "BEGIN IMMEDIATE"},
                {&w->commit, "COMMIT"},
                {&w->rollback, "ROLLBACK"},
                {&w->head, "SELECT id, create_rev FROM hist WHERE key = ?1 ORDER BY id DESC LIMIT 1"},
                {&w->append, "INSERT INTO log (id, key, value, create_rev) VALUES (?1, ?2, ?3, ?4)"},
                {&w->index, "INSERT INTO hist (key, id, create_rev) VALUES (?1, ?2, ?3)"},
                {&w->unindex, "DELETE FROM hist WHERE key = ?1 AND id = ?2"},
                {&w->drop, "DELETE FROM log WHERE id = ?1"},
                {&w->scan, "SELECT key, id, create_rev FROM hist WHERE key >= ?1 ORDER BY key, id"},
                {&w->set_meta, "UPDATE meta SET value = ?2 WHERE name = ?1"},
        };
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(statements); i++) {
                r = db_prepare(w->db, statements[i].sql, statements[i].stmt, reterr);
                if (r)
                        return r;
        }
        return 0;
}

static int writer_load(struct sqlite_store *s, struct err *reterr)
{
        struct writer *w = &s->writer;
        uint64_t last, compacted;
        int r;

        r = db_u64(w->db, "SELECT max(id) FROM log", &last, reterr);
        if (!r)
                r = db_u64(w->db, "SELECT value FROM meta WHERE name = 'compacted'", &compacted, reterr);
        /* Of max() and bare columns SQLite takes the latter from the row with the maximum. */
        if (!r)
                r = db_u64(w->db,
                           "SELECT count(*) FROM (SELECT max(id), create_rev FROM hist GROUP BY key)"
                           " WHERE create_rev > 0",
                           &w->keys, reterr);
        if (r)
                return r;
        w->revision = MAX(row_revision((int64_t)last), compacted);
        atomic_store(&s->revision, w->revision);
        atomic_store(&s->compacted, compacted);
        atomic_store(&s->keys, w->keys);
        return 0;
}

int writer_init(struct sqlite_store *s, struct err *reterr)
{
        int r;

        r = writer_prepare(&s->writer, reterr);
        if (!r)
                r = writer_load(s, reterr);
        if (!r)
                r = compact_resume(s, reterr);
        if (!r)
                wal_watch(s);
        return r;
}

int writer_start(struct sqlite_store *s, struct err *reterr)
{
        int r = pthread_create(&s->writer.thread, NULL, writer_main, s);

        if (r)
                return err_set(reterr, -r, "cannot start the store's writer thread: %s", strerror(r));
        s->writer.running = true;
        return 0;
}

void writer_stop(struct sqlite_store *s)
{
        if (!s->writer.running)
                return;
        queue_stop(&s->queue);
        pthread_join(s->writer.thread, NULL);
        s->writer.running = false;
}

void writer_deinit(struct sqlite_store *s)
{
        struct writer *w = &s->writer;
        sqlite3_stmt *statements[] = {w->begin, w->commit,  w->rollback, w->head, w->append,
                                      w->index, w->unindex, w->drop,     w->scan, w->set_meta};

        for (size_t i = 0; i < ARRAY_SIZE(statements); i++)
                sqlite3_finalize(statements[i]);
        db_close(w->db);
        if (w->wal_fd >= 0)
                close(w->wal_fd);
        free(w->events);
}
