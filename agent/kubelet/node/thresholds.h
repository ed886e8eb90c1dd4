/* SPDX-License-Identifier: Apache-2.0 */
/* When a node is short of something: --eviction-hard and --eviction-minimum-reclaim in upstream's syntax. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum eviction_signal {
        EVICT_MEMORY,
        EVICT_NODEFS,
        EVICT_NODEFS_INODES,
        EVICT_IMAGEFS,
        EVICT_IMAGEFS_INODES,
        EVICT_PID,
        EVICTION_SIGNALS,
};

/* Bytes (inodes, processes), or a part of what there is. */
struct eviction_amount {
        uint64_t value;
        double part; /* of 1; 0: value counts */
};

struct eviction_threshold {
        bool set;
        struct eviction_amount below, reclaim; /* reclaim: that much more is freed, once it is freed at all */
};

struct eviction_thresholds {
        struct eviction_threshold of[EVICTION_SIGNALS];
};

#define EVICTION_DEFAULTS                                                                                              \
        "memory.available<100Mi,nodefs.available<10%,imagefs.available<15%,nodefs.inodesFree<5%,imagefs.inodesFree<5%"

/* hard: "memory.available<100Mi,nodefs.available<10%"; NULL: the defaults; "" and "none": none. reclaim:
 * "memory.available=0Mi", NULL: nothing. 0 or -EINVAL with the piece that is wrong. */
int thresholds_parse(const char *hard, const char *reclaim, struct eviction_thresholds *ret, struct err *reterr);

uint64_t eviction_amount_of(const struct eviction_amount *a, uint64_t capacity);
/* "memory.available" */
const char *eviction_signal_name(enum eviction_signal s);
