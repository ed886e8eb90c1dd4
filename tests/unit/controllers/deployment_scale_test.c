/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes from numbers alone, also such that ReplicaSets and their statuses have only while they are behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controllers/deployment.h"

#define SETS_MAX 3

/* Of a set in a case. BEHIND: its status is of an earlier size. */
enum { SIZE, ACTUAL, AVAILABLE, BEHIND, NUMBERS };

/* The last of the sets is the fresh one. */
struct scale_case {
        const char *what;
        int replicas, surge, unavailable;
        int sets[SETS_MAX][NUMBERS];
        size_t n;
        int expected[SETS_MAX];
};

static void run_case(const struct scale_case *c, void (*step)(struct rollout *ro))
{
        static const struct kobj object = {.generation = 2, .name = "set", .key = "set"};
        struct set sets[SETS_MAX] = {0};
        struct sync sync = {0};
        _cleanup_(arena_deinit) struct arena mem = ARENA_NULL;
        struct json_object *json = json_object_new_object();
        struct rollout ro = {.sync = &sync,
                             .o = &object,
                             .json = json,
                             .replicas = c->replicas,
                             .surge = c->surge,
                             .unavailable = c->unavailable,
                             .rolling = true,
                             .sets = sets,
                             .n = c->n,
                             .fresh = &sets[c->n - 1]};

        sync.mem = &mem;
        for (size_t i = 0; i < c->n; i++)
                sets[i] = (struct set){.o = &object,
                                       .name = "set",
                                       .was = c->sets[i][SIZE],
                                       .replicas = c->sets[i][SIZE],
                                       .actual = c->sets[i][ACTUAL],
                                       .available = c->sets[i][AVAILABLE],
                                       .observed = c->sets[i][BEHIND] ? 1 : 2};
        json_set_i64(json_ensure(json, "status"), "replicas", 13); /* the size before, surge included */
        step(&ro);
        for (size_t i = 0; i < c->n; i++)
                if (sets[i].replicas != c->expected[i])
                        fail_msg("%s: set %zu has %d, not %d", c->what, i, (int)sets[i].replicas, c->expected[i]);
        sets_free(&ro);
        json_object_put(json);
}

static void a_rolling_update_takes_numbers_on_the_safe_side(void **state)
{
        static const struct scale_case cases[] = {
                {"all is well", 10, 3, 2, {{8, 8, 8}, {5, 5, 0}}, 2, {8, 5}},
                {"one is ready", 10, 3, 2, {{8, 8, 8}, {5, 5, 1}}, 2, {7, 5}},
                {"room for one", 10, 3, 2, {{7, 7, 7}, {5, 5, 1}}, 2, {7, 6}},
                {"pods that are still there take room", 10, 3, 2, {{7, 8, 8}, {5, 5, 1}}, 2, {7, 5}},
                {"a status that is behind: nothing grows", 10, 3, 2, {{7, 7, 7, 1}, {5, 5, 1}}, 2, {7, 5}},
                {"available ones that are about to go do not count", 10, 3, 2, {{8, 10, 10}, {3, 3, 1}}, 2, {7, 3}},
                {"broken ones go first", 10, 0, 2, {{4, 4, 0}, {8, 8, 8}, {0, 0, 0}}, 3, {0, 8, 0}},
                {"broken ones, then the oldest", 10, 3, 2, {{3, 3, 3}, {4, 4, 1}, {6, 6, 6}}, 3, {1, 1, 6}},
                {"the fresh one is too large", 4, 1, 1, {{2, 2, 2}, {6, 6, 2}}, 2, {2, 4}},
                {"nothing may be unavailable", 3, 1, 0, {{3, 3, 3}, {1, 1, 0}}, 2, {3, 1}},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                run_case(&cases[i], rollout_step);
}

static void another_number_of_replicas_is_spread(void **state)
{
        static const struct scale_case cases[] = {
                {"more: the documentation's example", 15, 3, 2, {{8, 8, 8}, {5, 5, 0}}, 2, {11, 7}},
                {"more, but pods still go", 15, 3, 2, {{8, 9, 8}, {5, 5, 0}}, 2, {8, 5}},
                {"more, but a status is behind", 15, 3, 2, {{8, 8, 8}, {5, 5, 0, 1}}, 2, {8, 5}},
                {"fewer, by size", 5, 2, 2, {{8, 8, 8}, {5, 5, 0}}, 2, {4, 3}},
                {"fewer, and all that is available is needed", 5, 2, 0, {{8, 8, 8}, {5, 5, 0}}, 2, {5, 2}},
                {"none", 0, 2, 0, {{8, 8, 8}, {5, 5, 0}}, 2, {0, 0}},
                {"one alone", 20, 2, 0, {{0, 0, 0}, {5, 5, 0}}, 2, {0, 20}},
                {"one alone, beside pods that still go", 20, 2, 0, {{0, 3, 0}, {5, 5, 0}}, 2, {0, 5}},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                run_case(&cases[i], rollout_rescale);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_rolling_update_takes_numbers_on_the_safe_side),
                cmocka_unit_test(another_number_of_replicas_is_spread),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
