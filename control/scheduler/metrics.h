/* SPDX-License-Identifier: Apache-2.0 */
/* /metrics in the text format of Prometheus, by upstream's names. Times are in ns here. */
#pragma once

#include <stdint.h>

#include "base/strbuf.h"
#include "scheduler/queue.h"

enum attempt_result {
        ATTEMPT_SCHEDULED,
        ATTEMPT_UNSCHEDULABLE,
        ATTEMPT_ERROR,
        ATTEMPT_RESULTS,
};

enum extension_point {
        POINT_FILTER, /* with what comes before it */
        POINT_SCORE,
        POINT_POST_FILTER,
        POINT_BIND,
        POINTS,
};

#define HISTOGRAM_BUCKETS 20
#define METRIC_EVENTS     24

struct histogram {
        double least, factor; /* upper bounds: least * factor^i */
        uint32_t nbuckets;
        uint64_t buckets[HISTOGRAM_BUCKETS + 1]; /* the last one: what is above */
        uint64_t count;
        double sum;
};

struct metric_event {
        const char *name;
        uint64_t to[QUEUE_PLACES];
};

struct metrics {
        uint64_t attempts[ATTEMPT_RESULTS];
        struct histogram attempt[ATTEMPT_RESULTS];
        struct histogram algorithm, tries, preemption_victims;
        struct histogram sli[17]; /* by attempts; the last one: 16 and more */
        struct histogram points[POINTS];
        uint64_t preemptions;
        struct metric_event events[METRIC_EVENTS];
        uint32_t nevents;
};

void metrics_scheduler_init(struct metrics *m);
void histogram_add(struct histogram *h, double value);
void metrics_attempt(struct metrics *m, enum attempt_result result, uint64_t ns);
void metrics_point(struct metrics *m, enum extension_point point, uint64_t ns);
/* A pod was bound, so long after its first attempt. */
void metrics_bound(struct metrics *m, uint32_t attempts, uint64_t ns);
/* As queue.moved. */
void metrics_moved(struct metrics *m, const char *event, enum queue_place to);
void metrics_scheduler_write(const struct metrics *m, const struct queue *q, const struct state *s, uint32_t assumed,
                             struct strbuf *b);
