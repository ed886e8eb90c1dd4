/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plugin is: one rule of scheduling, as functions that look at a cycle and a node and change neither but for the
 * place in the cycle that is its own. All of them stand in one table, in the order in which they are asked.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum plugin_id {
        PLUGIN_SCHEDULING_GATES,
        PLUGIN_PRIORITY_SORT,
        PLUGIN_NODE_UNSCHEDULABLE,
        PLUGIN_NODE_NAME,
        PLUGIN_TAINT_TOLERATION,
        PLUGIN_NODE_AFFINITY,
        PLUGIN_NODE_PORTS,
        PLUGIN_NODE_RESOURCES_FIT,
        PLUGIN_VOLUME_BINDING,
        PLUGIN_POD_TOPOLOGY_SPREAD,
        PLUGIN_INTER_POD_AFFINITY,
        PLUGIN_DYNAMIC_RESOURCES,
        PLUGIN_DEFAULT_PREEMPTION,
        PLUGIN_NODE_RESOURCES_BALANCED_ALLOCATION,
        PLUGIN_IMAGE_LOCALITY,
        PLUGIN_COUNT,
};

enum verdict {
        VERDICT_FITS,
        VERDICT_UNSCHEDULABLE, /* not now; it may help when pods of the node go */
        VERDICT_UNRESOLVABLE,  /* nor would it if they went */
};

/* Outcomes of prefilter and prescore. */
enum {
        PLUGIN_GO,
        PLUGIN_SKIP,   /* this plugin has nothing to say about this pod */
        PLUGIN_REJECT, /* prefilter: no node will do; the diagnosis says why */
};

/* What happens in the cluster, as bits. */
enum cluster_event {
        EVENT_NODE_ADD = 1 << 0,
        EVENT_NODE_DELETE = 1 << 1,
        EVENT_NODE_LABEL = 1 << 2,
        EVENT_NODE_TAINT = 1 << 3, /* and spec.unschedulable */
        EVENT_NODE_ALLOCATABLE = 1 << 4,
        EVENT_POD_ADD = 1 << 5,         /* a pod is on a node now */
        EVENT_POD_DELETE = 1 << 6,      /* ... not any more; or it has ended */
        EVENT_POD_LABEL = 1 << 7,       /* of a pod on a node */
        EVENT_POD_SCALE_DOWN = 1 << 8,  /* a pod on a node asks for less */
        EVENT_POD_TERMINATING = 1 << 9, /* a pod on a node has begun to end */
        EVENT_NAMESPACE_LABEL = 1 << 10,
        EVENT_CLAIM = 1 << 11, /* a PersistentVolumeClaim or a PersistentVolume */
};

struct cycle;
struct node;
struct node_view;
struct pod;
struct shape;
struct state;

struct cluster_change {
        enum cluster_event event;
        const struct state *state;
        const struct node *node;        /* of a node's event: as it is now */
        const struct node_view *before; /* what it was; NULL: new */
        const struct shape *pod;        /* of a pod's event: what it is, or was last */
        const struct shape *pod_before; /* EVENT_POD_LABEL, EVENT_POD_SCALE_DOWN */
        const struct node *pod_node;    /* NULL: unknown */
};

struct plugin {
        const char *name;
        int weight; /* of its scores; 0: it gives none */
        /* Events after which a pod that it has rejected may fit, and (optional) a closer look at one. */
        uint32_t events;
        bool (*hint)(const struct cluster_change *change, const struct shape *rejected);
        int (*prefilter)(struct cycle *c);
        enum verdict (*filter)(struct cycle *c, const struct node *n);
        /* While something is tried out: a pod comes to (1) or goes from (-1) the node; undone by the opposite. */
        void (*pod_moved)(struct cycle *c, const struct node *n, const struct pod *pod, int delta);
        /* Only with score: the nodes that fit are known. */
        int (*prescore)(struct cycle *c);
        int64_t (*score)(struct cycle *c, const struct node *n);
        /* Brings scores, of c->feasible, to 0..100. Without it they are already. */
        void (*normalise)(struct cycle *c, int64_t *scores);
};

#define SCORE_MAX 100

/* By enum plugin_id. */
extern const struct plugin *const plugins[PLUGIN_COUNT];

extern const struct plugin plugin_scheduling_gates, plugin_priority_sort, plugin_node_unschedulable, plugin_node_name,
        plugin_taint_toleration, plugin_node_affinity, plugin_node_ports, plugin_node_resources_fit,
        plugin_volume_binding, plugin_pod_topology_spread, plugin_inter_pod_affinity, plugin_dynamic_resources,
        plugin_default_preemption, plugin_balanced_allocation, plugin_image_locality;

/* normalise: the largest becomes 100, the others in proportion; reverse: the largest becomes 0. */
void plugin_scale(struct cycle *c, int64_t *scores, bool reverse);
