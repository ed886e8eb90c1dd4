/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compaction at revision C removes, for every key, all rows but the last at or below C, and that one too when it is a
 * deletion. C itself is made durable first; from then on no one may ask for what the steps remove, so they can take
 * their time. A step walks a few hundred rows of `hist`, which is small, and deletes a few dozen.
 */
#include <errno.h>
#include <string.h>

#include "store/sqlite/internal.h"

#define STEP_ROWS         1000
#define STEP_DELETES      32
#define RETRY_NS          1000000000ULL
#define BUSY_PAUSE_FACTOR 3 /* while writers wait, a step is followed by a pause that many times its length */

struct row_key {
        size_t len;
        char bytes[KEY_MAX + 1];
};

struct victim {
        int64_t id;
        struct row_key key;
};

struct step {
        struct victim victims[STEP_DELETES];
        size_t n;
        size_t rows; /* looked at */
        /* The key that the scan is in, and its last row at or below the revision (0: none yet). */
        struct row_key key;
        int64_t candidate;
        bool candidate_is_deletion;
        bool key_done; /* the rest of its rows are newer */
};

static void condemn(struct step *step)
{
        step->victims[step->n++] = (struct victim){.id = step->candidate, .key = step->key};
        step->candidate = 0;
}

static void finish_key(struct step *step)
{
        if (step->candidate && step->candidate_is_deletion)
                condemn(step);
        step->candidate = 0;
        step->key_done = true;
}

/* Adds at most one victim. Returns 0 or -EUCLEAN. */
static int step_row(struct step *step, int64_t last_id, sqlite3_stmt *row)
{
        const void *key = sqlite3_column_blob(row, 0);
        size_t len = (size_t)sqlite3_column_bytes(row, 0);
        int64_t id = sqlite3_column_int64(row, 1);

        if (!key || len > KEY_MAX)
                return -EUCLEAN;
        if (step->key.len != len || memcmp(step->key.bytes, key, len) != 0) {
                finish_key(step);
                memcpy(step->key.bytes, key, len);
                step->key.len = len;
                step->key_done = false;
        }
        if (step->key_done)
                return 0;
        if (id > last_id) {
                finish_key(step);
                return 0;
        }
        if (step->candidate)
                condemn(step);
        step->candidate = id;
        step->candidate_is_deletion = sqlite3_column_int64(row, 2) == 0;
        return 0;
}

/* Finds what to delete from the cursor on. *ret_end: the scan saw the last key. */
static int step_scan(struct writer *w, struct step *step, bool *ret_end)
{
        int64_t last_id = row_id_last(w->compaction.revision);
        int r = 0, rc = SQLITE_ROW;

        sqlite3_bind_blob(w->scan, 1, w->compaction.cursor, (int)w->compaction.cursor_len, SQLITE_STATIC);
        while (!r && step->n < STEP_DELETES - 1 && step->rows++ < STEP_ROWS) {
                rc = sqlite3_step(w->scan);
                if (rc != SQLITE_ROW)
                        break;
                r = step_row(step, last_id, w->scan);
        }
        if (rc == SQLITE_DONE)
                finish_key(step);
        else if (!r && rc != SQLITE_ROW)
                r = db_error(w->db, rc, NULL);
        sqlite3_reset(w->scan);
        *ret_end = rc == SQLITE_DONE;
        return r;
}

static int step_delete(struct writer *w, const struct step *step)
{
        int r = 0;

        for (size_t i = 0; !r && i < step->n; i++) {
                const struct victim *v = &step->victims[i];

                sqlite3_bind_blob(w->unindex, 1, v->key.bytes, (int)v->key.len, SQLITE_STATIC);
                sqlite3_bind_int64(w->unindex, 2, v->id);
                r = db_run(w->unindex, NULL);
                if (r)
                        break;
                sqlite3_bind_int64(w->drop, 1, v->id);
                r = db_run(w->drop, NULL);
        }
        return r;
}

static int set_meta(struct writer *w, const char *name, uint64_t value, struct err *reterr)
{
        sqlite3_bind_text(w->set_meta, 1, name, -1, SQLITE_STATIC);
        sqlite3_bind_int64(w->set_meta, 2, (int64_t)value);
        return db_run(w->set_meta, reterr);
}

/* The next step begins with the key that was not finished: what it lost so far does not come back. */
static void cursor_set(struct compaction *c, const struct step *step)
{
        memcpy(c->cursor, step->key.bytes, step->key.len);
        c->cursor_len = step->key.len;
        if (step->key_done)
                c->cursor[c->cursor_len++] = '\0';
}

static void compact_rollback(struct writer *w)
{
        if (!sqlite3_get_autocommit(w->db))
                db_run(w->rollback, NULL);
}

static int step_run(struct writer *w, struct step *step, bool *ret_end)
{
        int r;

        r = db_run(w->begin, NULL);
        if (!r)
                r = step_scan(w, step, ret_end);
        if (!r)
                r = step_delete(w, step);
        if (!r && *ret_end)
                r = set_meta(w, "swept", w->compaction.revision, NULL);
        return r ? r : db_run(w->commit, NULL);
}

bool compact_step(struct sqlite_store *s, bool busy)
{
        struct writer *w = &s->writer;
        struct compaction *c = &w->compaction;
        struct step step = {.n = 0};
        bool end = false;
        uint64_t begun_ns;

        if (!c->active)
                return false;
        begun_ns = now_ns();
        if ((busy || c->failed) && begun_ns < c->not_before_ns)
                return false;
        c->failed = step_run(w, &step, &end) != 0;
        if (c->failed) {
                compact_rollback(w);
                c->not_before_ns = now_ns() + RETRY_NS;
                return false;
        }
        cursor_set(c, &step);
        c->not_before_ns = now_ns() + BUSY_PAUSE_FACTOR * (now_ns() - begun_ns);
        c->active = !end;
        atomic_store(&s->compacting, !end);
        return !end;
}

static void sweep_start(struct sqlite_store *s, uint64_t revision)
{
        s->writer.compaction = (struct compaction){.active = true, .revision = revision};
        atomic_store(&s->compacting, true);
}

int compact_begin(struct sqlite_store *s, uint64_t revision, struct err *reterr)
{
        struct writer *w = &s->writer;
        int r;

        if (revision <= atomic_load(&s->compacted))
                return err_set(reterr, STORE_COMPACTED, "revision %llu is compacted already",
                               (unsigned long long)revision);
        if (revision > w->revision)
                return err_set(reterr, STORE_FUTURE, "revision %llu is not reached, now is %llu",
                               (unsigned long long)revision, (unsigned long long)w->revision);
        r = db_run(w->begin, reterr);
        if (!r)
                r = set_meta(w, "compacted", revision, reterr);
        if (!r)
                r = db_run(w->commit, reterr);
        if (r) {
                compact_rollback(w);
                return r;
        }
        atomic_store(&s->compacted, revision);
        /* A sweep that is under way begins anew with the higher revision; nothing is lost by that. */
        sweep_start(s, revision);
        return 0;
}

int compact_resume(struct sqlite_store *s, struct err *reterr)
{
        uint64_t swept;
        int r;

        r = db_u64(s->writer.db, "SELECT value FROM meta WHERE name = 'swept'", &swept, reterr);
        if (r)
                return r;
        if (swept < atomic_load(&s->compacted))
                sweep_start(s, atomic_load(&s->compacted));
        return 0;
}
