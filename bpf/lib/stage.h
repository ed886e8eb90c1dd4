/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the hooks of TC have in common: the stages in their order.
 */
#pragma once

#include "drop.h"
#include "frag.h"
#include "icmp.h"
#include "route.h"

/* A later fragment of a datagram whose first one was not seen: to a service it cannot be sent on, all else it may be.
 */
__noinline int stage_orphan(const struct packet *p)
{
        struct service svc;

        if (!p)
                return REASON_INTERNAL;
        if (service_filter(&p->tuple.dst, 0, p->tuple.proto) & FILTER_ADDRESS && service_get(&p->tuple.dst, 0, 0, &svc))
                return REASON_FRAGMENT;
        return REASON_OK;
}

/* p->to and p->change. outside: see translate(). */
static __always_inline enum reason stage_translate(struct hook_ctx *ctx, struct packet *p, bool outside)
{
        enum reason r;

        p->to = p->tuple;
        if (p->flags & (PACKET_FIRST | PACKET_LATER) && frag_ports(p) == REASON_FRAGMENT)
                return stage_orphan(p);
        if (p->flags & PACKET_ICMP_ERROR) {
                r = icmp_error(ctx, p);
                p->to = p->tuple;
                if (r == REASON_TRANSLATED)
                        p->change = CHANGE_DONE;
                return r;
        }
        return translate(p, outside);
}

/* Frames that are none of the dataplane's: not IP, or of a VLAN. */
static __always_inline bool stage_is_foreign(const struct packet *p)
{
        return !(p->flags & PACKET_IP) || p->flags & PACKET_TAGGED || p->l3 != ETH_HLEN;
}

/* Sends on what is translated, or stays on its way to the kernel. route: of p->to.dst, which is known already. */
static __always_inline enum reason stage_forward_by(struct hook_ctx *ctx, struct hook_work *w, enum hook hook,
                                                    const struct route *route)
{
        enum reason r = route_decide(ctx, &w->packet, hook, route, &w->way);

        return r == REASON_FORWARDED ? send(ctx, &w->packet, hook, &w->way) : r;
}

static __always_inline enum reason stage_forward(struct hook_ctx *ctx, struct hook_work *w, enum hook hook)
{
        return stage_forward_by(ctx, w, hook, route_find(&w->packet.to.dst));
}

static __always_inline bool stage_may_go_on(enum reason r)
{
        return r == REASON_OK || r == REASON_TRANSLATED;
}
