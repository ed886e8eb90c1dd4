/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/yaml_scalar.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
        const char *text;
        enum yaml_scalar kind;
        bool value;
} words[] = {
        {"y", YAML_BOOL, true},         {"Y", YAML_BOOL, true},         {"yes", YAML_BOOL, true},
        {"Yes", YAML_BOOL, true},       {"YES", YAML_BOOL, true},       {"true", YAML_BOOL, true},
        {"True", YAML_BOOL, true},      {"TRUE", YAML_BOOL, true},      {"on", YAML_BOOL, true},
        {"On", YAML_BOOL, true},        {"ON", YAML_BOOL, true},        {"n", YAML_BOOL, false},
        {"N", YAML_BOOL, false},        {"no", YAML_BOOL, false},       {"No", YAML_BOOL, false},
        {"NO", YAML_BOOL, false},       {"false", YAML_BOOL, false},    {"False", YAML_BOOL, false},
        {"FALSE", YAML_BOOL, false},    {"off", YAML_BOOL, false},      {"Off", YAML_BOOL, false},
        {"OFF", YAML_BOOL, false},      {"", YAML_NULL, false},         {"~", YAML_NULL, false},
        {"null", YAML_NULL, false},     {"Null", YAML_NULL, false},     {"NULL", YAML_NULL, false},
        {".nan", YAML_UNSUPPORTED, 0},  {".NaN", YAML_UNSUPPORTED, 0},  {".NAN", YAML_UNSUPPORTED, 0},
        {".inf", YAML_UNSUPPORTED, 0},  {".Inf", YAML_UNSUPPORTED, 0},  {".INF", YAML_UNSUPPORTED, 0},
        {"+.inf", YAML_UNSUPPORTED, 0}, {"+.Inf", YAML_UNSUPPORTED, 0}, {"+.INF", YAML_UNSUPPORTED, 0},
        {"-.inf", YAML_UNSUPPORTED, 0}, {"-.Inf", YAML_UNSUPPORTED, 0}, {"-.INF", YAML_UNSUPPORTED, 0},
};

#define NUMBER_MAX 400 /* bytes of a number worth looking at; doubles end at 310 digits */

/* s without underscores; false when it is too long for a number. */
static bool strip_underscores(const char *s, char out[static NUMBER_MAX])
{
        size_t n = 0;

        for (; *s; s++) {
                if (n == NUMBER_MAX - 1)
                        return false;
                if (*s != '_')
                        out[n++] = *s;
        }
        out[n] = '\0';
        return n > 0;
}

/* Go's base 0: 0x, 0b, 0o and 0 prefixes. */
static unsigned integer_base(const char **s)
{
        const char *p = *s;

        if (*p != '0' || !p[1])
                return 10;
        *s += 2;
        switch (p[1] | 0x20) {
        case 'x':
                return 16;
        case 'b':
                return 2;
        case 'o':
                return 8;
        default:
                *s = p + 1;
                return 8;
        }
}

/* The magnitude; false when s is no whole number that 64 bits hold. */
static bool parse_magnitude(const char *s, uint64_t *ret)
{
        unsigned base = integer_base(&s);
        uint64_t v = 0;

        if (!*s)
                return false;
        for (; *s; s++) {
                unsigned char lower = (unsigned char)*s | 0x20;
                unsigned digit = *s >= '0' && *s <= '9'         ? (unsigned)(*s - '0')
                                 : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10U
                                                                : 99;

                if (digit >= base || __builtin_mul_overflow(v, (uint64_t)base, &v) ||
                    __builtin_add_overflow(v, (uint64_t)digit, &v))
                        return false;
        }
        *ret = v;
        return true;
}

static struct json_object *integer(const char *s)
{
        bool negative = *s == '-';
        uint64_t v;

        if (!parse_magnitude(s + (*s == '-' || *s == '+'), &v))
                return NULL;
        if (!negative)
                return v > INT64_MAX ? json_object_new_uint64(v) : json_object_new_int64((int64_t)v);
        if (v > (uint64_t)INT64_MAX + 1)
                return NULL;
        return json_object_new_int64((int64_t)(0 - v));
}

/* [-+]?(.digits | digits[.digits])[e[-+]digits] */
static bool float_shaped(const char *s)
{
        size_t whole, fraction = 0, n;

        s += *s == '-' || *s == '+';
        s += whole = strspn(s, "0123456789");
        if (*s == '.')
                s += 1 + (fraction = strspn(s + 1, "0123456789"));
        if (!whole && !fraction)
                return false;
        if (*s == 'e' || *s == 'E') {
                s++;
                s += *s == '-' || *s == '+';
                s += n = strspn(s, "0123456789");
                if (!n)
                        return false;
        }
        return !*s;
}

static struct json_object *float_number(const char *s)
{
        double d = strtod(s, NULL);

        return isfinite(d) ? json_number(d) : NULL;
}

enum yaml_scalar yaml_scalar_resolve(const char *s, struct json_object **ret)
{
        char plain[NUMBER_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                if (strcmp(s, words[i].text))
                        continue;
                if (words[i].kind == YAML_BOOL)
                        *ret = json_object_new_boolean(words[i].value);
                return words[i].kind;
        }
        if (!strchr("+-.0123456789", *s) || !strip_underscores(s, plain))
                return YAML_STR;
        *ret = *s == '.' ? NULL : integer(plain);
        if (*ret)
                return YAML_INT;
        *ret = float_shaped(plain) ? float_number(plain) : NULL;
        return *ret ? YAML_FLOAT : YAML_STR;
}
