/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Answers to packets that go no further: a TCP reset, or an ICMP error. The packet becomes its answer in place, with
 * the Ethernet addresses swapped, and reject_send gives it back to where it came from. At TC only: XDP hands what it
 * would refuse to the uplink's program, since no device promises that XDP_TX works.
 *
 * An answer needs the packet as it came, so whoever translates asks for a route and the room on it first.
 *
 * Checksums. A packet that has not left its host yet is mostly CHECKSUM_PARTIAL: its L4 checksum field holds the sum of
 * the pseudo header, and the device completes it at a place that the kernel remembers. Programs can neither see nor
 * change that, but growing and shrinking behind the Ethernet header leaves the place on the bytes it belongs to: the
 * TCP header of a reset, or the quoted one of an ICMP error, for whose checksum the outcome is known beforehand.
 */
#pragma once

#include "clock.h"
#include "parse.h"
#include "sum.h"

#define REJECT_QUOTE_V4 548  /* of the packet that an error is about: 576 in all (RFC 1812, 4.3.2.3) */
#define REJECT_QUOTE_V6 1232 /* 1280 in all (RFC 4443, 3.1) */
#define REJECT_CHUNK    32   /* on the stack, of which kernels before 6.9 round every frame up to 32 */

/* Answers a second and object. Errors are for people and path MTUs; a reset ends a wait. */
#define REJECT_ICMP_PER_S 1000
#define REJECT_RST_PER_S  20000

enum {
        REJECT_RESET = 0, /* no ICMP type that is an error */
        ICMP4_HOST = 1,   /* codes of "unreachable" */
        ICMP4_PROTOCOL = 2,
        ICMP4_PORT = 3,
        ICMP4_TOO_BIG = 4,
        ICMP4_PROHIBITED = 13,
        ICMP6_PROHIBITED = 1,
        ICMP6_ADDRESS = 3,
        ICMP6_PORT = 4,
};

struct refusal {
        struct addr src, dst; /* of the answer */
        __u32 l3, l4, end;    /* of the packet: offsets; end: without padding */
        __u32 mtu;            /* of too big */
        __u8 proto;           /* of the packet */
        bool v6;
        __u8 type, code; /* of the ICMP error; or REJECT_RESET */
};

/* --- what is never answered */

/* Each object's own: the running second, and how many were sent in it. */
struct reject_rate {
        __u32 second, sent;
};
static struct reject_rate reject_rates[2];

/* A limit for all CPUs together, to the accuracy that races leave. */
static __always_inline bool reject_rate_ok(bool icmp)
{
        struct reject_rate *rate = &reject_rates[icmp];
        __u32 second = clock_now(), limit = icmp ? REJECT_ICMP_PER_S : REJECT_RST_PER_S;

        if (READ_ONCE(rate->second) != second) {
                WRITE_ONCE(rate->second, second);
                WRITE_ONCE(rate->sent, 0);
        }
        if (READ_ONCE(rate->sent) >= limit)
                return false;
        __sync_fetch_and_add(&rate->sent, 1);
        return true;
}

/* RFC 1122, 3.2.2 and RFC 4443, 2.4: never to or about a group, or to an address that is nobody's alone. */
static __always_inline bool reject_unicast(const struct addr *a, __u16 hook)
{
        __u32 v4 = bpf_ntohl(a->w[3]);

        if (hook == HOOK_TO_LO && addr_is_loopback(a))
                return true;

        if (addr_is_v4(a))
                return v4 >> 24 && v4 >> 24 != 127 && v4 >> 24 < 224;
        return a->b[0] != 0xff && (a->w[0] | a->w[1] | a->w[2]);
}

/* Of the packet from there to its end. */
static __noinline __u64 reject_sum_packet(struct __sk_buff *skb, __u32 from, __u32 end)
{
        __u8 chunk[REJECT_CHUNK] __attribute__((aligned(8)));
        __u64 sum = 0;

        for (int i = 0; i <= REJECT_QUOTE_V6 / REJECT_CHUNK && from + REJECT_CHUNK <= end; i++) {
                if (bpf_skb_load_bytes(skb, from, chunk, REJECT_CHUNK))
                        return 0;
                sum += sum_words(chunk, REJECT_CHUNK);
                from += REJECT_CHUNK;
        }
        if (from >= end)
                return sum;
        __builtin_memset(chunk, 0, sizeof(chunk));
        /* Never 0 bytes, in a way that the verifier of Linux 6.1 sees, too. */
        if (bpf_skb_load_bytes(skb, from, chunk, BOUND(end - from - 1, REJECT_CHUNK - 1) + 1))
                return sum;
        return sum + sum_words(chunk, REJECT_CHUNK);
}

/* --- headers */

/* Ethernet and IP in front of len bytes. */
static __noinline long reject_head(struct __sk_buff *skb, const struct refusal *r, __u8 proto, __u32 len)
{
        __u8 mac[12], swapped[12];

        if (bpf_skb_load_bytes(skb, 0, mac, sizeof(mac)))
                return -1;
        __builtin_memcpy(swapped, mac + 6, 6);
        __builtin_memcpy(swapped + 6, mac, 6);
        if (bpf_skb_store_bytes(skb, 0, swapped, sizeof(swapped), 0))
                return -1;
        if (r->v6) {
                struct ipv6hdr ip = {.version = 6, .nexthdr = proto, .hop_limit = 64, .payload_len = bpf_htons(len)};

                __builtin_memcpy(&ip.saddr, &r->src, 16);
                __builtin_memcpy(&ip.daddr, &r->dst, 16);
                return bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), 0);
        }
        struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = proto, .frag_off = bpf_htons(0x4000)};

        ip.tos = proto == IPPROTO_ICMP ? 0xc0 : 0; /* errors have precedence 6: RFC 1812, 4.3.2.5 */
        ip.tot_len = bpf_htons(sizeof(ip) + len);
        ip.saddr = r->src.w[3];
        ip.daddr = r->dst.w[3];
        ip.check = ~sum_fold(sum_words(&ip, sizeof(ip)));
        return bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), 0);
}

static __always_inline __u32 reject_ip_len(const struct refusal *r)
{
        return r->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
}

/* --- TCP */

/* RFC 9293, 3.10.7.1: a segment for a connection that is not there. */
static __always_inline void reject_reset_header(const struct tcphdr *in, __u32 segment, struct tcphdr *ret)
{
        *ret = (struct tcphdr){.source = in->dest, .dest = in->source, .doff = sizeof(*ret) / 4, .rst = 1};
        if (in->ack) {
                ret->seq = in->ack_seq;
                return;
        }
        ret->ack = 1;
        ret->ack_seq = bpf_htonl(bpf_ntohl(in->seq) + segment + in->syn + in->fin);
}

static __always_inline long reject_reset(struct __sk_buff *skb, const struct refusal *r)
{
        __u32 options = r->l4 - r->l3 - reject_ip_len(r), l4 = r->l3 + reject_ip_len(r);
        struct tcphdr in, out;
        bool partial;

        if (bpf_skb_load_bytes(skb, r->l4, &in, sizeof(in)) || in.rst || r->l4 + in.doff * 4 > r->end)
                return -1;
        reject_reset_header(&in, r->end - r->l4 - in.doff * 4, &out);
        /* The kernel refuses to cut off a checksum that is still to be completed, and so tells that this one is. */
        partial = bpf_skb_change_tail(skb, r->l4 + offsetof(struct tcphdr, check), 0);
        if (bpf_skb_change_tail(skb, r->l4 + sizeof(out), 0))
                return -1;
        if (options && bpf_skb_adjust_room(skb, -(__s32)options, BPF_ADJ_ROOM_MAC, 0))
                return -1;
        out.check = sum_fold(sum_pseudo(&r->src, &r->dst, IPPROTO_TCP, sizeof(out)));
        if (!partial)
                out.check = ~sum_fold(sum_words(&out, sizeof(out)));
        if (bpf_skb_store_bytes(skb, l4, &out, sizeof(out), 0))
                return -1;
        return reject_head(skb, r, IPPROTO_TCP, sizeof(out));
}

/* --- ICMP */

/* The L4 checksum of the packet is still to be completed: its field holds the pseudo header's sum. One packet of 65536
 * looks like it by chance, and gets an error with a wrong checksum. */
static __always_inline bool reject_is_partial(struct __sk_buff *skb, const struct refusal *r, const struct tuple *t,
                                              __be16 *ret_field)
{
        __u32 at = r->proto == IPPROTO_TCP ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check);

        if (r->proto != IPPROTO_TCP && r->proto != IPPROTO_UDP)
                return false;
        if (bpf_skb_load_bytes(skb, r->l4 + at, ret_field, 2))
                return false;
        return *ret_field && *ret_field == sum_fold(sum_pseudo(&t->src, &t->dst, r->proto, r->end - r->l4));
}

struct reject_icmp {
        __u8 type, code;
        __u16 check;
        __be32 mtu; /* IPv4: the lower half of it, the upper one is unused */
};

static __always_inline long reject_icmp(struct __sk_buff *skb, const struct refusal *r, const struct tuple *t)
{
        __u32 limit = r->v6 ? REJECT_QUOTE_V6 : REJECT_QUOTE_V4, len = r->end - r->l3, head = reject_ip_len(r) + 8;
        struct reject_icmp icmp = {.type = r->type, .code = r->code, .mtu = bpf_htonl(r->mtu)};
        __u8 proto = r->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
        __be16 field = 0;
        __u64 sum;

        if (len > limit)
                len = limit;
        if (reject_is_partial(skb, r, t, &field))
                sum = reject_sum_packet(skb, r->l3, r->l4) + (__u16)~field;
        else
                sum = reject_sum_packet(skb, r->l3, r->l3 + len);
        /* Also when nothing is cut off: it makes a packet of what was several for the device. */
        if (bpf_skb_change_tail(skb, r->l3 + len, 0) || bpf_skb_adjust_room(skb, head, BPF_ADJ_ROOM_MAC, 0))
                return -1;
        sum += sum_words(&icmp, sizeof(icmp));
        if (r->v6)
                sum += sum_pseudo(&r->src, &r->dst, proto, sizeof(icmp) + len);
        icmp.check = ~sum_fold(sum);
        if (bpf_skb_store_bytes(skb, r->l3 + head - 8, &icmp, sizeof(icmp), 0))
                return -1;
        return reject_head(skb, r, proto, sizeof(icmp) + len);
}

/* --- which answer */

/* False: none. */
static __always_inline bool reject_kind(const struct packet *p, enum reason why, struct refusal *r)
{
        bool v6 = r->v6, icmp = r->proto == IPPROTO_ICMP || r->proto == IPPROTO_ICMPV6;

        if (icmp && p->icmp != (v6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO))
                return false;
        r->type = v6 ? ICMPV6_DEST_UNREACH : ICMP_DEST_UNREACH;
        switch (why) {
        case REASON_TTL:
                r->type = v6 ? ICMPV6_TIME_EXCEED : ICMP_TIME_EXCEEDED;
                return true;
        case REASON_TOO_BIG:
                r->type = v6 ? ICMPV6_PKT_TOOBIG : ICMP_DEST_UNREACH;
                r->code = v6 ? 0 : ICMP4_TOO_BIG;
                r->mtu = p->mtu;
                return p->flags & PACKET_DONT_FRAGMENT || p->hook == HOOK_TO_LO; /* an own process's: heeded anyway */
        case REASON_NO_ROUTE:
                r->code = v6 ? ICMP6_ADDRESS : ICMP4_HOST;
                return true;
        default:
                break;
        }
        if (r->proto == IPPROTO_TCP)
                r->type = REJECT_RESET;
        else if (icmp)
                r->code = v6 ? ICMP6_PROHIBITED : ICMP4_PROHIBITED;
        else if (p->flags & PACKET_UNKNOWN_L4)
                r->code = v6 ? ICMP6_PORT : ICMP4_PROTOCOL;
        else
                r->code = v6 ? ICMP6_PORT : ICMP4_PORT;
        return true;
}

/* A service answers for itself; what the network cannot do, the node says. */
static __always_inline void reject_source(const struct packet *p, enum reason why, struct refusal *r)
{
        const struct node *n = map_single(&node);

        r->src = p->tuple.dst;
        r->dst = p->tuple.src;
        if (!n || (why != REASON_TTL && why != REASON_TOO_BIG && why != REASON_NO_ROUTE))
                return;
        if (!addr_is_zero(r->v6 ? &n->v6 : &n->v4))
                r->src = r->v6 ? n->v6 : n->v4;
}

/* --- sending it */

/* The way that the packet came through the tunnel, backwards. */
static __always_inline bool reject_tunnel(struct __sk_buff *skb)
{
        struct bpf_tunnel_key key = {};
        __u64 flags = 0;

        if (bpf_skb_get_tunnel_key(skb, &key, sizeof(key), flags)) {
                flags = BPF_F_TUNINFO_IPV6;
                if (bpf_skb_get_tunnel_key(skb, &key, sizeof(key), flags))
                        return false;
        }
        if (!flags)
                key.local_ipv4 = 0;
        else
                __builtin_memset(key.local_ipv6, 0, sizeof(key.local_ipv6));
        key.tunnel_tos = 0;
        key.tunnel_ttl = 64;
        return !bpf_skb_set_tunnel_key(skb, &key, sizeof(key), flags);
}

static __always_inline int reject_send(struct __sk_buff *skb, __u16 hook)
{
        if (hook == HOOK_TO_UPLINK || hook == HOOK_TO_OVERLAY || hook == HOOK_TO_POD || hook == HOOK_TO_LO)
                return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
        if (hook == HOOK_OVERLAY && !reject_tunnel(skb))
                return TC_ACT_SHOT;
        if (hook == HOOK_FROM_POD && knobs.flags & KNOB_REDIRECT_PEER)
                return bpf_redirect_peer(skb->ifindex, 0);
        skb->mark |= knobs.mark;
        return bpf_redirect(skb->ifindex, 0);
}

/*
 * Makes the answer of the packet, which is still as it came, and sends it: REASON_REFUSED and p->verdict. `why` itself
 * when nothing may be or could be answered; the packet may be spoiled then, and is to be dropped.
 */
__noinline enum reason reject(struct __sk_buff *ctx, struct packet *p, enum reason why)
{
        const __u16 never = PACKET_LATER | PACKET_ICMP_ERROR;
        struct refusal r = {};

        if (!p || !(p->flags & PACKET_IP) || p->flags & never || p->l3 != ETH_HLEN)
                return why;
        r.l3 = p->l3;
        r.l4 = p->l4;
        r.end = p->l3 + p->length;
        r.proto = p->tuple.proto;
        r.v6 = !(p->flags & PACKET_V4);
        if (!reject_kind(p, why, &r) || (r.type == REJECT_RESET && p->flags & PACKET_FIRST))
                return why;
        reject_source(p, why, &r);
        if (!reject_unicast(&p->tuple.src, p->hook) || !reject_unicast(&p->tuple.dst, p->hook))
                return why;
        if (!reject_rate_ok(r.type != REJECT_RESET))
                return why;
        if (r.type == REJECT_RESET ? reject_reset(ctx, &r) : reject_icmp(ctx, &r, &p->tuple))
                return why;
        p->verdict = reject_send(ctx, p->hook);
        return p->verdict == TC_ACT_SHOT ? why : REASON_REFUSED;
}
