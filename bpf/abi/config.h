/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Load-time knobs: one `const volatile struct knobs knobs` in each object's .rodata, set by the loader before the
 * verifier sees it, so that dead code goes. What changes while programs run is in `struct node` (maps.h) instead.
 */
#pragma once

#include "types.h"

/* In seconds, as everything the flow table measures. */
struct flow_timeouts {
        __u32 tcp_syn;         /* until the handshake is complete: 60 */
        __u32 tcp_established; /* 8000 */
        __u32 tcp_closing;     /* after FIN both ways or RST: 10 */
        __u32 udp;             /* seen in one direction only: 30 */
        __u32 udp_stream;      /* seen in both: 120 */
        __u32 icmp;            /* 30 */
};

enum knob_flags {
        KNOB_TUNNEL = 1 << 0,        /* other nodes by VXLAN; else native routing */
        KNOB_MASQUERADE = 1 << 1,    /* pod traffic to the outside gets the node's address */
        KNOB_REDIRECT_PEER = 1 << 2, /* straight into the pod; else by the host side of its veth */
        KNOB_WEAK_ORDER = 1 << 3,    /* the CPU reorders loads (all but x86 and s390) */
        KNOB_SOCK = 1 << 4,          /* the socket path is on */
        KNOB_NODEPORT_LOOPBACK = 1 << 5,
        KNOB_BIND_PROTECT = 1 << 6, /* refuse bind() on the host to a NodePort */
        KNOB_RETVAL = 1 << 7,       /* bpf_set_retval works at sock_addr hooks: the refusal has its own errno */
        KNOB_SKB = 1 << 8,          /* bpf_cast_to_kern_ctx works: TC can see an skb's own fields */
};

struct knobs {
        __u32 flags;
        __u32 hz;                           /* jiffies a second */
        __u32 flow_sets;                    /* a power of two: elements of the flow map */
        __u32 mark;                         /* bit of skb->mark that says: already handled by the dataplane */
        __u32 vni;                          /* of the VXLAN */
        __u16 snat_port_min, snat_port_max; /* host order, inclusive */
        struct flow_timeouts timeouts;
        __u64 host_netns; /* cookie of the node's own network namespace; 0: not known */
        __u32 pod_mtu;
        __u32 drop_events_per_s; /* of each CPU, to the ring buffer; 0: none */
        __u16 vxlan_port; /* the tunnel's, host order, where the programs read and write its header; 0: the device
                           * alone does */
        __u16 pad[3];
};
ABI_ASSERT_SIZE(struct knobs, 72);
