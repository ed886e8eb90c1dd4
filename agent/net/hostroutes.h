/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes and neighbours of the host's own stack: for its processes' packets to pods, and to services where those are
 * translated on their way. What should be there and the way there: pure functions; hostroutes_apply does it.
 */
#pragma once

#include "agent/net/inputs.h"

struct host_routes {
        struct net_route *items; /* by address and bits, each once */
        size_t count, cap;
};

#define HOST_ROUTES_NULL ((struct host_routes){0})

void host_routes_deinit(struct host_routes *r);
void host_routes_desired(const struct net_inputs *in, struct host_routes *ret, struct problems *problems);
/* The routes of one pod and its neighbours. */
void host_routes_of_pod(const struct net_inputs *in, const struct pod_place *pod, struct host_routes *ret);

enum host_route_verb {
        HOST_ROUTE_ADD,     /* there is none of ours */
        HOST_ROUTE_REPLACE, /* ours is another one */
        HOST_ROUTE_DELETE,
};

struct host_route_op {
        enum host_route_verb verb;
        struct net_route route;
};

struct host_route_ops {
        struct host_route_op *items;
        size_t count, cap;
};

#define HOST_ROUTE_OPS_NULL ((struct host_route_ops){0})

void host_routes_diff(const struct net_state *have, const struct host_routes *want, struct host_route_ops *ret);
void host_route_ops_deinit(struct host_route_ops *ops);
bool host_routes_have(const struct host_routes *r, const struct net_route *route);

/* Neighbours that are missing or wrong. ret holds at most 2 * pods_n + 2; returns how many. */
size_t host_neighbours_missing(const struct net_inputs *in, struct net_neighbour *ret);
/* The next hop to services, where it is not wanted. ret holds at most state->neighbours_n; returns how many. */
size_t host_neighbours_stale(const struct net_inputs *in, struct net_neighbour *ret);
/* Whether it is such a next hop. */
bool host_neighbour_is_ours(const struct net_neighbour *n);

/* ---- effects */
int host_route_apply(struct rtnl *rtnl, const struct host_route_op *op, struct err *reterr);
int host_neighbour_set(struct rtnl *rtnl, const struct net_neighbour *n, struct err *reterr);
int host_neighbour_delete(struct rtnl *rtnl, const struct net_neighbour *n, struct err *reterr);
