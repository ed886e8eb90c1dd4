/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/httpclient.h"
#include "base/str.h"
#include "unit/base/fakeserver.h"

static bool script(void *userdata, struct fake_conn *c, const struct fake_request *r)
{
        char text[4096];

        if (str_has_prefix(r->target, "/echo")) {
                snprintf(text, sizeof(text), "%s %s %.*s conn=%d", r->method, r->target, (int)r->body_len, r->body,
                         r->connection);
                fake_answer(c, 200, "X-Test:  yes\r\n", text);
                return true;
        }
        if (str_eq(r->target, "/refused")) {
                fake_answer(c, 429, "Retry-After: 3\r\n", "{\"kind\":\"Status\"}");
                return true;
        }
        if (str_eq(r->target, "/cut")) {
                fake_stream(c, 200);
                fake_chunk_str(c, "half");
                return false;
        }
        if (str_eq(r->target, "/empty"))
                return false;
        if (str_eq(r->target, "/slow")) {
                fake_linger(c, 5000);
                return false;
        }
        fake_stream(c, 200);
        for (int i = 0; i < 3; i++)
                fake_chunk_str(c, "piece,");
        if (str_eq(r->target, "/endless"))
                fake_linger(c, 5000);
        else
                fake_stream_end(c);
        return true;
}

struct fixture {
        struct fake_server *server;
        struct loop *loop;
        struct http_client *client;
};

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        struct http_client_opts opts = {.user_agent = "test/1"};

        f->server = fake_server_start(script, NULL);
        opts.base_url = fake_server_url(f->server);
        if (loop_new(&f->loop))
                return -1;
        opts.loop = f->loop;
        *state = f;
        return http_client_new(&opts, &f->client, NULL);
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        http_client_free(f->client);
        loop_free(f->loop);
        fake_server_stop(f->server);
        free(f);
        return 0;
}

static int get(struct fixture *f, const char *path, struct http_client_response *resp, struct err *err)
{
        struct http_client_request req = {.path = path, .timeout_ms = 3000};

        return http_do(f->client, &req, resp, err);
}

static void blocking_calls_return_status_headers_and_body(void **state)
{
        struct http_client_request req = {.method = "PATCH", .path = "/echo?a=b", .body = "body", .body_len = 4};
        struct http_client_response resp;
        struct err err = ERR_NULL;

        assert_int_equal(http_do(((struct fixture *)*state)->client, &req, &resp, &err), 0);
        assert_int_equal(resp.status, 200);
        assert_string_equal(resp.body.data, "PATCH /echo?a=b body conn=1");
        assert_string_equal(http_response_header(&resp, "x-test"), "yes");
        assert_null(http_response_header(&resp, "x-tes"));
        http_response_deinit(&resp);
}

static void connections_are_reused(void **state)
{
        struct http_client_response resp;
        char first[256];

        assert_int_equal(get(*state, "/echo", &resp, NULL), 0);
        str_copy(first, sizeof(first), resp.body.data);
        http_response_deinit(&resp);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(get(*state, "/echo", &resp, NULL), 0);
                assert_string_equal(resp.body.data, first);
                http_response_deinit(&resp);
        }
}

static void failures_have_their_errno_and_say_where(void **state)
{
        static const struct {
                const char *path;
                size_t limit;
                uint32_t timeout_ms;
                int error;
        } cases[] = {
                {"/cut", 0, 3000, -ECONNRESET},
                {"/empty", 0, 3000, -ECONNRESET},
                {"/slow", 0, 100, -ETIMEDOUT},
                {"/stream", 8, 3000, -EFBIG},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct http_client_request req = {
                        .path = cases[i].path, .limit = cases[i].limit, .timeout_ms = cases[i].timeout_ms};
                struct http_client_response resp;
                struct err err = ERR_NULL;

                print_message("%s\n", cases[i].path);
                assert_int_equal(http_do(((struct fixture *)*state)->client, &req, &resp, &err), cases[i].error);
                assert_non_null(strstr(err.msg, cases[i].path));
                http_response_deinit(&resp);
        }
}

static void nobody_listening_is_connection_refused(void **state)
{
        struct http_client_opts opts = {.base_url = "http://127.0.0.1:1"};
        struct http_client_request req = {.path = "/"};
        struct http_client *c;
        struct http_client_response resp;
        struct err err = ERR_NULL;

        assert_int_equal(http_client_new(&opts, &c, NULL), 0);
        assert_int_equal(http_do(c, &req, &resp, &err), -ECONNREFUSED);
        http_response_deinit(&resp);
        http_client_free(c);
}

static void *cancel_later(void *arg)
{
        usleep(100000);
        atomic_store((atomic_bool *)arg, true);
        return NULL;
}

static void a_blocking_call_can_be_cancelled_from_another_thread(void **state)
{
        atomic_bool cancel = false;
        struct http_client_request req = {.path = "/slow", .cancel = &cancel};
        struct http_client_response resp;
        uint64_t start = clock_mono_ms();
        pthread_t t;

        pthread_create(&t, NULL, cancel_later, &cancel);
        assert_int_equal(http_do(((struct fixture *)*state)->client, &req, &resp, NULL), -ECANCELED);
        assert_true(clock_mono_ms() - start < 2500);
        pthread_join(t, NULL);
        http_response_deinit(&resp);
}

static void unix_sockets_work(void **state)
{
        char path[64];
        struct http_client_opts opts = {.base_url = "http://localhost", .unix_socket = path};
        struct http_client_request req = {.path = "/echo"};
        struct http_client_response resp;
        struct fake_server *s;
        struct http_client *c;

        snprintf(path, sizeof(path), "/tmp/httpclient_test.%d", (int)getpid());
        s = fake_server_start_unix(path, script, NULL);
        assert_int_equal(http_client_new(&opts, &c, NULL), 0);
        assert_int_equal(http_do(c, &req, &resp, NULL), 0);
        assert_int_equal(resp.status, 200);
        http_response_deinit(&resp);
        http_client_free(c);
        fake_server_stop(s);
        unlink(path);
}

/* What the callbacks of one asynchronous call saw. */
struct seen {
        struct loop *loop;
        struct http_call *call;
        struct strbuf data, body;
        int status, error, done, abort;
        int *open;
};

static int on_data(void *userdata, const struct http_client_response *r, const char *data, size_t len)
{
        struct seen *s = userdata;

        s->status = r->status;
        strbuf_add(&s->data, data, len);
        return s->abort;
}

static void on_done(void *userdata, struct http_client_response *r)
{
        struct seen *s = userdata;

        s->status = r->status;
        s->error = r->error;
        s->done++;
        s->body = TAKE(r->body, STRBUF_NULL);
        if (!s->open || --*s->open == 0)
                loop_stop(s->loop);
}

static const struct http_handler streaming = {.data = on_data, .done = on_done};

static struct seen run(struct fixture *f, const char *path, int abort_with)
{
        struct seen s = {.loop = f->loop, .abort = abort_with};
        struct http_client_request req = {.path = path, .timeout_ms = 3000};

        assert_int_equal(http_start(f->client, &req, &streaming, &s, &s.call), 0);
        loop_run(f->loop);
        assert_int_equal(s.done, 1);
        http_call_unref(s.call);
        return s;
}

static void seen_deinit(struct seen *s)
{
        strbuf_deinit(&s->data);
        strbuf_deinit(&s->body);
}

static void streams_are_delivered_as_they_come(void **state)
{
        struct seen s = run(*state, "/stream", 0);

        assert_int_equal(s.status, 200);
        assert_int_equal(s.error, 0);
        assert_string_equal(s.data.data, "piece,piece,piece,");
        seen_deinit(&s);
}

static void the_body_of_a_refused_stream_is_collected(void **state)
{
        struct seen s = run(*state, "/refused", 0);

        assert_int_equal(s.status, 429);
        assert_null(s.data.data);
        assert_string_equal(s.body.data, "{\"kind\":\"Status\"}");
        seen_deinit(&s);
}

static void a_stream_that_breaks_off_is_an_error(void **state)
{
        struct seen s = run(*state, "/cut", 0);

        assert_int_equal(s.error, -ECONNRESET);
        assert_string_equal(s.data.data, "half");
        seen_deinit(&s);
}

static void the_handler_can_break_a_stream_off(void **state)
{
        struct seen s = run(*state, "/endless", -EBADMSG);

        assert_int_equal(s.error, -EBADMSG);
        seen_deinit(&s);
}

static void *cancel_call(void *arg)
{
        usleep(50000);
        http_call_cancel(arg);
        return NULL;
}

static void a_stream_can_be_cancelled_from_another_thread(void **state)
{
        struct fixture *f = *state;
        struct seen s = {.loop = f->loop};
        struct http_client_request req = {.path = "/endless"};
        pthread_t t;

        assert_int_equal(http_start(f->client, &req, &streaming, &s, &s.call), 0);
        pthread_create(&t, NULL, cancel_call, s.call);
        loop_run(f->loop);
        pthread_join(t, NULL);
        assert_int_equal(s.error, -ECANCELED);
        assert_int_equal(s.done, 1);
        http_call_cancel(s.call); /* too late: nothing happens */
        http_call_unref(s.call);
        loop_run_for(f->loop, 10);
        assert_int_equal(s.done, 1);
        seen_deinit(&s);
}

static void hundreds_of_streams_run_without_threads(void **state)
{
        enum { N = 300 };
        struct fixture *f = *state;
        static struct seen seen[N];
        struct http_client_request req = {.path = "/stream", .timeout_ms = 10000};
        int open = N;

        for (int i = 0; i < N; i++) {
                seen[i] = (struct seen){.loop = f->loop, .open = &open};
                assert_int_equal(http_start(f->client, &req, &streaming, &seen[i], NULL), 0);
        }
        loop_run(f->loop);
        for (int i = 0; i < N; i++) {
                assert_int_equal(seen[i].error, 0);
                assert_string_equal(seen[i].data.data, "piece,piece,piece,");
                seen_deinit(&seen[i]);
        }
}

static void freeing_the_client_ends_its_calls(void **state)
{
        struct fixture *f = *state;
        struct http_client_opts opts = {.base_url = fake_server_url(f->server), .loop = f->loop};
        struct http_client_request req = {.path = "/endless"};
        struct seen s[2] = {{.loop = f->loop}, {.loop = f->loop}};
        struct http_client *c;

        assert_int_equal(http_client_new(&opts, &c, NULL), 0);
        assert_int_equal(http_start(c, &req, &streaming, &s[0], NULL), 0);
        loop_run_for(f->loop, 50);
        assert_int_equal(http_start(c, &req, &streaming, &s[1], &s[1].call), 0);
        http_client_free(c);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(s[i].done, 1);
                assert_int_equal(s[i].error, -ECANCELED);
                seen_deinit(&s[i]);
        }
        http_call_cancel(s[1].call);
        http_call_unref(s[1].call);
        loop_run_for(f->loop, 10);
}

static void escaping_leaves_only_unreserved_characters(void **state)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        http_escape(&b, "a=b,c!=d e/\xc3\xbc~");
        assert_string_equal(b.data, "a%3Db%2Cc%21%3Dd%20e%2F%C3%BC~");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(blocking_calls_return_status_headers_and_body),
                cmocka_unit_test(connections_are_reused),
                cmocka_unit_test(failures_have_their_errno_and_say_where),
                cmocka_unit_test(nobody_listening_is_connection_refused),
                cmocka_unit_test(a_blocking_call_can_be_cancelled_from_another_thread),
                cmocka_unit_test(unix_sockets_work),
                cmocka_unit_test(streams_are_delivered_as_they_come),
                cmocka_unit_test(the_body_of_a_refused_stream_is_collected),
                cmocka_unit_test(a_stream_that_breaks_off_is_an_error),
                cmocka_unit_test(the_handler_can_break_a_stream_off),
                cmocka_unit_test(a_stream_can_be_cancelled_from_another_thread),
                cmocka_unit_test(hundreds_of_streams_run_without_threads),
                cmocka_unit_test(freeing_the_client_ends_its_calls),
                cmocka_unit_test(escaping_leaves_only_unreserved_characters),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
