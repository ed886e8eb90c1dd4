/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * XDP on the NICs: what only passes through this node, on its way between clients outside and endpoints on other nodes
 * that are reached without a tunnel. Everything else is left to the uplink's program, untouched: it comes to the same
 * decision, since the flow is in the table by then. Packets for this node's pods gain nothing here that the second
 * look would not cost, and in the tunnel's case the outer header is the vxlan device's to write.
 */
#define HOOK_XDP
#include "lib/drop.h"
#include "lib/route.h"

/*
 * A veth hands packets on whose checksum the sender's host has left to the device (CHECKSUM_PARTIAL): the field has
 * the sum of the pseudo header, and the kernel's note of it is nowhere to be seen. By chance one packet of 65536 looks
 * the same, and takes the way by the kernel like those.
 */
static __always_inline bool edge_is_partial(struct xdp_md *ctx, const struct packet *p)
{
        __u32 at = nat_check_offset(p);
        const __u16 *check = ctx_data(ctx) + BOUND(p->l4 + at, 1023);

        if (!at || p->tuple.proto == IPPROTO_ICMP)
                return false;
        if ((void *)(check + 1) > ctx_end(ctx))
                return true;
        return *check == sum_fold(sum_pseudo(&p->tuple.src, &p->tuple.dst, p->tuple.proto, p->l3 + p->length - p->l4));
}

static __always_inline bool edge_is_plain(const struct packet *p)
{
        const __u32 not_here = PACKET_FIRST | PACKET_LATER | PACKET_ICMP_ERROR | PACKET_TAGGED | PACKET_PRIORITY;

        return p->flags & PACKET_IP && !(p->flags & not_here) && service_proto(p->tuple.proto);
}

static __always_inline void edge_account(const struct packet *p)
{
        struct flow_work *w = map_single(&flow_scratch);

        if (w)
                translate_account_at(p, &w->hit, clock_now());
}

static __always_inline enum reason edge_send(struct xdp_md *ctx, struct packet *p, const struct way *w)
{
        struct ethhdr *eth;

        if (nat_rewrite(ctx, p, HOOK_EDGE, true))
                return REASON_NO_ROOM;
        eth = ctx_data(ctx);
        if ((void *)(eth + 1) > ctx_end(ctx))
                return REASON_NO_ROOM;
        __builtin_memcpy(eth->h_dest, w->dmac, ETH_ALEN);
        __builtin_memcpy(eth->h_source, w->smac, ETH_ALEN);
        p->verdict = w->ifindex == ctx->ingress_ifindex ? XDP_TX : bpf_redirect(w->ifindex, 0);
        return REASON_FORWARDED;
}

/* REASON_OK: left to the uplink's program. */
static __always_inline enum reason edge_stages(struct xdp_md *ctx, struct hook_work *w)
{
        struct packet *p = &w->packet;
        const struct route *route;
        enum reason r;

        if (packet_parse(ctx, p) || !edge_is_plain(p) || edge_is_partial(ctx, p))
                return REASON_OK;
        r = translate(p, true);
        if (r == REASON_SOURCE_RANGE || r == REASON_NO_LOCAL_ENDPOINTS)
                return r;
        if (r != REASON_TRANSLATED || p->ttl <= 1)
                return REASON_OK;
        route = route_find(&p->to.dst);
        if (route && route->type != ROUTE_NODE && route->type != ROUTE_REMOTE)
                return REASON_OK;
        if (route_fib(ctx, p, &w->way) != REASON_FORWARDED || !w->way.resolved)
                return REASON_OK;
        edge_account(p);
        return edge_send(ctx, p, &w->way);
}

SEC("xdp.frags")
int edge(struct xdp_md *ctx)
{
        struct hook_work *w = hook_enter(ctx, HOOK_EDGE);

        if (knobs.flags & KNOB_TUNNEL)
                return XDP_PASS;
        return w ? hook_exit(ctx, &w->packet, HOOK_EDGE, edge_stages(ctx, w)) : CTX_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
