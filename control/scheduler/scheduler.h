/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler: informers keep the state (watch.h), pods without a node come into the queue, each attempt is a cycle
 * (cycle.h), its result a binding under way (bind.h) or a report to people (report.h), after preemption perhaps
 * (evict.h). One thread: the loop's. Nothing waits: many bindings are under way at a time, and the pods count as placed
 * meanwhile.
 */
#pragma once

#include "kube/informer.h"
#include "runtime/process.h"
#include "scheduler/bind.h"
#include "scheduler/call.h"
#include "scheduler/cycle.h"
#include "scheduler/metrics.h"
#include "scheduler/preempt.h"
#include "scheduler/queue.h"
#include "scheduler/report.h"
#include "scheduler/watch.h"

struct scheduler_config {
        const char *names;   /* whose pods: spec.schedulerName, separated by commas */
        uint32_t percentage; /* of nodes to find; 0: by their number */
        uint32_t bindings;   /* under way at a time */
        double events_qps;   /* Events a second */
        int64_t confirm_ms;  /* a binding that the watch does not show for so long is looked after */
};

/* What the last pod that fitted nowhere was told. Others of its shape get the same answer without a cycle, as long as
 * nothing has changed: a Deployment that is too large for the cluster fails as a whole. */
struct last_failure {
        struct shape *shape; /* a reference; NULL: none */
        uint64_t generation; /* the state's */
        uint32_t rejected_by;
        struct strbuf message;
};

struct scheduler {
        const struct scheduler_config *config;
        struct process *process;
        struct loop *loop;
        struct kube_client *client, *events_client;
        struct events *events;
        struct state state;
        struct queue queue;
        struct cycle cycle;
        struct diagnosis diagnosis;
        struct preemption preemption;
        struct last_failure last_failure;
        struct metrics metrics;
        struct watches watches;
        struct calls calls;
        struct bindings bindings;
        struct reports reports;
        struct loop_timer *timer; /* of the next attempts, or of the queue */
        bool soon;                /* the timer is set to now */
};

int scheduler_new(const struct scheduler_config *config, struct process *process, struct scheduler **ret,
                  struct err *reterr);
void scheduler_free(struct scheduler *s);
/* From now on it binds. */
void scheduler_lead(struct scheduler *s);
/* NULL: it has seen the cluster; else what it waits for. */
const char *scheduler_unready(const struct scheduler *s);
void scheduler_metrics(struct scheduler *s, struct strbuf *b);

/* There may be something to do. */
void scheduler_kick(struct scheduler *s);
/* Whether pods with this spec.schedulerName are ours. */
bool scheduler_is_ours(const struct scheduler *s, const struct shape *shape);
/* Something has happened to pods or nodes: unschedulable pods that it may help are tried again. */
void scheduler_event(struct scheduler *s, const char *name, const struct cluster_change *change);
/* The pod is nominated for no node any more: the place is free for others. */
void scheduler_denominate(struct scheduler *s, struct pod *pod);
/* What Events about a pod are about; borrowed from it. */
struct event_object scheduler_object(const struct pod *pod);
