// SPDX-License-Identifier: Apache-2.0
/*
 * Makes frames: BPF_PROG_TEST_RUN with live frames hands a page to each run, and what is redirected leaves by a device,
 * like what a NIC has received. The kernel uses pages again as they came back, so that each is written anew.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bench/bpf/frames.h"

#define SPORT 34 /* offset of the UDP header's first half */

const volatile struct frames frames = {};
__u32 next;

SEC("xdp")
int make_frame(struct xdp_md *ctx)
{
        unsigned char *data = (unsigned char *)(long)ctx->data;

        if (data + FRAME_BYTES > (unsigned char *)(long)ctx->data_end)
                return XDP_ABORTED;
        for (int i = 0; i < FRAME_BYTES / 8; i++)
                ((__u64 *)data)[i] = frames.frame[i];
        if (++next >= frames.flows)
                next = 0;
        *(__be16 *)(data + SPORT) = bpf_htons((__u16)(1024 + next));
        return (int)bpf_redirect(frames.ifindex, 0);
}

char LICENSE[] SEC("license") = "Apache-2.0";
