/* SPDX-License-Identifier: Apache-2.0 */
/* What restore.bpf.c makes of each packet before the program under test sees it. */
#pragma once

#include <linux/types.h>

#define RESTORE_BYTES 80 /* of headers; packets are at least as long */

/* A part of the packet that differs from packet to packet: base + number of the packet % count, in network order. */
struct restore_part {
        __u32 offset; /* 0: none */
        __u32 base, count;
};

struct restore {
        __u8 head[RESTORE_BYTES];
        struct restore_part word, half[2]; /* 4 bytes, 2 bytes */
        __u32 number;                      /* of the next packet */
        __u32 wrap;                        /* which is 0 again after so many; 0: never */
        __u32 pad;
};
