/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded store on a disk that fails: SQLite's file layer is replaced by one whose writes and syncs break at will.
 */
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

#include "unit/store/sqlite_help.h"

/* 1 in `every` calls fails with that errno; 0: none. */
struct fault {
        _Atomic unsigned int every;
        _Atomic unsigned int calls, failed;
        int error;
};

static struct fault sync_fault, write_fault;
static int (*real_open)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);

/* SQLite's unix layer has a table of methods for databases and one for other files; each gets a copy with ours in it.
 */
struct methods {
        sqlite3_io_methods faulty; /* what files point to */
        const sqlite3_io_methods *real;
};

static struct methods tables[4];

static const sqlite3_io_methods *real_methods(sqlite3_file *file)
{
        return container_of(file->pMethods, struct methods, faulty)->real;
}

static bool strikes(struct fault *fault)
{
        unsigned int every = fault->every;

        if (!every || ++fault->calls % every)
                return false;
        fault->failed++;
        errno = fault->error;
        return true;
}

static int faulty_sync(sqlite3_file *file, int flags)
{
        return strikes(&sync_fault) ? SQLITE_IOERR_FSYNC : real_methods(file)->xSync(file, flags);
}

static int faulty_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 at)
{
        if (!strikes(&write_fault))
                return real_methods(file)->xWrite(file, data, n, at);
        /* Half of it gets there, as it may. */
        real_methods(file)->xWrite(file, data, n / 2, at);
        errno = write_fault.error;
        return write_fault.error == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static void replace_methods(sqlite3_file *file)
{
        for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
                struct methods *t = &tables[i];

                if (!t->real) {
                        t->faulty = *file->pMethods;
                        t->faulty.xSync = faulty_sync;
                        t->faulty.xWrite = faulty_write;
                        t->real = file->pMethods;
                }
                if (t->real == file->pMethods) {
                        file->pMethods = &t->faulty;
                        return;
                }
        }
        abort();
}

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
        static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        int rc = real_open(vfs, name, file, flags, ret_flags);

        if (rc)
                return rc;
        pthread_mutex_lock(&lock);
        replace_methods(file);
        pthread_mutex_unlock(&lock);
        return 0;
}

static void install_faults(void)
{
        static sqlite3_vfs vfs;

        vfs = *sqlite3_vfs_find(NULL);
        real_open = vfs.xOpen;
        vfs.zName = "faulty";
        vfs.xOpen = faulty_open;
        if (sqlite3_vfs_register(&vfs, 1))
                exit(1);
}

static int setup(void **state)
{
        sync_fault.every = write_fault.every = 0;
        help_reset();
        return 0;
}

static void arm(struct fault *fault, unsigned int every, int error)
{
        fault->error = error;
        fault->calls = fault->failed = 0;
        fault->every = every;
}

static void count_events(void *userdata, const struct store_event *events, size_t n)
{
        *(size_t *)userdata += n;
}

static void check_count(struct store *s, size_t expected)
{
        struct suite_list list;

        assert_int_equal(suite_range(s, &(struct store_range){0}, &list), 0);
        assert_int_equal(list.n, expected);
        suite_list_deinit(&list);
}

static void a_commit_that_is_not_durable_is_an_error_and_no_event(void **state)
{
        struct store *s = help_open();
        size_t events = 0;
        uint64_t rev;

        assert_int_equal(store_watch(s, 0, count_events, &events, NULL), 0);
        suite_must_put(s, "/a", "1");
        arm(&sync_fault, 1, EIO);
        assert_int_equal(suite_put(s, "/b", "2", STORE_REV_NONE, NULL), -EIO);
        assert_true(sync_fault.failed > 0);
        assert_int_equal(events, 1);
        check_count(s, 1);
        sync_fault.every = 0;
        assert_int_equal(suite_put(s, "/b", "3", STORE_REV_NONE, &rev), 0);
        assert_int_equal(rev, 2);
        assert_int_equal(events, 2);
        store_close(s);
        s = help_open();
        check_count(s, 2);
        assert_int_equal(suite_must_put(s, "/c", "4"), 3);
        store_close(s);
}

enum { WRITERS = 6, WRITES = 150 };

struct writer {
        pthread_t thread;
        struct store *store;
        int index, acked, failed, full;
};

static void *writer_main(void *arg)
{
        struct writer *w = arg;
        char key[32], value[1500];

        memset(value, 'v', sizeof(value) - 1);
        value[sizeof(value) - 1] = '\0';
        for (int i = 0; i < WRITES; i++) {
                int r;

                snprintf(key, sizeof(key), "/%d/%d", w->index, i);
                r = suite_put(w->store, key, value, STORE_REV_NONE, NULL);
                w->acked += r == 0;
                w->failed += r < 0;
                w->full += r == STORE_FULL;
        }
        return NULL;
}

/* What writers were told, what the watcher saw, what is there, and what is there after reopening are the same. */
static void storm(struct fault *fault, unsigned int every, int error)
{
        struct writer writers[WRITERS], sum = {0};
        struct store *s = help_open();
        struct store_stats stats;
        size_t events = 0;

        assert_int_equal(store_watch(s, 0, count_events, &events, NULL), 0);
        arm(fault, every, error);
        for (int i = 0; i < WRITERS; i++) {
                writers[i] = (struct writer){.store = s, .index = i};
                assert_int_equal(pthread_create(&writers[i].thread, NULL, writer_main, &writers[i]), 0);
        }
        for (int i = 0; i < WRITERS; i++) {
                pthread_join(writers[i].thread, NULL);
                sum.acked += writers[i].acked;
                sum.failed += writers[i].failed;
                sum.full += writers[i].full;
        }
        assert_true(fault->failed > 0);
        assert_true(error == ENOSPC ? sum.full > 0 && sum.failed == 0 : sum.failed > 0 && sum.full == 0);
        assert_true(sum.acked > 0);
        fault->every = 0;
        assert_int_equal(events, sum.acked);
        check_count(s, (size_t)sum.acked);
        store_stats(s, &stats);
        assert_int_equal(stats.revision, sum.acked);
        assert_int_equal(stats.keys, sum.acked);
        store_close(s);
        s = help_open();
        check_count(s, (size_t)sum.acked);
        assert_int_equal(suite_must_put(s, "/after", "v"), sum.acked + 1);
        store_close(s);
}

static void failing_syncs_in_a_storm_lose_and_invent_nothing(void **state)
{
        storm(&sync_fault, 3, EIO);
}

static void failing_writes_in_a_storm_lose_and_invent_nothing(void **state)
{
        storm(&write_fault, 37, EIO);
}

static void a_disk_that_is_full_now_and_then_loses_and_invents_nothing(void **state)
{
        storm(&write_fault, 41, ENOSPC);
}

static void a_compaction_that_fails_is_tried_again(void **state)
{
        struct store *s = help_open();
        struct store_stats stats;
        char *text;
        uint64_t rev = 0;

        for (int i = 0; i < 200; i++)
                rev = suite_must_put(s, "/hot", "v");
        arm(&write_fault, 1, EIO);
        assert_int_equal(store_compact(s, rev, NULL), -EIO);
        store_stats(s, &stats);
        assert_int_equal(stats.compacted_revision, 0);
        write_fault.every = 0;
        assert_int_equal(store_compact(s, rev, NULL), 0);
        arm(&write_fault, 5, EIO);
        usleep(50000);
        write_fault.every = 0;
        suite_wait_compacted(s);
        text = suite_text(s, "/", rev);
        assert_string_equal(text, "/hot=v");
        free(text);
        store_close(s);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, setup)
        const struct CMUnitTest io_tests[] = {
                TEST(a_commit_that_is_not_durable_is_an_error_and_no_event),
                TEST(failing_syncs_in_a_storm_lose_and_invent_nothing),
                TEST(failing_writes_in_a_storm_lose_and_invent_nothing),
                TEST(a_disk_that_is_full_now_and_then_loses_and_invents_nothing),
                TEST(a_compaction_that_fails_is_tried_again),
        };
        int failed;

        install_faults();
        help_init();
        failed = cmocka_run_group_tests(io_tests, NULL, NULL);
        help_deinit();
        return failed;
}
