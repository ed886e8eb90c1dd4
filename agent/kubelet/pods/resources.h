/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod and its containers ask for and may have, in numbers: quality of service, sums, shares, scores. Pure. */
#pragma once

#include "agent/kubelet/runtime/runtime.h"
#include "base/json.h"
#include "kube/quantity.h"

enum pod_qos {
        QOS_GUARANTEED,
        QOS_BURSTABLE,
        QOS_BEST_EFFORT,
};

/* From the spec alone, whatever status says. */
enum pod_qos pod_qos_class(const struct json_object *pod);
const char *pod_qos_name(enum pod_qos qos); /* "Guaranteed", ... */

/* One of a ResourceList; false: it is not there (or no quantity), then *ret is zero. */
bool resource_quantity(const struct json_object *list, const char *name, struct quantity *ret);

/* A restartable init container. */
bool container_is_sidecar(const struct json_object *container);
/* By name, among containers and initContainers; NULL: none. */
struct json_object *pod_container(const struct json_object *pod, const char *name);

/* requests or limits ("requests", "limits") of the whole pod: containers and sidecars together, or the most that an
 * init container needs beside the sidecars before it; then what spec.resources says, and spec.overhead on top.
 * ret_all: every container names one above zero (of limits: only then it limits the pod). */
struct quantity pod_resource(const struct json_object *pod, const char *which, const char *name, bool *ret_all);

/* Milli-CPUs as cpu.shares (2..262144), and as a quota of a period of 100 ms (0: none; at least 1 ms). */
int64_t cpu_shares(int64_t milli);
int64_t cpu_quota_us(int64_t milli);
#define CPU_PERIOD_US 100000

/* memory_capacity: of the node, in bytes. */
int64_t container_oom_score_adj(const struct json_object *pod, const struct json_object *container,
                                int64_t memory_capacity);

/* Limits of one container of the pod: what is not limited is -1. */
struct container_resources container_limits(const struct json_object *pod, const struct json_object *container,
                                            int64_t memory_capacity);
/* Limits of the pod's own group; pids_limit 0: none. */
struct container_resources pod_limits(const struct json_object *pod, int64_t pids_limit);
