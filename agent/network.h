/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything of the agent that is not services: which node this is, NICs, the vxlan device, routes, sysctls, pods'
 * attachments, and the maps `routes`, `pods` and `node`. It follows the Node objects, the kernel (netlink) and the
 * attachment records of the CNI plugin, and repairs whatever somebody else changes. All in the loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/config.h"
#include "base/loop.h"
#include "datapath/object.h"
#include "kube/events.h"
#include "kube/informer.h"

struct network;

/* What the services' side needs to know. Borrowed until the next change. */
struct node_view {
        bool ready;               /* addresses and pod CIDRs are known */
        char name[256], zone[64]; /* metadata.name, label topology.kubernetes.io/zone or "" */
        struct addr v4, v6;       /* the node's own; zero: none */
        bool found;               /* the Node object exists */
        bool leaving;             /* and is about to go: balancers shall send no new clients */
};

/* A pod's hostPort: a frontend with one backend. */
struct host_port {
        char owner[160];     /* "namespace/pod" */
        struct addr host_ip; /* zero: all node addresses */
        struct addr pod_ip;
        uint16_t host_port, container_port; /* host order */
        uint8_t proto;
};

struct network_opts {
        struct loop *loop;
        const struct agent_config *config;
        struct datapath *datapath;
        struct informer *nodes; /* keeps node_summary (network_project_node) */
        /* Of /apis/networking.k8s.io/v1/servicecidrs (network_project_service_cidr); NULL: config->service_cidrs only.
         * It may never sync, because the API does not serve it: nothing waits for it. */
        struct informer *service_cidrs;
        struct events *events;
        const char *own_node;
        bool by_packets;                 /* the host's processes get nothing translated at the socket */
        void (*changed)(void *userdata); /* the view, the host ports or the problem have changed */
        void (*repair)(void *userdata);  /* or NULL: somebody asks to have the tables written anew */
        void *userdata;
};

/* The projection of the Nodes informer, and its release. */
void *network_project_node(void *userdata, struct json_object *node);
void network_release_node(void *userdata, void *value);
/* The same of the ServiceCIDRs informer. */
void *network_project_service_cidr(void *userdata, struct json_object *service_cidr);
void network_release_service_cidr(void *userdata, void *value);

/* Adopts devices, records and map entries of a former life. 0 or negative errno. */
int network_new(const struct network_opts *opts, struct network **ret, struct err *reterr);
/* The informers must be gone, or the loop not run any more: they still know it. */
void network_free(struct network *n);
DEFINE_CLEANUP(struct network *, network_free)
/* After the Nodes informer has synced: from now on what the API does not want is removed. */
void network_synced(struct network *n);

const struct node_view *network_node(const struct network *n);
size_t network_host_ports(const struct network *n, const struct host_port **ret);

struct uplink_status {
        char name[16];
        enum attach_mode tc, xdp;
};

/* NICs in use. Borrowed until the next change. */
size_t network_uplinks(const struct network *n, const struct uplink_status **ret);

struct network_stats {
        uint32_t pods, nodes, uplinks, uplinks_xdp;
        uint64_t repairs, attach_failures;
        uint32_t pod_mtu;
        char problem[1024]; /* "" or what is wrong at present, for people */
};

void network_stats(const struct network *n, struct network_stats *ret);

/* Calls fn with each node that the API has told of, this one too, and its addresses. In no order. */
void network_each_node(const struct network *n,
                       void (*fn)(void *userdata, const char *name, const struct addr *addresses, size_t count),
                       void *userdata);

/* `fairlead-agent cleanup`: devices, routes, sysctls' leftovers, conflist, records of this host. Idempotent. */
int network_cleanup(const struct agent_config *config, struct err *reterr);
