/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/cleanup.h"
#include "base/str.h"

bool str_split(const char **rest, char sep, struct str_span *ret)
{
        const char *s = *rest, *end;

        if (!s)
                return false;
        end = strchr(s, sep);
        *ret = (struct str_span){s, end ? (size_t)(end - s) : strlen(s)};
        *rest = end ? end + 1 : NULL;
        return true;
}

bool str_copy(char *dst, size_t size, const char *s)
{
        size_t n = strlen(s);
        bool fits = n < size;

        if (!size)
                return false;
        if (!fits)
                n = size - 1;
        memcpy(dst, s, n);
        dst[n] = '\0';
        return fits;
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static int parse_unsigned(const char *s, uint64_t max, uint64_t *ret)
{
        uint64_t v = 0;

        if (!*s)
                return -EINVAL;
        for (const char *p = s; *p; p++)
                if (!is_digit(*p))
                        return -EINVAL;
        for (; *s; s++)
                if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v) || v > max)
                        return -ERANGE;
        *ret = v;
        return 0;
}

int str_parse_u16(const char *s, uint16_t *ret)
{
        uint64_t v;
        int r = parse_unsigned(s, UINT16_MAX, &v);

        if (!r)
                *ret = (uint16_t)v;
        return r;
}

int str_parse_u32(const char *s, uint32_t *ret)
{
        uint64_t v;
        int r = parse_unsigned(s, UINT32_MAX, &v);

        if (!r)
                *ret = (uint32_t)v;
        return r;
}

int str_parse_u64(const char *s, uint64_t *ret)
{
        return parse_unsigned(s, UINT64_MAX, ret);
}

int str_parse_i64(const char *s, int64_t *ret)
{
        bool negative = *s == '-';
        uint64_t v;
        int r;

        if (*s == '-' || *s == '+')
                s++;
        r = parse_unsigned(s, (uint64_t)INT64_MAX + negative, &v);
        if (!r)
                *ret = (int64_t)(negative ? 0 - v : v);
        return r;
}

int str_parse_bool(const char *s, bool *ret)
{
        static const char *const words[] = {"0", "f", "F", "FALSE", "false", "False",
                                            "1", "t", "T", "TRUE",  "true",  "True"};

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (strcmp(s, words[i]) == 0) {
                        *ret = i >= ARRAY_SIZE(words) / 2;
                        return 0;
                }
        return -EINVAL;
}

struct unit {
        const char *name;
        int64_t ns;
};

/* Longer names first, so that "ms" is not read as "m". */
static const struct unit units[] = {
        {"ns", 1},       {"us", 1000},      {"\xc2\xb5s", 1000}, {"\xce\xbcs", 1000},
        {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000},  {"h", 3600000000000},
};

static const struct unit *unit_find(const char *s)
{
        for (size_t i = 0; i < ARRAY_SIZE(units); i++)
                if (str_has_prefix(s, units[i].name))
                        return &units[i];
        return NULL;
}

/* The digits of one number: its whole part, and up to 18 digits of a fraction with their scale. */
struct number {
        uint64_t whole, fraction, scale;
};

static int number_parse(const char **s, struct number *n)
{
        const char *p = *s;
        bool any = false;

        *n = (struct number){.scale = 1};
        for (; is_digit(*p); p++, any = true)
                if (__builtin_mul_overflow(n->whole, 10, &n->whole) ||
                    __builtin_add_overflow(n->whole, (uint64_t)(*p - '0'), &n->whole))
                        return -ERANGE;
        if (*p == '.')
                for (p++; is_digit(*p); p++, any = true)
                        if (n->scale < 1000000000000000000) {
                                n->fraction = n->fraction * 10 + (uint64_t)(*p - '0');
                                n->scale *= 10;
                        }
        if (!any)
                return -EINVAL;
        *s = p;
        return 0;
}

int str_parse_duration(const char *s, int64_t *ret_ns)
{
        bool negative = *s == '-';
        uint64_t total = 0;

        if (*s == '-' || *s == '+')
                s++;
        if (strcmp(s, "0") == 0) {
                *ret_ns = 0;
                return 0;
        }
        if (!*s)
                return -EINVAL;
        while (*s) {
                const struct unit *unit;
                struct number n;
                uint64_t part;
                int r = number_parse(&s, &n);

                if (r)
                        return r;
                unit = unit_find(s);
                if (!unit)
                        return -EINVAL;
                s += strlen(unit->name);
                if (__builtin_mul_overflow(n.whole, (uint64_t)unit->ns, &part))
                        return -ERANGE;
                part += (uint64_t)((unsigned __int128)n.fraction * (uint64_t)unit->ns / n.scale);
                if (__builtin_add_overflow(total, part, &total) || total > (uint64_t)INT64_MAX + negative)
                        return -ERANGE;
        }
        *ret_ns = (int64_t)(negative ? 0 - total : total);
        return 0;
}
