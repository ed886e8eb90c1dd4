/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/kubelet/shim/logline.h"

#define DAY_S 86400

static char *digits(char *p, int64_t v, int n)
{
        for (int i = n - 1; i >= 0; i--, v /= 10)
                p[i] = (char)('0' + v % 10);
        return p + n;
}

/* Days since 1970 to a date of the Gregorian calendar: eras of 400 years that begin in March, so that the leap day is
 * the last of a year. gmtime would read the time zone's files. */
static char *date(char *p, int64_t days)
{
        int64_t z = days + 719468, era = z / 146097, doe = z - era * 146097;
        int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
        int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
        int64_t month = mp < 10 ? mp + 3 : mp - 9;

        p = digits(p, yoe + era * 400 + (month <= 2), 4);
        *p++ = '-';
        p = digits(p, month, 2);
        *p++ = '-';
        return digits(p, doy - (153 * mp + 2) / 5 + 1, 2);
}

char *log_stamp(int64_t unix_ns, char buf[LOG_STAMP_SIZE])
{
        int64_t s = unix_ns / 1000000000, of_day = s % DAY_S;
        char *p = date(buf, s / DAY_S);

        *p++ = 'T';
        p = digits(p, of_day / 3600, 2);
        *p++ = ':';
        p = digits(p, of_day / 60 % 60, 2);
        *p++ = ':';
        p = digits(p, of_day % 60, 2);
        *p++ = '.';
        p = digits(p, unix_ns % 1000000000, 9);
        *p++ = 'Z';
        *p = '\0';
        return buf;
}

/* "STAMP NAME T " */
static size_t head(char *p, const char *stamp, const char *name, char tag)
{
        char *begin = p;

        p = stpcpy(stpcpy(stpcpy(p, stamp), " "), name);
        *p++ = ' ';
        *p++ = tag;
        *p++ = ' ';
        return (size_t)(p - begin);
}

struct batch {
        struct iovec v[LOG_VECTORS_MAX];
        size_t n;
        log_write_fn fn;
        void *userdata;
};

static void flush(struct batch *b)
{
        if (b->n)
                b->fn(b->userdata, b->v, b->n);
        b->n = 0;
}

/* A line is its head, its text, and its end, which may be the text's own. */
static void add(struct batch *b, struct iovec line_head, const char *text, size_t n, int newline)
{
        if (b->n + 3 > LOG_VECTORS_MAX)
                flush(b);
        b->v[b->n++] = line_head;
        b->v[b->n++] = (struct iovec){(char *)text, n};
        if (newline)
                b->v[b->n++] = (struct iovec){(char *)"\n", 1};
}

void log_lines(struct log_stream *s, int64_t unix_ns, int last, log_write_fn fn, void *userdata)
{
        char stamp[LOG_STAMP_SIZE], whole[64], part[64];
        struct batch b = {.fn = fn, .userdata = userdata};
        struct iovec full = {whole, 0}, partial = {part, 0};
        size_t at = 0;
        char *nl;

        log_stamp(unix_ns, stamp);
        full.iov_len = head(whole, stamp, s->name, 'F');
        partial.iov_len = head(part, stamp, s->name, 'P');
        while (at < s->used && (nl = memchr(s->buf + at, '\n', s->used - at))) {
                add(&b, full, s->buf + at, (size_t)(nl + 1 - (s->buf + at)), 0);
                at = (size_t)(nl + 1 - s->buf);
        }
        if (s->used - at == sizeof(s->buf) || (last && s->used > at)) {
                add(&b, last ? full : partial, s->buf + at, s->used - at, 1);
                at = s->used;
        }
        flush(&b);
        memmove(s->buf, s->buf + at, s->used - at);
        s->used -= at;
}
