/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One service as the tables hold it, or are to hold it. desired.c makes it without ids and slot ranges; diff.c takes
 * those over that stay; apply.c gives out the rest. In memory it is one block (service_state_pack).
 *
 * Endpoints of a service port are in pools, and each frontend names the pool of its clients inside and outside of the
 * cluster. A pool is a range of the slot map that holds the ids of its members: each as often as its weight says, or a
 * permutation table (maglev.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/project.h"
#include "bpf/abi/maps.h"

enum {
        POOL_HASH = 1 << 0,  /* a permutation table; else a list */
        POOL_LOCAL = 1 << 1, /* endpoints of this node; else of the cluster */
        POOL_V6 = 1 << 2,
        POOLS = 1 << 3,
        POOL_NONE = 0xff, /* a frontend without one: nobody from there */
};

enum backend_scope { /* the pools of its family that an endpoint is in */
                     SCOPE_CLUSTER = 1 << 0,
                     SCOPE_LOCAL = 1 << 1,
};

struct backend_state {
        struct addr addr;
        __be16 port;
        uint8_t flags;  /* enum backend_flags */
        uint8_t scopes; /* enum backend_scope; 0: it serves the connections that it has */
        uint32_t weight;
        uint32_t id; /* 0: none */
};

enum port_flags {
        PORT_NO_LOCAL_INTERNAL = 1 << 0, /* a policy is Local, and all endpoints are elsewhere */
        PORT_NO_LOCAL_EXTERNAL = 1 << 1,
};

struct port_state {
        const char *name; /* "" */
        uint32_t id;      /* struct service.id; 0: none */
        uint16_t number;
        uint8_t proto;
        uint8_t pools;      /* bits: there is such a pool */
        uint8_t listed;     /* bits: a permutation table that found no room and is a list instead */
        uint8_t flags;      /* enum port_flags */
        uint32_t nbackends; /* sorted by backend_state_compare: IPv4 first */
        union {
                struct backend_state *backends;
                const char *packed_backends; /* of a state that is packed */
        };
        struct slot_range range[POOLS];
};

struct frontend_state {
        struct service_key key; /* port and proto 0: the address itself */
        uint32_t flags;         /* enum service_flags without the HASH ones, which the pools decide */
        uint16_t port;          /* index of the service's ports */
        uint8_t in, out;        /* pools */
        bool lost;              /* an older service has that address and port */
        bool absent;            /* not in the map, or another service's there: it is lost, or found no room */
};

struct service_state {
        const char *key; /* "namespace/name" */
        uint32_t affinity_s;
        uint16_t nports, nfrontends, nranges, nproblems;
        struct port_state *ports;
        struct frontend_state *frontends; /* sorted by key */
        struct svc_range *ranges;         /* of every port; sorted */
        const char *const *problems;      /* what was left out, and why */
};

/* A copy in one block, for free(), whose backends take a third of their room: all but them can be read as it is. */
struct service_state *service_state_pack(const struct service_state *s);
/* What was packed, with backends to read. Borrows all else of it. */
const struct service_state *service_state_unpack(const struct service_state *packed, struct arena *arena);
int service_key_compare(const struct service_key *a, const struct service_key *b);
int backend_state_compare(const struct backend_state *a, const struct backend_state *b);
int svc_range_compare(const struct svc_range *a, const struct svc_range *b);
/* Whether the backend is in that pool of its port. */
bool backend_in_pool(const struct backend_state *b, unsigned pool);
/* "http" or, for a port without name, "80". */
const char *port_state_text(const struct port_state *p, char buf[static 16]);
const char *protocol_text(uint8_t proto);
