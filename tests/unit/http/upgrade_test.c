/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that leave HTTP (101), and answers that come later from another thread. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "unit/http/fixture_pki.h"

#define H    "Host: x\r\nConnection: Upgrade\r\nUpgrade: test/1\r\n"
#define MANY (10 * 1024 * 1024)

static void expect_101(struct client *c)
{
        struct reply r;

        client_reply_head(c, &r);
        assert_int_equal(r.status, 101);
        assert_non_null(strstr(r.head, "HTTP/1.1 101 Switching Protocols\r\n"));
        assert_non_null(strstr(r.head, "Connection: Upgrade\r\nUpgrade: test/1\r\n"));
        assert_null(strstr(r.head, "Content-Length"));
        assert_null(strstr(r.head, "Transfer-Encoding"));
        reply_deinit(&r);
}

/* Returns the application's end. */
static int upgrade(struct fixture *f, struct client *c)
{
        client_open(f, c, ID_NONE);
        client_say(c, "GET /upgrade HTTP/1.1\r\n" H "\r\n");
        expect_101(c);
        return fixture_take_upgraded(f);
}

static void expect_bytes(int fd, const char *want)
{
        char buf[64] = "";

        assert_int_equal(recv(fd, buf, strlen(want), MSG_WAITALL), strlen(want));
        assert_string_equal(buf, want);
}

static void client_expect_bytes(struct client *c, const char *want)
{
        char buf[64] = "";
        size_t n = 0;

        while (n < strlen(want)) {
                ssize_t r = gnutls_record_recv(c->session, buf + n, strlen(want) - n);

                assert_true(r > 0);
                n += (size_t)r;
        }
        assert_string_equal(buf, want);
}

/* close_notify, not only the end of TCP. */
static void client_expect_bye(struct client *c)
{
        char b;

        assert_int_equal(gnutls_record_recv(c->session, &b, 1), 0);
}

static void bytes_behind_the_head_are_not_lost(void **state)
{
        struct fixture *f = *state;
        static const char *const heads[] = {
                "GET /upgrade HTTP/1.1\r\n" H "\r\nearly",
                "GET /upgrade?worker HTTP/1.1\r\n" H "\r\nearly",
                "POST /upgrade?worker HTTP/1.1\r\nContent-Length: 4\r\n" H "\r\nbodyearly",
        };
        size_t i;

        for (i = 0; i < ARRAY_SIZE(heads); i++) {
                struct client c;
                int fd;

                client_open(f, &c, ID_NONE);
                client_say(&c, heads[i]);
                client_say(&c, " bird");
                fd = fixture_take_upgraded(f);
                expect_101(&c);
                expect_bytes(fd, "early bird");
                close(fd);
                client_expect_bye(&c);
                client_close(&c);
        }
}

static void either_side_can_end_first_and_still_listen(void **state)
{
        struct fixture *f = *state;
        struct client c;
        int fd = upgrade(f, &c);
        char b;

        client_say(&c, "question");
        gnutls_bye(c.session, GNUTLS_SHUT_WR);
        expect_bytes(fd, "question");
        assert_int_equal(recv(fd, &b, 1, 0), 0);
        assert_int_equal(send(fd, "answer", 6, 0), 6);
        client_expect_bytes(&c, "answer");
        close(fd);
        client_expect_bye(&c);
        client_close(&c);

        fd = upgrade(f, &c);
        assert_int_equal(send(fd, "first", 5, 0), 5);
        shutdown(fd, SHUT_WR);
        client_expect_bytes(&c, "first");
        client_expect_bye(&c);
        client_say(&c, "second");
        expect_bytes(fd, "second");
        gnutls_bye(c.session, GNUTLS_SHUT_WR);
        assert_int_equal(recv(fd, &b, 1, 0), 0);
        close(fd);
        client_close(&c);
}

static void all_that_was_said_before_closing_arrives(void **state)
{
        struct fixture *f = *state;
        struct client c;
        int fd = upgrade(f, &c);

        client_say(&c, "not read by anybody");
        assert_int_equal(send(fd, "the last words", 14, 0), 14);
        close(fd);
        client_expect_bytes(&c, "the last words");
        client_expect_bye(&c);
        client_close(&c);
}

static void a_client_that_leaves_is_noticed(void **state)
{
        struct fixture *f = *state;
        struct client c;
        int fd = upgrade(f, &c);
        char b;

        client_close(&c);
        assert_int_equal(recv(fd, &b, 1, 0), 0);
        close(fd);
}

static char pattern(size_t i)
{
        return (char)(i * 2654435761U >> 13);
}

static void *send_many(void *arg)
{
        struct client *c = arg;
        char buf[10000];
        size_t i, j;

        for (i = 0; i < MANY; i += j) {
                for (j = 0; j < sizeof(buf) && i + j < MANY; j++)
                        buf[j] = pattern(i + j);
                client_send(c, buf, j);
        }
        return NULL;
}

static void *echo(void *arg)
{
        int fd = *(int *)arg;
        char buf[5000];
        ssize_t n;

        while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
                if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
                        break;
        shutdown(fd, SHUT_WR);
        return NULL;
}

static void many_bytes_go_both_ways_unchanged(void **state)
{
        struct fixture *f = *state;
        char *buf = mem_alloc(16384);
        pthread_t writer, app;
        struct client c;
        int fd = upgrade(f, &c);
        size_t i = 0, k;

        pthread_create(&app, NULL, echo, &fd);
        pthread_create(&writer, NULL, send_many, &c);
        while (i < MANY) {
                ssize_t n = gnutls_record_recv(c.session, buf, 16384);

                assert_true(n > 0);
                for (k = 0; k < (size_t)n; k++, i++)
                        if (buf[k] != pattern(i))
                                fail_msg("byte %zu differs", i);
        }
        pthread_join(writer, NULL);
        gnutls_bye(c.session, GNUTLS_SHUT_WR);
        client_expect_bye(&c);
        pthread_join(app, NULL);
        close(fd);
        client_close(&c);
        free(buf);
}

/* Neither side reads: what one can say is bounded by the sockets' buffers. */
static void who_does_not_read_stops_the_other(void **state)
{
        struct fixture *f = *state;
        struct timeval short_while = {.tv_usec = 300000};
        char *buf = calloc(1, 16384);
        struct client c;
        int fd = upgrade(f, &c);
        size_t said = 0, heard = 0;
        ssize_t n;

        setsockopt(c.fd, SOL_SOCKET, SO_SNDTIMEO, &short_while, sizeof(short_while));
        while ((n = gnutls_record_send(c.session, buf, 16384)) > 0)
                said += (size_t)n;
        assert_int_equal(n, GNUTLS_E_AGAIN);
        assert_in_range(said, 16384, 32 * 1024 * 1024);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &short_while, sizeof(short_while));
        while (send(fd, buf, 16384, MSG_NOSIGNAL) > 0)
                ;
        assert_int_equal(errno, EAGAIN);
        while (heard < said && (n = recv(fd, buf, 16384, 0)) > 0)
                heard += (size_t)n;
        assert_int_equal(heard, said);
        close(fd);
        client_close(&c);
        free(buf);
}

static void old_http_is_not_upgraded(void **state)
{
        struct fixture *f = *state;
        struct client c;

        client_open(f, &c, ID_NONE);
        client_expect(&c, "GET /upgrade HTTP/1.0\r\n\r\n", 400, "400 HTTP/1.0 has no upgrades");
        client_close(&c);
        close(fixture_take_upgraded(f));
}

static void stopping_ends_both_sides(void **state)
{
        struct fixture *f = *state;
        uint64_t begin;
        struct client c;
        int fd = upgrade(f, &c);
        char b;

        assert_int_equal(send(fd, "last", 4, 0), 4);
        begin = clock_mono_ms();
        http_server_stop(TAKE_PTR(f->server), 1000);
        assert_true(clock_mono_ms() - begin < 900);
        client_expect_bytes(&c, "last");
        client_expect_bye(&c);
        assert_int_equal(recv(fd, &b, 1, 0), 0);
        close(fd);
        client_close(&c);
        blob_unref(TAKE_PTR(f->big));
}

static void answers_may_come_later(void **state)
{
        struct fixture *f = *state;
        struct client c;
        int i;

        client_open(f, &c, ID_NONE);
        for (i = 0; i < 50; i++) {
                client_expect(&c, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n", 200, "late ");
                client_expect(&c, "GET /later?w HTTP/1.1\r\nHost: x\r\n\r\n", 200, "late w");
        }
        client_expect(&c, "GET /later?slow HTTP/1.1\r\nHost: x\r\n\r\n", 200, "late slow");
        client_say(&c, "GET /later?goes HTTP/1.1\r\nHost: x\r\n\r\n");
        client_close(&c);
        client_open(f, &c, ID_NONE);
        client_say(&c, "GET /later?stop HTTP/1.1\r\nHost: x\r\n\r\n");
        usleep(10000);
        http_server_stop(TAKE_PTR(f->server), 0); /* waits for the answer, though nobody gets it */
        assert_int_equal(atomic_load(&f->done), 103);
        client_close(&c);
        blob_unref(TAKE_PTR(f->big));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, http_group_start, http_group_stop)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(bytes_behind_the_head_are_not_lost),
                TEST(either_side_can_end_first_and_still_listen),
                TEST(all_that_was_said_before_closing_arrives),
                TEST(a_client_that_leaves_is_noticed),
                TEST(many_bytes_go_both_ways_unchanged),
                TEST(who_does_not_read_stops_the_other),
                TEST(old_http_is_not_upgraded),
                TEST(stopping_ends_both_sides),
                TEST(answers_may_come_later),
        };

        return cmocka_run_group_tests(tests, http_group_begin, http_group_end);
}
