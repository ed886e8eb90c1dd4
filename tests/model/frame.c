// SPDX-License-Identifier: Apache-2.0
#include "model/frame.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "model/world.h"

uint16_t get16(const uint8_t *p)
{
        return (uint16_t)(p[0] << 8 | p[1]);
}

void put16(uint8_t *p, unsigned v)
{
        p[0] = (uint8_t)(v >> 8);
        p[1] = (uint8_t)v;
}

void put32(uint8_t *p, uint32_t v)
{
        put16(p, v >> 16);
        put16(p + 2, v & 0xffff);
}

uint16_t sum_of(const uint8_t *p, size_t len, uint32_t sum)
{
        for (size_t i = 0; i < len; i++) {
                sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
                sum = (sum & 0xffff) + (sum >> 16);
        }
        return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static size_t addr_bytes(const struct addr *a, const uint8_t **ret)
{
        *ret = is_v4(a) ? a->b + 12 : a->b;
        return is_v4(a) ? 4 : 16;
}

uint16_t pseudo_sum(const struct addr *src, const struct addr *dst, uint8_t proto, size_t len)
{
        const uint8_t *bytes;
        size_t n = addr_bytes(src, &bytes);
        uint32_t sum = sum_of(bytes, n, (uint32_t)len + proto);

        n = addr_bytes(dst, &bytes);
        return sum_of(bytes, n, sum);
}

uint16_t sum_after(uint16_t check, const void *was, const void *is, size_t len)
{
        uint8_t not_was[64];
        uint32_t sum = (uint16_t)~check + (len % 2 ? 0xffU : 0); /* the complement of the 0 behind an odd byte */

        for (size_t i = 0; i < len; i++)
                not_was[i] = (uint8_t) ~((const uint8_t *)was)[i];
        return (uint16_t)~sum_of(is, len, sum_of(not_was, len, sum));
}

bool is_echo_request(uint8_t type, bool v6)
{
        return type == (v6 ? 128 : 8);
}

bool is_echo_reply(uint8_t type, bool v6)
{
        return type == (v6 ? 129 : 0);
}

bool has_ports(uint8_t proto)
{
        return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

struct tuple tuple_back(const struct tuple *t)
{
        return (struct tuple){.src = t->dst, .dst = t->src, .sport = t->dport, .dport = t->sport, .proto = t->proto};
}

bool same_tuple(const struct tuple *a, const struct tuple *b)
{
        return memcmp(a, b, sizeof(*a)) == 0;
}

size_t check_offset(uint8_t proto, bool v6)
{
        if (proto == IPPROTO_TCP)
                return 16;
        if (proto == IPPROTO_UDP)
                return 6;
        return proto == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) ? 2 : 0;
}

/* --- building */

static void fill(uint8_t *p, size_t from, size_t len)
{
        for (size_t i = 0; i < len; i++)
                p[i] = (uint8_t)((from + i) * 11 + 3);
}

static void finish_sum(uint8_t *l4, size_t len, const struct spec *s)
{
        size_t at = check_offset(s->tuple.proto, s->v6), whole = s->datagram > len ? s->datagram : len;
        uint16_t pseudo = pseudo_sum(&s->tuple.src, &s->tuple.dst, s->tuple.proto, whole), sum;
        uint8_t rest[FRAME_MAX];

        if (!at || s->flags & SPEC_NO_SUM)
                return;
        if (s->tuple.proto == IPPROTO_ICMP)
                pseudo = 0;
        fill(rest, len, whole - len);
        sum = (uint16_t)~sum_of(rest, whole - len, sum_of(l4, len, pseudo));
        if (s->flags & SPEC_BAD_SUM)
                sum = (uint16_t)(sum + 0x1234);
        if (s->flags & SPEC_PSEUDO_SUM)
                sum = pseudo;
        put16(l4 + at, s->tuple.proto == IPPROTO_UDP && !sum ? 0xffff : sum);
}

static size_t build_tcp(uint8_t *p, const struct spec *s)
{
        static const uint8_t options[12] = {2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 1, 0};
        size_t head = s->flags & SPEC_TCP_OPTIONS ? 32 : 20;

        put32(p + 4, s->seq);
        put32(p + 8, s->ack);
        p[12] = (uint8_t)(head / 4 << 4);
        p[13] = s->tcp;
        put16(p + 14, 512);
        memcpy(p + 20, options, head - 20);
        return head;
}

static size_t build_icmp(uint8_t *p, const struct spec *s)
{
        p[0] = s->icmp_type;
        p[1] = s->icmp_code;
        put32(p + 4, s->icmp_rest);
        if (is_echo_request(s->icmp_type, s->v6))
                memcpy(p + 4, &s->tuple.sport, 2);
        else if (is_echo_reply(s->icmp_type, s->v6))
                memcpy(p + 4, &s->tuple.dport, 2);
        return 8;
}

static size_t build_l4(uint8_t *p, const struct spec *s)
{
        size_t head = 0, len;

        if (!s->fragment && has_ports(s->tuple.proto)) {
                memcpy(p, &s->tuple.sport, 2);
                memcpy(p + 2, &s->tuple.dport, 2);
                head = s->tuple.proto == IPPROTO_SCTP ? 12 : 8;
        }
        if (!s->fragment && s->tuple.proto == IPPROTO_TCP)
                head = build_tcp(p, s);
        else if (!s->fragment && check_offset(s->tuple.proto, s->v6) == 2)
                head = build_icmp(p, s);
        if (s->quote)
                memcpy(p + head, s->quote, s->quote_len);
        else
                fill(p + head, s->fragment + head, s->payload);
        len = head + (s->quote ? s->quote_len : s->payload);
        if (!s->fragment && s->tuple.proto == IPPROTO_UDP)
                put16(p + 4, (unsigned)(s->datagram ? s->datagram : len));
        if (!s->fragment)
                finish_sum(p, len, s);
        return len;
}

static size_t build_v4(uint8_t *p, const struct spec *s)
{
        static const uint8_t options[8] = {0x94, 4, 0, 0, 1, 1, 1, 0};
        size_t head = s->flags & SPEC_OPTIONS ? 28 : 20, len;

        p[0] = (uint8_t)(0x40 | head / 4);
        p[1] = s->tos;
        put16(p + 4, s->id);
        put16(p + 6, s->fragment / 8U | (s->flags & SPEC_MORE ? 0x2000U : 0) | (s->flags & SPEC_DF ? 0x4000U : 0));
        p[8] = s->ttl;
        p[9] = s->tuple.proto;
        memcpy(p + 12, s->tuple.src.b + 12, 4);
        memcpy(p + 16, s->tuple.dst.b + 12, 4);
        memcpy(p + 20, options, head - 20);
        len = head + build_l4(p + head, s);
        put16(p + 2, (unsigned)len);
        put16(p + 10, (uint16_t)~sum_of(p, head, 0) ^ (s->flags & SPEC_BAD_HEAD ? 0x00ffU : 0));
        return len;
}

static uint8_t *extend(uint8_t *p, uint8_t **next, uint8_t kind, size_t len)
{
        **next = kind;
        *next = p;
        p[1] = (uint8_t)(len / 8 - 1);
        if (kind != IPPROTO_FRAGMENT && kind != IPPROTO_ROUTING) { /* one PadN */
                p[2] = 1;
                p[3] = (uint8_t)(len - 4);
        }
        return p + len;
}

static uint8_t *build_extensions(uint8_t *p, uint8_t **next, const struct spec *s)
{
        if (s->flags & SPEC_OPTIONS)
                p = extend(p, next, IPPROTO_HOPOPTS, 8);
        for (int i = 0; s->flags & SPEC_DEEP && i < 2 + s->id % 8; i++)
                p = extend(p, next, IPPROTO_DSTOPTS, 8 + 48U * (s->id / 8 % 3));
        if (s->flags & SPEC_ROUTING)
                p = extend(p, next, IPPROTO_ROUTING, 8);
        if (s->flags & (SPEC_MORE | SPEC_ATOMIC) || s->fragment) {
                uint8_t *head = p;

                p = extend(p, next, IPPROTO_FRAGMENT, 8);
                put16(head + 2, s->fragment | (s->flags & SPEC_MORE ? 1U : 0));
                put32(head + 4, s->id);
        }
        if (s->flags & SPEC_OPTIONS && !s->fragment)
                p = extend(p, next, IPPROTO_DSTOPTS, 16);
        return p;
}

static size_t build_v6(uint8_t *p, const struct spec *s)
{
        uint8_t *next = p + 6, *l4;
        size_t len;

        put32(p, 0x60000000U | (uint32_t)s->tos << 20);
        p[7] = s->ttl;
        memcpy(p + 8, &s->tuple.src, 16);
        memcpy(p + 24, &s->tuple.dst, 16);
        l4 = build_extensions(p + 40, &next, s);
        *next = s->tuple.proto;
        len = (size_t)(l4 - p) + build_l4(l4, s);
        put16(p + 4, (unsigned)len - 40);
        return len;
}

void frame_build(const struct spec *spec, struct frame *ret)
{
        uint8_t *p = ret->b;

        memset(ret, 0, sizeof(*ret));
        memcpy(p, spec->dmac, 6);
        memcpy(p + 6, spec->smac, 6);
        p += 12;
        if (spec->flags & (SPEC_TAG | SPEC_TAG_PRIORITY)) {
                put16(p, 0x8100);
                put16(p + 2, spec->flags & SPEC_TAG ? 0x2064 : 0x6000);
                p += 4;
        }
        put16(p, spec->v6 ? 0x86dd : 0x0800);
        p += 2;
        p += spec->v6 ? build_v6(p, spec) : build_v4(p, spec);
        ret->len = (size_t)(p - ret->b) + (spec->flags & SPEC_PADDED ? 7 : 0);
}

/* --- reading */

static bool is_extension(uint8_t kind)
{
        return kind == IPPROTO_HOPOPTS || kind == IPPROTO_ROUTING || kind == IPPROTO_DSTOPTS ||
               kind == IPPROTO_FRAGMENT;
}

static void bad(struct pkt *p)
{
        p->flags |= PKT_BAD;
}

/* RFC 791. A packet may be shorter than its frame, never longer. */
static void read_v4(const struct frame *f, bool gso, struct pkt *p)
{
        const uint8_t *ip = f->b + p->l3;
        size_t there = f->len - p->l3, head, total;
        unsigned fragment;

        if (there < 20)
                return bad(p);
        head = (ip[0] & 15U) * 4;
        total = get16(ip + 2);
        if (!total && gso)
                total = there;
        if (ip[0] >> 4 != 4 || head < 20 || total < head || total > there)
                return bad(p);
        fragment = get16(ip + 6);
        p->flags |= PKT_IP | (fragment & 0x4000 ? PKT_DF : 0);
        if (fragment & 0x1fff)
                p->flags |= PKT_LATER;
        else if (fragment & 0x2000)
                p->flags |= PKT_FIRST;
        p->fragment_id = get16(ip + 4);
        p->end = p->l3 + total;
        p->l4 = p->l3 + head;
        p->tos = ip[1];
        p->ttl = ip[8];
        p->tuple.proto = ip[9];
        p->tuple.src = p->tuple.dst = place_addr(PLACE_NOBODY, 0, false);
        memcpy(p->tuple.src.b + 12, ip + 12, 4);
        memcpy(p->tuple.dst.b + 12, ip + 16, 4);
}

/*
 * RFC 8200, 4. Headers are followed as far as the dataplane promises to: eight of them, the transport header within
 * the first 511 bytes less a TCP header. What is behind is a protocol without ports, as is what a routing header that
 * is still to be followed leads to.
 */
static void read_extensions(const struct frame *f, struct pkt *p)
{
        for (int n = 0; n < 8 && is_extension(p->tuple.proto); n++) {
                const uint8_t *e = f->b + p->l4;
                size_t room = p->end - p->l4, size;

                if (room < 8)
                        return bad(p);
                size = p->tuple.proto == IPPROTO_FRAGMENT ? 8 : 8 + 8U * e[1];
                if (size > room)
                        return bad(p);
                if (p->tuple.proto == IPPROTO_ROUTING && e[3])
                        return;
                if (p->tuple.proto == IPPROTO_FRAGMENT) {
                        p->fragment_id = (uint32_t)get16(e + 4) << 16 | get16(e + 6);
                        if (get16(e + 2) & 0xfff8)
                                p->flags |= PKT_LATER;
                        else if (e[3] & 1)
                                p->flags |= PKT_FIRST;
                }
                if (p->l4 + size + 60 > 511)
                        return;
                p->l4 += size;
                p->tuple.proto = e[0];
                if (p->flags & PKT_LATER)
                        return;
        }
}

/* An IPv4-mapped address must not be on a wire (RFC 4291, 2.5.5.2; RFC 5156, 2.2): it is none of IPv4's here. */
static void read_v6(const struct frame *f, bool gso, struct pkt *p)
{
        const uint8_t *ip = f->b + p->l3;
        size_t there = f->len - p->l3, payload;

        if (there < 40)
                return bad(p);
        payload = get16(ip + 4);
        if (!payload && gso)
                payload = there - 40;
        if (ip[0] >> 4 != 6 || payload > there - 40)
                return bad(p);
        p->flags |= PKT_IP | PKT_V6 | PKT_DF;
        p->end = p->l3 + 40 + payload;
        p->l4 = p->l3 + 40;
        p->tos = (uint8_t)(get16(ip) >> 4);
        p->ttl = ip[7];
        p->tuple.proto = ip[6];
        memcpy(&p->tuple.src, ip + 8, 16);
        memcpy(&p->tuple.dst, ip + 24, 16);
        if (is_v4(&p->tuple.src) || is_v4(&p->tuple.dst))
                return bad(p);
        read_extensions(f, p);
}

static bool is_error_type(uint8_t type, bool v6)
{
        if (v6)
                return type < 128;
        return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static void read_icmp(const uint8_t *l4, struct pkt *p)
{
        bool v6 = p->flags & PKT_V6;

        p->icmp = l4[0];
        if (is_error_type(l4[0], v6)) {
                p->flags |= PKT_ERROR;
        } else if (is_echo_request(l4[0], v6)) {
                p->flags |= PKT_ECHO;
                memcpy(&p->tuple.sport, l4 + 4, 2);
        } else if (is_echo_reply(l4[0], v6)) {
                p->flags |= PKT_ECHO;
                memcpy(&p->tuple.dport, l4 + 4, 2);
        }
}

static bool udp_length_fits(const uint8_t *l4, size_t len, const struct pkt *p)
{
        size_t claimed = get16(l4 + 4);

        if (claimed < 8 && !(claimed == 0 && p->flags & PKT_V6)) /* 0: a jumbogram's */
                return false;
        return claimed <= len || p->flags & PKT_FIRST;
}

static void read_l4(const struct frame *f, struct pkt *p)
{
        const uint8_t *l4 = f->b + p->l4;
        size_t len = p->end - p->l4;
        bool icmp = p->tuple.proto == (p->flags & PKT_V6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);

        if (!has_ports(p->tuple.proto) && !icmp) {
                p->flags |= PKT_UNKNOWN;
                return;
        }
        if (len < (p->tuple.proto == IPPROTO_TCP ? 20U : p->tuple.proto == IPPROTO_SCTP ? 12U : 8U))
                return bad(p);
        if (p->tuple.proto == IPPROTO_TCP && (l4[12] >> 4 < 5 || (l4[12] >> 4) * 4U > len))
                return bad(p);
        if (p->tuple.proto == IPPROTO_UDP && !udp_length_fits(l4, len, p))
                return bad(p);
        if (icmp)
                return read_icmp(l4, p);
        if (p->tuple.proto == IPPROTO_TCP)
                p->tcp = l4[13];
        memcpy(&p->tuple.sport, l4, 2);
        memcpy(&p->tuple.dport, l4 + 2, 2);
}

void frame_read(const struct frame *f, bool gso, struct pkt *ret)
{
        unsigned type;

        *ret = (struct pkt){.l3 = ETH_HEAD};
        if (f->len < ETH_HEAD)
                return bad(ret);
        type = get16(f->b + 12);
        for (int i = 0; i < 2 && (type == 0x8100 || type == 0x88a8); i++) {
                if (ret->l3 + 4 > f->len)
                        return bad(ret);
                ret->flags |= get16(f->b + ret->l3) & 0xfff ? PKT_TAGGED : PKT_PRIORITY;
                type = get16(f->b + ret->l3 + 2);
                ret->l3 += 4;
        }
        if (type == 0x0800)
                read_v4(f, gso, ret);
        else if (type == 0x86dd)
                read_v6(f, gso, ret);
        if (ret->flags & PKT_IP && !(ret->flags & (PKT_BAD | PKT_LATER)))
                read_l4(f, ret);
}

/* --- what an error quotes */

static bool quote_v4(const uint8_t *b, struct quote *q)
{
        const uint8_t *ip = b + q->l3;

        if (q->l3 + 20 > q->end || ip[0] >> 4 != 4 || (ip[0] & 15) < 5 || get16(ip + 6) & 0x1fff)
                return false;
        if (q->l3 + get16(ip + 2) < q->end) /* what is behind the quoted packet is none of it: RFC 4884 */
                q->end = q->l3 + get16(ip + 2);
        q->l4 = q->l3 + (ip[0] & 15U) * 4;
        q->tuple.src = q->tuple.dst = place_addr(PLACE_NOBODY, 0, false);
        memcpy(q->tuple.src.b + 12, ip + 12, 4);
        memcpy(q->tuple.dst.b + 12, ip + 16, 4);
        q->tuple.proto = ip[9];
        return true;
}

static bool quote_v6(const uint8_t *b, struct quote *q)
{
        const uint8_t *ip = b + q->l3;

        if (q->l3 + 40 > q->end || ip[0] >> 4 != 6)
                return false;
        if (q->l3 + 40 + get16(ip + 4) < q->end)
                q->end = q->l3 + 40U + get16(ip + 4);
        q->l4 = q->l3 + 40;
        memcpy(&q->tuple.src, ip + 8, 16);
        memcpy(&q->tuple.dst, ip + 24, 16);
        q->tuple.proto = ip[6];
        for (int i = 0; i < 4 && is_extension(q->tuple.proto); i++) {
                const uint8_t *e = b + q->l4;
                bool fragment = q->tuple.proto == IPPROTO_FRAGMENT;

                if (q->l4 + 8 > q->end || (q->tuple.proto == IPPROTO_ROUTING && e[3]))
                        return false;
                if (fragment && get16(e + 2) & 0xfff8)
                        return false;
                q->tuple.proto = e[0];
                q->l4 += fragment ? 8 : 8 + 8U * e[1];
        }
        return true;
}

bool frame_quote(const struct frame *f, const struct pkt *p, struct quote *ret)
{
        bool v6 = p->flags & PKT_V6;
        const uint8_t *l4;

        *ret = (struct quote){.l3 = p->l4 + 8, .end = p->end};
        if (!(v6 ? quote_v6(f->b, ret) : quote_v4(f->b, ret)) || ret->l4 + 8 > ret->end)
                return false;
        if (v6 && (is_v4(&ret->tuple.src) || is_v4(&ret->tuple.dst)))
                return false;
        l4 = f->b + ret->l4;
        if (has_ports(ret->tuple.proto)) {
                memcpy(&ret->tuple.sport, l4, 2);
                memcpy(&ret->tuple.dport, l4 + 2, 2);
                return true;
        }
        if (ret->tuple.proto != (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
                return false;
        if (is_echo_request(l4[0], v6))
                memcpy(&ret->tuple.sport, l4 + 4, 2);
        else if (is_echo_reply(l4[0], v6))
                memcpy(&ret->tuple.dport, l4 + 4, 2);
        else
                return false;
        return true;
}
