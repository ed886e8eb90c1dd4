/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "datapath/address.h"
#include "datapath/maglev.h"

/* Backends 10.244.0.0 and up, port 80, values 1 and up. */
static struct maglev_member *members_new(uint32_t count)
{
        struct maglev_member *m = mem_array(struct maglev_member, count);

        for (uint32_t i = 0; i < count; i++) {
                struct addr a = address_of_v4(htonl(0x0af40000 + i));

                m[i] = (struct maglev_member){
                        .identity = maglev_identity(&a, htons(80), IPPROTO_TCP), .weight = 1, .value = i + 1};
        }
        return m;
}

static uint32_t *table_new(const struct maglev_member *members, uint32_t count, uint32_t size)
{
        uint32_t *table = mem_array(uint32_t, size);

        assert_int_equal(maglev_fill(members, count, size, table), 0);
        return table;
}

/* Slots of each value 1 to count. */
static void count_shares(const uint32_t *table, uint32_t size, uint32_t count, uint32_t *shares)
{
        memset(shares, 0, (count + 1) * sizeof(*shares));
        for (uint32_t i = 0; i < size; i++) {
                assert_in_range(table[i], 1, count);
                shares[table[i]]++;
        }
}

static void sizes_are_primes_of_about_a_hundred_slots_a_member(void **state)
{
        assert_int_equal(maglev_size(0), 0);
        assert_int_equal(maglev_size(1), 1);
        assert_int_equal(maglev_size(2), 211);
        assert_int_equal(maglev_size(10), 1009);
        assert_int_equal(maglev_size(163), 16301);
        assert_int_equal(maglev_size(164), MAGLEV_MAX_SIZE);
        assert_int_equal(maglev_size(UINT32_MAX), MAGLEV_MAX_SIZE);
        for (uint32_t n = 2; n < 200; n++) {
                uint32_t size = maglev_size(n);

                assert_true(size <= MAGLEV_MAX_SIZE && size >= MIN(100 * n, MAGLEV_MAX_SIZE));
                for (uint32_t i = 2; i * i <= size; i++)
                        assert_int_not_equal(size % i, 0);
        }
}

static void equal_weights_have_equal_shares(void **state)
{
        static const uint32_t counts[] = {1, 2, 3, 10, 163, 1000, 5000};

        for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
                uint32_t n = counts[c], size = maglev_size(n), shares[5001];
                _cleanup_free_ struct maglev_member *members = members_new(n);
                _cleanup_free_ uint32_t *table = table_new(members, n, size);

                count_shares(table, size, n, shares);
                for (uint32_t i = 1; i <= n; i++) /* turns are taken one by one: they differ by one at most */
                        assert_in_range(shares[i], size / n, size / n + 1);
        }
}

static void shares_follow_weights(void **state)
{
        static const uint32_t weights[] = {1, 2, 3, 10, 84};
        _cleanup_free_ struct maglev_member *members = members_new(5);
        _cleanup_free_ uint32_t *table = NULL;
        uint32_t shares[6];

        for (int i = 0; i < 5; i++)
                members[i].weight = weights[i];
        table = table_new(members, 5, 10007);
        count_shares(table, 10007, 5, shares);
        for (int i = 0; i < 5; i++)
                assert_in_range(shares[i + 1], weights[i] * 100 - 3, weights[i] * 100 + 10);
}

static void a_weight_of_zero_counts_as_one(void **state)
{
        _cleanup_free_ struct maglev_member *members = members_new(2);
        _cleanup_free_ uint32_t *table = NULL;
        uint32_t shares[3];

        members[0].weight = members[1].weight = 0;
        table = table_new(members, 2, 211);
        count_shares(table, 211, 2, shares);
        assert_in_range(shares[1], 105, 106);
}

static void the_order_of_members_does_not_matter(void **state)
{
        enum { N = 50 };
        _cleanup_free_ struct maglev_member *members = members_new(N);
        _cleanup_free_ uint32_t *first = NULL, *second = NULL;
        uint32_t size = maglev_size(N);

        for (uint32_t i = 0; i < N; i++)
                members[i].weight = 1 + i % 3;
        first = table_new(members, N, size);
        for (uint32_t i = 0; i < N / 2; i++) {
                struct maglev_member swap = members[i];

                members[i] = members[N - 1 - i];
                members[N - 1 - i] = swap;
        }
        second = table_new(members, N, size);
        assert_memory_equal(first, second, size * sizeof(*first));
}

/* Nodes of different releases must agree: these are the values of the first one. */
static void tables_are_the_same_in_every_release(void **state)
{
        static const uint32_t want[] = {2, 1, 3, 3, 3, 1, 3, 1, 2, 1, 2, 1, 2};
        _cleanup_free_ struct maglev_member *members = members_new(3);
        _cleanup_free_ uint32_t *table = table_new(members, 3, 13);
        struct addr six = address_of_v6("\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1");

        assert_true(members[0].identity == 0x2fca9477bcb7940bULL);
        assert_true(maglev_identity(&six, htons(53), IPPROTO_UDP) == 0x6ca183e637209649ULL);
        assert_memory_equal(table, want, sizeof(want));
}

/* Of the slots whose backend is still there, how many have another one now, in percent. */
static double moved_percent(const uint32_t *before, const uint32_t *after, uint32_t size, uint32_t gone)
{
        uint32_t moved = 0, kept = 0;

        for (uint32_t i = 0; i < size; i++) {
                if (before[i] == gone)
                        continue;
                kept++;
                moved += before[i] != after[i];
        }
        return 100.0 * moved / kept;
}

static void few_slots_move_when_a_backend_goes(void **state)
{
        enum { N = 100 };
        _cleanup_free_ struct maglev_member *members = members_new(N);
        uint32_t size = maglev_size(N);
        _cleanup_free_ uint32_t *before = table_new(members, N, size), *after = NULL;
        uint32_t gone = members[37].value;

        members[37] = members[N - 1];
        after = table_new(members, N - 1, size);
        for (uint32_t i = 0; i < size; i++)
                assert_int_not_equal(after[i], gone);
        assert_true(moved_percent(before, after, size, gone) < 3.0);
        /* and back: the same table as before */
        free(TAKE_PTR(members));
        free(TAKE_PTR(after));
        members = members_new(N);
        after = table_new(members, N, size);
        assert_memory_equal(before, after, size * sizeof(*before));
}

static void what_cannot_be_filled_is_refused(void **state)
{
        _cleanup_free_ struct maglev_member *members = members_new(2);
        uint32_t table[16];

        assert_int_equal(maglev_fill(members, 2, 0, table), 0);
        assert_int_equal(maglev_fill(members, 0, 13, table), -EINVAL);
        assert_int_equal(maglev_fill(members, 2, 15, table), -EINVAL);
}

static void more_members_than_slots_fill_the_table(void **state)
{
        _cleanup_free_ struct maglev_member *members = members_new(20000);
        _cleanup_free_ uint32_t *table = table_new(members, 20000, MAGLEV_MAX_SIZE),
                                *shares = mem_array(uint32_t, 20001);

        count_shares(table, MAGLEV_MAX_SIZE, 20000, shares);
        for (uint32_t i = 1; i <= 20000; i++)
                assert_in_range(shares[i], 0, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sizes_are_primes_of_about_a_hundred_slots_a_member),
                cmocka_unit_test(equal_weights_have_equal_shares),
                cmocka_unit_test(shares_follow_weights),
                cmocka_unit_test(a_weight_of_zero_counts_as_one),
                cmocka_unit_test(the_order_of_members_does_not_matter),
                cmocka_unit_test(tables_are_the_same_in_every_release),
                cmocka_unit_test(few_slots_move_when_a_backend_goes),
                cmocka_unit_test(what_cannot_be_filled_is_refused),
                cmocka_unit_test(more_members_than_slots_fill_the_table),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
