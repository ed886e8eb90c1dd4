/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the rig. */
#pragma once

#include "agent/apply.h"
#include "bpf/lab.h"
#include "model/rig.h"

#define RIG_OBJECTS 5

struct rig {
        struct lab lab;
        struct devices devices;
        struct flow_set *shadow; /* the flow table as it was after the last packet */
        uint32_t clock;          /* the programs' seconds; they stand still */
        uint32_t age;            /* seconds that have passed since the world began */
        struct counter *counters, *counters_now;
        struct flow_counters flow_counters;
        struct maps maps;
        struct apply *apply;
        struct service_state *services[WORLD_SERVICES], *host_ports[WORLD_HOSTPORTS][2];
        struct ids ids;
        struct pod_spec pods[WORLD_PODS];
        uint32_t answers_at[RIG_OBJECTS];                   /* offset of reject_rates in the object's .bss */
        uint32_t way_at, way_ifindex, way_next, way_tunnel; /* offsets in hook_scratch's value */
        uint32_t scratch_size;
        int scratch[RIG_OBJECTS], cpu; /* hook_scratch's descriptors; the one CPU that this process runs on */
};

void rig_die(const char *what, int error) __attribute__((noreturn));
void rig_set(struct rig *rig, enum map_id map, const void *key, const void *value);
/* The map of that name in an object; dies when there is none. */
int rig_object_map(const struct rig *rig, int object, const char *name);

/* rig_tables.c */
void rig_tables_open(struct rig *rig);
void rig_tables_close(struct rig *rig);
void rig_tables_write(struct rig *rig, const struct world *world);
bool rig_tables_empty(struct rig *rig);

/* rig_look.c */
void rig_look_open(struct rig *rig);
void rig_look_clock(struct rig *rig, uint32_t seconds);
void rig_look_begin(struct rig *rig);
void rig_look_after(struct rig *rig, const struct event *e, struct observed *ret);
