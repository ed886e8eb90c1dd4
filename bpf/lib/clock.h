/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The clock of everything that ages: seconds of jiffies since boot, which is CLOCK_MONOTONIC give or take a second.
 * Reading jiffies is an inlined load, where bpf_ktime_get_ns is a call (33 ns). A division costs more than the rest of
 * the read, so it is by a reciprocal for the usual rates; that is at most two seconds a year off.
 */
#pragma once

#include "maps.h"

/* The kernel starts to count 300 seconds before 32 bits overflow. */
#define CLOCK_SECONDS(jiffies, hz) ((__u32)(((jiffies) - ((1ULL << 32) - 300 * (hz))) * ((1ULL << 32) / (hz)) >> 32))

static __always_inline __u32 clock_now(void)
{
        __u64 jiffies = bpf_jiffies64(), hz = knobs.hz ?: 1;

        switch (knobs.hz) {
        case 100:
                return CLOCK_SECONDS(jiffies, 100);
        case 250:
                return CLOCK_SECONDS(jiffies, 250);
        case 300:
                return CLOCK_SECONDS(jiffies, 300);
        case 1000:
                return CLOCK_SECONDS(jiffies, 1000);
        default:
                return (jiffies - ((1ULL << 32) - 300 * hz)) / hz;
        }
}

/* Seconds since then; one CPU may be a tick ahead of another, which is no age. */
static __always_inline __u32 clock_age(__u32 now, __u32 then)
{
        return (__s32)(now - then) > 0 ? now - then : 0;
}
