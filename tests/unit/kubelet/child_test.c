/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes on a loop. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/kubelet/child.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

static struct {
        struct loop *loop;
        struct children *cs;
        int ended, awaited;
        int status;
        bool timed_out, truncated;
        char out[256], err[256], why[128];
        size_t out_len;
} world;

static int begin(void **state)
{
        memset(&world, 0, sizeof(world));
        assert_int_equal(loop_new(&world.loop), 0);
        assert_int_equal(children_new(world.loop, &world.cs), 0);
        return 0;
}

static int end(void **state)
{
        children_free(world.cs);
        loop_free(world.loop);
        return 0;
}

static void done(void *userdata, const struct child_end *end)
{
        world.status = end->status;
        world.timed_out = end->timed_out;
        world.truncated = end->truncated;
        world.out_len = end->out_len;
        str_copy(world.out, sizeof(world.out), end->out);
        str_copy(world.err, sizeof(world.err), end->err);
        child_why(end, world.why, sizeof(world.why));
        if (++world.ended >= world.awaited)
                loop_stop(world.loop);
}

static void run(struct child_opts o, const char *script)
{
        o.argv = (const char *[]){"/bin/sh", "-c", script, NULL};
        world.ended = 0;
        world.awaited = 1;
        assert_int_equal(child_start(world.cs, &o, done, NULL, NULL), 0);
        assert_int_equal(world.ended, 0);
        loop_run_for(world.loop, 10000);
        assert_int_equal(world.ended, 1);
}

static void outputs_are_told_apart(void **state)
{
        run((struct child_opts){0}, "echo out; echo err >&2; exit 3");
        assert_int_equal(WEXITSTATUS(world.status), 3);
        assert_string_equal(world.out, "out\n");
        assert_string_equal(world.err, "err\n");
        assert_string_equal(world.why, "err");
        run((struct child_opts){0}, "echo only; exit 1");
        assert_string_equal(world.why, "only");
        run((struct child_opts){0}, "exit 4");
        assert_string_equal(world.why, "it ended with 4");
        run((struct child_opts){0}, "kill -9 $$");
        assert_string_equal(world.why, "it was killed by signal 9");
}

static void input_and_environment_are_given(void **state)
{
        run((struct child_opts){.input = "a\nb\n", .input_len = 4}, "cat");
        assert_string_equal(world.out, "a\nb\n");
        run((struct child_opts){0}, "cat; env | grep -v -e ^PWD -e ^_ -e ^SHLVL -e ^OLDPWD");
        assert_true(str_has_prefix(world.out, "PATH="));
        assert_null(strchr(world.out, '\n')[1] ? strchr(world.out, '\n') : NULL);
        run((struct child_opts){.env = (const char *const[]){"A=1", NULL}}, "echo $A");
        assert_string_equal(world.out, "1\n");
}

static void output_is_bounded_and_nobody_waits_for_the_rest(void **state)
{
        run((struct child_opts){.limit = 10}, "head -c 300000 /dev/zero | tr '\\0' x; echo done >&2");
        assert_string_equal(world.out, "xxxxxxxxxx");
        assert_true(world.truncated);
        assert_string_equal(world.err, "done\n");
        run((struct child_opts){.limit = 10}, "printf 0123456789");
        assert_false(world.truncated);
}

static void who_takes_too_long_is_killed_with_its_children(void **state)
{
        uint64_t began = clock_mono_ms();
        long pid;

        run((struct child_opts){.timeout_ms = 100}, "sleep 100 & echo $!; wait");
        assert_true(world.timed_out);
        assert_in_range(clock_mono_ms() - began, 90, 5000);
        assert_string_equal(world.why, "it took too long and was killed");
        pid = strtol(world.out, NULL, 10);
        assert_true(pid > 1);
        for (int i = 0; kill((pid_t)pid, 0) == 0 && i < 200; i++)
                loop_run_for(world.loop, 10);
        assert_int_equal(kill((pid_t)pid, 0), -1);
}

static void what_holds_the_output_open_is_not_waited_for(void **state)
{
        uint64_t began = clock_mono_ms();

        run((struct child_opts){0}, "sleep 2 & echo said");
        assert_string_equal(world.out, "said\n");
        assert_true(clock_mono_ms() - began < 1500);
}

static void tick(void *userdata)
{
        int *ticks = userdata;

        ++*ticks;
}

/* One of them is in a session of its own, and goes on writing when the others are killed. */
static void who_writes_without_end_stops_nobody(void **state)
{
        static const char writers[] = "cat /dev/zero & cat /dev/zero & cat /dev/zero >&2 & setsid cat /dev/zero & ";
        _cleanup_free_ char *for_ever = mem_printf("%s wait", writers),
                            *short_lived = mem_printf("%s sleep 0.1", writers);
        uint64_t began = clock_mono_ms();
        struct loop_timer *timer[10];
        int ticks = 0;

        for (size_t i = 0; i < 10; i++) {
                assert_int_equal(loop_timer_new(world.loop, tick, &ticks, &timer[i]), 0);
                loop_timer_set(timer[i], 20 * i);
        }
        run((struct child_opts){.timeout_ms = 300, .limit = 10}, for_ever);
        assert_true(world.timed_out && world.truncated);
        assert_int_equal(ticks, 10);
        run((struct child_opts){.limit = 10}, short_lived);
        assert_int_equal(world.status, 0);
        assert_true(world.truncated);
        assert_true(clock_mono_ms() - began < 5000);
        for (size_t i = 0; i < 10; i++)
                loop_timer_free(timer[i]);
}

static void a_lock_is_inherited(void **state)
{
        int lock = memfd_create("lock", MFD_CLOEXEC);

        run((struct child_opts){.lock = lock}, "readlink /proc/$$/fd/3");
        assert_non_null(strstr(world.out, "memfd:lock"));
        close(lock);
}

static void who_is_forgotten_tells_nobody(void **state)
{
        struct child_opts o = {.argv = (const char *[]){"/bin/sh", "-c", "exit 0", NULL}};
        struct child *c;

        assert_int_equal(child_start(world.cs, &o, done, NULL, &c), 0);
        child_forget(c);
        loop_run_for(world.loop, 200);
        assert_int_equal(world.ended, 0);
}

static void a_program_that_is_not_there_is_an_error(void **state)
{
        struct child_opts o = {.argv = (const char *[]){"/no/such/program", NULL}};

        assert_int_equal(child_start(world.cs, &o, done, NULL, NULL), -ENOENT);
        loop_run_for(world.loop, 20);
        assert_int_equal(world.ended, 0);
}

static void many_go_side_by_side_and_orphans_are_reaped(void **state)
{
        struct child_opts o = {.argv = (const char *[]){"/bin/sh", "-c", "(sleep 0.1 &) ; sleep 0.05", NULL}};

        world.awaited = 50;
        for (int i = 0; i < 50; i++)
                assert_int_equal(child_start(world.cs, &o, done, NULL, NULL), 0);
        loop_run_for(world.loop, 10000);
        assert_int_equal(world.ended, 50);
        for (int i = 0; waitpid(-1, NULL, WNOHANG) != -1 && i < 100; i++)
                loop_run_for(world.loop, 20);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(outputs_are_told_apart, begin, end),
                cmocka_unit_test_setup_teardown(input_and_environment_are_given, begin, end),
                cmocka_unit_test_setup_teardown(output_is_bounded_and_nobody_waits_for_the_rest, begin, end),
                cmocka_unit_test_setup_teardown(who_takes_too_long_is_killed_with_its_children, begin, end),
                cmocka_unit_test_setup_teardown(what_holds_the_output_open_is_not_waited_for, begin, end),
                cmocka_unit_test_setup_teardown(who_writes_without_end_stops_nobody, begin, end),
                cmocka_unit_test_setup_teardown(a_lock_is_inherited, begin, end),
                cmocka_unit_test_setup_teardown(who_is_forgotten_tells_nobody, begin, end),
                cmocka_unit_test_setup_teardown(a_program_that_is_not_there_is_an_error, begin, end),
                cmocka_unit_test_setup_teardown(many_go_side_by_side_and_orphans_are_reaped, begin, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
