/* SPDX-License-Identifier: Apache-2.0 */
/* IP addresses and prefixes of both families, as text the way Kubernetes reads and writes them. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ipaddr {
        uint8_t len; /* bytes: 4, 16, or 0 for none */
        uint8_t bytes[16];
};

struct ipcidr {
        struct ipaddr addr; /* as written: may have bits behind the prefix */
        uint8_t bits;
};

#define IPADDR_NULL      ((struct ipaddr){0})
#define IPADDR_TEXT_SIZE 46

enum ipaddr_outcome {
        IPADDR_BAD = 1,
};

/*
 * What Go's net.ParseIP took before 1.17 (Kubernetes: ParseIPSloppy): octets may have leading zeros, and an IPv4-mapped
 * IPv6 address is an IPv4 one. Returns 0 or IPADDR_BAD.
 */
int ipaddr_parse(const char *s, struct ipaddr *ret);
/* addr/bits by the same rules. */
int ipcidr_parse(const char *s, struct ipcidr *ret);

/* Canonical text: dotted, or RFC 5952. Returns buf. */
char *ipaddr_format(const struct ipaddr *a, char buf[IPADDR_TEXT_SIZE]);
/* s is the canonical text of the address that it stands for, and no IPv4-mapped one. */
bool ipaddr_is_canonical(const char *s);

static inline bool ipaddr_is_v6(const struct ipaddr *a)
{
        return a->len == 16;
}

/* "IPv4" or "IPv6" */
const char *ipaddr_family(const struct ipaddr *a);
bool ipaddr_equal(const struct ipaddr *a, const struct ipaddr *b);
/* <0, 0, >0; an IPv4 address is less than any IPv6 one. */
int ipaddr_compare(const struct ipaddr *a, const struct ipaddr *b);
/* a + n; wraps around within the family. */
struct ipaddr ipaddr_add(const struct ipaddr *a, uint64_t n);

/* The prefix with the bits behind it cleared. */
struct ipaddr ipcidr_first(const struct ipcidr *c);
struct ipaddr ipcidr_last(const struct ipcidr *c);
bool ipcidr_contains(const struct ipcidr *c, const struct ipaddr *a);
bool ipcidr_equal(const struct ipcidr *a, const struct ipcidr *b);

bool ipaddr_is_unspecified(const struct ipaddr *a);
bool ipaddr_is_loopback(const struct ipaddr *a);
bool ipaddr_is_link_local(const struct ipaddr *a);           /* 169.254.0.0/16, fe80::/10 */
bool ipaddr_is_link_local_multicast(const struct ipaddr *a); /* 224.0.0.0/24, ff02::/16 */
