/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a pod fits nowhere, for people: "0/3 nodes are available: 1 node(s) had untolerated taint {a: b}, 2 Insufficient
 * cpu. preemption: ...". Reasons are counted, not written, while nodes are looked at.
 */
#pragma once

#include "base/strbuf.h"
#include "scheduler/model/atom.h"

struct reason {
        const char *format;       /* static, with one %s for each atom */
        const struct atom *a, *b; /* borrowed; or NULL */
        uint32_t count;
};

struct diagnosis {
        struct reason *reasons;
        uint32_t n, cap;
        uint32_t plugins;       /* bits of those that rejected */
        uint32_t nodes;         /* of the cluster */
        struct strbuf refused;  /* why no node was looked at; empty: they were */
        struct strbuf appendix; /* "preemption: ..." */
};

#define DIAGNOSIS_NULL ((struct diagnosis){0})

void diagnosis_reset(struct diagnosis *d, uint32_t nodes);
void diagnosis_deinit(struct diagnosis *d);
/* One more node for this reason. */
void diagnosis_count(struct diagnosis *d, const char *format, const struct atom *a, const struct atom *b);
/* The same, for so many. */
void diagnosis_count_n(struct diagnosis *d, const char *format, uint32_t n);
void diagnosis_write(const struct diagnosis *d, struct strbuf *b);
