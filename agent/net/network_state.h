/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of agent/network.c and the parts of a round of reconciling (round.c, repair.c). */
#pragma once

#include "agent/net/agentsock.h"
#include "agent/net/attachments.h"
#include "agent/net/devices.h"
#include "agent/net/hostroutes.h"
#include "agent/net/monitor.h"
#include "agent/net/vxlan.h"
#include "base/watchdir.h"
#include "agent/network.h"

#define ORPHANS_MAX 64

/* A host side that no record names. */
struct orphan {
        uint32_t ifindex;
        uint64_t since_ms;
};

struct network {
        struct network_opts opts;
        struct net_dataplane dataplane;
        struct net_settings settings;
        struct rtnl *rtnl;
        struct monitor *monitor;
        struct watchdir *records;
        struct agentsock *sock;
        struct attachments *attachments;
        struct routemap routes;
        struct loop_timer *round, *tick;
        int lock_fd;

        /* As of the last round. */
        struct net_state state;
        struct net_inputs inputs;
        const struct node_summary **others; /* sorted; borrowed from the informer: only good during a round */
        size_t others_cap;
        struct net_prefix *service_cidrs;
        size_t service_cidrs_cap;
        struct node_summary own; /* a copy */
        bool own_known;
        struct addr v4, v6; /* the node's; adopted from the map until the Node is known */
        struct uplinks uplinks;
        struct uplink_status uplink_status[UPLINKS_MAX];
        uint32_t vxlan_ifindex, mtu;
        uint32_t lo_ifindex;       /* where its program is; 0: nowhere */
        uint32_t vxlan_unfiltered; /* the device whose rp_filter is known to be off */
        struct vxlan_want vxlan;
        struct node node; /* what the map has */
        bool node_written;
        struct host_routes applied;
        struct orphan orphans[ORPHANS_MAX];
        size_t orphans_n;
        uint64_t ports_told; /* attachments_port_changes when `changed` was last called */

        struct node_view view;
        char problem[1024];
        uint64_t problem_ms; /* since when */
        bool problem_told;   /* by an Event */
        uint64_t repairs;
        uint64_t round_ns; /* how long one took */
        uint64_t due_ms;   /* when armed */
        uint32_t ticks, nodes_n;
        bool synced, pruned, armed;
        bool rounds_done; /* one at least */
        bool taken;       /* the tick has seen that somebody took programs away */
};

/* network_new, with another dataplane. */
int network_new_with(const struct network_opts *opts, const struct net_dataplane *dataplane, struct network **ret,
                     struct err *reterr);
/* Has a round run in that time at the latest, or as soon as the last one's cost allows. */
void network_dirty(struct network *n, uint64_t after_ms);
/* One round: looks at everything and puts right what differs. */
void network_round(struct network *n);
/* Fills inputs (but for what devices add to it) from informers and the kernel. False when the kernel does not tell. */
bool network_look(struct network *n, struct problems *problems);
/* Only at the kernel, after something was done there. */
bool network_look_again(struct network *n, struct problems *problems);

/* Parts of a round. */
void repair_devices(struct network *n, struct problems *problems);
void repair_sysctls(struct network *n, struct problems *problems);
void repair_pod_sysctls(struct network *n);
void repair_routes(struct network *n, enum routemap_keep keep, struct problems *problems);
void repair_orphans(struct network *n, struct problems *problems);
void repaired(struct network *n, const char *what, const char *detail);
