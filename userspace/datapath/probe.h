/* SPDX-License-Identifier: Apache-2.0 */
/* What this kernel can do, tried out and not read from its version. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* X(name, necessary, what it is for, what happens without) */
#define FEATURES(X)                                                                                                    \
        X(bpf, true, "loading BPF programs and maps", "")                                                              \
        X(cgroup_v2, false, "translation at the socket", "every packet is translated instead")                         \
        X(sock_retval, false, "an errno of its own for refused connects", "they fail with EPERM")                      \
        X(tcx, false, "attaching to devices side by side with others", "clsact filters")                               \
        X(redirect_peer, false, "delivery straight into a pod", "delivery by the host side of the pod's veth")         \
        X(redirect_neigh, true, "sending through a NIC", "")                                                           \
        X(ringbuf, true, "events", "")                                                                                 \
        X(mmapable, true, "the flow table in shared memory", "")                                                       \
        X(jiffies64, true, "the clock of the flow table", "")                                                          \
        X(btf, true, "programs that read the kernel's own structures", "")                                             \
        X(kernel_ctx, false, "checksums changed without a call", "a call or two for each translated packet")           \
        X(sock_destroy, false, "closing connected UDP sockets of removed endpoints",                                   \
          "they stay with them until an ICMP error comes or their programs give up")                                   \
        X(vxlan, false, "the overlay between nodes", "native routing only")                                            \
        X(xdp, false, "NodePorts in the NIC's driver", "the uplink's TC program does it")

struct features {
#define X(name, necessary, use, without) bool name;
        FEATURES(X)
#undef X
        uint32_t hz;         /* jiffies a second, measured */
        uint64_t host_netns; /* cookie of the network namespace of the caller; 0: not known */
};

/* 0, or negative errno with the names of all that is missing and necessary. */
int features_probe(struct features *ret, struct err *reterr);
