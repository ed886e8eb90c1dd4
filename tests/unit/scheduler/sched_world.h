/* SPDX-License-Identifier: Apache-2.0 */
/* A small cluster in a state of the scheduler's, for its tests. JSON is written with ' in the place of ". */
#pragma once

#include "base/jsontree.h"
#include "scheduler/cycle.h"

#define SCHED_WORLD_PODS 4096

struct sched_world {
        struct state state;
        struct cycle cycle;
        struct diagnosis diagnosis;
        struct pod *pods[SCHED_WORLD_PODS];
        size_t npods;
        char message[4096];
};

void sched_world_init(struct sched_world *w);
void sched_world_deinit(struct sched_world *w);

/* The parsed text, until the next call. */
const struct jnode *sched_world_json(const char *fmt, ...) _printf_(1, 2);

/* A node by its whole object; the node as it is then. */
struct node *sched_world_node_json(struct sched_world *w, const char *json);
/* "NAME", 4 CPUs, 8Gi, 110 pods; more: further members of the object ("'spec':{...}"), or NULL; labels as 'a':'b'. */
struct node *sched_world_node(struct sched_world *w, const char *name, const char *labels, const char *more);
void sched_world_node_gone(struct sched_world *w, const char *name);
/* A pod by its whole object; node: where it runs, or NULL. */
struct pod *sched_world_pod_json(struct sched_world *w, const char *json, const char *node);
/* With these labels and further members of its spec. */
struct pod *sched_world_pod(struct sched_world *w, const char *name, const char *labels, const char *spec,
                            const char *node);
void sched_world_pod_gone(struct sched_world *w, struct pod *pod);

/* What the filters say about each node in turn: "a=fits b=Too many pods; Insufficient cpu c=!node(s) ..."; ! in front
 * of what is unresolvable. In order of slots. */
const char *sched_world_filter(struct sched_world *w, struct pod *pod);
/* One plugin's scores of all nodes, normalised, as if all fitted: "a=100 b=0"; "skip". */
const char *sched_world_score(struct sched_world *w, struct pod *pod, enum plugin_id plugin);
/* A cycle: the node's name, or the message. */
const char *sched_world_schedule(struct sched_world *w, struct pod *pod);
