/* SPDX-License-Identifier: Apache-2.0 */
/* The schedules of CronJobs: five fields (crontab(5)), or @yearly and its kin, or "@every 1h30m". */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Bit n is set when the schedule runs at n (minutes 0-59, hours 0-23, days 1-31, months 1-12, weekdays 0-6, Sunday
 * is 0). any_day and any_weekday tell a star: when neither is one, either day suffices. */
struct cron_schedule {
        uint64_t minutes, hours, days, months, weekdays;
        bool any_day, any_weekday;
        int64_t every_s; /* "@every": seconds between runs, and nothing of the above */
};

/* Returns 0, or -EINVAL with the text that robfig/cron's ParseStandard has for it. */
int cron_parse(const char *s, struct cron_schedule *ret, struct err *reterr);
