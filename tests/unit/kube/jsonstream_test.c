/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "kube/jsonstream.h"

static int collect(void *userdata, char *data, size_t len)
{
        struct strbuf *b = userdata;

        strbuf_add(b, data, len);
        strbuf_add_char(b, '|');
        return 0;
}

struct result {
        int r;
        bool complete;
        struct strbuf out, rest;
};

/* Feeds the text in pieces of that size. */
static struct result run(enum jsonstream_mode mode, const char *text, size_t step, size_t limit)
{
        struct result res = {0};
        struct jsonstream s;
        size_t n = strlen(text);

        strbuf_add_str(&res.out, "");
        jsonstream_init(&s, mode, limit, collect, &res.out);
        for (size_t i = 0; i < n && !res.r; i += step) {
                size_t len = MIN(step, n - i);
                char *piece = malloc(len); /* so that reading beyond a piece is seen */

                memcpy(piece, text + i, len);
                res.r = jsonstream_feed(&s, piece, len);
                free(piece);
        }
        res.complete = jsonstream_complete(&s);
        res.rest = TAKE(s.rest, STRBUF_NULL);
        jsonstream_deinit(&s);
        return res;
}

static void result_deinit(struct result *r)
{
        strbuf_deinit(&r->out);
        strbuf_deinit(&r->rest);
}

static void objects_are_cut_wherever_chunks_end(void **state)
{
        static const char text[] = "{\"a\":\"}{\\\"\",\"b\":[1,{}]}\n{\"c\":\"\xc3\xbc\\\\\"}\r\n\t{}{}";
        static const char want[] = "{\"a\":\"}{\\\"\",\"b\":[1,{}]}|{\"c\":\"\xc3\xbc\\\\\"}|{}|{}|";

        for (size_t step = 1; step <= sizeof(text); step++) {
                struct result r = run(JSONSTREAM_VALUES, text, step, 1000);

                assert_int_equal(r.r, 0);
                assert_true(r.complete);
                assert_string_equal(r.out.data, want);
                result_deinit(&r);
        }
}

static void items_of_a_list_come_out_and_the_rest_stays(void **state)
{
        static const struct {
                const char *text, *out, *rest;
        } cases[] = {
                {"{\"metadata\":{\"continue\":\"x\",\"items\":[9]},\"items\":[{\"a\":[1]},{\"b\":\"]\"}]}",
                 "{\"a\":[1]}|{\"b\":\"]\"}|", "{\"metadata\":{\"continue\":\"x\",\"items\":[9]},\"items\":[]}"},
                {"{\"items\":[],\"kind\":\"L\"}", "", "{\"items\":[],\"kind\":\"L\"}"},
                {"{ \"items\" : [ {} , {\"items\":[{}]} ] , \"z\": 1 } \n", "{}|{\"items\":[{}]}|",
                 "{ \"items\" : [] , \"z\": 1 }"},
                {"{\"items\":null,\"a\":1}", "", "{\"items\":null,\"a\":1}"},
                {"{\"x\":\"items\",\"y\":[{}]}", "", "{\"x\":\"items\",\"y\":[{}]}"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                for (size_t step = 1; step < 90; step++) {
                        struct result r = run(JSONSTREAM_LIST, cases[i].text, step, 1000);

                        assert_int_equal(r.r, 0);
                        assert_true(r.complete);
                        assert_string_equal(r.out.data, cases[i].out);
                        assert_string_equal(r.rest.data, cases[i].rest);
                        result_deinit(&r);
                }
}

static void what_is_no_stream_of_objects_is_refused(void **state)
{
        static const struct {
                enum jsonstream_mode mode;
                const char *text;
        } cases[] = {
                {JSONSTREAM_VALUES, "<html>"},
                {JSONSTREAM_VALUES, "{}x"},
                {JSONSTREAM_VALUES, "{}}"},
                {JSONSTREAM_LIST, "x"},
                {JSONSTREAM_LIST, "{\"items\":[1]}"},
                {JSONSTREAM_LIST, "{\"items\":[}"},
                {JSONSTREAM_LIST, "{}{}{\"items\":[]}"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                for (size_t step = 1; step < 30; step++) {
                        struct result r = run(cases[i].mode, cases[i].text, step, 1000);

                        assert_int_equal(r.r, -EBADMSG);
                        result_deinit(&r);
                }
}

static void an_unfinished_stream_is_not_complete(void **state)
{
        static const char *const texts[] = {"{", "{\"a", "{\"a\":[}", "[{}"};

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct result r = run(JSONSTREAM_VALUES, texts[i], 1, 1000);

                assert_false(r.complete);
                result_deinit(&r);
        }
}

static void sizes_are_limited(void **state)
{
        struct result r = run(JSONSTREAM_VALUES, "{\"a\":\"xxxxxxxxxxxxxxxx\"}", 3, 10);

        assert_int_equal(r.r, -EFBIG);
        result_deinit(&r);
        r = run(JSONSTREAM_VALUES, "{\"a\":1}{\"b\":2}{\"c\":3}", 3, 10);
        assert_int_equal(r.r, 0);
        result_deinit(&r);
        r = run(JSONSTREAM_LIST, "{\"items\":[{\"a\":1},{\"b\":2},{\"c\":3}]}", 3, 13);
        assert_int_equal(r.r, 0);
        result_deinit(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(objects_are_cut_wherever_chunks_end),
                cmocka_unit_test(items_of_a_list_come_out_and_the_rest_stays),
                cmocka_unit_test(what_is_no_stream_of_objects_is_refused),
                cmocka_unit_test(an_unfinished_stream_is_not_complete),
                cmocka_unit_test(sizes_are_limited),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
