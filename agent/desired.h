/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tables are to hold for one Service, by the rules of Kubernetes' proxies: which addresses it has, which
 * endpoints serve whom. Pure: the result depends on the arguments alone.
 */
#pragma once

#include "agent/network.h"
#include "agent/state.h"
#include "base/arena.h"

/* Of the node, what decides. */
struct desired_env {
        const char *zone; /* "" is not known */
        struct addr node_v4, node_v6;
};

/* Fills *ret out of the arena, without ids and ranges. */
void desired_service(const struct svc_view *svc, const struct slice_view *const *slices, size_t nslices,
                     const struct desired_env *env, struct arena *arena, struct service_state *ret);

/* hostPorts at one address of the host are one service: "hostPort/0.0.0.0". The ports are sorted and of one address. */
void desired_host_ports(const struct host_port *ports, size_t n, struct arena *arena, struct service_state *ret);
/* The key of the service of that hostPort. Returns buf. */
#define HOST_PORT_KEY_SIZE 80
#define HOST_PORT_PREFIX   "hostPort/"
const char *desired_host_port_key(const struct host_port *p, char buf[static HOST_PORT_KEY_SIZE]);
