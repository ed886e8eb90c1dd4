/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster as plain data: this node, its pods, the other nodes, services with their endpoints, hostPorts. The model
 * looks at nothing else; the rig makes the maps of it. Everything is small and of fixed size, so that a world is copied
 * and thrown away by value. Ports are in host order.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi/config.h"
#include "bpf/abi/maps.h"

#define WORLD_PODS      3
#define WORLD_NODES     3 /* other ones */
#define WORLD_UPLINKS   2
#define WORLD_SERVICES  8
#define WORLD_HOSTPORTS 3
#define SERVICE_PORTS   2
#define SERVICE_ENDS    6
#define SERVICE_CIDRS   2

/* Everybody who has an address, in both families. X(NAME, IPv4, IPv6, what it is) */
#define PLACES(X)                                                                                                      \
        X(NOBODY, "0.0.0.0", "::", "nobody")                                                                           \
        X(POD_A, "10.244.1.5", "fd00:1::5", "pod A")                                                                   \
        X(POD_B, "10.244.1.6", "fd00:1::6", "pod B")                                                                   \
        X(POD_C, "10.244.1.7", "fd00:1::7", "pod C")                                                                   \
        X(GHOST, "10.244.1.99", "fd00:1::99", "nobody's pod address")                                                  \
        X(REMOTE_2, "10.244.2.5", "fd00:2::5", "pod of node 2")                                                        \
        X(REMOTE_2B, "10.244.2.6", "fd00:2::6", "second pod of node 2")                                                \
        X(REMOTE_3, "10.244.3.5", "fd00:3::5", "pod of node 3")                                                        \
        X(REMOTE_4, "10.244.4.5", "fd00:4::5", "pod of node 4")                                                        \
        X(NODE, "192.0.2.1", "2001:db8::1", "this node")                                                               \
        X(NODE_B, "198.18.0.1", "2001:db8:18::1", "this node's second address")                                        \
        X(NODE_2, "192.0.2.2", "2001:db8::2", "node 2")                                                                \
        X(NODE_3, "192.0.2.3", "2001:db8::3", "node 3")                                                                \
        X(NODE_4, "192.0.2.4", "2001:db8::4", "node 4")                                                                \
        X(CLIENT, "198.51.100.7", "2001:db8:5::7", "client")                                                           \
        X(CLIENT_2, "198.51.100.8", "2001:db8:5::8", "client 2")                                                       \
        X(FAR, "100.64.0.7", "2001:db8:64::7", "client by the second NIC")                                             \
        X(NARROW, "100.65.0.7", "2001:db8:65::7", "client behind a small MTU")                                         \
        X(NOWHERE, "100.66.0.7", "2001:db8:66::7", "address without a way")                                            \
        X(DIRECT, "203.0.113.97", "2001:db8:9::7", "address that is not masqueraded")                                  \
        X(SERVER, "203.0.113.200", "2001:db8:6::200", "server")                                                        \
        X(ROUTER, "192.0.2.254", "2001:db8::254", "router")                                                            \
        X(ROUTER_B, "198.18.0.254", "2001:db8:18::254", "router of the second NIC")                                    \
        X(LOOPBACK, "127.0.0.1", "::1", "loopback")                                                                    \
        X(LOOPBACK_2, "127.9.0.5", "::1", "loopback 2")                                                                \
        X(GROUP, "224.0.0.251", "ff02::fb", "group")                                                                   \
        X(EVERYBODY, "255.255.255.255", "ff02::1", "everybody")                                                        \
        X(LINK_LOCAL, "169.254.7.7", "fe80::7:7", "link-local address")                                                \
        X(VIP_NONE, "10.96.0.99", "fd00:96::99", "nobody's service address")                                           \
        X(VIP, "10.96.0.10", "fd00:96::10", "VIP")                     /* of service 0; the others' follow */          \
        X(EXTERNAL, "203.0.113.10", "2001:db8:7::10", "external IP")   /* the same */                                  \
        X(BALANCER, "203.0.113.30", "2001:db8:8::30", "load balancer") /* the same */

enum place {
#define X(name, v4, v6, text) PLACE_##name,
        PLACES(X)
#undef X
                PLACE_COUNT,
};

/* n: added to the last byte, for VIP, EXTERNAL and BALANCER. */
struct addr place_addr(enum place place, unsigned n, bool v6);
/* "pod A (10.244.1.5)". Returns buf. */
#define PLACE_TEXT 96
const char *place_text(const struct addr *a, char buf[static PLACE_TEXT]);
const char *addr_text(const struct addr *a, char buf[static PLACE_TEXT]);

bool same_addr(const struct addr *a, const struct addr *b);
bool is_v4(const struct addr *a);
bool is_zero(const struct addr *a);
/* The bits of both, in the mapped form for IPv4 (an IPv4 /24 is 120). */
bool in_prefix(const struct addr *a, const struct addr *prefix, unsigned bits);

/* What an endpoint is to EndpointSlices' conditions. */
struct end {
        uint8_t place; /* enum place; 0: this entry is free */
        uint8_t slice; /* 0 or 1: of which slice, each with target ports and a weight of its own */
        uint8_t ready, serving, terminating;
};

struct port {
        uint16_t port, node_port; /* node_port 0: none */
        uint8_t proto;
        uint16_t target[2]; /* by slice */
};

enum balancing {
        BALANCING_DEFAULT, /* random for clients inside, a permutation table for clients outside */
        BALANCING_RANDOM,
        BALANCING_MAGLEV,
};

struct cidr {
        uint8_t place; /* 0: free */
        uint8_t bits;  /* of IPv4; IPv6: 128 - (32 - bits) */
};

struct svc {
        bool present;
        uint8_t v4, v6;             /* its families */
        uint8_t external, balancer; /* it has such addresses; external 2: this node's own address */
        uint8_t internal_local, external_local;
        uint8_t balancing; /* enum balancing */
        uint16_t affinity_s;
        uint8_t nports;
        struct port ports[SERVICE_PORTS];
        struct cidr ranges[SERVICE_CIDRS]; /* loadBalancerSourceRanges, of both families */
        uint8_t weight[2];
        struct end ends[SERVICE_ENDS];
};

struct host_port_spec {
        uint8_t pod;   /* index + 1; 0: free */
        uint8_t place; /* hostIP; 0: all of this node's addresses */
        uint8_t proto;
        uint16_t port, target;
};

struct pod_spec {
        bool present;
        bool v4, v6;                        /* it has an address of that family */
        uint32_t egress_bits, ingress_bits; /* a bucket of so many bits, filled with 8 a second; 0: no limit */
};

struct world {
        struct knobs knobs;
        bool node_v4, node_v6;             /* the node has an address for that family's services */
        bool uplink_v4, uplink_v6;         /* what is masqueraded gets an address */
        bool uplinks[WORLD_UPLINKS];       /* that NIC is the dataplane's */
        bool node_ports[2];                /* NodePorts are served at the node's first, second address */
        bool nodes[WORLD_NODES];           /* node 2, 3, 4 */
        bool service_cidr, non_masquerade; /* such routes are known */
        bool no_vxlan;                     /* the tunnel's device is not there yet */
        uint32_t pod_mtu;                  /* of struct node */
        struct pod_spec pods[WORLD_PODS];
        struct svc services[WORLD_SERVICES];
        struct host_port_spec host_ports[WORLD_HOSTPORTS];
};

/* Interface indexes and link addresses of the rig's devices: facts of the kernel, the same in every world. */
struct devices {
        uint32_t pods[WORLD_PODS], uplinks[WORLD_UPLINKS], vxlan;
};
extern const uint8_t mac_pods[WORLD_PODS][6], mac_gateway[6], mac_uplinks[WORLD_UPLINKS][6], mac_router[6],
        mac_router_b[6], mac_node_2[6], mac_vxlan[6];

/* The kernel's own routing: what bpf_fib_lookup finds. The rig makes these routes, the model reads them. */
enum kernel_kind {
        KERNEL_LINK,        /* neighbours on that NIC */
        KERNEL_VIA,         /* by a gateway there */
        KERNEL_UNREACHABLE, /* */
        KERNEL_LOCAL,       /* this host's own */
        KERNEL_POD,         /* pod number `nic` */
};
struct kernel_route {
        enum place place;
        unsigned bits4, bits6;
        enum kernel_kind kind;
        unsigned nic;       /* 0 or 1 */
        enum place gateway; /* VIA */
        unsigned mtu;       /* 0: the device's */
};
extern const struct kernel_route kernel_routes[];
extern const size_t kernel_routes_n;
#define KERNEL_MTU 1500

/* Whether the kernel knows the link address of that neighbour, and which it is; NULL: it does not. */
const uint8_t *kernel_neighbour(const struct addr *a);

/* The map `routes` for that world. Returns how many there are. */
struct prefix {
        struct addr addr;
        unsigned bits; /* of 128 */
        struct route route;
};
#define PREFIXES_MAX 64
size_t world_prefixes(const struct world *w, const struct devices *d, struct prefix ret[PREFIXES_MAX]);

bool world_has(const struct world *w, uint32_t knob);
