/* SPDX-License-Identifier: Apache-2.0 */
/* A host and its cluster in a few lines, for tests of the pure parts of agent/net. */
#pragma once

#include "agent/net/inputs.h"
#include "bpf/abi/maps.h"

#define WORLD_NODES 8
#define WORLD_PODS  8

/* Node n1 with NIC eth0 (index 2, 10.99.0.1/24, fd99::1/64, the default route), pods 10.244.1.0/24 and fd00:1::/64. */
struct world {
        struct net_settings settings;
        struct net_state state;
        struct node_summary own, nodes[WORLD_NODES];
        const struct node_summary *others[WORLD_NODES];
        struct pod_place pods[WORLD_PODS];
        struct problems problems;
        struct net_inputs in;
};

void world_init(struct world *w);
void world_deinit(struct world *w);

struct net_link *world_link(struct world *w, uint32_t ifindex, const char *name, const char *kind);
struct net_address *world_address(struct world *w, uint32_t ifindex, const char *cidr);
/* via may be NULL. */
struct net_route *world_route(struct world *w, const char *cidr, uint32_t ifindex, const char *via);
/* addresses, cidrs: separated by commas. */
struct node_summary *world_node(struct world *w, const char *name, const char *addresses, const char *cidrs);
struct pod_place *world_pod(struct world *w, uint32_t ifindex, const char *v4, const char *v6);

struct addr addr_of(const char *text);
struct net_prefix prefix_of(const char *text);
/* "pod 7", "host nodeport", "remote tunnel 10.99.0.2", ... Returns buf. */
const char *route_text(const struct route *r, char buf[static 128]);
/* "dev 4 src 10.99.0.1", "dev 2 via 10.99.0.2 src ...", "unreachable". */
const char *host_route_text(const struct net_route *r, char buf[static 192]);
