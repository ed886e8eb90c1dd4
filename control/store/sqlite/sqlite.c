/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "store/sqlite/dbfile.h"
#include "store/sqlite/internal.h"

/* Nothing but the writer's own commits is ever unfinished, so that a page cache of a few MB serves it. */
#define WRITER_PRAGMAS                                                                                                 \
        "PRAGMA synchronous = FULL; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY; PRAGMA secure_delete = OFF"

static int sqlite_txn(struct store *base, const struct store_txn *txn, struct store_result *ret, struct err *reterr)
{
        struct sqlite_store *s = container_of(base, struct sqlite_store, base);
        struct request req = {.kind = REQUEST_TXN, .txn = txn, .reterr = reterr};
        int r;

        r = txn_validate(txn, reterr);
        if (r)
                return r;
        r = writer_run_alone(s, &req) ? req.r : queue_submit(&s->queue, &req);
        if (ret && (r == 0 || r == STORE_CONFLICT))
                *ret = req.result;
        return r;
}

static int sqlite_watch(struct store *base, uint64_t after_revision, store_watch_fn fn, void *userdata,
                        struct err *reterr)
{
        struct sqlite_store *s = container_of(base, struct sqlite_store, base);
        struct request req = {.kind = REQUEST_WATCH,
                              .watch = {.after_revision = after_revision, .fn = fn, .userdata = userdata},
                              .reterr = reterr};

        return queue_submit(&s->queue, &req);
}

static int sqlite_compact(struct store *base, uint64_t revision, struct err *reterr)
{
        struct sqlite_store *s = container_of(base, struct sqlite_store, base);
        struct request req = {.kind = REQUEST_COMPACT, .compact_revision = revision, .reterr = reterr};

        return queue_submit(&s->queue, &req);
}

static uint64_t file_size(const char *path, const char *suffix)
{
        _cleanup_free_ char *name = dbfile_beside(path, suffix);
        struct stat st;

        return name && stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void sqlite_stats(struct store *base, struct store_stats *ret)
{
        struct sqlite_store *s = container_of(base, struct sqlite_store, base);

        *ret = (struct store_stats){.revision = atomic_load(&s->revision),
                                    .compacted_revision = atomic_load(&s->compacted),
                                    .keys = atomic_load(&s->keys),
                                    .size_bytes = file_size(s->path, "") + file_size(s->path, "-wal"),
                                    .commits = atomic_load(&s->commits),
                                    .txns = atomic_load(&s->txns),
                                    .commit_ns_total = atomic_load(&s->commit_ns),
                                    .full = atomic_load(&s->full),
                                    .compacting = atomic_load(&s->compacting)};
}

/* Serves a store that was opened only in part, too. */
static void sqlite_close(struct store *base)
{
        struct sqlite_store *s = container_of(base, struct sqlite_store, base);

        writer_stop(s);
        checkpointer_stop(s);
        readers_deinit(s);
        writer_deinit(s); /* the last connection: SQLite moves the rest of the WAL and removes it */
        if (s->lock_fd >= 0)
                close(s->lock_fd);
        pthread_mutex_destroy(&s->checkpointer.lock);
        pthread_cond_destroy(&s->checkpointer.changed);
        pthread_mutex_destroy(&s->readers.lock);
        pthread_cond_destroy(&s->readers.freed);
        free(s->path);
        free(s);
}

static const struct store_ops sqlite_ops = {
        .txn = sqlite_txn,
        .range = sqlite_range,
        .watch = sqlite_watch,
        .compact = sqlite_compact,
        .stats = sqlite_stats,
        .close = sqlite_close,
};

static int sqlite_new(const struct store_sqlite_config *config, struct sqlite_store **ret)
{
        struct sqlite_store *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->base.ops = &sqlite_ops;
        s->lock_fd = -1;
        s->writer.wal_fd = -1;
        s->max_size_bytes = config->max_size_bytes;
        pthread_mutex_init(&s->commit_lock, NULL);
        pthread_mutex_init(&s->checkpointer.lock, NULL);
        pthread_cond_init(&s->checkpointer.changed, NULL);
        pthread_mutex_init(&s->readers.lock, NULL);
        pthread_cond_init(&s->readers.freed, NULL);
        s->path = strdup(config->path);
        if (!s->path) {
                sqlite_close(&s->base);
                return -ENOMEM;
        }
        *ret = s;
        return 0;
}

/* A WAL without its database is what is left when someone removed the wrong file: making a new one would hide that. */
static int create_if_missing(const char *path, struct err *reterr)
{
        struct stat st;

        if (stat(path, &st) == 0) {
                if (st.st_size == 0)
                        return err_set(reterr, -EUCLEAN, "%s: is empty, it was truncated", path);
                return 0;
        }
        if (errno != ENOENT)
                return err_set(reterr, -errno, "%s: %s", path, strerror(errno));
        if (file_size(path, "-wal"))
                return err_set(reterr, -EUCLEAN, "%s: is missing, but %s-wal is there", path, path);
        return schema_create(path, reterr);
}

static int sqlite_open(struct sqlite_store *s, const struct store_sqlite_config *config, struct err *reterr)
{
        uint64_t ignored;
        int r;

        r = lock_take(s->path, &s->lock_fd, reterr);
        if (!r)
                r = create_if_missing(s->path, reterr);
        if (!r)
                r = db_open(s->path, SQLITE_OPEN_READWRITE, &s->writer.db, reterr);
        if (!r)
                r = db_exec(s->writer.db, WRITER_PRAGMAS, reterr);
        if (!r)
                r = schema_check(s->writer.db, !config->skip_check, reterr);
        /* A snapshot is not in WAL mode. */
        if (!r)
                r = db_u64(s->writer.db, "PRAGMA journal_mode = WAL", &ignored, reterr);
        if (!r)
                r = writer_init(s, reterr);
        if (!r)
                r = checkpointer_start(s, reterr);
        return r ? r : writer_start(s, reterr);
}

/* Database failures of the start; STORE_FULL and what is damaged get the words that help. */
static int open_failed(const char *path, int r, struct err *reterr)
{
        if (r == STORE_FULL)
                return err_prefix(reterr, -ENOSPC, "%s: no space left to open the store", path);
        if (r == -EUCLEAN && reterr) {
                size_t n = strlen(reterr->msg);

                snprintf(reterr->msg + n, sizeof(reterr->msg) - n,
                         "; the store is damaged, restore a snapshot: fairlead-apiserver snapshot restore SNAPSHOT DIR "
                         "(the folder of %s)",
                         path);
        }
        return r;
}

int store_sqlite_open(const struct store_sqlite_config *config, struct store **ret, struct err *reterr)
{
        struct sqlite_store *s = NULL;
        int r;

        r = sqlite_new(config, &s);
        if (r)
                return err_set(reterr, r, "out of memory");
        r = sqlite_open(s, config, reterr);
        if (r) {
                r = open_failed(config->path, r, reterr);
                sqlite_close(&s->base);
                return r;
        }
        *ret = &s->base;
        return 0;
}
