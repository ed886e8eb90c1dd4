/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests on their way to the writer: a lock-free stack that many push and one takes whole (and turns around), and a
 * futex per request to wake its caller alone. A request lives on its caller's stack.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

#define WAKE_FANOUT 2

enum request_kind {
        REQUEST_TXN,
        REQUEST_WATCH,
        REQUEST_COMPACT,
};

struct watch_request {
        uint64_t after_revision;
        store_watch_fn fn;
        void *userdata;
};

struct request {
        struct request *next;
        enum request_kind kind;
        const struct store_txn *txn;
        struct watch_request watch;
        uint64_t compact_revision;
        struct store_result result;
        struct err *reterr; /* the caller's */
        int r;
        _Atomic uint32_t done;
        _Atomic uint32_t *wake[WAKE_FANOUT]; /* others of its batch that this caller wakes in turn */
};

struct queue {
        _Atomic(struct request *) head;
        _Atomic uint32_t sleeping; /* the writer is, or is about to be */
        atomic_bool deep;          /* it sleeps without a limit of time */
        atomic_bool stopped;
};

/* Puts the request in and sleeps until request_finish. Returns the request's result. */
int queue_submit(struct queue *q, struct request *req);
/* Everything that is queued, oldest first, or NULL. */
struct request *queue_take(struct queue *q);
/* Sleeps until something is queued, queue_stop was called, or the time is over. timeout_ns 0: no limit. */
void queue_wait(struct queue *q, uint64_t timeout_ns);
void queue_stop(struct queue *q);
bool queue_is_empty(struct queue *q);
/* Ends a sleep without a limit of time. */
void queue_rouse(struct queue *q);
/*
 * Finishes a batch: their callers' stacks may be gone at once, so they must not be touched any more. The writer wakes
 * one caller, that one two more, and so on, so that the writer is back at its work early.
 */
void requests_finish(struct request **requests, size_t n);
