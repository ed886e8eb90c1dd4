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

#include "addr.h"

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

#ifdef HOOK_XDP

static __always_inline __u32 ctx_linear(const struct hook_ctx *ctx)
{
        return ctx->data_end - ctx->data;
}

/* Bytes of the frame, those in fragments (jumbo frames) too. */
static __always_inline __u32 ctx_length(struct hook_ctx *ctx)
{
        return bpf_xdp_get_buff_len(ctx);
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

static __always_inline __u32 ctx_linear(const struct hook_ctx *ctx)
{
        return ctx->data_end - ctx->data;
}

static __always_inline __u32 ctx_length(struct hook_ctx *ctx)
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
