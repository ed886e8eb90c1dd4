/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "ctl/suggest.h"

static void distances_count_slips(void **state)
{
        static const struct {
                const char *a, *b;
                unsigned int distance;
        } rows[] = {
                {"", "", 0},          {"flow", "flow", 0},      {"flwo", "flow", 1}, {"flo", "flow", 1},
                {"flowx", "flow", 1}, {"slow", "flow", 1},      {"", "abc", 3},      {"kitten", "sitting", 3},
                {"ab", "ba", 1},      {"--poto", "--proto", 1},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                assert_int_equal(suggest_distance(rows[i].a, rows[i].b), rows[i].distance);
                assert_int_equal(suggest_distance(rows[i].b, rows[i].a), rows[i].distance);
        }
}

static void the_nearest_word_is_offered_and_no_far_one(void **state)
{
        static const struct {
                const char *typed, *best;
        } rows[] = {
                {"flwo", "flow"}, {"stats", "status"}, {"serv", "service"}, {"drop", "drops"},
                {"banana", NULL}, {"x", NULL},         {"noed", "node"},    {"", NULL},
        };
        static const char *const words[] = {"status", "service", "backend", "pod", "node", "flow", "drops", "pki"};

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct suggestion s = {.typed = rows[i].typed};

                for (size_t k = 0; k < ARRAY_SIZE(words); k++)
                        suggest_offer(&s, words[k]);
                if (rows[i].best)
                        assert_string_equal(s.best, rows[i].best);
                else
                        assert_null(s.best);
        }
}

static void words_of_any_length_are_taken(void **state)
{
        char longest[1000];

        memset(longest, 'a', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        assert_int_equal(suggest_distance(longest, "a"), 999);
        longest[160] = '\0';
        assert_int_equal(suggest_distance(longest, ""), 160);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(distances_count_slips),
                cmocka_unit_test(the_nearest_word_is_offered_and_no_far_one),
                cmocka_unit_test(words_of_any_length_are_taken),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
