/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The tunnel's header, written and read by the programs themselves. The vxlan device does the same, and is there for
 * everything that this does not take. But by the device a packet passes the host's output path with a look for a route,
 * and on the other node its UDP stack, a queue and another softirq. Both are VXLAN (RFC 7348) on the wire, so each node
 * may do as it likes. Within a connection it should be one or the other, since packets would overtake each other: what
 * decides is the same for all its packets, but for rare ones.
 *
 * Written: what a pod sends, if it fits and the other node has an IPv4 address. The rest needs the device: a UDP
 * checksum (IPv6), an outer packet in fragments, a packet that is in a tunnel already.
 *
 * Read: what another node sends to a pod here. The kernel goes on saying of such a packet that it is in a tunnel, which
 * no receiver minds; so nothing is taken that leaves by a NIC again, nor UDP in segments, which is cut by that mark.
 */
#pragma once

#include "clock.h"
#include "service.h"

#define TUNNEL_IP        ETH_HLEN
#define TUNNEL_UDP       (TUNNEL_IP + sizeof(struct iphdr))
#define TUNNEL_VXLAN     (TUNNEL_UDP + sizeof(struct udphdr))
#define TUNNEL_INNER     (TUNNEL_VXLAN + sizeof(struct tunnel_vxlan)) /* the frame's Ethernet header */
#define TUNNEL_HEADERS   TUNNEL_INNER                                 /* of an IPv4 underlay: how much longer it gets */
#define TUNNEL_LEAST     (TUNNEL_INNER + ETH_HLEN + sizeof(struct iphdr))
#define TUNNEL_TTL       64
#define TUNNEL_PORTS     0xc000     /* and up: source ports, by the hash of the connection */
#define TUNNEL_FLAGS     0x08000000 /* there is a VNI, and nothing else */
#define TUNNEL_IP_LENGTH 65535

#define TUNNEL_GROW                                                                                                    \
        (BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP |                       \
         BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH | BPF_F_ADJ_ROOM_NO_CSUM_RESET)
#define TUNNEL_SHRINK       (BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET)
#define TUNNEL_SHRINK_TO_V6 (1ULL << 8) /* BPF_F_ADJ_ROOM_DECAP_L3_IPV6, since Linux 6.4 */

struct tunnel_vxlan {
        __be32 flags, vni; /* vni: and a byte that is reserved */
};

enum ecn {
        ECN_NONE,
        ECN_ECT0 = 2,
        ECN_CE,
        ECN_MASK = 3,
};

static __always_inline bool tunnel_is_on(void)
{
        return knobs.vxlan_port;
}

#ifndef HOOK_XDP

/* ---- other nodes */

#define TUNNEL_PEERS 256 /* that are remembered, by the last byte of the address; a power of two */

/* What was found out about another node, on this CPU, good for a tenth of a second: two or three look-ups for each
 * packet are what the tunnel costs most. */
struct tunnel_peer {
        __u64 jiffies; /* until then */
        __be32 addr;
        __u32 ifindex; /* the NIC to it; 0: it is a node, and no more is known */
        __u32 mtu;     /* of the outer packet */
        __u32 pad;
        struct bpf_redir_neigh next;
};

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __type(key, __u32);
        __type(value, struct tunnel_peer);
        __uint(max_entries, TUNNEL_PEERS);
} tunnel_scratch SEC(".maps");

static __always_inline struct tunnel_peer *tunnel_peer_of(__be32 addr)
{
        __u32 i = bpf_ntohl(addr) & (TUNNEL_PEERS - 1);

        return bpf_map_lookup_elem(&tunnel_scratch, &i);
}

static __always_inline bool tunnel_peer_is(const struct tunnel_peer *peer, __be32 addr)
{
        return peer->addr == addr && peer->jiffies > bpf_jiffies64();
}

static __always_inline void tunnel_peer_keep(struct tunnel_peer *peer, __be32 addr)
{
        peer->addr = addr;
        peer->jiffies = bpf_jiffies64() + knobs.hz / 10;
}

/* ---- writing */

/* RFC 6040, 4.1: the tunnel begins anew to tell of congestion. */
static __always_inline __u8 tunnel_ecn(__u8 tos)
{
        return (tos & ECN_MASK) == ECN_CE ? ECN_ECT0 : tos & ECN_MASK;
}

/* id: tells fragments of outer packets apart, if some link on the way makes any. */
static __always_inline struct iphdr tunnel_ip(const struct packet *p, __be32 from, __be32 to, __u32 length, __u16 id)
{
        struct iphdr ip = {.version = 4,
                           .ihl = sizeof(struct iphdr) / 4,
                           .tos = tunnel_ecn(p->tos),
                           .tot_len = bpf_htons(length),
                           .id = bpf_htons(id),
                           .ttl = TUNNEL_TTL,
                           .protocol = IPPROTO_UDP,
                           .saddr = from,
                           .daddr = to};

        ip.check = ~sum_fold(sum_words(&ip, sizeof(ip)));
        return ip;
}

/* Room in front of the inner frame. False: not for this packet, which is as it was. */
static __always_inline bool tunnel_grow(struct hook_ctx *ctx)
{
        return ctx_length(ctx) - ETH_HLEN + TUNNEL_HEADERS <= TUNNEL_IP_LENGTH &&
               !bpf_skb_adjust_room(ctx, TUNNEL_HEADERS, BPF_ADJ_ROOM_MAC, TUNNEL_GROW);
}

static __always_inline void tunnel_copy_ethernet(void *to, const void *from)
{
        __u32 *t = to;
        const __u32 *f = from;

        t[0] = f[0];
        t[1] = f[1];
        t[2] = f[2];
        ((__be16 *)to)[6] = ((const __be16 *)from)[6];
}

/* Fills the room. The outer Ethernet header is left to who sends it. False: the packet is to be dropped. */
static __always_inline bool tunnel_write(struct hook_ctx *ctx, const struct packet *p, __be32 from, __be32 to, __u16 id)
{
        __u32 length = ctx_length(ctx) - ETH_HLEN;
        __u64 hash = tuple_hash(&p->to);
        void *data = ctx_data(ctx);
        struct tunnel_vxlan *vxlan = data + TUNNEL_VXLAN;
        struct udphdr *udp = data + TUNNEL_UDP;

        if (data + TUNNEL_LEAST > ctx_end(ctx))
                return false;
        tunnel_copy_ethernet(data + TUNNEL_INNER, data);
        ((struct ethhdr *)data)->h_proto = bpf_htons(ETH_P_IP);
        vxlan->flags = bpf_htonl(TUNNEL_FLAGS);
        vxlan->vni = bpf_htonl(knobs.vni << 8);
        udp->source = bpf_htons(TUNNEL_PORTS | (hash >> 40 & 0x3fff));
        udp->dest = bpf_htons(knobs.vxlan_port);
        udp->len = bpf_htons(length - sizeof(struct iphdr));
        udp->check = 0; /* none: the inner packet has its own */
        *(struct iphdr *)(data + TUNNEL_IP) = tunnel_ip(p, from, to, length, id + (hash >> 24));
        return true;
}

/* ---- reading */

enum tunnel_kind {
        TUNNEL_NONE,   /* another packet than the tunnel's */
        TUNNEL_DEVICE, /* the tunnel's, for the device to read */
        TUNNEL_READ,   /* it was: the packet is the inner one now */
};

/* A whole packet from node to node of the tunnel's port. */
static __always_inline bool tunnel_is(struct hook_ctx *ctx)
{
        const struct node *n = map_single(&node);
        const struct ethhdr *eth = ctx_data(ctx);
        const struct iphdr *ip = ctx_data(ctx) + TUNNEL_IP;
        const struct udphdr *udp = ctx_data(ctx) + TUNNEL_UDP;

        if ((void *)(udp + 1) > ctx_end(ctx) || eth->h_proto != bpf_htons(ETH_P_IP) || *(const __u8 *)ip != 0x45)
                return false;
        if (ip->protocol != IPPROTO_UDP || udp->dest != bpf_htons(knobs.vxlan_port) || ip->frag_off & bpf_htons(0x3fff))
                return false;
        return n && addr_is_v4(&n->v4) && n->v4.w[3] == ip->daddr && ctx_vlan(ctx) < 0;
}

/* Of a frame that says what it is: as this host writes them, but for what only the device may handle. */
static __always_inline bool tunnel_is_plain(struct hook_ctx *ctx)
{
        const struct iphdr *ip = ctx_data(ctx) + TUNNEL_IP;
        const struct udphdr *udp = ctx_data(ctx) + TUNNEL_UDP;
        const struct tunnel_vxlan *vxlan = ctx_data(ctx) + TUNNEL_VXLAN;
        __u32 length = ctx_length(ctx) - ETH_HLEN;

        if (ctx_data(ctx) + TUNNEL_LEAST > ctx_end(ctx))
                return false;
        if (vxlan->flags != bpf_htonl(TUNNEL_FLAGS) || vxlan->vni != bpf_htonl(knobs.vni << 8) || udp->check)
                return false;
        if (sum_fold(sum_words(ip, sizeof(*ip))) != 0xffff)
                return false;
        return ctx->gso_size || (ip->tot_len == bpf_htons(length) && udp->len == bpf_htons(length - sizeof(*ip)));
}

/* Is who sends it a node of the cluster? Whoever is not meets what this host's packet filter says of that port. */
static __always_inline bool tunnel_is_of_node(struct hook_ctx *ctx)
{
        const struct iphdr *ip = ctx_data(ctx) + TUNNEL_IP;
        const struct route *route;
        struct tunnel_peer *peer;
        struct addr from;

        if ((void *)(ip + 1) > ctx_end(ctx))
                return false;
        peer = tunnel_peer_of(ip->saddr);
        if (!peer || tunnel_peer_is(peer, ip->saddr))
                return peer;
        from = addr_of_v4(ip->saddr);
        route = route_find(&from);
        if (!route || route->type != ROUTE_NODE)
                return false;
        peer->ifindex = 0; /* what is there was of an earlier time, or of another node */
        tunnel_peer_keep(peer, ip->saddr);
        return true;
}

/* Of the inner packet. */
struct tunnel_inner {
        struct addr to;
        bool v6;
        bool congested; /* it is to hear of congestion that the outer one met */
};

/* False: not to be taken. */
static __always_inline bool tunnel_look_inside(struct hook_ctx *ctx, struct tunnel_inner *ret)
{
        const struct iphdr *outer = ctx_data(ctx) + TUNNEL_IP;
        const struct ethhdr *eth = ctx_data(ctx) + TUNNEL_INNER;
        const struct iphdr *v4 = (void *)(eth + 1);
        const struct ipv6hdr *v6 = (void *)(eth + 1);
        __u8 proto, tos;

        if ((void *)(v4 + 1) > ctx_end(ctx))
                return false;
        ret->v6 = eth->h_proto == bpf_htons(ETH_P_IPV6);
        if (eth->h_proto == bpf_htons(ETH_P_IP)) {
                ret->to = addr_of_v4(v4->daddr);
                proto = v4->protocol;
                tos = v4->tos;
        } else if (ret->v6 && (void *)(v6 + 1) <= ctx_end(ctx)) {
                __builtin_memcpy(&ret->to, &v6->daddr, sizeof(ret->to));
                proto = v6->nexthdr;
                tos = (__u8)(bpf_ntohs(*(const __be16 *)v6) >> 4);
        } else {
                return false;
        }
        ret->congested = (outer->tos & ECN_MASK) == ECN_CE;
        if (ret->congested && (tos & ECN_MASK) == ECN_NONE)
                return false;
        return !ctx->gso_size || proto == IPPROTO_TCP;
}

/* False: it is as it was. */
static __always_inline bool tunnel_shrink(struct hook_ctx *ctx, const struct tunnel_inner *inner)
{
        __u64 flags = inner->v6 ? TUNNEL_SHRINK | TUNNEL_SHRINK_TO_V6 : TUNNEL_SHRINK;
        struct ethhdr *eth;

        if (bpf_skb_adjust_room(ctx, -(__s32)TUNNEL_HEADERS, BPF_ADJ_ROOM_MAC, flags))
                return false;
        bpf_csum_level(ctx, BPF_CSUM_LEVEL_DEC); /* if the NIC has seen to checksums, then to the outer one first */
        if (inner->congested)
                bpf_skb_ecn_set_ce(ctx);
        eth = ctx_data(ctx);
        if ((void *)(eth + 1) <= ctx_end(ctx))
                eth->h_proto = inner->v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
        return true;
}

/*
 * enum tunnel_kind. Takes the tunnel's header off what is for a pod here. RFC 6040, 4.2: a packet that met congestion
 * and cannot say so is lost; the device does that.
 */
__noinline int tunnel_read(struct hook_ctx *ctx)
{
        const struct route *route;
        struct tunnel_inner inner;

        if (!tunnel_is(ctx))
                return TUNNEL_NONE;
        if (ctx_linear(ctx) < TUNNEL_LEAST + sizeof(struct ipv6hdr) - sizeof(struct iphdr))
                ctx_pull(ctx, ctx_length(ctx) < PARSE_PULL ? ctx_length(ctx) : PARSE_PULL);
        if (!tunnel_is_plain(ctx) || !tunnel_look_inside(ctx, &inner) || !tunnel_is_of_node(ctx))
                return TUNNEL_DEVICE;
        route = route_find(&inner.to);
        if (!route || route->type != ROUTE_POD)
                return TUNNEL_DEVICE;
        return tunnel_shrink(ctx, &inner) ? TUNNEL_READ : TUNNEL_DEVICE;
}

#endif
