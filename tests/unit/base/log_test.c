/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"

static int pipe_fds[2];
static char text[1 << 16];

static const char *drain(void)
{
        ssize_t n = read(pipe_fds[0], text, sizeof(text) - 1);

        text[n > 0 ? n : 0] = '\0';
        return text;
}

static int setup(void **state)
{
        if (pipe2(pipe_fds, O_NONBLOCK))
                return -1;
        log_init("test", LOG_LEVEL_INFO);
        log_set_fd(pipe_fds[1]);
        return 0;
}

static int teardown(void **state)
{
        log_set_fd(STDERR_FILENO);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        return 0;
}

static void a_line_has_all_pairs_in_order(void **state)
{
        log_info("listening", "address=%s port=%d", "127.0.0.1", 6443);
        assert_non_null(strstr(drain(), " level=info component=test msg=listening address=127.0.0.1 port=6443\n"));
        log_info("hint", "command=\"kubectl --kubeconfig %s get ns\" n=%d", "/a b", 1);
        assert_non_null(strstr(drain(), " msg=hint command=\"kubectl --kubeconfig /a b get ns\" n=1\n"));
        log_warn("plain");
        assert_non_null(strstr(drain(), " level=warn component=test msg=plain\n"));
}

static void levels_below_the_least_are_silent(void **state)
{
        log_debug("no", "x=%d", 1);
        assert_string_equal(drain(), "");
        log_set_level(LOG_LEVEL_DEBUG);
        log_debug("yes");
        assert_non_null(strstr(drain(), "msg=yes"));
        log_set_level(LOG_LEVEL_INFO);
}

static void values_cannot_forge_pairs_or_lines(void **state)
{
        log_info("bad", "name=%s code=%d", "x level=error\nmsg=\"forged\"", 5);
        assert_non_null(strstr(drain(), " name=\"x level=error\\nmsg=\\\"forged\\\"\" code=5\n"));
        log_info("bad", "name=%s code=%d",
                 "a\x1e"
                 "b=c",
                 5);
        assert_non_null(strstr(drain(), "msg=bad text=\"\\x1ename=a\\x1eb=c\\x1ecode=5\"\n"));
        log_info("empty", "name=%s", "");
        assert_non_null(strstr(drain(), " name=\"\"\n"));
}

static void a_long_line_is_cut_and_ends_with_a_newline(void **state)
{
        char big[8000];
        const char *line;

        memset(big, 'x', sizeof(big) - 1);
        big[sizeof(big) - 1] = '\0';
        log_info("big", "v=%s", big);
        line = drain();
        assert_true(strlen(line) <= 4096);
        assert_int_equal(line[strlen(line) - 1], '\n');
}

static void a_limited_event_is_written_once_and_counted(void **state)
{
        struct log_limit limit = {0};

        assert_true(log_limit_pass(&limit, 50, "flood"));
        for (int i = 0; i < 3; i++)
                assert_false(log_limit_pass(&limit, 50, "flood"));
        assert_string_equal(drain(), "");
        usleep(60000);
        assert_true(log_limit_pass(&limit, 50, "flood"));
        assert_non_null(strstr(drain(), "about=flood count=3\n"));
}

static void *writer(void *arg)
{
        for (int i = 0; i < 50; i++)
                log_info("thread", "n=%d filler=%s", i, "0123456789012345678901234567890123456789");
        return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
        pthread_t t[4];
        int lines = 0;

        for (int i = 0; i < 4; i++)
                pthread_create(&t[i], NULL, writer, NULL);
        for (int i = 0; i < 4; i++)
                pthread_join(t[i], NULL);
        drain();
        for (char *p = text, *end; (end = strchr(p, '\n')); p = end + 1, lines++) {
                assert_int_equal(strncmp(p, "time=", 5), 0);
                assert_int_equal(memcmp(end - 10, "0123456789", 10), 0);
        }
        assert_int_equal(lines, 200);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_line_has_all_pairs_in_order),
                cmocka_unit_test(levels_below_the_least_are_silent),
                cmocka_unit_test(values_cannot_forge_pairs_or_lines),
                cmocka_unit_test(a_long_line_is_cut_and_ends_with_a_newline),
                cmocka_unit_test(a_limited_event_is_written_once_and_counted),
                cmocka_unit_test(lines_of_threads_do_not_mix),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
