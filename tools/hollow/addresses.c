/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "hollow/addresses.h"

#define PLACES_MAX  4096
#define FIRST_PLACE 2 /* 0 is the network, 1 the node's end of it */

struct prefix {
        uint8_t bytes[16];
        uint32_t size, bits; /* bytes of an address; of the prefix */
        int family;
};

void address_of_node(uint32_t index, char ret[ADDRESSES_TEXT])
{
        index %= 1u << 17;
        snprintf(ret, ADDRESSES_TEXT, "198.%u.%u.%u", 18 + (index >> 16), index >> 8 & 0xff, index & 0xff);
}

void addresses_make_up(struct addresses *a, uint32_t index)
{
        index %= 1u << 14;
        snprintf(a->cidrs[0], sizeof(a->cidrs[0]), "100.%u.%u.0/24", 64 + (index >> 8), index & 0xff);
        a->cidrs[1][0] = '\0';
}

void addresses_deinit(struct addresses *a)
{
        free(a->taken);
        *a = (struct addresses){0};
}

static bool parse(const char *cidr, struct prefix *ret)
{
        const char *slash = strchr(cidr, '/');
        char text[ADDRESSES_TEXT];

        if (!slash || (size_t)(slash - cidr) >= sizeof(text) || str_parse_u32(slash + 1, &ret->bits))
                return false;
        memcpy(text, cidr, (size_t)(slash - cidr));
        text[slash - cidr] = '\0';
        ret->family = strchr(text, ':') ? AF_INET6 : AF_INET;
        ret->size = ret->family == AF_INET6 ? 16 : 4;
        return ret->bits <= ret->size * 8 && inet_pton(ret->family, text, ret->bytes) == 1;
}

/* Places that a prefix has, without its first two and, in IPv4, its last. */
static uint32_t places_of(const char *cidr)
{
        struct prefix p;
        uint32_t free_bits;

        if (!parse(cidr, &p))
                return 0;
        free_bits = p.size * 8 - p.bits;
        if (free_bits >= 12)
                return PLACES_MAX;
        return p.family == AF_INET && free_bits ? (1u << free_bits) - 1 : 1u << free_bits;
}

bool address_at(const char *cidr, uint32_t place, char ret[ADDRESSES_TEXT])
{
        struct prefix p;
        uint32_t carry = place;

        if (place >= places_of(cidr) || !parse(cidr, &p))
                return false;
        for (uint32_t i = p.size; i-- > 0 && carry; carry >>= 8) {
                carry += p.bytes[i];
                p.bytes[i] = (uint8_t)carry;
        }
        return inet_ntop(p.family, p.bytes, ret, ADDRESSES_TEXT);
}

static void set(struct addresses *a, uint32_t place)
{
        if (place / 64 >= a->nwords) {
                uint32_t n = place / 64 + 1;

                a->taken = mem_realloc(a->taken, n, sizeof(uint64_t));
                memset(a->taken + a->nwords, 0, (n - a->nwords) * sizeof(uint64_t));
                a->nwords = n;
        }
        a->taken[place / 64] |= 1ULL << place % 64;
}

static bool is_set(const struct addresses *a, uint32_t place)
{
        return place / 64 < a->nwords && a->taken[place / 64] & 1ULL << place % 64;
}

uint32_t addresses_take(struct addresses *a)
{
        uint32_t n = places_of(a->cidrs[0]);

        if (*a->cidrs[1])
                n = MIN(n, places_of(a->cidrs[1]));
        for (uint32_t place = FIRST_PLACE; place < n; place++)
                if (!is_set(a, place)) {
                        set(a, place);
                        return place;
                }
        return PLACE_NONE;
}

/* How far behind the beginning of the prefix; PLACE_NONE: not in it. */
static uint32_t place_of(const char *cidr, const char *ip)
{
        uint8_t bytes[16];
        uint32_t place = 0;
        struct prefix p;

        if (!parse(cidr, &p) || inet_pton(p.family, ip, bytes) != 1)
                return PLACE_NONE;
        for (uint32_t i = 0; i < p.size; i++) {
                if (place >> 20)
                        return PLACE_NONE;
                place = place << 8;
                if (bytes[i] < p.bytes[i] && !place)
                        return PLACE_NONE;
                place += (uint32_t)bytes[i] - p.bytes[i];
        }
        return place < places_of(cidr) ? place : PLACE_NONE;
}

uint32_t addresses_adopt(struct addresses *a, const char *ip)
{
        for (size_t i = 0; i < 2; i++) {
                uint32_t place = place_of(a->cidrs[i], ip);

                if (place >= FIRST_PLACE) {
                        set(a, place);
                        return place;
                }
        }
        return PLACE_NONE;
}

void addresses_release(struct addresses *a, uint32_t place)
{
        if (place / 64 < a->nwords)
                a->taken[place / 64] &= ~(1ULL << place % 64);
}
