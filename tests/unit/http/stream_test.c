/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTPS server's answers without end: watches. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/str.h"
#include "unit/http/fixture_pki.h"

#define H "Host: h\r\n"

static void expect_chunk(struct client *c, const char *want)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        assert_int_equal(client_chunk(c, &b), *want != '\0');
        if (*want)
                assert_string_equal(b.data, want);
}

static void streams_get_what_other_threads_publish(void **state)
{
        struct fixture *f = *state;
        struct client c;
        struct reply r;

        client_open(f, &c, ID_NONE);
        client_say(&c, "GET /stream HTTP/1.1\r\n" H "\r\n");
        client_reply_head(&c, &r);
        assert_int_equal(r.status, 200);
        assert_true(r.chunked);
        reply_deinit(&r);
        fixture_wait_streams(f, 1);
        fixture_publish(f, "one\n");
        expect_chunk(&c, "one\n");
        fixture_publish(f, "two\n");
        expect_chunk(&c, "two\n");
        fixture_publish(f, "END");
        expect_chunk(&c, "");
        client_expect(&c, "GET /hello HTTP/1.1\r\n" H "\r\n", 200, "hello");
        assert_int_equal(atomic_load(&f->closed_streams), 1);
        client_close(&c);
}

static void a_stream_ends_when_its_client_leaves(void **state)
{
        struct fixture *f = *state;
        struct client c[3];
        struct reply r;
        int i;

        for (i = 0; i < 3; i++) {
                client_open(f, &c[i], ID_NONE);
                client_say(&c[i], "GET /stream HTTP/1.1\r\n" H "\r\n");
                client_reply_head(&c[i], &r);
                reply_deinit(&r);
        }
        fixture_wait_streams(f, 3);
        gnutls_bye(c[0].session, GNUTLS_SHUT_WR);
        fixture_wait_streams(f, 2);
        shutdown(c[1].fd, SHUT_WR);
        fixture_wait_streams(f, 1);
        setsockopt(c[2].fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
        close(dup2(c[0].fd, c[2].fd)); /* a reset */
        fixture_wait_streams(f, 0);
        c[2].fd = -1;
        for (i = 0; i < 3; i++)
                client_close(&c[i]);
        assert_int_equal(atomic_load(&f->done), 3);
}

static void an_old_client_gets_a_stream_without_chunks(void **state)
{
        struct fixture *f = *state;
        struct client c;
        struct reply r;
        char buf[8];

        client_open(f, &c, ID_NONE);
        client_say(&c, "GET /stream HTTP/1.0\r\n\r\n");
        client_reply_head(&c, &r);
        assert_false(r.chunked);
        assert_non_null(strstr(r.head, "Connection: close\r\n"));
        reply_deinit(&r);
        fixture_wait_streams(f, 1);
        fixture_publish(f, "abc");
        assert_int_equal(gnutls_record_recv(c.session, buf, sizeof(buf)), 3);
        fixture_publish(f, "END");
        client_expect_closed(&c);
        client_close(&c);
}

static void *publisher(void *arg)
{
        int i;

        for (i = 0; i < 200; i++) {
                fixture_publish(arg, "0123456789\n");
                usleep(100);
        }
        return NULL;
}

/* Wakes from two threads while clients come and go; each stream sees whole events. */
static void wakes_meet_streams_that_open_and_close(void **state)
{
        struct fixture *f = *state;
        pthread_t t[2];
        int i, round;

        for (i = 0; i < 2; i++)
                assert_int_equal(pthread_create(&t[i], NULL, publisher, f), 0);
        for (round = 0; round < 30; round++) {
                _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
                struct client c;
                struct reply r;

                client_open(f, &c, ID_NONE);
                client_say(&c, "GET /stream HTTP/1.1\r\n" H "\r\n");
                client_reply_head(&c, &r);
                reply_deinit(&r);
                fixture_wait_streams(f, 1);
                fixture_publish(f, "0123456789\n");
                client_chunk(&c, &b);
                assert_int_equal(b.len % 11, 0);
                client_close(&c);
                fixture_wait_streams(f, 0);
        }
        for (i = 0; i < 2; i++)
                pthread_join(t[i], NULL);
        assert_int_equal(atomic_load(&f->closed_streams), 30);
}

#ifdef __SANITIZE_ADDRESS__
#define MANY 300
#else
#define MANY 2000
#endif

static void thousands_of_streams_are_served_at_once(void **state)
{
        struct fixture *f = *state;
        struct rlimit limit;
        struct client *c = calloc(MANY, sizeof(*c));
        struct reply r;
        int i;

        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        for (i = 0; i < MANY; i++) {
                client_open(f, &c[i], ID_NONE);
                client_say(&c[i], "GET /stream HTTP/1.1\r\n" H "\r\n");
        }
        for (i = 0; i < MANY; i++) {
                client_reply_head(&c[i], &r);
                reply_deinit(&r);
        }
        fixture_wait_streams(f, MANY);
        fixture_publish(f, "event\n");
        for (i = 0; i < MANY; i++)
                expect_chunk(&c[i], "event\n");
        for (i = 0; i < MANY; i++)
                client_close(&c[i]);
        fixture_wait_streams(f, 0);
        free(c);
}

static void stopping_ends_streams_and_lets_requests_finish(void **state)
{
        struct fixture *f = *state;
        struct client stream, slow, idle;
        uint64_t begin;
        struct reply r;

        client_open(f, &stream, ID_NONE);
        client_open(f, &slow, ID_NONE);
        client_open(f, &idle, ID_NONE);
        client_say(&stream, "GET /stream HTTP/1.1\r\n" H "\r\n");
        client_reply_head(&stream, &r);
        reply_deinit(&r);
        client_say(&slow, "GET /slow?x HTTP/1.1\r\n" H "\r\nGET /hello HTTP/1.1\r\n" H "\r\n");
        usleep(30000);
        begin = clock_mono_ms();
        /* The clients here do not read meanwhile, so that what was sent is in the sockets; they linger. */
        http_server_stop(TAKE_PTR(f->server), 1000);
        assert_true(clock_mono_ms() - begin < 2500);
        expect_chunk(&stream, "");
        client_expect_closed(&stream);
        client_reply(&slow, &r, false);
        assert_string_equal(r.body.data, "GET x ");
        assert_non_null(strstr(r.head, "Connection: close\r\n"));
        reply_deinit(&r);
        client_expect_closed(&slow);
        client_expect_closed(&idle);
        client_close(&stream);
        client_close(&slow);
        client_close(&idle);
        assert_int_equal(f->nstreams, 0);
        assert_int_equal(atomic_load(&f->done), 2);
        blob_unref(TAKE_PTR(f->big));
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, http_group_stop)

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH(http_group_start, streams_get_what_other_threads_publish),
                WITH(http_group_start, a_stream_ends_when_its_client_leaves),
                WITH(http_group_start, an_old_client_gets_a_stream_without_chunks),
                WITH(http_group_start, wakes_meet_streams_that_open_and_close),
                WITH(http_group_start, thousands_of_streams_are_served_at_once),
                WITH(http_group_start, stopping_ends_streams_and_lets_requests_finish),
        };

        return cmocka_run_group_tests(tests, http_group_begin, http_group_end);
}
