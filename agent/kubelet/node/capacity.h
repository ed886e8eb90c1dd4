/* SPDX-License-Identifier: Apache-2.0 */
/* status.capacity and status.allocatable: what there is, and what of it pods may have. Pure. */
#pragma once

#include "agent/kubelet/node/machine.h"
#include "agent/kubelet/node/thresholds.h"
#include "base/json.h"
#include "kube/quantity.h"

/* What is kept from pods, for the system and for this program. */
struct node_reserved {
        struct quantity cpu, memory, ephemeral, pid;
};

/* "cpu=100m,memory=100Mi,ephemeral-storage=1Gi,pid=100"; NULL and "": nothing. 0 or -EINVAL. */
int reserved_parse(const char *s, struct node_reserved *ret, struct err *reterr);

struct capacity {
        const struct machine *machine;
        uint64_t fs_bytes; /* of the disk that pods write to; 0: unknown */
        uint32_t max_pods;
};

/* The caller owns them. */
struct json_object *capacity_all(const struct capacity *c);
/* Without what is reserved and what evictions keep free; huge pages are no memory for pods. */
struct json_object *capacity_allocatable(const struct capacity *c, const struct node_reserved *reserved,
                                         const struct eviction_thresholds *thresholds);
