/* SPDX-License-Identifier: Apache-2.0 */
/* All that the pure functions decide on: one value a round of reconciling, everything in it borrowed. */
#pragma once

#include "agent/net/kernel.h"
#include "agent/net/nodes.h"
#include "agent/net/problems.h"
#include "agent/net/settings.h"

/* A pod that is attached. */
struct pod_place {
        uint32_t ifindex; /* the host side */
        uint8_t mac[6];   /* the pod's */
        struct addr v4, v6;
};

struct net_inputs {
        const struct net_settings *settings;
        const struct net_state *state;
        const struct node_summary *own; /* NULL: not known (yet) */
        struct addr v4, v6;             /* the node's own; zero: none */
        const struct node_summary *const *others;
        size_t others_n; /* in the order of their names */
        const struct pod_place *pods;
        size_t pods_n;
        const struct net_prefix *service_cidrs; /* of the API */
        size_t service_cidrs_n;
        uint32_t vxlan_ifindex; /* 0: none */
        uint32_t pod_mtu;
        /* The NIC that takes the host's own packets to services, where they are translated on their way; 0: at the
         * socket, or there is none. */
        uint32_t service_ifindex;
};

/* The node's own address of that family if a NIC has it at present, else zero. */
struct addr net_own_source(const struct net_inputs *in, bool v4);
/* Whether the prefix of another node can be believed: it must not contain an address of this node or its owner's. Adds
 * to problems (may be NULL) if not. */
bool net_believable(const struct net_inputs *in, const struct node_summary *owner, const struct net_prefix *cidr,
                    struct problems *problems);
