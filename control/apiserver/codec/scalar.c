/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/codec/scalar.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "kube/quantity.h"

#define GO_ZERO_TIME (-62135596800LL) /* 0001-01-01T00:00:00Z */
#define YEAR_0       (-62167219200LL)
#define YEAR_10000   253402300800LL

static void replace_string(struct json_object **val, const char *s)
{
        if (json_is_string(*val) && !strcmp(json_object_get_string(*val), s))
                return;
        json_object_put(*val);
        *val = json_object_new_string(s);
}

char *scalar_time_format(const struct timespec *t, bool micro, char *buf)
{
        size_t n;

        if (t->tv_sec < YEAR_0 || t->tv_sec >= YEAR_10000)
                return NULL;
        clock_format(t->tv_sec, buf);
        n = strlen(buf) - 1; /* the Z */
        if (micro)
                snprintf(buf + n, CLOCK_TEXT_SIZE - n, ".%06ldZ", t->tv_nsec / 1000);
        return buf;
}

int scalar_time(struct json_object **val, bool micro, struct err *reterr)
{
        const char *text = json_object_get_string(*val);
        char buf[CLOCK_TEXT_SIZE];
        struct timespec t;

        if (clock_parse(text, &t) || !scalar_time_format(&t, micro, buf))
                return err_set(reterr, -EINVAL,
                               "parsing time \"%.80s\" as \"%s\": cannot parse it; a time looks like "
                               "2006-01-02T15:04:05%sZ",
                               text, micro ? "2006-01-02T15:04:05.000000Z07:00" : "2006-01-02T15:04:05Z07:00",
                               micro ? ".000000" : "");
        if (t.tv_sec == GO_ZERO_TIME && !t.tv_nsec) {
                json_object_put(*val);
                *val = NULL;
                return 0;
        }
        replace_string(val, buf);
        return 0;
}

int scalar_quantity(struct json_object **val, struct err *reterr)
{
        const char *text = json_object_get_string(*val);
        char buf[QUANTITY_TEXT_SIZE];
        struct quantity q;
        int r;

        r = quantity_parse(text, &q, reterr);
        if (r)
                return r;
        replace_string(val, quantity_format(&q, buf));
        return 0;
}

static bool base64_digit(unsigned char c)
{
        unsigned char lower = c | 0x20;

        return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

#define BASE64_OK SIZE_MAX

/* Where the text stops being base64, or BASE64_OK. */
static size_t base64_check(const char *s, size_t n)
{
        size_t digits = n, i = 0;

        while (digits && n - digits < 2 && s[digits - 1] == '=')
                digits--;
        while (i < digits && base64_digit((unsigned char)s[i]))
                i++;
        if (i < digits)
                return i;
        return n % 4 || digits % 4 == 1 ? digits - digits % 4 : BASE64_OK;
}

/* s without line breaks; n becomes its length. */
static char *join_lines(const char *s, size_t *n)
{
        char *out = malloc(*n + 1);
        size_t k = 0;

        if (!out)
                return NULL;
        for (size_t i = 0; i < *n; i++)
                if (s[i] != '\n' && s[i] != '\r')
                        out[k++] = s[i];
        out[k] = '\0';
        *n = k;
        return out;
}

int scalar_bytes(struct json_object **val, struct err *reterr)
{
        _cleanup_free_ char *joined = NULL;
        const char *s = json_object_get_string(*val);
        size_t n = (size_t)json_object_get_string_len(*val), bad;

        if (memchr(s, '\n', n) || memchr(s, '\r', n)) {
                joined = join_lines(s, &n);
                if (!joined)
                        return -ENOMEM;
                s = joined;
        }
        bad = base64_check(s, n);
        if (bad != BASE64_OK)
                return err_set(reterr, -EINVAL, "illegal base64 data at input byte %zu", bad);
        if (joined) {
                json_object_put(*val);
                *val = json_object_new_string_len(joined, (int)n);
        }
        return 0;
}
