/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The next hop of what leaves this node: what the kernel's own tables say, which a call of 50 ns asks. Each CPU
 * remembers the last answers for a second, by both addresses, the type of service and the device the packet came in by:
 * all that the kernel's rules and routes go by but the ports. So that all packets from one address to another take the
 * same of several equal routes, whichever of them is the first in a second, the question is without ports.
 *
 * A change of the kernel's routes or neighbours is seen a second late at most. Only answers with a neighbour whose
 * address is known are remembered.
 */
#pragma once

#include "clock.h"
#include "ctx.h"
#include "maps.h"
#include "parse.h"

#ifndef AF_INET
#define AF_INET  2
#define AF_INET6 10
#endif

#define HOPS 512 /* remembered by each CPU */

struct hop {
        struct addr src, dst;
        __u32 in_ifindex; /* the device that the packet came in by */
        __u32 tos;
        __u32 second;
        __u32 ifindex; /* to send by; 0: nothing is known */
        __u32 mtu;     /* of the route */
        __u32 family;  /* of the next hop, which may be another than the packet's */
        __u8 smac[6], dmac[6];
        __u32 next[4]; /* its address */
        __u32 pad[11];
};
ABI_ASSERT_SIZE(struct hop, 128);

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __type(key, __u32);
        __type(value, struct hop);
        __uint(max_entries, HOPS);
} hops SEC(".maps");

/* Fills in a question, but for the ports and the length. */
static __always_inline void hop_ask(const struct hook_ctx *ctx, const struct packet *p, struct bpf_fib_lookup *f)
{
        f->ifindex = ctx_ifindex(ctx);
        f->l4_protocol = p->to.proto;
        if (p->flags & PACKET_V4) {
                f->family = AF_INET;
                f->tos = p->tos;
                f->ipv4_src = p->to.src.w[3];
                f->ipv4_dst = p->to.dst.w[3];
                return;
        }
        f->family = AF_INET6;
        f->flowinfo = bpf_htonl((__u32)p->tos << 20);
        __builtin_memcpy(f->ipv6_src, &p->to.src, sizeof(f->ipv6_src));
        __builtin_memcpy(f->ipv6_dst, &p->to.dst, sizeof(f->ipv6_dst));
}

/* 1 and *h; 0: there is no such answer. A length of 1 asks for the route's MTU without minding it. */
__noinline int hop_learn(struct hook_ctx *ctx, const struct packet *p, struct hop *h, __u32 second)
{
        struct bpf_fib_lookup f = {.tot_len = 1};

        if (!p || !h)
                return 0;
        h->ifindex = 0;
        hop_ask(ctx, p, &f);
        if (bpf_fib_lookup(ctx, &f, sizeof(f), 0) != BPF_FIB_LKUP_RET_SUCCESS)
                return 0;
        h->src = p->to.src;
        h->dst = p->to.dst;
        h->in_ifindex = ctx_ifindex(ctx);
        h->tos = p->tos;
        h->second = second;
        h->mtu = f.mtu_result;
        h->family = f.family;
        __builtin_memcpy(h->next, f.ipv6_dst, sizeof(h->next));
        __builtin_memcpy(h->smac, f.smac, sizeof(h->smac));
        __builtin_memcpy(h->dmac, f.dmac, sizeof(h->dmac));
        h->ifindex = f.ifindex;
        return 1;
}

/* Of p->to; NULL: the kernel has to be asked for this very packet. */
static __always_inline const struct hop *hop_find(struct hook_ctx *ctx, const struct packet *p)
{
        const struct addr *d = &p->to.dst;
        __u32 slot = (d->w[3] ^ d->w[2] * 0x85ebca6bu ^ d->w[1] * 0xc2b2ae35u ^ d->w[0]) * 0x9e3779b1u >> 23;
        struct hop *h = bpf_map_lookup_elem(&hops, &slot);
        __u32 second = clock_now();

        if (!h)
                return NULL;
        if (h->ifindex && h->second == second && addr_equal(&h->dst, d) && addr_equal(&h->src, &p->to.src) &&
            h->tos == p->tos && h->in_ifindex == ctx_ifindex(ctx))
                return h;
        return hop_learn(ctx, p, h, second) ? h : NULL;
}
