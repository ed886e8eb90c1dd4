/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/kubelet/shim/logfile.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define NOW 1475712429669794202LL /* 2016-10-06T00:07:09.669794202Z */

struct fixture {
        char folder[64], path[80];
        struct log_file log;
};

static int setup(void **state)
{
        struct fixture *f = mem_new(struct fixture);

        snprintf(f->folder, sizeof(f->folder), "/tmp/fl-logfile-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        snprintf(f->path, sizeof(f->path), "%s/0.log", f->folder);
        f->log.path = f->path;
        *state = f;
        return 0;
}

static int each_file(struct fixture *f, void (*fn)(const char *path, void *ctx), void *ctx)
{
        DIR *dir = opendir(f->folder);
        struct dirent *e;
        int n = 0;

        assert_non_null(dir);
        while ((e = readdir(dir))) {
                _cleanup_free_ char *path = mem_printf("%s/%s", f->folder, e->d_name);

                if (e->d_name[0] == '.')
                        continue;
                n++;
                if (fn)
                        fn(path, ctx);
        }
        closedir(dir);
        return n;
}

static void drop(const char *path, void *ctx)
{
        unlink(path);
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        if (f->log.fd >= 0)
                close(f->log.fd);
        each_file(f, drop, NULL);
        rmdir(f->folder);
        free(f);
        return 0;
}

static void say(struct fixture *f, int64_t now_ns, const char *line)
{
        const struct iovec v = {.iov_base = (void *)line, .iov_len = strlen(line)};

        log_file_write(&f->log, now_ns, &v, 1);
}

static void assert_text(const char *path, const char *want)
{
        _cleanup_free_ char *text = NULL;
        size_t n;

        assert_int_equal(file_read(path, 65536, &text, &n, NULL), 0);
        assert_string_equal(text, want);
}

static void assert_small(const char *path, void *ctx)
{
        struct stat st;

        assert_int_equal(stat(path, &st), 0);
        assert_true(st.st_size <= 100);
}

static void a_flood_stays_within_its_files(void **state)
{
        struct fixture *f = *state;

        f->log.limit = 100;
        f->log.keep = 3;
        assert_int_equal(log_file_open(&f->log), 0);
        for (int i = 0; i < 5000; i++)
                say(f, NOW + i * 1000LL, "0123456789abcdefghij\n");
        assert_int_equal(each_file(f, assert_small, NULL), 3);
        assert_int_equal(f->log.rotations, 5000 / 4 - 1);
}

static void a_full_log_gets_the_name_of_the_time(void **state)
{
        struct fixture *f = *state;
        _cleanup_free_ char *old = mem_printf("%s.20161006-000709.669794", f->path);

        f->log.limit = 10;
        f->log.keep = 2;
        assert_int_equal(log_file_open(&f->log), 0);
        say(f, NOW, "one\n");
        say(f, NOW, "two\n");
        say(f, NOW, "three\n");
        assert_text(old, "one\ntwo\n");
        assert_text(f->path, "three\n");
        say(f, NOW, "a line that is longer than the limit\n");
        assert_text(f->path, "a line that is longer than the limit\n");
}

static void what_was_there_counts(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(file_write_atomic(f->path, "12345678\n", 9, 0600, NULL), 0);
        f->log.limit = 10;
        f->log.keep = 2;
        assert_int_equal(log_file_open(&f->log), 0);
        say(f, NOW, "x\n");
        assert_text(f->path, "x\n");
        assert_int_equal(each_file(f, NULL, NULL), 2);
}

static void one_file_alone_begins_anew(void **state)
{
        struct fixture *f = *state;

        f->log.limit = 10;
        f->log.keep = 1;
        assert_int_equal(log_file_open(&f->log), 0);
        for (int i = 0; i < 100; i++)
                say(f, NOW + i * 1000LL, "123456\n");
        assert_text(f->path, "123456\n");
        assert_int_equal(each_file(f, NULL, NULL), 1);
}

static void who_renames_it_gets_a_new_one(void **state)
{
        struct fixture *f = *state;
        _cleanup_free_ char *away = mem_printf("%s/away", f->folder);

        assert_int_equal(log_file_open(&f->log), 0);
        say(f, NOW, "one\n");
        assert_int_equal(rename(f->path, away), 0);
        say(f, NOW, "two\n");
        log_file_reopen(&f->log);
        say(f, NOW, "three\n");
        assert_text(away, "one\ntwo\n");
        assert_text(f->path, "three\n");
}

static void a_full_disk_loses_lines_and_goes_on(void **state)
{
        struct fixture *f = *state;

        f->log.path = "/dev/full";
        assert_int_equal(log_file_open(&f->log), 0);
        say(f, NOW, "lost\n");
        assert_int_equal(f->log.bytes, 0);
}

static void no_log_takes_no_lines(void **state)
{
        struct fixture *f = *state;

        f->log.path = NULL;
        assert_int_equal(log_file_open(&f->log), 0);
        say(f, NOW, "x\n");
        assert_int_equal(each_file(f, NULL, NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_flood_stays_within_its_files, setup, teardown),
                cmocka_unit_test_setup_teardown(a_full_log_gets_the_name_of_the_time, setup, teardown),
                cmocka_unit_test_setup_teardown(what_was_there_counts, setup, teardown),
                cmocka_unit_test_setup_teardown(one_file_alone_begins_anew, setup, teardown),
                cmocka_unit_test_setup_teardown(who_renames_it_gets_a_new_one, setup, teardown),
                cmocka_unit_test_setup_teardown(a_full_disk_loses_lines_and_goes_on, setup, teardown),
                cmocka_unit_test_setup_teardown(no_log_takes_no_lines, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
