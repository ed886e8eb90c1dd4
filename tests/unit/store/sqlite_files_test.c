/* SPDX-License-Identifier: Apache-2.0 */
/* What the embedded store does with its files: locks, damage, schema versions, snapshots. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "unit/store/sqlite_help.h"

static int setup(void **state)
{
        help_reset();
        return 0;
}

static void refused(int expected, const char *word)
{
        struct store *s = NULL;
        struct err err = ERR_NULL;

        assert_int_equal(help_try_open(&s, &err), expected);
        assert_null(s);
        if (!strstr(err.msg, word))
                fail_msg("\"%s\" does not say \"%s\"", err.msg, word);
}

static void fill(int n)
{
        struct store *s = help_open();
        char key[32], value[600];

        for (int i = 0; i < n; i++) {
                snprintf(key, sizeof(key), "/key/%04d", i);
                memset(value, 'a' + i % 26, sizeof(value) - 1);
                value[sizeof(value) - 1] = '\0';
                suite_must_put(s, key, value);
        }
        store_close(s);
}

static void exec_sql(const char *path, const char *sql)
{
        sqlite3 *db;

        assert_int_equal(sqlite3_open(path, &db), 0);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), 0);
        sqlite3_close(db);
}

static off_t size_of(const char *path)
{
        struct stat st;

        assert_int_equal(stat(path, &st), 0);
        return st.st_size;
}

static void overwrite(const char *path, off_t at, size_t n)
{
        int fd = open(path, O_WRONLY);

        assert_true(fd >= 0);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(pwrite(fd, "\xa5", 1, at + (off_t)i), 1);
        close(fd);
}

static void a_second_server_on_the_same_file_is_told_who_has_it(void **state)
{
        struct store *s = help_open();
        char pid[32];
        int status;

        snprintf(pid, sizeof(pid), "process %d)", (int)getpid());
        refused(-EBUSY, pid);
        if (fork() == 0) {
                struct store *other;
                struct err err;

                _exit(help_try_open(&other, &err) == -EBUSY && strstr(err.msg, pid) ? 0 : 1);
        }
        wait(&status);
        assert_int_equal(status, 0);
        suite_must_put(s, "/still", "works");
        store_close(s);
        store_close(help_open());
}

static void files_are_for_their_owner_alone(void **state)
{
        static const char *const names[] = {"db", "db-wal", "db-shm", "db.lock"};
        mode_t mask = umask(0);
        struct store *s = help_open();
        struct stat st;

        suite_must_put(s, "/a", "secret");
        umask(mask);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                assert_int_equal(stat(help_path(names[i]), &st), 0);
                assert_int_equal(st.st_mode & 0777, 0600);
        }
        store_close(s);
        assert_int_not_equal(access(help_path("db-wal"), F_OK), 0);
        assert_int_not_equal(access(help_path("db.tmp"), F_OK), 0);
}

static void a_damaged_page_is_found_at_the_start(void **state)
{
        struct store *s;

        fill(200);
        overwrite(help_path("db"), 4096L * (size_of(help_path("db")) / 4096 / 2), 4096);
        refused(-EUCLEAN, "restore a snapshot");
        /* Asked not to look, it opens what it can. */
        assert_int_equal(
                store_sqlite_open(&(struct store_sqlite_config){.path = help_path("db"), .skip_check = true}, &s, NULL),
                0);
        store_close(s);
}

static void a_damaged_header_is_found_at_the_start(void **state)
{
        fill(10);
        overwrite(help_path("db"), 0, 100);
        refused(-EUCLEAN, "damaged");
}

static void a_truncated_file_is_found_at_the_start(void **state)
{
        fill(200);
        assert_int_equal(truncate(help_path("db"), size_of(help_path("db")) / 2 / 4096 * 4096), 0);
        refused(-EUCLEAN, "damaged");
        assert_int_equal(truncate(help_path("db"), 777), 0);
        refused(-EUCLEAN, "damaged");
        assert_int_equal(truncate(help_path("db"), 0), 0);
        refused(-EUCLEAN, "truncated");
}

static void a_wal_without_its_database_is_not_taken_for_a_new_store(void **state)
{
        fill(1);
        assert_int_equal(rename(help_path("db"), help_path("db-wal")), 0);
        refused(-EUCLEAN, "missing");
}

static void a_newer_schema_is_refused_with_both_versions(void **state)
{
        fill(1);
        exec_sql(help_path("db"), "PRAGMA user_version = 7");
        refused(-EPROTONOSUPPORT, "version 7, this one knows up to 1");
}

static void a_foreign_database_is_refused(void **state)
{
        exec_sql(help_path("db"), "CREATE TABLE t (x)");
        refused(-EUCLEAN, "not a store of fairlead");
}

static void a_folder_that_is_missing_is_named(void **state)
{
        struct store *s;
        struct err err = ERR_NULL;

        assert_int_equal(store_sqlite_open(&(struct store_sqlite_config){.path = help_path("none/db")}, &s, &err),
                         -ENOENT);
        assert_non_null(strstr(err.msg, "none/db"));
}

/* Snapshots. */

struct storm {
        struct store *store;
        _Atomic bool stop;
        int failures;
};

/* Keeps two keys equal; a snapshot in between would show it. */
static void *storm_main(void *arg)
{
        struct storm *storm = arg;

        for (int i = 0; !storm->stop; i++) {
                char text[16];
                _cleanup_blob_ struct blob *v = NULL;
                struct store_op ops[2] = {{STORE_PUT, "/twin/a", STORE_REV_ANY, NULL},
                                          {STORE_PUT, "/twin/b", STORE_REV_ANY, NULL}};

                snprintf(text, sizeof(text), "%d", i);
                v = suite_blob(text);
                ops[0].value = ops[1].value = v;
                storm->failures += store_txn(storm->store, &(struct store_txn){ops, 2}, NULL, NULL) != 0;
        }
        return NULL;
}

static void check_twins(const char *path)
{
        struct store *s;
        struct err err = ERR_NULL;
        struct suite_list list;

        if (store_sqlite_open(&(struct store_sqlite_config){.path = path}, &s, &err))
                fail_msg("%s", err.msg);
        assert_int_equal(suite_range(s, &(struct store_range){.prefix = "/twin/"}, &list), 0);
        assert_int_equal(list.n, 2);
        assert_string_equal(list.entries[0].value->data, list.entries[1].value->data);
        assert_int_equal(list.entries[0].mod, list.revision);
        assert_int_equal(suite_must_put(s, "/next", "1"), list.revision + 1);
        suite_list_deinit(&list);
        store_close(s);
}

static void a_snapshot_of_a_live_store_is_one_moment_of_it(void **state)
{
        struct storm storm = {.store = help_open()};
        struct err err = ERR_NULL;
        pthread_t thread;
        struct stat st;

        suite_must_put(storm.store, "/twin/a", "x");
        suite_must_put(storm.store, "/twin/b", "x");
        assert_int_equal(pthread_create(&thread, NULL, storm_main, &storm), 0);
        for (int i = 0; i < 5; i++) {
                usleep(20000);
                if (store_sqlite_snapshot_save(help_path("db"), help_path("snap"), &err))
                        fail_msg("%s", err.msg);
        }
        storm.stop = true;
        pthread_join(thread, NULL);
        assert_int_equal(storm.failures, 0);
        store_close(storm.store);
        assert_int_equal(stat(help_path("snap"), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_not_equal(access(help_path("snap.tmp"), F_OK), 0);
        assert_int_equal(store_sqlite_snapshot_restore(help_path("snap"), help_path("copy"), false, &err), 0);
        check_twins(help_path("copy"));
}

static void restore_overwrites_only_when_forced_and_keeps_the_old(void **state)
{
        struct store *s = help_open();
        struct err err = ERR_NULL;
        char *text;

        suite_must_put(s, "/a", "then");
        assert_int_equal(store_sqlite_snapshot_save(help_path("db"), help_path("snap"), &err), 0);
        suite_must_put(s, "/a", "now");
        assert_int_equal(store_sqlite_snapshot_restore(help_path("snap"), help_path("db"), true, &err), -EBUSY);
        store_close(s);
        assert_int_equal(store_sqlite_snapshot_restore(help_path("snap"), help_path("db"), false, &err), -EEXIST);
        assert_non_null(strstr(err.msg, "--force"));

        assert_int_equal(store_sqlite_snapshot_restore(help_path("snap"), help_path("db"), true, &err), 0);
        s = help_open();
        text = suite_text(s, "/", 0);
        assert_string_equal(text, "/a=then");
        free(text);
        store_close(s);
        assert_int_equal(rename(help_path("db.old"), help_path("db")), 0);
        s = help_open();
        text = suite_text(s, "/", 0);
        assert_string_equal(text, "/a=now");
        free(text);
        store_close(s);
}

static void a_damaged_snapshot_is_not_restored(void **state)
{
        struct err err = ERR_NULL;

        fill(200);
        assert_int_equal(store_sqlite_snapshot_save(help_path("db"), help_path("snap"), &err), 0);
        overwrite(help_path("snap"), 4096L * (size_of(help_path("snap")) / 4096 / 2), 4096);
        assert_int_equal(store_sqlite_snapshot_restore(help_path("snap"), help_path("db"), true, &err), -EUCLEAN);
        assert_non_null(strstr(err.msg, "not a usable snapshot"));
        assert_int_not_equal(access(help_path("db.old"), F_OK), 0);
        assert_int_not_equal(access(help_path("db.tmp"), F_OK), 0);
        store_close(help_open());
        assert_int_equal(store_sqlite_snapshot_restore(help_path("nothing"), help_path("db"), true, &err), -ENOENT);
}

static void a_snapshot_does_not_overwrite_the_store_itself(void **state)
{
        struct err err = ERR_NULL;

        fill(1);
        assert_int_equal(store_sqlite_snapshot_save(help_path("db"), help_path("db"), &err), -EINVAL);
        assert_int_equal(store_sqlite_snapshot_save(help_path("none"), help_path("snap"), &err), -ENOENT);
        assert_int_not_equal(access(help_path("none"), F_OK), 0);
        store_close(help_open());
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, setup)
        const struct CMUnitTest file_tests[] = {
                TEST(a_second_server_on_the_same_file_is_told_who_has_it),
                TEST(files_are_for_their_owner_alone),
                TEST(a_damaged_page_is_found_at_the_start),
                TEST(a_damaged_header_is_found_at_the_start),
                TEST(a_truncated_file_is_found_at_the_start),
                TEST(a_wal_without_its_database_is_not_taken_for_a_new_store),
                TEST(a_newer_schema_is_refused_with_both_versions),
                TEST(a_foreign_database_is_refused),
                TEST(a_folder_that_is_missing_is_named),
                TEST(a_snapshot_of_a_live_store_is_one_moment_of_it),
                TEST(restore_overwrites_only_when_forced_and_keeps_the_old),
                TEST(a_damaged_snapshot_is_not_restored),
                TEST(a_snapshot_does_not_overwrite_the_store_itself),
        };
        int failed;

        help_init();
        failed = cmocka_run_group_tests(file_tests, NULL, NULL);
        help_deinit();
        return failed;
}
