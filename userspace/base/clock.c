/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

static struct timespec now(clockid_t id)
{
        struct timespec ts;

        clock_gettime(id, &ts);
        return ts;
}

uint64_t clock_mono_ns(void)
{
        struct timespec ts = now(CLOCK_MONOTONIC);

        return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_mono_ms(void)
{
        return clock_mono_ns() / NS_PER_MS;
}

int64_t clock_wall_ns(void)
{
        struct timespec ts = now(CLOCK_REALTIME);

        return ts.tv_sec * (int64_t)NS_PER_S + ts.tv_nsec;
}

int64_t clock_wall_s(void)
{
        return now(CLOCK_REALTIME).tv_sec;
}

/* Days between 1970-01-01 and a date of the proleptic Gregorian calendar, by counting years from March, so that the
 * leap day is the last of its year. */
static int64_t days_of(int64_t year, int month, int day)
{
        int64_t y = month <= 2 ? year - 1 : year;
        int64_t era = (y >= 0 ? y : y - 399) / 400;
        int64_t in_era = y - era * 400;
        int64_t in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

        return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static void date_of(int64_t days, int64_t *year, int *month, int *day)
{
        int64_t z = days + 719468;
        int64_t era = (z >= 0 ? z : z - 146096) / 146097;
        int64_t in_era = z - era * 146097;
        int64_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
        int64_t in_year = in_era - (365 * y + y / 4 - y / 100);
        int64_t m = (5 * in_year + 2) / 153;

        *day = (int)(in_year - (153 * m + 2) / 5 + 1);
        *month = (int)(m < 10 ? m + 3 : m - 9);
        *year = y + era * 400 + (*month <= 2);
}

static char *put(char *p, int64_t v, int digits)
{
        for (int i = digits - 1; i >= 0; i--, v /= 10)
                p[i] = (char)('0' + v % 10);
        return p + digits;
}

/* Everything up to the seconds; returns where the text goes on. */
static char *format_seconds(int64_t unix_s, char *p)
{
        int64_t days = unix_s / 86400, left = unix_s % 86400, year;
        int month, day;

        if (left < 0) {
                left += 86400;
                days--;
        }
        date_of(days, &year, &month, &day);
        p = put(p, year, 4);
        *p++ = '-';
        p = put(p, month, 2);
        *p++ = '-';
        p = put(p, day, 2);
        *p++ = 'T';
        p = put(p, left / 3600, 2);
        *p++ = ':';
        p = put(p, left / 60 % 60, 2);
        *p++ = ':';
        return put(p, left % 60, 2);
}

char *clock_format(int64_t unix_s, char *buf)
{
        memcpy(format_seconds(unix_s, buf), "Z", 2);
        return buf;
}

char *clock_format_micro(int64_t unix_ns, char *buf)
{
        int64_t s = unix_ns / (int64_t)NS_PER_S, ns = unix_ns % (int64_t)NS_PER_S;
        char *p;

        if (ns < 0) {
                ns += (int64_t)NS_PER_S;
                s--;
        }
        p = format_seconds(s, buf);
        *p++ = '.';
        memcpy(put(p, ns / 1000, 6), "Z", 2);
        return buf;
}

char *clock_now(char *buf)
{
        return clock_format(clock_wall_s(), buf);
}

char *clock_now_micro(char *buf)
{
        return clock_format_micro(clock_wall_ns(), buf);
}

/* Reads exactly that many digits. */
static bool digits(const char **s, int n, int *ret)
{
        int v = 0;

        for (int i = 0; i < n; i++, (*s)++) {
                if (**s < '0' || **s > '9')
                        return false;
                v = v * 10 + (**s - '0');
        }
        *ret = v;
        return true;
}

static bool literal(const char **s, char c)
{
        if (**s != c)
                return false;
        (*s)++;
        return true;
}

static int month_days(int year, int month)
{
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

        return month == 2 && leap ? 29 : days[month - 1];
}

static bool parse_date(const char **s, int64_t *ret_days)
{
        int y, m, d;

        if (!digits(s, 4, &y) || !literal(s, '-') || !digits(s, 2, &m) || !literal(s, '-') || !digits(s, 2, &d))
                return false;
        if (m < 1 || m > 12 || d < 1 || d > month_days(y, m))
                return false;
        *ret_days = days_of(y, m, d);
        return true;
}

static bool parse_fraction(const char **s, long *ret_ns)
{
        long scale = 100000000, ns = 0;

        if (!literal(s, '.'))
                return true;
        if (**s < '0' || **s > '9')
                return false;
        for (; **s >= '0' && **s <= '9'; (*s)++, scale /= 10)
                ns += (**s - '0') * scale;
        *ret_ns = ns;
        return true;
}

static bool parse_offset(const char **s, int64_t *ret_s)
{
        int h, m, sign = **s == '-' ? -1 : 1;

        if (literal(s, 'Z')) {
                *ret_s = 0;
                return true;
        }
        if (!literal(s, '+') && !literal(s, '-'))
                return false;
        if (!digits(s, 2, &h) || !literal(s, ':') || !digits(s, 2, &m) || h > 23 || m > 59)
                return false;
        *ret_s = sign * (h * 3600 + m * 60);
        return true;
}

int clock_parse(const char *s, struct timespec *ret)
{
        int64_t days, offset;
        int h, m, sec;
        long ns = 0;

        if (!parse_date(&s, &days) || !literal(&s, 'T'))
                return -EINVAL;
        if (!digits(&s, 2, &h) || !literal(&s, ':') || !digits(&s, 2, &m) || !literal(&s, ':') || !digits(&s, 2, &sec))
                return -EINVAL;
        if (h > 23 || m > 59 || sec > 59)
                return -EINVAL;
        if (!parse_fraction(&s, &ns) || !parse_offset(&s, &offset) || *s)
                return -EINVAL;
        *ret = (struct timespec){.tv_sec = days * 86400 + h * 3600 + m * 60 + sec - offset, .tv_nsec = ns};
        return 0;
}
