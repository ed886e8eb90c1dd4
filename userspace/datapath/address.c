/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "datapath/address.h"

struct addr address_of_v4(__be32 v4)
{
        return (struct addr){.w = {0, 0, htonl(0xffff), v4}};
}

struct addr address_of_v6(const void *bytes16)
{
        struct addr a;

        memcpy(&a, bytes16, sizeof(a));
        return a;
}

bool address_is_v4(const struct addr *a)
{
        return a->w[0] == 0 && a->w[1] == 0 && a->w[2] == htonl(0xffff);
}

bool address_is_zero(const struct addr *a)
{
        return (a->w[0] | a->w[1] | a->w[2] | a->w[3]) == 0;
}

bool address_equal(const struct addr *a, const struct addr *b)
{
        return memcmp(a, b, sizeof(*a)) == 0;
}

struct addr address_mask(const struct addr *a, uint32_t bits)
{
        struct addr masked = *a;

        for (uint32_t i = 0; i < 4; i++) {
                uint32_t keep = bits > 32 * i ? MIN(bits - 32 * i, 32U) : 0;

                masked.w[i] &= htonl(keep ? 0xffffffffU << (32 - keep) : 0);
        }
        return masked;
}

bool address_in(const struct addr *a, const struct addr *net, uint32_t bits)
{
        struct addr cut = address_mask(a, bits), want = address_mask(net, bits);

        /* ::/0 is every IPv6 address, and none of the IPv4 ones that the mapped form puts among them. */
        return (bits >= ADDR_V4_BITS || !address_is_v4(a)) && address_equal(&cut, &want);
}

int address_parse(const char *text, struct addr *ret)
{
        struct in6_addr v6;
        struct in_addr v4;
        struct addr a;

        if (!text)
                return -EINVAL;
        if (inet_pton(AF_INET, text, &v4) == 1) {
                *ret = address_of_v4(v4.s_addr);
                return 0;
        }
        if (inet_pton(AF_INET6, text, &v6) != 1)
                return -EINVAL;
        a = address_of_v6(&v6);
        if (address_is_v4(&a))
                return -EINVAL;
        *ret = a;
        return 0;
}

/* A number of bits without leading zeros. */
static int parse_bits(const char *text, uint32_t limit, uint32_t *ret)
{
        uint32_t bits;

        if (text[0] == '0' && text[1])
                return -EINVAL;
        if (str_parse_u32(text, &bits) != 0 || bits > limit)
                return -EINVAL;
        *ret = bits;
        return 0;
}

int address_parse_cidr(const char *text, bool strict, struct addr *ret, uint32_t *ret_bits)
{
        char address[INET6_ADDRSTRLEN];
        const char *slash = text ? strchr(text, '/') : NULL;
        struct addr a, cut;
        uint32_t bits;

        if (!slash || (size_t)(slash - text) >= sizeof(address))
                return -EINVAL;
        memcpy(address, text, slash - text);
        address[slash - text] = '\0';
        if (address_parse(address, &a) || parse_bits(slash + 1, address_is_v4(&a) ? 32 : 128, &bits))
                return -EINVAL;
        if (address_is_v4(&a))
                bits += ADDR_V4_BITS;
        cut = address_mask(&a, bits);
        if (strict && !address_equal(&cut, &a))
                return -EINVAL;
        *ret = a;
        *ret_bits = bits;
        return 0;
}

const char *address_text(const struct addr *a, char buf[static ADDRESS_TEXT])
{
        if (address_is_v4(a))
                return inet_ntop(AF_INET, &a->w[3], buf, ADDRESS_TEXT);
        inet_ntop(AF_INET6, a->b, buf, ADDRESS_TEXT);
        /* libc writes what is left of ::/96 as if it held an IPv4 address: a form that RFC 4291 has abandoned. */
        if (strchr(buf, '.'))
                snprintf(buf, ADDRESS_TEXT, "::%x:%x", ntohl(a->w[3]) >> 16, ntohl(a->w[3]) & 0xffff);
        return buf;
}

const char *address_port_text(const struct addr *a, __be16 port, char buf[static ADDRESS_TEXT])
{
        char address[ADDRESS_TEXT];

        snprintf(buf, ADDRESS_TEXT, address_is_v4(a) ? "%.45s:%u" : "[%.45s]:%u", address_text(a, address),
                 ntohs(port));
        return buf;
}

const char *address_cidr_text(const struct addr *a, uint32_t bits, char buf[static ADDRESS_TEXT])
{
        bool v4 = address_is_v4(a) && bits >= ADDR_V4_BITS;
        char address[ADDRESS_TEXT];

        snprintf(buf, ADDRESS_TEXT, "%.45s/%u", address_text(a, address), v4 ? bits - ADDR_V4_BITS : bits);
        return buf;
}
