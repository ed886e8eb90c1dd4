/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/ratelimit.h"
#include "kube/workqueue.h"

static struct workqueue *q;

static int setup(void **state)
{
        workqueue_new(NULL, &q);
        return 0;
}

static int teardown(void **state)
{
        workqueue_free(q);
        return 0;
}

static void expect(const char *want)
{
        char *key = NULL;

        assert_int_equal(workqueue_try_get(q, &key, NULL), want ? 0 : WORKQUEUE_EMPTY);
        if (want)
                assert_string_equal(key, want);
        free(key);
}

static void keys_come_out_once_and_in_order(void **state)
{
        workqueue_add(q, "a");
        workqueue_add(q, "b");
        workqueue_add(q, "a");
        assert_int_equal(workqueue_len(q), 2);
        expect("a");
        expect("b");
        expect(NULL);
        workqueue_done(q, "a");
        expect(NULL);
}

static void a_key_added_while_processed_comes_again_after_done(void **state)
{
        workqueue_add(q, "a");
        expect("a");
        workqueue_add(q, "a");
        workqueue_add(q, "b");
        workqueue_add(q, "a");
        expect("b");
        expect(NULL);
        workqueue_done(q, "a");
        expect("a");
        workqueue_done(q, "a");
        expect(NULL);
}

static void delayed_keys_come_when_due_the_earliest_counts(void **state)
{
        uint64_t start = clock_mono_ms();
        char *key;

        workqueue_add_after(q, "late", 80);
        workqueue_add_after(q, "soon", 500);
        workqueue_add_after(q, "soon", 30);
        workqueue_add_after(q, "soon", 300);
        expect(NULL);
        assert_int_equal(workqueue_get(q, &key), 0);
        assert_string_equal(key, "soon");
        assert_in_range(clock_mono_ms() - start, 29, 79);
        free(key);
        assert_int_equal(workqueue_get(q, &key), 0);
        assert_string_equal(key, "late");
        assert_in_range(clock_mono_ms() - start, 79, 290);
        free(key);
        workqueue_done(q, "soon");
        workqueue_done(q, "late");
}

static void many_delays_come_out_in_the_order_of_their_time(void **state)
{
        char key[16], *got;

        for (int i = 0; i < 50; i++) {
                snprintf(key, sizeof(key), "%02d", i * 37 % 50);
                workqueue_add_after(q, key, (uint64_t)(5 + 2 * (i * 37 % 50)));
        }
        for (int i = 0; i < 50; i++) {
                snprintf(key, sizeof(key), "%02d", i);
                assert_int_equal(workqueue_get(q, &got), 0);
                assert_string_equal(got, key);
                workqueue_done(q, got);
                free(got);
        }
}

static void the_wait_of_try_get_is_until_the_first_delay(void **state)
{
        uint64_t wait = 0;
        char *key;

        assert_int_equal(workqueue_try_get(q, &key, &wait), WORKQUEUE_EMPTY);
        assert_true(wait == UINT64_MAX);
        workqueue_add_after(q, "a", 1000);
        assert_int_equal(workqueue_try_get(q, &key, &wait), WORKQUEUE_EMPTY);
        assert_in_range(wait, 900, 1001);
}

static void backoff_doubles_from_5_ms_to_1000_s(void **state)
{
        static const struct workqueue_opts opts = {0};

        assert_int_equal(workqueue_backoff_ms(&opts, 0), 5);
        assert_int_equal(workqueue_backoff_ms(&opts, 1), 10);
        assert_int_equal(workqueue_backoff_ms(&opts, 10), 5120);
        assert_int_equal(workqueue_backoff_ms(&opts, 17), 655360);
        assert_int_equal(workqueue_backoff_ms(&opts, 18), 1000000);
        assert_int_equal(workqueue_backoff_ms(&opts, 100), 1000000);
}

static void failures_count_until_forgotten(void **state)
{
        workqueue_add_rate_limited(q, "a");
        workqueue_add_rate_limited(q, "a");
        assert_int_equal(workqueue_failures(q, "a"), 2);
        workqueue_forget(q, "a");
        assert_int_equal(workqueue_failures(q, "a"), 0);
        usleep(20000);
        expect("a");
        workqueue_add_rate_limited(q, "a");
        workqueue_done(q, "a");
        usleep(20000);
        expect("a");
        workqueue_done(q, "a");
        assert_int_equal(workqueue_failures(q, "a"), 1);
        workqueue_forget(q, "a");
}

static void shutdown_hands_out_what_is_queued_and_no_more(void **state)
{
        char *key;

        workqueue_add(q, "a");
        workqueue_add_after(q, "b", 1);
        workqueue_shutdown(q);
        workqueue_add(q, "c");
        expect("a");
        workqueue_done(q, "a");
        assert_int_equal(workqueue_get(q, &key), WORKQUEUE_SHUTDOWN);
}

enum { KEYS = 20, ROUNDS = 500, WORKERS = 4 };
static atomic_int busy[KEYS], overlaps, processed[KEYS];
static int wanted[KEYS];

static void *worker(void *arg)
{
        char *key;

        while (workqueue_get(q, &key) == 0) {
                int n = atoi(key);

                if (atomic_exchange(&busy[n], 1))
                        atomic_fetch_add(&overlaps, 1);
                atomic_fetch_add(&processed[n], 1);
                sched_yield();
                atomic_store(&busy[n], 0);
                workqueue_done(q, key);
                free(key);
        }
        return NULL;
}

static void no_key_is_processed_by_two_workers_at_once(void **state)
{
        pthread_t t[WORKERS];
        char key[16];

        for (int i = 0; i < WORKERS; i++)
                pthread_create(&t[i], NULL, worker, NULL);
        for (int i = 0; i < ROUNDS * KEYS; i++) {
                snprintf(key, sizeof(key), "%d", i % KEYS);
                if (i % 7)
                        workqueue_add(q, key);
                else
                        workqueue_add_after(q, key, 1);
                wanted[i % KEYS]++;
        }
        usleep(50000);
        workqueue_shutdown_drain(q);
        for (int i = 0; i < WORKERS; i++)
                pthread_join(t[i], NULL);
        assert_int_equal(overlaps, 0);
        for (int i = 0; i < KEYS; i++)
                assert_in_range(processed[i], 1, wanted[i]);
}

static void the_token_bucket_lets_a_burst_through_then_the_rate(void **state)
{
        struct ratelimit l;
        uint64_t now = NS_PER_S;

        ratelimit_init(&l, 10, 3);
        for (int i = 0; i < 3; i++)
                assert_true(ratelimit_allow(&l, now));
        assert_false(ratelimit_allow(&l, now));
        assert_true(ratelimit_allow(&l, now + NS_PER_S / 10));
        assert_false(ratelimit_allow(&l, now + NS_PER_S / 10));
        assert_in_range(ratelimit_reserve(&l, now + NS_PER_S / 10), 99 * NS_PER_MS, 101 * NS_PER_MS);
        assert_in_range(ratelimit_reserve(&l, now + NS_PER_S / 10), 199 * NS_PER_MS, 201 * NS_PER_MS);
        now += 100 * NS_PER_S;
        for (int i = 0; i < 3; i++)
                assert_int_equal(ratelimit_reserve(&l, now), 0);
        assert_true(ratelimit_reserve(&l, now) > 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                T(keys_come_out_once_and_in_order),
                T(a_key_added_while_processed_comes_again_after_done),
                T(delayed_keys_come_when_due_the_earliest_counts),
                T(many_delays_come_out_in_the_order_of_their_time),
                T(the_wait_of_try_get_is_until_the_first_delay),
                T(backoff_doubles_from_5_ms_to_1000_s),
                T(failures_count_until_forgotten),
                T(shutdown_hands_out_what_is_queued_and_no_more),
                T(no_key_is_processed_by_two_workers_at_once),
                T(the_token_bucket_lets_a_burst_through_then_the_rate),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
