/* SPDX-License-Identifier: Apache-2.0 */
/* IP addresses as text, as a number, and in ranges. Both families, in the form of bpf/abi/types.h: IPv4 is mapped. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi/types.h"

#define ADDRESS_TEXT_SIZE INET6_ADDRSTRLEN

/* An address, or an address with a prefix length ("10.0.0.5/24"); bits are those of its own family, 32 or 128 when the
 * text has none. IPv4-mapped IPv6 is refused. 0 or -EINVAL. */
int ip_parse(const char *text, struct addr *ret, uint32_t *ret_bits);
/* Canonical text. Returns buf. */
const char *ip_text(const struct addr *a, char buf[static ADDRESS_TEXT_SIZE]);

static inline bool ip_is_v4(const struct addr *a)
{
        return !a->w[0] && !a->w[1] && a->w[2] == htonl(0xffff);
}

static inline int ip_family(const struct addr *a)
{
        return ip_is_v4(a) ? AF_INET : AF_INET6;
}

static inline uint32_t ip_bits(const struct addr *a)
{
        return ip_is_v4(a) ? 32 : 128;
}

/* Where the address of its own family begins, and how many bytes it has. */
static inline const void *ip_bytes(const struct addr *a)
{
        return ip_is_v4(a) ? &a->w[3] : &a->w[0];
}

static inline unsigned int ip_size(const struct addr *a)
{
        return ip_is_v4(a) ? 4 : 16;
}

bool ip_equal(const struct addr *a, const struct addr *b);

/*
 * A pod CIDR. The usable addresses have the indexes 0 to usable - 1. Not usable: the network's own address (in IPv6 the
 * anycast address of RFC 4291, 2.6.1), the one behind it, which is kept for the node, and the broadcast address of
 * IPv4. Of an IPv6 range the first 2^32 are used.
 */
struct ip_range {
        struct addr net;
        uint32_t bits; /* of its own family */
        uint64_t usable;
};

/* 0 or -EINVAL, also when bits behind the prefix are set. */
int ip_range_parse(const char *text, struct ip_range *ret);
bool ip_range_has(const struct ip_range *range, const struct addr *a);
struct addr ip_range_at(const struct ip_range *range, uint64_t index);
/* The index of an address of the range; UINT64_MAX when it is not usable. */
uint64_t ip_range_index(const struct ip_range *range, const struct addr *a);
