/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/rest/token.h"
#include "base/cleanup.h"

static void a_token_comes_back_as_it_was_made(void **state _unused_)
{
        static const char *const keys[] = {"x",         "ns/x", "ns/xy", "", "a/b.c-d", "\xc3\xa4\xe2\x82\xac",
                                           "quo\"te\\", "a\nb"};
        static const uint64_t revisions[] = {1, 2, 1234567890123, INT64_MAX, TOKEN_NOW};
        struct arena a = ARENA_NULL;

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                for (size_t k = 0; k < ARRAY_SIZE(revisions); k++) {
                        const char *token = token_make(&a, revisions[k], keys[i]), *key;
                        uint64_t rev;

                        assert_int_equal(token_parse(&a, token, &rev, &key), 0);
                        assert_true(rev == revisions[k]);
                        assert_string_equal(key, keys[i]);
                        /* It goes into URLs as it is. */
                        assert_int_equal(
                                strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
                                strlen(token));
                }
        arena_deinit(&a);
}

static void what_was_not_made_here_is_refused(void **state _unused_)
{
        static const char *const rows[] = {
                "",
                "=",
                "!!!",
                "a b",
                "bnVsbA",                         /* null */
                "W10",                            /* [] */
                "e30",                            /* {} */
                "eyJydiI6MX0",                    /* {"rv":1} */
                "eyJzdGFydCI6IngifQ",             /* {"start":"x"} */
                "eyJydiI6MCwic3RhcnQiOiJ4In0",    /* {"rv":0,"start":"x"} */
                "eyJydiI6MSwic3RhcnQiOjF9",       /* {"rv":1,"start":1} */
                "eyJydiI6MSwic3RhcnQiOiJ4In0AAA", /* more behind it */
                "eyJydiI6MSwic3RhcnQiOiL_In0",    /* no UTF-8 */
        };
        struct arena a = ARENA_NULL;
        const char *key = "untouched";
        uint64_t rev = 42;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (token_parse(&a, rows[i], &rev, &key) != -EINVAL)
                        fail_msg("%s was taken", rows[i]);
        assert_int_equal(rev, 42);
        assert_string_equal(key, "untouched");
        arena_deinit(&a);
}

static void garbage_is_refused_without_harm(void **state _unused_)
{
        struct arena a = ARENA_NULL;
        char text[64];

        srandom(5);
        for (size_t i = 0; i < 20000; i++) {
                size_t n = (size_t)random() % sizeof(text);
                const char *key;
                uint64_t rev;

                for (size_t k = 0; k < n; k++)
                        text[k] = (char)(1 + random() % 255);
                text[n ? n - 1 : 0] = '\0';
                assert_int_equal(token_parse(&a, text, &rev, &key), -EINVAL);
                if (i % 100 == 0)
                        arena_deinit(&a);
        }
        arena_deinit(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_token_comes_back_as_it_was_made),
                cmocka_unit_test(what_was_not_made_here_is_refused),
                cmocka_unit_test(garbage_is_refused_without_harm),
        };

        return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
