/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The packet becomes what was decided: p->tuple -> p->to, and a hop fewer to go. The only place that writes into
 * packets on their way.
 *
 * Everything is looked at before the first byte is written, so that no packet is left half changed.
 *
 * Checksums are never made anew, only changed by the difference (RFC 1624): a wrong one stays wrong, whoever receives
 * it shall know. TC: an skb is CHECKSUM_PARTIAL (its L4 checksum field holds the sum of the pseudo header only; the
 * device adds the rest), CHECKSUM_COMPLETE (the kernel knows the sum of all bytes), or neither. Where the program can
 * see which (KNOB_SKB), PARTIAL fields and final ones are changed inline. Where it cannot, and for COMPLETE, whose sum
 * has to change along, L4 checksums go through the helper that knows: the addresses as part of the pseudo header, and
 * the ports, which a PARTIAL field does not contain, by a second call; 30 ns each. Of COMPLETE skbs: IPv4's header
 * checksum takes back what the addresses change; IPv6 has none, and the helper takes off from the kernel's sum what
 * only IPv4 needs, which is put back. XDP: the field is final, and changed inline; edge.bpf.c lets alone what is
 * PARTIAL there (veth).
 *
 * UDP's 0 says "no checksum" and stays; a sum that comes out as 0 is written as 0xffff.
 */
#pragma once

#include "parse.h"
#include "sum.h"

/* By how much the packet's words change. */
struct nat_change {
        __u64 addresses, ports;
        bool of_ports;
};

static __always_inline __u32 nat_ports(const struct tuple *t)
{
        return (__u32)t->dport << 16 | t->sport;
}

/* An echo has its identifier in one of the ports, and 0 in the other. */
static __always_inline __be16 nat_echo_id(const struct tuple *t)
{
        return t->sport | t->dport;
}

/* ICMP that is no echo has none; its key is that of an echo whose identifier is 0, and so it may be of a flow. */
static __always_inline bool nat_has_ports(const struct packet *p)
{
        return p->flags & PACKET_ECHO || (p->tuple.proto != IPPROTO_ICMP && p->tuple.proto != IPPROTO_ICMPV6);
}

static __always_inline void nat_difference(const struct packet *p, struct nat_change *ret)
{
        if (p->flags & PACKET_V4)
                ret->addresses =
                        (__u64)p->to.src.w[3] + (__u32)~p->tuple.src.w[3] + p->to.dst.w[3] + (__u32)~p->tuple.dst.w[3];
        else
                ret->addresses =
                        sum_addr_change(&p->tuple.src, &p->to.src) + sum_addr_change(&p->tuple.dst, &p->to.dst);
        ret->ports = (__u64)p->to.sport + (__u16)~p->tuple.sport + p->to.dport + (__u16)~p->tuple.dport;
        ret->of_ports = nat_ports(&p->to) != nat_ports(&p->tuple) && nat_has_ports(p);
}

static __always_inline void nat_write_v4(struct iphdr *ip, const struct packet *p, __u64 change, bool hop)
{
        if (hop) { /* ttl is the first byte of its 16 bit word in memory */
                change += (__u16)~bpf_htons(p->ttl << 8) + bpf_htons((p->ttl - 1) << 8);
                ip->ttl = p->ttl - 1;
        }
        ip->saddr = p->to.src.w[3];
        ip->daddr = p->to.dst.w[3];
        ip->check = sum_changed(ip->check, change);
}

static __always_inline void nat_write_v6(struct ipv6hdr *ip, const struct packet *p, bool hop)
{
        if (hop)
                ip->hop_limit = p->ttl - 1;
        __builtin_memcpy(&ip->saddr, &p->to.src, sizeof(ip->saddr));
        __builtin_memcpy(&ip->daddr, &p->to.dst, sizeof(ip->daddr));
}

/* ports: the first 8 bytes of the transport header. */
static __always_inline void nat_write_ports(__be16 *ports, const struct packet *p)
{
        if (p->flags & PACKET_ECHO) {
                ports[2] = nat_echo_id(&p->to);
                return;
        }
        ports[0] = p->to.sport;
        ports[1] = p->to.dport;
}

/* Of the checksum that the addresses or ports are part of, in the transport header; 0: there is none. */
static __always_inline __u32 nat_check_offset(const struct packet *p)
{
        if (p->flags & (PACKET_LATER | PACKET_UNKNOWN_L4))
                return 0;
        switch (p->tuple.proto) {
        case IPPROTO_TCP:
                return offsetof(struct tcphdr, check);
        case IPPROTO_UDP:
                return offsetof(struct udphdr, check);
        case IPPROTO_ICMP:
        case IPPROTO_ICMPV6:
                return offsetof(struct icmp_header, check);
        default:
                return 0; /* SCTP's is over its own bytes only; whoever decides leaves its ports alone */
        }
}

/* Inline, `at` into the frame. partial: the field is the folded sum of the pseudo header. False: it cannot be reached.
 */
static __always_inline bool nat_write_field(struct hook_ctx *ctx, const struct packet *p, const struct nat_change *c,
                                            __u32 at, bool partial)
{
        __u16 *check = ctx_data(ctx) + BOUND(at, 1023);
        __u64 change = (p->tuple.proto == IPPROTO_ICMP ? 0 : c->addresses) + (c->of_ports && !partial ? c->ports : 0);

        if ((void *)(check + 1) > ctx_end(ctx))
                return false;
        if (p->tuple.proto == IPPROTO_UDP && !*check)
                return true;
        if (partial)
                *check = sum_fold(*check + change);
        else
                *check = sum_changed(*check, change);
        if (p->tuple.proto == IPPROTO_UDP && !*check)
                *check = 0xffff;
        return true;
}

#ifdef HOOK_XDP

static __always_inline bool nat_write_check(struct hook_ctx *ctx, const struct packet *p, const struct nat_change *c,
                                            enum hook hook)
{
        __u32 at = nat_check_offset(p);

        return !at || nat_write_field(ctx, p, c, p->l4 + at, false);
}

#else

/* A checksum's difference as the helpers take it. */
static __always_inline __u32 nat_fold32(__u64 sum)
{
        sum = (sum >> 32) + (sum & 0xffffffff);
        return (sum >> 32) + (sum & 0xffffffff);
}

static __always_inline bool nat_write_check(struct hook_ctx *ctx, const struct packet *p, const struct nat_change *c,
                                            enum hook hook)
{
        __u32 at = nat_check_offset(p), addresses = nat_fold32(c->addresses);
        __u64 flags = p->tuple.proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
        enum ctx_summed summed = ctx_summed(ctx);

        if (!at)
                return true;
        at += p->l4;
        if (summed < SUMMED_COMPLETE && nat_write_field(ctx, p, c, at, false))
                return true;
        if (summed == SUMMED_PARTIAL && nat_write_field(ctx, p, c, at, true))
                return true;
        if (p->tuple.proto != IPPROTO_ICMP) {
                if (bpf_l4_csum_replace(ctx, at, 0, addresses, flags | BPF_F_PSEUDO_HDR))
                        return false;
                if (!(p->flags & PACKET_V4) && hook != HOOK_FROM_POD) /* pods' skbs are never COMPLETE */
                        bpf_csum_update(ctx, addresses);
        }
        return !c->of_ports || !bpf_l4_csum_replace(ctx, at, 0, nat_fold32(c->ports), flags);
}

#endif

/* False: nothing was written, and the packet is to be dropped. */
static __always_inline bool nat_write(struct hook_ctx *ctx, const struct packet *p, const struct nat_change *c,
                                      bool hop)
{
        void *l3 = ctx_data(ctx) + BOUND(p->l3, 31), *l4 = ctx_data(ctx) + BOUND(p->l4, L4_OFFSET_MAX);
        bool ports = c->of_ports && !(p->flags & (PACKET_LATER | PACKET_UNKNOWN_L4));

        if (ports && l4 + 8 > ctx_end(ctx))
                return false;
        if (p->flags & PACKET_V4) {
                if (l3 + sizeof(struct iphdr) > ctx_end(ctx))
                        return false;
                nat_write_v4(l3, p, c->addresses, hop);
        } else {
                if (l3 + sizeof(struct ipv6hdr) > ctx_end(ctx))
                        return false;
                nat_write_v6(l3, p, hop);
        }
        if (ports)
                nat_write_ports(l4, p);
        return true;
}

/* The whole change. hop: the packet leaves for another node, and has a hop more to go than this. */
static __always_inline enum reason nat_rewrite(struct hook_ctx *ctx, const struct packet *p, enum hook hook, bool hop)
{
        struct nat_change c;

        nat_difference(p, &c);
        if (!nat_write(ctx, p, &c, hop) || !nat_write_check(ctx, p, &c, hook))
                return REASON_NO_ROOM;
        return REASON_OK;
}

/* Of a packet that is not translated: one hop fewer. */
static __always_inline enum reason nat_hop(struct hook_ctx *ctx, const struct packet *p)
{
        void *l3 = ctx_data(ctx) + BOUND(p->l3, 31);
        struct iphdr *v4 = l3;
        struct ipv6hdr *v6 = l3;

        if (p->flags & PACKET_V4) {
                if ((void *)(v4 + 1) > ctx_end(ctx))
                        return REASON_NO_ROOM;
                v4->check = sum_changed(v4->check, (__u16)~bpf_htons(p->ttl << 8) + bpf_htons((p->ttl - 1) << 8));
                v4->ttl = p->ttl - 1;
                return REASON_OK;
        }
        if ((void *)(v6 + 1) > ctx_end(ctx))
                return REASON_NO_ROOM;
        v6->hop_limit = p->ttl - 1;
        return REASON_OK;
}
