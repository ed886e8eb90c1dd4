/* SPDX-License-Identifier: Apache-2.0 */
/* Long lists, one in another without a gap, do not keep a change out. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "apiserver/cache.h"
#include "base/clock.h"
#include "unit/apiserver/fakestore.h"

#define READERS   4
#define LIST_US   20000
#define PATIENCE  2000 /* ms; a change has to wait for the lists in progress only */
#define GIVE_UP_S 10   /* the lists end then, so that a change that was kept out is told as a failure */

static struct store *store;
static struct cache_set *set;
static struct cache *pods;
static atomic_bool stop;

static bool look_long(const void *userdata, const struct object *o)
{
        usleep(LIST_US);
        return true;
}

static void *list_on(void *arg)
{
        struct cache_filter f = {.match = look_long};
        uint64_t until = clock_mono_ms() + GIVE_UP_S * 1000;
        struct object_list list;

        while (!atomic_load(&stop) && clock_mono_ms() < until) {
                cache_list(pods, &f, NULL, 0, &list, NULL);
                object_list_deinit(&list);
        }
        return NULL;
}

static void change(void)
{
        fakestore_put(store, "/registry/pods/a/x", "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"}}");
}

static void a_change_gets_in_between_lists(void **state)
{
        pthread_t readers[READERS];
        struct err err = ERR_NULL;
        uint64_t begun, took;

        store = fakestore_new();
        if (cache_set_open(store, NULL, NULL, &set, &err))
                fail_msg("%s", err.msg);
        pods = cache_find(set, "", "pods");
        change();
        for (size_t i = 0; i < READERS; i++) {
                assert_int_equal(pthread_create(&readers[i], NULL, list_on, NULL), 0);
                usleep(LIST_US / READERS);
        }
        begun = clock_mono_ms();
        change();
        took = clock_mono_ms() - begun;
        atomic_store(&stop, true);
        for (size_t i = 0; i < READERS; i++)
                pthread_join(readers[i], NULL);
        assert_true(took < PATIENCE);
        store_close(store);
        cache_set_close(set);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_change_gets_in_between_lists),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
