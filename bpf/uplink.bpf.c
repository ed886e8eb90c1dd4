/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The node's NICs. */
#include "lib/stage.h"

/* Most of what comes in is for this host: no look at the routes for that. */
static __always_inline bool from_uplink_is_own(const struct packet *p)
{
        const struct addr *own = node_addr(p->flags & PACKET_V4);

        return own && addr_equal(own, &p->tuple.dst);
}

/* An address of services that no service has (any more): the default route would send it back to where it came from,
 * round and round. */
static __always_inline enum reason uplink_refusal(const struct route *route)
{
        return route && route->type == ROUTE_SERVICE ? REASON_UNKNOWN_PORT : REASON_OK;
}

/* From outside of the cluster, or from other nodes: in the tunnel, as if it came by the tunnel's device
 * (overlay.bpf.c), or without one. What is not ours the kernel gets as it came. */
static __always_inline enum reason from_uplink_stages(struct __sk_buff *skb, struct hook_work *w)
{
        enum tunnel_kind tunnel = tunnel_is_on() ? tunnel_read(skb) : TUNNEL_NONE;
        enum hook hook = tunnel == TUNNEL_READ ? HOOK_OVERLAY : HOOK_UPLINK;
        struct packet *p = &w->packet;
        const struct route *route;
        enum reason r;

        if (tunnel == TUNNEL_DEVICE) {
                p->length = ctx_length(skb) - ETH_HLEN;
                return REASON_OK;
        }
        p->hook = hook;
        if (tunnel == TUNNEL_READ && p->watch)
                monitor_begin(skb);
        r = packet_parse(skb, p);
        if (r || stage_is_foreign(p))
                return r;
        r = stage_translate(skb, p, tunnel != TUNNEL_READ);
        if (!stage_may_go_on(r))
                return r;
        if (r == REASON_OK && tunnel == TUNNEL_NONE && from_uplink_is_own(p))
                return r;
        route = route_find(&p->to.dst);
        if (r == REASON_TRANSLATED || (route && route->type == ROUTE_POD))
                return stage_forward_by(skb, w, hook, route);
        return uplink_refusal(route);
}

SEC("tc")
int from_uplink(struct __sk_buff *skb)
{
        struct hook_work *w = hook_enter(skb, HOOK_UPLINK);
        enum reason r;

        if (!w)
                return CTX_DROP;
        r = from_uplink_stages(skb, w);
        return hook_exit(skb, &w->packet, w->packet.hook, r);
}

/*
 * From the host's own processes: answers of endpoints in the host's network, and packets to services that were not
 * translated at the socket. An answer keeps its way out.
 */
static __always_inline enum reason to_uplink_stages(struct __sk_buff *skb, struct hook_work *w)
{
        struct packet *p = &w->packet;
        enum reason r = packet_parse(skb, p);

        if (r || stage_is_foreign(p))
                return REASON_OK;
        r = stage_translate(skb, p, false);
        if (r == REASON_OK && !(knobs.flags & KNOB_SOCK)) /* else it was refused at the socket */
                return uplink_refusal(route_find(&p->tuple.dst));
        if (r != REASON_TRANSLATED)
                return r;
        if (!addr_equal(&p->to.dst, &p->tuple.dst))
                return stage_forward(skb, w, HOOK_TO_UPLINK);
        if (p->change == CHANGE_WANTED)
                r = nat_rewrite(skb, p, HOOK_TO_UPLINK, false) ?: REASON_TRANSLATED;
        return r;
}

/* What the dataplane has sent comes with the mark. */
SEC("tc")
int to_uplink(struct __sk_buff *skb)
{
        struct hook_work *w;

        if (skb->mark & knobs.mark)
                return CTX_PASS;
        w = hook_enter(skb, HOOK_TO_UPLINK);
        return w ? hook_exit(skb, &w->packet, HOOK_TO_UPLINK, to_uplink_stages(skb, w)) : CTX_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
