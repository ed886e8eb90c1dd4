/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which service a destination is, and which endpoint a new flow to it gets: what bpf/lib/service.h does, read out of
 * the maps again, so that it can be explained and held against what the programs did. Reads maps only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi/maps.h"
#include "datapath/map.h"

enum trace_how {
        TRACE_RANDOM,      /* any of the slots */
        TRACE_PERMUTATION, /* the slots are a Maglev table or the like: the hash tells which one */
        TRACE_AFFINITY,    /* the client is remembered */
};

struct trace_ask {
        struct tuple tuple __attribute__((aligned(8)));
        bool outside;  /* the client is outside of the cluster */
        bool own_node; /* the destination is this node, whatever the routes say (loopback) */
        bool socket;   /* at the socket: there is no flow, so the hash is random; affinity goes by the pod */
        uint32_t now;  /* seconds of the flow table's clock */
};

struct trace_choice {
        enum reason reason; /* TRANSLATED; OK: no service; else why not */
        bool found;         /* a frontend: the rest is about it */
        struct service_key frontend;
        struct service service;
        uint32_t slots;      /* of the range that is used */
        uint32_t *endpoints; /* different backends in it, owned */
        uint32_t endpoints_n;
        enum trace_how how;
        uint32_t backend; /* id, where that is known before; 0: chance decides */
        uint32_t idle_s;  /* AFFINITY: since the client was last seen */
        bool remembers;   /* the choice will be remembered for the client (for service.affinity_s) */
        bool remembered;  /* something is: `affinity` */
        struct affinity affinity;
};

#define TRACE_CHOICE_NULL ((struct trace_choice){0})

/* 0 or negative errno. */
int trace_choose(const struct maps *maps, const struct trace_ask *ask, struct trace_choice *ret);
void trace_choice_deinit(struct trace_choice *c);
bool trace_choice_has(const struct trace_choice *c, uint32_t backend);
/* The key of the memory of that client. */
struct affinity_key trace_affinity_key(const struct trace_ask *ask, uint32_t service);

/* The route of an address: type ROUTE_NONE when there is none. 0 or negative errno. */
int trace_route(const struct maps *maps, const struct addr *a, struct route *ret);
/* The id of the backend with that address, of the choice's endpoints; 0: none of them has it. */
uint32_t trace_backend_at(const struct maps *maps, const struct trace_choice *c, const struct addr *a, __be16 port);
