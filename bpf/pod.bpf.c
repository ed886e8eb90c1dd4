/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The host side of a pod's veth. */
#include "lib/stage.h"

/* Neighbour solicitations and advertisements, router solicitations, and reports of groups: to the kernel. */
static __always_inline bool from_pod_is_link_local(const struct packet *p)
{
        const struct addr *s = &p->tuple.src;

        if (p->flags & PACKET_V4 || p->tuple.proto != IPPROTO_ICMPV6)
                return false;
        if (!addr_is_zero(s) && (s->w[0] & bpf_htonl(0xffc00000)) != bpf_htonl(0xfe800000))
                return false;
        return p->icmp == 133 || p->icmp == 135 || p->icmp == 136 || p->icmp == 131 || p->icmp == 132 || p->icmp == 143;
}

/* Who sends here must be the pod, by both its addresses: every frame by this one. */
static __always_inline bool from_pod_is_its_mac(struct __sk_buff *skb, const struct pod *pod)
{
        const struct ethhdr *eth = ctx_data(skb);

        return (void *)(eth + 1) <= ctx_end(skb) && *(const __u32 *)eth->h_source == *(const __u32 *)pod->mac &&
               *(const __u16 *)(eth->h_source + 4) == *(const __u16 *)(pod->mac + 4);
}

static __always_inline enum reason from_pod_check(const struct packet *p, const struct pod *pod)
{
        const struct addr *own = p->flags & PACKET_V4 ? &pod->v4 : &pod->v6;

        if (p->flags & PACKET_TAGGED || (p->flags & PACKET_IP && p->l3 != ETH_HLEN))
                return REASON_UNSUPPORTED;
        if (!(p->flags & PACKET_IP))
                return REASON_OK;
        return addr_equal(&p->tuple.src, own) && !addr_is_zero(own) ? REASON_OK : REASON_SPOOFED;
}

static __always_inline enum reason from_pod_stages(struct __sk_buff *skb, struct hook_work *w)
{
        struct packet *p = &w->packet;
        const struct pod *pod = pod_get(skb->ifindex);
        enum reason r;

        if (!pod)
                return REASON_SPOOFED;
        r = packet_parse(skb, p);
        if (r)
                return r;
        if (!from_pod_is_its_mac(skb, pod))
                return REASON_SPOOFED;
        r = from_pod_check(p, pod);
        if (r == REASON_SPOOFED && from_pod_is_link_local(p))
                return REASON_OK;
        if (r || !(p->flags & PACKET_IP))
                return r;
        if (!police_egress(pod, p->length))
                return REASON_RATE_LIMIT;
        r = stage_translate(skb, p, false);
        return stage_may_go_on(r) ? stage_forward(skb, w, HOOK_FROM_POD) : r;
}

SEC("tc")
int from_pod(struct __sk_buff *skb)
{
        struct hook_work *w = hook_enter(skb, HOOK_FROM_POD);

        return w ? hook_exit(skb, &w->packet, HOOK_FROM_POD, from_pod_stages(skb, w)) : CTX_DROP;
}

/* From the host's stack, or from this dataplane where it cannot deliver into the pod itself. */
static __always_inline enum reason to_pod_stages(struct __sk_buff *skb, struct hook_work *w)
{
        struct packet *p = &w->packet;
        const struct pod *pod = pod_get(skb->ifindex);
        enum reason r = packet_parse(skb, p);

        if (r)
                return r;
        if (pod && !police_ingress(pod, p->length))
                return REASON_RATE_LIMIT;
        if (stage_is_foreign(p))
                return REASON_OK;
        r = stage_translate(skb, p, false);
        if (r != REASON_TRANSLATED || p->change != CHANGE_WANTED)
                return r;
        r = nat_rewrite(skb, p, HOOK_TO_POD, false);
        return r ?: REASON_TRANSLATED;
}

SEC("tc")
int to_pod(struct __sk_buff *skb)
{
        struct hook_work *w = hook_enter(skb, HOOK_TO_POD);

        return w ? hook_exit(skb, &w->packet, HOOK_TO_POD, to_pod_stages(skb, w)) : CTX_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
