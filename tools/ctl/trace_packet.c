/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <string.h>

#include "ctl/trace_packet.h"
#include "datapath/address.h"

/* Of echo requests and replies. */
struct echo {
        uint8_t type, code;
        uint16_t check;
        __be16 id, sequence;
};

enum {
        ECHO_REQUEST = 8,
        ECHO_REQUEST_V6 = 128,
        ECHO_REPLY_V6 = 129,
};

static uint32_t sum_add(uint32_t sum, const void *data, size_t n)
{
        const uint8_t *p = data;

        for (size_t i = 0; i + 1 < n; i += 2)
                sum += (uint32_t)(p[i] << 8 | p[i + 1]);
        return n & 1 ? sum + (uint32_t)(p[n - 1] << 8) : sum;
}

/* In network byte order, as it stands in headers. */
static uint16_t sum_finish(uint32_t sum)
{
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return htons((uint16_t)~sum);
}

static uint32_t sum_pseudo(const struct tuple *t, size_t length)
{
        bool v4 = address_is_v4(&t->src);
        uint32_t sum = 0;

        sum = sum_add(sum, v4 ? &t->src.b[12] : t->src.b, v4 ? 4 : 16);
        sum = sum_add(sum, v4 ? &t->dst.b[12] : t->dst.b, v4 ? 4 : 16);
        return sum + t->proto + (uint32_t)length;
}

static uint16_t check_of(const struct tuple *t, const uint8_t *l4, size_t length)
{
        uint32_t sum = t->proto == IPPROTO_ICMP ? 0 : sum_pseudo(t, length);
        uint16_t check = sum_finish(sum_add(sum, l4, length));

        return t->proto == IPPROTO_UDP && !check ? 0xffff : check;
}

static size_t build_l4(const struct trace_spec *s, uint8_t *at)
{
        const struct tuple *t = &s->tuple;
        struct tcphdr tcp = {.source = t->sport, .dest = t->dport, .doff = 5, .window = htons(64240)};
        struct udphdr udp = {.source = t->sport, .dest = t->dport, .len = htons((uint16_t)(sizeof(udp) + s->payload))};
        struct echo echo = {.type = t->proto == IPPROTO_ICMP ? ECHO_REQUEST : ECHO_REQUEST_V6,
                            .id = t->sport,
                            .sequence = htons(1)};
        size_t length;

        if (t->proto == IPPROTO_TCP) {
                tcp.syn = !s->established;
                tcp.ack = s->established;
                tcp.seq = htonl(1);
                length = sizeof(tcp) + s->payload;
                memcpy(at, &tcp, sizeof(tcp));
                tcp.check = check_of(t, at, length);
                memcpy(at, &tcp, sizeof(tcp));
        } else if (t->proto == IPPROTO_UDP) {
                length = sizeof(udp) + s->payload;
                memcpy(at, &udp, sizeof(udp));
                udp.check = check_of(t, at, length);
                memcpy(at, &udp, sizeof(udp));
        } else {
                length = sizeof(echo) + s->payload;
                memcpy(at, &echo, sizeof(echo));
                echo.check = check_of(t, at, length);
                memcpy(at, &echo, sizeof(echo));
        }
        return length;
}

void trace_frame_build(const struct trace_spec *s, struct trace_frame *ret)
{
        bool v4 = address_is_v4(&s->tuple.src);
        struct ethhdr eth = {.h_proto = htons(v4 ? ETH_P_IP : ETH_P_IPV6)};
        size_t l3 = sizeof(eth), l4 = l3 + (v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)), length;

        memset(ret, 0, sizeof(*ret));
        memcpy(eth.h_source, s->smac, ETH_ALEN);
        memcpy(eth.h_dest, s->dmac, ETH_ALEN);
        memcpy(ret->bytes, &eth, sizeof(eth));
        length = build_l4(s, ret->bytes + l4);
        ret->length = l4 + length;
        if (v4) {
                struct iphdr ip = {.version = 4, .ihl = 5, .ttl = TRACE_TTL, .protocol = s->tuple.proto};

                ip.tot_len = htons((uint16_t)(sizeof(ip) + length));
                ip.frag_off = htons(0x4000); /* don't fragment */
                ip.saddr = s->tuple.src.w[3];
                ip.daddr = s->tuple.dst.w[3];
                ip.check = sum_finish(sum_add(0, &ip, sizeof(ip)));
                memcpy(ret->bytes + l3, &ip, sizeof(ip));
        } else {
                struct ipv6hdr ip = {.version = 6, .hop_limit = TRACE_TTL, .nexthdr = s->tuple.proto};

                ip.payload_len = htons((uint16_t)length);
                memcpy(&ip.saddr, &s->tuple.src, 16);
                memcpy(&ip.daddr, &s->tuple.dst, 16);
                memcpy(ret->bytes + l3, &ip, sizeof(ip));
        }
}

/* What is in front of the inner frame. */
struct outer {
        struct ethhdr eth;
        struct iphdr ip;
        struct udphdr udp;
        __be32 flags, vni;
} __attribute__((packed));

#define VXLAN_HAS_VNI 0x08000000

void trace_frame_wrap(struct trace_frame *f, const struct trace_tunnel *tunnel)
{
        struct outer o = {.ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP}};
        size_t udp = sizeof(o) - sizeof(o.eth) - sizeof(o.ip) + f->length;

        memcpy(&o.eth, f->bytes, 2 * ETH_ALEN);
        o.eth.h_proto = htons(ETH_P_IP);
        o.ip.saddr = tunnel->from;
        o.ip.daddr = tunnel->to;
        o.ip.tot_len = htons((uint16_t)(sizeof(o.ip) + udp));
        o.ip.check = sum_finish(sum_add(0, &o.ip, sizeof(o.ip)));
        o.udp.source = htons(50000);
        o.udp.dest = htons(tunnel->port);
        o.udp.len = htons((uint16_t)udp);
        o.flags = htonl(VXLAN_HAS_VNI);
        o.vni = htonl(tunnel->vni << 8);
        memmove(f->bytes + sizeof(o), f->bytes, f->length);
        memcpy(f->bytes, &o, sizeof(o));
        f->length += sizeof(o);
}

bool trace_frame_unwrap(struct trace_frame *f, uint16_t port)
{
        struct outer o;

        if (f->length <= sizeof(o))
                return false;
        memcpy(&o, f->bytes, sizeof(o));
        if (o.eth.h_proto != htons(ETH_P_IP) || o.ip.ihl != 5 || o.ip.protocol != IPPROTO_UDP ||
            o.udp.dest != htons(port) || o.flags != htonl(VXLAN_HAS_VNI))
                return false;
        f->length -= sizeof(o);
        memmove(f->bytes, f->bytes + sizeof(o), f->length);
        return true;
}

static bool read_l4(const struct trace_frame *f, size_t l4, struct trace_seen *s)
{
        const uint8_t *at = f->bytes + l4;

        if (f->length < l4 + 8)
                return false;
        if (s->tuple.proto == IPPROTO_TCP || s->tuple.proto == IPPROTO_UDP) {
                memcpy(&s->tuple.sport, at, 2);
                memcpy(&s->tuple.dport, at + 2, 2);
                s->tcp = s->tuple.proto == IPPROTO_TCP && f->length >= l4 + 14 ? at[13] : 0;
        } else if (s->tuple.proto == IPPROTO_ICMP || s->tuple.proto == IPPROTO_ICMPV6) {
                s->icmp = at[0];
                s->icmp_code = at[1];
                if (s->icmp == ECHO_REQUEST || s->icmp == ECHO_REQUEST_V6)
                        memcpy(&s->tuple.sport, at + 4, 2);
                else if (s->icmp == 0 || s->icmp == ECHO_REPLY_V6)
                        memcpy(&s->tuple.dport, at + 4, 2);
        }
        return true;
}

bool trace_frame_read(const struct trace_frame *f, struct trace_seen *ret)
{
        struct trace_seen s = {0};
        struct ethhdr eth;
        size_t l3 = sizeof(eth), l4;

        if (f->length < l3 + sizeof(struct iphdr))
                return false;
        memcpy(&eth, f->bytes, sizeof(eth));
        if (eth.h_proto == htons(ETH_P_IP)) {
                struct iphdr ip;

                memcpy(&ip, f->bytes + l3, sizeof(ip));
                s.tuple.src = address_of_v4(ip.saddr);
                s.tuple.dst = address_of_v4(ip.daddr);
                s.tuple.proto = ip.protocol;
                s.ttl = ip.ttl;
                l4 = l3 + ip.ihl * 4U;
        } else if (eth.h_proto == htons(ETH_P_IPV6) && f->length >= l3 + sizeof(struct ipv6hdr)) {
                struct ipv6hdr ip;

                memcpy(&ip, f->bytes + l3, sizeof(ip));
                memcpy(&s.tuple.src, &ip.saddr, 16);
                memcpy(&s.tuple.dst, &ip.daddr, 16);
                s.tuple.proto = ip.nexthdr;
                s.ttl = ip.hop_limit;
                l4 = l3 + sizeof(ip);
        } else {
                return false;
        }
        if (!read_l4(f, l4, &s))
                return false;
        *ret = s;
        return true;
}
