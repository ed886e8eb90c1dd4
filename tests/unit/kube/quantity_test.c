/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/quantity.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct quantity parse(const char *s)
{
        struct quantity q = QUANTITY_NULL;
        struct err err = ERR_NULL;

        if (quantity_parse(s, &q, &err))
                fail_msg("\"%s\": %s", s, err.msg);
        return q;
}

/* Rows after the documentation and tests of apimachinery's resource package. */
static void text_becomes_canonical(void **state)
{
        static const char *const rows[][2] = {
                {"0", "0"},
                {"0Ki", "0"},
                {"-0", "0"},
                {"1", "1"},
                {"+1", "1"},
                {"-1", "-1"},
                {"1.5", "1500m"},
                {"0.5", "500m"},
                {".5", "500m"},
                {"5.", "5"},
                {"1000m", "1"},
                {"100m", "100m"},
                {"1024Mi", "1Gi"},
                {"1.5Gi", "1536Mi"},
                {"0.5Gi", "512Mi"},
                {"1023", "1023"},
                {"0.5Ki", "512"},
                {"1Ki", "1Ki"},
                {"1000Ki", "1000Ki"},
                {"1000k", "1M"},
                {"1000", "1k"},
                {"1048576", "1048576"},
                {"128974848", "128974848"},
                {"129e6", "129e6"},
                {"129M", "129M"},
                {"123Mi", "123Mi"},
                {"1e3", "1e3"},
                {"1E3", "1e3"},
                {"1e4", "10e3"},
                {"1e-1", "100e-3"},
                {"12.5e1", "125"},
                {"1E", "1E"},
                {"0.0000000001", "1n"},
                {"-0.0000000001", "-1n"},
                {"1.0000000001", "1000000001n"},
                {"100u", "100u"},
                {"1n", "1n"},
                {"0.1n", "1n"},
                {"9223372036854775807", "9223372036854775807"},
                {"9223372036854775808", "9223372036854775807"},
                {"99999999999999999999999999999999999999999999999999", "9223372036854775807"},
                {"-99999999999999999999999999999999", "-9223372036854775807"},
                {"100E", "9223372036854775807"},
                {"8Ei", "9223372036854775807"},
                {"7Ei", "7Ei"},
                {"1e1000", "9223372036854775807"},
                {"1e-1000", "1e-9"},
                {"0e1000", "0"},
                {"1.1Ki", "1127"},
                {"000000000000000000000000000000000000000000000000001", "1"},
                {"0.3333333333333333333333333", "333333334n"},
        };
        char buf[QUANTITY_TEXT_SIZE];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct quantity q = parse(rows[i][0]);

                if (strcmp(quantity_format(&q, buf), rows[i][1]))
                        fail_msg("%s became %s, not %s", rows[i][0], buf, rows[i][1]);
                q = parse(buf);
                assert_string_equal(quantity_format(&q, (char[QUANTITY_TEXT_SIZE]){}), buf);
        }
}

static void what_is_no_quantity_is_refused(void **state)
{
        static const char *const rows[][2] = {
                {"", "regular expression"},
                {" 1", "regular expression"},
                {"1 ", "regular expression"},
                {"one", "regular expression"},
                {".", "regular expression"},
                {"-", "regular expression"},
                {"1.2.3", "regular expression"},
                {"--1", "regular expression"},
                {"1Zi", "regular expression"},
                {"1KiB", "regular expression"},
                {"0x10", "regular expression"},
                {"1ki", "suffix"},
                {"1mi", "suffix"},
                {"1e", "suffix"},
                {"1KK", "suffix"},
                {"1i", "suffix"},
                {"1m3", "suffix"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct quantity q = QUANTITY_NULL;
                struct err err = ERR_NULL;

                if (quantity_parse(rows[i][0], &q, &err) != -EINVAL)
                        fail_msg("\"%s\" was taken", rows[i][0]);
                if (!strstr(err.msg, rows[i][1]))
                        fail_msg("\"%s\": %s", rows[i][0], err.msg);
        }
}

static void sums_keep_the_family_of_the_first(void **state)
{
        struct quantity a = parse("1Gi"), b = parse("512M"), zero = QUANTITY_NULL;
        char buf[QUANTITY_TEXT_SIZE];

        quantity_add(&a, &b);
        assert_string_equal(quantity_format(&a, buf), "1548576Ki");
        quantity_sub(&a, &b);
        assert_string_equal(quantity_format(&a, buf), "1Gi");
        quantity_add(&zero, &a);
        assert_string_equal(quantity_format(&zero, buf), "1Gi");
        b = parse("2Gi");
        quantity_sub(&a, &b);
        assert_int_equal(quantity_sign(&a), -1);
        assert_string_equal(quantity_format(&a, buf), "-1Gi");
        b = parse("7Ei");
        quantity_add(&b, &b);
        assert_int_equal(quantity_value(&b), INT64_MAX);
}

static void values_round_up(void **state)
{
        static const struct {
                const char *text;
                int64_t value, milli;
        } rows[] = {
                {"0", 0, 0},           {"1", 1, 1000},
                {"1m", 1, 1},          {"1n", 1, 1},
                {"1001u", 1, 2},       {"-1500m", -2, -1500},
                {"2k", 2000, 2000000}, {"9223372036854775807", INT64_MAX, INT64_MAX},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct quantity q = parse(rows[i].text);

                assert_int_equal(quantity_value(&q), rows[i].value);
                assert_int_equal(quantity_milli(&q), rows[i].milli);
        }
}

static void equal_amounts_compare_equal_in_any_family(void **state)
{
        struct quantity a = parse("1Ki"), b = parse("1024"), c = parse("1k"), d = quantity_of(1, QUANTITY_DECIMAL_SI);
        struct quantity e = quantity_of_milli(1000, QUANTITY_DECIMAL_SI);

        assert_int_equal(quantity_compare(&a, &b), 0);
        assert_true(quantity_compare(&a, &c) > 0);
        assert_true(quantity_compare(&c, &a) < 0);
        assert_int_equal(quantity_compare(&d, &e), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(text_becomes_canonical),
                cmocka_unit_test(what_is_no_quantity_is_refused),
                cmocka_unit_test(sums_keep_the_family_of_the_first),
                cmocka_unit_test(values_round_up),
                cmocka_unit_test(equal_amounts_compare_equal_in_any_family),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
