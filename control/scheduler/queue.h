/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pods that wait for a node:
 *
 *  - active: to be tried, the highest priority first, then the one that has waited longest;
 *  - backoff: to be tried after a while, 1 s after the first failure, doubled with each to 10 s;
 *  - unschedulable: no use until something in the cluster changes that a plugin that rejected the pod cares about;
 *    looked at again anyway after 5 minutes;
 *  - gated: have spec.schedulingGates.
 *
 * An attempt runs in one go and puts its pod back before any event is handled, so no event can come in between and be
 * missed. Time is given by the caller: monotonic, in ns.
 */
#pragma once

#include "scheduler/plugins/plugin.h"
#include "scheduler/state/state.h"

#define QUEUE_BACKOFF_MIN_NS (1000000000ULL)
#define QUEUE_BACKOFF_MAX_NS (10000000000ULL)
#define QUEUE_PATIENCE_NS    (300000000000ULL) /* in unschedulable */
#define QUEUE_FLUSH_NS       (30000000000ULL)  /* that is looked at so often */

struct queue_list {
        struct pod **pods; /* active, backoff: heaps */
        uint32_t n, cap;
};

struct queue {
        struct queue_list places[QUEUE_PLACES];
        uint32_t rejected_by[PLUGIN_COUNT]; /* unschedulable pods by plugin */
        uint64_t flush_ns;
        /* Told of every move (metrics); may be NULL. */
        void (*moved)(void *userdata, const char *event, enum queue_place to);
        void *userdata;
};

void queue_init(struct queue *q);
void queue_deinit(struct queue *q);

/* A pod that has to be scheduled, new or changed: to active or gated, wherever it was. Its failures are forgotten. */
void queue_add(struct queue *q, struct pod *pod, uint64_t now_ns);
/* A pod that waits has another shape now: worth another try, though not before its backoff has ended. */
void queue_update(struct queue *q, struct pod *pod, uint64_t now_ns);
void queue_remove(struct queue *q, struct pod *pod);
/* The next one to try, out of the queue; NULL: none now. */
struct pod *queue_pop(struct queue *q);
/* The attempt has ended without a node. rejected_by 0: for another reason than the pod and the nodes; backs off. */
void queue_put_back(struct queue *q, struct pod *pod, uint32_t rejected_by, uint64_t now_ns);
/* Back as if it had not been tried. */
void queue_retry_now(struct queue *q, struct pod *pod, uint64_t now_ns);
/* Unschedulable pods for which this may change something are to be tried again. */
void queue_event(struct queue *q, const char *name, const struct cluster_change *change, uint64_t now_ns);
/* Moves what has backed off or waited long enough. Returns when to come again; UINT64_MAX: no need. */
uint64_t queue_tick(struct queue *q, uint64_t now_ns);

static inline uint32_t queue_count(const struct queue *q, enum queue_place place)
{
        return q->places[place].n;
}

uint64_t queue_backoff_ns(uint32_t failures);
