/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The vxlan device between the nodes. */
#include "lib/stage.h"

/* What other nodes send: to pods here, to this host, and answers that go on to a client outside. */
static __always_inline enum reason from_overlay_stages(struct __sk_buff *skb, struct hook_work *w)
{
        struct packet *p = &w->packet;
        const struct route *route;
        enum reason r = packet_parse(skb, p);

        if (r || stage_is_foreign(p))
                return r;
        r = stage_translate(skb, p, false);
        if (!stage_may_go_on(r))
                return r;
        route = route_find(&p->to.dst);
        if (r == REASON_TRANSLATED || (route && (route->type == ROUTE_POD || route->type == ROUTE_HOST)))
                return stage_forward_by(skb, w, HOOK_OVERLAY, route);
        return REASON_OK;
}

SEC("tc")
int from_overlay(struct __sk_buff *skb)
{
        struct hook_work *w = hook_enter(skb, HOOK_OVERLAY);

        return w ? hook_exit(skb, &w->packet, HOOK_OVERLAY, from_overlay_stages(skb, w)) : CTX_DROP;
}

/* What this host's own stack routes there: it only lacks the node to send it to. */
static __always_inline enum reason to_overlay_stages(struct __sk_buff *skb, struct hook_work *w)
{
        struct packet *p = &w->packet;
        const struct route *route;
        enum reason r = packet_parse(skb, p);

        if (r || stage_is_foreign(p))
                return r;
        r = stage_translate(skb, p, false);
        if (!stage_may_go_on(r))
                return r;
        if (addr_is_group(&p->to.dst))
                return REASON_OK; /* the stack's own reports of groups: the device knows no remote for them */
        route = route_find(&p->to.dst);
        if (!route || !(route->flags & ROUTE_TUNNEL))
                return REASON_NO_ROUTE;
        if (p->change == CHANGE_WANTED && nat_rewrite(skb, p, HOOK_TO_OVERLAY, false))
                return REASON_NO_ROOM;
        w->way.peer = route->peer;
        if (!send_tunnel_key(skb, &w->way))
                return REASON_NO_ENCAP;
        skb->mark |= knobs.mark;
        return r;
}

/* The dataplane's own packets come with the mark, and have their key. */
SEC("tc")
int to_overlay(struct __sk_buff *skb)
{
        struct hook_work *w;

        if (skb->mark & knobs.mark)
                return CTX_PASS;
        w = hook_enter(skb, HOOK_TO_OVERLAY);
        return w ? hook_exit(skb, &w->packet, HOOK_TO_OVERLAY, to_overlay_stages(skb, w)) : CTX_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
