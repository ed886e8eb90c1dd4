/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/random.h"
#include "bpf/abi/hash.h"
#include "datapath/address.h"
#include "datapath/migrate.h"

static struct map *fake(uint32_t key, uint32_t value, uint32_t entries, bool array)
{
        struct map_info info = {.name = "test", .key_size = key, .value_size = value, .max_entries = entries};
        struct map *m = NULL;

        assert_int_equal(map_new_fake(&info, array, &m), 0);
        return m;
}

static void put(struct map *m, uint32_t key, uint32_t value)
{
        assert_int_equal(map_update(m, &key, &value), 0);
}

static uint32_t get(struct map *m, uint32_t key)
{
        uint32_t value = 0;

        return map_lookup(m, &key, &value) == 0 ? value : UINT32_MAX;
}

static void only_what_the_successor_lacks_is_copied(void **state)
{
        _cleanup_(map_freep) struct map *from = fake(4, 4, 10, false), *to = fake(4, 4, 20, false);
        size_t lost = 9;

        put(from, 1, 10);
        put(from, 2, 20);
        put(to, 2, 21);
        put(to, 3, 31);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(migrate_copy(from, to, NULL, &lost), 0);
                assert_int_equal(lost, 0);
                assert_int_equal(get(to, 1), 10);
                assert_int_equal(get(to, 2), 21);
                assert_int_equal(get(to, 3), 31);
        }
}

static void an_element_of_zeros_counts_as_lacking(void **state)
{
        _cleanup_(map_freep) struct map *from = fake(4, 4, 8, true), *to = fake(4, 4, 4, true);
        size_t lost = 0;

        put(from, 0, 1);
        put(from, 1, 2);
        put(from, 7, 8);
        put(to, 1, 22);
        put(to, 2, 33);
        assert_int_equal(migrate_copy(from, to, NULL, &lost), 0);
        assert_int_equal(lost, 1); /* element 7 */
        assert_int_equal(get(to, 0), 1);
        assert_int_equal(get(to, 1), 22);
        assert_int_equal(get(to, 2), 33);
}

static void what_has_no_room_is_counted(void **state)
{
        _cleanup_(map_freep) struct map *from = fake(4, 4, 10, false), *to = fake(4, 4, 3, false);
        size_t lost = 0;

        for (uint32_t i = 0; i < 10; i++)
                put(from, i, i);
        assert_int_equal(migrate_copy(from, to, NULL, &lost), 0);
        assert_int_equal(lost, 7);
}

static void another_layout_needs_a_converter(void **state)
{
        _cleanup_(map_freep) struct map *from = fake(4, 4, 10, false), *to = fake(4, 8, 10, false),
                                        *array = fake(4, 4, 10, true);
        size_t lost;

        assert_int_equal(migrate_copy(from, to, NULL, &lost), -EPROTO);
        assert_int_equal(migrate_copy(from, array, NULL, &lost), -EPROTO);
}

/* A version before the first: services of IPv4 only. */
struct service_key_v0 {
        __be32 addr;
        __be16 port;
        __u16 proto;
};

struct service_v0 {
        __u32 id, base, size;
};

static int convert_service_v0(const void *key, const void *value, void *ret_key, void *ret_value)
{
        struct service_key_v0 old_key;
        struct service_v0 old;

        memcpy(&old_key, key, sizeof(old_key));
        memcpy(&old, value, sizeof(old));
        if (!old.id)
                return MIGRATE_LEAVE;
        *(struct service_key *)ret_key = (struct service_key){
                .addr = address_of_v4(old_key.addr), .port = old_key.port, .proto = (__u8)old_key.proto};
        *(struct service *)ret_value =
                (struct service){.id = old.id, .in = {old.base, old.size}, .out = {old.base, old.size}};
        return 0;
}

static void another_version_is_converted(void **state)
{
        static const struct converter items[] = {{0, MAP_SERVICES, convert_service_v0}};
        static const struct converters table = {items, 1};
        _cleanup_(map_freep) struct map *from =
                fake(sizeof(struct service_key_v0), sizeof(struct service_v0), 10, false);
        _cleanup_(map_freep) struct map *to = fake(sizeof(struct service_key), sizeof(struct service), 10, false);
        struct service_key_v0 old_key = {htonl(0x0a600001), htons(80), IPPROTO_TCP};
        struct service_key key = {address_of_v4(htonl(0x0a600001)), htons(80), IPPROTO_TCP, 0};
        struct service got;
        size_t lost = 0;

        assert_null(migrate_find(&table, 0, MAP_BACKENDS));
        assert_null(migrate_find(&table, 2, MAP_SERVICES));
        assert_int_equal(map_update(from, &old_key, &(struct service_v0){7, 32, 3}), 0);
        old_key.port = htons(81);
        assert_int_equal(map_update(from, &old_key, &(struct service_v0){0, 0, 0}), 0);
        assert_int_equal(migrate_copy(from, to, migrate_find(&table, 0, MAP_SERVICES), &lost), 0);
        assert_int_equal(map_lookup(to, &key, &got), 0);
        assert_int_equal(got.id, 7);
        assert_int_equal(got.out.base, 32);
        key.port = htons(81);
        assert_int_equal(map_lookup(to, &key, &got), -ENOENT);
}

/* ---- flows */

static struct flow_table table_new(uint32_t sets)
{
        struct flow_table t = {
                .sets = calloc(sets, sizeof(struct flow_set)), .marks = calloc(sets, sizeof(uint64_t)), .count = sets};

        assert_true(t.sets && t.marks);
        return t;
}

static void table_free(struct flow_table t)
{
        free(t.sets);
        free(t.marks);
}

static bool is_marked(struct flow_table t, uint32_t index, uint64_t hash)
{
        return (t.marks[index / FLOW_WAYS] >> index % FLOW_WAYS * 8 & 0xff) == flow_mark_of(hash);
}

static struct flow forward_flow(uint32_t n)
{
        return (struct flow){
                .key = {.src = address_of_v4(htonl(0x0af40000 + n)),
                        .dst = address_of_v4(htonl(0x0a600001)),
                        .sport = htons(1024 + n % 60000),
                        .dport = htons(80),
                        .proto = IPPROTO_TCP},
                .flags = FLOW_DNAT,
                .backend = n,
                .packets = 100 + n,
        };
}

static struct flow reply_flow(uint32_t n)
{
        struct flow f = forward_flow(n);
        struct addr client = f.key.src;

        f.key.src = address_of_v4(htonl(0x0af50001));
        f.key.dst = client;
        f.key.dport = f.key.sport;
        f.key.sport = htons(8080);
        f.flags |= FLOW_REPLY;
        return f;
}

static uint32_t place(struct flow_table t, const struct flow *f, uint32_t generation)
{
        uint64_t hash = tuple_hash(&f->key);
        uint32_t set = flow_set_of(hash, t.count);

        for (uint32_t way = 0; way < FLOW_WAYS; way++) {
                if (FLOW_STATUS(t.sets[set].flow[way].control) != FLOW_FREE)
                        continue;
                t.sets[set].flow[way] = *f;
                t.sets[set].flow[way].control = FLOW_CONTROL(generation, FLOW_LIVE);
                return set * FLOW_WAYS + way;
        }
        return UINT32_MAX;
}

static struct flow *flow_at(struct flow_table t, uint32_t index)
{
        return &t.sets[index / FLOW_WAYS].flow[index % FLOW_WAYS];
}

static uint32_t find(struct flow_table t, const struct tuple *key)
{
        uint64_t hash = tuple_hash(key);
        uint32_t set = flow_set_of(hash, t.count);

        for (uint32_t way = 0; way < FLOW_WAYS; way++)
                if (FLOW_STATUS(t.sets[set].flow[way].control) == FLOW_LIVE &&
                    memcmp(&t.sets[set].flow[way].key, key, sizeof(*key)) == 0)
                        return set * FLOW_WAYS + way;
        return UINT32_MAX;
}

static void add_pairs(struct flow_table t, uint32_t n)
{
        for (uint32_t i = 0; i < n; i++) {
                struct flow f = forward_flow(i), r = reply_flow(i);
                uint32_t at[2] = {place(t, &f, 5), place(t, &r, 6)};

                assert_true(at[0] != UINT32_MAX && at[1] != UINT32_MAX);
                flow_at(t, at[0])->peer = at[1];
                flow_at(t, at[1])->peer = at[0];
        }
}

static uint32_t count_live(struct flow_table t)
{
        uint32_t n = 0;

        for (uint32_t i = 0; i < t.count * FLOW_WAYS; i++)
                n += FLOW_STATUS(t.sets[i / FLOW_WAYS].flow[i % FLOW_WAYS].control) == FLOW_LIVE;
        return n;
}

static void check_pair(struct flow_table t, uint32_t n)
{
        struct flow f = forward_flow(n), r = reply_flow(n);
        uint32_t at = find(t, &f.key), back = find(t, &r.key);

        assert_true(at != UINT32_MAX && back != UINT32_MAX);
        assert_int_equal(flow_at(t, at)->peer, back);
        assert_int_equal(flow_at(t, back)->peer, at);
        assert_true(is_marked(t, at, tuple_hash(&f.key)) && is_marked(t, back, tuple_hash(&r.key)));
        assert_int_equal(flow_at(t, at)->backend, n);
        assert_int_equal(flow_at(t, at)->packets, 100 + n);
}

static void flows_find_their_sets_in_a_table_of_another_size(void **state)
{
        static const uint32_t sizes[] = {256, 1024, 4096};
        struct flow_table from = table_new(1024);

        add_pairs(from, 300);
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                struct flow_table to = table_new(sizes[i]);
                size_t lost = 9;

                for (int again = 0; again < 2; again++) {
                        migrate_flows(from, to, &lost);
                        assert_int_equal(lost, 0);
                        assert_int_equal(count_live(to), 600);
                }
                for (uint32_t n = 0; n < 300; n++)
                        check_pair(to, n);
                table_free(to);
        }
        table_free(from);
}

static void a_table_without_marks_gets_them(void **state)
{
        struct flow_table t = table_new(64);

        add_pairs(t, 20);
        migrate_mark_flows(t);
        for (uint32_t n = 0; n < 20; n++)
                check_pair(t, n);
        table_free(t);
}

static void flows_that_find_no_room_are_lost_with_their_other_half(void **state)
{
        struct flow_table from = table_new(1024), to = table_new(8);
        size_t lost = 0;

        add_pairs(from, 300);
        migrate_flows(from, to, &lost);
        assert_true(lost > 0);
        assert_int_equal(count_live(to) + 2 * lost, 600);
        for (uint32_t i = 0; i < to.count * FLOW_WAYS; i++)
                if (FLOW_STATUS(to.sets[i / FLOW_WAYS].flow[i % FLOW_WAYS].control) == FLOW_LIVE)
                        assert_int_equal(flow_at(to, flow_at(to, i)->peer)->peer, i);
        table_free(from);
        table_free(to);
}

static void what_is_being_written_or_has_lost_its_half_is_left_alone(void **state)
{
        struct flow_table from = table_new(64), to = table_new(64);
        struct flow orphan = forward_flow(1000), f = forward_flow(3);
        uint32_t set = flow_set_of(tuple_hash(&f.key), 64), at;
        uint64_t busy = 0x12 | FLOW_MARK_BUSY;
        size_t lost;

        add_pairs(from, 20);
        orphan.peer = 12345678;
        assert_true(place(from, &orphan, 1) != UINT32_MAX);
        at = find(from, &f.key);
        to.marks[set] = busy;
        to.sets[set].flow[0].control = FLOW_CONTROL(9, FLOW_BUSY);
        migrate_flows(from, to, &lost);
        assert_int_equal(to.marks[set] & 0xff, busy);
        assert_int_equal(to.sets[set].flow[0].control, FLOW_CONTROL(9, FLOW_BUSY));
        assert_int_equal(count_live(to), 40);
        check_pair(to, 3);
        flow_at(from, at)->control = FLOW_CONTROL(9, FLOW_BUSY);
        memset(to.sets, 0, 64 * sizeof(struct flow_set));
        memset(to.marks, 0, 64 * sizeof(uint64_t));
        migrate_flows(from, to, &lost);
        assert_int_equal(count_live(to), 38);
        table_free(from);
        table_free(to);
}

static void a_taken_way_gets_another_generation(void **state)
{
        struct flow_table from = table_new(64), to = table_new(64);
        struct flow f = forward_flow(0);
        uint32_t set = flow_set_of(tuple_hash(&f.key), 64), at;
        size_t lost;

        add_pairs(from, 1);
        for (uint32_t way = 0; way < FLOW_WAYS; way++)
                to.sets[set].flow[way].control = FLOW_CONTROL(41, FLOW_FREE);
        migrate_flows(from, to, &lost);
        at = find(to, &f.key);
        assert_true(at != UINT32_MAX);
        assert_int_equal(FLOW_GENERATION(flow_at(to, at)->control), 42);
        assert_int_equal(flow_at(to, at)->epoch, 42);
        table_free(from);
        table_free(to);
}

/* ---- sizes */

static void what_is_needed_is_what_is_held(void **state)
{
        _cleanup_(map_freep) struct map *hash = fake(4, 4, 100, false), *array = fake(4, 4, 100, true),
                                        *services = fake(sizeof(struct service_key), sizeof(struct service), 9, false);
        struct service_key key = {.port = 1};
        struct service s = {.in = {32, 10}, .out = {16, 3}};
        uint32_t needed = 99;

        assert_int_equal(migrate_needed(array, &needed), 0);
        assert_int_equal(needed, 0);
        put(array, 41, 1);
        put(array, 7, 1);
        put(hash, 41, 1);
        put(hash, 7, 0);
        assert_int_equal(migrate_needed(array, &needed), 0);
        assert_int_equal(needed, 42);
        assert_int_equal(migrate_needed(hash, &needed), 0);
        assert_int_equal(needed, 2);
        assert_int_equal(migrate_needed_slot_lines(services, &needed), 0);
        assert_int_equal(needed, 0);
        assert_int_equal(map_update(services, &key, &s), 0);
        key.port = 2;
        s.out = (struct slot_range){48, 17};
        assert_int_equal(map_update(services, &key, &s), 0);
        assert_int_equal(migrate_needed_slot_lines(services, &needed), 0);
        assert_int_equal(needed, 5); /* lines of 16: up to slot 64 */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(only_what_the_successor_lacks_is_copied),
                cmocka_unit_test(an_element_of_zeros_counts_as_lacking),
                cmocka_unit_test(what_has_no_room_is_counted),
                cmocka_unit_test(another_layout_needs_a_converter),
                cmocka_unit_test(another_version_is_converted),
                cmocka_unit_test(flows_find_their_sets_in_a_table_of_another_size),
                cmocka_unit_test(a_table_without_marks_gets_them),
                cmocka_unit_test(flows_that_find_no_room_are_lost_with_their_other_half),
                cmocka_unit_test(what_is_being_written_or_has_lost_its_half_is_left_alone),
                cmocka_unit_test(a_taken_way_gets_another_generation),
                cmocka_unit_test(what_is_needed_is_what_is_held),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
