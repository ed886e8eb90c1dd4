// SPDX-License-Identifier: Apache-2.0
/*
 * BPF_PROG_TEST_RUN hands the same buffer to every repeat, as the one before has left it. These programs write the
 * headers anew and go on to the program under test, of which there is one array for each type.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bench/bpf/restore.h"

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

SEC("tc")
int restore_tc(struct __sk_buff *skb)
{
        restore((void *)(long)skb->data, (void *)(long)skb->data_end);
        bpf_tail_call(skb, &next_tc, 0);
        return TC_ACT_SHOT;
}

SEC("tc")
int pass_tc(struct __sk_buff *skb)
{
        return TC_ACT_OK;
}

SEC("xdp.frags")
int restore_xdp(struct xdp_md *xdp)
{
        restore((void *)(long)xdp->data, (void *)(long)xdp->data_end);
        bpf_tail_call(xdp, &next_xdp, 0);
        return XDP_ABORTED;
}

SEC("xdp.frags")
int pass_xdp(struct xdp_md *xdp)
{
        return XDP_PASS;
}

char LICENSE[] SEC("license") = "Apache-2.0";
