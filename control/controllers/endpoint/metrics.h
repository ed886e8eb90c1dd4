/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the controllers that write EndpointSlices tell of themselves, by upstream's names. Steps are counted when they
 * are planned; a plan that failed shows as a sync with the result "error".
 */
#pragma once

#include "base/hashmap.h"
#include "base/strbuf.h"
#include "controllers/endpoint/drafts.h"

#define METRICS_BUCKETS 15

struct histogram {
        uint64_t buckets[METRICS_BUCKETS], count, sum; /* 2, 4, 8, ... 2^15 */
};

/* What an object (a Service, Endpoints) comes to. */
struct object_counts {
        unsigned int slices, desired_slices, endpoints;
        enum traffic traffic;
};

struct slice_metrics {
        struct hashmap objects;    /* key -> struct object_counts * */
        struct object_counts sums; /* without traffic */
        uint64_t by_traffic[TRAFFIC_SAME_NODE + 1];
        struct histogram added, updated, removed, skipped;
        struct histogram changed[2][TRAFFIC_SAME_NODE + 1]; /* slices; [topology-mode: Auto] */
        uint64_t created, rewritten, deleted;               /* slices */
        uint64_t syncs, errors;
};

void slice_metrics_init(struct slice_metrics *m);
void slice_metrics_deinit(struct slice_metrics *m);

void histogram_observe(struct histogram *h, uint64_t n);
/* counts NULL: there is no such object any more. */
void slice_metrics_object(struct slice_metrics *m, const char *key, const struct object_counts *counts);
void slice_metrics_planned(struct slice_metrics *m, const struct sync *s, const struct draft_counts *c);

void slice_metrics_write(const struct slice_metrics *m, struct strbuf *b);           /* endpoint_slice_controller_ */
void slice_metrics_write_mirroring(const struct slice_metrics *m, struct strbuf *b); /* endpoint_slice_mirroring_... */
