/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "agent/net/agentsock.h"
#include "base/mem.h"
#include "base/str.h"

#define CALLERS 200

struct fix {
        struct loop *loop;
        struct agentsock *sock;
        char folder[32];
        char path[64];
        unsigned int served;
};

static int serve(void *userdata, const struct request *request, struct strbuf *extra, struct err *reterr)
{
        struct fix *f = userdata;

        f->served++;
        if (request->op == REQUEST_DETACH)
                return err_set(reterr, -EBUSY, "no \"%s\" here", request->id);
        if (request->op == REQUEST_STATUS)
                strbuf_printf(extra, ",\"served\":%u", f->served);
        return 0;
}

static int set_up(void **state)
{
        struct fix *f = mem_new(struct fix);

        strcpy(f->folder, "/tmp/fairlead-test.XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        snprintf(f->path, sizeof(f->path), "%s/agent.sock", f->folder);
        assert_int_equal(loop_new(&f->loop), 0);
        assert_int_equal(agentsock_new(&(struct agentsock_opts){f->loop, f->path, serve, f}, &f->sock, NULL), 0);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fix *f = *state;

        agentsock_free(f->sock);
        loop_free(f->loop);
        assert_int_equal(access(f->path, F_OK), -1);
        assert_int_equal(rmdir(f->folder), 0);
        free(f);
        return 0;
}

static int call(const struct fix *f)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        str_copy(a.sun_path, sizeof(a.sun_path), f->path);
        assert_int_equal(connect(fd, (void *)&a, sizeof(a)), 0);
        return fd;
}

static void say(int fd, const char *text)
{
        assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What has come; "" nothing yet, NULL the end. */
static const char *hear(const struct fix *f, int fd)
{
        static char buf[65536];
        size_t n = 0;

        for (int i = 0; i < 5; i++) {
                ssize_t got;

                loop_run_for(f->loop, 2);
                got = recv(fd, buf + n, sizeof(buf) - 1 - n, MSG_DONTWAIT);
                if (got == 0 && !n)
                        return NULL;
                n += got > 0 ? (size_t)got : 0;
        }
        buf[n] = '\0';
        return buf;
}

static void requests_are_answered_line_by_line(void **state)
{
        struct fix *f = *state;
        int fd = call(f);

        say(fd, "{\"op\":\"attach\",\"id\":\"c1-eth0\"}\n{\"op\":\"detach\",\"id\":\"c1-eth0\"}\n{\"op\":\"st");
        assert_string_equal(hear(f, fd), "{\"ok\":true}\n{\"ok\":false,\"error\":\"no \\\"c1-eth0\\\" here\"}\n");
        say(fd, "atus\"}\n");
        assert_string_equal(hear(f, fd), "{\"ok\":true,\"served\":3}\n");
        close(fd);
}

static void rubbish_is_answered_and_the_caller_may_go_on(void **state)
{
        struct fix *f = *state;
        int fd = call(f);

        say(fd, "rubbish\n\n{\"op\":\"status\"}\n");
        assert_non_null(strstr(hear(f, fd), "{\"ok\":true,\"served\":1}\n"));
        assert_int_equal(f->served, 1);
        close(fd);
}

static void a_line_without_end_ends_the_call(void **state)
{
        struct fix *f = *state;
        char text[8193];
        int fd = call(f);

        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        say(fd, text);
        assert_string_equal(hear(f, fd), "{\"ok\":false,\"error\":\"a request is longer than 4096 bytes\"}\n");
        assert_null(hear(f, fd));
        close(fd);
}

static void a_caller_that_only_sends_gets_its_answers_before_the_end(void **state)
{
        struct fix *f = *state;
        int fd = call(f);

        say(fd, "{\"op\":\"status\"}\n");
        shutdown(fd, SHUT_WR);
        assert_string_equal(hear(f, fd), "{\"ok\":true,\"served\":1}\n");
        assert_null(hear(f, fd));
        close(fd);
}

static void many_small_requests_at_once_are_all_answered(void **state)
{
        static const char one[] = "{\"op\":\"attach\",\"id\":\"a\"}\n";
        struct fix *f = *state;
        _cleanup_strbuf_ struct strbuf text = STRBUF_NULL;
        size_t answers = 0;
        int fd = call(f);

        for (int i = 0; i < 2000; i++)
                strbuf_add_str(&text, one);
        for (size_t sent = 0; answers < 2000;) {
                ssize_t n = send(fd, text.data + sent, text.len - sent, MSG_NOSIGNAL);
                const char *got;

                sent += n > 0 ? (size_t)n : 0;
                got = hear(f, fd);
                assert_non_null(got);
                for (const char *c = got; *c; c++)
                        answers += *c == '\n';
        }
        assert_int_equal(f->served, 2000);
        close(fd);
}

static void a_caller_that_does_not_listen_is_not_served_without_end(void **state)
{
        static const char one[] = "{\"op\":\"detach\",\"id\":\"a\"}\n";
        struct fix *f = *state;
        unsigned int served;
        int fd = call(f);

        /* Until nothing moves any more: its answers and its requests fill what there is between us. */
        do {
                served = f->served;
                for (int i = 0; i < 5000; i++)
                        if (send(fd, one, strlen(one), MSG_NOSIGNAL) < 0)
                                break;
                loop_run_for(f->loop, 5);
        } while (f->served != served);
        assert_true(send(fd, one, strlen(one), MSG_NOSIGNAL) < 0);
        assert_int_equal(errno, EAGAIN);
        /* Others are. */
        int other = call(f);
        say(other, "{\"op\":\"attach\",\"id\":\"a\"}\n");
        assert_string_equal(hear(f, other), "{\"ok\":true}\n");
        close(other);
        close(fd);
}

static void many_callers_are_served_side_by_side(void **state)
{
        struct fix *f = *state;
        int fds[CALLERS];

        for (size_t i = 0; i < CALLERS; i++) {
                fds[i] = call(f);
                if (i % 32 == 0)
                        loop_run_for(f->loop, 0);
        }
        for (size_t i = CALLERS; i-- > 0;)
                say(fds[i], "{\"op\":\"attach\",\"id\":\"a\"}\n");
        for (size_t i = 0; i < CALLERS; i++) {
                assert_string_equal(hear(f, fds[i]), "{\"ok\":true}\n");
                close(fds[i]);
        }
        assert_int_equal(f->served, CALLERS);
}

static void only_the_owner_may_connect_and_an_old_socket_is_replaced(void **state)
{
        struct fix *f = *state;
        struct stat st;

        assert_int_equal(stat(f->path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        agentsock_free(f->sock);
        f->sock = NULL;
        close(open(f->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)); /* what a killed one has left */
        assert_int_equal(agentsock_new(&(struct agentsock_opts){f->loop, f->path, serve, f}, &f->sock, NULL), 0);
        close(call(f));
}

static void a_path_that_is_too_long_is_said(void **state)
{
        struct fix *f = *state;
        struct agentsock *s = NULL;
        struct err err = ERR_NULL;
        char path[300];

        memset(path, 'x', sizeof(path) - 1);
        path[0] = '/';
        path[sizeof(path) - 1] = '\0';
        assert_int_equal(agentsock_new(&(struct agentsock_opts){f->loop, path, serve, f}, &s, &err), -ENAMETOOLONG);
        assert_true(str_has_prefix(err.msg, "cannot listen at /xxx"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(requests_are_answered_line_by_line),
                TEST(rubbish_is_answered_and_the_caller_may_go_on),
                TEST(a_line_without_end_ends_the_call),
                TEST(a_caller_that_only_sends_gets_its_answers_before_the_end),
                TEST(many_small_requests_at_once_are_all_answered),
                TEST(a_caller_that_does_not_listen_is_not_served_without_end),
                TEST(many_callers_are_served_side_by_side),
                TEST(only_the_owner_may_connect_and_an_old_socket_is_replaced),
                TEST(a_path_that_is_too_long_is_said),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
