/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps a node from running out of memory, disk and processes: looks at what is left, tells pressures, frees what
 * nobody needs, and then lets pods go, one at a time. What it sees and does is behind hooks, so that tests play with
 * figures.
 */
#pragma once

#include "agent/kubelet/node/eviction.h"

struct evictor;

/* A pod that may have to go. Strings are borrowed until the next call of a hook. */
struct evictor_pod {
        const char *uid;
        const struct json_object *pod;
};

struct evictor_pods {
        const struct evictor_pod *pods;
        size_t n;
};

struct evictor_hooks {
        void (*look)(void *userdata, struct eviction_view *ret);
        /* Those that run or may run, without critical ones: these are not evicted. */
        void (*pods)(void *userdata, struct evictor_pods *ret);
        /* What its containers use of what the signal is about; the sum with what else the pod uses (volumes). */
        uint64_t (*usage)(void *userdata, enum eviction_signal s, const struct evictor_pod *pod,
                          struct eviction_container *ret, size_t max, size_t *ret_n);
        /* Whether usage() knows it now; else it begins to find out, and is asked again. */
        bool (*usage_ready)(void *userdata, enum eviction_signal s);
        /* Whether the pod has written more than it may: then the message. */
        bool (*exceeds)(void *userdata, const struct evictor_pod *pod, struct strbuf *ret);
        /* Frees what nobody needs, about so many bytes: true when there was something. */
        bool (*reclaim)(void *userdata, enum eviction_signal s, uint64_t bytes);
        void (*evict)(void *userdata, const struct evictor_pod *pod, const char *message, int64_t grace_s);
        /* Whether an evicted pod has given back what it had; makes it do so. */
        bool (*is_gone)(void *userdata, const char *uid);
        void (*short_of)(void *userdata, const char *resource);
        void (*pressure)(void *userdata, const bool pressure[NODE_READY]);
};

struct evictor_opts {
        const struct evictor_hooks *hooks;
        void *userdata;
        const struct eviction_thresholds *thresholds;
        uint64_t transition_ms;
};

int evictor_new(const struct evictor_opts *opts, struct evictor **ret);
void evictor_free(struct evictor *m);
DEFINE_CLEANUP(struct evictor *, evictor_free)

/* One look; now_ms is of the monotonic clock. */
void evictor_look(struct evictor *m, uint64_t now_ms);

/* How many pods had to go for each signal, and for what they wrote. */
struct evictor_stats {
        uint64_t evictions[EVICTION_SIGNALS], limits;
};

void evictor_stats(const struct evictor *m, struct evictor_stats *ret);
