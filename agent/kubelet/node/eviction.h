/* SPDX-License-Identifier: Apache-2.0 */
/* What is short, and who has to go for it: pure, with upstream's order and texts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/kubelet/node/conditions.h"
#include "agent/kubelet/node/thresholds.h"
#include "base/json.h"
#include "base/strbuf.h"

/* What there is and what is left of it, by signal; a capacity of 0 is not known, and never short. */
struct eviction_view {
        uint64_t available[EVICTION_SIGNALS], capacity[EVICTION_SIGNALS];
};

struct eviction_state {
        bool met[EVICTION_SIGNALS];
        bool ever[EVICTION_SIGNALS];
        uint64_t met_ms[EVICTION_SIGNALS]; /* when it was met last */
};

/* A threshold that was crossed stays so until the minimum reclaim is free on top. */
void eviction_update(const struct eviction_thresholds *t, const struct eviction_view *v, uint64_t now_ms,
                     struct eviction_state *s);
/* The conditions: true for transition_ms after a threshold was met last, so that they do not flap. */
void eviction_pressure(const struct eviction_state *s, uint64_t now_ms, uint64_t transition_ms,
                       bool ret_pressure[static NODE_READY]);

/* "memory", "ephemeral-storage", "inodes", "pids" */
const char *eviction_resource(enum eviction_signal s);

struct eviction_candidate {
        const struct json_object *pod; /* borrowed */
        uint64_t usage, request;       /* of what is short: bytes, inodes, processes */
        void *userdata;
};

/* Who goes first comes first: who uses more than it asked for, then the less important, then the larger excess. */
void eviction_rank(enum eviction_signal s, struct eviction_candidate *all, size_t n);
/* What the pod asked for of what the signal is about. */
uint64_t eviction_request(enum eviction_signal s, const struct json_object *pod);

struct eviction_container {
        const char *name;
        uint64_t usage;
};

/* status.message of who goes. */
void eviction_message(enum eviction_signal s, const struct eviction_threshold *t, const struct eviction_view *v,
                      const struct json_object *pod, const struct eviction_container *containers, size_t ncontainers,
                      struct strbuf *ret);

/* ---- limits of what a pod may write ---- */

struct storage_use {
        const char *name; /* of the volume or container */
        uint64_t bytes;
};

struct storage_usage {
        const struct storage_use *volumes, *containers; /* emptyDirs on the disk; what containers wrote, with logs */
        size_t nvolumes, ncontainers;
};

/* Whether the pod says how much it may write at all. */
bool storage_is_limited(const struct json_object *pod);
/* true: it has written more than it may; ret: status.message. */
bool storage_exceeds(const struct json_object *pod, const struct storage_usage *u, struct strbuf *ret);
