/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "unit/store/suite.h"

static const struct store_factory *factory;

static int setup(void **state)
{
        factory->reset();
        *state = factory->open();
        return 0;
}

static int teardown(void **state)
{
        store_close(*state);
        return 0;
}

#define assert_text(s, prefix, revision, expected)                                                                     \
        do {                                                                                                           \
                char *text_ = suite_text(s, prefix, revision);                                                         \
                assert_string_equal(text_, expected);                                                                  \
                free(text_);                                                                                           \
        } while (0)

static void preconditions_decide_over_writes(void **state)
{
        struct store *s = *state;
        uint64_t rev1, rev2, rev3, real;

        assert_int_equal(suite_put(s, "/a", "1", STORE_REV_NONE, &rev1), 0);
        assert_true(rev1 > 0);
        assert_int_equal(suite_put(s, "/a", "x", STORE_REV_NONE, &real), STORE_CONFLICT);
        assert_int_equal(real, rev1);
        assert_int_equal(suite_put(s, "/a", "x", rev1 + 1, &real), STORE_CONFLICT);
        assert_int_equal(real, rev1);
        assert_int_equal(suite_put(s, "/a", "2", rev1, &rev2), 0);
        assert_int_equal(rev2, rev1 + 1);
        assert_int_equal(suite_put(s, "/none", "x", rev1, &real), STORE_CONFLICT);
        assert_int_equal(real, 0);
        assert_int_equal(suite_delete(s, "/a", rev1, &real), STORE_CONFLICT);
        assert_int_equal(real, rev2);
        assert_text(s, "/", 0, "/a=2");
        assert_int_equal(suite_delete(s, "/a", rev2, &rev3), 0);
        assert_int_equal(rev3, rev2 + 1);
        assert_text(s, "/", 0, "");
        assert_int_equal(suite_put(s, "/a", "again", STORE_REV_NONE, NULL), 0);
}

static void create_revision_begins_anew_with_each_incarnation(void **state)
{
        struct store *s = *state;
        struct suite_list list;
        uint64_t first = suite_must_put(s, "/a", "1"), second = suite_must_put(s, "/a", "2"), third;

        assert_int_equal(suite_range(s, &(struct store_range){.prefix = "/a"}, &list), 0);
        assert_int_equal(list.n, 1);
        assert_int_equal(list.entries[0].created, first);
        assert_int_equal(list.entries[0].mod, second);
        suite_list_deinit(&list);

        assert_int_equal(suite_delete(s, "/a", STORE_REV_ANY, NULL), 0);
        third = suite_must_put(s, "/a", "3");
        assert_int_equal(suite_range(s, &(struct store_range){.prefix = "/a"}, &list), 0);
        assert_int_equal(list.entries[0].created, third);
        assert_int_equal(list.entries[0].mod, third);
        suite_list_deinit(&list);
}

static void a_transaction_is_all_or_nothing_and_names_the_op_that_failed(void **state)
{
        struct store *s = *state;
        _cleanup_blob_ struct blob *v = suite_blob("v");
        uint64_t a = suite_must_put(s, "/a", "1");
        struct store_op ops[] = {
                {STORE_PUT, "/b", STORE_REV_NONE, v},
                {STORE_CHECK, "/a", a, NULL},
                {STORE_PUT, "/c", a, v},
                {STORE_DELETE, "/a", STORE_REV_ANY, NULL},
        };
        struct store_txn txn = {ops, ARRAY_SIZE(ops)};
        struct store_result result = {0};

        assert_int_equal(store_txn(s, &txn, &result, NULL), STORE_CONFLICT);
        assert_int_equal(result.failed_op, 2);
        assert_int_equal(result.failed_rev, 0);
        assert_text(s, "/", 0, "/a=1");

        ops[2].expect_rev = STORE_REV_NONE;
        assert_int_equal(store_txn(s, &txn, &result, NULL), 0);
        assert_int_equal(result.revision, a + 1);
        assert_text(s, "/", 0, "/b=v,/c=v");
        assert_text(s, "/", a, "/a=1");
}

static void what_changes_nothing_takes_no_revision(void **state)
{
        struct store *s = *state;
        uint64_t a = suite_must_put(s, "/a", "1"), rev;
        struct store_op check = {STORE_CHECK, "/a", a, NULL};
        struct store_result result;

        assert_int_equal(store_txn(s, &(struct store_txn){&check, 1}, &result, NULL), 0);
        assert_int_equal(result.revision, a);
        assert_int_equal(suite_delete(s, "/none", STORE_REV_ANY, &rev), 0);
        assert_int_equal(rev, a);
        assert_int_equal(suite_delete(s, "/none", STORE_REV_NONE, &rev), 0);
        assert_int_equal(rev, a);
        assert_int_equal(suite_must_put(s, "/b", "2"), a + 1);
}

static void impossible_transactions_are_refused(void **state)
{
        static char long_key[1026];
        _cleanup_blob_ struct blob *v = suite_blob("v");
        const struct store_op cases[][2] = {
                {{STORE_PUT, "", STORE_REV_ANY, v}, {STORE_PUT, "/b", STORE_REV_ANY, v}},
                {{STORE_PUT, "/a\n", STORE_REV_ANY, v}, {STORE_PUT, "/b", STORE_REV_ANY, v}},
                {{STORE_PUT, long_key, STORE_REV_ANY, v}, {STORE_PUT, "/b", STORE_REV_ANY, v}},
                {{STORE_PUT, NULL, STORE_REV_ANY, v}, {STORE_PUT, "/b", STORE_REV_ANY, v}},
                {{STORE_PUT, "/a", STORE_REV_ANY, NULL}, {STORE_PUT, "/b", STORE_REV_ANY, v}},
                {{STORE_PUT, "/a", STORE_REV_ANY, v}, {STORE_PUT, "/a", STORE_REV_ANY, v}},
                {{STORE_PUT, "/a", STORE_REV_ANY, v}, {STORE_DELETE, "/a", STORE_REV_ANY, NULL}},
        };
        struct err err;

        memset(long_key, 'k', sizeof(long_key) - 1);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                err = ERR_NULL;
                assert_int_equal(store_txn(*state, &(struct store_txn){cases[i], 2}, NULL, &err), -EINVAL);
                assert_true(err.msg[0] != '\0');
        }
        assert_text(*state, "", 0, "");
}

static void ranges_have_prefix_limit_and_start(void **state)
{
        static const char *const keys[] = {"/a/1", "/a/2", "/a/3", "/a", "/a0", "/b/1", "/a/2/x", "\xff\xff", "\xff"};
        static const struct {
                struct store_range range;
                const char *expected;
        } cases[] = {
                {{.prefix = ""}, "/a /a/1 /a/2 /a/2/x /a/3 /a0 /b/1 \xff \xff\xff "},
                {{0}, "/a /a/1 /a/2 /a/2/x /a/3 /a0 /b/1 \xff \xff\xff "},
                {{.prefix = "/a/"}, "/a/1 /a/2 /a/2/x /a/3 "},
                {{.prefix = "/a"}, "/a /a/1 /a/2 /a/2/x /a/3 /a0 "},
                {{.prefix = "/a/", .limit = 2}, "/a/1 /a/2 "},
                {{.prefix = "/a/", .limit = 2, .start_after = "/a/2"}, "/a/2/x /a/3 "},
                {{.prefix = "/a/", .limit = 4}, "/a/1 /a/2 /a/2/x /a/3 "},
                {{.prefix = "/a/", .start_after = "/a/3"}, ""},
                {{.prefix = "/a/", .start_after = "/"}, "/a/1 /a/2 /a/2/x /a/3 "},
                {{.prefix = "/a/", .start_after = "/z"}, ""},
                {{.prefix = "/nothing"}, ""},
                {{.prefix = "\xff"}, "\xff \xff\xff "},
                {{.prefix = "", .start_after = "\xff"}, "\xff\xff "},
        };

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                suite_must_put(*state, keys[i], "v");
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char got[1024] = "";
                struct suite_list list;

                assert_int_equal(suite_range(*state, &cases[i].range, &list), 0);
                for (size_t k = 0; k < list.n; k++)
                        strcat(strcat(got, list.entries[k].key), " ");
                assert_string_equal(got, cases[i].expected);
                suite_list_deinit(&list);
        }
}

static int stop_at_second(void *userdata, const char *key, struct blob *value, uint64_t mod, uint64_t created)
{
        return ++*(int *)userdata == 2 ? 77 : 0;
}

static void a_range_callback_can_stop_it(void **state)
{
        int seen = 0;

        suite_must_put(*state, "/1", "v");
        suite_must_put(*state, "/2", "v");
        suite_must_put(*state, "/3", "v");
        assert_int_equal(store_range(*state, &(struct store_range){0}, stop_at_second, &seen, NULL, NULL), 77);
        assert_int_equal(seen, 2);
        seen = -10;
        assert_int_equal(store_range(*state, &(struct store_range){0}, stop_at_second, &seen, NULL, NULL), 0);
        assert_int_equal(seen, -7);
}

static void old_revisions_show_what_was(void **state)
{
        struct store *s = *state;
        uint64_t r1 = suite_must_put(s, "/a", "1"), r2 = suite_must_put(s, "/b", "2"), r3, r4;

        r3 = suite_must_put(s, "/a", "3");
        assert_int_equal(suite_delete(s, "/b", r2, &r4), 0);
        suite_must_put(s, "/b", "5");
        assert_text(s, "/", r1, "/a=1");
        assert_text(s, "/", r2, "/a=1,/b=2");
        assert_text(s, "/", r3, "/a=3,/b=2");
        assert_text(s, "/", r4, "/a=3");
        assert_text(s, "/", r4 + 1, "/a=3,/b=5");
        assert_text(s, "/", 0, "/a=3,/b=5");
        assert_text(s, "/", r4 + 2, "!3");
}

static void compaction_forgets_the_past_and_keeps_the_present(void **state)
{
        struct store *s = *state;
        uint64_t r1 = suite_must_put(s, "/a", "1"), r2 = suite_must_put(s, "/b", "2"), r3, r4, r5;
        struct store_stats stats;

        r3 = suite_must_put(s, "/a", "3");
        assert_int_equal(suite_delete(s, "/b", STORE_REV_ANY, &r4), 0);
        r5 = suite_must_put(s, "/a", "5");
        assert_int_equal(store_compact(s, r5 + 1, NULL), STORE_FUTURE);
        assert_int_equal(store_compact(s, r3, NULL), 0);
        for (int swept = 0; swept < 2; swept++) {
                assert_text(s, "/", r1, "!2");
                assert_text(s, "/", r2, "!2");
                assert_text(s, "/", r3, "/a=3,/b=2");
                assert_text(s, "/", r4, "/a=3");
                assert_text(s, "/", 0, "/a=5");
                suite_wait_compacted(s);
        }
        assert_int_equal(store_compact(s, r3, NULL), STORE_COMPACTED);
        assert_int_equal(store_compact(s, r5, NULL), 0);
        suite_wait_compacted(s);
        assert_text(s, "/", r4, "!2");
        assert_text(s, "/", r5, "/a=5");
        store_stats(s, &stats);
        assert_int_equal(stats.compacted_revision, r5);
        assert_int_equal(stats.keys, 1);
}

static void the_revision_outlives_compaction_of_its_own_change(void **state)
{
        struct store *s = *state;
        uint64_t rev;

        suite_must_put(s, "/a", "1");
        assert_int_equal(suite_delete(s, "/a", STORE_REV_ANY, &rev), 0);
        assert_int_equal(store_compact(s, rev, NULL), 0);
        suite_wait_compacted(s);
        assert_text(s, "/", rev, "");
        store_close(s);
        *state = s = factory->open();
        assert_int_equal(suite_must_put(s, "/b", "2"), rev + 1);
}

static void many_versions_of_one_key_are_compacted(void **state)
{
        struct store *s = *state;
        char value[16];
        uint64_t middle = 0, rev = 0;

        for (int i = 0; i < 300; i++) {
                snprintf(value, sizeof(value), "%d", i);
                rev = suite_must_put(s, "/hot", value);
                middle = i == 149 ? rev : middle;
        }
        suite_must_put(s, "/zz", "end");
        assert_int_equal(store_compact(s, middle, NULL), 0);
        suite_wait_compacted(s);
        assert_text(s, "/", middle, "/hot=149");
        assert_text(s, "/", middle + 1, "/hot=150");
        assert_text(s, "/", rev, "/hot=299");
        assert_text(s, "/", 0, "/hot=299,/zz=end");
}

static void big_values_and_odd_keys_come_back_whole(void **state)
{
        static const size_t sizes[] = {0, 1, 4000, 4096, 5000, 70000, 3U << 20};
        static const char *const odd[] = {
                " ",     "/%s%n",      "/'; DROP TABLE log; --", "/\xc3\xa4\xe2\x82\xac", "/\x01\t", "\x80",
                "/a*?[", "/\"quoted\""};
        struct store *s = *state;

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                _cleanup_blob_ struct blob *v = blob_alloc(sizes[i]);
                struct store_op op = {STORE_PUT, "/big", STORE_REV_ANY, v};
                struct suite_list list;

                for (size_t k = 0; k < sizes[i]; k++)
                        v->data[k] = (char)(k * 31 + i);
                assert_int_equal(store_txn(s, &(struct store_txn){&op, 1}, NULL, NULL), 0);
                assert_int_equal(suite_range(s, &(struct store_range){.prefix = "/big"}, &list), 0);
                assert_int_equal(list.n, 1);
                assert_int_equal(list.entries[0].value->len, sizes[i]);
                assert_memory_equal(list.entries[0].value->data, v->data, sizes[i]);
                suite_list_deinit(&list);
        }
        for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
                char expected[64];

                suite_must_put(s, odd[i], "odd");
                snprintf(expected, sizeof(expected), "%s=odd", odd[i]);
                assert_text(s, odd[i], 0, expected);
                assert_int_equal(suite_delete(s, odd[i], STORE_REV_ANY, NULL), 0);
        }
}

static void a_transaction_can_be_wide(void **state)
{
        enum { N = 500 };
        struct store *s = *state;
        _cleanup_blob_ struct blob *v = suite_blob("v");
        static char keys[N][16];
        static struct store_op ops[N];
        struct store_result result;
        struct suite_list list;

        for (size_t i = 0; i < N; i++) {
                snprintf(keys[i], sizeof(keys[i]), "/%04zu", i);
                ops[i] = (struct store_op){STORE_PUT, keys[i], STORE_REV_NONE, v};
        }
        assert_int_equal(store_txn(s, &(struct store_txn){ops, N}, &result, NULL), 0);
        assert_int_equal(suite_range(s, &(struct store_range){0}, &list), 0);
        assert_int_equal(list.n, N);
        for (size_t i = 0; i < N; i++)
                assert_int_equal(list.entries[i].mod, result.revision);
        suite_list_deinit(&list);
}

static void everything_is_there_after_reopening(void **state)
{
        struct store *s = *state;
        uint64_t r1 = suite_must_put(s, "/a", "1"), r2 = suite_must_put(s, "/a", "2"), rev;
        struct store_stats stats;

        assert_int_equal(suite_delete(s, "/none", STORE_REV_ANY, NULL), 0);
        suite_must_put(s, "/b", "3");
        store_close(s);
        *state = s = factory->open();
        assert_text(s, "/", 0, "/a=2,/b=3");
        assert_text(s, "/", r1, "/a=1");
        store_stats(s, &stats);
        assert_int_equal(stats.keys, 2);
        assert_int_equal(stats.revision, r2 + 1);
        assert_int_equal(suite_put(s, "/a", "x", r1, &rev), STORE_CONFLICT);
        assert_int_equal(rev, r2);
        assert_int_equal(suite_put(s, "/a", "4", r2, &rev), 0);
        assert_int_equal(rev, r2 + 2);
}

/* Watching. */

struct seen {
        pthread_mutex_t lock;
        uint64_t *revisions;
        char (*texts)[40]; /* "key=value@created" or "key-@created" */
        size_t n;
};

static void see(void *userdata, const struct store_event *events, size_t n)
{
        struct seen *seen = userdata;

        pthread_mutex_lock(&seen->lock);
        seen->revisions = reallocarray(seen->revisions, seen->n + n, sizeof(*seen->revisions));
        seen->texts = reallocarray(seen->texts, seen->n + n, sizeof(*seen->texts));
        for (size_t i = 0; i < n; i++) {
                const struct store_event *e = &events[i];

                seen->revisions[seen->n] = e->revision;
                snprintf(seen->texts[seen->n++], sizeof(*seen->texts), "%s%s%.10s@%llu", e->key, e->value ? "=" : "-",
                         e->value ? e->value->data : "", (unsigned long long)e->create_revision);
        }
        pthread_mutex_unlock(&seen->lock);
}

static void seen_deinit(struct seen *seen)
{
        free(seen->revisions);
        free(seen->texts);
}

#define SEEN_NULL                                                                                                      \
        {                                                                                                              \
                .lock = PTHREAD_MUTEX_INITIALIZER                                                                      \
        }

static void a_watcher_is_told_the_past_and_then_the_present(void **state)
{
        struct store *s = *state;
        _cleanup_(seen_deinit) struct seen seen = SEEN_NULL;
        uint64_t r1 = suite_must_put(s, "/a", "1");
        char expected[4][40];

        suite_must_put(s, "/a", "2");
        assert_int_equal(suite_delete(s, "/a", STORE_REV_ANY, NULL), 0);
        assert_int_equal(store_watch(s, r1, see, &seen, NULL), 0);
        assert_int_equal(seen.n, 2);
        suite_must_put(s, "/a", "4");
        assert_int_equal(suite_put(s, "/a", "no", STORE_REV_NONE, NULL), STORE_CONFLICT);
        assert_int_equal(suite_delete(s, "/a", STORE_REV_ANY, NULL), 0);
        assert_int_equal(seen.n, 4); /* told before the caller is answered */
        snprintf(expected[0], 40, "/a=2@%llu", (unsigned long long)r1);
        snprintf(expected[1], 40, "/a-@%llu", (unsigned long long)r1);
        snprintf(expected[2], 40, "/a=4@%llu", (unsigned long long)r1 + 3);
        snprintf(expected[3], 40, "/a-@%llu", (unsigned long long)r1 + 3);
        for (size_t i = 0; i < 4; i++) {
                assert_string_equal(seen.texts[i], expected[i]);
                assert_int_equal(seen.revisions[i], r1 + 1 + i);
        }
}

static void a_watch_from_outside_of_history_is_refused(void **state)
{
        struct store *s = *state;
        _cleanup_(seen_deinit) struct seen seen = SEEN_NULL;
        uint64_t rev = suite_must_put(s, "/a", "1");

        suite_must_put(s, "/a", "2");
        assert_int_equal(store_compact(s, rev + 1, NULL), 0);
        assert_int_equal(store_watch(s, rev, see, &seen, NULL), STORE_COMPACTED);
        assert_int_equal(store_watch(s, rev + 2, see, &seen, NULL), STORE_FUTURE);
        assert_int_equal(store_watch(s, rev + 1, see, &seen, NULL), 0);
        suite_must_put(s, "/a", "3");
        assert_int_equal(seen.n, 1);
        assert_int_equal(store_watch(s, rev + 2, NULL, NULL, NULL), 0);
        suite_must_put(s, "/a", "4");
        assert_int_equal(seen.n, 1);
}

enum { WRITERS = 16, WRITES = 60, COUNTERS = 3 };

struct storm_writer {
        pthread_t thread;
        struct store *store;
        int index;
        uint64_t last_rev;
        int failures, conflicts;
};

/* Adds one to a counter by compare-and-swap, as clients do, beside a key of its own in the same transaction. */
static int storm_increment(struct storm_writer *w, int i)
{
        char counter[32], own[32], text[24];
        struct suite_list list;
        struct store_result result;
        long now = 0;
        int r;

        snprintf(counter, sizeof(counter), "/counter/%d", i % COUNTERS);
        snprintf(own, sizeof(own), "/own/%02d/%03d", w->index, i);
        for (;;) {
                struct store_op ops[2] = {{STORE_PUT, counter, STORE_REV_NONE, NULL},
                                          {STORE_PUT, own, STORE_REV_NONE, NULL}};
                _cleanup_blob_ struct blob *v = NULL;

                r = suite_range(w->store, &(struct store_range){.prefix = counter}, &list);
                if (r)
                        return r;
                if (list.n)
                        ops[0].expect_rev = list.entries[0].mod;
                now = list.n ? strtol(list.entries[0].value->data, NULL, 10) : 0;
                suite_list_deinit(&list);
                snprintf(text, sizeof(text), "%ld", now + 1);
                v = blob_new(text, strlen(text));
                ops[0].value = ops[1].value = v;
                r = store_txn(w->store, &(struct store_txn){ops, 2}, &result, NULL);
                if (r == STORE_CONFLICT) {
                        w->conflicts++;
                        continue;
                }
                if (!r && result.revision <= w->last_rev)
                        return -EPROTO;
                w->last_rev = result.revision;
                return r;
        }
}

static void *storm_main(void *arg)
{
        struct storm_writer *w = arg;

        for (int i = 0; i < WRITES; i++)
                if (storm_increment(w, i))
                        w->failures++;
        return NULL;
}

static void writers_in_a_storm_lose_no_update_and_the_watcher_sees_each_once_in_order(void **state)
{
        struct store *s = *state;
        _cleanup_(seen_deinit) struct seen seen = SEEN_NULL, late = SEEN_NULL;
        struct storm_writer writers[WRITERS];
        struct store_stats stats;
        long sum = 0;

        assert_int_equal(store_watch(s, 0, see, &seen, NULL), 0);
        for (int i = 0; i < WRITERS; i++) {
                writers[i] = (struct storm_writer){.store = s, .index = i};
                assert_int_equal(pthread_create(&writers[i].thread, NULL, storm_main, &writers[i]), 0);
        }
        for (int i = 0; i < WRITERS; i++) {
                pthread_join(writers[i].thread, NULL);
                assert_int_equal(writers[i].failures, 0);
        }
        for (int c = 0; c < COUNTERS; c++) {
                char counter[32], *text;

                snprintf(counter, sizeof(counter), "/counter/%d", c);
                text = suite_text(s, counter, 0);
                sum += strtol(strchr(text, '=') + 1, NULL, 10);
                free(text);
        }
        assert_int_equal(sum, WRITERS * WRITES);
        store_stats(s, &stats);
        assert_int_equal(stats.revision, WRITERS * WRITES);
        assert_int_equal(stats.keys, WRITERS * WRITES + COUNTERS);
        assert_int_equal(seen.n, 2 * WRITERS * WRITES);
        for (size_t i = 0; i < seen.n; i++)
                assert_int_equal(seen.revisions[i], i / 2 + 1);
        /* Who comes late is told the same. */
        assert_int_equal(store_watch(s, 0, see, &late, NULL), 0);
        assert_int_equal(late.n, seen.n);
        for (size_t i = 0; i < seen.n; i++)
                assert_string_equal(late.texts[i], seen.texts[i]);
}

static void a_watch_set_in_a_storm_has_no_gap(void **state)
{
        struct store *s = *state;
        _cleanup_(seen_deinit) struct seen seen = SEEN_NULL;
        struct storm_writer writers[4];
        struct suite_list list;
        uint64_t from;

        for (int i = 0; i < 4; i++) {
                writers[i] = (struct storm_writer){.store = s, .index = i};
                assert_int_equal(pthread_create(&writers[i].thread, NULL, storm_main, &writers[i]), 0);
        }
        do {
                assert_int_equal(suite_range(s, &(struct store_range){0}, &list), 0);
                from = list.revision;
                suite_list_deinit(&list);
        } while (from < 10);
        assert_int_equal(store_watch(s, from, see, &seen, NULL), 0);
        for (int i = 0; i < 4; i++)
                pthread_join(writers[i].thread, NULL);
        assert_int_equal(seen.n, 2 * (4 * WRITES - from));
        for (size_t i = 0; i < seen.n; i++)
                assert_int_equal(seen.revisions[i], from + 1 + i / 2);
}

int store_suite(const struct store_factory *f)
{
#define SUITE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
        const struct CMUnitTest store_tests[] = {
                SUITE_TEST(preconditions_decide_over_writes),
                SUITE_TEST(create_revision_begins_anew_with_each_incarnation),
                SUITE_TEST(a_transaction_is_all_or_nothing_and_names_the_op_that_failed),
                SUITE_TEST(what_changes_nothing_takes_no_revision),
                SUITE_TEST(impossible_transactions_are_refused),
                SUITE_TEST(ranges_have_prefix_limit_and_start),
                SUITE_TEST(a_range_callback_can_stop_it),
                SUITE_TEST(old_revisions_show_what_was),
                SUITE_TEST(compaction_forgets_the_past_and_keeps_the_present),
                SUITE_TEST(the_revision_outlives_compaction_of_its_own_change),
                SUITE_TEST(many_versions_of_one_key_are_compacted),
                SUITE_TEST(big_values_and_odd_keys_come_back_whole),
                SUITE_TEST(a_transaction_can_be_wide),
                SUITE_TEST(everything_is_there_after_reopening),
                SUITE_TEST(a_watcher_is_told_the_past_and_then_the_present),
                SUITE_TEST(a_watch_from_outside_of_history_is_refused),
                SUITE_TEST(writers_in_a_storm_lose_no_update_and_the_watcher_sees_each_once_in_order),
                SUITE_TEST(a_watch_set_in_a_storm_has_no_gap),
        };

        factory = f;
        return cmocka_run_group_tests(store_tests, NULL, NULL);
}
