/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What watchers are told of a packet begins when it comes: its bytes, before anything is changed (monitor_tell.h). */
#pragma once

#include "ctx.h"
#include "monitor.h"

struct monitor_scratch {
        struct monitor_event event;
        __u8 data[MONITOR_BYTES + 1];
};

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __type(key, __u32);
        __type(value, struct monitor_scratch);
        __uint(max_entries, 1);
} monitor_scratch SEC(".maps");

/* 1: there still is somebody. */
__noinline int monitor_begin(struct hook_ctx *ctx)
{
        struct monitors *m = map_single(&monitors);
        struct monitor_scratch *s = map_single(&monitor_scratch);
        __u32 bytes;

        if (!m || !s || monitor_is_over(m, clock_now()))
                return 0;
        __builtin_memset(&s->event, 0, sizeof(s->event));
        s->event.ns = bpf_ktime_get_ns();
        s->event.ifindex = ctx_ifindex(ctx);
        s->event.length = ctx_length(ctx);
        bytes = s->event.length < m->snap ? s->event.length : m->snap;
        bytes = bytes < MONITOR_BYTES ? bytes : MONITOR_BYTES;
        if (bytes && !ctx_load(ctx, 0, s->data, BOUND(bytes - 1, MONITOR_BYTES) + 1))
                s->event.captured = bytes;
        return 1;
}
