// SPDX-License-Identifier: Apache-2.0
#include "bpf/packet.h"

#include <arpa/inet.h>
#include <assert.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
        const char *v4, *v6, *name;
} people[WHO_COUNT] = {
        [NOBODY] = {"0.0.0.0", "::", "nobody"},
        [POD_A] = {"10.244.1.5", "fd00:1::5", "pod A"},
        [POD_B] = {"10.244.1.6", "fd00:1::6", "pod B"},
        [POD_R] = {"10.244.2.5", "fd00:2::5", "remote pod"},
        [POD_R2] = {"10.244.2.6", "fd00:2::6", "remote pod 2"},
        [GHOST] = {"10.244.1.99", "fd00:1::99", "no pod"},
        [NODE] = {"192.0.2.1", "2001:db8::1", "node"},
        [NODE2] = {"192.0.2.2", "2001:db8::2", "other node"},
        [CLIENT] = {"198.51.100.7", "2001:db8:5::7", "client"},
        [CLIENT2] = {"198.51.100.8", "2001:db8:5::8", "client 2"},
        [SERVER] = {"203.0.113.200", "2001:db8:6::200", "server"},
        [ROUTER] = {"192.0.2.254", "2001:db8::254", "router"},
        [VIP] = {"10.96.0.10", "fd00:96::10", "VIP"},
        [VIP2] = {"10.96.0.11", "fd00:96::11", "VIP 2"},
        [VIP_NONE] = {"10.96.0.99", "fd00:96::99", "no VIP"},
        [LB] = {"203.0.113.10", "2001:db8:7::10", "load balancer"},
        [ANY] = {"0.0.0.0", "::", "any"},
        [GROUP] = {"224.0.0.251", "ff02::fb", "group"},
        [LOOPBACK] = {"127.0.0.1", "::1", "loopback"},
};

static const uint8_t macs[][6] = {
        [MAC_NONE] = {0},
        [MAC_POD_A] = {2, 0, 0, 0, 0, 0xa},
        [MAC_POD_B] = {2, 0, 0, 0, 0, 0xb},
        [MAC_GATEWAY] = {2, 0, 0, 0, 0, 0x9},
        [MAC_UPLINK] = {2, 0, 0, 0, 1, 1},
        [MAC_ROUTER] = {2, 0, 0, 0, 1, 0xfe},
        [MAC_NODE2] = {2, 0, 0, 0, 1, 2},
        [MAC_VXLAN] = {2, 0, 0, 0, 2, 1},
        [MAC_GROUP] = {1, 0, 0x5e, 0, 0, 0xfb},
        [MAC_ALL] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
};

struct addr packet_addr(enum who who, int family)
{
        struct addr a = {0};

        assert(who < WHO_COUNT);
        if (family == 6) {
                assert(inet_pton(AF_INET6, people[who].v6, a.b) == 1);
                return a;
        }
        a.w[2] = htonl(0xffff);
        assert(inet_pton(AF_INET, people[who].v4, &a.w[3]) == 1);
        return a;
}

const uint8_t *packet_mac(enum mac mac)
{
        return macs[mac];
}

const char *packet_who(const struct addr *a)
{
        for (enum who who = 0; who < WHO_COUNT; who++) {
                struct addr v4 = packet_addr(who, 4), v6 = packet_addr(who, 6);

                if (memcmp(a, &v4, sizeof(v4)) == 0 || memcmp(a, &v6, sizeof(v6)) == 0)
                        return people[who].name;
        }
        return "a stranger";
}

uint8_t packet_proto(uint8_t proto, int family)
{
        return proto == IPPROTO_ICMP && family == 6 ? IPPROTO_ICMPV6 : proto;
}

struct tuple packet_tuple(const struct packet_spec *spec, int family)
{
        struct tuple t = {
                .src = packet_addr(spec->src, family),
                .dst = packet_addr(spec->dst, family),
                .sport = htons(spec->sport),
                .dport = htons(spec->dport),
                .proto = packet_proto(spec->proto, family),
        };

        return t;
}

uint32_t packet_sum(const void *data, size_t len, uint32_t sum)
{
        const uint8_t *p = data;

        for (size_t i = 0; i + 1 < len; i += 2)
                sum += (uint32_t)(p[i] << 8 | p[i + 1]);
        if (len % 2)
                sum += (uint32_t)(p[len - 1] << 8);
        return (sum & 0xffff) + (sum >> 16);
}

uint16_t packet_fold(uint32_t sum)
{
        sum = (sum & 0xffff) + (sum >> 16);
        return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static void put16(uint8_t *p, uint16_t v)
{
        p[0] = (uint8_t)(v >> 8);
        p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
        put16(p, (uint16_t)(v >> 16));
        put16(p + 2, (uint16_t)v);
}

/* Of the pseudo header: both addresses, length and protocol. An IPv4-mapped address has 0xffff more, which is nothing
 * in ones' complement. */
static uint32_t pseudo_sum(const struct packet_spec *spec, int family, size_t len)
{
        struct addr src = packet_addr(spec->src, family), dst = packet_addr(spec->dst, family);
        uint32_t sum = (uint32_t)len + packet_proto(spec->proto, family);

        return packet_sum(&dst, sizeof(dst), packet_sum(&src, sizeof(src), sum));
}

static uint8_t payload_byte(size_t i)
{
        return (uint8_t)(i * 7 + 1);
}

static void fill_payload(uint8_t *p, size_t from, size_t len)
{
        for (size_t i = 0; i < len; i++)
                p[i] = payload_byte(from + i);
}

/* CRC32c, RFC 9260 appendix A. */
static uint32_t crc32c(const uint8_t *p, size_t len)
{
        uint32_t crc = 0xffffffff;

        for (size_t i = 0; i < len; i++) {
                crc ^= p[i];
                for (int bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
        }
        return ~crc;
}

static void finish_sum(uint8_t *l4, size_t len, size_t at, const struct packet_spec *spec, int family)
{
        bool icmp4 = packet_proto(spec->proto, family) == IPPROTO_ICMP;
        size_t whole = spec->datagram ? spec->datagram : len;
        uint32_t sum = icmp4 ? 0 : pseudo_sum(spec, family, whole);
        uint8_t *rest = NULL;
        uint16_t check;

        sum = packet_sum(l4, len, sum);
        if (whole > len) { /* the fragments that follow */
                assert(len % 2 == 0);
                rest = malloc(whole - len);
                assert(rest);
                fill_payload(rest, len, whole - len);
                sum = packet_sum(rest, whole - len, sum);
                free(rest);
        }
        check = (uint16_t)~packet_fold(sum);
        if (spec->proto == IPPROTO_UDP && check == 0)
                check = 0xffff;
        if (spec->flags & PACKET_BAD_SUM)
                check = packet_fold((uint32_t)check + 0x0100);
        put16(l4 + at, check);
}

static size_t build_tcp(uint8_t *p, const struct packet_spec *spec, int family)
{
        size_t head = spec->flags & PACKET_TCP_OPTS ? 32 : 20;
        static const uint8_t options[12] = {2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 1, 0};

        memset(p, 0, head);
        put16(p, spec->sport);
        put16(p + 2, spec->dport);
        put32(p + 4, spec->seq);
        put32(p + 8, spec->ack);
        p[12] = (uint8_t)(head / 4 << 4);
        if (spec->flags & PACKET_LONG_HEADER)
                p[12] = 0xf0;
        p[13] = spec->tcp_flags;
        put16(p + 14, spec->window == WINDOW_ZERO ? 0 : spec->window ? spec->window : 512);
        memcpy(p + 20, options, head - 20);
        fill_payload(p + head, head, spec->payload);
        finish_sum(p, head + spec->payload, 16, spec, family);
        return head + spec->payload;
}

static size_t build_udp(uint8_t *p, const struct packet_spec *spec, int family)
{
        size_t len = 8 + (size_t)spec->payload;

        put16(p, spec->sport);
        put16(p + 2, spec->dport);
        put16(p + 4, (uint16_t)(spec->datagram ? spec->datagram : len));
        put16(p + 6, 0);
        fill_payload(p + 8, 8, spec->payload);
        if (!(spec->flags & PACKET_ZERO_SUM))
                finish_sum(p, len, 6, spec, family);
        return len;
}

static size_t build_sctp(uint8_t *p, const struct packet_spec *spec)
{
        size_t len = 12 + (size_t)spec->payload;
        uint32_t crc;

        put16(p, spec->sport);
        put16(p + 2, spec->dport);
        put32(p + 4, 0x01020304);
        put32(p + 8, 0);
        fill_payload(p + 12, 12, spec->payload);
        crc = crc32c(p, len);
        memcpy(p + 8, &crc, 4);
        return len;
}

static const struct {
        uint8_t type4, code4, type6, code6;
} icmp_kinds[] = {
        [ICMP_KIND_ECHO] = {8, 0, 128, 0},           [ICMP_KIND_ECHO_REPLY] = {0, 0, 129, 0},
        [ICMP_KIND_PORT_UNREACHABLE] = {3, 3, 1, 4}, [ICMP_KIND_HOST_UNREACHABLE] = {3, 1, 1, 3},
        [ICMP_KIND_TOO_BIG] = {3, 4, 2, 0},          [ICMP_KIND_TIME_EXCEEDED] = {11, 0, 3, 0},
        [ICMP_KIND_PROHIBITED] = {3, 13, 1, 1},      [ICMP_KIND_NEIGHBOUR] = {10, 0, 135, 0},
};

static size_t build_icmp(uint8_t *p, const struct packet_spec *spec, int family)
{
        bool echo = spec->icmp == ICMP_KIND_ECHO || spec->icmp == ICMP_KIND_ECHO_REPLY;
        size_t len = 8;

        memset(p, 0, 8);
        p[0] = family == 4 ? icmp_kinds[spec->icmp].type4 : icmp_kinds[spec->icmp].type6;
        p[1] = family == 4 ? icmp_kinds[spec->icmp].code4 : icmp_kinds[spec->icmp].code6;
        if (echo) {
                put16(p + 4, spec->sport ? spec->sport : spec->dport);
                put16(p + 6, (uint16_t)spec->seq);
        } else if (spec->icmp == ICMP_KIND_TOO_BIG) {
                put32(p + 4, spec->mtu);
        }
        if (spec->inner) {
                size_t inner = packet_build_l3(p + 8, spec->inner, family, NULL);

                size_t limit = spec->flags & PACKET_ANSWER ? (family == 4 ? 548 : 1232) : inner;

                limit = spec->inner_len ? spec->inner_len : limit;
                len += inner < limit ? inner : limit;
        } else {
                fill_payload(p + 8, 8, spec->payload);
                len += spec->payload;
        }
        finish_sum(p, len, 2, spec, family);
        return len;
}

static size_t build_l4(uint8_t *p, const struct packet_spec *spec, int family)
{
        if (!spec->fragment && spec->proto == IPPROTO_TCP)
                return build_tcp(p, spec, family);
        if (!spec->fragment && spec->proto == IPPROTO_UDP)
                return build_udp(p, spec, family);
        if (!spec->fragment && spec->proto == IPPROTO_SCTP)
                return build_sctp(p, spec);
        if (!spec->fragment && spec->proto == IPPROTO_ICMP)
                return build_icmp(p, spec, family);
        fill_payload(p, spec->fragment, spec->payload);
        return spec->payload;
}

static uint8_t ttl_of(const struct packet_spec *spec)
{
        return (uint8_t)((spec->ttl ? spec->ttl : 64) - spec->hop_step);
}

static size_t build_v4(uint8_t *p, const struct packet_spec *spec, size_t *ret_l4)
{
        struct addr src = packet_addr(spec->src, 4), dst = packet_addr(spec->dst, 4);
        size_t head = spec->flags & PACKET_OPTIONS ? 28 : 20, len;
        static const uint8_t options[8] = {0x94, 4, 0, 0, 1, 1, 1, 0}; /* router alert */

        memset(p, 0, head);
        p[0] = (uint8_t)(0x40 | head / 4);
        p[1] = spec->flags & PACKET_ANSWER && spec->inner ? 0xc0 : spec->tos;
        put16(p + 4, spec->id);
        put16(p + 6, (uint16_t)(spec->fragment / 8 | (spec->flags & PACKET_MORE ? 0x2000 : 0) |
                                (spec->flags & (PACKET_DF | PACKET_ANSWER) ? 0x4000 : 0)));
        p[8] = ttl_of(spec);
        p[9] = spec->proto;
        memcpy(p + 12, &src.w[3], 4);
        memcpy(p + 16, &dst.w[3], 4);
        memcpy(p + 20, options, head - 20);
        len = head + build_l4(p + head, spec, 4);
        put16(p + 2, (uint16_t)len);
        put16(p + 10, (uint16_t)~packet_fold(packet_sum(p, head, 0)));
        *ret_l4 = head;
        return len;
}

/* Appends an extension header and links it from the one before. */
static uint8_t *extension(uint8_t *p, uint8_t **next, uint8_t type, const uint8_t *bytes, size_t len)
{
        **next = type;
        memcpy(p, bytes, len);
        *next = p;
        return p + len;
}

static uint8_t *build_extensions(uint8_t *p, uint8_t **next, const struct packet_spec *spec)
{
        static const uint8_t hop[8] = {0, 0, 5, 2, 0, 0, 1, 0}; /* router alert, PadN */
        static const uint8_t routing[8] = {0, 0, 4, 0, 0, 0, 0, 0};
        static const uint8_t padding[16] = {0, 1, 1, 12};

        if (spec->flags & PACKET_OPTIONS)
                p = extension(p, next, IPPROTO_HOPOPTS, hop, sizeof(hop));
        if (spec->flags & PACKET_ROUTING)
                p = extension(p, next, IPPROTO_ROUTING, routing, sizeof(routing));
        if (spec->flags & (PACKET_MORE | PACKET_FRAGMENT) || spec->fragment) {
                uint8_t fragment[8] = {0};

                put16(fragment + 2, (uint16_t)(spec->fragment | (spec->flags & PACKET_MORE ? 1 : 0)));
                put32(fragment + 4, spec->id);
                p = extension(p, next, IPPROTO_FRAGMENT, fragment, sizeof(fragment));
        }
        if (spec->flags & PACKET_OPTIONS && !spec->fragment)
                p = extension(p, next, IPPROTO_DSTOPTS, padding, sizeof(padding));
        return p;
}

static size_t build_v6(uint8_t *p, const struct packet_spec *spec, size_t *ret_l4)
{
        struct addr src = packet_addr(spec->src, 6), dst = packet_addr(spec->dst, 6);
        uint8_t *next = p + 6, *at;
        size_t len;

        put32(p, 0x60000000 | (uint32_t)spec->tos << 20);
        p[7] = ttl_of(spec);
        memcpy(p + 8, &src, 16);
        memcpy(p + 24, &dst, 16);
        at = build_extensions(p + 40, &next, spec);
        *next = packet_proto(spec->proto, 6);
        *ret_l4 = (size_t)(at - p);
        len = *ret_l4 + build_l4(at, spec, 6);
        put16(p + 4, (uint16_t)(len - 40));
        return len;
}

size_t packet_build_l3(uint8_t *ret, const struct packet_spec *spec, int family, size_t *ret_l4)
{
        size_t l4 = 0, len = family == 4 ? build_v4(ret, spec, &l4) : build_v6(ret, spec, &l4);

        if (ret_l4)
                *ret_l4 = l4;
        return len;
}

enum { OUTER_L3 = 14, OUTER_UDP = 34, OUTER_VXLAN = 42, OUTER_FRAME = 50 };

static void finish_outer(uint8_t *ip)
{
        put16(ip + 10, 0);
        put16(ip + 10, (uint16_t)~packet_fold(packet_sum(ip, 20, 0)));
}

static void build_outer(struct packet *p, const struct outer_spec *o)
{
        size_t len = p->len + OUTER_FRAME - OUTER_L3;
        uint8_t *d = p->data;

        memmove(d + OUTER_FRAME, d, p->len);
        if (o->flags & OUTER_ARP)
                put16(d + OUTER_FRAME + 12, ETHERTYPE_ARP);
        memset(d, 0, OUTER_FRAME);
        memcpy(d, macs[o->dmac], 6);
        memcpy(d + 6, macs[o->smac], 6);
        put16(d + 12, ETHERTYPE_IP);
        d[OUTER_L3] = o->flags & OUTER_OPTIONS ? 0x46 : 0x45;
        d[OUTER_L3 + 1] = o->tos;
        put16(d + OUTER_L3 + 2, (uint16_t)(len - (o->flags & OUTER_SHORT ? 4 : 0)));
        put16(d + OUTER_L3 + 6, o->fragment);
        d[OUTER_L3 + 8] = 64;
        d[OUTER_L3 + 9] = IPPROTO_UDP;
        put32(d + OUTER_L3 + 12, o->src);
        put32(d + OUTER_L3 + 16, o->dst);
        finish_outer(d + OUTER_L3);
        if (o->flags & OUTER_BAD_SUM)
                d[OUTER_L3 + 10] ^= 1;
        put16(d + OUTER_UDP, o->sport);
        put16(d + OUTER_UDP + 2, o->dport);
        put16(d + OUTER_UDP + 4, (uint16_t)(len - 20 + (o->flags & OUTER_UDP_LONG ? 4 : 0)));
        put16(d + OUTER_UDP + 6, o->flags & OUTER_UDP_SUM ? 0x1234 : 0);
        d[OUTER_VXLAN] = (uint8_t)((o->flags & OUTER_NO_VNI ? 0 : 0x08) | (o->flags & OUTER_EXT ? 0x40 : 0));
        put32(d + OUTER_VXLAN + 4, o->vni << 8);
        p->len += OUTER_FRAME;
        p->l3 += OUTER_FRAME;
        p->l4 += OUTER_FRAME;
}

void packet_adopt_outer(struct packet *p, const struct packet *from)
{
        assert(from->len > OUTER_FRAME && from->data[OUTER_UDP] >= 0xc0);
        memcpy(p->data + OUTER_UDP, from->data + OUTER_UDP, 2);
        memcpy(p->data + OUTER_L3 + 4, from->data + OUTER_L3 + 4, 2);
        finish_outer(p->data + OUTER_L3);
}

void packet_build(struct packet *ret, const struct packet_spec *spec, int family)
{
        uint8_t *p = ret->data;

        assert(128 + (size_t)spec->payload + 2000 < sizeof(ret->data));
        memset(ret, 0, sizeof(*ret));
        memcpy(p, macs[spec->dmac], 6);
        memcpy(p + 6, macs[spec->smac], 6);
        p += 12;
        if (spec->flags & PACKET_QINQ) {
                put16(p, 0x88a8);
                put16(p + 2, 200);
                p += 4;
        }
        if (spec->flags & (PACKET_VLAN | PACKET_QINQ)) {
                put16(p, ETHERTYPE_VLAN);
                put16(p + 2, 100);
                p += 4;
        }
        put16(p, family == 4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
        p += 2;
        ret->l3 = (size_t)(p - ret->data);
        ret->len = ret->l3 + packet_build_l3(p, spec, family, &ret->l4);
        ret->l4 += ret->l3;
        if (spec->flags & PACKET_PADDED)
                ret->len += 9;
        if (spec->outer)
                build_outer(ret, spec->outer);
}

void packet_dump(const char *title, const uint8_t *data, size_t len, const uint8_t *other, size_t other_len)
{
        fprintf(stderr, "%s (%zu bytes; * differs)\n", title, len);
        for (size_t i = 0; i < len && i < 256; i++) {
                bool differs = other && (i >= other_len || data[i] != other[i]);

                if (i % 16 == 0)
                        fprintf(stderr, "%s  %04zx ", i ? "\n" : "", i);
                fprintf(stderr, "%c%02x", differs ? '*' : ' ', data[i]);
        }
        fputc('\n', stderr);
}
