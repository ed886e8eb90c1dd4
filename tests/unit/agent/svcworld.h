/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small cluster for tests of the services' side: its API state, an agent on fake maps, and an oracle that says what
 * each frontend must lead to. The maps are watched: after every single write no frontend may lead to a slot whose
 * backend is free or another's.
 */
#pragma once

#include "agent/services.h"
#include "datapath/map.h"

#define SVCWORLD_SERVICES  6
#define SVCWORLD_ENDPOINTS 12
#define SVCWORLD_SLICES    2
#define SVCWORLD_NODE      "n1"

struct svcworld_endpoint {
        bool there, ready, serving, terminating, local;
};

struct svcworld_service {
        bool there;
        const char *type; /* "ClusterIP", "NodePort" or "LoadBalancer" */
        int created_s;
        int ports;       /* 1 or 2; the second is of UDP */
        int external_ip; /* 203.0.113.<n>; 0: none */
        int node_port;   /* of the first port; 0: none */
        bool internal_local, external_local, dual, affinity, ranges;
        const char *balance; /* annotation, or NULL */
        /* Those of even number are IPv4, the others IPv6; all of a family are in one slice, but for twins. */
        struct svcworld_endpoint endpoints[SVCWORLD_ENDPOINTS];
        int port_shift; /* the endpoints' ports begin there */
};

struct svcworld {
        struct maps inner, maps;
        struct agent_config config;
        struct services *services;
        struct loop *loop; /* of the next agent that is started; NULL: the test calls services_sync */
        struct svcworld_service service[SVCWORLD_SERVICES];
        struct svc_view *views[SVCWORLD_SERVICES];
        struct slice_view *slices[SVCWORLD_SERVICES][SVCWORLD_SLICES];
        uint64_t writes;
        bool broken; /* a write left a frontend in disorder */
        char why[256];
        int fail_writes_to; /* enum map_id: writes there fail; -1: none */
        int writes_left;    /* then all fail; -1: no limit */
};

/* NULL or sizes of maps: services, slot lines, backends, service ids. */
void svcworld_init(struct svcworld *w, const uint32_t sizes[4]);
void svcworld_deinit(struct svcworld *w);
/* Kills the agent and starts another on the same maps, with the same API state. */
void svcworld_restart(struct svcworld *w);
/* Tells the agent what service[i] has become. */
void svcworld_tell(struct svcworld *w, int i);
/* Syncs, waits out the lag of freed backends, and compares the maps with the oracle. Returns NULL or what is wrong. */
const char *svcworld_check(struct svcworld *w);
void svcworld_sync(struct svcworld *w);

/* How a frontend's slots look. */
struct svcworld_view {
        bool found;
        struct service value;
        uint32_t n_in, n_out; /* different backends */
};
struct svcworld_view svcworld_look(struct svcworld *w, const char *address, int port, int proto);
struct json_object *svcworld_json(const char *fmt, ...) _printf_(1, 2);
/* The projection of it; free() it. */
void *svcworld_project(void *(*project)(void *userdata, const struct jnode *o), struct projector *p,
                       const struct json_object *o);
