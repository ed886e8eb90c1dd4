/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "http/parse.h"
#include "base/str.h"
#include "base/strbuf.h"

#define H "Host: h\r\n"

/* What a head comes to: as one line of text, so that a row says all of it. */
static const struct {
        const char *name, *head, *want;
} heads[] = {
        {"the least", "GET / HTTP/1.1\r\n" H "\r\n", "GET / ?"},
        {"path and query", "GET /api/v1/pods?watch=1&x=%20y HTTP/1.1\r\n" H "\r\n", "GET /api/v1/pods ?watch=1&x=%20y"},
        {"two question marks", "GET /a?b?c HTTP/1.1\r\n" H "\r\n", "GET /a ?b?c"},
        {"an empty line before it", "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", "GET / ?"},
        {"absolute form", "GET http://h:80/p?q HTTP/1.1\r\n" H "\r\n", "GET /p ?q"},
        {"absolute form, upper case", "GET HTTPS://h/p HTTP/1.1\r\n" H "\r\n", "GET /p ?"},
        {"absolute form without path", "GET http://host HTTP/1.1\r\n" H "\r\n", "GET / ?"},
        {"absolute form, query only", "GET http://host?q=1 HTTP/1.1\r\n" H "\r\n", "GET / ?q=1"},
        {"absolute form, no host", "GET http:///p HTTP/1.1\r\n" H "\r\n", "400"},
        {"absolute form, user", "GET http://u@h/p HTTP/1.1\r\n" H "\r\n", "400"},
        {"asterisk form", "OPTIONS * HTTP/1.1\r\n" H "\r\n", "400"},
        {"authority form", "CONNECT h:1 HTTP/1.1\r\n" H "\r\n", "400"},
        {"a method of its own", "M-SEARCH / HTTP/1.1\r\n" H "\r\n", "M-SEARCH / ?"},
        {"a bad method", "G(T / HTTP/1.1\r\n" H "\r\n", "400"},
        {"a method that is too long", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n" H "\r\n", "400"},
        {"no method", " / HTTP/1.1\r\n" H "\r\n", "400"},
        {"two blanks", "GET  / HTTP/1.1\r\n" H "\r\n", "400"},
        {"a blank at the end", "GET / HTTP/1.1 \r\n" H "\r\n", "400"},
        {"a tab", "GET\t/ HTTP/1.1\r\n" H "\r\n", "400"},
        {"HTTP/0.9", "GET /\r\n" H "\r\n", "400"},
        {"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "GET / ? close"},
        {"HTTP/1.0 that would keep it", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET / ? close"},
        {"a later 1.x", "GET / HTTP/1.9\r\n" H "\r\n", "GET / ?"},
        {"HTTP/2", "PRI * HTTP/2.0\r\n\r\n", "505"},
        {"a lower case version", "GET / http/1.1\r\n" H "\r\n", "400"},
        {"a long version", "GET / HTTP/1.10\r\n" H "\r\n", "400"},
        {"a letter for a version", "GET / HTTP/1.x\r\n" H "\r\n", "400"},
        {"a fragment", "GET /a#b HTTP/1.1\r\n" H "\r\n", "400"},
        {"a control character in the path", "GET /a\x01 HTTP/1.1\r\n" H "\r\n", "400"},
        {"raw UTF-8 in the path", "GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n", "400"},
        {"DEL in the path", "GET /\x7f HTTP/1.1\r\n" H "\r\n", "400"},

        {"headers", "GET / HTTP/1.1\r\n" H "A:b\r\nC: \t d e\t \r\nX-Y:\r\n\r\n", "GET / ? A=b C=d e X-Y="},
        {"UTF-8 in a value", "GET / HTTP/1.1\r\n" H "A: \xc3\xa4\r\n\r\n", "GET / ? A=\xc3\xa4"},
        {"a folded line", "GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n", "400"},
        {"a folded first line", "GET / HTTP/1.1\r\n A: b\r\n" H "\r\n", "400"},
        {"a blank before the colon", "GET / HTTP/1.1\r\n" H "Content-Length : 1\r\n\r\n", "400"},
        {"no colon", "GET / HTTP/1.1\r\n" H "abc\r\n\r\n", "400"},
        {"no name", "GET / HTTP/1.1\r\n" H ": x\r\n\r\n", "400"},
        {"a CR in a value", "GET / HTTP/1.1\r\n" H "A: b\rX: c\r\n\r\n", "400"},
        {"a LF alone", "GET / HTTP/1.1\r\n" H "A: b\nX: c\r\n\r\n", "EBADMSG"},
        {"a LF alone at the start", "\nGET / HTTP/1.1\r\n" H "\r\n", "EBADMSG"},
        {"only LF", "GET / HTTP/1.1\nHost: h\n\n", "EBADMSG"},
        {"a control character in a value", "GET / HTTP/1.1\r\n" H "A: \x02\r\n\r\n", "400"},
        {"a parenthesis in a name", "GET / HTTP/1.1\r\n" H "A(: b\r\n\r\n", "400"},

        {"no host", "GET / HTTP/1.1\r\n\r\n", "400"},
        {"an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / ?"},
        {"two hosts", "GET / HTTP/1.1\r\n" H H "\r\n", "400"},
        {"IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:6443\r\n\r\n", "GET / ?"},
        {"a list of hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400"},
        {"a host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"},

        {"a length", "POST / HTTP/1.1\r\n" H "Content-Length: 12\r\n\r\n", "POST / ? length=12"},
        {"length zero", "POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", "POST / ? length=0"},
        {"zeros before a length", "POST / HTTP/1.1\r\n" H "Content-Length: 00000000000000000000007\r\n\r\n",
         "POST / ? length=7"},
        {"the same length twice", "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\ncontent-length: 3\r\n\r\n",
         "POST / ? length=3"},
        {"two lengths", "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", "400"},
        {"two lengths in one", "POST / HTTP/1.1\r\n" H "Content-Length: 3, 3\r\n\r\n", "400"},
        {"a signed length", "POST / HTTP/1.1\r\n" H "Content-Length: +3\r\n\r\n", "400"},
        {"a negative length", "POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", "400"},
        {"a hexadecimal length", "POST / HTTP/1.1\r\n" H "Content-Length: 0x3\r\n\r\n", "400"},
        {"an empty length", "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", "400"},
        {"a length in a far country", "POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999999\r\n\r\n",
         "POST / ? length=18446744073709551615"},
        {"the last length of 19 digits", "POST / HTTP/1.1\r\n" H "Content-Length: 9999999999999999999\r\n\r\n",
         "POST / ? length=9999999999999999999"},
        {"chunks", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n", "POST / ? chunked"},
        {"chunks and a length", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
         "400"},
        {"a length and chunks", "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
         "400"},
        {"chunks twice", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
         "400"},
        {"chunks and more", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", "501"},
        {"chunks that are none", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", "501"},
        {"a transfer coding that is nothing", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", "501"},
        {"a vertical tab in the coding",
         "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b"
         "chunked\r\n\r\n",
         "400"},
        {"chunks in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},

        {"close", "GET / HTTP/1.1\r\n" H "Connection: Close\r\n\r\n", "GET / ? close"},
        {"close in a list", "GET / HTTP/1.1\r\n" H "Connection: foo ,close\r\n\r\n", "GET / ? close"},
        {"close in a second header", "GET / HTTP/1.1\r\n" H "Connection: a\r\nConnection: close\r\n\r\n",
         "GET / ? close"},
        {"what is not close", "GET / HTTP/1.1\r\n" H "Connection: closed\r\n\r\n", "GET / ?"},
        {"expect", "PUT / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
         "PUT / ? length=1 expect"},
        {"expect in 1.0", "PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
         "PUT / ? close length=1"},
        {"expect more", "PUT / HTTP/1.1\r\n" H "Expect: 200-ok\r\n\r\n", "417"},
        {"a compressed body", "PUT / HTTP/1.1\r\n" H "Content-Encoding: gzip\r\n\r\n", "PUT / ? encoded"},
        {"a plain body", "PUT / HTTP/1.1\r\n" H "Content-Encoding: identity\r\n\r\n", "PUT / ?"},
        {"gzip accepted", "GET / HTTP/1.1\r\n" H "Accept-Encoding: br, gzip\r\n\r\n", "GET / ? gzip"},
};

static bool is_framing(const char *name)
{
        static const char *const names[] = {"Host",       "Content-Length", "content-length",   "Transfer-Encoding",
                                            "Connection", "Expect",         "Content-Encoding", "Accept-Encoding"};
        size_t i;

        for (i = 0; i < ARRAY_SIZE(names); i++)
                if (str_eq(name, names[i]))
                        return true;
        return false;
}

static void describe(struct strbuf *b, const struct http_head *h)
{
        size_t i;

        strbuf_printf(b, "%s %s ?%s", h->method, h->path, h->query);
        if (h->close)
                strbuf_add_str(b, " close");
        if (h->has_length)
                strbuf_printf(b, " length=%llu", (unsigned long long)h->content_length);
        if (h->chunked)
                strbuf_add_str(b, " chunked");
        if (h->expect_continue)
                strbuf_add_str(b, " expect");
        if (h->encoded_body)
                strbuf_add_str(b, " encoded");
        if (h->accept_gzip)
                strbuf_add_str(b, " gzip");
        for (i = 0; i < h->nheaders; i++)
                if (!is_framing(h->headers[i].name))
                        strbuf_printf(b, " %s=%s", h->headers[i].name, h->headers[i].value);
}

/* step: how many bytes come at a time. tail: bytes of the next request that came along. */
static void check_head(const char *name, const char *text, const char *want, size_t step, const char *tail)
{
        _cleanup_strbuf_ struct strbuf got = STRBUF_NULL, in = STRBUF_NULL;
        struct arena a = ARENA_NULL;
        struct http_scan scan = {0};
        size_t len = strlen(text), have;
        struct http_head h;
        ssize_t end = 0;
        int r;

        strbuf_add_str(&in, text);
        strbuf_add_str(&in, tail);
        for (have = 0; have < in.len && !end;) {
                char *exact; /* a heap copy of just that many bytes: reading on is found out */

                have = MIN(have + step, in.len);
                exact = memcpy(malloc(have), in.data, have);
                end = http_head_scan(&scan, exact, have);
                free(exact);
        }
        if (end < 0) {
                strbuf_add_str(&got, end == -EBADMSG ? "EBADMSG" : "?");
        } else {
                assert_int_equal(end, len);
                r = http_head_parse(arena_strndup(&a, in.data + scan.start, (size_t)end - scan.start),
                                    (size_t)end - scan.start, &a, &h);
                if (r) {
                        assert_non_null(h.message);
                        strbuf_printf(&got, "%d", r);
                } else {
                        describe(&got, &h);
                }
        }
        if (!str_eq(got.data, want))
                print_error("%s, %zu at a time\n", name, step);
        assert_string_equal(got.data, want);
        arena_deinit(&a);
}

static void heads_are_understood_or_refused_however_they_arrive(void **state)
{
        size_t i;

        for (i = 0; i < ARRAY_SIZE(heads); i++) {
                check_head(heads[i].name, heads[i].head, heads[i].want, SIZE_MAX / 2, "");
                check_head(heads[i].name, heads[i].head, heads[i].want, 1, "");
                check_head(heads[i].name, heads[i].head, heads[i].want, 7, "");
                check_head(heads[i].name, heads[i].head, heads[i].want, SIZE_MAX / 2, "GET /next HTTP/1.1\r\n\r\n");
        }
}

static void a_nul_is_refused_everywhere(void **state)
{
        static const char text[] = "GET /a HTTP/1.1\r\nHost: h\r\nA: bc\r\n\r\n";
        size_t i, n = sizeof(text) - 1;

        for (i = 0; i < n; i++) {
                struct arena a = ARENA_NULL;
                struct http_scan scan = {0};
                struct http_head h;
                char *copy = arena_strndup(&a, text, n);
                ssize_t end;

                copy[i] = '\0';
                end = http_head_scan(&scan, copy, n);
                if (end > 0)
                        assert_int_not_equal(http_head_parse(copy, (size_t)end, &a, &h), 0);
                arena_deinit(&a);
        }
}

static void too_many_headers_are_refused(void **state)
{
        int n;

        for (n = HTTP_HEADERS_MAX - 1; n <= HTTP_HEADERS_MAX; n++) {
                _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
                struct arena a = ARENA_NULL;
                struct http_head h;
                int i;

                strbuf_add_str(&b, "GET / HTTP/1.1\r\nHost: h\r\n");
                for (i = 0; i < n; i++)
                        strbuf_printf(&b, "A%d: b\r\n", i);
                strbuf_add_str(&b, "\r\n");
                assert_int_equal(http_head_parse(b.data, b.len, &a, &h), n < HTTP_HEADERS_MAX ? 0 : 431);
                arena_deinit(&a);
        }
}

static void gzip_is_accepted_when_the_client_says_so(void **state)
{
        static const struct {
                const char *value;
                bool want;
        } rows[] = {
                {"gzip", true},
                {"GZIP", true},
                {"deflate, gzip;q=0.5", true},
                {"*", true},
                {"gzip;q=1.0, br", true},
                {"", false},
                {"identity", false},
                {"gzip;q=0", false},
                {"gzip; q=0.000", false},
                {"gzipped", false},
                {"x-gzip", false},
                {"*;q=0", false},
                {"gzip ; q=0.001", true},
                {"br,,gzip,", true},
        };
        size_t i;

        for (i = 0; i < ARRAY_SIZE(rows); i++) {
                if (http_accepts_gzip(rows[i].value) != rows[i].want)
                        print_error("%s\n", rows[i].value);
                assert_int_equal(http_accepts_gzip(rows[i].value), rows[i].want);
        }
}

/* want: the body; NULL: malformed. rest: bytes behind it. */
static const struct {
        const char *name, *in, *want;
        size_t rest;
} bodies[] = {
        {"nothing", "0\r\n\r\n", "", 0},
        {"one", "3\r\nabc\r\n0\r\n\r\n", "abc", 0},
        {"several", "3\r\nabc\r\nA\r\n0123456789\r\n1\r\n!\r\n0\r\n\r\n", "abc0123456789!", 0},
        {"lower case and zeros", "00a\r\n0123456789\r\n000\r\n\r\n", "0123456789", 0},
        {"the next request behind it", "1\r\nx\r\n0\r\n\r\nGET /", "x", 5},
        {"line breaks inside", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n", 0},
        {"an extension", "3;a=b\r\nabc\r\n0;x=\"y z\"\r\n\r\n", "abc", 0},
        {"a blank before an extension", "3 ;a\r\nabc\r\n0\t\r\n\r\n", "abc", 0},
        {"trailers", "1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n", "x", 0},
        {"no size", "\r\nabc\r\n", NULL, 0},
        {"no digits", ";a\r\nabc\r\n0\r\n\r\n", NULL, 0},
        {"a sign", "+3\r\nabc\r\n0\r\n\r\n", NULL, 0},
        {"0x", "0x3\r\nabc\r\n0\r\n\r\n", NULL, 0},
        {"a blank in front", " 3\r\nabc\r\n0\r\n\r\n", NULL, 0},
        {"digits behind a blank", "3 3\r\nabc\r\n0\r\n\r\n", NULL, 0},
        {"a size without end", "1000000000000000\r\n", NULL, 0},
        {"LF alone behind the size", "3\nabc\r\n0\r\n\r\n", NULL, 0},
        {"CR alone behind the size", "3\rabc\r\n0\r\n\r\n", NULL, 0},
        {"more bytes than said", "3\r\nabcd\r\n0\r\n\r\n", NULL, 0},
        {"LF alone behind the bytes", "3\r\nabc\n0\r\n\r\n", NULL, 0},
        {"CR alone behind the bytes", "3\r\nabc\r0\r\n\r\n", NULL, 0},
        {"LF alone at the end", "0\r\n\n", NULL, 0},
        {"LF in an extension", "3;a\nb\r\nabc\r\n0\r\n\r\n", NULL, 0},
        {"CR in an extension", "3;a\rb\r\nabc\r\n0\r\n\r\n", NULL, 0},
        {"a control character in an extension", "3;\x01\r\nabc\r\n0\r\n\r\n", NULL, 0},
        {"a trailer without a colon", "0\r\nabc\r\n\r\n", NULL, 0},
        {"a folded trailer", "0\r\nA: b\r\n c\r\n\r\n", NULL, 0},
        {"a trailer without a name", "0\r\n: b\r\n\r\n", NULL, 0},
        {"LF alone in a trailer", "0\r\nA: b\nC: d\r\n\r\n", NULL, 0},
};

static void check_body(const char *name, const char *in, size_t len, const char *want, size_t rest, size_t step)
{
        _cleanup_strbuf_ struct strbuf got = STRBUF_NULL;
        struct http_chunked d = {0};
        size_t have = 0;
        int r = HTTP_CHUNKED_MORE;

        strbuf_add_str(&got, "");
        while (r == HTTP_CHUNKED_MORE && have < len) {
                size_t n = MIN(step, len - have);
                char *exact = memcpy(malloc(n), in + have, n);
                const char *p = exact, *data;
                size_t k;

                while ((r = http_chunked_next(&d, &p, exact + n, &data, &k)) == HTTP_CHUNKED_DATA)
                        strbuf_add(&got, data, k);
                have += (size_t)(p - exact);
                free(exact);
        }
        if (r != (want ? HTTP_CHUNKED_END : -EBADMSG))
                print_error("%s, %zu at a time: %d\n", name, step, r);
        assert_int_equal(r, want ? HTTP_CHUNKED_END : -EBADMSG);
        if (!want)
                return;
        assert_string_equal(got.data, want);
        assert_int_equal(len - have, rest);
}

static void chunked_bodies_are_read_or_refused_however_they_arrive(void **state)
{
        size_t i, step;

        for (i = 0; i < ARRAY_SIZE(bodies); i++)
                for (step = 1; step < 8; step++)
                        check_body(bodies[i].name, bodies[i].in, strlen(bodies[i].in), bodies[i].want, bodies[i].rest,
                                   step == 7 ? 4096 : step);
}

static void extensions_and_trailers_are_bounded(void **state)
{
        _cleanup_strbuf_ struct strbuf ext = STRBUF_NULL, many = STRBUF_NULL, trailer = STRBUF_NULL;
        int i;

        strbuf_add_str(&ext, "1;");
        for (i = 0; i < HTTP_CHUNK_EXT_MAX + 1; i++)
                strbuf_add_char(&ext, 'x');
        check_body("a long extension", ext.data, ext.len, NULL, 0, 4096);
        for (i = 0; i < HTTP_CHUNK_EXT_MAX / 4 + 1; i++)
                strbuf_add_str(&many, "1;abcd\r\nx\r\n");
        check_body("many extensions", many.data, many.len, NULL, 0, 4096);
        strbuf_add_str(&trailer, "0\r\n");
        for (i = 0; i < HTTP_CHUNK_TRAILER_MAX / 5 + 1; i++)
                strbuf_add_str(&trailer, "A: b\r\n");
        check_body("many trailers", trailer.data, trailer.len, NULL, 0, 4096);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(heads_are_understood_or_refused_however_they_arrive),
                cmocka_unit_test(a_nul_is_refused_everywhere),
                cmocka_unit_test(too_many_headers_are_refused),
                cmocka_unit_test(gzip_is_accepted_when_the_client_says_so),
                cmocka_unit_test(chunked_bodies_are_read_or_refused_however_they_arrive),
                cmocka_unit_test(extensions_and_trailers_are_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
