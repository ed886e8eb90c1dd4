/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent/kubelet/server/websocket.h"
#include "base/mem.h"

struct heard {
        struct strbuf text; /* of each message: "<bytes>" */
        struct strbuf out;
        struct websocket ws;
};

static void hear(void *userdata, const char *data, size_t n, bool first, bool last)
{
        struct heard *h = userdata;

        strbuf_add_str(&h->text, first ? "<" : "");
        strbuf_add(&h->text, data, n);
        strbuf_add_str(&h->text, last ? ">" : "");
}

static void begin(struct heard *h)
{
        *h = (struct heard){.text = STRBUF_NULL};
        h->ws = (struct websocket){.out = &h->out, .data = hear, .userdata = h};
        strbuf_add_str(&h->text, "");
        strbuf_add_str(&h->out, "");
}

static void end(struct heard *h)
{
        strbuf_deinit(&h->text);
        strbuf_deinit(&h->out);
}

/* A client's frame. first: FIN, reserved bits and opcode. */
static void frame(struct strbuf *b, uint8_t first, const char *data, size_t n)
{
        static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
        size_t more = n < 126 ? 0 : n < 65536 ? 2 : 8;

        strbuf_add_char(b, (char)first);
        strbuf_add_char(b, (char)(0x80 | (n < 126 ? n : n < 65536 ? 126 : 127)));
        for (size_t i = 0; i < more; i++)
                strbuf_add_char(b, (char)(n >> 8 * (more - 1 - i)));
        strbuf_add(b, mask, 4);
        for (size_t i = 0; i < n; i++)
                strbuf_add_char(b, (char)((uint8_t)data[i] ^ mask[i % 4]));
}

/* In pieces of that size. */
static int feed(struct heard *h, const struct strbuf *b, size_t piece)
{
        int r = 0;

        for (size_t at = 0; at < b->len && !r; at += piece) {
                size_t n = MIN(piece, b->len - at);
                _cleanup_free_ char *copy = mem_strndup(b->data + at, n);

                memcpy(copy, b->data + at, n);
                r = websocket_feed(&h->ws, copy, n);
        }
        return r;
}

static void the_key_is_answered(void **state)
{
        char accept[WEBSOCKET_ACCEPT_SIZE];

        /* RFC 6455, 1.3 */
        assert_int_equal(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==", accept), 0);
        assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_int_equal(websocket_accept("c2hvcnQ=", accept), -EINVAL);
        assert_int_equal(websocket_accept("", accept), -EINVAL);
        assert_int_equal(websocket_accept("!", accept), -EINVAL);
}

static void messages_are_the_same_in_pieces_of_any_size(void **state)
{
        _cleanup_strbuf_ struct strbuf in = STRBUF_NULL, want = STRBUF_NULL;
        char long_one[300];

        memset(long_one, 'x', sizeof(long_one));
        frame(&in, 0x82, "hello", 5);
        frame(&in, 0x81, "", 0);
        frame(&in, 0x02, "frag", 4);
        frame(&in, 0x89, "are you there", 13); /* a ping may stand between fragments */
        frame(&in, 0x00, "", 0);
        frame(&in, 0x80, "mented", 6);
        frame(&in, 0x02, "", 0);
        frame(&in, 0x80, "late", 4);
        frame(&in, 0x82, long_one, sizeof(long_one));
        strbuf_add_str(&want, "<hello><><fragmented><late><");
        strbuf_add(&want, long_one, sizeof(long_one));
        strbuf_add_str(&want, ">");
        for (size_t piece = 1; piece < 40; piece++) {
                struct heard h;

                begin(&h);
                assert_int_equal(feed(&h, &in, piece), 0);
                assert_string_equal(h.text.data, want.data);
                assert_int_equal(h.out.len, 15);
                assert_memory_equal(h.out.data,
                                    "\x8a\x0d"
                                    "are you there",
                                    15);
                end(&h);
        }
}

static void long_messages_need_no_room(void **state)
{
        static char data[200000];
        _cleanup_strbuf_ struct strbuf in = STRBUF_NULL;
        struct heard h;

        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (char)('a' + i % 23);
        begin(&h);
        frame(&in, 0x82, data, sizeof(data));
        assert_int_equal(feed(&h, &in, 777), 0);
        assert_int_equal(h.text.len, sizeof(data) + 2);
        assert_memory_equal(h.text.data + 1, data, sizeof(data));
        end(&h);
}

static void what_breaks_the_rules_is_told_so(void **state)
{
        static const struct {
                const char *what;
                uint8_t first[2]; /* of two frames; 0: one alone */
                size_t n;
        } table[] = {
                {"a reserved bit", {0xc2}, 1},
                {"a reserved opcode", {0x83}, 1},
                {"a control opcode that is none", {0x8b}, 0},
                {"a ping in fragments", {0x09}, 1},
                {"a long ping", {0x89}, 126},
                {"a continuation of nothing", {0x80}, 1},
                {"a message within a message", {0x02, 0x82}, 1},
                {"half a code at the end", {0x88}, 1},
        };
        static const char zeros[126];

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                _cleanup_strbuf_ struct strbuf in = STRBUF_NULL;
                struct heard h;

                begin(&h);
                for (size_t k = 0; k < 2 && table[i].first[k]; k++)
                        frame(&in, table[i].first[k], zeros, table[i].n);
                assert_int_equal(feed(&h, &in, 1000), -EPROTO);
                assert_memory_equal(h.out.data, "\x88\x02\x03\xea", 4);
                end(&h);
        }
}

static void a_frame_without_a_mask_is_refused(void **state)
{
        char frame_without[] = "\x82\x01x\0\0\0\0";
        struct heard h;

        begin(&h);
        assert_int_equal(websocket_feed(&h.ws, frame_without, 7), -EPROTO);
        end(&h);
}

static void a_length_of_64_bits_has_its_first_one_clear(void **state)
{
        char head[] = "\x82\xff\x80\0\0\0\0\0\0\0\1\2\3\4";
        struct heard h;

        begin(&h);
        assert_int_equal(websocket_feed(&h.ws, head, 14), -EPROTO);
        end(&h);
}

static void goodbye_is_answered_once(void **state)
{
        _cleanup_strbuf_ struct strbuf in = STRBUF_NULL;
        struct heard h;

        begin(&h);
        frame(&in, 0x88, "\x03\xe9 bye", 6);
        frame(&in, 0x82, "unheard", 7);
        assert_int_equal(feed(&h, &in, 1000), WEBSOCKET_CLOSED);
        assert_int_equal(h.out.len, 4);
        assert_memory_equal(h.out.data, "\x88\x02\x03\xe9", 4);
        websocket_close(&h.ws, WEBSOCKET_NORMAL);
        websocket_send(&h.ws, "", 1, "x", 1);
        websocket_ping(&h.ws);
        assert_int_equal(h.out.len, 4);
        assert_string_equal(h.text.data, "");
        end(&h);
}

static void lengths_are_written_in_three_ways(void **state)
{
        static const struct {
                size_t n, head;
                const char *bytes;
        } table[] = {
                {0, 2, "\x82\x01"},
                {124, 2, "\x82\x7d"},
                {125, 4, "\x82\x7e\x00\x7e"},
                {65534, 4, "\x82\x7e\xff\xff"},
                {65535, 10, "\x82\x7f\0\0\0\0\0\1\0\0"},
        };
        static char data[65535];

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                struct heard h;

                begin(&h);
                websocket_send(&h.ws, "\1", 1, data, table[i].n);
                assert_int_equal(h.out.len, table[i].head + 1 + table[i].n);
                assert_memory_equal(h.out.data, table[i].bytes, table[i].head);
                assert_int_equal(h.out.data[table[i].head], 1);
                end(&h);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_key_is_answered),
                cmocka_unit_test(messages_are_the_same_in_pieces_of_any_size),
                cmocka_unit_test(long_messages_need_no_room),
                cmocka_unit_test(what_breaks_the_rules_is_told_so),
                cmocka_unit_test(a_frame_without_a_mask_is_refused),
                cmocka_unit_test(a_length_of_64_bits_has_its_first_one_clear),
                cmocka_unit_test(goodbye_is_answered_once),
                cmocka_unit_test(lengths_are_written_in_three_ways),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
