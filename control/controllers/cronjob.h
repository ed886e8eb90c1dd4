/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the CronJob controller: cronjob.c has its Jobs and its status, cronjob_time.c which time is due.
 *
 * A time is turned into one Job: the Job's name comes from the time, so that a second one is refused, and the status
 * remembers the last time. Nothing is lost by a crash between the two: the Job, which says what time it is for, is seen
 * again and the status catches up.
 */
#pragma once

#include "controllers/engine/plan.h"
#include "kube/cron.h"

struct cron_clock {
        const struct cron_schedule *schedule;
        const char *zone;   /* NULL: the machine's */
        int64_t last_s;     /* the last time that was seen to, or when the CronJob was made */
        int64_t deadline_s; /* how late a Job may begin; -1: however late */
        int64_t now_s;
};

struct cron_due {
        int64_t time_s;  /* the latest time that nobody has seen to; 0: none */
        int64_t next_s;  /* the first one after now; 0: none */
        bool many;       /* more than 100 times were missed */
        bool impossible; /* the schedule has no two times */
};

struct cron_due cron_due(const struct cron_clock *c);
