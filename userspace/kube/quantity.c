/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All arithmetic is on integers in nanos: 2^63 * 10^9 needs 93 bits. Rules: apimachinery's resource.Quantity (its
 * documentation, and what its tests pin down: rounding away from zero, capping, which family a result is printed in).
 */
#include "kube/quantity.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#define NANO 1000000000LL

typedef unsigned __int128 u128;

static const u128 nano_max = (u128)INT64_MAX * NANO;

/* The text in its parts. Digits beyond what the sum can hold set `inexact` (fraction) or `huge` (integer). */
struct parts {
        bool negative, huge, inexact;
        u128 integer;
        uint64_t fraction;        /* of 10^fraction_digits */
        unsigned fraction_digits; /* at most 18 */
        const char *suffix;
};

static const char format_wrong[] =
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
static const char suffix_wrong[] = "unable to parse quantity's suffix";

static void add_integer_digit(struct parts *p, unsigned digit)
{
        if (p->integer > nano_max)
                p->huge = true;
        else
                p->integer = p->integer * 10 + digit;
}

static void add_fraction_digit(struct parts *p, unsigned digit)
{
        if (p->fraction_digits == 18) {
                p->inexact |= digit != 0;
                return;
        }
        p->fraction = p->fraction * 10 + digit;
        p->fraction_digits++;
}

static int split(const char *s, struct parts *p)
{
        bool dot = false, digits = false;

        p->negative = *s == '-';
        if (*s == '-' || *s == '+')
                s++;
        for (; isdigit((unsigned char)*s) || (*s == '.' && !dot); s++) {
                if (*s == '.') {
                        dot = true;
                        continue;
                }
                digits = true;
                if (dot)
                        add_fraction_digit(p, (unsigned)(*s - '0'));
                else
                        add_integer_digit(p, (unsigned)(*s - '0'));
        }
        p->suffix = s;
        return digits ? 0 : -EINVAL;
}

/* value * 10^exponent in nanos. */
static u128 scale_decimal(const struct parts *p, int exponent)
{
        int up = exponent + 9;
        u128 mantissa = p->integer;
        bool inexact = p->inexact;

        if (p->huge)
                return up > -40 ? nano_max : 1;
        if (mantissa > nano_max / 1000000000 && up > 9)
                return nano_max;
        /* integer < 2^93 leaves no room for 18 more digits: scale both sides apart */
        u128 total = mantissa, fraction = p->fraction;
        int down = (int)p->fraction_digits;

        for (; up > 0 && total <= nano_max; up--) {
                total *= 10;
                if (down) {
                        u128 unit = 1;

                        for (int i = 1; i < down; i++)
                                unit *= 10;
                        total += fraction / unit;
                        fraction %= unit;
                        down--;
                }
        }
        inexact |= fraction != 0;
        for (; up < 0 && (total || inexact); up++) {
                inexact |= total % 10 != 0;
                total /= 10;
                if (!total)
                        break;
        }
        total += inexact;
        return total > nano_max ? nano_max : total;
}

/* value * 1024^power in nanos, power 1 to 6. */
static u128 scale_binary(const struct parts *p, int power)
{
        unsigned shift = 10 * (unsigned)power;
        u128 unit = 1, part, nanos;
        bool inexact = p->inexact;

        if (p->huge || p->integer > ((u128)INT64_MAX >> shift))
                return nano_max;
        for (unsigned i = 0; i < p->fraction_digits; i++)
                unit *= 10;
        part = (u128)p->fraction << shift; /* below 2^60 * 2^60 */
        nanos = (part % unit) * NANO;
        inexact |= nanos % unit != 0;
        nanos = nanos / unit + (part / unit + (p->integer << shift)) * NANO + inexact;
        return nanos > nano_max ? nano_max : nanos;
}

static int parse_exponent(const char *s, int *ret)
{
        bool negative = *s == '-';
        int value = 0;

        if (*s == '-' || *s == '+')
                s++;
        if (!*s)
                return -EINVAL;
        for (; *s; s++) {
                if (!isdigit((unsigned char)*s))
                        return -EINVAL;
                if (value < 1000)
                        value = value * 10 + (*s - '0');
        }
        *ret = negative ? -value : value;
        return 0;
}

static const struct {
        char text[3];
        int8_t exponent; /* of 10, or of 1024 when binary */
        bool binary;
} suffixes[] = {
        {"n", -9, false}, {"u", -6, false}, {"m", -3, false}, {"", 0, false},   {"k", 3, false}, {"M", 6, false},
        {"G", 9, false},  {"T", 12, false}, {"P", 15, false}, {"E", 18, false}, {"Ki", 1, true}, {"Mi", 2, true},
        {"Gi", 3, true},  {"Ti", 4, true},  {"Pi", 5, true},  {"Ei", 6, true},
};

#define DECIMAL_SUFFIXES 10

static bool suffix_characters(const char *s)
{
        s += strspn(s, "eEinumkKMGTP");
        s += *s == '-' || *s == '+';
        s += strspn(s, "0123456789");
        return !*s;
}

/* The magnitude in nanos by the suffix, and its family. */
static int scale(const struct parts *p, u128 *ret, enum quantity_format *ret_format)
{
        int exponent;

        for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
                if (strcmp(p->suffix, suffixes[i].text))
                        continue;
                *ret_format = suffixes[i].binary ? QUANTITY_BINARY_SI : QUANTITY_DECIMAL_SI;
                *ret = suffixes[i].binary ? scale_binary(p, suffixes[i].exponent)
                                          : scale_decimal(p, suffixes[i].exponent);
                return 0;
        }
        if ((*p->suffix != 'e' && *p->suffix != 'E') || parse_exponent(p->suffix + 1, &exponent))
                return -EINVAL;
        *ret_format = QUANTITY_DECIMAL_EXPONENT;
        *ret = scale_decimal(p, exponent);
        return 0;
}

int quantity_parse(const char *s, struct quantity *ret, struct err *reterr)
{
        struct parts p = {};
        struct quantity q;
        u128 nano;

        if (split(s, &p) || !suffix_characters(p.suffix))
                return err_set(reterr, -EINVAL, "%s", format_wrong);
        if (scale(&p, &nano, &q.format))
                return err_set(reterr, -EINVAL, "%s", suffix_wrong);
        q.nano = p.negative ? -(__int128)nano : (__int128)nano;
        *ret = q;
        return 0;
}

/* Writes value and suffix; value fits, for it is below 2^63. */
static char *print(__int128 value, const char *suffix, char *buf)
{
        char digits[24];
        size_t n = sizeof(digits);
        bool negative = value < 0;
        uint64_t v = (uint64_t)(negative ? -value : value);
        char *out = buf;

        do
                digits[--n] = (char)('0' + v % 10);
        while (v /= 10);
        if (negative)
                *out++ = '-';
        memcpy(out, digits + n, sizeof(digits) - n);
        memcpy(out + sizeof(digits) - n, suffix, strlen(suffix) + 1);
        return buf;
}

static __int128 ceil_away(__int128 value, __int128 unit)
{
        __int128 whole = value / unit;

        if (value % unit)
                whole += value < 0 ? -1 : 1;
        return whole;
}

static char *format_binary(const struct quantity *q, char *buf)
{
        __int128 value = ceil_away(q->nano, NANO);
        size_t power = 0;

        while (power < 6 && value % 1024 == 0) {
                value /= 1024;
                power++;
        }
        return print(value, power ? suffixes[DECIMAL_SUFFIXES + power - 1].text : "", buf);
}

char *quantity_format(const struct quantity *q, char *buf)
{
        static const char *const exponents[] = {"e-9", "e-6", "e-3", "", "e3", "e6", "e9", "e12", "e15", "e18"};
        __int128 value = q->nano, bound = (__int128)1024 * NANO;
        size_t step = 0;

        if (!value)
                return print(0, "", buf);
        if (q->format == QUANTITY_BINARY_SI && (value >= bound || value <= -bound))
                return format_binary(q, buf);
        for (; step < DECIMAL_SUFFIXES - 1 && value % 1000 == 0; step++)
                value /= 1000;
        return print(value, q->format == QUANTITY_DECIMAL_EXPONENT ? exponents[step] : suffixes[step].text, buf);
}

int quantity_compare(const struct quantity *a, const struct quantity *b)
{
        return (a->nano > b->nano) - (a->nano < b->nano);
}

int quantity_sign(const struct quantity *q)
{
        return (q->nano > 0) - (q->nano < 0);
}

static void cap(struct quantity *q)
{
        __int128 max = (__int128)nano_max;

        if (q->nano > max)
                q->nano = max;
        if (q->nano < -max)
                q->nano = -max;
}

void quantity_add(struct quantity *a, const struct quantity *b)
{
        if (!a->nano)
                a->format = b->format;
        a->nano += b->nano;
        cap(a);
}

void quantity_sub(struct quantity *a, const struct quantity *b)
{
        if (!a->nano)
                a->format = b->format;
        a->nano -= b->nano;
        cap(a);
}

static int64_t clamp(__int128 v)
{
        return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

int64_t quantity_value(const struct quantity *q)
{
        return clamp(ceil_away(q->nano, NANO));
}

int64_t quantity_milli(const struct quantity *q)
{
        return clamp(ceil_away(q->nano, NANO / 1000));
}

struct quantity quantity_of(int64_t value, enum quantity_format format)
{
        struct quantity q = {(__int128)value * NANO, format};

        cap(&q);
        return q;
}

struct quantity quantity_of_milli(int64_t milli, enum quantity_format format)
{
        return (struct quantity){(__int128)milli * (NANO / 1000), format};
}
