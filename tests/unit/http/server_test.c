/* SPDX-License-Identifier: Apache-2.0 */
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

static int start_hasty(void **state)
{
        struct http_config config = http_group_limits;

        config.head_timeout_ms = config.body_timeout_ms = config.idle_timeout_ms = config.write_timeout_ms = 300;
        return http_group_start_with(state, &config);
}

static void a_connection_serves_many_requests(void **state)
{
        struct fixture *f = *state;
        struct http_stats stats;
        struct client c;
        int i;

        client_open(f, &c, ID_NONE);
        for (i = 0; i < 20; i++) {
                client_expect(&c, "GET /hello HTTP/1.1\r\n" H "\r\n", 200, "hello");
                client_expect(&c, "POST /echo?q HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", 200, "POST q abc");
        }
        http_server_stats(f->server, &stats);
        assert_int_equal(stats.accepted_total, 1);
        assert_int_equal(stats.connections, 1);
        assert_int_equal(stats.requests_total, 40);
        client_say(&c, "GET /hello HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
        client_expect(&c, "", 200, "hello");
        client_expect_closed(&c);
        client_close(&c);
        assert_int_equal(atomic_load(&f->done), 41);
        assert_int_equal(atomic_load(&f->bytes), 21 * 5 + 20 * 10);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
        struct fixture *f = *state;
        struct client c;

        client_open(f, &c, ID_NONE);
        client_say(&c, "GET /slow?1 HTTP/1.1\r\n" H "\r\nPOST /echo?2 HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nhi"
                       "GET /hello HTTP/1.1\r\n" H "\r\nPOST /echo?4 HTTP/1.1\r\n" H
                       "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGET /hel");
        client_expect(&c, "", 200, "GET 1 ");
        client_expect(&c, "", 200, "POST 2 hi");
        client_expect(&c, "", 200, "hello");
        client_expect(&c, "", 200, "POST 4 x");
        client_expect(&c, "lo HTTP/1.1\r\n" H "\r\n", 200, "hello");
        client_close(&c);
}

/* More than the server would ever keep: it stops reading, and goes on when it has answered. */
static void a_flood_of_pipelined_requests_is_answered_one_by_one(void **state)
{
        struct fixture *f = *state;
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        struct client c;
        int i;

        client_open(f, &c, ID_NONE);
        for (i = 0; i < 4000; i++)
                strbuf_printf(&b, "GET /%s?%d HTTP/1.1\r\n" H "\r\n", i % 100 ? "x" : "echo", i);
        client_send(&c, b.data, b.len);
        for (i = 0; i < 4000; i++) {
                char want[32];

                snprintf(want, sizeof(want), "GET %d ", i);
                client_expect(&c, "", 200, want);
        }
        client_close(&c);
}

static void bodies_arrive_in_any_pieces(void **state)
{
        static const char text[] =
                "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3;ext\r\nabc\r\n"
                "5\r\ndefgh\r\n0\r\nTrailer: x\r\n\r\nPOST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n12345";
        struct fixture *f = *state;
        struct client c;
        size_t i;

        client_open(f, &c, ID_NONE);
        for (i = 0; i < strlen(text); i++)
                client_send(&c, text + i, 1);
        client_expect(&c, "", 200, "POST  abcdefgh");
        client_expect(&c, "", 200, "POST  12345");
        client_close(&c);
}

static void a_client_that_asks_first_is_told_to_go_on(void **state)
{
        struct fixture *f = *state;
        struct client c;

        client_open(f, &c, ID_NONE);
        client_expect(&c, "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", 100, NULL);
        client_expect(&c, "hi", 200, "POST  hi");
        client_expect(&c, "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 200000\r\n\r\n", 413,
                      NULL);
        client_expect_closed(&c);
        client_close(&c);
        client_open(f, &c, ID_NONE);
        client_expect(&c, "POST /refuse HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", 429, NULL);
        client_expect_closed(&c);
        client_close(&c);
}

static void what_is_too_large_gets_an_answer(void **state)
{
        struct fixture *f = *state;
        _cleanup_free_ char *x = malloc(300001);
        struct client c;

        memset(x, 'x', 300000);
        x[300000] = '\0';
        client_open(f, &c, ID_NONE);
        client_say(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 300000\r\n\r\n");
        client_say(&c, x);
        client_expect(&c, "", 413, "413 Request entity too large: limit is 100000");
        client_expect_closed(&c);
        client_close(&c);

        client_open(f, &c, ID_NONE);
        client_say(&c, "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n493e0\r\n");
        client_say(&c, x);
        client_expect(&c, "", 413, NULL);
        client_expect_closed(&c);
        client_close(&c);

        x[5000] = '\0';
        client_open(f, &c, ID_NONE);
        client_say(&c, "GET /hello HTTP/1.1\r\n" H "X: ");
        client_say(&c, x);
        client_expect(&c, "", 431, NULL);
        client_expect_closed(&c);
        client_close(&c);

        client_open(f, &c, ID_NONE);
        client_say(&c, "GET /");
        client_say(&c, x);
        client_expect(&c, "", 414, NULL);
        client_expect_closed(&c);
        client_close(&c);

        client_open(f, &c, ID_NONE);
        client_expect(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", 413, NULL);
        client_close(&c);
        assert_int_equal(atomic_load(&f->handled), 0);
}

/* What follows must not be taken for a request. */
static void requests_of_two_meanings_are_refused_and_end_the_connection(void **state)
{
        static const struct {
                const char *text;
                int status;
        } rows[] = {
                {"POST /echo HTTP/1.1\r\n" H "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
                {"POST /echo HTTP/1.1\r\n" H "Content-Length: 0\r\nContent-Length: 44\r\n\r\n", 400},
                {"POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n", 400},
                {"POST /echo HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
                {"POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 501},
                {"POST /echo HTTP/1.1\r\n" H "X: a\r\n Content-Length: 5\r\n\r\n", 400},
                {"POST /echo HTTP/1.1\r\n" H "X: a\nContent-Length: 5\r\n\r\n", 400},
                {"POST /echo HTTP/1.1\r\n" H H "\r\n", 400},
                {"POST /echo HTTP/1.1\r\n" H "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\n", 415},
                {"GET / HTTP/3.0\r\n" H "\r\n", 505},
                {"\x16\x03\x01\x02\r\n\r\n", 400},
        };
        struct fixture *f = *state;
        struct client c;
        size_t i;

        for (i = 0; i < ARRAY_SIZE(rows); i++) {
                client_open(f, &c, ID_NONE);
                client_say(&c, rows[i].text);
                client_say(&c, "GET /hello HTTP/1.1\r\n" H "\r\n");
                client_expect(&c, "", rows[i].status, NULL);
                client_expect_closed(&c);
                client_close(&c);
        }
        assert_int_equal(atomic_load(&f->handled), 0);
}

static void expect_status_then_end(struct client *c, int status)
{
        client_expect(c, "", status, NULL);
        client_expect_closed(c);
        client_close(c);
}

static void slow_clients_are_cut_off(void **state)
{
        struct fixture *f = *state;
        uint64_t begin = clock_mono_ms();
        struct client silent, head, body, trickle;
        int i;

        client_open(f, &silent, ID_NONE);
        client_open(f, &head, ID_NONE);
        client_open(f, &body, ID_NONE);
        client_open(f, &trickle, ID_NONE);
        client_say(&head, "GET /hello HT");
        client_say(&body, "POST /echo HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nabc");
        for (i = 0; i < 5; i++) { /* always something, never a head */
                client_say(&trickle, "A");
                usleep(50000);
        }
        expect_status_then_end(&trickle, 408);
        expect_status_then_end(&head, 408);
        expect_status_then_end(&body, 408);
        client_expect_closed(&silent);
        client_close(&silent);
        assert_true(clock_mono_ms() - begin >= 300);
        assert_true(clock_mono_ms() - begin < 3000);
        assert_int_equal(atomic_load(&f->handled), 0);
}

static void a_client_that_does_not_read_holds_up_nobody_and_is_cut_off(void **state)
{
        struct fixture *f = *state;
        struct client lazy, c;
        struct http_stats stats;
        int i, small = 4096;

        client_open(f, &lazy, ID_NONE);
        setsockopt(lazy.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        client_say(&lazy, "GET /big HTTP/1.1\r\n" H "\r\n");
        for (i = 0; i < 3; i++) { /* both loops get one at least */
                uint64_t begin = clock_mono_ms();

                client_open(f, &c, ID_NONE);
                client_expect(&c, "GET /hello HTTP/1.1\r\n" H "\r\n", 200, "hello");
                assert_true(clock_mono_ms() - begin < 250);
                client_close(&c);
        }
        for (i = 0; i < 200; i++) {
                http_server_stats(f->server, &stats);
                if (!stats.connections)
                        break;
                usleep(20000);
        }
        assert_int_equal(stats.connections, 0);
        client_close(&lazy);
}

static void the_peer_is_who_its_certificate_says(void **state)
{
        static const struct {
                enum identity id;
                const char *who;
        } rows[] = {
                {ID_NONE, "nobody "},     {ID_ADMIN, "verified admin|system:masters|second, group"},
                {ID_FOREIGN, "refused "}, {ID_EXPIRED, "refused "},
                {ID_SERVER, "refused "},
        };
        struct fixture *f = *state;
        struct client c;
        size_t i;

        for (i = 0; i < ARRAY_SIZE(rows); i++) {
                client_open(f, &c, rows[i].id);
                client_expect(&c, "GET /who HTTP/1.1\r\n" H "\r\n", 200, rows[i].who);
                client_expect(&c, "GET /who HTTP/1.1\r\n" H "\r\n", 200, rows[i].who);
                client_close(&c);
        }
}

static void long_answers_are_compressed_when_the_client_likes_that(void **state)
{
        struct fixture *f = *state;
        z_stream z = {0};
        struct client c;
        struct reply r;
        char *out = malloc(f->big->len + 1);

        client_open(f, &c, ID_NONE);
        client_say(&c, "GET /big HTTP/1.1\r\n" H "Accept-Encoding: gzip\r\n\r\n");
        client_reply(&c, &r, false);
        assert_non_null(strstr(r.head, "Content-Encoding: gzip\r\n"));
        assert_true(r.body.len < f->big->len / 2);
        assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
        z.next_in = (Bytef *)r.body.data;
        z.avail_in = (uInt)r.body.len;
        z.next_out = (Bytef *)out;
        z.avail_out = f->big->len + 1;
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        assert_int_equal(z.total_out, f->big->len);
        assert_int_equal(z.avail_in, 0);
        assert_memory_equal(out, f->big->data, f->big->len);
        inflateEnd(&z);
        reply_deinit(&r);
        client_say(&c, "GET /big HTTP/1.1\r\n" H "Accept-Encoding: gzip;q=0\r\n\r\n");
        client_reply(&c, &r, false);
        assert_int_equal(r.body.len, f->big->len);
        assert_memory_equal(r.body.data, f->big->data, f->big->len);
        reply_deinit(&r);
        client_close(&c);
        free(out);
}

static void answers_in_parts_come_out_whole(void **state)
{
        static const char pieces[] = "0123456789abcdefghijklmnopqrstuvwxyz";
        struct fixture *f = *state;
        struct client c;
        struct reply r;
        size_t i, at = 0;

        client_open(f, &c, ID_NONE);
        client_say(&c, "GET /parts HTTP/1.1\r\n" H "\r\n");
        client_reply(&c, &r, false);
        for (i = 0; i < 1000; i++) {
                assert_memory_equal(r.body.data + at, pieces, i % 36);
                at += i % 36;
        }
        assert_int_equal(r.body.len, at);
        reply_deinit(&r);
        client_expect(&c, "GET /hello HTTP/1.1\r\n" H "\r\n", 200, "hello");
        client_close(&c);
}

/* Otherwise the client would take the next answer for the rest of this one. */
static void an_answer_shorter_than_announced_ends_the_connection(void **state)
{
        struct fixture *f = *state;
        struct client c;
        struct reply r;
        char buf[4096];
        ssize_t n;

        client_open(f, &c, ID_NONE);
        client_say(&c, "GET /short HTTP/1.1\r\n" H "\r\nGET /hello HTTP/1.1\r\n" H "\r\n");
        client_reply_head(&c, &r);
        reply_deinit(&r);
        while ((n = gnutls_record_recv(c.session, buf, sizeof(buf))) > 0)
                assert_null(memmem(buf, (size_t)n, "HTTP/1.1", 8));
        client_close(&c);
}

static void head_gets_the_head_only(void **state)
{
        struct fixture *f = *state;
        struct client c;
        struct reply r;

        client_open(f, &c, ID_NONE);
        client_say(&c, "HEAD /hello HTTP/1.1\r\n" H "\r\n");
        client_reply(&c, &r, true);
        assert_non_null(strstr(r.head, "Content-Length: 5\r\n"));
        reply_deinit(&r);
        client_say(&c, "HEAD /stream HTTP/1.1\r\n" H "\r\n");
        client_reply(&c, &r, true);
        assert_int_equal(r.status, 200);
        reply_deinit(&r);
        client_expect(&c, "GET /hello HTTP/1.1\r\n" H "\r\n", 200, "hello");
        assert_int_equal(atomic_load(&f->closed_streams), 1);
        client_close(&c);
}

static void a_line_break_in_a_header_makes_no_header(void **state)
{
        struct fixture *f = *state;
        struct client c;
        struct reply r;

        client_open(f, &c, ID_NONE);
        client_say(&c, "GET /inject HTTP/1.1\r\n" H "\r\n");
        client_reply(&c, &r, false);
        assert_non_null(strstr(r.head, "X-Text: a  X-Evil: 1\r\n"));
        reply_deinit(&r);
        client_close(&c);
}

static void a_refused_request_leaves_the_connection_usable(void **state)
{
        struct fixture *f = *state;
        struct client c;
        struct reply r;

        client_open(f, &c, ID_NONE);
        client_say(&c, "POST /refuse HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc");
        client_reply(&c, &r, false);
        assert_int_equal(r.status, 429);
        assert_non_null(strstr(r.head, "Retry-After: 1\r\n"));
        reply_deinit(&r);
        client_expect(&c, "GET /hello HTTP/1.1\r\n" H "\r\n", 200, "hello");
        client_close(&c);
        assert_int_equal(atomic_load(&f->handled), 1);
}

static void more_requests_than_workers_wait_their_turn(void **state)
{
        struct fixture *f = *state;
        struct client c[12];
        struct http_stats stats;
        int i;

        for (i = 0; i < 12; i++) {
                client_open(f, &c[i], ID_NONE);
                client_say(&c[i], "GET /slow HTTP/1.1\r\n" H "\r\n");
        }
        http_server_stats(f->server, &stats);
        assert_in_range(stats.workers_busy, 1, 4);
        for (i = 0; i < 12; i++) {
                client_expect(&c[i], "", 200, "GET  ");
                client_close(&c[i]);
        }
        http_server_stats(f->server, &stats);
        assert_int_equal(stats.queue_len, 0);
}

static void a_client_may_leave_while_a_worker_has_its_request(void **state)
{
        struct fixture *f = *state;
        struct client c;
        int i;

        client_open(f, &c, ID_NONE);
        client_say(&c, "GET /slow HTTP/1.1\r\n" H "\r\n");
        setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
        usleep(20000);
        client_close(&c);
        for (i = 0; i < 200 && !atomic_load(&f->done); i++)
                usleep(10000);
        assert_int_equal(atomic_load(&f->done), 1);
}

static void bodies_together_are_bounded(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        struct http_config config = http_group_limits;
        _cleanup_free_ char *x = calloc(1, 90001);
        struct client c[3];
        int i;

        memset(x, 'x', 90000);
        config.max_body_total = 250000;
        f->pki = &http_group_pki;
        fixture_start(f, config);
        for (i = 0; i < 3; i++) {
                client_open(f, &c[i], ID_NONE);
                if (i == 2)
                        usleep(500000); /* threads of its own read the first two: they must have had the time to */
                client_say(&c[i], "POST /echo HTTP/1.1\r\n" H "Content-Length: 90001\r\n\r\n");
                client_say(&c[i], x);
        }
        client_expect(&c[2], "", 429, NULL);
        client_expect_closed(&c[2]);
        client_expect(&c[0], "y", 200, NULL);
        client_expect(&c[1], "y", 200, NULL);
        for (i = 0; i < 3; i++)
                client_close(&c[i]);
        fixture_stop(f, 100);
        free(f);
}

static void connections_beyond_the_limit_are_closed(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        struct http_config config = http_group_limits;
        struct client c[3];
        int i;

        config.max_connections = 3;
        f->pki = &http_group_pki;
        fixture_start(f, config);
        for (i = 0; i < 3; i++)
                client_open(f, &c[i], ID_NONE);
        assert_false(client_accepted(f));
        for (i = 0; i < 3; i++) {
                client_expect(&c[i], "GET /hello HTTP/1.1\r\n" H "\r\n", 200, "hello");
                client_close(&c[i]);
        }
        fixture_stop(f, 100);
        free(f);
}

static void *raise_limit(void *arg)
{
        usleep(400000);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, arg), 0);
        return NULL;
}

static void running_out_of_descriptors_only_delays_clients(void **state)
{
        struct fixture *f = *state;
        struct rlimit old, tight;
        struct timespec cpu[2];
        struct client c;
        pthread_t t;
        int next = dup(0);

        assert_true(next >= 0);
        close(next);
        getrlimit(RLIMIT_NOFILE, &old);
        tight = old;
        tight.rlim_cur = (rlim_t)next + 1; /* one for the client, none for the server */
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
        assert_int_equal(pthread_create(&t, NULL, raise_limit, &old), 0);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu[0]);
        client_open(f, &c, ID_NONE);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu[1]);
        /* The server did not spin on the listening socket meanwhile. */
        assert_true((cpu[1].tv_sec - cpu[0].tv_sec) * 1000 + (cpu[1].tv_nsec - cpu[0].tv_nsec) / 1000000 < 200);
        client_expect(&c, "GET /hello HTTP/1.1\r\n" H "\r\n", 200, "hello");
        client_close(&c);
        pthread_join(t, NULL);
}

static void server_name(struct client *c, char *buf, size_t size)
{
        unsigned n;
        const gnutls_datum_t *chain = gnutls_certificate_get_peers(c->session, &n);
        gnutls_x509_crt_t crt;

        gnutls_x509_crt_init(&crt);
        assert_int_equal(gnutls_x509_crt_import(crt, chain, GNUTLS_X509_FMT_DER), 0);
        assert_int_equal(gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, buf, &size), 0);
        gnutls_x509_crt_deinit(crt);
}

static void a_new_certificate_is_taken_up_without_a_break(void **state)
{
        struct fixture *f = *state;
        struct client before, after;
        struct err e = ERR_NULL;
        char name[32];

        client_open(f, &before, ID_NONE);
        server_name(&before, name, sizeof(name));
        assert_string_equal(name, "first");
        test_pki_server_cert(&http_group_pki, "second");
        assert_int_equal(http_server_reload(f->server, &e), 0);
        client_open(f, &after, ID_NONE);
        server_name(&after, name, sizeof(name));
        assert_string_equal(name, "second");
        client_expect(&before, "GET /hello HTTP/1.1\r\n" H "\r\n", 200, "hello");
        client_expect(&after, "GET /hello HTTP/1.1\r\n" H "\r\n", 200, "hello");
        client_close(&before);
        client_close(&after);
}

static void what_is_wrong_with_the_files_or_the_address_is_said(void **state)
{
        static const struct http_app app = {0};
        struct http_config config = {.address = "127.0.0.1", .cert_file = "/nonexistent", .key_file = "/nonexistent"};
        struct http_server *s = NULL;
        struct err e = ERR_NULL;

        assert_true(http_server_new(&config, &app, &s, &e) < 0);
        assert_non_null(strstr(e.msg, "/nonexistent"));
        assert_null(s);
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, http_group_stop)

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH(http_group_start, a_connection_serves_many_requests),
                WITH(http_group_start, pipelined_requests_are_answered_in_order),
                WITH(http_group_start, a_flood_of_pipelined_requests_is_answered_one_by_one),
                WITH(http_group_start, bodies_arrive_in_any_pieces),
                WITH(http_group_start, a_client_that_asks_first_is_told_to_go_on),
                WITH(http_group_start, what_is_too_large_gets_an_answer),
                WITH(http_group_start, requests_of_two_meanings_are_refused_and_end_the_connection),
                WITH(start_hasty, slow_clients_are_cut_off),
                WITH(start_hasty, a_client_that_does_not_read_holds_up_nobody_and_is_cut_off),
                WITH(http_group_start, the_peer_is_who_its_certificate_says),
                WITH(http_group_start, long_answers_are_compressed_when_the_client_likes_that),
                WITH(http_group_start, answers_in_parts_come_out_whole),
                WITH(http_group_start, an_answer_shorter_than_announced_ends_the_connection),
                WITH(http_group_start, head_gets_the_head_only),
                WITH(http_group_start, a_line_break_in_a_header_makes_no_header),
                WITH(http_group_start, a_refused_request_leaves_the_connection_usable),
                WITH(http_group_start, more_requests_than_workers_wait_their_turn),
                WITH(http_group_start, a_client_may_leave_while_a_worker_has_its_request),
                WITH(http_group_start, running_out_of_descriptors_only_delays_clients),
                WITH(http_group_start, a_new_certificate_is_taken_up_without_a_break),
                cmocka_unit_test(bodies_together_are_bounded),
                cmocka_unit_test(connections_beyond_the_limit_are_closed),
                cmocka_unit_test(what_is_wrong_with_the_files_or_the_address_is_said),
        };

        return cmocka_run_group_tests(tests, http_group_begin, http_group_end);
}
