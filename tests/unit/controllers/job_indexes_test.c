/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "controllers/job_indexes.h"

static void texts_are_read_and_written_in_short(void **state)
{
        static const struct {
                const char *text;
                int64_t limit;
                const char *again;
                int64_t total;
        } table[] = {
                {"", 5, "", 0},
                {NULL, 5, "", 0},
                {"0", 5, "0", 1},
                {"1,2", 5, "1,2", 2},
                {"1,2,3", 5, "1-3", 3},
                {"1-3,5,7-9", 20, "1-3,5,7-9", 7},
                {"1-3,5,7-9", 8, "1-3,5,7", 5}, /* the Job was made smaller */
                {"1-3,5,7-9", 5, "1-3", 3},
                {"0-4294967296", 4294967297, "0-4294967296", 4294967297},
                {"3,1", 5, "3", 1}, /* what cannot be right ends it */
                {"1,x", 5, "1", 1},
                {"4-2", 5, "", 0},
                {"-3", 5, "", 0},
                {"99999999999999999999", 5, "", 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                struct arena mem = ARENA_NULL;
                struct indexes x = indexes_parse(&mem, table[i].text, table[i].limit);

                assert_string_equal(indexes_text(&mem, &x), table[i].again);
                assert_int_equal(x.total, table[i].total);
                arena_deinit(&mem);
        }
}

#define N 40

static struct indexes from_bits(struct arena *mem, uint64_t bits)
{
        int64_t list[2 * N];
        size_t n = 0;

        for (int i = N - 1; i >= 0; i--)
                if (bits >> i & 1) {
                        list[n++] = i;
                        if (i % 3 == 0) /* some twice */
                                list[n++] = i;
                }
        return indexes_from(mem, list, n);
}

static uint64_t to_bits(const struct indexes *x)
{
        uint64_t bits = 0;

        for (int i = 0; i < N; i++)
                if (indexes_has(x, i))
                        bits |= 1ULL << i;
        return bits;
}

static void sets_do_what_bits_do(void **state)
{
        uint64_t seed = 1;

        for (int round = 0; round < 2000; round++) {
                struct arena mem = ARENA_NULL;
                uint64_t a, b;
                struct indexes x, y, both;
                int64_t missing[N];
                size_t n;

                seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
                a = (seed >> 20) & ((1ULL << N) - 1);
                seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
                b = a & (seed >> 20);
                a &= ~(seed >> 9);
                x = from_bits(&mem, a);
                y = from_bits(&mem, b);
                both = indexes_union(&mem, &x, &y);
                assert_int_equal(to_bits(&both), a | b);
                assert_int_equal(both.total, __builtin_popcountll(a | b));
                assert_int_equal(indexes_common(&x, &y), __builtin_popcountll(a & b));
                n = indexes_first_missing(&x, N, missing, N);
                assert_int_equal(n, N - __builtin_popcountll(a));
                for (size_t i = 0; i < n; i++)
                        assert_false(indexes_has(&x, missing[i]) || (i && missing[i] <= missing[i - 1]));
                x = indexes_parse(&mem, indexes_text(&mem, &both), N);
                assert_int_equal(to_bits(&x), a | b);
                arena_deinit(&mem);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(texts_are_read_and_written_in_short),
                cmocka_unit_test(sets_do_what_bits_do),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
