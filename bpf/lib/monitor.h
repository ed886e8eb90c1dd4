/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Telling watchers of packets: what all hooks share (abi/monitor.h). A hook asks once, when a packet comes, whether
 * somebody watches at all: one load of an array's element. Everything else is behind calls.
 */
#pragma once

#include "clock.h"
#include "maps.h"

static __always_inline bool monitor_is_on(void)
{
        const struct monitors *m = map_single(&monitors);

        return m && READ_ONCE(m->until);
}

/* Has everybody left without a word? Then the switch goes off; who has just come has another number there. */
static __always_inline bool monitor_is_over(struct monitors *m, __u32 now)
{
        __u32 until = READ_ONCE(m->until);

        if (!until)
                return true;
        if ((__s32)(now - until) <= 0)
                return false;
        __sync_val_compare_and_swap(&m->until, until, 0);
        return true;
}

/* ---- filters */

static __always_inline bool monitor_address_is(const struct monitor_address *want, const struct addr *a)
{
        return !(((a->w[0] ^ want->is.w[0]) & want->mask.w[0]) | ((a->w[1] ^ want->is.w[1]) & want->mask.w[1]) |
                 ((a->w[2] ^ want->is.w[2]) & want->mask.w[2]) | ((a->w[3] ^ want->is.w[3]) & want->mask.w[3]));
}

static __always_inline bool monitor_ports_match(const struct monitor_filter *f, const struct tuple *t)
{
        if ((f->sport && f->sport != t->sport) || (f->dport && f->dport != t->dport))
                return false;
        return !f->port || f->port == t->sport || f->port == t->dport;
}

static __always_inline bool monitor_either_matches(const struct monitor_filter *f, const struct tuple *t)
{
        return monitor_address_is(&f->either[0], &t->src) || monitor_address_is(&f->either[0], &t->dst) ||
               monitor_address_is(&f->either[1], &t->src) || monitor_address_is(&f->either[1], &t->dst);
}

static __always_inline bool monitor_tuple_matches(const struct monitor_filter *f, const struct tuple *t)
{
        if (!monitor_ports_match(f, t) || !monitor_address_is(&f->src, &t->src) ||
            !monitor_address_is(&f->dst, &t->dst))
                return false;
        return !(f->flags & MONITOR_EITHER) || monitor_either_matches(f, t);
}

static __always_inline bool monitor_service_matches(const struct monitor_filter *f, __u32 service)
{
        if (!(f->flags & MONITOR_SERVICE))
                return true;
        for (__u32 i = 0; i < MONITOR_SERVICES; i++)
                if (i < f->service_count && f->services[i] == service)
                        return true;
        return false;
}

static __always_inline bool monitor_matches(const struct monitor_filter *f, const struct monitor_event *e)
{
        if (!(f->hooks >> (e->hook & 31) & 1) || !(f->reasons >> (e->reason & 31) & 1))
                return false;
        if ((f->proto && f->proto != e->tuple.proto) || (f->flags & MONITOR_REWRITTEN && !e->rewritten))
                return false;
        if (!monitor_service_matches(f, e->service))
                return false;
        return monitor_tuple_matches(f, &e->tuple) || (e->rewritten && monitor_tuple_matches(f, &e->to));
}

/* All CPUs count together, and now and then one event too many. */
static __always_inline bool monitor_may_tell(struct monitor *m, __u32 now)
{
        if (!m->rate)
                return true;
        if (READ_ONCE(m->second) != now) {
                WRITE_ONCE(m->second, now);
                WRITE_ONCE(m->sent, 0);
        }
        if (__sync_fetch_and_add(&m->sent, 1) < m->rate)
                return true;
        __sync_fetch_and_add(&m->capped, 1);
        return false;
}

/* Is this watcher to be told? */
static __always_inline bool monitor_wants(struct monitor *m, const struct monitor_event *e, __u32 now)
{
        __u32 until = READ_ONCE(m->until);

        return until && (__s32)(now - until) <= 0 && monitor_matches(&m->filter, e) && monitor_may_tell(m, now);
}
