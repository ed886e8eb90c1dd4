// SPDX-License-Identifier: Apache-2.0
/*
 * BPF_PROG_TEST_RUN hands the same buffer to every repeat, as the one before has left it. These programs write the
 * headers anew and go on to the program under test, of which there is one array for each type.
 *
 * The programs that are compared with find the headers of Ethernet, IP and TCP or UDP, read the tuple, and pass the
 * packet: what no program of this kind can do without. Those for memory do that, and read one entry of the flow table,
 * anywhere in it: what a program that remembers connections has to wait for at least. Where the next one reads depends
 * on what was read, or the processor would be at several packets' entries at a time.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bench/bpf/restore.h"
#include "bpf/abi/maps.h"

const volatile __u32 flow_sets = 1; /* of the map that takes the place of this one */
__u64 turn, last_read;

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __type(key, __u32);
        __type(value, struct flow_set);
        __uint(max_entries, 1);
        __uint(map_flags, BPF_F_MMAPABLE);
} flows SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __type(key, __u32);
        __type(value, struct restore);
        __uint(max_entries, 1);
} image SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
        __uint(key_size, 4);
        __uint(value_size, 4);
        __uint(max_entries, 1);
} next_tc SEC(".maps"), next_xdp SEC(".maps");

static __always_inline void vary_half(struct restore *r, const struct restore_part *part, __u32 n)
{
        __u32 offset = part->offset;

        if (offset && offset <= RESTORE_BYTES - 2)
                *(__be16 *)(r->head + offset) = bpf_htons((__u16)(part->base + n % part->count));
}

static __always_inline void vary(struct restore *r)
{
        __u32 n = r->number++, offset = r->word.offset;

        if (r->number == r->wrap)
                r->number = 0;
        if (offset && offset <= RESTORE_BYTES - 4)
                *(__be32 *)(r->head + offset) = bpf_htonl(r->word.base + n % r->word.count);
        vary_half(r, &r->half[0], n);
        vary_half(r, &r->half[1], n);
}

static __always_inline void restore(void *data, void *data_end)
{
        __u32 zero = 0;
        struct restore *r = bpf_map_lookup_elem(&image, &zero);

        if (!r || data + RESTORE_BYTES > data_end)
                return;
        vary(r);
        __builtin_memcpy(data, r->head, RESTORE_BYTES);
}

/* False: it is no TCP or UDP, or too short. The ports are at the same place in both. */
static __always_inline bool parse_l4(const void *l4, const void *end, __u8 proto)
{
        const __be16 *ports = l4;

        if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
                return false;
        if (l4 + sizeof(struct udphdr) > end || (proto == IPPROTO_TCP && l4 + sizeof(struct tcphdr) > end))
                return false;
        return ports[0] && ports[1];
}

static __always_inline bool parse(const void *data, const void *end)
{
        const struct ethhdr *eth = data;
        const struct iphdr *v4 = data + sizeof(*eth);
        const struct ipv6hdr *v6 = data + sizeof(*eth);

        if (data + sizeof(*eth) + sizeof(*v4) > end)
                return false;
        if (eth->h_proto == bpf_htons(ETH_P_IP)) {
                if (*(const __u8 *)v4 != 0x45 || v4->frag_off & bpf_htons(0x3fff) || !v4->saddr || !v4->daddr)
                        return false;
                return parse_l4(v4 + 1, end, v4->protocol);
        }
        if (eth->h_proto != bpf_htons(ETH_P_IPV6) || (const void *)(v6 + 1) > end || !v6->saddr.in6_u.u6_addr32[3])
                return false;
        return parse_l4(v6 + 1, end, v6->nexthdr);
}

/* Both cache lines of it. */
static __always_inline void read_entry(void)
{
        __u64 h = (turn++ + last_read) * 0x9e3779b97f4a7c15ULL;
        const struct flow_set *set;
        __u32 n;

        h = (h ^ h >> 32) * 0xc4ceb9fe1a85ec53ULL;
        n = (h ^ h >> 29) & (flow_sets - 1);
        set = bpf_map_lookup_elem(&flows, &n);
        if (set)
                last_read = set->flow[h >> 61].control + set->flow[h >> 61].peer;
}

SEC("tc")
int restore_tc(struct __sk_buff *skb)
{
        restore((void *)(long)skb->data, (void *)(long)skb->data_end);
        bpf_tail_call(skb, &next_tc, 0);
        return TC_ACT_SHOT;
}

SEC("tc")
int parse_tc(struct __sk_buff *skb)
{
        return parse((void *)(long)skb->data, (void *)(long)skb->data_end) ? TC_ACT_OK : TC_ACT_SHOT;
}

SEC("tc")
int memory_tc(struct __sk_buff *skb)
{
        read_entry();
        return parse((void *)(long)skb->data, (void *)(long)skb->data_end) ? TC_ACT_OK : TC_ACT_SHOT;
}

SEC("xdp.frags")
int restore_xdp(struct xdp_md *xdp)
{
        restore((void *)(long)xdp->data, (void *)(long)xdp->data_end);
        bpf_tail_call(xdp, &next_xdp, 0);
        return XDP_ABORTED;
}

SEC("xdp.frags")
int parse_xdp(struct xdp_md *xdp)
{
        return parse((void *)(long)xdp->data, (void *)(long)xdp->data_end) ? XDP_PASS : XDP_DROP;
}

SEC("xdp.frags")
int memory_xdp(struct xdp_md *xdp)
{
        read_entry();
        return parse((void *)(long)xdp->data, (void *)(long)xdp->data_end) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Apache-2.0";
