/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Who watches packets, and what is told. A watcher (fairctl monitor, fairctl trace) has one of MONITORS_MAX places,
 * with a filter that the programs apply; its events go to perf buffers of its own, so that watchers do not see of each
 * other.
 *
 * It has its place for a short time only and goes on asking for it: a watcher that dies leaves a time that runs out,
 * after which the first packet switches everything off again, and buffers that the kernel takes away with the process.
 */
#pragma once

#include "limits.h"
#include "types.h"

#define MONITORS_MAX     4    /* watchers at once */
#define MONITOR_CPUS     1024 /* packets of CPUs beyond that are not told of */
#define MONITOR_SERVICES 32   /* service ids in a filter */
#define MONITOR_BYTES    2047 /* of a packet, at most; a power of two less 1 */
#define MONITOR_LEASE_S  5    /* how long a place is taken at a time */

/* What an address must be: (address ^ is) & mask is 0. A mask of 0 takes every address. */
struct monitor_address {
        struct addr is, mask;
};

enum monitor_flags {
        MONITOR_EITHER = 1 << 0,   /* one of the addresses must be `either[0]` or `either[1]` */
        MONITOR_SERVICE = 1 << 1,  /* the service must be one of `services` */
        MONITOR_REWRITTEN = 1 << 2 /* what is not rewritten is not told */
};

/* All of it must hold. Addresses and ports: of the packet as it came, or as it was rewritten. */
struct monitor_filter {
        __u32 hooks;   /* bits of 1 << enum hook */
        __u32 reasons; /* bits of 1 << enum reason */
        struct monitor_address src, dst, either[2];
        __be16 sport, dport, port; /* 0: any; port: of either side */
        __u8 proto;                /* 0: any */
        __u8 flags;                /* enum monitor_flags */
        __u32 service_count;
        __u32 services[MONITOR_SERVICES];
};
ABI_ASSERT_SIZE(struct monitor_filter, 276);

struct monitor {
        __u32 until;        /* seconds of the flow table's clock; 0: free */
        __u32 snap;         /* bytes of packets that are told, at most MONITOR_BYTES */
        __u64 owner;        /* a random number of the watcher's */
        __u64 lost;         /* [programs] events for which its buffer had no room */
        __u64 capped;       /* [programs] events above the rate */
        __u32 rate;         /* events a second; 0: any number */
        __u32 second, sent; /* [programs] what counts them */
        struct monitor_filter filter;
};

/* ---- monitors: ARRAY[1] (BPF_F_MMAPABLE) -> monitors. `until` is the one thing that is read when nobody watches: the
 * latest of all places, 0 when there is none. Places are taken under a lock on the folder of the pins.
 */
struct monitors {
        __u32 until;
        __u32 snap; /* the largest of all places */
        struct monitor of[MONITORS_MAX];
};

/* ---- monitor_events: PERF_EVENT_ARRAY[MONITORS_MAX * MONITOR_CPUS], place * MONITOR_CPUS + CPU. */
enum monitor_way { /* where a packet that was forwarded goes */
                   MONITOR_WAY_KERNEL,
                   MONITOR_WAY_POD,
                   MONITOR_WAY_TUNNEL,
                   MONITOR_WAY_NEIGHBOUR,
};

struct monitor_event {
        __u64 ns;  /* CLOCK_MONOTONIC, when the packet came */
        __u32 pid; /* sock: of the process; else 0 */
        __u32 ifindex;
        struct tuple tuple, to; /* as it came, and what it became: the same where nothing was rewritten */
        struct addr next;       /* way TUNNEL: the other node; NEIGHBOUR: the next hop; else zero */
        __u32 next_ifindex;     /* way POD: the host side of its veth; NEIGHBOUR, TUNNEL: the device */
        __u32 length;           /* of the frame */
        __u32 service;          /* service.id; 0: none */
        __u16 hook, reason;     /* enum hook, enum reason */
        __u8 way;               /* enum monitor_way, of what is forwarded */
        __u8 tcp, icmp, ttl;    /* TCP's flags, ICMP's type */
        __u8 rewritten;
        __u8 pad[3];
        __u32 captured; /* bytes behind this: the frame as it came */
        __u32 after;    /* bytes behind those: the frame as it left, if it was rewritten */
        char comm[16];  /* sock: the process's name */
};
ABI_ASSERT_SIZE(struct monitor_event, 160);
