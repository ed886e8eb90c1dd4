/* SPDX-License-Identifier: Apache-2.0 */
/* Text and addresses of the dataplane's form (bpf/abi/types.h). */
#pragma once

#include <stdbool.h>
#include <netinet/in.h>

#include "bpf/abi/types.h"

#define ADDRESS_TEXT 64

/* Both families; no zone, no leading zeros, nothing around it. IPv4-mapped IPv6 text is refused, as Kubernetes does. 0
 * or -EINVAL. */
int address_parse(const char *text, struct addr *ret);
/* "10.0.0.0/24", "fd00::/64"; bits are those of the 128 bit form. A set bit behind the prefix is -EINVAL when strict.
 */
int address_parse_cidr(const char *text, bool strict, struct addr *ret, uint32_t *ret_bits);
/* Canonical (RFC 5952). Returns buf. */
const char *address_text(const struct addr *a, char buf[static ADDRESS_TEXT]);
/* "10.0.0.1:80", "[fd00::1]:80". */
const char *address_port_text(const struct addr *a, __be16 port, char buf[static ADDRESS_TEXT]);
const char *address_cidr_text(const struct addr *a, uint32_t bits, char buf[static ADDRESS_TEXT]);

bool address_is_v4(const struct addr *a);
bool address_is_zero(const struct addr *a);
bool address_equal(const struct addr *a, const struct addr *b);
/* No IPv4 address is in a network of IPv6, whatever the mapped form says: not even in ::/0. */
bool address_in(const struct addr *a, const struct addr *net, uint32_t bits);
struct addr address_of_v4(__be32 v4);
struct addr address_of_v6(const void *bytes16);
struct addr address_mask(const struct addr *a, uint32_t bits);
