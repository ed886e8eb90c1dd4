/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/loop.h"
#include "base/mem.h"

struct fixture {
        struct loop *loop;
        int count;
        struct loop_timer *timer;
        struct loop_fd *fd;
};

static void count_and_stop(void *userdata)
{
        struct fixture *f = userdata;

        f->count++;
        loop_stop(f->loop);
}

static void count_up(void *userdata)
{
        struct fixture *f = userdata;

        f->count++;
}

static void a_timer_fires_once_and_not_early(void **state)
{
        struct fixture f = {0};
        uint64_t start = clock_mono_ms();

        assert_int_equal(loop_new(&f.loop), 0);
        assert_int_equal(loop_timer_new(f.loop, count_and_stop, &f, &f.timer), 0);
        loop_timer_set(f.timer, 1000);
        loop_timer_set(f.timer, 30);
        assert_int_equal(loop_run(f.loop), 0);
        assert_int_equal(f.count, 1);
        assert_in_range(clock_mono_ms() - start, 29, 900);
        loop_timer_set(f.timer, 5);
        loop_timer_cancel(f.timer);
        assert_int_equal(loop_run_for(f.loop, 30), 0);
        assert_int_equal(f.count, 1);
        loop_timer_free(f.timer);
        loop_free(f.loop);
}

static void *poster(void *arg)
{
        struct fixture *f = arg;

        for (int i = 0; i < 1000; i++)
                loop_post(f->loop, count_up, f);
        loop_post(f->loop, count_and_stop, f);
        return NULL;
}

static void posts_of_other_threads_all_run(void **state)
{
        struct fixture f = {0};
        pthread_t t;

        assert_int_equal(loop_new(&f.loop), 0);
        pthread_create(&t, NULL, poster, &f);
        assert_int_equal(loop_run(f.loop), 0);
        pthread_join(t, NULL);
        assert_int_equal(f.count, 1001);
        loop_post(f.loop, count_up, &f);
        loop_free(f.loop);
        assert_int_equal(f.count, 1002);
}

static void on_pipe(void *userdata, unsigned int events)
{
        struct fixture *f = userdata;

        assert_int_equal(events, LOOP_READ);
        f->count++;
        loop_fd_free(f->fd);
        loop_stop(f->loop);
}

static void a_readable_descriptor_is_told_and_may_free_itself(void **state)
{
        struct fixture f = {0};
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        assert_int_equal(loop_new(&f.loop), 0);
        assert_int_equal(loop_fd_new(f.loop, fds[0], 0, on_pipe, &f, &f.fd), 0);
        assert_int_equal(write(fds[1], "x", 1), 1);
        assert_int_equal(loop_run_for(f.loop, 20), 0);
        assert_int_equal(f.count, 0);
        assert_int_equal(loop_fd_set(f.fd, LOOP_READ), 0);
        assert_int_equal(loop_run(f.loop), 0);
        assert_int_equal(f.count, 1);
        loop_free(f.loop);
        close(fds[0]);
        close(fds[1]);
}

static void signals_arrive_in_the_loop(void **state)
{
        struct loop_signal *s;
        struct fixture f = {0};

        assert_int_equal(loop_new(&f.loop), 0);
        assert_int_equal(loop_signal_new(f.loop, SIGUSR1, count_and_stop, &f, &s), 0);
        raise(SIGUSR1);
        assert_int_equal(loop_run(f.loop), 0);
        assert_int_equal(f.count, 1);
        loop_signal_free(s);
        loop_free(f.loop);
}

static void files_are_replaced_whole_with_their_mode(void **state)
{
        char dir[] = "/tmp/file_test.XXXXXX";
        _cleanup_free_ char *path = NULL, *text = NULL, *sub = NULL;
        struct err err = ERR_NULL;
        struct stat st;
        size_t len;

        assert_non_null(mkdtemp(dir));
        sub = mem_printf("%s/a/b", dir);
        path = mem_printf("%s/f", sub);
        assert_int_equal(file_write_atomic(path, "x", 1, 0600, &err), -ENOENT);
        assert_int_equal(file_mkdirs(sub, 0700, &err), 0);
        assert_int_equal(file_mkdirs(sub, 0700, &err), 0);
        assert_int_equal(file_write_atomic(path, "old", 3, 0644, &err), 0);
        assert_int_equal(file_write_atomic(path, "newer", 5, 0600, &err), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(file_read(path, 5, &text, &len, &err), 0);
        assert_string_equal(text, "newer");
        assert_int_equal(len, 5);
        assert_int_equal(file_read(path, 4, &text, &len, &err), -EFBIG);
        assert_string_equal(text, "newer");
        assert_int_equal(rmdir(sub), -1); /* the file is in it, and nothing else: */
        unlink(path);
        assert_int_equal(file_read(path, 4, &text, &len, &err), -ENOENT);
        assert_non_null(strstr(err.msg, path));
        assert_int_equal(rmdir(sub), 0);
        *strrchr(sub, '/') = '\0';
        rmdir(sub);
        rmdir(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_timer_fires_once_and_not_early),
                cmocka_unit_test(posts_of_other_threads_all_run),
                cmocka_unit_test(a_readable_descriptor_is_told_and_may_free_itself),
                cmocka_unit_test(signals_arrive_in_the_loop),
                cmocka_unit_test(files_are_replaced_whole_with_their_mode),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
