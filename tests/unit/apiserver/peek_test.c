/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/peek.h"
#include "base/cleanup.h"
#include "base/mem.h"

static struct span span_of(const char *text)
{
        return (struct span){text, strlen(text)};
}

static void assert_span(struct span s, const char *want)
{
        if (!want) {
                assert_null(s.p);
                return;
        }
        assert_non_null(s.p);
        assert_int_equal(s.len, strlen(want));
        assert_memory_equal(s.p, want, s.len);
}

static void a_value_ends_where_its_kind_says(void **state _unused_)
{
        static const struct {
                const char *text;
                size_t len;
        } rows[] = {
                {"", 0},
                {"1", 1},
                {"-1.5e3,", 6},
                {"true}", 4},
                {"null]", 4},
                {"\"\"x", 2},
                {"\"a\"", 3},
                {"\"a\\\"b\",", 6},
                {"\"a\\\\\",", 5},
                {"\"a\\\\\\\"\"", 7},
                {"\"a", 0},
                {"\"a\\\"", 0},
                {"\"", 0},
                {"{}", 2},
                {"{\"a\":[1,{\"b\":2}]},", 17},
                {"{\"}\":\"]\"}", 9},
                {"[[],[[]]]]", 9},
                {"{\"a\":1", 0},
                {"[\"]", 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                size_t n = peek_value(rows[i].text, rows[i].text + strlen(rows[i].text));

                if (n != rows[i].len)
                        fail_msg("%s: %zu bytes instead of %zu", rows[i].text, n, rows[i].len);
        }
}

static void a_member_is_found_by_its_path(void **state _unused_)
{
        static const char json[] =
                "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\",\"labels\":{\"a.b/c\":\"d\"},"
                "\"generation\":7},\"spec\":{\"on\":true,\"list\":[{\"name\":\"no\"}],\"q\":\"a\\\"b\"}}";
        static const struct {
                const char *path, *want;
        } rows[] = {
                {"kind", "\"Pod\""},
                {"metadata.name", "\"x\""},
                {"metadata.generation", "7"},
                {"metadata.labels", "{\"a.b/c\":\"d\"}"},
                {"spec.on", "true"},
                {"spec.q", "\"a\\\"b\""},
                {"spec.list", "[{\"name\":\"no\"}]"},
                {"spec.list.name", NULL},
                {"spec.on.x", NULL},
                {"kin", NULL},
                {"kinds", NULL},
                {"name", NULL},
                {"metadata.labels.a.b/c", NULL},
                {"metadata.name.x", NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_span(peek_path(span_of(json), rows[i].path), rows[i].want);
        assert_span(peek_member(peek_path(span_of(json), "metadata.labels"), "a.b/c"), "\"d\"");
}

static void a_plain_string_is_one_without_escapes(void **state _unused_)
{
        assert_span(peek_plain_string(span_of("\"abc\"")), "abc");
        assert_span(peek_plain_string(span_of("\"\"")), "");
        assert_span(peek_plain_string(span_of("\"a\\nb\"")), NULL);
        assert_span(peek_plain_string(span_of("12")), NULL);
        assert_span(peek_plain_string(span_of("\"")), NULL);
        assert_span(peek_plain_string(SPAN_NULL), NULL);
}

static void nothing_is_found_in_nothing(void **state _unused_)
{
        struct span k, v;
        size_t at = 0;

        assert_false(peek_next(SPAN_NULL, &at, &k, &v));
        assert_span(peek_path(SPAN_NULL, "a.b"), NULL);
        assert_span(peek_member(span_of("[1]"), "a"), NULL);
        assert_span(peek_member(span_of("{}"), "a"), NULL);
        assert_span(peek_member(span_of("{"), "a"), NULL);
}

static void members_are_stepped_through_in_order(void **state _unused_)
{
        static const char *const keys[] = {"a", "b\\\"", "c"}, *const values[] = {"1", "[]", "\"z\""};
        struct span obj = span_of("{\"a\":1,\"b\\\"\":[],\"c\":\"z\"}"), k, v;
        size_t at = 0, n = 0;

        for (; peek_next(obj, &at, &k, &v); n++) {
                assert_true(n < 3);
                assert_span(k, keys[n]);
                assert_span(v, values[n]);
        }
        assert_int_equal(n, 3);
}

static void look_everywhere(struct span s)
{
        struct span k, v;
        size_t at = 0;

        peek_value(s.p, s.p + s.len);
        while (peek_next(s, &at, &k, &v))
                peek_plain_string(v);
        peek_path(s, "metadata.labels.x");
        peek_plain_string(s);
}

/* Each input is in a block of exactly its size, so that the sanitizer sees one byte too many. */
static void damaged_bytes_are_never_read_beyond_their_end(void **state _unused_)
{
        static const char good[] =
                "{\"metadata\":{\"labels\":{\"x\":\"y\\\\\"},\"n\":[1,{\"a\":\"\\\"\"}]},\"b\":true}";
        static const char letters[] = "{}[]\",:\\a1 ";

        srandom(7);
        for (size_t n = 0; n < sizeof(good); n++) {
                _cleanup_free_ char *copy = mem_array(char, n ? n : 1);

                memcpy(copy, good, n);
                look_everywhere((struct span){copy, n});
        }
        for (size_t i = 0; i < 20000; i++) {
                size_t n = (size_t)random() % 40;
                _cleanup_free_ char *bytes = mem_array(char, n ? n : 1);

                for (size_t k = 0; k < n; k++)
                        bytes[k] = letters[(size_t)random() % (sizeof(letters) - 1)];
                if (n > 2 && i % 2)
                        bytes[0] = '{';
                look_everywhere((struct span){bytes, n});
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_value_ends_where_its_kind_says),
                cmocka_unit_test(a_member_is_found_by_its_path),
                cmocka_unit_test(a_plain_string_is_one_without_escapes),
                cmocka_unit_test(nothing_is_found_in_nothing),
                cmocka_unit_test(members_are_stepped_through_in_order),
                cmocka_unit_test(damaged_bytes_are_never_read_beyond_their_end),
        };

        return cmocka_run_group_tests_name("peek", tests, NULL, NULL);
}
