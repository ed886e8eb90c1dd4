/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "apiserver/proxy/head.h"
#include "apiserver/proxy/target.h"
#include "base/str.h"

static struct arena arena;

static int done(void **state)
{
        arena_deinit(&arena);
        return 0;
}

static int parse(const char *text, struct proxy_head *ret, const char **ret_why)
{
        return proxy_head_parse(arena_strdup(&arena, text), strlen(text), &arena, ret, ret_why);
}

static void a_head_is_taken_apart(void **state)
{
        struct proxy_head h;
        const char *why;

        assert_int_equal(
                parse("HTTP/1.1 200 OK\r\nX-A:  b c \r\nConnection: close\r\nContent-Length: 12\r\nX-Empty:\r\n\r\n",
                      &h, &why),
                0);
        assert_int_equal(h.status, 200);
        assert_int_equal(h.nheaders, 2); /* without those of this connection */
        assert_string_equal(h.headers[0].name, "X-A");
        assert_string_equal(h.headers[0].value, "b c");
        assert_string_equal(h.headers[1].value, "");
        assert_true(h.has_length && h.length == 12 && !h.chunked && !h.upgrade);
        assert_int_equal(parse("HTTP/1.0 204\r\n\r\n", &h, &why), 0);
        assert_int_equal(h.status, 204);
        assert_int_equal(
                parse("HTTP/1.1 101 Switching\r\nUpgrade: SPDY/3.1\r\nTransfer-Encoding: Chunked\r\n\r\n", &h, &why),
                0);
        assert_string_equal(h.upgrade, "SPDY/3.1");
        assert_true(h.chunked);
}

static void what_is_no_head_is_refused(void **state)
{
        static const char *const bad[] = {
                "\r\n",
                "HTTP/2 200 OK\r\n\r\n",
                "HTTP/1.1 20 OK\r\n\r\n",
                "HTTP/1.1 2000\r\n\r\n",
                "HTTP/1.1 099 X\r\n\r\n",
                "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
                "HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
                "HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n",
                "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        };
        struct proxy_head h;
        const char *why;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                if (parse(bad[i], &h, &why) != -EBADMSG)
                        fail_msg("taken: %s", bad[i]);
                assert_true(*why);
        }
}

static void names_of_proxies_have_up_to_three_parts(void **state)
{
        static const struct {
                const char *text, *scheme, *name, *port;
        } good[] = {
                {"web", "", "web", ""},
                {"web:80", "", "web", "80"},
                {"web:", "", "web", ""},
                {"https:web:", "https", "web", ""},
                {"http:web:p", "http", "web", "p"},
                {"HTTPS:web:p", "https", "web", "p"},
        };
        static const char *const bad[] = {"", ":80", "ftp:web:80", "a:b:c:d", "http::80", ":web:80"};
        struct proxy_id id;

        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                assert_true(proxy_id_parse(&arena, good[i].text, &id));
                assert_string_equal(id.scheme, good[i].scheme);
                assert_string_equal(id.name, good[i].name);
                assert_string_equal(id.port, good[i].port);
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                if (proxy_id_parse(&arena, bad[i], &id))
                        fail_msg("taken: %s", bad[i]);
}

static void some_addresses_are_not_for_users(void **state)
{
        static const char *const no[] = {
                "127.0.0.1", "::1", "169.254.169.254", "fe80::1", "0.0.0.0", "::", "name", "", "::ffff:127.0.0.1"};

        for (size_t i = 0; i < ARRAY_SIZE(no); i++)
                if (proxy_may_reach(no[i]))
                        fail_msg("reached: %s", no[i]);
        assert_true(proxy_may_reach("198.51.100.1"));
        assert_true(proxy_may_reach("2001:db8::1"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(a_head_is_taken_apart, done),
                cmocka_unit_test_teardown(what_is_no_head_is_refused, done),
                cmocka_unit_test_teardown(names_of_proxies_have_up_to_three_parts, done),
                cmocka_unit_test_teardown(some_addresses_are_not_for_users, done),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
