/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "kube/crontime.h"

static int64_t seconds(const char *text)
{
        struct timespec at;

        assert_int_equal(clock_parse(text, &at), 0);
        return at.tv_sec;
}

/* Every line: the times that follow one another. */
static void schedules_run_when_the_local_clock_says_so(void **state)
{
        static const struct {
                const char *schedule, *zone, *times[4];
        } table[] = {
                {"*/15 * * * *", "UTC", {"2026-01-01T00:00:00Z", "2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z"}},
                {"* * * * *", "UTC", {"2026-01-01T00:00:59Z", "2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z"}},
                {"0 0 29 2 *", "UTC", {"2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"}},
                {"@yearly", "UTC", {"2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"}},
                /* Either the 13th or a Friday; with a star, both. */
                {"0 12 13 * 5", "UTC", {"2026-01-10T00:00:00Z", "2026-01-13T12:00:00Z", "2026-01-16T12:00:00Z"}},
                {"0 12 * * 5", "UTC", {"2026-01-10T00:00:00Z", "2026-01-16T12:00:00Z"}},
                {"0 9 * * *", "Asia/Kolkata", {"2026-01-01T00:00:00Z", "2026-01-01T03:30:00Z"}},
                {"30 8 * * *", "America/New_York", {"2026-01-01T13:00:00Z", "2026-01-01T13:30:00Z"}},
                /* Summer time begins: 02:30 is not there that day, 03:00 comes right after 01:59. */
                {"30 2 * * *",
                 "Europe/Berlin",
                 {"2026-03-28T00:00:00Z", "2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"}},
                {"0 * * * *",
                 "Europe/Berlin",
                 {"2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"}},
                {"0 0 * * *",
                 "Europe/Berlin",
                 {"2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z"}},
                /* It ends: 02:30 is there twice. */
                {"30 2 * * *",
                 "Europe/Berlin",
                 {"2026-10-24T23:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"}},
                /* Half an hour is all that Lord Howe Island changes. */
                {"45 1 * * *",
                 "Australia/Lord_Howe",
                 {"2026-04-04T12:00:00Z", "2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z", "2026-04-05T15:15:00Z"}},
                /* Midnight did not happen: Sao Paulo went from 23:59 to 01:00. */
                {"0 0 * * *",
                 "America/Sao_Paulo",
                 {"2018-11-03T00:00:00Z", "2018-11-03T03:00:00Z", "2018-11-05T02:00:00Z"}},
                /* A whole day did not happen. */
                {"0 12 * * *",
                 "Pacific/Apia",
                 {"2011-12-29T00:00:00Z", "2011-12-29T22:00:00Z", "2011-12-30T22:00:00Z"}},
                {"@every 90s", "UTC", {"2026-01-01T00:00:00Z", "2026-01-01T00:01:30Z", "2026-01-01T00:03:00Z"}},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                struct cron_schedule c;

                assert_int_equal(cron_parse(table[i].schedule, &c, NULL), 0);
                for (size_t j = 0; j + 1 < ARRAY_SIZE(table[i].times) && table[i].times[j + 1]; j++) {
                        int64_t next = cron_next(&c, table[i].zone, seconds(table[i].times[j]));
                        char text[CLOCK_TEXT_SIZE];

                        assert_string_equal(clock_format(next, text), table[i].times[j + 1]);
                }
        }
}

/* However it steps: it is what a look at each minute finds. */
static void no_minute_is_passed_over(void **state)
{
        static const char *const zones[] = {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe",
                                            "Asia/Kathmandu", "America/St_Johns"};
        static const char *const schedules[] = {"7,33 */3 * * *", "59 23 * 3,10,11 *", "0 1-2 8,29 * 0"};

        for (size_t z = 0; z < ARRAY_SIZE(zones); z++)
                for (size_t s = 0; s < ARRAY_SIZE(schedules); s++) {
                        int64_t from = seconds("2026-02-25T00:00:00Z"), to = seconds("2026-12-01T00:00:00Z");
                        struct cron_schedule c, minute;

                        cron_parse(schedules[s], &c, NULL);
                        cron_parse("* * * * *", &minute, NULL);
                        for (int64_t at = from, next; at < to; at = next) {
                                time_t t;
                                struct tm tm;

                                next = cron_next(&c, zones[z], at);
                                for (t = cron_next(&minute, zones[z], at); t < next; t += 60) {
                                        localtime_r(&t, &tm);
                                        assert_false(
                                                (c.minutes >> tm.tm_min & 1) && (c.hours >> tm.tm_hour & 1) &&
                                                (c.months >> (tm.tm_mon + 1) & 1) &&
                                                (c.any_day || c.any_weekday
                                                         ? (c.days >> tm.tm_mday & 1) && (c.weekdays >> tm.tm_wday & 1)
                                                         : (c.days >> tm.tm_mday & 1) ||
                                                                   (c.weekdays >> tm.tm_wday & 1)));
                                }
                        }
                }
}

static void what_never_comes_is_said(void **state)
{
        struct cron_schedule c;

        cron_parse("59 23 31 2 *", &c, NULL);
        assert_int_equal(cron_next(&c, "UTC", seconds("2026-01-01T00:00:00Z")), 0);
}

static void times_are_written_with_their_offset(void **state)
{
        int64_t at = seconds("2026-07-01T12:00:00Z");
        char text[CLOCK_TEXT_SIZE];

        assert_string_equal(timezone_format("Europe/Berlin", at, text), "2026-07-01T14:00:00+02:00");
        assert_string_equal(timezone_format("America/St_Johns", at, text), "2026-07-01T09:30:00-02:30");
        assert_string_equal(timezone_format(NULL, at, text), "2026-07-01T12:00:00Z");
}

static void only_zones_of_the_database_exist(void **state)
{
        assert_true(timezone_exists("UTC"));
        assert_true(timezone_exists("Europe/Berlin"));
        assert_false(timezone_exists("Mars/Olympus"));
        assert_false(timezone_exists("../zoneinfo/UTC"));
        assert_false(timezone_exists("/etc/passwd"));
        assert_false(timezone_exists(""));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(schedules_run_when_the_local_clock_says_so),
                cmocka_unit_test(no_minute_is_passed_over),
                cmocka_unit_test(what_never_comes_is_said),
                cmocka_unit_test(times_are_written_with_their_offset),
                cmocka_unit_test(only_zones_of_the_database_exist),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
