/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent/kubelet/server/channels.h"
#include "unit/kubelet/spdy_client.h"

static bool opened(void *userdata, uint32_t stream, const struct spdy_headers *h)
{
        strbuf_printf(userdata, "open %u %s;", stream, spdy_header(h, "streamtype") ?: "-");
        return true;
}

static void data(void *userdata, uint32_t stream, const char *bytes, size_t n)
{
        strbuf_printf(userdata, "%u:%.*s;", stream, (int)n, bytes);
}

static void ended(void *userdata, uint32_t stream, bool aborted)
{
        strbuf_printf(userdata, "end %u;", stream);
}

static void room(void *userdata, uint32_t stream)
{
}

static const struct stream_events events = {opened, data, ended, room};

/* A masked frame whose mask is zeros, which masks nothing. */
static void frame(struct strbuf *b, uint8_t first, const char *bytes, size_t n)
{
        strbuf_add_char(b, (char)first);
        strbuf_add_char(b, (char)(0x80 | (n < 126 ? n : 126)));
        if (n >= 126) {
                strbuf_add_char(b, (char)(n >> 8));
                strbuf_add_char(b, (char)n);
        }
        strbuf_add(b, "\0\0\0\0", 4);
        strbuf_add(b, bytes, n);
}

static void messages_begin_with_their_channel(void **state)
{
        _cleanup_(channels_freep) struct channels *c = NULL;
        _cleanup_strbuf_ struct strbuf in = STRBUF_NULL, heard = STRBUF_NULL;

        assert_int_equal(channels_new(CHANNELS_WEBSOCKET, &events, &heard, &c), 0);
        frame(&in, 0x82, "\0stdin", 6);
        frame(&in, 0x82, "", 0);
        frame(&in, 0x82, "\0", 1);
        frame(&in, 0x02, "\4{", 2);
        frame(&in, 0x80, "}", 1);
        frame(&in, 0x02, "", 0);
        frame(&in, 0x80, "\1x", 2);
        frame(&in, 0x82, "\377\0", 2);
        assert_int_equal(channels_feed(c, in.data, in.len), 0);
        assert_string_equal(heard.data, "0:stdin;4:{;4:};1:x;255:;");
        channels_send(c, 1, "out", 3);
        channels_close(c, 1);
        channels_goodbye(c);
        assert_int_equal(channels_out(c)->len, 6 + 4);
        assert_memory_equal(channels_out(c)->data, "\x82\4\1out\x88\2\x03\xe8", 10);
}

static void v5_ends_a_channel(void **state)
{
        _cleanup_(channels_freep) struct channels *c = NULL;
        _cleanup_strbuf_ struct strbuf in = STRBUF_NULL, heard = STRBUF_NULL;

        assert_int_equal(channels_new(CHANNELS_WEBSOCKET_V5, &events, &heard, &c), 0);
        frame(&in, 0x82, "\0a", 2);
        frame(&in, 0x02, "\377", 1);
        frame(&in, 0x80, "\0", 1);
        frame(&in, 0x88, "", 0);
        assert_int_equal(channels_feed(c, in.data, in.len), CHANNELS_OVER);
        assert_string_equal(heard.data, "0:a;end 0;");
}

static void a_tunnel_has_spdy_inside(void **state)
{
        _cleanup_(channels_freep) struct channels *c = NULL;
        _cleanup_strbuf_ struct strbuf in = STRBUF_NULL, heard = STRBUF_NULL;
        struct strbuf *out;
        struct spdy_client client;

        spdy_client_init(&client);
        assert_int_equal(channels_new(CHANNELS_TUNNEL, &events, &heard, &c), 0);
        spdy_client_open(&client, 1, "streamtype=data,port=80", false);
        spdy_client_data(&client, 1, "GET", 3, false);
        frame(&in, 0x82, client.out.data, 11); /* where one message ends says nothing */
        frame(&in, 0x82, client.out.data + 11, client.out.len - 11);
        assert_int_equal(channels_feed(c, in.data, in.len), 0);
        assert_string_equal(heard.data, "open 1 data;1:GET;");
        out = channels_out(c);
        assert_true(out->len > 2 && out->data[0] == '\x82' && (size_t)out->data[1] == out->len - 2);
        spdy_client_hear(&client, out->data + 2, out->len - 2);
        out->len = 0;
        channels_send(c, 1, "200", 3);
        channels_close(c, 1);
        assert_int_equal(out->len, 2 + 11 + 2 + 8);
        spdy_client_hear(&client, out->data + 2, 11);
        spdy_client_hear(&client, out->data + 15, 8);
        assert_string_equal(client.told.data, "reply 1;data 1 200;fin 1;");
        spdy_client_deinit(&client);
}

static void what_is_wrong_inside_ends_the_tunnel(void **state)
{
        _cleanup_(channels_freep) struct channels *c = NULL;
        _cleanup_strbuf_ struct strbuf in = STRBUF_NULL, heard = STRBUF_NULL;

        assert_int_equal(channels_new(CHANNELS_TUNNEL, &events, &heard, &c), 0);
        frame(&in, 0x82, "\x80\2\0\6\0\0\0\4\0\0\0\1", 12);
        assert_int_equal(channels_feed(c, in.data, in.len), -EPROTO);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(messages_begin_with_their_channel),
                cmocka_unit_test(v5_ends_a_channel),
                cmocka_unit_test(a_tunnel_has_spdy_inside),
                cmocka_unit_test(what_is_wrong_inside_ends_the_tunnel),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
