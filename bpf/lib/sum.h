/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The internet checksum (RFC 1071), of 16 bit words as they lie in memory, so that nothing is swapped. Sums are added
 * up in 64 bits and folded once; a difference is the sum of the new words and of the old ones' complements (RFC 1624).
 */
#pragma once

#include "addr.h"

static __always_inline __u16 sum_fold(__u64 sum)
{
        sum = (sum >> 32) + (sum & 0xffffffff);
        sum = (sum >> 32) + (sum & 0xffffffff);
        sum = (sum >> 16) + (sum & 0xffff);
        sum = (sum >> 16) + (sum & 0xffff);
        return (sum >> 16) + (sum & 0xffff);
}

/* bytes: a multiple of 4 that the compiler knows; data is aligned to 4. */
static __always_inline __u64 sum_words(const void *data, __u32 bytes)
{
        const __u32 *w = data;
        __u64 sum = 0;

#pragma unroll
        for (__u32 i = 0; i < bytes / 4; i++)
                sum += w[i];
        return sum;
}

/* An IPv4-mapped address has 0xffff more than the IPv4 address, which is nothing in ones' complement. */
static __always_inline __u64 sum_addr(const struct addr *a)
{
        return sum_words(a, sizeof(*a));
}

static __always_inline __u64 sum_pseudo(const struct addr *src, const struct addr *dst, __u8 proto, __u32 len)
{
        return sum_addr(src) + sum_addr(dst) + bpf_htonl(proto) + bpf_htonl(len);
}

static __always_inline __u64 sum_addr_change(const struct addr *from, const struct addr *to)
{
        __u64 sum = 0;

#pragma unroll
        for (int i = 0; i < 4; i++)
                sum += (__u64)to->w[i] + (__u32)~from->w[i];
        return sum;
}

/* A checksum over bytes whose sum has changed by that much. */
static __always_inline __u16 sum_changed(__u16 check, __u64 change)
{
        return ~sum_fold((__u16)~check + change);
}
