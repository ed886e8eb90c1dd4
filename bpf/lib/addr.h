/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Addresses, words and hashes: what all stages compute with, and nothing that looks at a packet or a map.
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/abi/hash.h"
#include "bpf/abi/types.h"

/* The compiler neither keeps nor merges nor splits these. */
#define READ_ONCE(x)     (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))

/* Cuts a number to what the verifier must believe, where the compiler would see that it is so and drop the mask. */
#define BOUND(x, mask)                                                                                                 \
        ({                                                                                                             \
                __u64 bound_ = (x);                                                                                    \
                asm volatile("%0 &= %1" : "+r"(bound_) : "i"(mask));                                                   \
                bound_;                                                                                                \
        })

static __always_inline bool addr_is_v4(const struct addr *a)
{
        return !a->w[0] && !a->w[1] && a->w[2] == bpf_htonl(0xffff);
}

static __always_inline struct addr addr_of_v4(__be32 v4)
{
        return (struct addr){.w = {0, 0, bpf_htonl(0xffff), v4}};
}

static __always_inline bool addr_equal(const struct addr *a, const struct addr *b)
{
        return a->w[3] == b->w[3] && a->w[2] == b->w[2] && a->w[1] == b->w[1] && a->w[0] == b->w[0];
}

static __always_inline bool addr_is_zero(const struct addr *a)
{
        return !(a->w[0] | a->w[1] | a->w[2] | a->w[3]);
}

/* The sender's own host; and "any", which as a destination means the same. */
static __always_inline bool addr_is_loopback(const struct addr *a)
{
        if (addr_is_v4(a))
                return a->b[12] == 127 || !a->w[3];
        return !(a->w[0] | a->w[1] | a->w[2]) && (!a->w[3] || a->w[3] == bpf_htonl(1));
}

/* Of an address alone: affinity where the table is a permutation. */
static __always_inline __u32 addr_hash(const struct addr *a)
{
        struct tuple t __attribute__((aligned(8))) = {.src = *a};

        return tuple_hash(&t) >> 32;
}

static __always_inline void tuple_reverse(const struct tuple *t, struct tuple *ret)
{
        ret->src = t->dst;
        ret->dst = t->src;
        ret->sport = t->dport;
        ret->dport = t->sport;
        ret->proto = t->proto;
        ret->pad[0] = ret->pad[1] = ret->pad[2] = 0;
}

/* Of tuples that are aligned to 8. */
static __always_inline bool tuple_equal(const struct tuple *a, const struct tuple *b)
{
        const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

        return !((x[3] ^ y[3]) | (x[4] ^ y[4]) | (x[1] ^ y[1]) | (x[0] ^ y[0]) | (x[2] ^ y[2]));
}
