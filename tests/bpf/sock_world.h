/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services that come, change and go, for the random walk of sock_walk_test.c: written into the maps as the agent does
 * it, and beside that a plain model of what a socket must be told. The model knows pods and services, not maps.
 */
#pragma once

#include "bpf/sock_lab.h"

#define WORLD_PODS     4
#define WORLD_SITES    6
#define WORLD_FAMILIES 2
#define WORLD_NETNS    2    /* 0: the node's, 1: a pod's */
#define WORLD_AFFINITY 1000 /* seconds */
#define WORLD_AGE      600  /* of a step of time: more than a datagram's backend is remembered for */

/* Who has a port. ANY: a NodePort. */
struct site {
        enum place at;
        uint16_t port;
        uint8_t proto;
};
extern const struct site world_sites[WORLD_SITES];

enum pod_state {
        POD_GONE,
        POD_READY,
        POD_DRAINING, /* keeps what it has, gets nothing new */
};

struct affine {  /* who a client's connections go to */
        int pod; /* -1: nobody */
        uint32_t generation, age;
};

struct frontend {
        bool there;
        uint32_t flags; /* SERVICE_AFFINITY, SERVICE_DROP_IN, SERVICE_HOSTPORT */
        enum pod_state pods[WORLD_PODS];
        uint32_t generation[WORLD_PODS]; /* another one each time the pod comes back */
        struct affine affinity[WORLD_NETNS];
        uint32_t writes;
};

struct world {
        struct sock_lab *lab;
        struct frontend frontends[WORLD_FAMILIES][WORLD_SITES];
};

void world_init(struct world *ret, struct sock_lab *lab);
static inline int world_family(enum tongue t)
{
        return t == V6;
}
/* Makes the maps what the frontend is now. */
void world_write(struct world *w, int family, int site);
/* Time passes. */
void world_age(struct world *w);

enum answer {
        DIRECT,      /* no service's: as if there were none */
        TO_A_POD,    /* one of the pods of a frontend */
        REFUSED,     /* ECONNREFUSED */
        UNREACHABLE, /* EHOSTUNREACH */
};

struct prediction {
        enum answer answer;
        int site;      /* TO_A_POD: of the frontend */
        uint32_t pods; /* bits: which of them it may be */
};

/* What the first packet of a client's socket must meet. */
struct prediction world_predict(const struct world *w, int family, int netns, uint8_t proto, enum place at,
                                uint16_t port);
/* It has met that pod. */
void world_met(struct world *w, int family, int netns, int site, int pod);
/* May a process bind to the port there? */
bool world_may_bind(const struct world *w, int family, int netns, uint8_t proto, enum place at, uint16_t port);
/* Does the pod still have what was remembered of it? */
bool world_has(const struct world *w, int family, int site, int pod, uint32_t generation);
