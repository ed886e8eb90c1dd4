/* SPDX-License-Identifier: Apache-2.0 */
/* What a quiet resource gives back, and to whom it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "apiserver/cache.h"
#include "unit/apiserver/fakestore.h"

#define CHANGES 1000 /* more than are dropped under one lock */

static struct store *store;
static struct cache_set *set;
static struct cache *pods;

static int setup(void **state)
{
        struct err err = ERR_NULL;

        store = fakestore_new();
        if (cache_set_open(store, NULL, NULL, &set, &err))
                fail_msg("%s", err.msg);
        pods = cache_find(set, "", "pods");
        return 0;
}

static int teardown(void **state)
{
        store_close(store);
        cache_set_close(set);
        return 0;
}

static uint64_t change(void)
{
        return fakestore_put(store, "/registry/pods/a/x", "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"}}");
}

static void ignore(struct cache_watcher *w)
{
}

static int read_one(struct cache_watcher *w, size_t *ret_n)
{
        struct cache_event e;
        uint64_t seen;
        int r = cache_watch_read(w, &e, 1, ret_n, &seen);

        for (size_t i = 0; !r && i < *ret_n; i++)
                cache_event_release(&e);
        return r;
}

static void old_changes_are_forgotten(void **state)
{
        struct cache_watcher behind = {.wake = ignore}, late = {.wake = ignore}, next = {.wake = ignore};
        uint64_t first = change(), last = 0;
        size_t n;

        assert_int_equal(cache_watch_after(pods, &behind, first), 0);
        for (unsigned i = 0; i < CHANGES; i++)
                last = change();
        usleep(2000);
        cache_forget_old(set, 1000000);
        assert_int_equal(read_one(&behind, &n), CACHE_LOST);
        assert_int_equal(cache_watch_after(pods, &late, last - 1), CACHE_LOST);
        assert_int_equal(cache_watch_after(pods, &next, last), 0);
        change();
        assert_int_equal(read_one(&next, &n), 0);
        assert_int_equal(n, 1);
        cache_watch_detach(&behind);
        cache_watch_detach(&next);
}

static void young_changes_stay(void **state)
{
        struct cache_watcher w = {.wake = ignore};
        uint64_t first = change();
        size_t n;

        change();
        cache_forget_old(set, UINT64_C(3600) * 1000000000);
        assert_int_equal(cache_watch_after(pods, &w, first), 0);
        assert_int_equal(read_one(&w, &n), 0);
        assert_int_equal(n, 1);
        cache_watch_detach(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(old_changes_are_forgotten, setup, teardown),
                cmocka_unit_test_setup_teardown(young_changes_stay, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
