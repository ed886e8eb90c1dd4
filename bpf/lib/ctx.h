/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The context of a packet program, behind the same small names for TC (struct __sk_buff) and XDP (struct xdp_md): an
 * object is the one or the other, and defines HOOK_XDP before it includes anything to be of XDP. What only one of them
 * can do says so by its result.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/types.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "addr.h"
#include "maps.h"
#include "vmlinux/skb.h"

#ifdef HOOK_XDP

#define hook_ctx xdp_md
enum ctx_verdict {
        CTX_PASS = XDP_PASS,
        CTX_DROP = XDP_DROP,
};

#else

#define hook_ctx __sk_buff
enum ctx_verdict {
        CTX_PASS = TC_ACT_UNSPEC, /* the next program on the device, if any, then the kernel */
        CTX_DROP = TC_ACT_SHOT,
};

#endif

static __always_inline void *ctx_data(const struct hook_ctx *ctx)
{
        return (void *)(unsigned long)ctx->data;
}

static __always_inline void *ctx_end(const struct hook_ctx *ctx)
{
        return (void *)(unsigned long)ctx->data_end;
}

/* Bytes of the frame that can be read at ctx_data(). */
static __always_inline __u32 ctx_linear(const struct hook_ctx *ctx)
{
        return ctx->data_end - ctx->data;
}

#ifdef HOOK_XDP

/* Bytes of the frame, those in fragments (jumbo frames) too. */
static __always_inline __u32 ctx_length(struct hook_ctx *ctx)
{
        return bpf_xdp_get_buff_len(ctx);
}

/* The same, but what is known without a call will do if it is that much. */
static __always_inline __u32 ctx_length_from(struct hook_ctx *ctx, __u32 enough)
{
        return ctx_linear(ctx) >= enough ? ctx_linear(ctx) : ctx_length(ctx);
}

static __always_inline __u32 ctx_ifindex(const struct hook_ctx *ctx)
{
        return ctx->ingress_ifindex;
}

/* The outermost VLAN tag as a NIC or the kernel took it out of the frame; -1: none. */
static __always_inline int ctx_vlan(const struct hook_ctx *ctx)
{
        return -1;
}

static __always_inline bool ctx_is_gso(const struct hook_ctx *ctx)
{
        return false;
}

/* Makes the first bytes readable at ctx_data(). XDP: whatever is not there in the first place, is not. */
static __always_inline bool ctx_pull(struct hook_ctx *ctx, __u32 length)
{
        return false;
}

static __always_inline int ctx_load(struct hook_ctx *ctx, __u32 offset, void *to, __u32 length)
{
        return bpf_xdp_load_bytes(ctx, offset, to, length);
}

static __always_inline int ctx_store(struct hook_ctx *ctx, __u32 offset, void *from, __u32 length)
{
        return bpf_xdp_store_bytes(ctx, offset, from, length);
}

#else

/* skb->ip_summed; the numbers are the kernel's own. */
enum ctx_summed {
        SUMMED_NONE,
        SUMMED_UNNECESSARY,
        SUMMED_COMPLETE,
        SUMMED_PARTIAL,
        SUMMED_UNKNOWN, /* this kernel does not tell */
};

extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;

static __always_inline enum ctx_summed ctx_summed(struct hook_ctx *ctx)
{
        const struct sk_buff *skb;

        if (!(knobs.flags & KNOB_SKB))
                return SUMMED_UNKNOWN;
        skb = bpf_cast_to_kern_ctx(ctx);
        return BPF_CORE_READ_BITFIELD(skb, ip_summed);
}

static __always_inline __u32 ctx_length(struct hook_ctx *ctx)
{
        return ctx->len;
}

static __always_inline __u32 ctx_length_from(struct hook_ctx *ctx, __u32 enough)
{
        return ctx->len;
}

static __always_inline __u32 ctx_ifindex(const struct hook_ctx *ctx)
{
        return ctx->ifindex;
}

static __always_inline int ctx_vlan(const struct hook_ctx *ctx)
{
        return ctx->vlan_present ? (int)(ctx->vlan_tci & 0xfff) : -1;
}

static __always_inline bool ctx_is_gso(const struct hook_ctx *ctx)
{
        return ctx->gso_size;
}

static __always_inline bool ctx_pull(struct hook_ctx *ctx, __u32 length)
{
        return length <= ctx->len && !bpf_skb_pull_data(ctx, length);
}

static __always_inline int ctx_load(struct hook_ctx *ctx, __u32 offset, void *to, __u32 length)
{
        return bpf_skb_load_bytes(ctx, offset, to, length);
}

/* Leaves all checksums alone, also the skb's own (CHECKSUM_COMPLETE): nat.h knows how those go. */
static __always_inline int ctx_store(struct hook_ctx *ctx, __u32 offset, void *from, __u32 length)
{
        return bpf_skb_store_bytes(ctx, offset, from, length, 0);
}

#endif
