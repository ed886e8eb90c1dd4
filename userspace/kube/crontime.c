/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "kube/crontime.h"

#define ZONES      "/usr/share/zoneinfo"
#define MACHINE    ":/etc/localtime"
#define MINUTE     60
#define HOUR       3600
#define DAY        86400
#define YEARS      5
#define ZONE_BYTES 256

/* "TZ=...", part of the environment once it was put there. */
static char variable[ZONE_BYTES];
static char machine[ZONE_BYTES] = MACHINE;

static void first_time(void)
{
        const char *own = getenv("TZ");

        if (own)
                str_copy(machine, sizeof(machine), own);
        str_copy(variable, sizeof(variable), "TZ=");
        putenv(variable);
}

/* zone NULL: the machine's */
static void enter_zone(const char *zone)
{
        if (!*variable)
                first_time();
        if (zone)
                snprintf(variable, sizeof(variable), "TZ=:%s", zone);
        else
                snprintf(variable, sizeof(variable), "TZ=%.250s", machine);
        tzset();
}

bool timezone_exists(const char *zone)
{
        char path[ZONE_BYTES];

        if (str_empty(zone) || *zone == '/' || *zone == '.' || strstr(zone, "..") || strlen(zone) > 64)
                return false;
        snprintf(path, sizeof(path), ZONES "/%s", zone);
        return str_eq(zone, "UTC") || access(path, R_OK) == 0;
}

char *timezone_format(const char *zone, int64_t unix_s, char *buf)
{
        time_t t = unix_s;
        struct tm tm;
        long east;
        size_t n;

        enter_zone(zone ? zone : "UTC");
        localtime_r(&t, &tm);
        east = tm.tm_gmtoff / MINUTE;
        n = strftime(buf, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
        if (!east)
                snprintf(buf + n, CLOCK_TEXT_SIZE - n, "Z");
        else
                snprintf(buf + n, CLOCK_TEXT_SIZE - n, "%c%02ld:%02ld", east < 0 ? '-' : '+', labs(east) / 60,
                         labs(east) % 60);
        return buf;
}

static bool has(uint64_t bits, int n)
{
        return bits >> n & 1;
}

static bool day_matches(const struct cron_schedule *c, const struct tm *tm)
{
        bool day = has(c->days, tm->tm_mday), weekday = has(c->weekdays, tm->tm_wday);

        if (!has(c->months, tm->tm_mon + 1))
                return false;
        return c->any_day || c->any_weekday ? day && weekday : day || weekday;
}

/* How far to go from a minute that does not match; 0: it does. */
static int64_t step_from(const struct cron_schedule *c, const struct tm *tm)
{
        if (!day_matches(c, tm))
                return DAY - tm->tm_hour * HOUR - tm->tm_min * MINUTE;
        if (!has(c->hours, tm->tm_hour))
                return HOUR - tm->tm_min * MINUTE;
        return has(c->minutes, tm->tm_min) ? 0 : MINUTE;
}

/* A step must not pass over a change of the clock: near one it is shorter. */
static int64_t step_over(int64_t at, const struct tm *tm, int64_t step)
{
        static const int64_t shorter[] = {HOUR, MINUTE};

        for (size_t i = 0; i < ARRAY_SIZE(shorter); i++) {
                time_t t = at + step;
                struct tm there;

                localtime_r(&t, &there);
                if (there.tm_gmtoff == tm->tm_gmtoff)
                        break;
                step = MIN(step, shorter[i]);
        }
        return step;
}

int64_t cron_next(const struct cron_schedule *c, const char *zone, int64_t after_s)
{
        int64_t limit = after_s + YEARS * 366LL * DAY, step;

        if (c->every_s)
                return after_s + c->every_s;
        enter_zone(zone);
        for (int64_t at = after_s - after_s % MINUTE + MINUTE; at <= limit; at += step) {
                time_t t = at;
                struct tm tm;

                localtime_r(&t, &tm);
                /* Offsets of old times had seconds. */
                step = tm.tm_sec ? MINUTE - tm.tm_sec : step_from(c, &tm);
                if (!step)
                        return at;
                step = step_over(at, &tm, step);
        }
        return 0;
}
