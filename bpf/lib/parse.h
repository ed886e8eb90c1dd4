/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A frame becomes a struct packet: where its headers are, its tuple, and what is special about it. Strict: what the
 * headers contradict is MALFORMED, and only what the kernel would throw away, too. Nobody else looks at headers to find
 * out where something is.
 *
 * The usual frame (no VLAN tag, no IPv6 extension) is read where it lies. Everything rare is behind calls.
 */
#pragma once

#include <linux/icmpv6.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "ctx.h"
#include "bpf/abi/reasons.h"

/* <linux/icmp.h> wants libc's headers of the build machine. */
struct icmp_header {
        __u8 type, code;
        __be16 check;
        __be16 id, sequence; /* of an echo; of errors: unused, and the next hop's MTU */
};

enum icmp_type {
        ICMP_ECHOREPLY = 0,
        ICMP_DEST_UNREACH = 3,
        ICMP_SOURCE_QUENCH = 4,
        ICMP_REDIRECT = 5,
        ICMP_ECHO = 8,
        ICMP_TIME_EXCEEDED = 11,
        ICMP_PARAMETERPROB = 12,
};

enum packet_flags {
        PACKET_IP = 1 << 0,    /* the rest is filled in; else it is ARP or whatever */
        PACKET_V4 = 1 << 1,    /* of the two */
        PACKET_FIRST = 1 << 2, /* the first of several fragments */
        PACKET_LATER = 1 << 3, /* a later one: tuple's ports are 0, there is no transport header */
        PACKET_ICMP_ERROR = 1 << 4,
        PACKET_ECHO = 1 << 5,          /* an ICMP echo request or reply: the identifier is in the tuple */
        PACKET_TAGGED = 1 << 6,        /* there is a VLAN tag other than 0: not of this device's network */
        PACKET_PRIORITY = 1 << 7,      /* there is a VLAN tag 0 (of priority only) */
        PACKET_DONT_FRAGMENT = 1 << 8, /* IPv4's flag, and all of IPv6 */
        PACKET_UNKNOWN_L4 = 1 << 9,    /* no header that we know: the tuple has no ports */
        PACKET_OPTIONS = 1 << 10,      /* IPv4 options or IPv6 extension headers */
};

/* The flags of TCP, as in its 14th byte. */
enum tcp_bits {
        TCP_FIN = 0x01,
        TCP_SYN = 0x02,
        TCP_RST = 0x04,
        TCP_ACK = 0x10,
};

/* How `to` differs from the packet. */
enum packet_change {
        CHANGE_NONE,
        CHANGE_WANTED, /* to be rewritten */
        CHANGE_DONE,   /* it has been: an ICMP error */
};

/*
 * What a program knows of its packet. The first half is the parser's. `to` is what the stages decide it shall become;
 * the packet itself changes last, in one place (nat.h), so that any stage may still refuse it as it came.
 */
struct packet {
        struct tuple tuple __attribute__((aligned(8)));
        __u32 length; /* of the IP packet: header and payload, without padding of the frame */
        __u16 l3, l4; /* offsets of the headers in the frame */
        __u16 flags;  /* enum packet_flags */
        __u8 tcp;     /* enum tcp_bits */
        __u8 icmp;    /* type of ICMP and ICMPv6 */
        __u8 ttl;
        __u8 tos;
        __u16 hook;         /* enum hook */
        __be32 fragment_id; /* of fragments */
        __u32 watch;        /* somebody watches packets: monitor_tell.h */

        struct tuple to __attribute__((aligned(8)));
        int verdict;   /* of REASON_FORWARDED and REASON_REFUSED */
        __u32 service; /* service.id, 0: none */
        __u32 mtu;     /* of REASON_TOO_BIG: of the IP packet */
        __u32 change;  /* enum packet_change */
};

enum {
        PARSE_PULL = 256,   /* what is made readable when headers are not */
        L4_OFFSET_MAX = 511 /* headers further in than that are not looked for */
};

/* Where the transport header is read. All are offsets from the beginning of the frame. */
struct l4_place {
        __u32 offset, length; /* of header and payload */
};

enum parse_result {
        PARSE_DONE,
        PARSE_BAD,   /* the packet is too short */
        PARSE_SHORT, /* what is readable of it is */
};

static __always_inline int parse_tcp(const struct tcphdr *t, const void *end, __u32 length, struct packet *p)
{
        __u32 header;

        if (length < sizeof(*t))
                return PARSE_BAD;
        if ((const void *)(t + 1) > end)
                return PARSE_SHORT;
        header = (((const __u8 *)t)[12] >> 4) * 4;
        if (header < sizeof(*t) || header > length)
                return PARSE_BAD;
        p->tuple.sport = t->source;
        p->tuple.dport = t->dest;
        p->tcp = ((const __u8 *)t)[13];
        return PARSE_DONE;
}

static __always_inline int parse_udp(const struct udphdr *u, const void *end, __u32 length, struct packet *p)
{
        __u32 claimed;

        if (length < sizeof(*u))
                return PARSE_BAD;
        if ((const void *)(u + 1) > end)
                return PARSE_SHORT;
        claimed = bpf_ntohs(u->len);
        if (claimed < sizeof(*u) && !(claimed == 0 && !(p->flags & PACKET_V4)))
                return PARSE_BAD;
        if (claimed > length && !(p->flags & PACKET_FIRST))
                return PARSE_BAD;
        p->tuple.sport = u->source;
        p->tuple.dport = u->dest;
        return PARSE_DONE;
}

/* SCTP's first 8 bytes are ports and the tag. */
static __always_inline int parse_sctp(const __be16 *ports, const void *end, __u32 length, struct packet *p)
{
        if (length < 12)
                return PARSE_BAD;
        if ((const void *)(ports + 2) > end)
                return PARSE_SHORT;
        p->tuple.sport = ports[0];
        p->tuple.dport = ports[1];
        return PARSE_DONE;
}

static __always_inline bool icmp_is_error(__u8 type, bool v4)
{
        if (!v4)
                return type < 128;
        return type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH || type == ICMP_REDIRECT ||
               type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
}

/* Both have type, code, checksum, and the echo's identifier at the same places. */
static __always_inline int parse_icmp(const struct icmp_header *i, const void *end, __u32 length, struct packet *p)
{
        bool v4 = p->flags & PACKET_V4;

        if (length < sizeof(*i))
                return PARSE_BAD;
        if ((const void *)(i + 1) > end)
                return PARSE_SHORT;
        p->icmp = i->type;
        if (icmp_is_error(i->type, v4)) {
                p->flags |= PACKET_ICMP_ERROR;
        } else if (i->type == (v4 ? ICMP_ECHO : ICMPV6_ECHO_REQUEST)) {
                p->flags |= PACKET_ECHO;
                p->tuple.sport = i->id;
        } else if (i->type == (v4 ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY)) {
                p->flags |= PACKET_ECHO;
                p->tuple.dport = i->id;
        }
        return PARSE_DONE;
}

static __always_inline int parse_l4(const struct hook_ctx *ctx, const struct l4_place *at, struct packet *p)
{
        const void *header = ctx_data(ctx) + BOUND(at->offset, L4_OFFSET_MAX), *end = ctx_end(ctx);

        switch (p->tuple.proto) {
        case IPPROTO_TCP:
                return parse_tcp(header, end, at->length, p);
        case IPPROTO_UDP:
                return parse_udp(header, end, at->length, p);
        case IPPROTO_SCTP:
                return parse_sctp(header, end, at->length, p);
        case IPPROTO_ICMP:
                if (p->flags & PACKET_V4)
                        return parse_icmp(header, end, at->length, p);
                break;
        case IPPROTO_ICMPV6:
                if (!(p->flags & PACKET_V4))
                        return parse_icmp(header, end, at->length, p);
                break;
        }
        p->flags |= PACKET_UNKNOWN_L4;
        return PARSE_DONE;
}

static __always_inline int parse_v4(struct hook_ctx *ctx, __u32 l3, struct packet *p, struct l4_place *ret)
{
        const struct iphdr *ip = ctx_data(ctx) + l3;
        __u32 header, total, fragment, there = ctx_length_from(ctx, l3 + sizeof(*ip)) - l3;

        if (there < sizeof(*ip))
                return PARSE_BAD;
        if ((const void *)(ip + 1) > ctx_end(ctx))
                return PARSE_SHORT;
        header = (*(const __u8 *)ip & 15) * 4;
        total = bpf_ntohs(ip->tot_len);
        if (!total && ctx_is_gso(ctx)) /* larger than its field can say ("BIG TCP") */
                total = there;
        if (total > there)
                there = ctx_length(ctx) - l3;
        if (*(const __u8 *)ip >> 4 != 4 || header < sizeof(*ip) || total < header || total > there)
                return PARSE_BAD;
        p->flags |= PACKET_IP | PACKET_V4;
        if (header > sizeof(*ip))
                p->flags |= PACKET_OPTIONS;
        p->length = total;
        p->ttl = ip->ttl;
        p->tos = ip->tos;
        p->tuple.src = addr_of_v4(ip->saddr);
        p->tuple.dst = addr_of_v4(ip->daddr);
        p->tuple.proto = ip->protocol;
        fragment = bpf_ntohs(ip->frag_off);
        if (fragment & 0x4000)
                p->flags |= PACKET_DONT_FRAGMENT;
        if (fragment & 0x3fff) {
                p->fragment_id = ip->id;
                p->flags |= fragment & 0x1fff ? PACKET_LATER : PACKET_FIRST;
        }
        ret->offset = l3 + header;
        ret->length = total - header;
        return PARSE_DONE;
}

struct v6_extension {
        __u8 next, length, bytes[6];
};

/*
 * Goes over the extension headers to the transport header; p->tuple.proto is the first one's number at first. Headers
 * are read by a helper, wherever in the packet they are. A routing header that is still to be followed, an
 * authentication header, and whatever is too long or too deep: a protocol without ports, which nothing translates.
 */
__noinline int parse_v6_extensions(struct hook_ctx *ctx, struct packet *p, struct l4_place *at)
{
        struct v6_extension e = {};
        __u32 size;

        if (!p || !at)
                return PARSE_BAD;
        p->flags |= PACKET_OPTIONS;
        for (int i = 0; i < 8; i++) {
                __u8 kind = p->tuple.proto;

                if (kind != IPPROTO_HOPOPTS && kind != IPPROTO_ROUTING && kind != IPPROTO_DSTOPTS &&
                    kind != IPPROTO_FRAGMENT)
                        return PARSE_DONE;
                if (at->length < sizeof(e) || ctx_load(ctx, at->offset, &e, sizeof(e)))
                        return PARSE_BAD;
                size = kind == IPPROTO_FRAGMENT ? sizeof(e) : (e.length + 1) * 8;
                if (size > at->length)
                        return PARSE_BAD;
                if (kind == IPPROTO_ROUTING && e.bytes[1])
                        return PARSE_DONE;
                if (kind == IPPROTO_FRAGMENT) {
                        __u16 place = (__u16)e.bytes[0] << 8 | e.bytes[1];

                        __builtin_memcpy(&p->fragment_id, &e.bytes[2], 4);
                        if (place & 0xfff8)
                                p->flags |= PACKET_LATER;
                        else if (place & 1)
                                p->flags |= PACKET_FIRST;
                }
                if (at->offset + size + 60 > L4_OFFSET_MAX)
                        return PARSE_DONE;
                at->offset += size;
                at->length -= size;
                p->tuple.proto = e.next;
                if (p->flags & PACKET_LATER)
                        return PARSE_DONE;
        }
        return PARSE_DONE;
}

static __always_inline bool v6_is_extension(__u8 next)
{
        return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
               next == IPPROTO_FRAGMENT;
}

static __always_inline int parse_v6(struct hook_ctx *ctx, __u32 l3, struct packet *p, struct l4_place *ret)
{
        const struct ipv6hdr *ip = ctx_data(ctx) + l3;
        __u32 payload, there = ctx_length_from(ctx, l3 + sizeof(*ip)) - l3;

        if (there < sizeof(*ip))
                return PARSE_BAD;
        if ((const void *)(ip + 1) > ctx_end(ctx))
                return PARSE_SHORT;
        payload = bpf_ntohs(ip->payload_len);
        if (!payload && ctx_is_gso(ctx))
                payload = there - sizeof(*ip);
        if (payload > there - sizeof(*ip))
                there = ctx_length(ctx) - l3;
        if (*(const __u8 *)ip >> 4 != 6 || payload > there - sizeof(*ip))
                return PARSE_BAD;
        p->flags |= PACKET_IP | PACKET_DONT_FRAGMENT;
        p->length = sizeof(*ip) + payload;
        p->ttl = ip->hop_limit;
        p->tos = (__u8)(bpf_ntohs(*(const __be16 *)ip) >> 4);
        __builtin_memcpy(&p->tuple.src, &ip->saddr, sizeof(struct addr));
        __builtin_memcpy(&p->tuple.dst, &ip->daddr, sizeof(struct addr));
        /* An IPv4-mapped address is on no wire (RFC 5156, 2.2), and here it would be taken for IPv4's own. */
        if (addr_is_v4(&p->tuple.src) || addr_is_v4(&p->tuple.dst))
                return PARSE_BAD;
        p->tuple.proto = ip->nexthdr;
        ret->offset = l3 + sizeof(*ip);
        ret->length = payload;
        if (v6_is_extension(ip->nexthdr))
                return parse_v6_extensions(ctx, p, ret);
        return PARSE_DONE;
}

/* VLAN tags in the frame itself, two at most. *l3 is behind them. */
static __always_inline int parse_tags(const struct hook_ctx *ctx, struct packet *p, __u32 *l3, __be16 *type)
{
        for (int i = 0; i < 2; i++) {
                const __be16 *tag = ctx_data(ctx) + *l3;

                if (*type != bpf_htons(ETH_P_8021Q) && *type != bpf_htons(ETH_P_8021AD))
                        return PARSE_DONE;
                if ((const void *)(tag + 2) > ctx_end(ctx))
                        return PARSE_SHORT;
                p->flags |= bpf_ntohs(tag[0]) & 0xfff ? PACKET_TAGGED : PACKET_PRIORITY;
                *type = tag[1];
                *l3 += 4;
        }
        return PARSE_DONE;
}

static __always_inline int parse_once(struct hook_ctx *ctx, struct packet *p)
{
        const struct ethhdr *eth = ctx_data(ctx);
        struct l4_place at = {};
        __u32 l3 = sizeof(*eth);
        int r = PARSE_DONE, vlan = ctx_vlan(ctx);
        __be16 type;

        if ((const void *)(eth + 1) > ctx_end(ctx))
                return PARSE_SHORT;
        type = eth->h_proto;
        p->flags = vlan < 0 ? 0 : vlan ? PACKET_TAGGED : PACKET_PRIORITY;
        if (type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD))
                r = parse_tags(ctx, p, &l3, &type);
        if (r)
                return r;
        p->l3 = l3;
        if (type == bpf_htons(ETH_P_IP))
                r = parse_v4(ctx, l3, p, &at);
        else if (type == bpf_htons(ETH_P_IPV6))
                r = parse_v6(ctx, l3, p, &at);
        else
                return PARSE_DONE;
        if (r)
                return r;
        p->l4 = at.offset;
        return p->flags & PACKET_LATER ? PARSE_DONE : parse_l4(ctx, &at, p);
}

/* *p is all zero before. REASON_OK, or REASON_MALFORMED with as much filled in as was found. */
static __always_inline enum reason packet_parse(struct hook_ctx *ctx, struct packet *p)
{
        int r = parse_once(ctx, p);
        __u32 want;

        if (r == PARSE_SHORT) { /* rare: the headers are not in the skb's linear part */
                want = ctx_length(ctx);
                if (!ctx_pull(ctx, want < PARSE_PULL ? want : PARSE_PULL))
                        return REASON_MALFORMED;
                r = parse_once(ctx, p);
        }
        return r ? REASON_MALFORMED : REASON_OK;
}
