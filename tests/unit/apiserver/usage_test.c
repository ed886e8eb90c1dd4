/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/usage/exposition.h"

#define LABELS "{container=\"main\",namespace=\"ns\",pod=\"web\"}"

static void read_text(struct usage_sample *s, const char *text)
{
        char *copy = strdup(text);

        usage_sample_init(s);
        usage_sample_parse(s, copy, 5000);
        free(copy);
}

static void what_is_ours_is_read_and_the_rest_skipped(void **state)
{
        struct usage_sample s;
        const struct usage_series *u;

        read_text(&s, "# HELP x y\n\nother{container=\"main\",namespace=\"ns\",pod=\"web\"} 7\n"
                      "container_cpu_usage_seconds_total" LABELS " 1.5e+00 1700000000123\n"
                      "container_memory_working_set_bytes{pod=\"web\",namespace=\"ns\",container=\"main\",more=\"x\"} "
                      "4096\r\n"
                      "node_cpu_usage_seconds_total 9 \n"
                      "node_memory_working_set_bytes NaN 1\n"
                      "container_cpu_usage_seconds_total{container=\"cut\n"
                      "container_cpu_usage_seconds_total{pod=\"a\"} -1\n"
                      "container_cpu_usage_seconds_total{pod=\"b\"}\n"
                      "container_cpu_usage_seconds_total_more" LABELS " 3\n");
        assert_int_equal(s.series.count, 2);
        u = usage_sample_find(&s, "ns", "web", "main");
        assert_non_null(u);
        assert_true(u->has_cpu && u->cpu_s > 1.49 && u->cpu_s < 1.51 && u->cpu_ms == 1700000000123);
        assert_true(u->has_memory && u->memory > 4095 && u->memory < 4097);
        u = usage_sample_find(&s, NULL, NULL, NULL);
        assert_true(u && u->has_cpu && u->cpu_ms == 5000 && !u->has_memory);
        usage_sample_deinit(&s);
}

static const struct usage_series *compared(struct usage_sample *now, const char *before_text, const char *now_text)
{
        struct usage_sample before;

        read_text(&before, before_text);
        read_text(now, now_text);
        usage_sample_compare(now, &before);
        usage_sample_deinit(&before);
        return usage_sample_find(now, NULL, NULL, NULL);
}

static void rates_are_of_two_looks(void **state)
{
        struct usage_sample s;
        const struct usage_series *u;

        u = compared(&s, "node_cpu_usage_seconds_total 10 1000\n", "node_cpu_usage_seconds_total 11 3000\n");
        assert_true(u->has_cores && u->cores > 0.499 && u->cores < 0.501);
        usage_sample_deinit(&s);
        u = compared(&s, "node_cpu_usage_seconds_total 10 1000\n", "node_cpu_usage_seconds_total 1 3000\n");
        assert_false(u->has_cores); /* it began anew */
        usage_sample_deinit(&s);
        u = compared(&s, "", "node_cpu_usage_seconds_total 1 3000\n");
        assert_false(u->has_cores);
        usage_sample_deinit(&s);
}

static void a_node_has_a_bounded_number_of_them(void **state)
{
        static char text[USAGE_SERIES_MAX * 80];
        struct usage_sample s;
        char *at = text;

        for (int i = 0; i < USAGE_SERIES_MAX + 100; i++)
                at += sprintf(at, "container_memory_working_set_bytes{pod=\"%d\"} 1\n", i);
        read_text(&s, text);
        assert_int_equal(s.series.count, USAGE_SERIES_MAX);
        usage_sample_deinit(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_ours_is_read_and_the_rest_skipped),
                cmocka_unit_test(rates_are_of_two_looks),
                cmocka_unit_test(a_node_has_a_bounded_number_of_them),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
