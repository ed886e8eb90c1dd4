/* SPDX-License-Identifier: Apache-2.0 */
/* Worker threads come with the load and go with it. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "unit/http/fixture.h"
#include "unit/http/fixture_pki.h"

#define IDLE_MS 50
#define CLIENTS 8

static struct fixture fix;
static struct test_pki pki;

static int make_pki(void **state)
{
        test_pki_init(&pki);
        return 0;
}

static int remove_pki(void **state)
{
        test_pki_deinit(&pki);
        return 0;
}

static int start(void **state)
{
        fix = (struct fixture){.pki = &pki};
        fixture_start(&fix, (struct http_config){.worker_idle_ms = IDLE_MS});
        return 0;
}

static int stop(void **state)
{
        fixture_stop(&fix, 1000);
        return 0;
}

static unsigned threads(void)
{
        DIR *d = opendir("/proc/self/task");
        unsigned n = 0;

        assert_non_null(d);
        while (readdir(d))
                n++;
        closedir(d);
        return n;
}

/* Each of them is asked before the first has answered. */
static void ask_all(struct client *clients)
{
        struct reply r;

        for (unsigned i = 0; i < CLIENTS; i++)
                client_say(&clients[i], "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
        for (unsigned i = 0; i < CLIENTS; i++) {
                client_reply(&clients[i], &r, false);
                assert_int_equal(r.status, 200);
                reply_deinit(&r);
        }
}

static void idle_workers_end_and_come_again(void **state)
{
        struct client clients[CLIENTS];
        unsigned before = threads(), busy;

        for (unsigned i = 0; i < CLIENTS; i++)
                client_open(&fix, &clients[i], ID_ADMIN);
        for (unsigned round = 0; round < 3; round++) {
                uint64_t until = clock_mono_ms() + 5000;

                ask_all(clients);
                busy = threads();
                assert_true(busy >= before + 2);
                while (threads() > before && clock_mono_ms() < until)
                        usleep(5000);
                assert_int_equal(threads(), before);
        }
        for (unsigned i = 0; i < CLIENTS; i++)
                client_close(&clients[i]);
}

/* The ends of waits and the arrival of work meet again and again. */
static void no_request_is_lost_to_a_worker_that_ends(void **state)
{
        struct client c;

        client_open(&fix, &c, ID_ADMIN);
        for (unsigned i = 0; i < 40; i++) {
                client_expect(&c, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", 200, NULL);
                usleep(IDLE_MS * 1000 - 1000 + i * 50);
        }
        client_close(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(idle_workers_end_and_come_again, start, stop),
                cmocka_unit_test_setup_teardown(no_request_is_lost_to_a_worker_that_ends, start, stop),
        };

        return cmocka_run_group_tests(tests, make_pki, remove_pki);
}
