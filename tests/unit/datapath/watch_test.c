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

#include "bpf/abi/hash.h"
#include "datapath/flow_undo.h"
#include "datapath/observe.h"

static void lists_of_cpus_are_read(void **state)
{
        int cpus[8];

        assert_int_equal(observer_parse_cpus("0-2,5\n", cpus, 8), 4);
        assert_int_equal(cpus[2], 2);
        assert_int_equal(cpus[3], 5);
        assert_int_equal(observer_parse_cpus("0", cpus, 8), 1);
        assert_int_equal(observer_parse_cpus("0-99", cpus, 8), 8);
        assert_int_equal(observer_parse_cpus("", cpus, 8), -EINVAL);
        assert_int_equal(observer_parse_cpus("3-1", cpus, 8), -EINVAL);
        assert_int_equal(observer_parse_cpus("x", cpus, 8), -EINVAL);
}

#define SETS 4

static struct flow_set sets[SETS];
static const struct flow_undo table = {.sets = sets, .count = SETS};
static const struct flow_timeouts timeouts = {60, 8000, 10, 30, 120, 30};

static struct tuple tuple_of(uint16_t port)
{
        struct tuple t __attribute__((aligned(8))) = {.sport = htons(port), .dport = htons(80), .proto = IPPROTO_UDP};

        t.src.w[3] = htonl(0x0a000001);
        t.dst.w[3] = htonl(0x0a000002);
        return t;
}

/* A live entry in the first way that is free; its index. */
static uint32_t put(const struct tuple *key, uint32_t seen, uint32_t peer)
{
        uint64_t hash = tuple_hash(key);
        uint32_t n = flow_set_of(hash, SETS), way = 0;

        while (FLOW_STATUS(sets[n].flow[way].control) == FLOW_LIVE)
                way++;
        assert_true(way < FLOW_WAYS);
        sets[n].flow[way] = (struct flow){.key = *key, .seen = seen, .created = seen, .peer = peer};
        sets[n].flow[way].control = FLOW_CONTROL(7, FLOW_LIVE);
        return n * FLOW_WAYS + way;
}

static int clear(void **state)
{
        memset(sets, 0, sizeof(sets));
        return 0;
}

static void both_halves_are_freed_and_nothing_else(void **state)
{
        struct tuple there = tuple_of(1), back = tuple_of(2), other = tuple_of(3);
        uint32_t a = put(&there, 100, 0), b = put(&back, 100, a);
        struct flow_found found;

        sets[a / FLOW_WAYS].flow[a % FLOW_WAYS].peer = b;
        put(&other, 100, 0);
        assert_true(flow_undo_find(&table, &there, &timeouts, 101, &found));
        assert_int_equal(found.index, a);
        assert_int_equal(flow_undo_remove(&table, &found), 2);
        assert_false(flow_undo_find(&table, &there, &timeouts, 101, &found));
        assert_false(flow_undo_find(&table, &back, &timeouts, 101, &found));
        assert_true(flow_undo_find(&table, &other, &timeouts, 101, &found));
}

static void an_entry_that_is_anothers_by_now_is_left_alone(void **state)
{
        struct tuple there = tuple_of(1);
        uint32_t a = put(&there, 100, 5);
        struct flow_found found;

        assert_true(flow_undo_find(&table, &there, &timeouts, 101, &found));
        sets[a / FLOW_WAYS].flow[a % FLOW_WAYS].control = FLOW_CONTROL(8, FLOW_LIVE);
        assert_int_equal(flow_undo_remove(&table, &found), 0);
        assert_int_equal(FLOW_STATUS(sets[a / FLOW_WAYS].flow[a % FLOW_WAYS].control), FLOW_LIVE);
}

static void a_peer_of_somebody_elses_is_left_alone(void **state)
{
        struct tuple there = tuple_of(1), stranger = tuple_of(2);
        uint32_t b = put(&stranger, 100, 999), a = put(&there, 100, b);
        struct flow_found found;

        assert_true(flow_undo_find(&table, &there, &timeouts, 101, &found));
        assert_int_equal(found.index, a);
        assert_int_equal(flow_undo_remove(&table, &found), 1);
        assert_true(flow_undo_find(&table, &stranger, &timeouts, 101, &found));
}

static void a_set_has_room_while_an_entry_is_free_or_over(void **state)
{
        struct tuple key = tuple_of(1);
        uint32_t n = flow_set_of(tuple_hash(&key), SETS), put_n = 0;
        struct flow_found found;

        for (uint16_t port = 2; put_n < FLOW_WAYS; port++) {
                struct tuple t = tuple_of(port);

                if (flow_set_of(tuple_hash(&t), SETS) != n)
                        continue;
                assert_true(flow_undo_has_room(&table, &key, &timeouts, 101));
                put(&t, put_n++ ? 100 : 80, 0);
        }
        assert_false(flow_undo_has_room(&table, &key, &timeouts, 101));
        assert_true(flow_undo_has_room(&table, &key, &timeouts, 111)); /* 31 s after 80 */
        assert_false(flow_undo_find(&table, &key, &timeouts, 101, &found));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lists_of_cpus_are_read),
                cmocka_unit_test_setup(both_halves_are_freed_and_nothing_else, clear),
                cmocka_unit_test_setup(an_entry_that_is_anothers_by_now_is_left_alone, clear),
                cmocka_unit_test_setup(a_peer_of_somebody_elses_is_left_alone, clear),
                cmocka_unit_test_setup(a_set_has_room_while_an_entry_is_free_or_over, clear),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
