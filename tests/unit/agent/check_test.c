/* SPDX-License-Identifier: Apache-2.0 */
/* Two agents with the same API state, whose tables came about in different ways; then somebody writes into one's. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/check/tables.h"
#include "base/log.h"
#include "datapath/address.h"
#include "unit/agent/svcworld.h"

static struct svcworld have, want;

static struct svcworld_service varied(int i)
{
        struct svcworld_service s = {
                .there = true, .type = "NodePort", .created_s = 10 + i, .ports = 2, .node_port = 30001 + i};

        s.dual = i % 2;
        s.affinity = i == 1;
        s.external_ip = i == 2 ? 7 : 0;
        s.ranges = i == 3;
        if (s.ranges)
                s.type = "LoadBalancer";
        for (int e = 0; e < 3 + i; e++)
                s.endpoints[e] = (struct svcworld_endpoint){
                        .there = true, .ready = true, .serving = true, .terminating = e == 5, .local = e % 3 == 0};
        return s;
}

static void tell(struct svcworld *w, int i)
{
        w->service[i] = varied(i);
        svcworld_tell(w, i);
        svcworld_sync(w);
}

/* Other ids, other places of slots. */
static int setup(void **state)
{
        log_init("test", LOG_LEVEL_ERROR);
        svcworld_init(&have, NULL);
        svcworld_init(&want, NULL);
        for (int i = 0; i < 5; i++)
                tell(&want, i);
        tell(&have, 5);
        for (int i = 4; i >= 0; i--)
                tell(&have, i);
        have.service[5].there = false;
        svcworld_tell(&have, 5);
        assert_null(svcworld_check(&have));
        assert_null(svcworld_check(&want));
        return 0;
}

static int teardown(void **state)
{
        svcworld_deinit(&have);
        svcworld_deinit(&want);
        return 0;
}

static struct check_counts counts;

static void compare(struct findings *ret)
{
        counts = (struct check_counts){0};
        assert_int_equal(check_services(&have.inner, &want.inner, ret, &counts), 0);
}

/* Nothing else is found than what has these words. */
static void found(const char *table, const char *words)
{
        _cleanup_(findings_deinit) struct findings f = FINDINGS_NULL;

        compare(&f);
        for (size_t i = 0; i < f.n; i++)
                if (strcmp(f.items[i].table, table) != 0 || !strstr(f.items[i].text, words))
                        fail_msg("%s: %s: %s", f.items[i].table, f.items[i].object, f.items[i].text);
        assert_true(f.n > 0);
}

static void found_nothing(void)
{
        _cleanup_(findings_deinit) struct findings f = FINDINGS_NULL;

        compare(&f);
        for (size_t i = 0; i < f.n; i++)
                print_message("%s: %s: %s\n", f.items[i].table, f.items[i].object, f.items[i].text);
        assert_int_equal(f.n, 0);
}

static struct service_key key_of(const char *address, int port, int proto)
{
        struct service_key key = {.port = htons((uint16_t)port), .proto = (uint8_t)proto};

        assert_int_equal(address_parse(address, &key.addr), 0);
        return key;
}

static struct service frontend_of(const struct service_key *key)
{
        struct service v;

        assert_int_equal(map_lookup(have.inner.m[MAP_SERVICES], key, &v), 0);
        return v;
}

static void other_ids_and_places_are_the_same_tables(void **state)
{
        found_nothing();
        assert_true(counts.frontends > 20);
        assert_true(counts.endpoints > 20);
}

static void a_frontend_that_is_missing_or_too_much_is_found(void **state)
{
        struct service_key key = key_of("10.96.0.1", 80, IPPROTO_TCP), other = key_of("10.96.9.9", 80, IPPROTO_TCP);
        struct service v = frontend_of(&key);

        assert_int_equal(map_delete(have.inner.m[MAP_SERVICES], &key), 0);
        found("services", "missing");
        map_update(have.inner.m[MAP_SERVICES], &key, &v);
        map_update(have.inner.m[MAP_SERVICES], &other, &v);
        found("services", "should not be there");
}

static void a_frontend_of_another_form_is_found(void **state)
{
        struct service_key key = key_of("10.96.0.2", 80, IPPROTO_TCP);
        struct service v = frontend_of(&key), changed = v;

        changed.flags ^= SERVICE_AFFINITY;
        map_update(have.inner.m[MAP_SERVICES], &key, &changed);
        found("services", "flags are");
        changed = v;
        changed.affinity_s = 7;
        map_update(have.inner.m[MAP_SERVICES], &key, &changed);
        found("services", "should be 10800 s");
        changed = v;
        changed.in.size = 1U << 31;
        map_update(have.inner.m[MAP_SERVICES], &key, &changed);
        found("services", "more than there are");
}

static void slots_with_somebody_else_in_them_are_found(void **state)
{
        struct service_key key = key_of("10.96.0.1", 80, IPPROTO_TCP);
        struct service v = frontend_of(&key);
        uint32_t line = v.in.base / SLOT_LINE;
        struct slot_line slots, was;

        assert_int_equal(map_lookup(have.inner.m[MAP_SLOTS], &line, &slots), 0);
        was = slots;
        slots.backend[v.in.base % SLOT_LINE] = 0;
        map_update(have.inner.m[MAP_SLOTS], &line, &slots);
        found("slots", "too much: nobody");
        slots.backend[v.in.base % SLOT_LINE] = 60000;
        map_update(have.inner.m[MAP_SLOTS], &line, &slots);
        found("slots", "missing: ");
        assert_true(v.in.size > 1);
        slots = was;
        slots.backend[v.in.base % SLOT_LINE] = was.backend[v.in.base % SLOT_LINE + 1];
        map_update(have.inner.m[MAP_SLOTS], &line, &slots);
        found("slots", "missing: ");
}

/* Its members are right, but clients would be sent elsewhere than by the other nodes' tables. */
static void a_permutation_in_another_order_is_found(void **state)
{
        struct service_key key = key_of("0.0.0.0", 30001, IPPROTO_TCP);
        struct service v = frontend_of(&key);
        uint32_t line = v.out.base / SLOT_LINE;
        struct slot_line slots;
        int i = 1;

        assert_true(v.flags & SERVICE_HASH_OUT);
        assert_int_equal(map_lookup(have.inner.m[MAP_SLOTS], &line, &slots), 0);
        while (slots.backend[i] == slots.backend[0])
                i++;
        slots.backend[i] = slots.backend[0];
        map_update(have.inner.m[MAP_SLOTS], &line, &slots);
        found("slots", "in another number or order");
}

static void a_backend_that_leads_elsewhere_is_found(void **state)
{
        _cleanup_(findings_deinit) struct findings f = FINDINGS_NULL;
        struct service_key key = key_of("10.96.0.1", 80, IPPROTO_TCP);
        struct service v = frontend_of(&key);
        uint32_t line = v.in.base / SLOT_LINE, id;
        struct slot_line slots;
        struct backend b;

        assert_int_equal(map_lookup(have.inner.m[MAP_SLOTS], &line, &slots), 0);
        id = slots.backend[v.in.base % SLOT_LINE];
        assert_int_equal(map_lookup(have.inner.m[MAP_BACKENDS], &id, &b), 0);
        b.port ^= htons(1);
        map_update(have.inner.m[MAP_BACKENDS], &id, &b);
        compare(&f);
        assert_true(f.n >= 3); /* the endpoint is missing, another one too much, and each frontend has it */
}

static void filters_and_source_ranges_are_compared(void **state)
{
        static struct filters filters;
        struct service_key key = key_of("10.96.0.1", 80, IPPROTO_TCP);
        struct range_key range = {.prefixlen = 32 + 128, .service = frontend_of(&key).id};
        const uint32_t zero = 0;
        uint32_t bit = addr_filter_bit(&key.addr);
        uint8_t yes = 1;

        map_lookup(have.inner.m[MAP_FILTERS], &zero, &filters);
        filters.address[bit / 64] &= ~(1ULL << bit % 64);
        map_update(have.inner.m[MAP_FILTERS], &zero, &filters);
        found("filters", "1 bits missing");
        filters.address[bit / 64] |= 1ULL << bit % 64;
        filters.udp[0] |= 1;
        map_update(have.inner.m[MAP_FILTERS], &zero, &filters);
        found("filters", "only cost time");
        filters.udp[0] &= ~1ULL;
        map_update(have.inner.m[MAP_FILTERS], &zero, &filters);
        range.addr = key.addr;
        map_update(have.inner.m[MAP_SOURCE_RANGES], &range, &yes);
        found("source_ranges", "should not be there");
}

static int drop_first(void *userdata, const void *key, const void *value)
{
        return map_delete(userdata, key) ? -1 : 1;
}

static void a_repair_puts_all_of_it_right(void **state)
{
        static struct filters none;
        struct service_key extra = key_of("10.96.9.9", 80, IPPROTO_TCP), key = key_of("10.96.0.1", 80, IPPROTO_TCP);
        struct service v = frontend_of(&key);
        struct service_name name = {.name = "default/ghost:80/TCP"};
        struct backend b = {.service = 4000, .port = 1};
        uint32_t id = 4000, zero = 0;
        struct slot_line empty = {0};
        const char *wrong;

        map_update(have.inner.m[MAP_SERVICES], &extra, &v);
        map_update(have.inner.m[MAP_SERVICE_NAMES], &id, &name);
        map_update(have.inner.m[MAP_BACKENDS], &id, &b);
        map_update(have.inner.m[MAP_FILTERS], &zero, &none);
        for (uint32_t line = 0; line < 20; line++)
                map_update(have.inner.m[MAP_SLOTS], &line, &empty);
        id = 3;
        map_update(have.inner.m[MAP_BACKENDS], &id, &b);
        assert_int_equal(map_each(have.inner.m[MAP_SOURCE_RANGES], drop_first, have.inner.m[MAP_SOURCE_RANGES]), 1);
        assert_int_equal(map_each(have.inner.m[MAP_SERVICES], drop_first, have.inner.m[MAP_SERVICES]), 1);
        services_repair(have.services);
        svcworld_sync(&have);
        have.broken = false; /* it was, by us */
        wrong = svcworld_check(&have);
        if (wrong)
                fail_msg("%s", wrong);
        found_nothing();
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(other_ids_and_places_are_the_same_tables), TEST(a_frontend_that_is_missing_or_too_much_is_found),
                TEST(a_frontend_of_another_form_is_found),      TEST(slots_with_somebody_else_in_them_are_found),
                TEST(a_permutation_in_another_order_is_found),  TEST(a_backend_that_leads_elsewhere_is_found),
                TEST(filters_and_source_ranges_are_compared),   TEST(a_repair_puts_all_of_it_right),
        };

        return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
