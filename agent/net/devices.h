/* SPDX-License-Identifier: Apache-2.0 */
/* Which NICs matter, how large a pod's packets may be, and how the vxlan device should look. Pure functions. */
#pragma once

#include "agent/net/inputs.h"
#include "bpf/abi/maps.h"

#define VXLAN_DEVICE      "fairlead_vxlan"
#define VXLAN_OVERHEAD_V4 50 /* Ethernet 14 + VXLAN 8 + UDP 8 + IPv4 20 */
#define VXLAN_OVERHEAD_V6 70
#define POD_MTU_MIN       1280 /* IPv6 does not work below (RFC 8200, 5) */

struct uplinks {
        struct uplink items[UPLINKS_MAX];
        uint32_t count;
};

/* NICs by name (shell patterns, "eth*"), or when there are none those with a default route or one of the node's
 * addresses: up, and not ours. In the order of their indexes. */
void uplinks_choose(const struct net_inputs *in, const struct string_list *configured, struct uplinks *ret,
                    struct problems *problems);
/* The name; NULL when the device is gone. */
const char *uplink_name(const struct net_state *state, const struct uplink *u);

/* The one for the host's own packets to services: with an address of the node's, else any; 0: none. */
uint32_t uplink_for_services(const struct net_inputs *in, const struct uplinks *uplinks);

/* Whether some other node is reached by IPv6 outside (or could only be). */
bool underlay_is_v6(const struct net_inputs *in);
/* configured (0: none), else what the NIC with the smallest MTU leaves. 0: no NIC. */
uint32_t pod_mtu(const struct uplinks *uplinks, enum routing_mode routing, bool v6, uint32_t configured,
                 struct problems *problems);

struct vxlan_want {
        uint16_t port;
        uint32_t mtu;
};

enum vxlan_verdict {
        VXLAN_FITS,
        VXLAN_MISSING,
        VXLAN_ADJUST,  /* up, MTU, NOARP */
        VXLAN_REPLACE, /* what cannot be changed is wrong */
};

/* why (for the log) is set unless it fits. */
enum vxlan_verdict vxlan_check(const struct net_state *state, const struct vxlan_want *want, const char **why);
