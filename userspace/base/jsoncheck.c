/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recognizer of RFC 8259's grammar. json-c takes more than that even in its strict mode: NaN, numbers like 01 and 1.,
 * control characters in strings, and whatever stands behind a NUL.
 */
#include <string.h>

#include "base/jsoncheck.h"
#include "base/utf8.h"

struct scan {
        const char *p, *end;
        size_t depth_left;
};

static bool value(struct scan *s);

static void blanks(struct scan *s)
{
        while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
                s->p++;
}

static bool byte(struct scan *s, char c)
{
        if (s->p == s->end || *s->p != c)
                return false;
        s->p++;
        return true;
}

static bool word(struct scan *s, const char *w)
{
        for (; *w; w++)
                if (!byte(s, *w))
                        return false;
        return true;
}

static bool digits(struct scan *s)
{
        const char *start = s->p;

        while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
                s->p++;
        return s->p > start;
}

static bool number(struct scan *s)
{
        byte(s, '-');
        if (!byte(s, '0') && !digits(s))
                return false;
        if (byte(s, '.') && !digits(s))
                return false;
        if (byte(s, 'e') || byte(s, 'E')) {
                if (!byte(s, '+'))
                        byte(s, '-');
                return digits(s);
        }
        return true;
}

static bool escape(struct scan *s)
{
        if (byte(s, 'u')) {
                for (int i = 0; i < 4; i++, s->p++)
                        if (s->p == s->end || !*s->p || !strchr("0123456789abcdefABCDEF", *s->p))
                                return false;
                return true;
        }
        if (s->p == s->end || !*s->p || !strchr("\"\\/bfnrt", *s->p))
                return false;
        s->p++;
        return true;
}

/* Behind the opening quote. */
static bool string(struct scan *s)
{
        while (s->p < s->end) {
                unsigned char c = (unsigned char)*s->p;
                size_t n = 1;

                if (c < 0x20)
                        return false;
                if (c >= 0x80)
                        n = utf8_len((const unsigned char *)s->p, (size_t)(s->end - s->p));
                if (!n)
                        return false;
                s->p += n;
                if (c == '"')
                        return true;
                if (c == '\\' && !escape(s))
                        return false;
        }
        return false;
}

static bool member(struct scan *s)
{
        blanks(s);
        if (!byte(s, '"') || !string(s))
                return false;
        blanks(s);
        return byte(s, ':') && value(s);
}

/* Behind the opening bracket: elements with commas between them, up to the closing one. */
static bool elements(struct scan *s, char close, bool (*element)(struct scan *s))
{
        if (!s->depth_left)
                return false;
        s->depth_left--;
        blanks(s);
        if (!byte(s, close)) {
                do {
                        if (!element(s))
                                return false;
                        blanks(s);
                } while (byte(s, ','));
                if (!byte(s, close))
                        return false;
        }
        s->depth_left++;
        return true;
}

static bool value(struct scan *s)
{
        blanks(s);
        if (s->p == s->end)
                return false;
        switch (*s->p) {
        case '{':
                s->p++;
                return elements(s, '}', member);
        case '[':
                s->p++;
                return elements(s, ']', value);
        case '"':
                s->p++;
                return string(s);
        case 't':
                return word(s, "true");
        case 'f':
                return word(s, "false");
        case 'n':
                return word(s, "null");
        default:
                return number(s);
        }
}

bool json_check(const char *data, size_t len, size_t max_depth, size_t *ret_offset)
{
        struct scan s = {data, data + len, max_depth};

        if (value(&s)) {
                blanks(&s);
                if (s.p == s.end)
                        return true;
        }
        *ret_offset = (size_t)(s.p - data);
        return false;
}
