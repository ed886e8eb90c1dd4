/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Decisions at the socket, told to those who watch: an event without a packet. The source is what the socket is bound
 * to, if it is; the process is told, too. Processes are preempted, and the stack is full: each CPU has one event, which
 * belongs to who has set `busy`.
 */
#pragma once

#include "monitor.h"
#include "service.h"

struct monitor_sock_scratch {
        struct monitor_event event;
        __u64 busy;
};

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __type(key, __u32);
        __type(value, struct monitor_sock_scratch);
        __uint(max_entries, 1);
} monitor_sock_scratch SEC(".maps");

/* What a socket asks for. */
struct sock_dest {
        struct addr addr;
        __be16 port;
        __u8 proto;
        __u8 v6; /* the hook's family */
};

static __always_inline void monitor_sock_source(const struct bpf_sock *sk, bool v6, struct tuple *t)
{
        if (!sk)
                return;
        t->sport = bpf_htons((__u16)sk->src_port);
        if (v6) {
                t->src.w[0] = sk->src_ip6[0];
                t->src.w[1] = sk->src_ip6[1];
                t->src.w[2] = sk->src_ip6[2];
                t->src.w[3] = sk->src_ip6[3];
        } else {
                t->src = addr_of_v4(sk->src_ip4);
        }
}

static __always_inline void monitor_sock_fill(struct bpf_sock_addr *ctx, const struct sock_dest *d,
                                              const struct service_choice *to, __u32 reason, struct monitor_event *e)
{
        __builtin_memset(e, 0, sizeof(*e));
        e->ns = bpf_ktime_get_ns();
        e->pid = bpf_get_current_pid_tgid() >> 32;
        bpf_get_current_comm(e->comm, sizeof(e->comm));
        monitor_sock_source(ctx->sk, d->v6, &e->tuple);
        e->tuple.dst = d->addr;
        e->tuple.dport = d->port;
        e->tuple.proto = d->proto;
        e->to = e->tuple;
        e->hook = HOOK_SOCK;
        e->reason = reason;
        e->service = to->service;
        if (reason != REASON_TRANSLATED)
                return;
        e->to.dst = to->addr;
        e->to.dport = to->port;
        e->rewritten = 1;
}

static __always_inline void monitor_sock_send(struct bpf_sock_addr *ctx, struct monitors *m, struct monitor_event *e)
{
        __u32 now = clock_now(), cpu = bpf_get_smp_processor_id();

        for (__u32 i = 0; i < MONITORS_MAX; i++)
                if (monitor_wants(&m->of[i], e, now) &&
                    (cpu >= MONITOR_CPUS ||
                     bpf_perf_event_output(ctx, &monitor_events, i * MONITOR_CPUS + cpu, e, sizeof(*e))))
                        __sync_fetch_and_add(&m->of[i].lost, 1);
}

/* to: where the socket is sent; no backend where it is refused. Once for each choice: datagrams that follow are not
 * told of. */
__noinline int monitor_sock(struct bpf_sock_addr *ctx, const struct sock_dest *d, const struct service_choice *to,
                            __u32 reason)
{
        struct monitors *m = map_single(&monitors);
        struct monitor_sock_scratch *s = map_single(&monitor_sock_scratch);

        if (!m || !s || !d || !to || monitor_is_over(m, clock_now()))
                return 0;
        if (__sync_lock_test_and_set(&s->busy, 1)) {
                for (__u32 i = 0; i < MONITORS_MAX; i++)
                        __sync_fetch_and_add(&m->of[i].lost, 1);
                return 0;
        }
        monitor_sock_fill(ctx, d, to, reason, &s->event);
        monitor_sock_send(ctx, m, &s->event);
        __sync_lock_test_and_set(&s->busy, 0);
        return 0;
}
