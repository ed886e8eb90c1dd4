/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: keys and values with one monotonic revision, as etcd has it, behind a small interface. Implementations:
 * control/store/sqlite (embedded). Any implementation passes tests/unit/store/suite.
 *
 * A committed transaction has one revision, higher than all before it; all of its changes carry that revision. Changes
 * are told to the watcher in revision order, each once, before the transaction's caller gets its answer.
 * All calls are thread-safe; txn and range block.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/err.h"

struct store;

/* Positive outcomes. */
enum store_outcome {
        STORE_OK = 0,
        STORE_CONFLICT = 1,  /* a precondition of the transaction does not hold; nothing was written */
        STORE_COMPACTED = 2, /* that revision's history is gone */
        STORE_FUTURE = 3,    /* that revision has not been reached */
        STORE_FULL = 4,      /* no space left: writes are refused, reads go on */
};

enum store_op_kind {
        STORE_PUT,
        STORE_DELETE,
        STORE_CHECK, /* only the precondition */
};

#define STORE_REV_ANY  UINT64_MAX /* no precondition */
#define STORE_REV_NONE 0          /* the key must not exist */

struct store_op {
        enum store_op_kind kind;
        const char *key;     /* borrowed during the call; no NUL, no newline, 1 to 1024 bytes */
        uint64_t expect_rev; /* the key's last change, STORE_REV_NONE or STORE_REV_ANY */
        struct blob *value;  /* STORE_PUT: borrowed; the store takes its own reference */
};

struct store_txn {
        const struct store_op *ops; /* no key twice among the writes */
        size_t nops;
};

struct store_result {
        uint64_t revision;   /* of the committed transaction */
        size_t failed_op;    /* STORE_CONFLICT: index of the first op whose precondition failed ... */
        uint64_t failed_rev; /* ... and that key's real revision (0: it does not exist) */
};

/* One change. Everything is borrowed during the callback; take a blob_ref to keep the value. */
struct store_event {
        uint64_t revision;
        uint64_t create_revision; /* of the key's present incarnation */
        const char *key;
        struct blob *value; /* NULL: deleted */
};

typedef void (*store_watch_fn)(void *userdata, const struct store_event *events, size_t n);
/* One key of a range. value is borrowed during the call. Return 0 to go on, anything else to stop with that result. */
typedef int (*store_range_fn)(void *userdata, const char *key, struct blob *value, uint64_t mod_revision,
                              uint64_t create_revision);

struct store_range {
        const char *prefix;      /* keys that start with it, in byte order ... */
        const char *start_after; /* ... and are greater than this one (NULL: all) */
        uint32_t limit;          /* 0: no limit */
        uint64_t revision;       /* 0: now */
};

struct store_stats {
        uint64_t revision, compacted_revision;
        uint64_t keys;
        uint64_t size_bytes;    /* on disk */
        uint64_t commits, txns; /* txns / commits is the mean size of a group commit */
        uint64_t commit_ns_total;
        bool full;       /* the last write was refused for want of space */
        bool compacting; /* compacted history is still being removed */
};

struct store_ops {
        int (*txn)(struct store *s, const struct store_txn *txn, struct store_result *ret, struct err *reterr);
        int (*range)(struct store *s, const struct store_range *range, store_range_fn fn, void *userdata,
                     uint64_t *ret_revision, struct err *reterr);
        int (*watch)(struct store *s, uint64_t after_revision, store_watch_fn fn, void *userdata, struct err *reterr);
        int (*compact)(struct store *s, uint64_t revision, struct err *reterr);
        void (*stats)(struct store *s, struct store_stats *ret);
        void (*close)(struct store *s);
};

struct store {
        const struct store_ops *ops;
};

/*
 * Runs the transaction: every precondition holds (all are looked at before the first write) and all is written durably,
 * or nothing is. One that changes nothing, as it only checks or deletes what does not exist, takes no revision: its
 * result has the present one. *ret may be NULL; it is set on 0 and on STORE_CONFLICT, where it says which op.
 * Returns 0, STORE_CONFLICT, STORE_FULL, -EINVAL (an impossible key or one written twice), -E2BIG (more than 65,536
 * ops), or negative errno: then nothing was written, but for an I/O error followed by a crash, where SQLite may find
 * the transaction whole.
 */
static inline int store_txn(struct store *s, const struct store_txn *txn, struct store_result *ret, struct err *reterr)
{
        return s->ops->txn(s, txn, ret, reterr);
}

/*
 * Calls fn for each key of the range as it was at range->revision, from one consistent snapshot; *ret_revision (may be
 * NULL) is that snapshot's revision. Returns 0, STORE_COMPACTED, STORE_FUTURE, what fn returned, or negative errno.
 */
static inline int store_range(struct store *s, const struct store_range *range, store_range_fn fn, void *userdata,
                              uint64_t *ret_revision, struct err *reterr)
{
        return s->ops->range(s, range, fn, userdata, ret_revision, reterr);
}

/*
 * Sets the one watcher: fn gets every change after that revision, in order, from one thread at a time; it must not
 * call back into the store, but for store_stats. What is past is told before this returns, and writers wait meanwhile.
 * To load without a gap: range first, then watch from the range's revision. fn NULL: no watcher any more.
 * Returns 0, STORE_COMPACTED, STORE_FUTURE or negative errno.
 */
static inline int store_watch(struct store *s, uint64_t after_revision, store_watch_fn fn, void *userdata,
                              struct err *reterr)
{
        return s->ops->watch(s, after_revision, fn, userdata, reterr);
}

/*
 * Forgets the history before that revision; it and what came after can still be read. Removal goes on in the background
 * (stats.compacting), in small steps that do not hold up writers, and over restarts.
 * Returns 0, STORE_COMPACTED (that far it is already), STORE_FUTURE, STORE_FULL or negative errno.
 */
static inline int store_compact(struct store *s, uint64_t revision, struct err *reterr)
{
        return s->ops->compact(s, revision, reterr);
}

static inline void store_stats(struct store *s, struct store_stats *ret)
{
        s->ops->stats(s, ret);
}

static inline void store_close(struct store *s)
{
        if (s)
                s->ops->close(s);
}

DEFINE_CLEANUP(struct store *, store_close)
