/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"

static void durations_parse_as_go_does(void **state)
{
        static const struct {
                const char *text;
                int result;
                int64_t ns;
        } cases[] = {
                {"0", 0, 0},
                {"30s", 0, 30000000000},
                {"1h30m", 0, 5400000000000},
                {"-1.5h", 0, -5400000000000},
                {"+5ms", 0, 5000000},
                {".5s", 0, 500000000},
                {"1.s", 0, 1000000000},
                {"1us2ns", 0, 1002},
                {"1\xc2\xb5s", 0, 1000},
                {"0.000000001s", 0, 1},
                {"9223372036854775807ns", 0, INT64_MAX},
                {"-9223372036854775808ns", 0, INT64_MIN},
                {"9223372036854775808ns", -ERANGE, 0},
                {"2562048h", -ERANGE, 0},
                {"", -EINVAL, 0},
                {"-", -EINVAL, 0},
                {"3", -EINVAL, 0},
                {"s", -EINVAL, 0},
                {".s", -EINVAL, 0},
                {"1d", -EINVAL, 0},
                {"1s ", -EINVAL, 0},
                {" 1s", -EINVAL, 0},
                {"1s-1s", -EINVAL, 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                int64_t ns = 0;

                print_message("%s\n", cases[i].text);
                assert_int_equal(str_parse_duration(cases[i].text, &ns), cases[i].result);
                assert_true(ns == cases[i].ns);
        }
}

static void numbers_parse_strictly(void **state)
{
        static const char *const bad[] = {"", " 1", "1 ", "+1", "-1", "0x1", "1e3", "1.0"};
        uint16_t u16 = 7;
        uint64_t u64 = 7;
        int64_t i64 = 7;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(str_parse_u64(bad[i], &u64), -EINVAL);
        assert_true(u64 == 7);
        assert_int_equal(str_parse_u16("65536", &u16), -ERANGE);
        assert_int_equal(str_parse_u16("65535", &u16), 0);
        assert_int_equal(u16, 65535);
        assert_int_equal(str_parse_u64("18446744073709551615", &u64), 0);
        assert_true(u64 == UINT64_MAX);
        assert_int_equal(str_parse_u64("18446744073709551616", &u64), -ERANGE);
        assert_int_equal(str_parse_i64("-9223372036854775808", &i64), 0);
        assert_true(i64 == INT64_MIN);
        assert_int_equal(str_parse_i64("-9223372036854775809", &i64), -ERANGE);
        assert_int_equal(str_parse_i64("-", &i64), -EINVAL);
}

static void splitting_keeps_empty_pieces(void **state)
{
        static const char *const want[] = {"a", "", "b", ""};
        struct str_span piece;
        size_t n = 0;

        for (const char *rest = "a,,b,"; str_split(&rest, ',', &piece); n++) {
                assert_true(n < ARRAY_SIZE(want));
                assert_true(str_span_eq(piece, want[n]));
        }
        assert_int_equal(n, ARRAY_SIZE(want));
}

static void booleans_parse_as_go_does(void **state)
{
        bool b = false;

        assert_int_equal(str_parse_bool("True", &b), 0);
        assert_true(b);
        assert_int_equal(str_parse_bool("f", &b), 0);
        assert_false(b);
        assert_int_equal(str_parse_bool("yes", &b), -EINVAL);
        assert_int_equal(str_parse_bool("", &b), -EINVAL);
}

static void times_are_written_and_read_back(void **state)
{
        static const struct {
                int64_t s;
                const char *text;
        } cases[] = {
                {0, "1970-01-01T00:00:00Z"},          {951782400, "2000-02-29T00:00:00Z"},
                {-1, "1969-12-31T23:59:59Z"},         {-62135596800, "0001-01-01T00:00:00Z"},
                {1136239445, "2006-01-02T22:04:05Z"}, {253402300799, "9999-12-31T23:59:59Z"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char buf[CLOCK_TEXT_SIZE];
                struct timespec ts = {.tv_sec = 1};

                assert_string_equal(clock_format(cases[i].s, buf), cases[i].text);
                assert_int_equal(clock_parse(buf, &ts), 0);
                assert_true(ts.tv_sec == cases[i].s && ts.tv_nsec == 0);
        }
}

static void micro_times_keep_six_digits(void **state)
{
        char buf[CLOCK_TEXT_SIZE];
        struct timespec ts;

        assert_string_equal(clock_format_micro(1136239445123456789, buf), "2006-01-02T22:04:05.123456Z");
        assert_string_equal(clock_format_micro(-1, buf), "1969-12-31T23:59:59.999999Z");
        assert_int_equal(clock_parse("2006-01-02T15:04:05.1234567899-07:00", &ts), 0);
        assert_true(ts.tv_sec == 1136239445 && ts.tv_nsec == 123456789);
}

static void wrong_times_are_refused(void **state)
{
        static const char *const bad[] = {
                "",
                "2006-01-02",
                "2006-01-02T15:04:05",
                "2006-1-02T15:04:05Z",
                "2006-02-29T15:04:05Z",
                "2006-13-01T15:04:05Z",
                "2006-01-02T24:00:00Z",
                "2006-01-02T15:04:05.Z",
                "2006-01-02 15:04:05Z",
                "2006-01-02T15:04:05Zx",
                "2006-01-02T15:04:05+24:00",
                "2006-01-02t15:04:05z",
        };
        struct timespec ts;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                print_message("%s\n", bad[i]);
                assert_int_equal(clock_parse(bad[i], &ts), -EINVAL);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(durations_parse_as_go_does),      cmocka_unit_test(numbers_parse_strictly),
                cmocka_unit_test(splitting_keeps_empty_pieces),    cmocka_unit_test(booleans_parse_as_go_does),
                cmocka_unit_test(times_are_written_and_read_back), cmocka_unit_test(micro_times_keep_six_digits),
                cmocka_unit_test(wrong_times_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
