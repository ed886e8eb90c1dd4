/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent/kubelet/shim/logline.h"
#include "base/strbuf.h"

#define T0   1475719757669794202LL
#define HEAD "2016-10-06T02:09:17.669794202Z stdout "

static void collect(void *userdata, const struct iovec *v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                strbuf_add(userdata, v[i].iov_base, v[i].iov_len);
}

static void feed(struct log_stream *s, const char *data, size_t n, struct strbuf *out)
{
        while (n) {
                size_t part = MIN(n, sizeof(s->buf) - s->used);

                memcpy(s->buf + s->used, data, part);
                s->used += part;
                data += part;
                n -= part;
                log_lines(s, T0, 0, collect, out);
        }
}

static void stamps_are_rfc3339_in_utc(void **state)
{
        static const struct {
                int64_t ns;
                const char *text;
        } table[] = {
                {0, "1970-01-01T00:00:00.000000000Z"},
                {T0, "2016-10-06T02:09:17.669794202Z"},
                {951782400000000001LL, "2000-02-29T00:00:00.000000001Z"},
                {1709251199999999999LL, "2024-02-29T23:59:59.999999999Z"},
                {1709251200000000000LL, "2024-03-01T00:00:00.000000000Z"},
                {4102444799000000000LL, "2099-12-31T23:59:59.000000000Z"},
        };
        char buf[LOG_STAMP_SIZE];

        for (size_t i = 0; i < ARRAY_SIZE(table); i++)
                assert_string_equal(log_stamp(table[i].ns, buf), table[i].text);
}

static void lines_are_whole_and_the_rest_waits(void **state)
{
        struct log_stream s = {.name = "stdout"};
        _cleanup_strbuf_ struct strbuf out = STRBUF_NULL;

        feed(&s, "one\n\ntwo\nthr", 12, &out);
        assert_string_equal(out.data, HEAD "F one\n" HEAD "F \n" HEAD "F two\n");
        feed(&s, "ee\n", 3, &out);
        assert_string_equal(out.data, HEAD "F one\n" HEAD "F \n" HEAD "F two\n" HEAD "F three\n");
        assert_int_equal(s.used, 0);
}

static void a_last_line_without_newline_is_kept(void **state)
{
        struct log_stream s = {.name = "stdout"};
        _cleanup_strbuf_ struct strbuf out = STRBUF_NULL;

        feed(&s, "end", 3, &out);
        assert_int_equal(out.len, 0);
        log_lines(&s, T0, 1, collect, &out);
        assert_string_equal(out.data, HEAD "F end\n");
        log_lines(&s, T0, 1, collect, &out);
        assert_string_equal(out.data, HEAD "F end\n");
}

static void long_lines_are_cut_into_pieces(void **state)
{
        static char line[2 * LOG_LINE_MAX + 5];
        struct log_stream s = {.name = "stdout"};
        _cleanup_strbuf_ struct strbuf out = STRBUF_NULL;
        const char *p;

        memset(line, 'x', sizeof(line));
        line[sizeof(line) - 1] = '\n';
        feed(&s, line, sizeof(line), &out);
        assert_int_equal(out.len, 3 * strlen(HEAD "P \n") + sizeof(line) - 1);
        assert_memory_equal(out.data, HEAD "P xxxx", strlen(HEAD "P xxxx"));
        p = out.data + strlen(HEAD "P ") + LOG_LINE_MAX;
        assert_memory_equal(p, "\n" HEAD "P xxxx", strlen("\n" HEAD "P xxxx"));
        assert_string_equal(strrchr(out.data, ' '), " xxxx\n");
        assert_memory_equal(strrchr(out.data, ' ') - 1, "F", 1);
}

static void many_lines_come_in_batches(void **state)
{
        struct log_stream s = {.name = "stdout"};
        _cleanup_strbuf_ struct strbuf in = STRBUF_NULL, out = STRBUF_NULL, want = STRBUF_NULL;

        for (int i = 0; i < 1000; i++) {
                strbuf_printf(&in, "%d\n", i);
                strbuf_printf(&want, HEAD "F %d\n", i);
        }
        feed(&s, in.data, in.len, &out);
        assert_string_equal(out.data, want.data);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(stamps_are_rfc3339_in_utc),
                cmocka_unit_test(lines_are_whole_and_the_rest_waits),
                cmocka_unit_test(a_last_line_without_newline_is_kept),
                cmocka_unit_test(long_lines_are_cut_into_pieces),
                cmocka_unit_test(many_lines_come_in_batches),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
