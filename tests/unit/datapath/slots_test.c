/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "datapath/slots.h"

static struct slot_range must_alloc(struct slots *s, uint32_t size, uint64_t now)
{
        struct slot_range range = {UINT32_MAX, 0};

        assert_int_equal(slots_alloc(s, size, now, &range), 0);
        assert_int_equal(range.size, size);
        return range;
}

static void an_empty_range_takes_nothing(void **state)
{
        _cleanup_(slots_freep) struct slots *s = NULL;
        struct slot_range range;

        assert_int_equal(slots_new(1, 0, &s), 0);
        range = must_alloc(s, 0, 0);
        assert_int_equal(range.base, 0);
        assert_int_equal(slots_used(s), 0);
        must_alloc(s, 1, 0);
        range = must_alloc(s, 0, 0);
        assert_int_equal(range.base, 0);
}

static void a_released_range_rests_before_it_is_given_out_again(void **state)
{
        _cleanup_(slots_freep) struct slots *s = NULL;
        struct slot_range range, again;

        assert_int_equal(slots_new(100, 1000, &s), 0);
        range = must_alloc(s, 100, 5);
        slots_release(s, range, 10);
        assert_int_equal(slots_used(s), 0);
        assert_int_equal(slots_alloc(s, 1, 1009, &again), SLOTS_FULL);
        again = must_alloc(s, 100, 1010);
        assert_int_equal(again.base, 0);
}

static void a_table_is_full_when_no_run_is_long_enough(void **state)
{
        _cleanup_(slots_freep) struct slots *s = NULL;
        struct slot_range ranges[10], range = {7, 7};

        assert_int_equal(slots_new(1000, 0, &s), 0);
        for (int i = 0; i < 10; i++)
                ranges[i] = must_alloc(s, 100, 0);
        assert_int_equal(slots_alloc(s, 1, 0, &range), SLOTS_FULL);
        for (int i = 0; i < 10; i += 2)
                slots_release(s, ranges[i], 0);
        assert_int_equal(slots_used(s), 500);
        assert_int_equal(slots_alloc(s, 101, 1, &range), SLOTS_FULL);
        assert_int_equal(range.base, 7); /* untouched */
        slots_release(s, ranges[1], 1);
        range = must_alloc(s, 300, 2); /* runs grow together */
        assert_int_equal(range.base, 0);
        assert_int_equal(slots_alloc(s, 1001, 2, &range), SLOTS_FULL);
        assert_int_equal(slots_alloc(s, UINT32_MAX, 2, &range), SLOTS_FULL);
}

static void an_adopted_range_is_not_given_out(void **state)
{
        _cleanup_(slots_freep) struct slots *s = NULL;

        assert_int_equal(slots_new(200, 10, &s), 0);
        assert_int_equal(slots_adopt(s, (struct slot_range){60, 70}), 0);
        assert_int_equal(slots_adopt(s, (struct slot_range){129, 1}), -EEXIST);
        assert_int_equal(slots_adopt(s, (struct slot_range){0, 61}), -EEXIST);
        assert_int_equal(slots_adopt(s, (struct slot_range){130, 1}), 0);
        assert_int_equal(slots_adopt(s, (struct slot_range){199, 2}), -ERANGE);
        assert_int_equal(slots_adopt(s, (struct slot_range){201, 0}), -ERANGE);
        assert_int_equal(slots_adopt(s, (struct slot_range){UINT32_MAX, UINT32_MAX}), -ERANGE);
        assert_int_equal(slots_adopt(s, (struct slot_range){60, 0}), 0);
        assert_int_equal(slots_used(s), 71);
        assert_int_equal(must_alloc(s, 60, 0).base, 0);
        assert_int_equal(must_alloc(s, 2, 0).base, 131);
        slots_release(s, (struct slot_range){60, 70}, 0);
        assert_int_equal(must_alloc(s, 70, 10).base, 60);
}

/* The oracle is an owner for each slot, and when it may be given out again. */
static void random_use_never_gives_a_slot_out_twice(void **state)
{
        enum { TOTAL = 3000, HELD = 64, GRACE = 50 };
        _cleanup_(slots_freep) struct slots *s = NULL;
        static struct {
                bool taken;
                uint64_t free_at;
        } want[TOTAL];
        struct slot_range held[HELD] = {0};
        uint32_t used = 0;

        assert_int_equal(slots_new(TOTAL, GRACE, &s), 0);
        for (uint64_t now = 0; now < 20000; now++) {
                struct slot_range *h = &held[random_below(HELD)];

                if (h->size) {
                        slots_release(s, *h, now);
                        for (uint32_t i = 0; i < h->size; i++) {
                                want[h->base + i].taken = false;
                                want[h->base + i].free_at = now + GRACE;
                        }
                        used -= h->size;
                        h->size = 0;
                } else if (slots_alloc(s, 1 + (uint32_t)random_below(150), now, h) == 0) {
                        assert_true(h->base + h->size <= TOTAL);
                        for (uint32_t i = 0; i < h->size; i++) {
                                assert_false(want[h->base + i].taken);
                                assert_true(want[h->base + i].free_at <= now);
                                want[h->base + i].taken = true;
                        }
                        used += h->size;
                }
                assert_int_equal(slots_used(s), used);
        }
}

static void ids_are_given_out_lowest_first_and_never_zero(void **state)
{
        _cleanup_(ids_freep) struct ids *ids = NULL;
        uint32_t id = 0;

        assert_int_equal(ids_new(130, 100, &ids), 0);
        assert_int_equal(ids_adopt(ids, 0), -ERANGE);
        assert_int_equal(ids_adopt(ids, 130), -ERANGE);
        assert_int_equal(ids_adopt(ids, 2), 0);
        assert_int_equal(ids_adopt(ids, 2), -EEXIST);
        for (uint32_t want = 1; want < 130; want++) {
                if (want == 2)
                        continue;
                assert_int_equal(ids_alloc(ids, 0, &id), 0);
                assert_int_equal(id, want);
        }
        assert_int_equal(ids_used(ids), 129);
        assert_int_equal(ids_alloc(ids, 0, &id), SLOTS_FULL);
        ids_release(ids, 70, 0);
        ids_release(ids, 7, 1);
        assert_int_equal(ids_alloc(ids, 99, &id), SLOTS_FULL);
        assert_int_equal(ids_alloc(ids, 100, &id), 0);
        assert_int_equal(id, 70);
        assert_int_equal(ids_alloc(ids, 101, &id), 0);
        assert_int_equal(id, 7);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_empty_range_takes_nothing),
                cmocka_unit_test(a_released_range_rests_before_it_is_given_out_again),
                cmocka_unit_test(a_table_is_full_when_no_run_is_long_enough),
                cmocka_unit_test(an_adopted_range_is_not_given_out),
                cmocka_unit_test(random_use_never_gives_a_slot_out_twice),
                cmocka_unit_test(ids_are_given_out_lowest_first_and_never_zero),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
