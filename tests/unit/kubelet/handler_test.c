/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers against servers on 127.0.0.1, and a runtime that runs what the test says. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/kubelet/probes/handler.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "unit/base/fakeserver.h"
#include "unit/http/fixture_pki.h"

struct world {
        struct loop *loop;
        struct handlers *h;
        struct fake_server *server;
        char port[8];
        struct fake_request last; /* of the server */
        bool ended;
        enum handler_outcome outcome;
        char message[16384];
        struct exec_result result; /* of exec */
        int exec_error;
        bool exec_hangs;
        char argv[64];
        void (*exec_done)(void *userdata, int result, const struct exec_result *r);
        void *exec_userdata;
};

static bool answers(void *userdata, struct fake_conn *c, const struct fake_request *r)
{
        struct world *w = userdata;
        static char big[20000];

        w->last = *r;
        if (str_eq(r->target, "/ok?a=b%20c"))
                fake_answer(c, 200, "", "fine");
        else if (str_eq(r->target, "/big"))
                fake_answer(c, 200, "", memset(big, 'x', sizeof(big) - 1));
        else if (str_eq(r->target, "/moved"))
                fake_answer(c, 302, "Location: /ok?a=b%20c\r\n", "moved");
        else if (str_eq(r->target, "/away"))
                fake_answer(c, 302, "Location: http://198.51.100.1/\r\n", "away");
        else if (str_eq(r->target, "/round"))
                fake_answer(c, 301, "Location: /round\r\n", "");
        else if (str_eq(r->target, "/304"))
                fake_answer(c, 304, "", "");
        else if (str_eq(r->target, "/hang"))
                fake_linger(c, 5000);
        else if (str_eq(r->target, "/cut"))
                return false;
        else
                fake_answer(c, 500, "", "no");
        return true;
}

static void exec_sync(void *rt, const char *id, const char *const *argv, uint64_t timeout_ms,
                      void (*done)(void *userdata, int result, const struct exec_result *r), void *userdata);

static struct world world;
static const struct runtime_ops ops = {.exec_sync = exec_sync};
static const struct runtime runtime = {&ops, &world};

static void exec_later(void *userdata)
{
        world.exec_done(world.exec_userdata, world.exec_error, &world.result);
}

static void exec_sync(void *rt, const char *id, const char *const *argv, uint64_t timeout_ms,
                      void (*done)(void *userdata, int result, const struct exec_result *r), void *userdata)
{
        world.argv[0] = '\0';
        for (size_t i = 0; argv[i]; i++)
                snprintf(world.argv + strlen(world.argv), sizeof(world.argv) - strlen(world.argv), "%s|", argv[i]);
        world.exec_done = done;
        world.exec_userdata = userdata;
        if (!world.exec_hangs)
                loop_post(world.loop, exec_later, NULL);
}

static int begin(void **state)
{
        const struct handlers_opts opts = {NULL, &runtime};
        struct handlers_opts full = opts;

        memset(&world, 0, sizeof(world));
        assert_int_equal(loop_new(&world.loop), 0);
        full.loop = world.loop;
        assert_int_equal(handlers_new(&full, &world.h, NULL), 0);
        world.server = fake_server_start(answers, &world);
        str_copy(world.port, sizeof(world.port), strrchr(fake_server_url(world.server), ':') + 1);
        return 0;
}

static int end(void **state)
{
        handlers_free(world.h);
        fake_server_stop(world.server);
        loop_free(world.loop);
        return 0;
}

static void done(void *userdata, enum handler_outcome outcome, const char *message)
{
        assert_ptr_equal(userdata, &world);
        assert_false(world.ended);
        world.ended = true;
        world.outcome = outcome;
        str_copy(world.message, sizeof(world.message), message);
        loop_stop(world.loop);
}

static struct handler_run *start(const char *action, uint64_t timeout_ms, bool hook)
{
        static const char container[] = "{\"ports\": [{\"name\": \"web\", \"containerPort\": %s}]}";
        _cleanup_free_ char *c = mem_printf(container, world.port), *text = mem_printf(action, world.port);
        _cleanup_json_ struct json_object *co = NULL, *ao = NULL;
        struct handler_target t = {.container_id = "id", .pod_ip = "127.0.0.1", .hook = hook};

        assert_int_equal(json_parse(c, strlen(c), &co, NULL), 0);
        if (json_parse(text, strlen(text), &ao, NULL))
                fail_msg("%s", text);
        t.container = co;
        world.ended = false;
        return handler_start(world.h, ao, &t, timeout_ms, done, &world);
}

static void run(const char *action, uint64_t timeout_ms, bool hook)
{
        start(action, timeout_ms, hook);
        assert_false(world.ended);
        assert_int_equal(loop_run_for(world.loop, 10000), 0);
        assert_true(world.ended);
}

static void expect(const char *action, enum handler_outcome outcome, const char *message)
{
        run(action, 2000, false);
        if (world.outcome != outcome || !strstr(world.message, message))
                fail_msg("%s: %d %s", action, world.outcome, world.message);
}

#define GET(path) "{\"httpGet\": {\"port\": %s, \"path\": \"" path "\"}}"

static void http_status_is_the_verdict(void **state)
{
        expect(GET("/ok?a=b c"), HANDLER_SUCCESS, "fine");
        expect("{\"httpGet\": {\"port\": \"web\", \"path\": \"ok?a=b c\", \"scheme\": \"HTTP\"}}", HANDLER_SUCCESS,
               "fine");
        expect(GET("/"), HANDLER_FAILURE, "HTTP probe failed with statuscode: 500");
        assert_string_equal(world.message, "HTTP probe failed with statuscode: 500");
        expect(GET("/big"), HANDLER_SUCCESS, "xxxx");
        assert_true(strlen(world.message) <= 10240);
        expect(GET("/cut"), HANDLER_FAILURE, "/cut\": EOF");
        run("{\"httpGet\": {\"port\": %s, \"path\": \"/\"}}", 2000, true);
        assert_int_equal(world.outcome, HANDLER_SUCCESS); /* a hook wants an answer, no more */
}

static void redirects_stay_on_the_host(void **state)
{
        expect(GET("/moved"), HANDLER_SUCCESS, "fine");
        expect(GET("/away"), HANDLER_WARNING, "Probe terminated redirects, Response body: away");
        expect(GET("/304"), HANDLER_WARNING, "Probe terminated redirects");
        expect(GET("/round"), HANDLER_FAILURE, "stopped after 10 redirects");
        assert_in_range(fake_server_requests(world.server), 14, 15);
}

static void headers_are_as_asked(void **state)
{
        expect(GET("/ok?a=b c"), HANDLER_SUCCESS, "");
        assert_non_null(strstr(world.last.headers, "User-Agent: kube-probe/1.36"));
        assert_non_null(strstr(world.last.headers, "Accept: */*"));
        expect("{\"httpGet\": {\"port\": %s, \"path\": \"/ok?a=b%%20c\", \"httpHeaders\": [{\"name\": \"Host\", "
               "\"value\": \"h.x\"}, "
               "{\"name\": \"X-A\", \"value\": \"1\"}, {\"name\": \"X-B\", \"value\": \"\"}, {\"name\": \"Accept\", "
               "\"value\": \"\"}, "
               "{\"name\": \"User-Agent\", \"value\": \"me\"}]}}",
               HANDLER_SUCCESS, "fine");
        assert_non_null(strstr(world.last.headers, "Host: h.x\r\n"));
        assert_non_null(strstr(world.last.headers, "X-A: 1\r\n"));
        assert_non_null(strstr(world.last.headers, "X-B:\r\n"));
        assert_non_null(strstr(world.last.headers, "User-Agent: me\r\n"));
        assert_null(strstr(world.last.headers, "Accept"));
        assert_null(strstr(world.last.headers, "127.0.0.1"));
        expect("{\"httpGet\": {\"port\": %s, \"httpHeaders\": [{\"name\": \"A\", \"value\": \"b\\r\\nC: d\"}]}}",
               HANDLER_ERROR, "httpHeaders[0]");
}

static void what_hangs_is_out_of_time(void **state)
{
        uint64_t began = clock_mono_ms();

        run(GET("/hang"), 200, false);
        assert_int_equal(world.outcome, HANDLER_FAILURE);
        assert_non_null(strstr(world.message,
                               "/hang\": context deadline exceeded (Client.Timeout exceeded while awaiting "
                               "headers)"));
        assert_in_range(clock_mono_ms() - began, 190, 2000);
}

/* A port that nobody listens on. */
static void closed_port(char ret[8])
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof(a);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        getsockname(fd, (struct sockaddr *)&a, &n);
        snprintf(ret, 8, "%d", ntohs(a.sin_port));
        close(fd);
}

static void who_does_not_listen_is_named(void **state)
{
        char want[128];

        closed_port(world.port);
        snprintf(want, sizeof(want), "dial tcp 127.0.0.1:%s: connect: connection refused", world.port);
        expect("{\"tcpSocket\": {\"port\": %s}}", HANDLER_FAILURE, want);
        assert_string_equal(world.message, want);
        expect(GET("/x"), HANDLER_FAILURE, want);
        assert_int_equal(strncmp(world.message, "Get \"http://127.0.0.1:", 21), 0);
        expect("{\"grpc\": {\"port\": %s}}", HANDLER_FAILURE, want);
}

static void tcp_connects_and_says_nothing(void **state)
{
        expect("{\"tcpSocket\": {\"port\": \"web\"}}", HANDLER_SUCCESS, "");
        expect("{\"tcpSocket\": {\"port\": %s, \"host\": \"localhost\"}}", HANDLER_SUCCESS, "");
        assert_int_equal(fake_server_requests(world.server), 0);
}

static void ports_are_checked(void **state)
{
        expect("{\"tcpSocket\": {\"port\": \"nothing\"}}", HANDLER_ERROR, "port \"nothing\" is not among");
        expect("{\"tcpSocket\": {\"port\": 70000}}", HANDLER_ERROR, "invalid port number: 70000");
        expect("{\"httpGet\": {}}", HANDLER_ERROR, "invalid port number: 0");
        expect("{}", HANDLER_ERROR, "must have one of");
}

static void https_asks_for_no_certificate(void **state)
{
        struct fixture f;
        struct http_config limits = http_group_limits;

        assert_int_equal(http_group_begin(state), 0);
        memset(&f, 0, sizeof(f));
        f.pki = &http_group_pki;
        fixture_start(&f, limits);
        snprintf(world.port, sizeof(world.port), "%u", f.port);
        expect("{\"httpGet\": {\"port\": %s, \"path\": \"/hello\", \"scheme\": \"HTTPS\"}}", HANDLER_SUCCESS, "hello");
        expect("{\"httpGet\": {\"port\": %s, \"path\": \"/refuse\", \"scheme\": \"HTTPS\"}}", HANDLER_FAILURE,
               "statuscode: 429");
        fixture_stop(&f, 1000);
        assert_int_equal(http_group_end(state), 0);
}

static void a_command_is_run_in_the_container(void **state)
{
        world.result = (struct exec_result){.output = "all well", .len = 8};
        expect("{\"exec\": {\"command\": [\"sh\", \"-c\", \"x y\"]}}", HANDLER_SUCCESS, "all well");
        assert_string_equal(world.argv, "sh|-c|x y|");
        world.result.exit_code = 3;
        expect("{\"exec\": {\"command\": [\"a\", \"b\"]}}", HANDLER_FAILURE, "all well");
        assert_string_equal(world.message, "all well");
        run("{\"exec\": {\"command\": [\"a\", \"b\"]}}", 1000, true);
        assert_string_equal(world.message, "command 'a b' exited with 3: all well");
        world.result.timed_out = true;
        expect("{\"exec\": {\"command\": [\"a\", \"b\"]}}", HANDLER_FAILURE, "command \"a b\" timed out");
        world.exec_error = -ENOENT;
        expect("{\"exec\": {\"command\": [\"a\"]}}", HANDLER_ERROR, "command 'a' cannot be run");
        expect("{\"exec\": {\"command\": []}}", HANDLER_ERROR, "exec.command");
}

static void sleep_is_a_wait(void **state)
{
        uint64_t began = clock_mono_ms();

        expect("{\"sleep\": {\"seconds\": 0}}", HANDLER_SUCCESS, "");
        run("{\"sleep\": {\"seconds\": 1}}", 0, true);
        assert_int_equal(world.outcome, HANDLER_SUCCESS);
        assert_in_range(clock_mono_ms() - began, 990, 5000);
}

static void who_is_cancelled_is_not_heard(void **state)
{
        handler_cancel(start(GET("/hang"), 5000, false));
        handler_cancel(start("{\"sleep\": {\"seconds\": 9}}", 0, false));
        handler_cancel(start("{\"tcpSocket\": {\"port\": \"nothing\"}}", 0, false));
        world.exec_hangs = true;
        handler_cancel(start("{\"exec\": {\"command\": [\"a\"]}}", 0, false));
        loop_run_for(world.loop, 50);
        assert_false(world.ended);
        world.exec_done(world.exec_userdata, 0, &world.result); /* comes late */
        loop_run_for(world.loop, 50);
        assert_false(world.ended);
        start(GET("/hang"), 5000, false); /* the rest ends with the handlers */
        loop_run_for(world.loop, 50);
}

/*
 * A server of one HTTP/2 connection, out of frames as RFC 9113 has them: it waits for the request's end on stream 1,
 * then sends what the test wants, with headers that HPACK does not compress.
 */
struct grpc_server {
        int listener;
        pthread_t thread;
        const char *code;          /* grpc-status */
        unsigned char message[16]; /* of the answer */
        size_t len;
        bool silent;
        unsigned char asked[64]; /* the request's message */
        size_t asked_len;
};

static void frame(int fd, int type, int flags, int stream, const void *data, size_t n)
{
        unsigned char head[9] = {(unsigned char)(n >> 16),
                                 (unsigned char)(n >> 8),
                                 (unsigned char)n,
                                 (unsigned char)type,
                                 (unsigned char)flags,
                                 0,
                                 0,
                                 0,
                                 (unsigned char)stream};

        assert_int_equal(send(fd, head, 9, MSG_NOSIGNAL), 9);
        if (n)
                assert_int_equal(send(fd, data, n, MSG_NOSIGNAL), n);
}

static bool receive(int fd, void *data, size_t n)
{
        return recv(fd, data, n, MSG_WAITALL) == (ssize_t)n;
}

static size_t literal(unsigned char *to, const char *name, const char *value)
{
        size_t n = 0;

        to[n++] = 0;
        to[n++] = (unsigned char)strlen(name);
        memcpy(to + n, name, strlen(name));
        n += strlen(name);
        to[n++] = (unsigned char)strlen(value);
        memcpy(to + n, value, strlen(value));
        return n + strlen(value);
}

static void answer_call(const struct grpc_server *s, int fd)
{
        unsigned char block[128] = {0x88}; /* :status 200 */
        size_t n = 1 + literal(block + 1, "content-type", "application/grpc");

        frame(fd, 1, 4, 1, block, n);
        if (s->len)
                frame(fd, 0, 0, 1, s->message, s->len);
        frame(fd, 1, 5, 1, block, literal(block, "grpc-status", s->code));
}

static void *serve(void *userdata)
{
        struct grpc_server *s = userdata;
        int fd = accept(s->listener, NULL, NULL);
        unsigned char head[9], payload[16384];
        char preface[24];

        assert_true(receive(fd, preface, sizeof(preface)));
        frame(fd, 4, 0, 0, NULL, 0);
        while (receive(fd, head, 9)) {
                size_t n = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];

                if (n > sizeof(payload) || !receive(fd, payload, n))
                        break;
                if (head[3] == 4 && !(head[4] & 1))
                        frame(fd, 4, 1, 0, NULL, 0);
                if (head[3] != 0)
                        continue;
                s->asked_len = MIN(n, sizeof(s->asked));
                memcpy(s->asked, payload, s->asked_len);
                if ((head[4] & 1) && !s->silent)
                        answer_call(s, fd);
        }
        close(fd);
        return NULL;
}

static void grpc(struct grpc_server *s, const char *action, enum handler_outcome outcome, const char *message)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof(a);

        s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_int_equal(listen(s->listener, 1), 0);
        getsockname(s->listener, (struct sockaddr *)&a, &n);
        snprintf(world.port, sizeof(world.port), "%d", ntohs(a.sin_port));
        pthread_create(&s->thread, NULL, serve, s);
        run(action, 500, false);
        if (world.outcome != outcome || !str_eq(world.message, message))
                fail_msg("%s: %d %s", action, world.outcome, world.message);
        pthread_join(s->thread, NULL);
        close(s->listener);
}

static void grpc_health_is_asked(void **state)
{
        struct grpc_server serving = {.code = "0", .message = {0, 0, 0, 0, 2, 8, 1}, .len = 7};
        struct grpc_server not = {.code = "0", .message = {0, 0, 0, 0, 2, 8, 2}, .len = 7};
        struct grpc_server unknown = {.code = "0", .message = {0, 0, 0, 0, 0}, .len = 5};
        struct grpc_server rubbish = {.code = "0", .message = {0, 9, 9, 9, 9}, .len = 5};
        struct grpc_server unimplemented = {.code = "12"}, missing = {.code = "5"}, silent = {.silent = true};

        grpc(&serving, "{\"grpc\": {\"port\": %s, \"service\": \"liveness\"}}", HANDLER_SUCCESS, "service healthy");
        assert_int_equal(serving.asked_len, 15);
        assert_memory_equal(serving.asked, "\0\0\0\0\x0a\x0a\x08liveness", 15);
        grpc(&not, "{\"grpc\": {\"port\": %s}}", HANDLER_FAILURE, "service unhealthy (responded with \"NOT_SERVING\")");
        assert_int_equal(not .asked_len, 5);
        grpc(&unknown, "{\"grpc\": {\"port\": %s}}", HANDLER_FAILURE, "service unhealthy (responded with \"UNKNOWN\")");
        grpc(&rubbish, "{\"grpc\": {\"port\": %s}}", HANDLER_FAILURE,
             "error: health rpc probe failed: the answer is no HealthCheckResponse");
        grpc(&unimplemented, "{\"grpc\": {\"port\": %s}}", HANDLER_FAILURE,
             "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ");
        grpc(&missing, "{\"grpc\": {\"port\": %s}}", HANDLER_FAILURE,
             "error: health rpc probe failed: rpc error: code = NotFound desc = ");
        grpc(&silent, "{\"grpc\": {\"port\": %s}}", HANDLER_FAILURE,
             "timeout: health rpc did not complete within 500ms");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(http_status_is_the_verdict, begin, end),
                cmocka_unit_test_setup_teardown(redirects_stay_on_the_host, begin, end),
                cmocka_unit_test_setup_teardown(headers_are_as_asked, begin, end),
                cmocka_unit_test_setup_teardown(what_hangs_is_out_of_time, begin, end),
                cmocka_unit_test_setup_teardown(who_does_not_listen_is_named, begin, end),
                cmocka_unit_test_setup_teardown(tcp_connects_and_says_nothing, begin, end),
                cmocka_unit_test_setup_teardown(ports_are_checked, begin, end),
                cmocka_unit_test_setup_teardown(https_asks_for_no_certificate, begin, end),
                cmocka_unit_test_setup_teardown(a_command_is_run_in_the_container, begin, end),
                cmocka_unit_test_setup_teardown(sleep_is_a_wait, begin, end),
                cmocka_unit_test_setup_teardown(who_is_cancelled_is_not_heard, begin, end),
                cmocka_unit_test_setup_teardown(grpc_health_is_asked, begin, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
