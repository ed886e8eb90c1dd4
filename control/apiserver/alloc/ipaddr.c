/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "apiserver/alloc/ipaddr.h"

/* Four octets of one to three digits; leading zeros are decimal. */
static int parse_v4(const char *s, struct ipaddr *ret)
{
        struct ipaddr a = {.len = 4};

        for (size_t i = 0; i < 4; i++) {
                unsigned int v = 0;
                size_t n = 0;

                if (i && *s++ != '.')
                        return IPADDR_BAD;
                for (; *s >= '0' && *s <= '9' && n < 16; n++) {
                        v = v * 10 + (unsigned int)(*s++ - '0');
                        if (v > 255)
                                return IPADDR_BAD;
                }
                if (!n)
                        return IPADDR_BAD;
                a.bytes[i] = (uint8_t)v;
        }
        if (*s)
                return IPADDR_BAD;
        *ret = a;
        return 0;
}

static bool is_v4_mapped(const uint8_t b[16])
{
        static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

        return memcmp(b, prefix, sizeof(prefix)) == 0;
}

int ipaddr_parse(const char *s, struct ipaddr *ret)
{
        struct ipaddr a = {.len = 16};

        if (!strchr(s, ':'))
                return parse_v4(s, ret);
        if (strlen(s) >= IPADDR_TEXT_SIZE || inet_pton(AF_INET6, s, a.bytes) != 1)
                return IPADDR_BAD;
        if (is_v4_mapped(a.bytes)) {
                struct ipaddr v4 = {.len = 4};

                memcpy(v4.bytes, a.bytes + 12, 4);
                a = v4;
        }
        *ret = a;
        return 0;
}

int ipcidr_parse(const char *s, struct ipcidr *ret)
{
        const char *slash = strchr(s, '/');
        char text[IPADDR_TEXT_SIZE];
        struct ipcidr c;
        unsigned int bits = 0;
        size_t n;

        if (!slash || (size_t)(slash - s) >= sizeof(text))
                return IPADDR_BAD;
        memcpy(text, s, (size_t)(slash - s));
        text[slash - s] = '\0';
        if (ipaddr_parse(text, &c.addr))
                return IPADDR_BAD;
        /* A mapped address has a prefix of 128 bits there, which nothing here means. */
        if (strchr(text, ':') && c.addr.len == 4)
                return IPADDR_BAD;
        n = strspn(slash + 1, "0123456789");
        if (!n || n > 3 || slash[1 + n])
                return IPADDR_BAD;
        for (size_t i = 1; i <= n; i++)
                bits = bits * 10 + (unsigned int)(slash[i] - '0');
        if (bits > c.addr.len * 8U)
                return IPADDR_BAD;
        c.bits = (uint8_t)bits;
        *ret = c;
        return 0;
}

static unsigned int group_of(const struct ipaddr *a, size_t i)
{
        return (unsigned int)a->bytes[2 * i] << 8 | a->bytes[2 * i + 1];
}

/* The longest run of two or more zero groups, the first of several (RFC 5952, 4.2). */
static void longest_zeros(const struct ipaddr *a, size_t *ret_at, size_t *ret_n)
{
        size_t at = 8, n = 1;

        for (size_t i = 0; i < 8; i++) {
                size_t j = i;

                while (j < 8 && group_of(a, j) == 0)
                        j++;
                if (j - i > n) {
                        at = i;
                        n = j - i;
                }
                if (j > i)
                        i = j;
        }
        *ret_at = at;
        *ret_n = n;
}

static void format_v6(const struct ipaddr *a, char *buf)
{
        size_t at, n, len = 0;

        longest_zeros(a, &at, &n);
        for (size_t i = 0; i < 8; i++) {
                if (i == at) {
                        memcpy(buf + len, "::", 3);
                        len += 2;
                        i += n - 1;
                        continue;
                }
                if (i && buf[len - 1] != ':')
                        buf[len++] = ':';
                len += (size_t)snprintf(buf + len, IPADDR_TEXT_SIZE - len, "%x", group_of(a, i));
        }
}

char *ipaddr_format(const struct ipaddr *a, char buf[IPADDR_TEXT_SIZE])
{
        if (a->len == 4)
                snprintf(buf, IPADDR_TEXT_SIZE, "%u.%u.%u.%u", a->bytes[0], a->bytes[1], a->bytes[2], a->bytes[3]);
        else
                format_v6(a, buf);
        return buf;
}

bool ipaddr_is_canonical(const char *s)
{
        char text[IPADDR_TEXT_SIZE];
        struct ipaddr a;

        return ipaddr_parse(s, &a) == 0 && strcmp(ipaddr_format(&a, text), s) == 0;
}

const char *ipaddr_family(const struct ipaddr *a)
{
        return ipaddr_is_v6(a) ? "IPv6" : "IPv4";
}

bool ipaddr_equal(const struct ipaddr *a, const struct ipaddr *b)
{
        return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

int ipaddr_compare(const struct ipaddr *a, const struct ipaddr *b)
{
        return a->len != b->len ? (int)a->len - (int)b->len : memcmp(a->bytes, b->bytes, a->len);
}

struct ipaddr ipaddr_add(const struct ipaddr *a, uint64_t n)
{
        struct ipaddr sum = *a;

        for (size_t i = a->len; i-- > 0 && n;) {
                n += sum.bytes[i];
                sum.bytes[i] = (uint8_t)n;
                n >>= 8;
        }
        return sum;
}

/* The address with every bit behind the prefix set to `one`. */
static struct ipaddr fill(const struct ipcidr *c, bool one)
{
        struct ipaddr a = c->addr;

        for (size_t i = 0; i < a.len; i++) {
                size_t kept = c->bits > 8 * i ? c->bits - 8 * i : 0;
                uint8_t host = kept >= 8 ? 0 : (uint8_t)(0xff >> kept);

                a.bytes[i] = (uint8_t)((a.bytes[i] & ~host) | (one ? host : 0));
        }
        return a;
}

struct ipaddr ipcidr_first(const struct ipcidr *c)
{
        return fill(c, false);
}

struct ipaddr ipcidr_last(const struct ipcidr *c)
{
        return fill(c, true);
}

bool ipcidr_contains(const struct ipcidr *c, const struct ipaddr *a)
{
        struct ipaddr first, last;

        if (a->len != c->addr.len)
                return false;
        first = ipcidr_first(c);
        last = ipcidr_last(c);
        return ipaddr_compare(&first, a) <= 0 && ipaddr_compare(a, &last) <= 0;
}

bool ipcidr_equal(const struct ipcidr *a, const struct ipcidr *b)
{
        struct ipaddr x = ipcidr_first(a), y = ipcidr_first(b);

        return a->bits == b->bits && ipaddr_equal(&x, &y);
}

bool ipaddr_is_unspecified(const struct ipaddr *a)
{
        static const uint8_t zero[16];

        return memcmp(a->bytes, zero, a->len) == 0;
}

bool ipaddr_is_loopback(const struct ipaddr *a)
{
        static const uint8_t one[16] = {[15] = 1};

        return a->len == 4 ? a->bytes[0] == 127 : memcmp(a->bytes, one, 16) == 0;
}

bool ipaddr_is_link_local(const struct ipaddr *a)
{
        if (a->len == 4)
                return a->bytes[0] == 169 && a->bytes[1] == 254;
        return a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

bool ipaddr_is_link_local_multicast(const struct ipaddr *a)
{
        if (a->len == 4)
                return a->bytes[0] == 224 && a->bytes[1] == 0 && a->bytes[2] == 0;
        return a->bytes[0] == 0xff && (a->bytes[1] & 0x0f) == 0x02;
}
