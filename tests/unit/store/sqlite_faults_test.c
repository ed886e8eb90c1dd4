/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded store when the world fails it: no space, limits, kill -9. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "unit/store/sqlite_help.h"

enum { VALUE = 3000 };

static int setup(void **state)
{
        help_reset();
        return 0;
}

static struct store *open_path(const char *path, uint64_t max_size_bytes)
{
        struct store_sqlite_config config = {.path = path, .max_size_bytes = max_size_bytes};
        struct err err = ERR_NULL;
        struct store *s = NULL;

        if (store_sqlite_open(&config, &s, &err))
                fail_msg("open: %s", err.msg);
        return s;
}

static int put_big(struct store *s, int i)
{
        char key[32], value[VALUE];

        snprintf(key, sizeof(key), "/big/%06d", i);
        memset(value, 'x', sizeof(value) - 1);
        value[sizeof(value) - 1] = '\0';
        return suite_put(s, key, value, STORE_REV_NONE, NULL);
}

static void count_events(void *userdata, const struct store_event *events, size_t n)
{
        *(size_t *)userdata += n;
}

/* Puts until refused; returns how many were written. */
static int put_until_full(struct store *s)
{
        int i, r = 0;

        for (i = 0; i < 20000; i++) {
                r = put_big(s, i);
                if (r)
                        break;
        }
        assert_int_equal(r, STORE_FULL);
        assert_true(i > 10);
        return i;
}

/* What was acknowledged is there, what was refused is not, and the watcher was told of the former alone. */
static void check_full(struct store *s, int written, size_t events)
{
        struct suite_list list;
        struct store_stats stats;

        assert_int_equal(events, written);
        assert_int_equal(suite_range(s, &(struct store_range){.prefix = "/big/"}, &list), 0);
        assert_int_equal(list.n, written);
        for (size_t i = 0; i < list.n; i++)
                assert_int_equal(list.entries[i].value->len, VALUE - 1);
        suite_list_deinit(&list);
        store_stats(s, &stats);
        assert_true(stats.full);
        assert_int_equal(stats.keys, written);
        assert_int_equal(stats.revision, written);
}

static void the_size_limit_refuses_puts_until_deletion_and_compaction_make_room(void **state)
{
        struct store *s = open_path(help_path("db"), 1 << 20);
        struct store_stats stats;
        size_t events = 0;
        uint64_t rev = 0;
        int written;

        assert_int_equal(store_watch(s, 0, count_events, &events, NULL), 0);
        written = put_until_full(s);
        check_full(s, written, events);
        store_stats(s, &stats);
        assert_true(stats.size_bytes < (8U << 20));
        for (int i = 0; i < written / 2; i++) {
                char key[32];

                snprintf(key, sizeof(key), "/big/%06d", i);
                assert_int_equal(suite_delete(s, key, STORE_REV_ANY, &rev), 0);
        }
        assert_int_equal(put_big(s, 0), STORE_FULL);
        assert_int_equal(store_compact(s, rev, NULL), 0);
        suite_wait_compacted(s);
        assert_int_equal(put_big(s, 0), 0);
        store_stats(s, &stats);
        assert_false(stats.full);
        store_close(s);
}

/* Other threads' small puts are not refused because of one that is too big for the limit. */
struct side {
        struct store *store;
        int i, refused;
};

static void *side_main(void *arg)
{
        struct side *side = arg;
        char key[32];

        for (int k = 0; k < 50; k++) {
                snprintf(key, sizeof(key), "/side/%d/%d", side->i, k);
                side->refused += suite_put(side->store, key, "v", STORE_REV_NONE, NULL) != 0;
        }
        return NULL;
}

static void a_put_that_is_too_big_does_not_fail_its_neighbours(void **state)
{
        struct store *s = open_path(help_path("db"), 1 << 20);
        _cleanup_blob_ struct blob *huge = blob_alloc(2U << 20);
        struct store_op op = {STORE_PUT, "/huge", STORE_REV_NONE, huge};
        struct side sides[4];
        pthread_t threads[4];

        memset(huge->data, 'h', huge->len);
        for (int i = 0; i < 4; i++) {
                sides[i] = (struct side){.store = s, .i = i};
                assert_int_equal(pthread_create(&threads[i], NULL, side_main, &sides[i]), 0);
        }
        for (int k = 0; k < 50; k++)
                assert_int_equal(store_txn(s, &(struct store_txn){&op, 1}, NULL, NULL), STORE_FULL);
        for (int i = 0; i < 4; i++) {
                pthread_join(threads[i], NULL);
                assert_int_equal(sides[i].refused, 0);
        }
        store_close(s);
}

/* Returns whether a file system of that size is mounted at path (it takes root); it goes with this process. */
static bool mount_small(const char *path, const char *options)
{
        assert_int_equal(mkdir(path, 0700), 0);
        if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
            mount("fairlead-test", path, "tmpfs", 0, options) == 0)
                return true;
        rmdir(path);
        return false;
}

static void a_full_disk_refuses_writes_and_recovers_without_a_restart(void **state)
{
        char path[400];
        struct store *s;
        size_t events = 0;
        int written, filler, r = STORE_FULL;

        snprintf(path, sizeof(path), "%s", help_path("small"));
        if (!mount_small(path, "size=2m"))
                skip();
        s = open_path(help_path("small/db"), 0);
        filler = open(help_path("small/filler"), O_CREAT | O_WRONLY, 0600);
        assert_int_equal(posix_fallocate(filler, 0, 700 << 10), 0);
        assert_int_equal(store_watch(s, 0, count_events, &events, NULL), 0);
        written = put_until_full(s);
        check_full(s, written, events);
        assert_int_equal(put_big(s, 999999), STORE_FULL);
        assert_int_equal(ftruncate(filler, 0), 0);
        close(filler);
        for (int i = 0; r == STORE_FULL && i < 100; i++, usleep(10000))
                r = put_big(s, 999999);
        assert_int_equal(r, 0);
        store_close(s);

        s = open_path(help_path("small/db"), 0);
        assert_int_equal(suite_put(s, "/big/999999", "x", STORE_REV_NONE, NULL), STORE_CONFLICT);
        store_close(s);
        assert_int_equal(umount(path), 0);
        rmdir(path);
}

/* In a child, as the limit is the process's. Its exit status is the number of the check that failed. */
static int file_limit_child(void)
{
        struct rlimit limit = {1 << 20, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
        struct store *s = NULL;
        size_t events = 0;
        int i, r = 0;

        if (store_sqlite_open(&(struct store_sqlite_config){.path = help_path("db")}, &s, NULL))
                return 1;
        store_watch(s, 0, count_events, &events, NULL);
        if (setrlimit(RLIMIT_FSIZE, &limit))
                return 2;
        for (i = 0; i < 5000 && !r; i++)
                r = put_big(s, i);
        if (r != STORE_FULL)
                return 3;
        if (events != (size_t)i - 1)
                return 4;
        if (setrlimit(RLIMIT_FSIZE, &none) || put_big(s, i - 1))
                return 5;
        store_close(s);
        return 0;
}

static void a_file_size_limit_counts_as_full(void **state)
{
        struct suite_list list;
        struct store *s;
        int status;

        if (fork() == 0)
                _exit(file_limit_child());
        wait(&status);
        assert_int_equal(status, 0);
        s = help_open();
        assert_int_equal(suite_range(s, &(struct store_range){0}, &list), 0);
        assert_int_equal(list.revision, list.n);
        suite_list_deinit(&list);
        store_close(s);
}

/* kill -9 */

enum { CHILD_THREADS = 6, CHILD_KEYS = 4000 };

/* Shared with the child: the revision of each acknowledged put, and what the watcher saw. */
struct witness {
        _Atomic uint64_t acked[CHILD_THREADS][CHILD_KEYS];
        _Atomic uint64_t watched;
};

struct child_writer {
        struct store *store;
        struct witness *witness;
        int index;
};

static void *child_writer_main(void *arg)
{
        struct child_writer *w = arg;
        char key[32];
        uint64_t rev;

        for (int i = 0; i < CHILD_KEYS; i++) {
                snprintf(key, sizeof(key), "/%d/%06d", w->index, i);
                if (suite_put(w->store, key, key, STORE_REV_NONE, &rev))
                        _exit(3);
                w->witness->acked[w->index][i] = rev;
        }
        return NULL;
}

static void note_watched(void *userdata, const struct store_event *events, size_t n)
{
        struct witness *witness = userdata;

        witness->watched = events[n - 1].revision;
}

static void child_storm(struct witness *witness)
{
        struct child_writer writers[CHILD_THREADS];
        struct store *s = NULL;
        pthread_t threads[CHILD_THREADS];

        if (help_try_open(&s, NULL) || store_watch(s, 0, note_watched, witness, NULL))
                _exit(2);
        for (int i = 0; i < CHILD_THREADS; i++) {
                writers[i] = (struct child_writer){s, witness, i};
                pthread_create(&threads[i], NULL, child_writer_main, &writers[i]);
        }
        for (int i = 0; i < CHILD_THREADS; i++)
                pthread_join(threads[i], NULL);
        _exit(0);
}

static int compare_u64(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

/* Every revision is one put's: they are 1..n, and each acknowledged put has the one it was told. */
static void check_witness(const struct witness *witness)
{
        struct store *s = help_open();
        struct suite_list list;
        uint64_t *revisions;
        size_t acked = 0, found = 0;

        assert_int_equal(suite_range(s, &(struct store_range){0}, &list), 0);
        revisions = calloc(list.n + 1, sizeof(*revisions));
        for (size_t i = 0; i < list.n; i++) {
                int thread = 0, k = 0;
                uint64_t told;

                assert_int_equal(sscanf(list.entries[i].key, "/%d/%d", &thread, &k), 2);
                assert_string_equal(list.entries[i].value->data, list.entries[i].key);
                told = witness->acked[thread][k];
                found += told != 0;
                if (told)
                        assert_int_equal(list.entries[i].mod, told);
                revisions[i] = list.entries[i].mod;
        }
        for (int t = 0; t < CHILD_THREADS; t++)
                for (int k = 0; k < CHILD_KEYS; k++)
                        acked += witness->acked[t][k] != 0;
        assert_int_equal(found, acked);
        assert_true(acked > 0);
        qsort(revisions, list.n, sizeof(*revisions), compare_u64);
        for (size_t i = 0; i < list.n; i++)
                assert_int_equal(revisions[i], i + 1);
        assert_int_equal(list.revision, list.n);
        assert_true(witness->watched <= list.revision);
        assert_int_equal(suite_must_put(s, "/after", "v"), list.revision + 1);
        suite_list_deinit(&list);
        free(revisions);
        store_close(s);
}

static void kill_9_in_a_write_storm_loses_nothing_that_was_acknowledged(void **state)
{
        for (int round = 0; round < 4; round++) {
                struct witness *witness =
                        mmap(NULL, sizeof(*witness), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
                int status;
                pid_t pid;

                assert_true(witness != MAP_FAILED);
                help_reset();
                pid = fork();
                if (pid == 0)
                        child_storm(witness);
                for (int i = 0; !witness->acked[0][20] && i < 1000; i++)
                        usleep(10000);
                usleep(30000 + 70000 * (unsigned int)round);
                kill(pid, SIGKILL);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_true(WIFSIGNALED(status));
                check_witness(witness);
                munmap(witness, sizeof(*witness));
        }
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, setup)
        const struct CMUnitTest fault_tests[] = {
                TEST(the_size_limit_refuses_puts_until_deletion_and_compaction_make_room),
                TEST(a_put_that_is_too_big_does_not_fail_its_neighbours),
                TEST(a_full_disk_refuses_writes_and_recovers_without_a_restart),
                TEST(a_file_size_limit_counts_as_full),
                TEST(kill_9_in_a_write_storm_loses_nothing_that_was_acknowledged),
        };
        int failed;

        help_init();
        failed = cmocka_run_group_tests(fault_tests, NULL, NULL);
        help_deinit();
        return failed;
}
