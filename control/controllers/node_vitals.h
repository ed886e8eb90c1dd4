/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the node lifecycle controller: signs of life, zones, and what a node's conditions ask for. */
#pragma once

#include "base/ratelimit.h"
#include "controllers/config.h"
#include "controllers/engine/controller.h"

#define TAINT_NOT_READY     "node.kubernetes.io/not-ready"
#define TAINT_UNREACHABLE   "node.kubernetes.io/unreachable"
#define TAINT_UNSCHEDULABLE "node.kubernetes.io/unschedulable"

/* ---- signs of life (node_vitals.c) ---- */

/*
 * A node lives as long as its Lease or its status' heartbeats are seen to change: time is this machine's monotonic
 * clock alone, so that neither the nodes' clocks nor a jump of our own kills one. After a restart every node gets its
 * grace anew.
 */
struct vitals;

struct vitals *vitals_new(void);
void vitals_free(struct vitals *v);
void vitals_seen(struct vitals *v, const char *node, uint64_t now_ms);
/* A node's status: seen, if its heartbeats are others than last time. */
void vitals_status(struct vitals *v, const struct kobj *node, uint64_t now_ms);
/* For how long it has been seen to be not ready; 0: it is ready, or no longer than this look. */
uint64_t vitals_down_ms(struct vitals *v, const struct kobj *node, uint64_t now_ms);
void vitals_forget(struct vitals *v, const char *node);
/* How long it has still to live without a sign; 0: its time is over. */
uint64_t vitals_left_ms(struct vitals *v, const struct kobj *node, const struct config *c, uint64_t now_ms);

/* ---- zones (node_zones.c) ---- */

enum zone_state {
        ZONE_NORMAL,
        ZONE_PARTIAL, /* too much of it is not ready */
        ZONE_FULL,    /* all of it is not ready */
};

/* A zone's nodes, and the rate at which they may be emptied. */
struct zones;

struct zones *zones_new(void);
void zones_free(struct zones *z);
/* Whether pods of that node may be evicted now (which is then counted). Else *ret_wait_ms is when to ask again,
 * UINT64_MAX when the zones must change first. */
bool zones_allow(struct zones *z, const struct lister *l, const struct config *c, const struct kobj *node,
                 uint64_t now_ms, uint64_t *ret_wait_ms);
/* Not one node of the cluster is ready: rather this side is cut off than all of them. */
bool zones_all_down(struct zones *z, const struct lister *l, const struct config *c, uint64_t now_ms);

static inline enum tri node_ready(const struct kobj *node)
{
        const struct node_condition *c = node_condition(node->node, "Ready");

        return c ? c->status : TRI_UNSET;
}
