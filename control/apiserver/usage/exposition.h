/* SPDX-License-Identifier: Apache-2.0 */
/* What the containers of a node use, out of its kubelet's /metrics/resource (Prometheus' text format). Pure. */
#pragma once

#include "base/hashmap.h"

#define USAGE_SERIES_MAX 4096 /* of one node: containers, and the node itself */

/* By "namespace/pod/container", and "" for the node itself. */
struct usage_series {
        double cpu_s;   /* since it began */
        int64_t cpu_ms; /* when that was so, since 1970; 0: unknown */
        double memory;  /* bytes in the working set */
        bool has_cpu, has_memory;
        double cores; /* used lately, of two samples */
        bool has_cores;
};

struct usage_sample {
        struct hashmap series; /* owned keys, struct usage_series */
};

void usage_sample_init(struct usage_sample *s);
void usage_sample_deinit(struct usage_sample *s);
/* Reads the text (written to). now_ms stands for times that are not given. Lines that are none of ours are skipped. */
void usage_sample_parse(struct usage_sample *s, char *text, int64_t now_ms);
/* Fills in cores, from what was before. A counter that went back began anew. */
void usage_sample_compare(struct usage_sample *s, const struct usage_sample *before);
/* NULL: there is none. */
struct usage_series *usage_sample_find(const struct usage_sample *s, const char *namespace, const char *pod,
                                       const char *container);
