/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The write-ahead log (WAL). SQLite would move it into the database inside some unlucky commit; here a helper does so
 * on its own connection while the writer goes on, every CHECKPOINT_FRAMES. SQLite starts the WAL over from the front of
 * the file only when all of it is moved, which never holds in a storm. So the writer itself moves the little that came
 * after the helper's last round: when it has nothing to do, or, at the cost of a few milliseconds, when the WAL has
 * become LONG_FRAMES long and the helper's rounds, now one after the other, left no more than REST_FRAMES.
 *
 * Syncing a file that grew costs several times the sync of one that did not (the file system has to commit its new
 * size), so the writer makes the WAL longer in large strides ahead of need. The zeros there are no valid frames: SQLite
 * ignores them, in recovery too.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "store/sqlite/dbfile.h"
#include "store/sqlite/internal.h"

#define WAL_HEADER         32
#define WAL_FRAME          (24 + STORE_PAGE_SIZE)
#define CHECKPOINT_FRAMES  1000
#define LONG_FRAMES        8000
#define LONG_FRAMES_MAX    32000
#define REST_FRAMES        400 /* what a long WAL's last round may leave to the writer: a few milliseconds */
#define EXTEND_STRIDE      (512U << 10)
#define EXTEND_AHEAD       (256U << 10)
#define EXTEND_TOTAL       (6U << 20) /* what is made in idle moments: a little more than CHECKPOINT_FRAMES */
#define EXTEND_FREE_FACTOR 8          /* only when that many times a stride is free */

static void *checkpointer_main(void *arg)
{
        struct sqlite_store *s = arg;
        struct checkpointer *c = &s->checkpointer;

        pthread_mutex_lock(&c->lock);
        while (!c->stop) {
                if (atomic_load(&c->state) != CHECKPOINT_ASKED) {
                        pthread_cond_wait(&c->changed, &c->lock);
                        continue;
                }
                pthread_mutex_unlock(&c->lock);
                /* A failure is not lost: the WAL keeps everything, and the next round tries again. */
                sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
                pthread_mutex_lock(&c->lock);
                atomic_store(&c->state, CHECKPOINT_BULK_DONE);
        }
        pthread_mutex_unlock(&c->lock);
        return NULL;
}

int checkpointer_start(struct sqlite_store *s, struct err *reterr)
{
        struct checkpointer *c = &s->checkpointer;
        uint64_t ignored;
        int r;

        r = db_open(s->path, SQLITE_OPEN_READWRITE, &c->db, reterr);
        if (!r)
                r = db_exec(c->db, "PRAGMA synchronous = FULL; PRAGMA cache_size = -256", reterr);
        /* SQLite only knows that the database has a WAL after a first look into it. */
        if (!r)
                r = db_u64(c->db, "SELECT count(*) FROM meta", &ignored, reterr);
        if (r)
                return r;
        r = pthread_create(&c->thread, NULL, checkpointer_main, s);
        if (r)
                return err_set(reterr, -r, "cannot start the store's checkpoint thread: %s", strerror(r));
        c->running = true;
        return 0;
}

void checkpointer_stop(struct sqlite_store *s)
{
        struct checkpointer *c = &s->checkpointer;

        if (c->running) {
                pthread_mutex_lock(&c->lock);
                c->stop = true;
                pthread_cond_signal(&c->changed);
                pthread_mutex_unlock(&c->lock);
                pthread_join(c->thread, NULL);
                c->running = false;
        }
        db_close(TAKE_PTR(c->db));
}

static void checkpoint_ask(struct checkpointer *c)
{
        pthread_mutex_lock(&c->lock);
        atomic_store(&c->state, CHECKPOINT_ASKED);
        pthread_cond_signal(&c->changed);
        pthread_mutex_unlock(&c->lock);
}

bool checkpoint_pending(struct sqlite_store *s)
{
        return atomic_load(&s->checkpointer.state) != CHECKPOINT_IDLE;
}

/* Moves what the helper left, so that the next commit starts the WAL over. */
static void checkpoint_finish(struct sqlite_store *s)
{
        sqlite3_wal_checkpoint_v2(s->writer.db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        atomic_store(&s->checkpointer.state, CHECKPOINT_IDLE);
}

void checkpoint_advance(struct sqlite_store *s, bool idle)
{
        struct writer *w = &s->writer;
        bool hurry = idle || atomic_load(&s->full), is_long = w->wal_frames >= LONG_FRAMES;
        enum checkpoint_state state = atomic_load(&s->checkpointer.state);
        uint64_t rest;

        if (w->wal_frames < w->wal_asked)
                w->wal_asked = 0; /* it was started over */
        rest = w->wal_frames - w->wal_asked;
        if (state == CHECKPOINT_ASKED)
                return;
        if (state == CHECKPOINT_BULK_DONE &&
            (hurry || (is_long && rest <= REST_FRAMES) || w->wal_frames >= LONG_FRAMES_MAX)) {
                checkpoint_finish(s);
        } else if (rest >= CHECKPOINT_FRAMES || (is_long && rest > REST_FRAMES) || atomic_load(&s->full)) {
                w->wal_asked = w->wal_frames;
                checkpoint_ask(&s->checkpointer);
        }
}

static int wal_committed(void *arg, sqlite3 *db, const char *name, int frames)
{
        struct sqlite_store *s = arg;

        s->writer.wal_frames = (uint64_t)frames;
        return SQLITE_OK;
}

/* Also takes the place of SQLite's own automatic checkpoints. */
void wal_watch(struct sqlite_store *s)
{
        sqlite3_wal_hook(s->writer.db, wal_committed, s);
}

/* SQLite makes the file, at the first commit. */
static bool wal_open(struct sqlite_store *s)
{
        _cleanup_free_ char *name = NULL;
        struct stat st;

        if (s->writer.wal_fd >= 0)
                return true;
        name = dbfile_beside(s->path, "-wal");
        if (!name || !s->writer.wal_frames)
                return false;
        s->writer.wal_fd = open(name, O_WRONLY | O_CLOEXEC);
        if (s->writer.wal_fd < 0 || fstat(s->writer.wal_fd, &st) < 0)
                return false;
        s->writer.wal_size = (uint64_t)st.st_size;
        return true;
}

static bool has_space(int fd)
{
        struct statvfs fs;

        return fstatvfs(fd, &fs) == 0 &&
               (uint64_t)fs.f_bavail * fs.f_frsize > (uint64_t)EXTEND_FREE_FACTOR * EXTEND_STRIDE;
}

bool wal_extend(struct sqlite_store *s, bool idle)
{
        static const char zeros[EXTEND_STRIDE];
        struct writer *w = &s->writer;
        uint64_t used = WAL_HEADER + w->wal_frames * WAL_FRAME;
        uint64_t want = idle ? EXTEND_TOTAL : used + EXTEND_AHEAD;
        ssize_t n;

        if (!wal_open(s) || w->wal_size >= want || !has_space(w->wal_fd))
                return false;
        /* SQLite may have written beyond what we know of: only what is behind the end is ours to fill. */
        w->wal_size = (uint64_t)lseek(w->wal_fd, 0, SEEK_END);
        if (w->wal_size >= want)
                return false;
        n = write(w->wal_fd, zeros, sizeof(zeros));
        if (n <= 0)
                return false;
        w->wal_size += (uint64_t)n;
        return !idle || fdatasync(w->wal_fd) == 0;
}
