/* SPDX-License-Identifier: Apache-2.0 */
/* Between frames.bpf.c and the program that runs it. */
#pragma once

#define FRAME_BYTES 64

struct frames {
        __u64 frame[FRAME_BYTES / 8]; /* Ethernet, IPv4 without options, UDP without a checksum */
        __u32 ifindex;                /* where they leave */
        __u32 flows;                  /* how many source ports take turns, from 1024 on */
};
