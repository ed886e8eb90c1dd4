/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept of a Service and of an EndpointSlice: everything that decides about the tables, and nothing else, in one
 * block of memory each. What makes no sense in an object is left out piece by piece, with a text for people that says
 * why. Pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/jsontree.h"
#include "bpf/abi/types.h"

struct projector {
        const char *node_name;          /* whose endpoints are local */
        const char *service_proxy_name; /* or NULL; see config.h */
        struct arena scratch;
};

enum svc_flags {
        SVC_INTERNAL_LOCAL = 1 << 0, /* internalTrafficPolicy: Local */
        SVC_EXTERNAL_LOCAL = 1 << 1,
        SVC_RANDOM = 1 << 2, /* annotation fairlead.dev/load-balancing */
        SVC_MAGLEV = 1 << 3,
        SVC_RANGES_V4 = 1 << 4, /* loadBalancerSourceRanges restrict that family */
        SVC_RANGES_V6 = 1 << 5,
};

struct svc_port {
        const char *name; /* "" */
        uint16_t port, node_port;
        uint8_t proto;
};

enum svc_addr_kind {
        SVC_CLUSTER_IP,
        SVC_EXTERNAL_IP,
        SVC_LOAD_BALANCER,
};

struct svc_addr {
        struct addr addr;
        enum svc_addr_kind kind;
};

struct svc_range {
        struct addr addr;
        uint32_t bits; /* of 128 */
};

struct svc_view {
        const char *ns, *name, *uid;
        int64_t created_s;
        uint32_t flags;      /* enum svc_flags */
        uint32_t affinity_s; /* 0: none */
        uint16_t health_port;
        uint16_t nports, naddrs, nranges, nproblems;
        const struct svc_port *ports;
        const struct svc_addr *addrs;
        const struct svc_range *ranges;
        const char *const *problems;
};

struct slice_port {
        const char *name; /* "" */
        uint16_t port;
        uint8_t proto;
};

enum endpoint_flags {
        ENDPOINT_READY = 1 << 0,
        ENDPOINT_SERVING = 1 << 1,
        ENDPOINT_TERMINATING = 1 << 2,
        ENDPOINT_LOCAL = 1 << 3,
        ENDPOINT_ZONE_HINTS = 1 << 4, /* it has some */
        ENDPOINT_NODE_HINTS = 1 << 5,
        ENDPOINT_FOR_NODE = 1 << 6, /* this node is among them */
};

struct slice_endpoint {
        struct addr addr;
        uint32_t zones; /* bits of slice_view.zones */
        uint32_t flags; /* enum endpoint_flags */
};

#define SLICE_ZONES_MAX 32
#define WEIGHT_MAX      100

struct slice_view {
        const char *service; /* "namespace/name" of its Service */
        const char *name;    /* "namespace/name"; "" when there are no problems */
        int64_t trigger_ns;  /* endpoints.kubernetes.io/last-change-trigger-time; 0: none */
        uint32_t nendpoints;
        uint16_t nports, nzones, nproblems;
        uint16_t weight; /* annotation fairlead.dev/weight: of each of its endpoints; 1 */
        bool v4;         /* addressType */
        const struct slice_port *ports;
        const char *addrs;          /* of the endpoints, as slice_address_size says; see slice_endpoint_at */
        const uint8_t *flags;       /* of the endpoints */
        const uint32_t *zone_masks; /* of the endpoints; NULL: no zones */
        const char *const *zones;
        const char *const *problems;
};

static inline size_t slice_address_size(const struct slice_view *v)
{
        return v->v4 ? 4 : 16;
}

struct slice_endpoint slice_endpoint_at(const struct slice_view *v, uint32_t i);

/* For the informers: userdata is a struct projector. NULL for what is not ours (headless, ExternalName, of another
 * proxy, no address yet; slices without Service). Released by free(). */
void *project_service(void *userdata, const struct jnode *o);
void *project_slice(void *userdata, const struct jnode *o);
void project_release(void *userdata, void *value);

/* Why no service or endpoint can have that address, or NULL when one can. */
const char *project_address_fault(const struct addr *a);
uint8_t project_protocol(const char *text); /* 0 when it is none; "" and NULL are TCP */
