/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "bpf/abi/maps.h"
#include "datapath/map.h"

static struct map *fake(uint32_t key, uint32_t value, uint32_t entries, bool array, bool per_cpu)
{
        struct map_info info = {
                .name = "test", .key_size = key, .value_size = value, .max_entries = entries, .per_cpu = per_cpu};
        struct map *m = NULL;

        assert_int_equal(map_new_fake(&info, array, &m), 0);
        return m;
}

static void a_hash_takes_replaces_and_forgets(void **state)
{
        _cleanup_(map_freep) struct map *m = fake(8, 4, 2, false, false);
        uint64_t keys[] = {1, 256, 3};
        uint32_t value = 7;

        assert_int_equal(map_lookup(m, &keys[0], &value), -ENOENT);
        assert_int_equal(value, 7);
        assert_int_equal(map_update(m, &keys[0], &value), 0);
        value = 8;
        assert_int_equal(map_update(m, &keys[1], &value), 0);
        assert_int_equal(map_update(m, &keys[2], &value), MAP_FULL);
        value = 9;
        assert_int_equal(map_update(m, &keys[0], &value), 0); /* a full map still replaces */
        assert_int_equal(map_lookup(m, &keys[1], &value), 0);
        assert_int_equal(value, 8);
        assert_int_equal(map_delete(m, &keys[1]), 0);
        assert_int_equal(map_delete(m, &keys[1]), 0);
        assert_int_equal(map_update(m, &keys[2], &value), 0);
        assert_int_equal(map_lookup(m, &keys[0], &value), 0);
        assert_int_equal(value, 9);
        assert_int_equal(map_fd(m), -1);
}

static void an_array_has_all_its_elements(void **state)
{
        _cleanup_(map_freep) struct map *m = fake(4, 8, 3, true, false);
        uint32_t key = 2;
        uint64_t value = 5;

        assert_int_equal(map_lookup(m, &key, &value), 0);
        assert_int_equal(value, 0);
        value = 6;
        assert_int_equal(map_update(m, &key, &value), 0);
        assert_int_equal(map_delete(m, &key), -EINVAL);
        key = 3;
        assert_int_equal(map_update(m, &key, &value), -ERANGE);
        assert_int_equal(map_lookup(m, &key, &value), -ENOENT);
}

static void many_are_written_until_the_map_is_full(void **state)
{
        _cleanup_(map_freep) struct map *m = fake(4, 4, 3, false, false);
        uint32_t keys[] = {10, 11, 12, 13, 14}, value;
        size_t done = 99;

        assert_int_equal(map_update_many(m, keys, keys, 0, &done), 0);
        assert_int_equal(done, 0);
        assert_int_equal(map_update_many(m, keys, keys, 5, &done), MAP_FULL);
        assert_int_equal(done, 3);
        assert_int_equal(map_lookup(m, &keys[2], &value), 0);
        assert_int_equal(value, 12);
        assert_int_equal(map_lookup(m, &keys[3], &value), -ENOENT);
}

struct walk {
        struct map *map;
        uint32_t calls, sum;
        int result;
};

static int visit(void *userdata, const void *key, const void *value)
{
        struct walk *w = userdata;
        uint32_t k, v;

        memcpy(&k, key, sizeof(k));
        memcpy(&v, value, sizeof(v));
        w->calls++;
        w->sum += k * v;
        return w->result;
}

static int visit_and_delete_others(void *userdata, const void *key, const void *value)
{
        struct walk *w = userdata;

        w->calls++;
        for (uint32_t k = 0; k < 100; k++)
                if (memcmp(&k, key, sizeof(k)) != 0)
                        map_delete(w->map, &k);
        return 0;
}

static void a_walk_visits_every_entry_and_bears_changes(void **state)
{
        _cleanup_(map_freep) struct map *m = fake(4, 4, 100, false, false);
        struct walk w = {.map = m};
        uint32_t key = 0;

        for (; key < 100; key++)
                assert_int_equal(map_update(m, &key, &(uint32_t){2}), 0);
        assert_int_equal(map_each(m, visit, &w), 0);
        assert_int_equal(w.calls, 100);
        assert_int_equal(w.sum, 9900);
        w = (struct walk){.result = 42};
        assert_int_equal(map_each(m, visit, &w), 42);
        assert_int_equal(w.calls, 1);
        w = (struct walk){.map = m};
        assert_int_equal(map_each(m, visit_and_delete_others, &w), 0);
        assert_int_equal(w.calls, 1);
}

static void a_walk_of_an_array_goes_by_index(void **state)
{
        _cleanup_(map_freep) struct map *m = fake(4, 4, 4, true, false);
        struct walk w = {.map = m};

        assert_int_equal(map_update(m, &(uint32_t){3}, &(uint32_t){5}), 0);
        assert_int_equal(map_each(m, visit, &w), 0);
        assert_int_equal(w.calls, 4);
        assert_int_equal(w.sum, 15);
}

static void a_per_cpu_map_has_a_value_for_each_cpu(void **state)
{
        _cleanup_(map_freep) struct map *m = fake(4, 12, 4, true, true);
        _cleanup_free_ char *in = mem_alloc(map_lookup_size(m)), *out = mem_alloc(map_lookup_size(m));

        assert_true(map_cpus() >= 1);
        assert_int_equal(map_lookup_size(m), 16 * (size_t)map_cpus());
        memset(in, 0x77, map_lookup_size(m));
        assert_int_equal(map_update(m, &(uint32_t){1}, in), 0);
        assert_int_equal(map_lookup(m, &(uint32_t){1}, out), 0);
        assert_memory_equal(in, out, map_lookup_size(m));
}

static void all_maps_have_the_layouts_of_the_abi(void **state)
{
        struct maps maps = MAPS_NULL;
        struct service_key key = {.port = 80};
        struct service service = {.id = 3}, got;

        assert_int_equal(maps_init_fake(&maps), 0);
        for (int id = 0; id < MAP_COUNT; id++)
                assert_non_null(maps.m[id]);
        assert_string_equal(map_info(maps.m[MAP_SOURCE_RANGES])->name, "source_ranges");
        assert_int_equal(map_info(maps.m[MAP_BACKENDS])->value_size, sizeof(struct backend));
        assert_int_equal(map_info(maps.m[MAP_SERVICES])->max_entries, SERVICES_DEFAULT);
        assert_true(map_info(maps.m[MAP_COUNTERS])->per_cpu);
        assert_int_equal(map_update(maps.m[MAP_SERVICES], &key, &service), 0);
        assert_int_equal(map_lookup(maps.m[MAP_SERVICES], &key, &got), 0);
        assert_memory_equal(&service, &got, sizeof(got));
        maps_deinit(&maps);
        assert_null(maps.m[0]);
}

static void pinned_maps_that_are_not_there_are_named(void **state)
{
        struct maps maps = MAPS_NULL;
        struct err err = ERR_NULL;

        assert_int_equal(maps_open_pinned(&maps, "/nonexistent/fairlead", true, &err), -ENOENT);
        assert_non_null(strstr(err.msg, "/nonexistent/fairlead/v1/maps/services"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_hash_takes_replaces_and_forgets),
                cmocka_unit_test(an_array_has_all_its_elements),
                cmocka_unit_test(many_are_written_until_the_map_is_full),
                cmocka_unit_test(a_walk_visits_every_entry_and_bears_changes),
                cmocka_unit_test(a_walk_of_an_array_goes_by_index),
                cmocka_unit_test(a_per_cpu_map_has_a_value_for_each_cpu),
                cmocka_unit_test(all_maps_have_the_layouts_of_the_abi),
                cmocka_unit_test(pinned_maps_that_are_not_there_are_named),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
