/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What became of a packet, told to those who watch such packets. */
#pragma once

#include "monitor_begin.h"
#include "route.h"

_Static_assert(WAY_KERNEL == (int)MONITOR_WAY_KERNEL && WAY_POD == (int)MONITOR_WAY_POD &&
                       WAY_TUNNEL == (int)MONITOR_WAY_TUNNEL && WAY_NEIGHBOUR == (int)MONITOR_WAY_NEIGHBOUR,
               "an event has the numbers of enum way_kind");

static __always_inline void monitor_next_hop(const struct way *w, struct monitor_event *e)
{
        const struct node *n = map_single(&node);

        e->next_ifindex = w->ifindex;
        if (w->kind == WAY_TUNNEL) {
                e->next_ifindex = n ? n->vxlan_ifindex : 0;
                e->next = w->peer;
        } else if (w->kind == WAY_NEIGHBOUR) {
                if (w->next.nh_family == AF_INET)
                        e->next = addr_of_v4(w->next.ipv4_nh);
                else
                        __builtin_memcpy(&e->next, w->next.ipv6_nh, sizeof(e->next));
        }
}

/* An event that ends with REASON_OK left the packet as it was, whatever it was about to become (edge.bpf.c). */
static __always_inline void monitor_fill(const struct hook_work *w, enum reason reason, struct monitor_event *e)
{
        const struct packet *p = &w->packet;

        e->tuple = p->tuple;
        e->to = p->change == CHANGE_WANTED && reason != REASON_OK ? p->to : p->tuple;
        e->rewritten = !tuple_equal(&e->to, &e->tuple);
        e->service = p->service;
        e->hook = p->hook;
        e->reason = reason;
        e->tcp = p->tcp;
        e->icmp = p->icmp;
        e->ttl = p->ttl;
        if (reason != REASON_FORWARDED)
                return;
        e->way = w->way.kind;
        if (w->way.kind != WAY_KERNEL)
                monitor_next_hop(&w->way, e);
}

static __always_inline void monitor_send(struct hook_ctx *ctx, struct monitor *m, __u32 place,
                                         struct monitor_scratch *s, __u32 captured)
{
        __u32 cpu = bpf_get_smp_processor_id(), after = 0;
        __u64 flags = place * MONITOR_CPUS + cpu;

        if (captured > m->snap)
                captured = m->snap;
        if (s->event.rewritten && s->event.reason <= REASON_FORWARDED) {
                after = ctx_length(ctx);
                if (after > m->snap)
                        after = m->snap;
        }
        s->event.captured = BOUND(captured, MONITOR_BYTES);
        s->event.after = BOUND(after, MONITOR_BYTES);
        flags |= (__u64)s->event.after << 32;
        if (cpu >= MONITOR_CPUS ||
            bpf_perf_event_output(ctx, &monitor_events, flags, s, sizeof(s->event) + BOUND(captured, MONITOR_BYTES)))
                __sync_fetch_and_add(&m->lost, 1);
}

/* Before an answer is made of the packet. */
__noinline int monitor_tell(struct hook_ctx *ctx, __u32 reason)
{
        struct monitors *m = map_single(&monitors);
        struct monitor_scratch *s = map_single(&monitor_scratch);
        const struct hook_work *w = map_single(&hook_scratch);
        __u32 now = clock_now(), captured;

        if (!m || !s || !w)
                return 0;
        monitor_fill(w, reason, &s->event);
        captured = s->event.captured;
        for (__u32 i = 0; i < MONITORS_MAX; i++)
                if (monitor_wants(&m->of[i], &s->event, now))
                        monitor_send(ctx, &m->of[i], i, s, captured);
        return 0;
}
