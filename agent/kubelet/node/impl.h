/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of node/ share. */
#pragma once

#include "agent/kubelet/node/capacity.h"
#include "agent/kubelet/node/group.h"
#include "agent/kubelet/node/heartbeat.h"
#include "agent/kubelet/node/machine.h"
#include "agent/kubelet/node/node.h"
#include "agent/kubelet/node/registrar.h"
#include "agent/kubelet/node/thresholds.h"

struct node {
        struct node_opts opts;
        struct node_ips ips;
        struct machine machine;
        struct node_reserved reserved;
        struct eviction_thresholds thresholds;

        struct retry retry;
        struct registrar *registrar;
        struct heartbeat *heartbeat;
        struct loop_timer *tick;
        struct json_object *local; /* the Node as it would be made, until there is one */
        struct json_object *capacity, *allocatable, *images;
        struct json_object *told; /* the conditions that were told last */
        struct node_health health;
        char network_problem[512]; /* "": none */
        uint16_t port;
        uint64_t preemptions;
        bool registered, asked_boot, sources_ready;
};

/* An Event about the node. */
void node_event(struct node *n, bool warning, const char *reason, const char *fmt, ...) _printf_(4, 5);

/* status.images: the 50 biggest. The caller owns it. */
struct json_object *node_images(const struct images *im);
