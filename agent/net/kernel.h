/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel has at present: links, addresses, the routes that matter here and permanent neighbours, as one value
 * that pure functions can decide on. kernel_dump fills it; tests fill it by hand.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/net/rtnl.h"
#include "base/err.h"
#include "bpf/abi/types.h"

/* rtm_protocol of the routes that are ours: all others are other people's. A number that nobody has registered. */
#define NET_ROUTE_PROTOCOL 152
#define NET_NAME_SIZE      16 /* IFNAMSIZ */

struct net_vxlan {
        uint32_t vni;
        uint16_t port; /* host order */
        bool external; /* collect_md */
        bool zero_csum6_rx;
        bool learning;
};

struct net_link {
        uint32_t ifindex, mtu;
        uint32_t flags;  /* IFF_* */
        uint32_t master; /* 0: none */
        char name[NET_NAME_SIZE];
        char kind[NET_NAME_SIZE]; /* "veth", "vxlan", ...; "" of hardware */
        uint8_t mac[6];           /* zero when it has another kind of address */
        struct net_vxlan vxlan;   /* of kind vxlan */
};

struct net_address {
        uint32_t ifindex;
        struct addr addr;
        uint32_t bits; /* of the prefix, in the 128 bit form */
        uint8_t scope; /* RT_SCOPE_* */
        bool usable;   /* not tentative, not a duplicate */
        bool secondary;
};

/* A route of the main table: ours, or a default route (one entry for each of its next hops). */
struct net_route {
        struct addr dst;
        uint32_t bits; /* 128 bit form; a default route has 0 (IPv6) or 96 (IPv4) */
        uint32_t ifindex;
        struct addr via, src; /* zero: none */
        uint32_t mtu;         /* 0: the device's */
        uint8_t protocol;
        bool unreachable; /* of that type: device and next hop do not count */
        bool last;        /* any other route there comes first, and its next hop is taken on trust; not read back */
};

/* NUD_PERMANENT. */
struct net_neighbour {
        uint32_t ifindex;
        struct addr addr;
        uint8_t mac[6];
};

struct net_state {
        struct net_link *links;
        size_t links_n, links_cap;
        struct net_address *addresses;
        size_t addresses_n, addresses_cap;
        struct net_route *routes;
        size_t routes_n, routes_cap;
        struct net_neighbour *neighbours;
        size_t neighbours_n, neighbours_cap;
};

#define NET_STATE_NULL ((struct net_state){0})

void net_state_deinit(struct net_state *s);
struct net_link *net_state_add_link(struct net_state *s);
struct net_address *net_state_add_address(struct net_state *s);
struct net_route *net_state_add_route(struct net_state *s);
struct net_neighbour *net_state_add_neighbour(struct net_state *s);

/* Borrowed; NULL when there is none. */
const struct net_link *net_link_by_index(const struct net_state *s, uint32_t ifindex);
const struct net_link *net_link_by_name(const struct net_state *s, const char *name);
/* The usable one, on any device. */
const struct net_address *net_address_find(const struct net_state *s, const struct addr *a);
/* "fl" and twelve lower-case hexadecimal digits. */
bool net_is_host_side(const char *name);

/* All of it, of this network namespace; what *ret held is freed. 0 or negative errno. */
int kernel_dump(struct rtnl *rtnl, struct net_state *ret, struct err *reterr);
/* One link by name. 0, -ENODEV, or negative errno. */
int kernel_link(struct rtnl *rtnl, const char *name, struct net_link *ret, struct err *reterr);
