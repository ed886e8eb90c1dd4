/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The hash of a tuple, and where in the flow table it belongs. It is the same on every node of one byte order and after
 * every restart: Maglev tables are indexed by it, the flow table outlives the programs, and the loader moves flows into
 * a table of another size.
 */
#pragma once

#include "limits.h"
#include "types.h"

/*
 * 64 bits of a tuple that is aligned to 8. A sum of independent products, so that the multiplier's pipeline is kept
 * full; then folded, so that each bit of the result depends on all words.
 */
static inline __attribute__((always_inline)) __u64 tuple_hash(const struct tuple *t)
{
        const __u64 *w = (const __u64 *)(const void *)t;
        __u64 h = w[0] * 0x9e3779b97f4a7c15ULL + w[1] * 0xc2b2ae3d27d4eb4fULL + w[2] * 0x165667b19e3779f9ULL +
                  w[3] * 0xd6e8feb86659fd93ULL + w[4] * 0xff51afd7ed558ccdULL;

        h ^= h >> 32;
        h *= 0xc4ceb9fe1a85ec53ULL;
        return h ^ h >> 29;
}

/* Of a table of that many sets, a power of two. */
static inline __attribute__((always_inline)) __u32 flow_set_of(__u64 hash, __u32 sets)
{
        return (__u32)hash & (sets - 1);
}

/* The way that an entry has if that was free when it was made. */
static inline __attribute__((always_inline)) __u32 flow_home_of(__u64 hash)
{
        return (__u32)(hash >> 54) & (FLOW_WAYS - 1);
}

/* Of a way in flow_marks: seven bits. 0 is no mark. */
static inline __attribute__((always_inline)) __u8 flow_mark_of(__u64 hash)
{
        __u8 mark = (__u8)(hash >> 57);

        return mark ? mark : 1;
}
