/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel has of an attachment, for CHECK. */
#pragma once

#include "cni/netlink.h"
#include "cni/record.h"

#define INSPECT_MAX 32 /* addresses, routes, neighbours of one interface that are looked at */

struct link_state {
        uint32_t ifindex; /* 0: there is none of that name */
        bool up;
        uint32_t mtu;
        struct mac mac;
};

struct route_state {
        struct addr to; /* zero: the default route */
        uint32_t bits;
        struct addr via; /* zero: none */
};

struct neighbour_state {
        struct addr address;
        struct mac mac;
        bool permanent;
};

struct pod_state {
        struct link_state link;
        struct addr addresses[INSPECT_MAX];
        uint32_t prefixes[INSPECT_MAX];
        size_t naddresses;
        struct route_state routes[INSPECT_MAX];
        size_t nroutes;
        struct neighbour_state neighbours[INSPECT_MAX];
        size_t nneighbours;
};

/* 0 (also when there is no such link) or negative errno. */
int inspect_link(struct netlink *nl, const char *name, struct link_state *ret, struct err *reterr);
/* Link-local IPv6 addresses, which the kernel gives by itself, are left out. 0 or negative errno. */
int inspect_pod(struct netlink *pod, const char *ifname, struct pod_state *ret, struct err *reterr);
