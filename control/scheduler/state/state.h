/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster as the scheduler sees it: nodes with the pods that are on them, whether the API server says so or the
 * scheduler has just decided it (an assumed pod), and sums that are kept up to date with each change, so that no cycle
 * has to look at all pods. A cycle runs from its beginning to its end without anybody changing this: it needs no copy.
 *
 * Nodes have a slot each, a small number that arrays are indexed by; a freed slot is used again.
 */
#pragma once

#include "scheduler/model/node_view.h"
#include "scheduler/model/pod_view.h"
#include "scheduler/queue_item.h"
#include "scheduler/state/carriers.h"
#include "scheduler/state/disruption.h"
#include "scheduler/state/owners.h"
#include "scheduler/state/tally.h"
#include "scheduler/state/topology.h"
#include "scheduler/state/volumes.h"

struct usage {
        struct resources exact;
        int64_t nonzero_milli_cpu, nonzero_memory;
        uint32_t pods;
};

struct image_state {
        const struct atom *name; /* a reference */
        int64_t bytes;           /* as the first node said */
        uint32_t nodes;          /* that have it */
};

struct node {
        const struct atom *name; /* a reference */
        struct node_view *view;  /* a reference; NULL: there are pods of a node that the API server has not told of */
        uint32_t slot;
        struct usage used;
        struct pod *pods;      /* bound and assumed */
        struct pod *nominated; /* pods that wait for their victims here */
        uint32_t npods_with_ports;
        struct image_state **images; /* of view->images */
        uint32_t nimages;
};

struct pod {
        struct pod_view *view; /* borrowed from the informer */
        struct node *node;     /* where it counts; NULL: nowhere */
        struct pod *next, *prev;
        bool assumed; /* on node by our own decision, which the API server has not confirmed yet */
        bool hidden;  /* while somebody tries out what would be without it */
        struct node *nominated;
        struct pod *next_nominated;
        struct queue_item item;
        struct binding *binding; /* of bind.h, while the request is under way or unconfirmed */
        struct report *report;   /* of report.h, while it waits to be sent */
        uint64_t reported;       /* hash of the condition that was last sent; 0: none */
};

/* How many pods on nodes have a priority. */
struct priority_count {
        int32_t priority;
        uint32_t pods;
};

struct state {
        uint64_t generation; /* counts changes that a cycle's result may depend on */
        struct atoms atoms;
        struct shapes shapes;
        struct hashmap pods;       /* "ns/name" -> struct pod * */
        struct hashmap nodes;      /* atom -> struct node * */
        struct hashmap images;     /* atom -> struct image_state * */
        struct hashmap namespaces; /* atom -> struct namespace_view * */
        struct node **slots;       /* NULL: free */
        uint32_t nslots, cap;
        uint32_t nnodes;   /* with a view */
        uint64_t topology; /* counts changes of which nodes there are, and of their labels */
        struct node **order;
        uint64_t order_made;               /* what topology was then */
        struct priority_count *priorities; /* in no order */
        uint32_t npriorities, priorities_cap;
        struct tallies tallies;
        struct topologies topologies;
        struct carriers carriers;
        struct owners owners;
        struct disruption disruption;
        struct volumes volumes;
};

void state_init(struct state *s);
void state_deinit(struct state *s);

static inline struct node *state_node(const struct state *s, const struct atom *name)
{
        return name ? hashmap_get_u64(&s->nodes, (uint64_t)(uintptr_t)name) : NULL;
}

/* view NULL: the node is gone. Borrowed; a reference is taken. */
void state_set_node(struct state *s, const struct atom *name, struct node_view *view);
/* The nodes that have a view, those of each zone by turns: state->nnodes of them. Borrowed until a node changes. */
struct node *const *state_order(struct state *s);

/* Counts the pod on the node of that name (which may not be known yet), or counts it nowhere any more. */
void state_place(struct state *s, struct pod *pod, const struct atom *node);
void state_remove(struct state *s, struct pod *pod);
/* The view of a pod is replaced: what is counted of it follows. */
void state_set_view(struct state *s, struct pod *pod, struct pod_view *view);
/* Whether a pod on some node has less priority than that. */
bool state_has_below(const struct state *s, int32_t priority);
/* NULL: nominated for no node. */
void state_nominate(struct state *s, struct pod *pod, const struct atom *node);

/* Namespaces' labels; map NULL: gone. */
void state_set_namespace(struct state *s, const char *name, const struct jnode *labels);
bool state_namespace_matches(const struct state *s, const struct atom *ns, const struct query *q);

/* times 1: the node has the pod's requests on top; -1: not any more. Nothing else changes: for trying out. */
void usage_add(struct usage *u, const struct shape *shape, int times);
