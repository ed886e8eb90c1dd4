/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The loopback device, where nothing is translated at the socket: what a process of the host sends to a NodePort at an
 * address of its own host. It is loaded only then.
 *
 * The endpoint sees the node, with a port that no process's own connection has; so its answers are told from those to
 * processes that speak to it directly. Answers come in by this device again (send_by_lo): a stack takes its own address
 * as a source from nowhere else.
 */
#include "lib/stage.h"

#define IPV6_LEAST_MTU 1280 /* RFC 8200, 5 */

/*
 * Datagrams there are as large as the device takes, which is more than a pod's. The sender's stack learns of it, but
 * IPv6 only of an MTU that is less than that of the NIC whose address it is.
 */
static __always_inline enum reason to_lo_forward(struct __sk_buff *skb, struct hook_work *w)
{
        enum reason r = stage_forward(skb, w, HOOK_TO_LO);
        struct packet *p = &w->packet;

        if (r == REASON_TOO_BIG && !(p->flags & PACKET_V4) && p->mtu >= IPV6_LEAST_MTU + 8)
                p->mtu -= 8;
        return r;
}

static __always_inline enum reason to_lo_stages(struct __sk_buff *skb, struct hook_work *w)
{
        struct packet *p = &w->packet;
        enum reason r = packet_parse(skb, p);

        if (r || stage_is_foreign(p))
                return REASON_OK;
        r = stage_translate(skb, p, false);
        return r == REASON_TRANSLATED ? to_lo_forward(skb, w) : r;
}

SEC("tc")
int to_lo(struct __sk_buff *skb)
{
        struct hook_work *w = hook_enter(skb, HOOK_TO_LO);

        return w ? hook_exit(skb, &w->packet, HOOK_TO_LO, to_lo_stages(skb, w)) : CTX_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
