/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Pods' bandwidth limits. A bucket is one number: the time at which all that has passed is paid for at the pod's rate.
 * A packet passes if that time lies ahead by no more than the burst, and moves it; one compare-and-swap, so that any
 * number of CPUs share a bucket exactly. What is above the limit is dropped, which TCP takes as it should.
 */
#pragma once

#include "maps.h"

#define POLICE_NS        1000000000ULL
#define POLICE_BURST_MAX 16000000000ULL /* bits: times POLICE_NS it still fits */

/* bytes: on the wire; the bits of a packet times POLICE_NS fit as well. */
static __always_inline bool police_pass(__u64 *paid_ns, __u64 bps, __u64 burst, __u32 bytes)
{
        __u64 cost = (__u64)bytes * 8 * POLICE_NS / bps, now = bpf_ktime_get_ns(), start, old;

        if (burst > POLICE_BURST_MAX)
                burst = POLICE_BURST_MAX;
        burst = burst * POLICE_NS / bps;
        for (int i = 0; i < 4; i++) {
                old = READ_ONCE(*paid_ns);
                start = old > now ? old : now;
                if (start + cost - now > burst)
                        return false;
                if (__sync_val_compare_and_swap(paid_ns, old, start + cost) == old)
                        return true;
        }
        return true; /* other CPUs were faster four times: they have paid */
}

__noinline int police_slow(__u32 ifindex, __u32 bytes, __u32 egress)
{
        __u32 slot = ifindex & (POD_SLOTS - 1);
        const struct pod *pod = bpf_map_lookup_elem(&pods, &slot);
        struct bucket *b = bpf_map_lookup_elem(&buckets, &slot);

        if (!pod || !b)
                return 1;
        if (egress)
                return !pod->egress_bps || police_pass(&b->egress_ns, pod->egress_bps, pod->egress_burst, bytes);
        return !pod->ingress_bps || police_pass(&b->ingress_ns, pod->ingress_bps, pod->ingress_burst, bytes);
}

/* What a pod sends, and what it receives. Most have no limit, and cost nothing. */
static __always_inline bool police_egress(const struct pod *pod, __u32 bytes)
{
        return !pod->egress_bps || police_slow(pod->ifindex, bytes, 1);
}

static __always_inline bool police_ingress(const struct pod *pod, __u32 bytes)
{
        return !pod->ingress_bps || police_slow(pod->ifindex, bytes, 0);
}
