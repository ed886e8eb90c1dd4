/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/codec/json_read.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int read_text(const char *text, size_t len, struct json_object **ret, struct err *err)
{
        const struct json_source source = {.data = text, .len = len};

        return json_read(&source, ret, err);
}

static void what_is_json_comes_back_the_same(void **state)
{
        static const char *const rows[][2] = {
                {"null", "null"},
                {" true ", "true"},
                {"-0", "0"},
                {"123456789012345678", "123456789012345678"},
                {"9223372036854775807", "9223372036854775807"},
                {"-9223372036854775808", "-9223372036854775808"},
                {"18446744073709551615", "18446744073709551615"},
                {"1.50", "1.50"},
                {"1E+2", "1E+2"},
                {"1e-999", "1e-999"},
                {"[]", "[]"},
                {"[ 1 , [2] ]", "[1,[2]]"},
                {"{\"a\" : {} , \"b\":null}", "{\"a\":{},\"b\":null}"},
                {"\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"a\\\"\\\\/\\u0008\\u000c\\n\\r\\t\""},
                {"\"\\u00e9\\u20ac\\ud83d\\ude00\"", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
                {"\"plain text of some length \xc3\xa9 and more of it\"",
                 "\"plain text of some length \xc3\xa9 and more of it\""},
                {"{\"k\\u0065y\":\"v\\n\"}", "{\"key\":\"v\\n\"}"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_json_ struct json_object *tree = NULL;
                _cleanup_free_ char *text = NULL;
                struct err err = ERR_NULL;

                if (read_text(rows[i][0], strlen(rows[i][0]), &tree, &err))
                        fail_msg("%s: %s", rows[i][0], err.msg);
                text = json_text(tree);
                assert_string_equal(text, rows[i][1]);
        }
}

static void what_is_no_json_is_refused(void **state)
{
        static const char *const rows[][2] = {
                {"", "unexpected end of JSON input"},
                {"{", "unexpected end of JSON input"},
                {"{\"a\"", "unexpected end of JSON input"},
                {"{\"a\":", "unexpected end of JSON input"},
                {"[1", "unexpected end of JSON input"},
                {"\"abc", "unexpected end of JSON input"},
                {"\"\\", "unexpected end of JSON input"},
                {"\"\\u12", "unexpected end of JSON input"},
                {"tru", "unexpected end of JSON input"},
                {"-", "unexpected end of JSON input"},
                {"1.", "unexpected end of JSON input"},
                {"x", "invalid character 'x' looking for beginning of value"},
                {"{]", "invalid character ']' looking for beginning of object key string"},
                {"{a:1}", "invalid character 'a' looking for beginning of object key string"},
                {"{\"a\" 1}", "invalid character '1' after object key"},
                {"{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"},
                {"{\"a\":1,}", "invalid character '}' looking for beginning of object key string"},
                {"[1,]", "invalid character ']' looking for beginning of value"},
                {"[1 2]", "invalid character '2' after array element"},
                {"1 2", "invalid character '2' after top-level value"},
                {"01", "invalid character '1' after top-level value"},
                {"truth", "invalid character 't' in literal"},
                {"+1", "invalid character '+' looking for beginning of value"},
                {"'a'", "invalid character '\\'' looking for beginning of value"},
                {"NaN", "invalid character 'N' looking"},
                {"\"a\nb\"", "invalid character '\\x0a' in string literal"},
                {"\"\\x\"", "invalid character 'x' in string escape code"},
                {"\"\\u00g0\"", "invalid character 'g' in \\u hexadecimal character escape"},
                {"\"\\u0000\"", "\\u0000 is not allowed"},
                {"\"\\ud800\"", "lone surrogate"},
                {"\"\\ud800\\u0041\"", "lone surrogate"},
                {"\"\\udc00\"", "lone surrogate"},
                {"\"\xff\"", "invalid UTF-8"},
                {"\"\xc0\x80\"", "invalid UTF-8"},
                {"\"\xed\xa0\x80\"", "invalid UTF-8"},
                {"\"\xf4\x90\x80\x80\"", "invalid UTF-8"},
                {"\"\xe2\x82\"", "invalid UTF-8"},
                {"{\"\xff\":1}", "invalid UTF-8"},
                {"1e999", "number 1e999 is out of range"},
                {"[-1e400]", "number -1e400 is out of range"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct json_object *tree = NULL;
                struct err err = ERR_NULL;

                if (read_text(rows[i][0], strlen(rows[i][0]), &tree, &err) != -EINVAL)
                        fail_msg("%s was taken", rows[i][0]);
                if (!strstr(err.msg, rows[i][1]))
                        fail_msg("%s: %s", rows[i][0], err.msg);
                assert_null(tree);
        }
}

static void a_nul_byte_is_no_json(void **state)
{
        struct json_object *tree = NULL;
        struct err err = ERR_NULL;

        assert_int_equal(read_text("\"a\0b\"", 5, &tree, &err), -EINVAL);
        assert_int_equal(read_text("1\0", 2, &tree, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "after top-level value"));
}

static int nested(size_t depth, struct err *err)
{
        _cleanup_json_ struct json_object *tree = NULL;
        char text[1024];

        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        return read_text(text, 2 * depth, &tree, err);
}

static void depth_is_bounded(void **state)
{
        struct err err = ERR_NULL;

        assert_int_equal(nested(JSON_DEPTH_MAX, &err), 0);
        assert_int_equal(nested(JSON_DEPTH_MAX + 1, &err), -EINVAL);
        assert_string_equal(err.msg, "exceeded max depth at byte 128");
}

static void the_number_of_objects_is_bounded(void **state)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        struct json_object *tree = NULL;
        struct err err = ERR_NULL;

        strbuf_add_char(&b, '[');
        for (int i = 0; i < JSON_CONTAINERS_MAX; i++)
                strbuf_add_str(&b, i ? ",{}" : "{}");
        strbuf_add_char(&b, ']');
        assert_int_equal(read_text(b.data, b.len, &tree, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "too many objects and arrays"));
}

static void duplicates_are_reported_with_their_place_and_the_last_counts(void **state)
{
        static const char text[] = "{\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\",\"na\\u006de\":\"c\"}],"
                                   "\"nodeSelector\":{\"x\":\"1\",\"x\":\"2\"}},\"new\":1,\"new\":2}";
        _cleanup_report_ struct codec_report report = CODEC_REPORT_NULL;
        _cleanup_json_ struct json_object *tree = NULL;
        _cleanup_free_ char *out = NULL;
        struct json_source source = {.data = text, .len = strlen(text), .duplicates = &report};

        source.type = schema_struct_find("io.k8s.api.core.v1.Pod");
        assert_int_equal(json_read(&source, &tree, NULL), 0);
        assert_int_equal(report.n, 3);
        assert_string_equal(report.items[0], "duplicate field \"spec.containers[1].name\"");
        assert_string_equal(report.items[1], "duplicate field \"spec.nodeSelector.x\"");
        assert_string_equal(report.items[2], "duplicate field \"new\"");
        out = json_text(tree);
        assert_string_equal(out,
                            "{\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"c\"}],\"nodeSelector\":{\"x\":"
                            "\"2\"}},\"new\":2}");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_json_comes_back_the_same),
                cmocka_unit_test(what_is_no_json_is_refused),
                cmocka_unit_test(a_nul_byte_is_no_json),
                cmocka_unit_test(depth_is_bounded),
                cmocka_unit_test(the_number_of_objects_is_bounded),
                cmocka_unit_test(duplicates_are_reported_with_their_place_and_the_last_counts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
