/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Every map's key and value. All maps are pinned, by name, below one folder; MAPS_VERSION is in the folder's name and
 * changes when a layout does. Only the agent writes what is marked [agent]; only the programs write the rest.
 */
#pragma once

#include "limits.h"
#include "reasons.h"
#include "types.h"

#define MAPS_VERSION 1

/* ---- services: HASH service_key -> service [agent]
 *
 * A frontend. The owner of an address has an entry with port 0 and protocol 0 (flag SERVICE_ADDRESS): a packet to one
 * of its other ports is refused instead of wandering around. A NodePort has the address "any" of its family (0.0.0.0 in
 * the mapped form, or ::, so that each family has its own slots), and is looked up when the destination is a node's
 * (route flag ROUTE_NODEPORT).
 */
struct service_key {
        struct addr addr;
        __be16 port;
        __u8 proto;
        __u8 pad;
};
ABI_ASSERT_SIZE(struct service_key, 20);

enum service_flags {
        SERVICE_ADDRESS = 1 << 0, /* only says that the address is a service's */
        SERVICE_HASH_IN = 1 << 1, /* the slots of clients in the cluster hold a permutation: index by the flow's hash */
        SERVICE_HASH_OUT = 1 << 2, /* the same for clients outside; else a random index */
        SERVICE_DROP_IN = 1 << 3,  /* an empty range drops (policy Local); else it refuses */
        SERVICE_DROP_OUT = 1 << 4,
        SERVICE_AFFINITY = 1 << 5,  /* sessionAffinity: ClientIP */
        SERVICE_RANGES = 1 << 6,    /* loadBalancerSourceRanges are in the map of that name */
        SERVICE_EXTERNAL = 1 << 7,  /* NodePort, external IP, load balancer: reachable from outside */
        SERVICE_LOCAL_OUT = 1 << 8, /* externalTrafficPolicy: Local: the client's address is kept */
        SERVICE_DSR = 1 << 9,       /* reserved: remote backends answer the client themselves */
        SERVICE_HOSTPORT = 1 << 10, /* a pod's hostPort */
};

/* Ids `slots[base]` to `slots[base + size - 1]`. */
struct slot_range {
        __u32 base, size;
};

struct service {
        __u32 id;                  /* of the service port: index of service_names and service_stats, never 0 */
        __u32 flags;               /* enum service_flags */
        struct slot_range in, out; /* for clients inside (pods, nodes' processes) and outside the cluster */
        __u32 affinity_s;          /* seconds; 0: none */
        __u32 pad;
};
ABI_ASSERT_SIZE(struct service, 32);

/* ---- slots: ARRAY u32 -> slot_line [agent]. Slot i is line i / SLOT_LINE, id i % SLOT_LINE. */
struct slot_line {
        __u32 backend[SLOT_LINE];
};
ABI_ASSERT_SIZE(struct slot_line, 64);

/* ---- backends: ARRAY u32 -> backend [agent]. Id 0 is never used. An id belongs to one service port. */
enum backend_flags {
        BACKEND_LOCAL = 1 << 0,       /* on this node */
        BACKEND_TERMINATING = 1 << 1, /* serving, but no new flows while others are ready */
        BACKEND_HOST = 1 << 2,        /* in a node's own network namespace */
};

struct backend {
        struct addr addr;
        __be16 port;
        __u8 proto;
        __u8 flags;       /* enum backend_flags */
        __u32 service;    /* service.id; 0: the id is free */
        __u32 generation; /* another one each time the id is given out: who remembers id and generation knows that it is
                           * still the same backend */
        __u32 pad;
};
ABI_ASSERT_SIZE(struct backend, 32);

/* ---- filters: ARRAY[1] -> filters [agent]. Bits that tell cheaply, and never wrongly, that nothing is there. */
struct filters {
        __u64 address[ADDRESS_BITS / 64]; /* by addr_filter_bit(): a service has that address */
        __u64 tcp[PORT_BITS / 64];        /* by port, host order: a NodePort or hostPort of TCP */
        __u64 udp[PORT_BITS / 64];
        __u64 sctp[PORT_BITS / 64];
};

/* Bit of filters.address. Every byte of the address has a say. */
static inline __u32 addr_filter_bit(const struct addr *a)
{
        __u32 h = (__u32)a->w[0] * 0x9e3779b1u;

        h = (h ^ (__u32)a->w[1]) * 0x85ebca6bu;
        h = (h ^ (__u32)a->w[2]) * 0xc2b2ae35u;
        h = (h ^ (__u32)a->w[3]) * 0x27d4eb2fu;
        return (h ^ h >> 15) >> 7 & (ADDRESS_BITS - 1);
}

/* ---- routes: LPM_TRIE route_key -> route [agent]. Where an address is; no entry: outside the cluster. */
struct route_key {
        __u32 prefixlen; /* of the 128 bits; IPv4: + ADDR_V4_BITS */
        struct addr addr;
};
ABI_ASSERT_SIZE(struct route_key, 20);

enum route_type {
        ROUTE_NONE,
        ROUTE_POD,       /* a pod on this node: ifindex and mac */
        ROUTE_HOST,      /* this node itself: to the kernel */
        ROUTE_NODE,      /* another node: peer is its address for the tunnel */
        ROUTE_REMOTE,    /* pods of another node: peer */
        ROUTE_SERVICE,   /* the service CIDR: what is no frontend there is refused */
        ROUTE_DIRECT,    /* not masqueraded (non-masquerade list): by the kernel's routes */
        ROUTE_BLACKHOLE, /* pods of this node that are not there */
};

enum route_flags {
        ROUTE_NODEPORT = 1 << 0, /* of HOST and NODE: NodePorts are served at this address */
        ROUTE_TUNNEL = 1 << 1,   /* peer is reached by VXLAN; else by the kernel's routes */
};

struct route {
        __u8 type;        /* enum route_type */
        __u8 flags;       /* enum route_flags */
        __u8 mac[6];      /* POD: the pod's own */
        __u32 ifindex;    /* POD: the host side of its veth */
        struct addr peer; /* NODE, REMOTE: the other node's address (outer destination) */
};
ABI_ASSERT_SIZE(struct route, 28);

/* ---- route_epoch: ARRAY[1] -> u32 [agent]. Another number after each change of `routes`: what programs remember of
 * that map counts no more (lib/routes.h). */

/* ---- pods: ARRAY[POD_SLOTS] ifindex % POD_SLOTS -> pod [agent]. The host side of a veth and who may speak there. */
struct pod {
        __u32 ifindex;      /* 0: free; compare, the index is cut */
        __u32 flags;        /* 0 */
        struct addr v4, v6; /* all zero: none */
        __u8 mac[6];        /* the pod's */
        __u8 host_mac[6];   /* its gateway's: the host side */
        __u32 pad;
        __u64 egress_bps, egress_burst;   /* bits a second and bits; 0: no limit. What the pod sends */
        __u64 ingress_bps, ingress_burst; /* what it receives */
};
ABI_ASSERT_SIZE(struct pod, 88);

/* ---- buckets: ARRAY[POD_SLOTS] -> bucket. Of the pods' bandwidth limits: when (CLOCK_MONOTONIC) all that was sent is
 * paid for at the pod's rate. */
struct bucket {
        __u64 egress_ns, ingress_ns;
};

/* ---- node: ARRAY[1] -> node [agent]. What this node is; may change at any time. */
struct uplink {
        __u32 ifindex; /* 0: free */
        __u32 mtu;
        struct addr v4, v6; /* what is masqueraded gets this; all zero: none */
        __u8 mac[6];
        __u8 pad[2];
};

struct node {
        struct addr v4, v6; /* the node's addresses: source of what is translated inside the cluster */
        __u32 vxlan_ifindex;
        __u32 pod_mtu; /* what a packet to another node's pods may have, as it is at present; knobs.pod_mtu comes first
                        */
        struct uplink uplinks[UPLINKS_MAX];
};

/* ---- flows: ARRAY[knobs.flow_sets] (BPF_F_MMAPABLE) -> flow_set. The connection state: one entry a direction.
 *
 * An entry tells for a tuple what the packet becomes. It is written by who owns its byte in flow_marks, and read
 * between two equal reads of `control`. Two cache lines: the key and what each packet changes; the rest.
 */
enum flow_flags {
        FLOW_REPLY = 1 << 0,      /* backend or outside -> client */
        FLOW_DNAT = 1 << 1,       /* the destination of the forward direction was changed */
        FLOW_SNAT = 1 << 2,       /* its source, too */
        FLOW_MASQUERADE = 1 << 3, /* pod egress: no service */
        FLOW_OUTSIDE = 1 << 4,    /* the client is outside the cluster */
};

enum flow_state {
        FLOW_NEW = 0,
        FLOW_SEEN_REPLY = 1 << 0,
        FLOW_FIN = 1 << 1,       /* in this entry's direction */
        FLOW_FIN_REPLY = 1 << 2, /* in the other one */
        FLOW_RST = 1 << 3,
        FLOW_ESTABLISHED = 1 << 4,
};

/* control: generation (24 bits) | status (8) from high to low. */
enum flow_status {
        FLOW_FREE,
        FLOW_BUSY, /* being written */
        FLOW_LIVE,
};
#define FLOW_CONTROL(generation, status) ((__u32)((generation)&0xffffff) << 8 | (__u32)(status))
#define FLOW_GENERATION(control)         ((__u32)(control) >> 8)
#define FLOW_STATUS(control)             ((__u8)((control)&0xff))

struct flow {
        __u32 control;
        __u8 flags;  /* enum flow_flags */
        __u8 state;  /* enum flow_state */
        __u16 epoch; /* low bits of control's generation: flags, state and epoch change in one word */
        struct tuple key;
        __u32 seen; /* seconds of knobs.hz jiffies since boot, of the last packet of this direction (or a later one) */
        __u32 packets;
        __u64 bytes;
        struct addr new_src, new_dst; /* after translation; equal to the key's where nothing changes */
        __be16 new_sport, new_dport;
        __u32 backend, generation; /* as in struct backend; 0: none */
        __u32 service;             /* service.id; 0: none */
        __u32 peer;                /* set * FLOW_WAYS + way of the other direction */
        __u32 created;             /* as seen */
        __u32 pad[2];
};
ABI_ASSERT_SIZE(struct flow, 128);

struct flow_set {
        struct flow flow[FLOW_WAYS];
};
ABI_ASSERT_SIZE(struct flow_set, 1024);

/* ---- flow_marks: ARRAY[knobs.flow_sets] (BPF_F_MMAPABLE) -> u64: eight bits for each way of the set, those of way 0
 * the lowest. 0: free; else flow_mark_of the entry's hash, with FLOW_MARK_BUSY while somebody owns the way and writes
 * it.
 *
 * Nearly every packet is looked for in `flows`, and most are of no flow. The table is too large for the caches and the
 * TLB, these marks are not; so they are looked at first, and tell which entry to read. Ways change hands by a
 * compare-and-swap of the word (lib/flow.h).
 */
#define FLOW_MARK_BUSY 0x80

/* ---- fragments: LRU_HASH fragment_key -> fragment_ports. The ports of a datagram whose later fragments have none. */
struct fragment_key {
        struct addr src, dst;
        __be32 id; /* IPv4: 16 bits of it */
        __u8 proto;
        __u8 pad[3];
};
struct fragment_ports {
        __be16 sport, dport;
};

/* ---- source_ranges: LPM_TRIE range_key -> u8 [agent]. loadBalancerSourceRanges. */
struct range_key {
        __u32 prefixlen; /* 32 + that of the address */
        __u32 service;   /* service.id */
        struct addr addr;
};
ABI_ASSERT_SIZE(struct range_key, 24);

/* ---- affinity: LRU_HASH affinity_key -> affinity. sessionAffinity: ClientIP. */
struct affinity_key {
        struct addr client; /* sock: bytes 0 to 7 are the network namespace's cookie, the rest 0xff */
        __u32 service;
        __u32 outside; /* 1: it was chosen of the slots for outside */
};
struct affinity {
        __u32 backend, generation;
        __u32 seen; /* as flow.seen */
        __u32 pad;
};

/* ---- sock_connected: SK_STORAGE -> sock_peer. What a socket believes to speak to (getpeername); of an unconnected one
 * only that it has spoken to services. */
enum sock_peer_flags {
        SOCK_PEER_CONNECTED = 1 << 0, /* else the rest is not filled */
};

struct sock_peer {
        struct addr addr; /* sock_connected and a reply: the service's; else the backend's */
        __be16 port;
        __u8 flags; /* enum sock_peer_flags */
        __u8 pad;
        __u32 service;
        __u32 backend, generation;
        __u32 seen; /* sock_replies: as flow.seen, when a datagram was last sent */
};
ABI_ASSERT_SIZE(struct sock_peer, 36);

/* ---- sock_replies: LRU_HASH sock_reply_key -> sock_peer. Unconnected UDP, two entries for each socket and service
 * address: by the service's address which backend it has, by the backend's for which address it answers.
 */
enum sock_reply_kind {
        SOCK_ANSWERS_AS, /* addr is the backend's, the value's address the service's */
        SOCK_HAS,        /* addr is the service's, the value's address the backend's */
};

struct sock_reply_key {
        __u64 cookie; /* of the socket */
        struct addr addr;
        __be16 port;
        __u8 kind; /* enum sock_reply_kind: a pod's address may be asked for itself, too */
        __u8 pad[5];
};
ABI_ASSERT_SIZE(struct sock_reply_key, 32);

/* ---- service_names: ARRAY[SERVICE_IDS] -> service_name [agent]. For people; also how an agent that starts knows ids.
 */
struct service_name {
        char name[SERVICE_NAME_SIZE]; /* "namespace/name:port/PROTOCOL"; "" is a free id */
};

/* ---- service_stats: PERCPU_ARRAY[SERVICE_IDS] -> service_stats. Forward and reply direction. */
struct service_stats {
        __u64 connections;
        __u64 packets, bytes;
        __u64 reply_packets, reply_bytes;
        __u64 refused; /* connections that found no endpoint */
};

/* ---- counters: PERCPU_ARRAY[REASON_COUNT * HOOK_COUNT] reason * HOOK_COUNT + hook -> counter. */
struct counter {
        __u64 packets, bytes;
};

/* ---- flow_counters: PERCPU_ARRAY[1] -> flow_counters. */
struct flow_counters {
        __u64 inserted, evicted, expired, full, stale;
        __u64 port_collisions; /* source ports tried that were taken */
        __u64 taken_over;      /* source ports of closed connections that were given to new ones, as none was free */
};

/* ---- events: RINGBUF of drop_event. */
struct drop_event {
        __u64 ns; /* CLOCK_MONOTONIC */
        __u32 ifindex;
        __u32 length;  /* of the packet */
        __u16 reason;  /* enum reason */
        __u16 hook;    /* enum hook */
        __u32 service; /* service.id; 0: none */
        struct tuple tuple;
        __u32 captured; /* bytes of data that are filled */
        __u8 data[DROP_BYTES];
        __u32 pad;
};
