/* SPDX-License-Identifier: Apache-2.0 */
/* What the pods of the node use now, for /metrics/resource and /stats/summary. */
#pragma once

#include "agent/kubelet/server/impl.h"

struct container_usage {
        const char *name;
        int64_t started_ns; /* wall */
        uint64_t cpu_ns, memory, working_set;
        const char *id, *log_path;
};

struct pod_usage {
        const struct pod_view *pod;
        const struct container_usage *containers; /* those that run */
        size_t n;
        uint64_t cpu_ns, memory, working_set; /* their sums */
};

/* Calls fn for each pod that runs something. Everything is borrowed during the call. On the kubelet's loop. */
void usage_each_pod(struct kubelet_server *s, void (*fn)(void *userdata, const struct pod_usage *u), void *userdata);
