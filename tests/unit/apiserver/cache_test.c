/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/cache.h"
#include "base/str.h"
#include "unit/apiserver/fakestore.h"

struct fixture {
        struct store *store;
        struct cache_set *set;
        struct cache *pods;
        void (*observer)(struct fixture *f, const char *key); /* between the changes of a batch */
        unsigned observed;
};

static struct fixture fix;

static void observe(void *userdata _unused_, const char *key, const struct blob *value _unused_)
{
        fix.observed++;
        if (fix.observer)
                fix.observer(&fix, key);
}

static uint64_t put(const char *key, const char *labels)
{
        char json[400];

        snprintf(json, sizeof(json), "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"%s\",\"labels\":{%s}}}",
                 strrchr(key, '/') + 1, labels ? labels : "");
        return fakestore_put(fix.store, key, json);
}

static void open_set(void)
{
        struct err err = ERR_NULL;

        if (cache_set_open(fix.store, observe, NULL, &fix.set, &err))
                fail_msg("%s", err.msg);
        fix.pods = cache_find(fix.set, "", "pods");
        assert_non_null(fix.pods);
}

static int setup(void **state _unused_)
{
        fix = (struct fixture){.store = fakestore_new()};
        open_set();
        return 0;
}

static int teardown(void **state _unused_)
{
        store_close(fix.store);
        cache_set_close(fix.set);
        return 0;
}

/* "a/x b/y" of the list, then it is released. */
static const char *names(struct object_list *l)
{
        static char text[400];
        size_t at = 0;

        *text = '\0';
        for (size_t i = 0; i < l->n; i++)
                at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", i ? " " : "", l->items[i]->key);
        object_list_deinit(l);
        return text;
}

static const char *list_of(const char *namespace, const char *after, size_t limit, size_t *ret_more)
{
        struct cache_filter f = {.namespace = namespace};
        struct object_list l;

        cache_list(fix.pods, &f, after, limit, &l, ret_more);
        return names(&l);
}

static void what_is_stored_is_loaded(void **state _unused_)
{
        uint64_t made = put("/registry/pods/a/x", NULL),
                 last = fakestore_put(fix.store, "/registry/pods/a/bad", "junk");
        struct cache *nodes;
        struct object *o;

        put("/registry/minions/n1", NULL);
        fakestore_put(fix.store, "/registry/ranges/nodeports/30000", "{}");
        cache_set_close(fix.set);
        fix.observed = 0;
        open_set();
        assert_int_equal(fix.observed, 4);
        assert_int_equal(cache_objects(fix.pods), 1); /* damaged bytes are left out */
        assert_int_equal(cache_revision(fix.set), last + 2);
        assert_int_equal(cache_changed(fix.pods), made);
        o = cache_get(fix.pods, "a", "x");
        assert_int_equal(o->revision, made);
        assert_non_null(strstr(o->json->data, "\"resourceVersion\":\""));
        object_unref(o);
        nodes = cache_find(fix.set, "", "nodes");
        o = cache_get(nodes, NULL, "n1");
        assert_string_equal(o->key, "n1");
        object_unref(o);
        assert_null(cache_get(fix.pods, "a", "y"));
        assert_null(cache_get(fix.pods, NULL, "x"));
        assert_null(cache_find(fix.set, "", "nothings"));
}

static void lists_take_a_namespace_a_start_and_a_limit(void **state _unused_)
{
        static const char *const keys[] = {"a/1", "a/2", "a-b/1", "b/1", "b/2", "b/3", "c/1"};
        static const struct {
                const char *namespace, *after;
                size_t limit;
                const char *want;
                size_t more;
        } rows[] = {
                /* "a-b/1" < "a/1": the order of the store's keys */
                {NULL, NULL, 0, "a-b/1 a/1 a/2 b/1 b/2 b/3 c/1", 0},
                {"a", NULL, 0, "a/1 a/2", 0},
                {"b", NULL, 2, "b/1 b/2", 1},
                {"b", "b/2", 2, "b/3", 0},
                {"b", "b/1x", 2, "b/2 b/3", 0},
                {"b", "a/1", 0, "b/1 b/2 b/3", 0},
                {"b", "c/1", 0, "", 0},
                {NULL, "a/2", 3, "b/1 b/2 b/3", 1},
                {NULL, NULL, 7, "a-b/1 a/1 a/2 b/1 b/2 b/3 c/1", 0},
                {"nobody", NULL, 0, "", 0},
                {"a", "a/2", 1, "", 0},
        };
        char key[64];
        size_t more;

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                snprintf(key, sizeof(key), "/registry/pods/%s", keys[i]);
                put(key, NULL);
        }
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                assert_string_equal(list_of(rows[i].namespace, rows[i].after, rows[i].limit, &more), rows[i].want);
                assert_int_equal(more, rows[i].more);
        }
}

/* ---- watching ---- */

struct watcher {
        struct cache_watcher w;
        unsigned wakes;
};

static void count_wake(struct cache_watcher *w)
{
        container_of(w, struct watcher, w)->wakes++;
}

static bool is_web(const void *userdata _unused_, const struct object *o)
{
        return o->nlabels && str_eq(o->labels[0].value, "web");
}

static struct watcher watcher_of(const char *namespace)
{
        return (struct watcher){.w = {.filter = {.namespace = namespace}, .wake = count_wake}};
}

/* "5+a/x 6~a/x 7-a/x": revision, kind of change, key. */
static const char *read_all(struct watcher *w, uint64_t *ret_seen)
{
        static char text[800];
        struct cache_event e[3];
        uint64_t seen = 0;
        size_t n, at = 0;

        *text = '\0';
        do {
                if (cache_watch_read(&w->w, e, ARRAY_SIZE(e), &n, &seen))
                        return "lost";
                for (size_t i = 0; i < n; i++) {
                        assert_non_null(e[i].new);
                        assert_int_equal(e[i].new->revision, e[i].revision);
                        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%llu%c%s", at ? " " : "",
                                               (unsigned long long)e[i].revision,
                                               e[i].deleted ? '-'
                                               : e[i].old   ? '~'
                                                            : '+',
                                               e[i].new->key);
                        cache_event_release(&e[i]);
                }
        } while (n);
        if (ret_seen)
                *ret_seen = seen;
        return text;
}

static const char *events_text(uint64_t first, const char *fmt)
{
        static char text[200];
        char *out = text;

        for (; *fmt; fmt++)
                if (*fmt >= '0' && *fmt <= '9')
                        out += sprintf(out, "%" PRIu64, first + (uint64_t)(*fmt - '0'));
                else
                        *out++ = *fmt;
        *out = '\0';
        return text;
}

static void a_watcher_reads_what_comes_after_its_list(void **state _unused_)
{
        struct watcher w = watcher_of(NULL);
        struct object_list l;
        uint64_t first, seen;

        put("/registry/pods/a/old", NULL);
        cache_watch_now(fix.pods, &w.w, &l);
        assert_int_equal(l.revision, fakestore_revision(fix.store));
        assert_string_equal(names(&l), "a/old");
        assert_string_equal(read_all(&w, &seen), "");
        assert_int_equal(seen, fakestore_revision(fix.store));
        first = put("/registry/pods/b/y", NULL);
        put("/registry/pods/b/y", "\"a\":\"b\"");
        fakestore_put(fix.store, "/registry/pods/a/old", NULL);
        put("/registry/minions/n", NULL);
        assert_string_equal(read_all(&w, &seen), events_text(first, "0+b/y 1~b/y 2-a/old"));
        assert_int_equal(seen, first + 3); /* the node's too: it has seen all there was of pods */
        cache_watch_detach(&w.w);
}

static void a_watcher_goes_on_from_a_revision(void **state _unused_)
{
        uint64_t first = put("/registry/pods/a/x", NULL);
        struct watcher w[4];
        uint64_t seen;

        put("/registry/pods/a/x", "\"a\":\"b\"");
        fakestore_put(fix.store, "/registry/pods/a/x", NULL);
        for (size_t i = 0; i < 4; i++) {
                w[i] = watcher_of(NULL);
                assert_int_equal(cache_watch_after(fix.pods, &w[i].w, first + i - 1), 0);
        }
        assert_string_equal(read_all(&w[0], &seen), events_text(first, "0+a/x 1~a/x 2-a/x"));
        assert_string_equal(read_all(&w[1], &seen), events_text(first, "1~a/x 2-a/x"));
        assert_string_equal(read_all(&w[2], &seen), events_text(first, "2-a/x"));
        assert_string_equal(read_all(&w[3], &seen), "");
        assert_int_equal(seen, first + 2);
        for (size_t i = 0; i < 4; i++)
                cache_watch_detach(&w[i].w);
        assert_int_equal(cache_watch_after(fix.pods, &w[0].w, first - 2), CACHE_LOST); /* before the load */
}

static void only_an_idle_watcher_that_it_concerns_is_woken(void **state _unused_)
{
        struct watcher busy = watcher_of(NULL), here = watcher_of("a"), web = watcher_of(NULL), there = watcher_of("z");
        struct watcher *all[] = {&busy, &here, &web, &there};
        uint64_t first, seen;

        web.w.filter.match = is_web;
        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
                cache_watch_now(fix.pods, &all[i]->w, NULL);
                if (all[i] != &busy)
                        read_all(all[i], NULL); /* now idle */
        }
        first = put("/registry/pods/a/x", NULL);
        put("/registry/pods/a/x", "\"app\":\"web\"");
        put("/registry/pods/a/x", NULL);
        fakestore_put(fix.store, "/registry/pods/a/x", NULL);
        assert_int_equal(busy.wakes, 0); /* it has not looked yet */
        assert_int_equal(here.wakes, 1); /* once, until it reads */
        assert_int_equal(web.wakes, 1);
        assert_int_equal(there.wakes, 0);
        /* Who is not concerned is moved on: it can never be left behind. */
        assert_true(there.w.position > here.w.position);
        assert_string_equal(read_all(&busy, &seen), events_text(first, "0+a/x 1~a/x 2~a/x 3-a/x"));
        assert_string_equal(read_all(&here, &seen), events_text(first, "0+a/x 1~a/x 2~a/x 3-a/x"));
        /* Into sight, and out of it again. */
        assert_string_equal(read_all(&web, &seen), events_text(first, "1~a/x 2~a/x"));
        assert_string_equal(read_all(&there, &seen), "");
        assert_int_equal(seen, first + 3);
        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                cache_watch_detach(&all[i]->w);
}

static void a_delete_carries_its_own_revision_and_the_last_state(void **state _unused_)
{
        struct watcher w = watcher_of(NULL);
        struct cache_event e;
        uint64_t revision, seen;
        char want[60];
        size_t n;

        put("/registry/pods/a/x", "\"app\":\"web\"");
        cache_watch_now(fix.pods, &w.w, NULL);
        revision = fakestore_put(fix.store, "/registry/pods/a/x", NULL);
        assert_int_equal(cache_watch_read(&w.w, &e, 1, &n, &seen), 0);
        assert_int_equal(n, 1);
        assert_true(e.deleted);
        snprintf(want, sizeof(want), "{\"resourceVersion\":\"%llu\",\"name\":\"x\"", (unsigned long long)revision);
        assert_non_null(strstr(e.new->json->data, want));
        assert_string_equal(e.new->labels[0].value, "web");
        assert_null(strstr(e.old->json->data, want));
        cache_event_release(&e);
        cache_watch_detach(&w.w);
        assert_int_equal(cache_objects(fix.pods), 0);
        /* A delete of what was never there is no event. */
        fakestore_put(fix.store, "/registry/pods/a/never", NULL);
        assert_int_equal(cache_changed(fix.pods), revision);
}

static void who_falls_behind_the_ring_is_told(void **state _unused_)
{
        struct watcher slow = watcher_of(NULL), idle = watcher_of("elsewhere");
        uint64_t first, last = 0, seen;

        cache_watch_now(fix.pods, &slow.w, NULL);
        cache_watch_now(fix.pods, &idle.w, NULL);
        read_all(&idle, NULL);
        first = put("/registry/pods/a/x", NULL);
        for (unsigned i = 0; i < 1000; i++) /* more than the first ring holds: it grows, as they are young */
                last = put("/registry/pods/a/x", NULL);
        assert_int_equal(cache_watch_after(fix.pods, &(struct cache_watcher){0}, first - 2), CACHE_LOST);
        for (unsigned i = 0; i < 16384; i++)
                last = fakestore_put(fix.store, i % 2 ? "/registry/pods/a/x" : "/registry/pods/a/y",
                                     "{\"metadata\":{}}");
        assert_string_equal(read_all(&slow, NULL), "lost");
        assert_string_equal(read_all(&idle, &seen), "");
        assert_int_equal(seen, last);
        assert_int_equal(cache_watch_after(fix.pods, &(struct cache_watcher){0}, first), CACHE_LOST);
        cache_watch_detach(&slow.w);
        cache_watch_detach(&idle.w);
}

static void large_versions_leave_the_ring_early(void **state _unused_)
{
        struct watcher slow = watcher_of(NULL);
        static char json[(1 << 20) + 100];

        memset(json, 'x', sizeof(json));
        memcpy(json, "{\"metadata\":{},\"a\":\"", 20);
        memcpy(json + sizeof(json) - 3, "\"}", 3);
        cache_watch_now(fix.pods, &slow.w, NULL);
        for (unsigned i = 0; i < 40; i++)
                fakestore_put(fix.store, "/registry/pods/a/x", json);
        assert_string_equal(read_all(&slow, NULL), "lost");
        cache_watch_detach(&slow.w);
}

static void one_read_takes_only_so_many_bytes(void **state _unused_)
{
        struct watcher w = watcher_of(NULL);
        struct cache_event e[32];
        static char json[100000];
        uint64_t seen;
        size_t n, all = 0, most = 0;

        memset(json, 'x', sizeof(json));
        memcpy(json, "{\"metadata\":{},\"a\":\"", 20);
        memcpy(json + sizeof(json) - 3, "\"}", 3);
        cache_watch_now(fix.pods, &w.w, NULL);
        for (unsigned i = 0; i < 20; i++)
                fakestore_put(fix.store, "/registry/pods/a/x", json);
        do {
                assert_int_equal(cache_watch_read(&w.w, e, ARRAY_SIZE(e), &n, &seen), 0);
                all += n;
                most = MAX(most, n);
                for (size_t i = 0; i < n; i++)
                        cache_event_release(&e[i]);
        } while (n);
        assert_int_equal(all, 20);
        assert_in_range(most, 1, 4);
        cache_watch_detach(&w.w);
}

/* ---- batches ---- */

/* Whenever the observer is called, what a list says must be all that its revision has. */
static void list_is_complete(struct fixture *f, const char *key _unused_)
{
        struct watcher w = watcher_of(NULL), now = watcher_of(NULL);
        struct object_list l, again;
        struct cache_filter all = {0};
        uint64_t seen;

        cache_list(f->pods, &all, NULL, 0, &l, NULL);
        /* Nothing that the list lacks may be hidden from a watch that goes on from it: list + watch = what is there. */
        assert_int_equal(cache_watch_after(f->pods, &w.w, l.revision), 0);
        cache_watch_now(f->pods, &now.w, &again);
        assert_string_equal(read_all(&w, &seen), "");
        assert_int_equal(again.n, l.n);
        assert_int_equal(l.n % 2, 0); /* they come in pairs */
        object_list_deinit(&l);
        object_list_deinit(&again);
        cache_watch_detach(&w.w);
        cache_watch_detach(&now.w);
}

static void put_pair(unsigned i)
{
        _cleanup_blob_ struct blob *b = blob_new("{\"metadata\":{}}", 15);
        char one[64], two[64];
        struct store_op ops[] = {{STORE_PUT, one, STORE_REV_ANY, b},
                                 {STORE_PUT, "/registry/services/specs/a/s", STORE_REV_ANY, b},
                                 {STORE_PUT, two, STORE_REV_ANY, b}};

        snprintf(one, sizeof(one), "/registry/pods/a/one-%u", i);
        snprintf(two, sizeof(two), "/registry/pods/a/two-%u", i);
        assert_int_equal(store_txn(fix.store, &(struct store_txn){ops, 3}, NULL, NULL), 0);
}

static unsigned looks;

/* Called with the lock of Services, between the changes of one transaction. */
static void look_at_pods(struct cache_watcher *w _unused_)
{
        list_is_complete(&fix, NULL);
        looks++;
}

static void a_transaction_comes_into_sight_whole(void **state _unused_)
{
        struct watcher between = {.w = {.wake = look_at_pods}};

        looks = 0;
        fix.observer = list_is_complete;
        cache_watch_now(cache_find(fix.set, "", "services"), &between.w, NULL);
        for (unsigned i = 0; i < 5; i++) {
                read_all(&between, NULL); /* idle again */
                put_pair(i);
        }
        assert_int_equal(looks, 5);
        fakestore_hold(fix.store); /* several in one batch */
        for (unsigned i = 5; i < 10; i++)
                put_pair(i);
        fakestore_release(fix.store);
        fix.observer = NULL;
        assert_int_equal(fix.observed, 30);
        assert_int_equal(cache_objects(fix.pods), 20);
        cache_watch_detach(&between.w);
}

static void waiting_ends_with_the_revision_or_the_time(void **state _unused_)
{
        uint64_t now = put("/registry/pods/a/x", NULL);

        assert_int_equal(cache_wait(fix.set, now, 0), 0);
        assert_true(cache_wait(fix.set, now + 1, 20) < 0);
}

/* ---- many threads ---- */

#define WRITES   4000
#define WATCHERS 4

struct reader {
        struct watcher w;
        pthread_t thread;
        atomic_bool go;
        uint64_t last;
        unsigned events;
        atomic_bool *done;
};

static void set_go(struct cache_watcher *w)
{
        atomic_store(&container_of(w, struct reader, w.w)->go, true);
}

static void *read_events(void *arg)
{
        struct reader *r = arg;
        struct cache_event e[8];
        uint64_t seen;
        size_t n;

        for (bool last = false; !last;) {
                last = atomic_load(r->done);
                while (!atomic_exchange(&r->go, false) && !atomic_load(r->done))
                        sched_yield();
                do {
                        if (cache_watch_read(&r->w.w, e, ARRAY_SIZE(e), &n, &seen))
                                return "lost";
                        for (size_t i = 0; i < n; i++) {
                                if (e[i].revision != r->last + 1)
                                        return "out of order";
                                r->last = e[i].revision;
                                r->events++;
                                cache_event_release(&e[i]);
                        }
                        if (!n && seen > r->last && r->w.w.filter.namespace == NULL)
                                return "promised what was not told";
                } while (n);
        }
        return NULL;
}

static void *list_again(void *arg)
{
        struct cache_filter all = {0};
        struct object_list l;
        uint64_t before = 0;

        while (!atomic_load((atomic_bool *)arg)) {
                size_t more;

                cache_list(fix.pods, &all, NULL, 3, &l, &more);
                if (l.revision < before || l.n + more > 10)
                        return "a list went back";
                before = l.revision;
                object_list_deinit(&l);
                object_unref(cache_get(fix.pods, "a", "p3"));
        }
        return NULL;
}

static void watchers_see_every_change_once_and_in_order_beside_a_writer(void **state _unused_)
{
        static struct reader readers[WATCHERS];
        atomic_bool done = false;
        pthread_t lister;
        void *wrong;

        for (size_t i = 0; i < WATCHERS; i++) {
                readers[i] = (struct reader){.w = watcher_of(NULL), .go = true, .done = &done};
                readers[i].w.w.wake = set_go;
                cache_watch_now(fix.pods, &readers[i].w.w, NULL);
                readers[i].last = fakestore_revision(fix.store);
                assert_int_equal(pthread_create(&readers[i].thread, NULL, read_events, &readers[i]), 0);
        }
        assert_int_equal(pthread_create(&lister, NULL, list_again, &done), 0);
        for (unsigned i = 0; i < WRITES; i++) {
                char key[64];

                snprintf(key, sizeof(key), "/registry/pods/a/p%u", i % 10);
                if (i % 7)
                        put(key, NULL);
                else
                        fakestore_put(fix.store, key, "{\"metadata\":{}}");
        }
        atomic_store(&done, true);
        for (size_t i = 0; i < WATCHERS; i++) {
                pthread_join(readers[i].thread, &wrong);
                if (wrong)
                        fail_msg("%s", (char *)wrong);
                assert_int_equal(readers[i].events, WRITES);
                cache_watch_detach(&readers[i].w.w);
        }
        pthread_join(lister, &wrong);
        assert_null(wrong);
}

#define fresh(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                fresh(what_is_stored_is_loaded),
                fresh(lists_take_a_namespace_a_start_and_a_limit),
                fresh(a_watcher_reads_what_comes_after_its_list),
                fresh(a_watcher_goes_on_from_a_revision),
                fresh(only_an_idle_watcher_that_it_concerns_is_woken),
                fresh(a_delete_carries_its_own_revision_and_the_last_state),
                fresh(who_falls_behind_the_ring_is_told),
                fresh(large_versions_leave_the_ring_early),
                fresh(one_read_takes_only_so_many_bytes),
                fresh(a_transaction_comes_into_sight_whole),
                fresh(waiting_ends_with_the_revision_or_the_time),
                fresh(watchers_see_every_change_once_and_in_order_beside_a_writer),
        };

        return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
