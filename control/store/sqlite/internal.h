/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded store from the inside.
 *
 * Tables: `log` has every change once, in the order of commit, with its value; its rowid is the change's id, that is
 * revision and place in the transaction (row_id). `hist` is the index over it, (key, id) -> create revision, 0 for a
 * deletion: a key's present state is its last row, its state at an old revision the last row at or below. So one
 * transaction appends to one leaf of `log` and dirties one leaf of `hist` per key, and a value is written once.
 * The store's revision is that of the last log row or, when that was compacted away, the compacted revision.
 *
 * Threads: callers put requests in the queue and sleep; the writer thread owns the writing connection and does
 * everything that writes; the checkpointer moves the WAL into the database beside it; ranges run in the caller's
 * thread on a pool of read-only connections.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "store/sqlite/db.h"
#include "store/sqlite/queue.h"
#include "store/sqlite/sqlite.h"

#define STORE_SQLITE_APPLICATION_ID 0x666c6473 /* "flds" in the file's header */
#define STORE_SQLITE_SCHEMA         1          /* PRAGMA user_version */
#define STORE_PAGE_SIZE             4096

#define ROW_SEQ_BITS 16
#define TXN_OPS_MAX  (1U << ROW_SEQ_BITS)

static inline int64_t row_id(uint64_t revision, uint32_t seq)
{
        return (int64_t)(revision << ROW_SEQ_BITS | seq);
}

static inline uint64_t row_revision(int64_t id)
{
        return (uint64_t)id >> ROW_SEQ_BITS;
}

/* The last row that a revision can have. */
static inline int64_t row_id_last(uint64_t revision)
{
        return row_id(revision, TXN_OPS_MAX - 1);
}

#define KEY_MAX 1024

#define READERS_MAX 4

struct reader {
        sqlite3 *db;
        sqlite3_stmt *begin, *end, *revision, *scan, *value;
};

struct reader_pool {
        pthread_mutex_t lock;
        pthread_cond_t freed;
        struct reader idle[READERS_MAX];
        unsigned int n_idle, n_open;
};

enum checkpoint_state {
        CHECKPOINT_IDLE,
        CHECKPOINT_ASKED,     /* the helper should run, or does */
        CHECKPOINT_BULK_DONE, /* all but what was written meanwhile is moved; the writer does the rest */
};

struct checkpointer {
        sqlite3 *db;
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool stop, running;
        _Atomic(enum checkpoint_state) state;
};

struct compaction {
        bool active, failed;
        uint64_t revision;
        char cursor[KEY_MAX + 2]; /* keys before it are done */
        size_t cursor_len;
        uint64_t not_before_ns; /* writers' time, or a failure's */
};

/* Owned by the writer thread. */
struct writer {
        sqlite3 *db;
        sqlite3_stmt *begin, *commit, *rollback, *head, *append, *index, *unindex, *drop, *scan, *set_meta;
        pthread_t thread;
        bool running;
        uint64_t revision, keys; /* with what the open transaction adds */
        uint64_t used_bytes;     /* of pages, only when there is a limit */
        struct store_event *events;
        size_t n_events, cap_events;
        struct compaction compaction;
        store_watch_fn watch;
        void *watch_data;
        int wal_fd;
        uint64_t wal_frames, wal_size;
        uint64_t wal_asked; /* wal_frames when the helper was asked last */
};

struct sqlite_store {
        struct store base;
        char *path;
        int lock_fd;
        uint64_t max_size_bytes;
        struct queue queue;
        pthread_mutex_t commit_lock; /* held while the writer's connection is in use: by its thread or by a caller */
        _Atomic uint64_t alone;      /* transactions that their callers committed themselves */
        struct writer writer;
        struct checkpointer checkpointer;
        struct reader_pool readers;
        _Atomic uint64_t revision, compacted, keys; /* committed */
        _Atomic uint64_t commits, txns, commit_ns;
        atomic_bool full, compacting;
};

uint64_t now_ns(void);

/* lock.c: the file beside the database that keeps a second server out. Returns 0, -EBUSY or negative errno. */
int lock_take(const char *path, int *ret_fd, struct err *reterr);

/* schema.c: makes a new database under a temporary name and moves it into place. */
int schema_create(const char *path, struct err *reterr);
/* Whether an open database is ours, of a schema we know, and (when deep) sound. */
int schema_check(sqlite3 *db, bool deep, struct err *reterr);

/* request.c: what a caller may not ask for; -EINVAL or -E2BIG with the reason. */
int txn_validate(const struct store_txn *txn, struct err *reterr);

/* writer.c */
int writer_init(struct sqlite_store *s, struct err *reterr);
int writer_start(struct sqlite_store *s, struct err *reterr);
void writer_stop(struct sqlite_store *s);
void writer_deinit(struct sqlite_store *s);
/* Commits a transaction on the caller's own thread when nobody else is at it. False: it is to be queued. */
bool writer_run_alone(struct sqlite_store *s, struct request *req);

/* batch.c: commits the requests, tells the watcher, fills in each request's result; wakes nobody. */
void batch_run(struct sqlite_store *s, struct request **requests, size_t n);

/* watch.c: sets the watcher after telling it what it missed. */
int watch_set(struct sqlite_store *s, const struct watch_request *watch, struct err *reterr);

/* compact.c */
int compact_begin(struct sqlite_store *s, uint64_t revision, struct err *reterr);
/* One short transaction. Returns whether there is more to do now. busy: writers wait, so take a part of the time only.
 */
bool compact_step(struct sqlite_store *s, bool busy);
/* Takes up what an earlier run left. */
int compact_resume(struct sqlite_store *s, struct err *reterr);

/* checkpoint.c */
int checkpointer_start(struct sqlite_store *s, struct err *reterr);
void checkpointer_stop(struct sqlite_store *s);
/* Called by the writer between commits (idle: nobody has come for a while): has the WAL moved into the database. */
void checkpoint_advance(struct sqlite_store *s, bool idle);
/* Whether the helper is at work or left something to do in an idle moment. */
bool checkpoint_pending(struct sqlite_store *s);
/* Called by the writer: makes the WAL file longer ahead of need. Returns whether it did. */
bool wal_extend(struct sqlite_store *s, bool idle);
void wal_watch(struct sqlite_store *s);

/* range.c */
void readers_deinit(struct sqlite_store *s);
int sqlite_range(struct store *base, const struct store_range *range, store_range_fn fn, void *userdata,
                 uint64_t *ret_revision, struct err *reterr);
