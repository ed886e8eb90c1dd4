/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ICMP errors about packets of translated flows. An error quotes the packet as whoever complains has seen it, which is
 * not how its sender knows it: before the sender gets it, the quoted addresses and ports have to be what the sender
 * wrote. So path MTU discovery works through a virtual address, in both directions.
 *
 * The quoted packet backwards is what its answer would look like, and so the key of the flow entry of the other
 * direction, which says what to make of such addresses.
 *
 * The error's own addresses: it goes to the quoted sender. Its source stays the router that it is from, except that the
 * flow's other end is not shown under an address that the receiver does not know, and that whoever got the connection
 * under the node's address gets the errors from there, too.
 *
 * TC only: XDP leaves errors to the uplink's program.
 */
#pragma once

#include "flow_insert.h"
#include "parse.h"
#include "sum.h"

#ifdef HOOK_XDP

static __always_inline enum reason icmp_error(struct hook_ctx *ctx, struct packet *p)
{
        return REASON_OK;
}

#else

#define ICMP_MIN_QUOTE 8 /* bytes of the transport header that an error must quote (RFC 792) */

/* The quoted packet: offsets in the frame. What is behind `end` was not quoted. */
struct icmp_quote {
        struct tuple answer __attribute__((aligned(8))); /* the quoted tuple backwards */
        __u32 l3, l4, end;
        bool v4;
};

/* By how much the sum of the bytes changes. */
struct icmp_change {
        __u64 addresses; /* of the quote, and of its ports: what its checksums are about */
        __u64 ports;
        __u64 total; /* of all quoted bytes, its checksums included */
        __u64 outer; /* of the error's own addresses */
};

/* --- reading the quote */

/* What is behind the quoted packet's own end is none of it (RFC 4884 puts other things there). */
static __always_inline void icmp_quote_ends(struct icmp_quote *q, __u32 length)
{
        if (q->l3 + length < q->end)
                q->end = q->l3 + length;
}

static __always_inline bool icmp_quote_v4(struct hook_ctx *ctx, struct icmp_quote *q)
{
        struct iphdr ip;
        __u8 first;

        if (q->l3 + sizeof(ip) > q->end || ctx_load(ctx, q->l3, &ip, sizeof(ip)))
                return false;
        first = *(const __u8 *)&ip;
        if (first >> 4 != 4 || (first & 15) < 5 || ip.frag_off & bpf_htons(0x1fff))
                return false;
        icmp_quote_ends(q, bpf_ntohs(ip.tot_len));
        q->l4 = q->l3 + (first & 15) * 4;
        q->answer.src = addr_of_v4(ip.daddr);
        q->answer.dst = addr_of_v4(ip.saddr);
        q->answer.proto = ip.protocol;
        return true;
}

static __always_inline bool icmp_quote_v6(struct hook_ctx *ctx, struct icmp_quote *q)
{
        struct v6_extension e;
        struct ipv6hdr ip;
        __u32 size;

        if (q->l3 + sizeof(ip) > q->end || ctx_load(ctx, q->l3, &ip, sizeof(ip)) || *(const __u8 *)&ip >> 4 != 6)
                return false;
        icmp_quote_ends(q, sizeof(ip) + bpf_ntohs(ip.payload_len));
        q->l4 = q->l3 + sizeof(ip);
        __builtin_memcpy(&q->answer.src, &ip.daddr, sizeof(struct addr));
        __builtin_memcpy(&q->answer.dst, &ip.saddr, sizeof(struct addr));
        q->answer.proto = ip.nexthdr;
        for (int i = 0; i < 4 && v6_is_extension(q->answer.proto); i++) {
                if (q->l4 + sizeof(e) > q->end || ctx_load(ctx, q->l4, &e, sizeof(e)))
                        return false;
                if (q->answer.proto == IPPROTO_ROUTING && e.bytes[1])
                        return false;
                if (q->answer.proto == IPPROTO_FRAGMENT && (e.bytes[0] || e.bytes[1] & 0xf8))
                        return false;
                size = q->answer.proto == IPPROTO_FRAGMENT ? sizeof(e) : (e.length + 1) * 8;
                q->answer.proto = e.next;
                q->l4 += size;
        }
        return true;
}

/* The ports, or an echo's identifier where the entry of the other direction has it. */
static __always_inline bool icmp_quote_ports(struct hook_ctx *ctx, struct icmp_quote *q)
{
        struct icmp_header echo;
        __be16 ports[2];

        if (q->l4 + ICMP_MIN_QUOTE > q->end)
                return false;
        if (q->answer.proto == IPPROTO_TCP || q->answer.proto == IPPROTO_UDP || q->answer.proto == IPPROTO_SCTP) {
                if (ctx_load(ctx, q->l4, ports, sizeof(ports)))
                        return false;
                q->answer.sport = ports[1];
                q->answer.dport = ports[0];
                return true;
        }
        if (q->answer.proto != (q->v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) || ctx_load(ctx, q->l4, &echo, sizeof(echo)))
                return false;
        if (echo.type == (q->v4 ? ICMP_ECHO : ICMPV6_ECHO_REQUEST))
                q->answer.dport = echo.id;
        else if (echo.type == (q->v4 ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY))
                q->answer.sport = echo.id;
        else
                return false;
        return true;
}

/* False: it quotes nothing that could be of a flow. */
static __always_inline bool icmp_quote_read(struct hook_ctx *ctx, const struct packet *p, struct icmp_quote *q)
{
        q->v4 = p->flags & PACKET_V4;
        q->l3 = p->l4 + sizeof(struct icmp_header);
        q->end = p->l3 + p->length;
        if (!(q->v4 ? icmp_quote_v4(ctx, q) : icmp_quote_v6(ctx, q)))
                return false;
        return icmp_quote_ports(ctx, q);
}

/* --- writing it: `n` is the entry for its answers, whose new addresses and ports are the quote's, backwards. */

static __always_inline bool icmp_write_addresses(struct hook_ctx *ctx, const struct icmp_quote *q,
                                                 const struct tuple *n, struct icmp_change *c)
{
        struct {
                __u16 check;
                __be32 src, dst;
        } __attribute__((packed)) v4;
        struct addr v6[2];

        c->addresses = sum_addr_change(&q->answer.src, &n->src) + sum_addr_change(&q->answer.dst, &n->dst);
        if (!q->v4) {
                c->total = c->addresses;
                v6[0] = n->dst;
                v6[1] = n->src;
                return !ctx_store(ctx, q->l3 + offsetof(struct ipv6hdr, saddr), v6, sizeof(v6));
        }
        /* The header's checksum takes back what the addresses change. */
        if (ctx_load(ctx, q->l3 + offsetof(struct iphdr, check), &v4.check, sizeof(v4.check)))
                return false;
        v4.check = sum_changed(v4.check, c->addresses);
        v4.src = n->dst.w[3];
        v4.dst = n->src.w[3];
        return !ctx_store(ctx, q->l3 + offsetof(struct iphdr, check), &v4, sizeof(v4));
}

static __always_inline bool icmp_write_ports(struct hook_ctx *ctx, const struct icmp_quote *q, const struct tuple *n,
                                             struct icmp_change *c)
{
        bool echo = q->answer.proto == IPPROTO_ICMP || q->answer.proto == IPPROTO_ICMPV6;
        __be16 ports[2] = {n->dport, n->sport};
        __be16 id = n->sport | n->dport; /* one of them is 0 */

        c->ports = (__u64)ports[0] + (__u16)~q->answer.dport + ports[1] + (__u16)~q->answer.sport;
        c->total += c->ports;
        if (echo)
                return !ctx_store(ctx, q->l4 + offsetof(struct icmp_header, id), &id, sizeof(id));
        return !ctx_store(ctx, q->l4, ports, sizeof(ports));
}

/* Where the quoted packet's own checksum is in its transport header; 0: none that addresses and ports are part of. */
static __always_inline __u32 icmp_check_offset(__u8 proto)
{
        switch (proto) {
        case IPPROTO_TCP:
                return offsetof(struct tcphdr, check);
        case IPPROTO_UDP:
                return offsetof(struct udphdr, check);
        case IPPROTO_ICMP:
        case IPPROTO_ICMPV6:
                return offsetof(struct icmp_header, check);
        default:
                return 0;
        }
}

/* If it was quoted. */
static __always_inline bool icmp_write_check(struct hook_ctx *ctx, const struct icmp_quote *q, struct icmp_change *c)
{
        __u32 at = q->l4 + icmp_check_offset(q->answer.proto);
        __u64 change = c->ports;
        __u16 check, changed;

        if (at == q->l4 || at + 2 > q->end)
                return true;
        if (ctx_load(ctx, at, &check, sizeof(check)))
                return false;
        if (q->answer.proto == IPPROTO_UDP && !check)
                return true;
        if (q->answer.proto != IPPROTO_ICMP)
                change += c->addresses;
        changed = sum_changed(check, change);
        if (q->answer.proto == IPPROTO_UDP && !changed)
                changed = 0xffff;
        c->total += (__u64)changed + (__u16)~check;
        return !ctx_store(ctx, at, &changed, sizeof(changed));
}

/* --- the error itself */

static __always_inline bool icmp_write_outer(struct hook_ctx *ctx, struct packet *p, const struct addr *src,
                                             const struct addr *dst, struct icmp_change *c)
{
        struct {
                __u16 check;
                __be32 src, dst;
        } __attribute__((packed)) v4;
        struct addr v6[2];

        c->outer = sum_addr_change(&p->tuple.src, src) + sum_addr_change(&p->tuple.dst, dst);
        p->tuple.src = *src;
        p->tuple.dst = *dst;
        if (!(p->flags & PACKET_V4)) {
                c->total += c->outer; /* they are in the pseudo header */
                v6[0] = *src;
                v6[1] = *dst;
                return !ctx_store(ctx, p->l3 + offsetof(struct ipv6hdr, saddr), v6, sizeof(v6));
        }
        if (ctx_load(ctx, p->l3 + offsetof(struct iphdr, check), &v4.check, sizeof(v4.check)))
                return false;
        v4.check = sum_changed(v4.check, c->outer);
        v4.src = src->w[3];
        v4.dst = dst->w[3];
        return !ctx_store(ctx, p->l3 + offsetof(struct iphdr, check), &v4, sizeof(v4));
}

static __always_inline bool icmp_write_outer_check(struct hook_ctx *ctx, const struct packet *p, __u64 change)
{
        __u32 at = p->l4 + offsetof(struct icmp_header, check);
        __u16 check;

        if (ctx_load(ctx, at, &check, sizeof(check)))
                return false;
        check = sum_changed(check, change);
        return !ctx_store(ctx, at, &check, sizeof(check));
}

/* From whom the error is. `to` is what the entry makes of the answer's tuple. */
static __always_inline struct addr icmp_source(const struct packet *p, const struct icmp_quote *q,
                                               const struct flow_hit *hit)
{
        __u8 flags = ((union flow_word){.all = hit->word}).flags;
        bool by_other_end = addr_equal(&p->tuple.src, &q->answer.src);
        bool by_node = !(flags & FLOW_REPLY) && !addr_equal(&hit->to.src, &q->answer.src);

        return by_other_end || by_node ? hit->to.src : p->tuple.src;
}

static __always_inline bool icmp_translate(struct hook_ctx *ctx, struct packet *p, const struct icmp_quote *q,
                                           const struct flow_hit *hit)
{
        struct addr src = icmp_source(p, q, hit), dst = hit->to.dst;
        struct icmp_change c = {};

        if (!icmp_write_addresses(ctx, q, &hit->to, &c) || !icmp_write_ports(ctx, q, &hit->to, &c))
                return false;
        if (!icmp_write_check(ctx, q, &c) || !icmp_write_outer(ctx, p, &src, &dst, &c))
                return false;
        return icmp_write_outer_check(ctx, p, c.total);
}

/*
 * REASON_TRANSLATED: the packet is rewritten, and p->tuple has its new addresses, to be routed by. REASON_OK: it is
 * about no flow of ours, or says less than is needed to tell, and is untouched. Errors change nothing of the flow.
 */
__noinline enum reason icmp_error(struct hook_ctx *ctx, struct packet *p)
{
        struct flow_work *w = map_single(&flow_scratch);
        struct icmp_quote q = {};

        if (!p || !w || p->flags & (PACKET_FIRST | PACKET_LATER) || !icmp_quote_read(ctx, p, &q))
                return REASON_OK;
        if (!addr_equal(&q.answer.dst, &p->tuple.dst))
                return REASON_OK;
        if (!flow_find(&q.answer, tuple_hash(&q.answer), clock_now(), &w->hit))
                return REASON_OK;
        return icmp_translate(ctx, p, &q, &w->hit) ? REASON_TRANSLATED : REASON_NO_ROOM;
}

#endif
