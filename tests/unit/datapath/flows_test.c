/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of the flow table, over a table in this process's memory that is written as the programs write it. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "datapath/flows.h"

static const struct flow_timeouts timeouts = {60, 8000, 10, 30, 120, 30};

static struct flow_reader make(uint32_t sets)
{
        return (struct flow_reader){.sets = calloc(sets, sizeof(struct flow_set)), .count = sets};
}

static struct flow_set *set_of(struct flow_reader *r, uint32_t index)
{
        return (struct flow_set *)&r->sets[index / FLOW_WAYS];
}

static void put(struct flow_reader *r, uint32_t index, const struct flow *f)
{
        set_of(r, index)->flow[index % FLOW_WAYS] = *f;
        set_of(r, index)->flow[index % FLOW_WAYS].control = FLOW_CONTROL(1, FLOW_LIVE);
}

static void only_live_entries_are_seen(void **state)
{
        struct flow_reader r = make(4);
        struct flow f = {.key = {.proto = IPPROTO_TCP}, .packets = 7};
        struct flow_entry e;
        uint32_t i = 0, seen = 0;

        assert_int_equal(flow_reader_size(&r), 32);
        assert_false(flow_reader_next(&r, &i, &e));
        put(&r, 3, &f);
        put(&r, 31, &f);
        put(&r, 12, &f);
        set_of(&r, 12)->flow[12 % FLOW_WAYS].control = FLOW_CONTROL(1, FLOW_BUSY);
        for (i = 0; flow_reader_next(&r, &i, &e); i++) {
                assert_true(i == 3 || i == 31);
                assert_int_equal(e.packets, 7);
                seen++;
        }
        assert_int_equal(seen, 2);
        assert_false(flow_reader_get(&r, 12, &e));
        assert_false(flow_reader_get(&r, 32, &e));
        assert_false(flow_reader_get(&r, UINT32_MAX, &e));
        free((void *)r.sets);
}

static void a_peer_is_one_that_points_back(void **state)
{
        struct flow_reader r = make(2);
        struct flow there = {.peer = 9}, back = {.peer = 2, .flags = FLOW_REPLY, .bytes = 5};
        struct flow_entry e, peer;

        put(&r, 2, &there);
        put(&r, 9, &back);
        assert_true(flow_reader_get(&r, 2, &e));
        assert_true(flow_reader_peer(&r, 2, &e, &peer));
        assert_int_equal(peer.bytes, 5);
        back.peer = 3; /* it is another connection's by now */
        put(&r, 9, &back);
        assert_false(flow_reader_peer(&r, 2, &e, &peer));
        back = (struct flow){.peer = 2};
        put(&r, 9, &back);
        assert_false(flow_reader_peer(&r, 2, &e, &peer));
        free((void *)r.sets);
}

static void a_connection_is_as_young_as_its_younger_half(void **state)
{
        struct flow_reader r = make(2);
        struct flow there = {.key = {.proto = IPPROTO_UDP}, .peer = 9, .seen = 900}, back = there;
        struct flow_census c;
        struct flow_entry e;

        back.peer = 2;
        back.flags = FLOW_REPLY;
        back.seen = 1000;
        put(&r, 2, &there);
        put(&r, 9, &back);
        assert_true(flow_reader_get(&r, 2, &e));
        assert_int_equal(e.seen, 1000);
        assert_true(flow_reader_get(&r, 9, &e));
        assert_int_equal(e.seen, 1000);
        flow_census(&r, &timeouts, 1005, &c);
        assert_int_equal(c.used, 2);
        back.peer = 3; /* it is another connection's by now */
        put(&r, 9, &back);
        assert_true(flow_reader_get(&r, 2, &e));
        assert_int_equal(e.seen, 900);
        flow_census(&r, &timeouts, 1005, &c);
        assert_int_equal(c.used, 1);
        free((void *)r.sets);
}

static void entries_time_out_by_their_state(void **state)
{
        static const struct {
                uint8_t proto, state;
                uint32_t seconds;
        } rows[] = {
                {IPPROTO_TCP, FLOW_NEW, 60},
                {IPPROTO_TCP, FLOW_ESTABLISHED, 8000},
                {IPPROTO_TCP, FLOW_ESTABLISHED | FLOW_FIN, 8000},
                {IPPROTO_TCP, FLOW_ESTABLISHED | FLOW_FIN | FLOW_FIN_REPLY, 10},
                {IPPROTO_TCP, FLOW_RST, 10},
                {IPPROTO_UDP, FLOW_NEW, 30},
                {IPPROTO_UDP, FLOW_SEEN_REPLY, 120},
                {IPPROTO_ICMP, FLOW_SEEN_REPLY, 30},
                {IPPROTO_ICMPV6, FLOW_NEW, 30},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct flow_entry e = {.key = {.proto = rows[i].proto}, .state = rows[i].state, .seen = 1000};

                assert_false(flow_is_over(&e, &timeouts, 1000 + rows[i].seconds));
                assert_true(flow_is_over(&e, &timeouts, 1001 + rows[i].seconds));
                assert_false(flow_is_over(&e, &timeouts, 999)); /* seen by a CPU that is a tick ahead */
        }
}

static void a_census_counts_what_is_in_use(void **state)
{
        struct flow_reader r = make(4);
        struct flow f = {.key = {.proto = IPPROTO_UDP}, .seen = 1000};
        struct flow_census c;

        for (uint32_t i = 8; i < 16; i++) {
                f.flags = i & 1 ? FLOW_REPLY : 0;
                put(&r, i, &f);
        }
        f.seen = 900;
        put(&r, 0, &f);
        flow_census(&r, &timeouts, 1005, &c);
        assert_int_equal(c.size, 32);
        assert_int_equal(c.sets, 4);
        assert_int_equal(c.used, 8);
        assert_int_equal(c.connections, 4);
        assert_int_equal(c.over, 1);
        assert_int_equal(c.full_sets, 1);
        free((void *)r.sets);
}

/* ---- while somebody writes */

static struct {
        struct flow_reader reader;
        volatile bool going;
} race;

/* A new life of the entry, all of whose fields say the same number; as bpf/lib/flow.h does it. */
static void rewrite(struct flow_set *set, uint32_t way, uint32_t n)
{
        struct flow *f = &set->flow[way];

        __atomic_exchange_n(&f->control, FLOW_CONTROL(n, FLOW_BUSY), __ATOMIC_SEQ_CST);
        memset((char *)f + sizeof(f->control), (int)(n & 0xff), sizeof(*f) - sizeof(f->control));
        f->seen = f->created = f->packets = n;
        f->bytes = n;
        f->service = f->backend = f->peer = n;
        __atomic_exchange_n(&f->control, FLOW_CONTROL(n, FLOW_LIVE), __ATOMIC_SEQ_CST);
}

static void *write_all_the_time(void *userdata)
{
        for (uint32_t n = 1; race.going; n++)
                for (uint32_t way = 0; way < FLOW_WAYS; way++)
                        rewrite((struct flow_set *)&race.reader.sets[0], way, n);
        return NULL;
}

static void check_whole(const struct flow_entry *e)
{
        struct addr same;

        memset(&same, (int)(e->packets & 0xff), sizeof(same));
        assert_int_equal(e->seen, e->packets);
        assert_int_equal(e->created, e->packets);
        assert_int_equal(e->bytes, e->packets);
        assert_int_equal(e->service, e->packets);
        assert_int_equal(e->peer, e->packets);
        assert_memory_equal(&e->key.src, &same, sizeof(same));
        assert_memory_equal(&e->new_dst, &same, sizeof(same));
}

static void a_torn_entry_is_never_given_out(void **state)
{
        uint64_t end = clock_mono_ms() + 300, seen = 0;
        pthread_t writer;

        race.reader = make(1);
        race.going = true;
        assert_int_equal(pthread_create(&writer, NULL, write_all_the_time, NULL), 0);
        while (clock_mono_ms() < end || !seen) {
                struct flow_entry e;

                for (uint32_t i = 0; flow_reader_next(&race.reader, &i, &e); i++, seen++)
                        check_whole(&e);
        }
        race.going = false;
        pthread_join(writer, NULL);
        print_message("# %llu entries read while they changed\n", (unsigned long long)seen);
        free((void *)race.reader.sets);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(only_live_entries_are_seen),
                cmocka_unit_test(a_peer_is_one_that_points_back),
                cmocka_unit_test(entries_time_out_by_their_state),
                cmocka_unit_test(a_census_counts_what_is_in_use),
                cmocka_unit_test(a_torn_entry_is_never_given_out),
                cmocka_unit_test(a_connection_is_as_young_as_its_younger_half),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
