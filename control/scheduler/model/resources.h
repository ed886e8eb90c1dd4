/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Amounts of resources as the scheduler counts them: CPU in thousandths of a core, the others in whole units (bytes,
 * pieces), rounded up. The three that every pod has to do with are fields; others (extended resources, huge pages)
 * are a short list.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/jsontree.h"
#include "scheduler/model/atom.h"

/* What a container without a request counts for when nodes are scored. */
#define DEFAULT_MILLI_CPU 100
#define DEFAULT_MEMORY    (200LL * 1024 * 1024)

/* No amount of a pod or node is more: 9 PiB, or as many cores as there never are. Sums of many and scores stay in
 * range. */
#define AMOUNT_MAX (1LL << 53)

struct amount {
        const struct atom *name;
        int64_t value;
};

struct resources {
        int64_t milli_cpu, memory, ephemeral;
        struct amount *others;
        uint32_t nothers, cap;
};

#define RESOURCES_NULL ((struct resources){0})

/* others lies on the heap; its atoms belong to somebody who lives longer. */
void resources_deinit(struct resources *r);

/* Of an extended resource; 0 when there is none. */
int64_t resources_other(const struct resources *r, const struct atom *name);
/* a += b * times */
void resources_add(struct resources *a, const struct resources *b, int64_t times);
/* a = the larger, for each resource */
void resources_max(struct resources *a, const struct resources *b);
/* A ResourceList. pods (may be NULL) gets the resource of this name. Atoms come from the pool. */
void resources_parse(struct atom_pool *p, const struct jnode *list, struct resources *ret, int64_t *ret_pods);

/* What a pod asks for. */
struct pod_request {
        struct resources exact;                    /* what a node must have */
        int64_t nonzero_milli_cpu, nonzero_memory; /* with the defaults above, for scores */
};

void pod_request_deinit(struct pod_request *r);
/* Of a whole pod: containers are added up; init containers run one after the other, but for sidecars, which stay; a
 * budget of the pod stands for its containers'; overhead comes on top; while a pod is being resized the larger of what
 * is asked for and what it has counts. */
void pod_request_parse(struct atom_pool *p, const struct jnode *pod, struct pod_request *ret);
/* True when the status says something else about a container's requests than the spec: a resize is under way. */
bool pod_request_is_resizing(const struct jnode *pod);
