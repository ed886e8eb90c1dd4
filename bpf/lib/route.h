/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where a packet goes, and sending it there. The longest prefix in the routes map tells what p->to.dst is; whatever
 * leaves by a NIC gets its next hop from the kernel's own tables.
 *
 *   pod on this node   straight into its network namespace, or by the host side of its veth
 *   this node          the kernel
 *   another node       by the tunnel, or the kernel's route to it; hosts among each other never by the tunnel
 *   none               outside: what a pod sends gets the node's address there
 *
 * Delivery on a node is a wire: the hop limit stays. It is counted down when a packet leaves the node, once, so that
 * nothing goes round for ever.
 */
#pragma once

#include "hops.h"
#include "monitor_begin.h"
#include "nat.h"
#include "police.h"
#include "translate.h"
#include "tunnel.h"

#ifndef PACKET_HOST
#define PACKET_HOST 0 /* <linux/if_packet.h> has it beside much else */
#endif

#define LOOPBACK_IFINDEX 1 /* in every network namespace */

enum way_kind {
        WAY_KERNEL,
        WAY_POD,
        WAY_TUNNEL,
        WAY_NEIGHBOUR, /* out of a device, to a next hop */
};

struct way {
        __u32 kind;    /* enum way_kind */
        __u32 ifindex; /* POD: the host side of its veth; NEIGHBOUR */
        __u8 mac[6];   /* POD: its own */
        __u8 smac[6];  /* NEIGHBOUR: both addresses, if resolved */
        __u8 dmac[6];
        __u8 resolved;
        __u8 fits;                    /* TUNNEL: in a packet of the underlay, as far as is known */
        struct bpf_redir_neigh next;  /* NEIGHBOUR: the next hop */
        struct addr peer;             /* TUNNEL: the other node */
        struct bpf_tunnel_key tunnel; /* and for the device */
        __u64 tunnel_flags;
        __u32 outer_id; /* counts outer packets, on this CPU */
        __u32 pad;
};

/* What a program works on; see maps.h about scratch. */
struct hook_work {
        struct packet packet;
        struct way way;
};

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __type(key, __u32);
        __type(value, struct hook_work);
        __uint(max_entries, 1);
} hook_scratch SEC(".maps");

static __always_inline struct hook_work *hook_enter(struct hook_ctx *ctx, enum hook hook)
{
        struct hook_work *w = map_single(&hook_scratch);

        if (!w)
                return NULL;
        __builtin_memset(&w->packet, 0, sizeof(w->packet));
        w->packet.hook = hook;
        w->packet.watch = monitor_is_on() && monitor_begin(ctx);
        return w;
}

static __always_inline bool addr_is_group(const struct addr *a)
{
        if (addr_is_v4(a))
                return a->b[12] >= 224;
        return a->b[0] == 0xff;
}

static __always_inline const struct pod *pod_get(__u32 ifindex)
{
        __u32 slot = ifindex & (POD_SLOTS - 1);
        const struct pod *pod = bpf_map_lookup_elem(&pods, &slot);

        return pod && pod->ifindex == ifindex ? pod : NULL;
}

/* The kernel's route of p->to.dst, asked for this packet alone. As route_fib. */
__noinline int route_fib_once(struct hook_ctx *ctx, struct packet *p, struct way *w)
{
        struct bpf_fib_lookup f = {};
        long r;

        if (!p || !w)
                return REASON_INTERNAL;
        hop_ask(ctx, p, &f);
        f.sport = p->to.sport;
        f.dport = p->to.dport;
        f.tot_len = ctx_is_gso(ctx) ? 0 : p->length;
        r = bpf_fib_lookup(ctx, &f, sizeof(f), 0);
        if (r == BPF_FIB_LKUP_RET_FRAG_NEEDED) {
                p->mtu = f.mtu_result;
                return REASON_TOO_BIG;
        }
        if (r != BPF_FIB_LKUP_RET_SUCCESS && r != BPF_FIB_LKUP_RET_NO_NEIGH)
                return REASON_NO_ROUTE;
        w->kind = WAY_NEIGHBOUR;
        w->ifindex = f.ifindex;
        w->next.nh_family = f.family; /* of the gateway, which may be another than the packet's */
        __builtin_memcpy(w->next.ipv6_nh, f.ipv6_dst, sizeof(w->next.ipv6_nh));
        w->resolved = r == BPF_FIB_LKUP_RET_SUCCESS;
        __builtin_memcpy(w->smac, f.smac, sizeof(w->smac));
        __builtin_memcpy(w->dmac, f.dmac, sizeof(w->dmac));
        return REASON_FORWARDED;
}

/* The kernel's route of p->to.dst. REASON_FORWARDED and *w; TOO_BIG; NO_ROUTE: none that leads out of a device. */
static __always_inline enum reason route_fib(struct hook_ctx *ctx, struct packet *p, struct way *w)
{
        const struct hop *hop = hop_find(ctx, p);

        if (!hop)
                return route_fib_once(ctx, p, w);
        if (!ctx_is_gso(ctx) && p->length > hop->mtu) {
                p->mtu = hop->mtu;
                return REASON_TOO_BIG;
        }
        w->kind = WAY_NEIGHBOUR;
        w->ifindex = hop->ifindex;
        w->next.nh_family = hop->family;
        __builtin_memcpy(w->next.ipv6_nh, hop->next, sizeof(w->next.ipv6_nh));
        w->resolved = true;
        __builtin_memcpy(w->smac, hop->smac, sizeof(w->smac));
        __builtin_memcpy(w->dmac, hop->dmac, sizeof(w->dmac));
        return REASON_FORWARDED;
}

/* What was not translated the kernel may route itself, and answer if it cannot. */
static __always_inline enum reason route_by_kernel(struct hook_ctx *ctx, struct packet *p, struct way *w)
{
        enum reason r = route_fib(ctx, p, w);

        if (r == REASON_FORWARDED || p->change)
                return r;
        w->kind = WAY_KERNEL;
        return REASON_FORWARDED;
}

static __always_inline const struct uplink *route_uplink(__u32 ifindex)
{
        const struct node *n = map_single(&node);

        if (!n)
                return NULL;
        for (int i = 0; i < UPLINKS_MAX; i++)
                if (n->uplinks[i].ifindex == ifindex)
                        return &n->uplinks[i];
        return NULL;
}

/* To an address that no prefix knows. masquerade: from a pod. */
static __always_inline enum reason route_outside(struct hook_ctx *ctx, struct packet *p, struct way *w, bool masquerade)
{
        const struct uplink *up;
        const struct addr *own;
        enum reason r;

        w->kind = WAY_KERNEL;
        if (addr_is_group(&p->to.dst))
                return REASON_FORWARDED;
        r = route_by_kernel(ctx, p, w);
        if (r != REASON_FORWARDED || w->kind == WAY_KERNEL || p->change)
                return r;
        up = route_uplink(w->ifindex);
        if (!up) { /* a network of this host's own */
                w->kind = WAY_KERNEL;
                return r;
        }
        own = p->flags & PACKET_V4 ? &up->v4 : &up->v6;
        if (!masquerade || addr_is_zero(own))
                return r;
        r = translate_masquerade(p, own);
        return r == REASON_OK || r == REASON_TRANSLATED ? REASON_FORWARDED : r;
}

/* A node sends to nodes as itself, by the network that they share. */
static __always_inline bool route_is_between_hosts(const struct packet *p, const struct route *route)
{
        const struct addr *own = node_addr(p->flags & PACKET_V4);

        return route->type == ROUTE_NODE && own && addr_equal(&p->to.src, own);
}

/* For the device, which writes the outer header. */
static __always_inline void route_tunnel_key(struct way *w)
{
        const struct addr *peer = &w->peer;

        __builtin_memset(&w->tunnel, 0, sizeof(w->tunnel));
        w->tunnel.tunnel_id = knobs.vni;
        w->tunnel.tunnel_ttl = 64;
        if (addr_is_v4(peer)) {
                w->tunnel.remote_ipv4 = bpf_ntohl(peer->w[3]);
                w->tunnel_flags = BPF_F_ZERO_CSUM_TX;
        } else {
                __builtin_memcpy(w->tunnel.remote_ipv6, peer, sizeof(w->tunnel.remote_ipv6));
                w->tunnel_flags = BPF_F_TUNINFO_IPV6;
        }
}

/* Of the segments that the packet will be on the wire. */
static __always_inline __u32 route_length(const struct hook_ctx *ctx, const struct packet *p)
{
#ifndef HOOK_XDP
        if (ctx->gso_size)
                return ctx->gso_size + (p->l4 - p->l3) + 20;
#endif
        return p->length;
}

/* If not, p->mtu is what a pod takes. */
static __always_inline bool route_fits_pod(const struct hook_ctx *ctx, struct packet *p)
{
        const struct node *n = map_single(&node);

        p->mtu = knobs.pod_mtu ? knobs.pod_mtu : n ? n->pod_mtu : 0;
        return !p->mtu || route_length(ctx, p) <= p->mtu;
}

static __always_inline enum reason route_tunnel(const struct hook_ctx *ctx, struct packet *p, const struct route *route,
                                                struct way *w)
{
        w->fits = route_fits_pod(ctx, p);
        if (!w->fits && (p->flags & PACKET_DONT_FRAGMENT || hook_is_lo(p->hook)))
                return REASON_TOO_BIG;
        w->kind = WAY_TUNNEL;
        w->peer = route->peer;
        return REASON_FORWARDED;
}

/* REASON_FORWARDED: *w. Else why the packet goes no further. route: of p->to.dst. */
static __always_inline enum reason route_decide(struct hook_ctx *ctx, struct packet *p, enum hook hook,
                                                const struct route *route, struct way *w)
{
        bool masquerade = hook == HOOK_FROM_POD && knobs.flags & KNOB_MASQUERADE;

        w->kind = WAY_KERNEL;
        if (!(knobs.flags & KNOB_SOCK) && p->change && addr_is_loopback(&p->to.dst))
                return REASON_FORWARDED; /* an answer, see send_by_lo */
        if (!route)
                return route_outside(ctx, p, w, masquerade);
        switch (route->type) {
        case ROUTE_POD:
                if (!pod_get(route->ifindex))
                        return REASON_NO_ROUTE;
                if (hook_is_lo(hook) && !route_fits_pod(ctx, p))
                        return REASON_TOO_BIG;
                w->kind = WAY_POD;
                w->ifindex = route->ifindex;
                __builtin_memcpy(w->mac, route->mac, sizeof(w->mac));
                return REASON_FORWARDED;
        case ROUTE_HOST:
                return REASON_FORWARDED;
        case ROUTE_NODE:
        case ROUTE_REMOTE:
                if (knobs.flags & KNOB_TUNNEL && route->flags & ROUTE_TUNNEL && !route_is_between_hosts(p, route))
                        return route_tunnel(ctx, p, route, w);
                return route_by_kernel(ctx, p, w);
        case ROUTE_SERVICE:
                return REASON_UNKNOWN_PORT;
        case ROUTE_BLACKHOLE:
                return REASON_NO_ROUTE;
        default: /* DIRECT: as it is, by whatever device */
                return route_outside(ctx, p, w, false);
        }
}

#ifndef HOOK_XDP

/* ---- sending: TC only */

static __always_inline bool send_macs(struct hook_ctx *ctx, const __u8 *dst, const __u8 *src)
{
        struct ethhdr *eth = ctx_data(ctx);

        if ((void *)(eth + 1) > ctx_end(ctx))
                return false;
        __builtin_memcpy(eth->h_dest, dst, ETH_ALEN);
        __builtin_memcpy(eth->h_source, src, ETH_ALEN);
        return true;
}

static __always_inline bool hook_is_ingress(__u32 hook)
{
        return hook == HOOK_FROM_POD || hook == HOOK_OVERLAY || hook == HOOK_UPLINK;
}

/* By the host side of the veth it meets to_pod, which polices. */
static __always_inline enum reason send_pod(struct hook_ctx *ctx, struct packet *p, enum hook hook, struct way *w)
{
        const struct pod *pod = pod_get(w->ifindex);
        bool direct = knobs.flags & KNOB_REDIRECT_PEER && hook_is_ingress(hook);

        if (!pod)
                return REASON_INTERNAL; /* it was there a moment ago */
        if (direct && !police_ingress(pod, p->length))
                return REASON_RATE_LIMIT;
        if (!send_macs(ctx, w->mac, pod->host_mac))
                return REASON_NO_ROOM;
        if (hook == HOOK_OVERLAY && ctx->pkt_type != PACKET_HOST) /* the inner frame was to another device */
                bpf_skb_change_type(ctx, PACKET_HOST);
        p->verdict = direct ? bpf_redirect_peer(w->ifindex, 0) : bpf_redirect(w->ifindex, 0);
        return REASON_FORWARDED;
}

static __always_inline bool send_tunnel_key(struct hook_ctx *ctx, struct way *w)
{
        route_tunnel_key(w);
        return !bpf_skb_set_tunnel_key(ctx, &w->tunnel, sizeof(w->tunnel), w->tunnel_flags);
}

/* Finds out the way of packets of up to that length to another node, if it is one out of a NIC that is known. */
__noinline int send_underlay(struct hook_ctx *ctx, struct way *w, __u32 length)
{
        const struct node *n = map_single(&node);
        struct bpf_fib_lookup f = {.family = AF_INET, .l4_protocol = IPPROTO_UDP};
        struct tunnel_peer *peer;
        const struct uplink *up;
        long r;

        if (!w || !n)
                return false;
        peer = tunnel_peer_of(w->peer.w[3]);
        if (!peer)
                return false;
        f.ifindex = ctx_ifindex(ctx);
        f.dport = bpf_htons(knobs.vxlan_port);
        f.tot_len = length;
        f.ipv4_src = n->v4.w[3];
        f.ipv4_dst = w->peer.w[3];
        r = bpf_fib_lookup(ctx, &f, sizeof(f), 0);
        if (r != BPF_FIB_LKUP_RET_SUCCESS && r != BPF_FIB_LKUP_RET_NO_NEIGH)
                return false;
        up = route_uplink(f.ifindex);
        if (!up || !(*(const __u32 *)up->mac | *(const __u16 *)(up->mac + 4)))
                return false;
        peer->ifindex = f.ifindex;
        peer->mtu = f.mtu_result;
        peer->next.nh_family = f.family;
        __builtin_memcpy(peer->next.ipv6_nh, f.ipv6_dst, sizeof(peer->next.ipv6_nh));
        tunnel_peer_keep(peer, w->peer.w[3]);
        return true;
}

/* The room for the outer header. NULL: not this packet, which is as it was. */
static __always_inline struct tunnel_peer *send_outer_room(struct hook_ctx *ctx, struct packet *p, enum hook hook,
                                                           struct way *w)
{
        struct tunnel_peer *peer = tunnel_peer_of(w->peer.w[3]);
        __u32 length = route_length(ctx, p) + TUNNEL_HEADERS;

        if (hook != HOOK_FROM_POD || !w->fits || !addr_is_v4(&w->peer) || !peer)
                return NULL;
        if ((!tunnel_peer_is(peer, w->peer.w[3]) || !peer->ifindex) && !send_underlay(ctx, w, length))
                return NULL;
        return length <= peer->mtu && tunnel_grow(ctx) ? peer : NULL;
}

/* By the outer header that the program writes itself. REASON_OK: not this packet, which is as it was. */
static __always_inline enum reason send_outer(struct hook_ctx *ctx, struct packet *p, enum hook hook, struct way *w)
{
        const struct node *n = map_single(&node);
        struct tunnel_peer *peer;

        if (!tunnel_is_on() || !n || !addr_is_v4(&n->v4))
                return REASON_OK;
        peer = send_outer_room(ctx, p, hook, w);
        if (!peer)
                return REASON_OK;
        if (!tunnel_write(ctx, p, n->v4.w[3], w->peer.w[3], w->outer_id++))
                return REASON_NO_ENCAP;
        ctx->mark |= knobs.mark;
        p->verdict = bpf_redirect_neigh(peer->ifindex, &peer->next, sizeof(peer->next), 0);
        return REASON_FORWARDED;
}

static __always_inline enum reason send_tunnel(struct hook_ctx *ctx, struct packet *p, enum hook hook, struct way *w)
{
        const struct node *n = map_single(&node);
        enum reason r = send_outer(ctx, p, hook, w);

        if (r)
                return r;
        if (!n || !n->vxlan_ifindex || !send_tunnel_key(ctx, w))
                return REASON_NO_ENCAP;
        ctx->mark |= knobs.mark;
        p->verdict = bpf_redirect(n->vxlan_ifindex, 0);
        return REASON_FORWARDED;
}

static __always_inline enum reason send_neighbour(struct hook_ctx *ctx, struct packet *p, struct way *w)
{
        ctx->mark |= knobs.mark;
        p->verdict = bpf_redirect_neigh(w->ifindex, &w->next, sizeof(w->next), 0);
        return REASON_FORWARDED;
}

/*
 * Into this node's own stack as if it came by a NIC, with whose address it is compared there: what a process sends to
 * an endpoint on its own host; and the answers to a process whose packets to a service were translated on their way,
 * errors too: an IPv4 stack that filters by the reverse path takes a service's address from no device of pods, be it
 * ever so loose.
 */
static __always_inline enum reason send_by_uplink(struct hook_ctx *ctx, struct packet *p, const struct uplink *up)
{
        if (!up || !up->ifindex || !send_macs(ctx, up->mac, up->mac))
                return REASON_INTERNAL;
        p->verdict = bpf_redirect(up->ifindex, BPF_F_INGRESS);
        return REASON_FORWARDED;
}

/* Packets with an address of this host's own as their source, which are answers to its processes (lo.bpf.c): as if
 * they had gone out of the loopback device, which has no address. */
static __always_inline bool send_is_los(const struct packet *p)
{
        const struct route *route;

        if (knobs.flags & KNOB_SOCK || !p->change)
                return false;
        route = route_find(&p->to.src);
        return (route && route->type == ROUTE_HOST) || addr_is_loopback(&p->to.src);
}

static __always_inline enum reason send_by_lo(struct hook_ctx *ctx, struct packet *p)
{
        const __u8 none[ETH_ALEN] = {};

        if (!send_macs(ctx, none, none))
                return REASON_INTERNAL;
        p->verdict = bpf_redirect(LOOPBACK_IFINDEX, BPF_F_INGRESS);
        return REASON_FORWARDED;
}

static __always_inline enum reason send_kernel(struct hook_ctx *ctx, struct packet *p, enum hook hook)
{
        const struct node *n = map_single(&node);

        if (hook_is_lo(hook))
                return REASON_TRANSLATED;
        if (send_is_los(p))
                return send_by_lo(ctx, p);
        if (hook == HOOK_TO_UPLINK && p->change)
                return send_by_uplink(ctx, p, route_uplink(ctx->ifindex));
        if (n && n->uplinks[0].ifindex && hook != HOOK_UPLINK && p->flags & PACKET_V4 && p->change &&
            (p->change == CHANGE_DONE || !addr_equal(&p->to.src, &p->tuple.src)))
                return send_by_uplink(ctx, p, &n->uplinks[0]);
        if (hook == HOOK_OVERLAY) /* the inner frame is addressed to another device */
                bpf_skb_change_type(ctx, PACKET_HOST);
        return p->change ? REASON_TRANSLATED : REASON_OK;
}

/* Everything is decided: the packet changes, and goes. */
static __always_inline enum reason send(struct hook_ctx *ctx, struct packet *p, enum hook hook, struct way *w)
{
        bool hop = w->kind == WAY_TUNNEL || w->kind == WAY_NEIGHBOUR;
        enum reason r = REASON_OK;

        if (hop && p->ttl <= 1)
                return REASON_TTL;
        if (p->change == CHANGE_WANTED)
                r = nat_rewrite(ctx, p, hook, hop);
        else if (hop)
                r = nat_hop(ctx, p);
        if (r)
                return r;
        switch (w->kind) {
        case WAY_POD:
                return send_pod(ctx, p, hook, w);
        case WAY_TUNNEL:
                return send_tunnel(ctx, p, hook, w);
        case WAY_NEIGHBOUR:
                return send_neighbour(ctx, p, w);
        default:
                return send_kernel(ctx, p, hook);
        }
}

#endif
