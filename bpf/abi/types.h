/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Addresses and tuples, as the programs and userspace share them. One layout serves both families: an IPv4 address is
 * held as its IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2), so that nothing needs a twin. All of it is in network byte
 * order, and every struct that is a map key has no padding that is not a named, zeroed field.
 */
#pragma once

#include <linux/types.h>

#define ABI_ASSERT_SIZE(type, size)                                                                                    \
        _Static_assert(sizeof(type) == (size), "the layout of " #type " is shared: its size must not change")

/* 32-bit words and not 64-bit ones, so that it may lie at any multiple of 4. */
struct addr {
        union {
                __u8 b[16];
                __be32 w[4]; /* IPv4: 0, 0, 0x0000ffff, the address */
        };
};
ABI_ASSERT_SIZE(struct addr, 16);

/* Bits of a prefix of IPv4 in the mapped form: an IPv4 /24 is a /120. */
#define ADDR_V4_BITS 96

/* A packet's way through the network. ICMP echo has its identifier as sport of a request and dport of a reply;
 * protocols without ports have 0. */
struct tuple {
        struct addr src, dst;
        __be16 sport, dport;
        __u8 proto; /* IPPROTO_* */
        __u8 pad[3];
};
ABI_ASSERT_SIZE(struct tuple, 40);
