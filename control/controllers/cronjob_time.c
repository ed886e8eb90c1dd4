/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "controllers/cronjob.h"
#include "kube/crontime.h"

#define MANY_MISSED 100

static int64_t next(const struct cron_clock *c, int64_t after_s)
{
        return cron_next(c->schedule, c->zone, after_s);
}

/* The last one up to now, found from a moment that is before it: if that moment was too late, from an earlier one. */
static int64_t latest(const struct cron_clock *c, int64_t first, int64_t period)
{
        for (int64_t back = 2 * period;; back *= 2) {
                int64_t from = MAX(c->now_s - back, first - 1), last = 0;

                for (int64_t t = next(c, from); t && t <= c->now_s; t = next(c, t))
                        last = t;
                if (last || from < first)
                        return last;
        }
}

/* "@every" counts from the last time, so it is no use to begin elsewhere. */
static int64_t latest_of_interval(const struct cron_clock *c, int64_t first)
{
        int64_t every = c->schedule->every_s;

        return first + (c->now_s - first) / every * every;
}

struct cron_due cron_due(const struct cron_clock *c)
{
        struct cron_due due = {0};
        int64_t earliest = c->last_s, first, second, period;

        if (c->deadline_s >= 0)
                earliest = MAX(earliest, c->now_s - c->deadline_s);
        first = next(c, earliest);
        second = first ? next(c, first) : 0;
        due.impossible = !second;
        if (due.impossible)
                return due;
        if (first > c->now_s) {
                due.next_s = first;
                return due;
        }
        period = second - first;
        due.many = (c->now_s - first) / period + 1 > MANY_MISSED;
        due.time_s = c->schedule->every_s ? latest_of_interval(c, first) : latest(c, first, period);
        due.next_s = next(c, due.time_s);
        return due;
}
