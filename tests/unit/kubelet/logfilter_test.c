/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "agent/kubelet/server/logfilter.h"
#include "base/clock.h"

#define S1 "2026-01-02T03:04:05.000000001Z"
#define S2 "2026-01-02T03:04:06.500000000Z"
#define S3 "2026-01-02T03:04:07.999999999Z"

#define LOG                                                                                                            \
        S1 " stdout F one\n" S1 " stderr F two\n" S2 " stdout P thr\n" S2 " stdout P e\n" S2 " stdout F e\n" S3        \
           " stdout F \n" S3 " stderr F five\n"

static int64_t at(const char *stamp)
{
        struct timespec ts;

        assert_int_equal(clock_parse(stamp, &ts), 0);
        return log_time_ns(&ts);
}

static void expect(struct log_filter f, const char *want)
{
        for (size_t piece = 1; piece < sizeof(LOG); piece++) {
                _cleanup_strbuf_ struct strbuf in = STRBUF_NULL, out = STRBUF_NULL;
                struct log_filter g = f;

                strbuf_add_str(&out, "");
                for (size_t k = 0; k < strlen(LOG); k += piece) {
                        size_t used;

                        strbuf_add(&in, &LOG[k], MIN(piece, strlen(LOG) - k));
                        used = log_filter(&g, in.data, in.len, false, &out);
                        memmove(in.data, in.data + used, in.len - used);
                        in.len -= used;
                }
                assert_string_equal(out.data, want);
        }
}

static void lines_are_shown_and_joined(void **state)
{
        expect((struct log_filter){.since_ns = INT64_MIN, .limit = -1}, "one\ntwo\nthree\n\nfive\n");
        expect((struct log_filter){.since_ns = INT64_MIN, .limit = -1, .timestamps = true},
               S1 " one\n" S1 " two\n" S2 " three\n" S3 " \n" S3 " five\n");
        expect((struct log_filter){.since_ns = INT64_MIN, .limit = -1, .no_err = true}, "one\nthree\n\n");
        expect((struct log_filter){.since_ns = INT64_MIN, .limit = -1, .no_out = true}, "two\nfive\n");
}

static void what_is_older_is_left_out(void **state)
{
        expect((struct log_filter){.since_ns = at(S2), .limit = -1}, "three\n\nfive\n");
        expect((struct log_filter){.since_ns = at(S2) + 1, .limit = -1}, "\nfive\n");
        expect((struct log_filter){.since_ns = at(S3) + 1, .limit = -1}, "");
}

static void the_limit_counts_bytes_of_output(void **state)
{
        expect((struct log_filter){.since_ns = INT64_MIN, .limit = 1}, "o");
        expect((struct log_filter){.since_ns = INT64_MIN, .limit = 10}, "one\ntwo\nth");
        expect((struct log_filter){.since_ns = INT64_MIN, .limit = 1000}, "one\ntwo\nthree\n\nfive\n");
        expect((struct log_filter){.since_ns = INT64_MIN, .limit = 5, .timestamps = true}, "2026-");
}

static void what_is_no_line_of_a_log_is_left_out(void **state)
{
        static const struct {
                const char *line;
                bool good;
        } table[] = {
                {S1 " stdout F x", true},
                {S1 " stdout F ", true},
                {S1 " stderr P x y", true},
                {S1 " stdout F:a:b x", true},
                {S1 " stdout FX x", false},
                {S1 " stdin F x", false},
                {S1 " stdout F", false},
                {S1, false},
                {"", false},
                {" stdout F x", false},
                {S1 "  F x", false},
                {S1 " stdout  x", false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                struct log_line l;

                if (log_line_parse(table[i].line, strlen(table[i].line), &l) != table[i].good)
                        fail_msg("%s", table[i].line);
        }
}

static void a_line_without_end_is_skipped(void **state)
{
        static char junk[1000];
        _cleanup_strbuf_ struct strbuf out = STRBUF_NULL;
        struct log_filter f = {.since_ns = INT64_MIN, .limit = -1};

        memset(junk, 'x', sizeof(junk));
        assert_int_equal(log_filter(&f, junk, sizeof(junk), true, &out), sizeof(junk));
        assert_int_equal(log_filter(&f, "xx\n" S1 " stdout F a\n", strlen("xx\n" S1 " stdout F a\n"), false, &out),
                         strlen("xx\n" S1 " stdout F a\n"));
        assert_string_equal(out.data, "a\n");
}

static int file_of(const char *text, size_t n)
{
        int fd = memfd_create("log", MFD_CLOEXEC);

        assert_int_equal(write(fd, text, n), n);
        return fd;
}

static void a_tail_begins_with_a_whole_line(void **state)
{
        static const struct {
                uint64_t lines;
                const char *rest;
        } table[] = {
                {0, ""},
                {1, S3 " stderr F five\n"},
                {2, S3 " stdout F \n" S3 " stderr F five\n"},
                {3, S2 " stdout P thr\n" S2 " stdout P e\n" S2 " stdout F e\n" S3 " stdout F \n" S3 " stderr F five\n"},
                {5, LOG},
                {UINT64_MAX, LOG},
        };
        _cleanup_close_ int fd = file_of(LOG, strlen(LOG)), empty = file_of("", 0);

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                int64_t offset = log_tail(fd, table[i].lines);

                assert_in_range(offset, 0, strlen(LOG));
                assert_string_equal(&LOG[offset], table[i].rest);
        }
        assert_int_equal(log_tail(empty, 5), 0);
}

static void pieces_without_their_end_are_one_line(void **state)
{
        static const char text[] = S1 " stdout F a\n" S1 " stdout P b\n" S1 " stdout P c\n";
        _cleanup_close_ int fd = file_of(text, strlen(text));

        assert_string_equal(&text[log_tail(fd, 1)], S1 " stdout P b\n" S1 " stdout P c\n");
        assert_int_equal(log_tail(fd, 2), 0);
}

/* Against counting from the front, over several windows. */
static void tails_of_long_logs_are_found(void **state)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        static size_t begins[20000];
        _cleanup_close_ int fd = -1;

        for (size_t i = 0; i < ARRAY_SIZE(begins); i++) {
                begins[i] = b.len;
                strbuf_printf(&b, S1 " stdout F %0*zu\n", (int)(i * 7919 % 97) + 1, i);
        }
        fd = file_of(b.data, b.len);
        for (size_t n = 1; n <= ARRAY_SIZE(begins); n += n < 10 ? 1 : 777)
                assert_int_equal(log_tail(fd, n), begins[ARRAY_SIZE(begins) - n]);
        assert_int_equal(log_tail(fd, ARRAY_SIZE(begins)), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lines_are_shown_and_joined),
                cmocka_unit_test(what_is_older_is_left_out),
                cmocka_unit_test(the_limit_counts_bytes_of_output),
                cmocka_unit_test(what_is_no_line_of_a_log_is_left_out),
                cmocka_unit_test(a_line_without_end_is_skipped),
                cmocka_unit_test(a_tail_begins_with_a_whole_line),
                cmocka_unit_test(pieces_without_their_end_are_one_line),
                cmocka_unit_test(tails_of_long_logs_are_found),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
