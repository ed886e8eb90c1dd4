/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The one exit of a hook: whatever became of a packet is counted here, once, by its reason, and becomes the hook's
 * verdict. What is refused counts by the cause of the refusal, answered or not. Drops are sampled to the ring buffer,
 * so many a second of each CPU as the knobs allow: enough for people, and no help for who floods.
 */
#pragma once

#include "clock.h"
#include "monitor_tell.h"
#include "parse.h"
#ifndef HOOK_XDP
#include "reject.h"
#endif

struct drop_rate {
        __u32 second, events;
};

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __type(key, __u32);
        __type(value, struct drop_rate);
        __uint(max_entries, 1);
} drop_scratch SEC(".maps");

static __always_inline void drop_count(enum reason reason, enum hook hook, __u32 bytes)
{
        __u32 i = reason * HOOK_COUNT + hook;
        struct counter *c = bpf_map_lookup_elem(&counters, &i);

        if (!c)
                return;
        c->packets++;
        c->bytes += bytes;
}

static __always_inline bool drop_may_tell(void)
{
        struct drop_rate *rate = map_single(&drop_scratch);
        __u32 second = clock_now();

        if (!knobs.drop_events_per_s || !rate)
                return false;
        if (rate->second != second) {
                rate->second = second;
                rate->events = 0;
        }
        return rate->events++ < knobs.drop_events_per_s;
}

static __always_inline void drop_capture(struct hook_ctx *ctx, struct drop_event *e)
{
        __u32 bytes = e->length < DROP_BYTES ? e->length : DROP_BYTES;

        __builtin_memset(e->data, 0, sizeof(e->data));
        e->captured = 0;
        if (bytes && !ctx_load(ctx, 0, e->data, BOUND(bytes - 1, DROP_BYTES - 1) + 1))
                e->captured = bytes;
}

/* An event, if it is not one too many. Before an answer is made of the packet. */
__noinline int drop_tell(struct hook_ctx *ctx, struct packet *p, __u32 reason)
{
        struct drop_event *e;

        if (!p || !drop_may_tell())
                return 0;
        e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
        if (!e)
                return 0;
        e->ns = bpf_ktime_get_ns();
        e->ifindex = ctx_ifindex(ctx);
        e->length = ctx_length(ctx);
        e->reason = reason;
        e->hook = p->hook;
        e->service = p->service;
        e->tuple = p->tuple;
        e->pad = 0;
        drop_capture(ctx, e);
        bpf_ringbuf_submit(e, 0);
        return 0;
}

#ifdef HOOK_XDP

static __always_inline int drop_finish(struct hook_ctx *ctx, struct packet *p, enum reason reason)
{
        return CTX_DROP;
}

#else

static __always_inline bool drop_is_refusal(enum reason reason)
{
        return reason == REASON_NO_ENDPOINTS || reason == REASON_UNKNOWN_PORT || reason == REASON_TTL ||
               reason == REASON_TOO_BIG || reason == REASON_NO_ROUTE;
}

static __always_inline int drop_finish(struct hook_ctx *ctx, struct packet *p, enum reason reason)
{
        if (drop_is_refusal(reason) && reject(ctx, p, reason) == REASON_REFUSED)
                return p->verdict;
        return CTX_DROP;
}

#endif

static __always_inline int hook_exit(struct hook_ctx *ctx, struct packet *p, enum hook hook, enum reason reason)
{
        drop_count(reason, hook, p->length);
        if (p->watch)
                monitor_tell(ctx, reason);
        if (reason == REASON_OK || reason == REASON_TRANSLATED)
                return CTX_PASS;
        if (reason == REASON_FORWARDED)
                return p->verdict;
        drop_tell(ctx, p, reason);
        return drop_finish(ctx, p, reason);
}
