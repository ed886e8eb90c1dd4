/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "cni/address.h"

#define RESERVED_LOW 2 /* the network's own address and the node's */

static int parse_plain(const char *text, struct addr *ret)
{
        struct addr a = {0};

        if (inet_pton(AF_INET, text, &a.w[3]) == 1)
                a.w[2] = htonl(0xffff);
        else if (inet_pton(AF_INET6, text, &a) != 1 || ip_is_v4(&a))
                return -EINVAL;
        *ret = a;
        return 0;
}

int ip_parse(const char *text, struct addr *ret, uint32_t *ret_bits)
{
        const char *slash = strchr(text, '/');
        char plain[ADDRESS_TEXT_SIZE];
        struct addr a;
        uint32_t bits;

        if (!slash)
                slash = text + strlen(text);
        if ((size_t)(slash - text) >= sizeof(plain))
                return -EINVAL;
        memcpy(plain, text, (size_t)(slash - text));
        plain[slash - text] = '\0';
        if (parse_plain(plain, &a))
                return -EINVAL;
        bits = ip_bits(&a);
        if (*slash && (str_parse_u32(slash + 1, &bits) || bits > ip_bits(&a)))
                return -EINVAL;
        *ret = a;
        *ret_bits = bits;
        return 0;
}

const char *ip_text(const struct addr *a, char buf[static ADDRESS_TEXT_SIZE])
{
        return inet_ntop(ip_family(a), ip_bytes(a), buf, ADDRESS_TEXT_SIZE);
}

bool ip_equal(const struct addr *a, const struct addr *b)
{
        return memcmp(a, b, sizeof(*a)) == 0;
}

static struct addr masked(const struct addr *a, uint32_t bits)
{
        struct addr m = *a;

        for (uint32_t i = bits + 128 - ip_bits(a); i < 128; i++)
                m.b[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
        return m;
}

int ip_range_parse(const char *text, struct ip_range *ret)
{
        struct ip_range range;
        struct addr net;
        uint32_t host;
        bool v4;

        if (!strchr(text, '/') || ip_parse(text, &range.net, &range.bits))
                return -EINVAL;
        net = masked(&range.net, range.bits);
        if (!ip_equal(&net, &range.net))
                return -EINVAL;
        v4 = ip_is_v4(&range.net);
        host = ip_bits(&range.net) - range.bits;
        range.usable = host < 2 ? 0 : (1ULL << MIN(host, 32U)) - RESERVED_LOW - v4;
        *ret = range;
        return 0;
}

bool ip_range_has(const struct ip_range *range, const struct addr *a)
{
        struct addr net = masked(a, range->bits);

        return ip_is_v4(a) == ip_is_v4(&range->net) && ip_equal(&net, &range->net);
}

static uint64_t low_half(const struct addr *a)
{
        return (uint64_t)ntohl(a->w[2]) << 32 | ntohl(a->w[3]);
}

struct addr ip_range_at(const struct ip_range *range, uint64_t index)
{
        struct addr a = range->net;
        uint64_t low = low_half(&a) + index + RESERVED_LOW;

        a.w[2] = htonl((uint32_t)(low >> 32));
        a.w[3] = htonl((uint32_t)low);
        return a;
}

uint64_t ip_range_index(const struct ip_range *range, const struct addr *a)
{
        uint64_t index;

        /* Prefixes shorter than /64 have more than 2^64 addresses: of those, too, only the first are used. */
        if (!ip_range_has(range, a) || memcmp(a, &range->net, 8) != 0)
                return UINT64_MAX;
        index = low_half(a) - low_half(&range->net) - RESERVED_LOW;
        return index < range->usable ? index : UINT64_MAX;
}
