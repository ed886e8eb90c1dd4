/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of Node and ServiceCIDR objects, and what follows from it. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/net/kernel.h"
#include "base/json.h"
#include "bpf/abi/types.h"

#define NODE_ADDRESSES 8
#define NODE_CIDRS     4

struct net_prefix {
        struct addr addr;
        uint32_t bits; /* 128 bit form */
};

struct node_summary {
        char name[256], uid[64], zone[64];
        struct addr addresses[NODE_ADDRESSES]; /* of type InternalIP, in the Node's order */
        struct net_prefix cidrs[NODE_CIDRS];   /* spec.podCIDRs (or podCIDR) */
        uint8_t addresses_n, cidrs_n;
        bool leaving;      /* it is being deleted, or drained to be: balancers shall send it no new clients */
        char skipped[160]; /* "" or what of it is unusable, and why */
};

struct service_cidr_summary {
        struct net_prefix cidrs[NODE_CIDRS];
        uint8_t cidrs_n;
};

/* Never fails: what is odd is left out and said in skipped. */
void node_summary_read(const struct json_object *node, struct node_summary *ret);
bool node_summary_equal(const struct node_summary *a, const struct node_summary *b);
void service_cidr_read(const struct json_object *o, struct service_cidr_summary *ret);

/* An address that another node can be reached at: unicast, global. */
bool node_address_usable(const struct addr *a);
/* The first of the family; NULL: none. */
const struct addr *node_address(const struct node_summary *n, bool v4);

/* Picks of each family the first that a NIC of this host has. When none has any, what was picked before stays if it is
 * still a candidate: NICs lose their addresses for a while (IPv6 each time they go down). */
void node_own_addresses(const struct addr *candidates, size_t n, const struct net_state *state, struct addr *v4,
                        struct addr *v6);
/* The peer's address that tunnels to it go to: IPv4 when both have it. NULL when they have no family in common. */
const struct addr *node_peer(const struct addr *own_v4, const struct addr *own_v6, const struct node_summary *peer);
