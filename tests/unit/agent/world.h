/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small cluster for tests of the services' side: its API state, an agent on fake maps, and an oracle that says what
 * each frontend must lead to. The maps are watched: after every single write no frontend may lead to a slot whose
 * backend is free or another's.
 */
#pragma once

#include "agent/services.h"
#include "datapath/map.h"

#define WORLD_SERVICES  6
#define WORLD_ENDPOINTS 12
#define WORLD_SLICES    2
#define WORLD_NODE      "n1"

struct world_endpoint {
        bool there, ready, serving, terminating, local;
};

struct world_service {
        bool there;
        const char *type; /* "ClusterIP", "NodePort" or "LoadBalancer" */
        int created_s;
        int ports;       /* 1 or 2; the second is of UDP */
        int external_ip; /* 203.0.113.<n>; 0: none */
        int node_port;   /* of the first port; 0: none */
        bool internal_local, external_local, dual, affinity, ranges;
        const char *balance; /* annotation, or NULL */
        /* Those of even number are IPv4, the others IPv6; all of a family are in one slice, but for twins. */
        struct world_endpoint endpoints[WORLD_ENDPOINTS];
        int port_shift; /* the endpoints' ports begin there */
};

struct world {
        struct maps inner, maps;
        struct agent_config config;
        struct services *services;
        struct world_service service[WORLD_SERVICES];
        struct svc_view *views[WORLD_SERVICES];
        struct slice_view *slices[WORLD_SERVICES][WORLD_SLICES];
        uint64_t writes;
        bool broken; /* a write left a frontend in disorder */
        char why[256];
        int fail_writes_to; /* enum map_id: writes there fail; -1: none */
};

/* NULL or sizes of maps: services, slot lines, backends, service ids. */
void world_init(struct world *w, const uint32_t sizes[4]);
void world_deinit(struct world *w);
/* Kills the agent and starts another on the same maps, with the same API state. */
void world_restart(struct world *w);
/* Tells the agent what service[i] has become. */
void world_tell(struct world *w, int i);
/* Syncs, waits out the lag of freed backends, and compares the maps with the oracle. Returns NULL or what is wrong. */
const char *world_check(struct world *w);
void world_sync(struct world *w);

/* How a frontend's slots look. */
struct world_view {
        bool found;
        struct service value;
        uint32_t n_in, n_out; /* different backends */
};
struct world_view world_look(struct world *w, const char *address, int port, int proto);
struct json_object *world_json(const char *fmt, ...) _printf_(1, 2);
