/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "unit/kubelet/spdy_client.h"

struct world {
        struct spdy_client client;
        struct strbuf out, heard;
        struct spdy *spdy;
        bool refuse;
};

static bool opened(void *userdata, uint32_t stream, const struct spdy_headers *h)
{
        struct world *w = userdata;

        strbuf_printf(&w->heard, "open %u %s;", stream, spdy_header(h, "streamtype") ?: "-");
        return !w->refuse;
}

static void data(void *userdata, uint32_t stream, const char *bytes, size_t n)
{
        struct world *w = userdata;

        strbuf_printf(&w->heard, "%u:%.*s;", stream, (int)MIN(n, 20), bytes);
}

static void ended(void *userdata, uint32_t stream, bool aborted)
{
        struct world *w = userdata;

        strbuf_printf(&w->heard, "%s %u;", aborted ? "abort" : "end", stream);
}

static void room(void *userdata, uint32_t stream)
{
        struct world *w = userdata;

        strbuf_printf(&w->heard, "room %u;", stream);
}

static const struct stream_events events = {opened, data, ended, room};

static int setup(void **state)
{
        static struct world w;

        w = (struct world){.out = STRBUF_NULL};
        spdy_client_init(&w.client);
        strbuf_add_str(&w.heard, "");
        *state = &w;
        return spdy_new(&events, &w, &w.out, &w.spdy);
}

static int teardown(void **state)
{
        struct world *w = *state;

        spdy_client_deinit(&w->client);
        strbuf_deinit(&w->out);
        strbuf_deinit(&w->heard);
        spdy_free(w->spdy);
        return 0;
}

/* Everything both have to say, the client's in pieces. */
static int talk(struct world *w, size_t piece)
{
        int r = 0;

        for (size_t at = 0; at < w->client.out.len && r >= 0; at += piece)
                r = spdy_feed(w->spdy, w->client.out.data + at, MIN(piece, w->client.out.len - at));
        w->client.out.len = 0;
        spdy_client_hear(&w->client, w->out.data, w->out.len);
        w->out.len = 0;
        return r;
}

static void streams_are_opened_answered_and_closed(void **state)
{
        struct world *w = *state;

        for (uint32_t round = 0; round < 3; round++) {
                uint32_t id = 1 + 4 * round;
                char want[128];

                w->heard.len = w->client.told.len = 0;
                spdy_client_open(&w->client, id, "streamtype=stdin,port=80", false);
                spdy_client_open(&w->client, id + 2, "streamtype=error", true);
                spdy_client_data(&w->client, id, "hello", 5, false);
                spdy_client_data(&w->client, id, "", 0, true);
                assert_int_equal(talk(w, 1000), 0);
                snprintf(want, sizeof(want), "open %u stdin;open %u error;end %u;%u:hello;end %u;", id, id + 2, id + 2,
                         id, id);
                assert_string_equal(w->heard.data, want);
                spdy_send(w->spdy, id, "world", 5);
                spdy_close(w->spdy, id);
                spdy_close(w->spdy, id + 2);
                spdy_send(w->spdy, id, "too late", 8);
                talk(w, 1000);
                snprintf(want, sizeof(want), "reply %u;reply %u;data %u world;fin %u;fin %u;", id, id + 2, id, id,
                         id + 2);
                assert_string_equal(w->client.told.data, want);
        }
}

static void pieces_make_no_difference(void **state)
{
        for (size_t piece = 1; piece < 30; piece++) {
                struct world *w;

                teardown(state);
                setup(state);
                w = *state;
                spdy_client_open(&w->client, 1, "streamtype=stdin", false);
                spdy_client_control(&w->client, 6, (uint32_t[]){5}, 1);
                spdy_client_open(&w->client, 3, "streamtype=stdout", false);
                spdy_client_control(&w->client, 3, (uint32_t[]){3, 5}, 2);
                assert_int_equal(talk(w, piece), 0);
                assert_string_equal(w->heard.data, "open 1 stdin;open 3 stdout;abort 3;");
                assert_string_equal(w->client.told.data, "reply 1;ping 5;reply 3;");
        }
}

static void what_is_refused_is_reset(void **state)
{
        struct world *w = *state;

        w->refuse = true;
        spdy_client_open(&w->client, 1, "streamtype=odd", false);
        spdy_client_data(&w->client, 1, "x", 1, false);
        assert_int_equal(talk(w, 1000), 0);
        assert_string_equal(w->client.told.data, "reply 1;rst 1 5;rst 1 2;");
        assert_int_equal(spdy_room(w->spdy, 1), 0);
}

static void too_many_streams_are_refused(void **state)
{
        struct world *w = *state;

        for (uint32_t i = 0; i <= SPDY_STREAMS_MAX; i++)
                spdy_client_open(&w->client, 1 + 2 * i, "", false);
        assert_int_equal(talk(w, 100000), 0);
        assert_true(str_has_suffix(w->client.told.data, "rst 2049 3;"));
}

static void windows_are_minded_once_they_are_there(void **state)
{
        struct world *w = *state;

        spdy_client_open(&w->client, 1, "", false);
        talk(w, 1000);
        spdy_send(w->spdy, 1, "0123456789", 10);
        assert_int_equal(spdy_room(w->spdy, 1), SPDY_WINDOW_DEFAULT);
        w->heard.len = 0;
        spdy_client_control(&w->client, 4, (uint32_t[]){1, 7, 100}, 3);
        talk(w, 1000);
        assert_string_equal(w->heard.data, "room 0;");
        assert_int_equal(spdy_room(w->spdy, 1), 90);
        spdy_client_control(&w->client, 9, (uint32_t[]){1, 1000}, 2);
        talk(w, 1000);
        assert_string_equal(w->heard.data, "room 0;room 1;");
        assert_int_equal(spdy_room(w->spdy, 1), 1090);
        spdy_client_control(&w->client, 9, (uint32_t[]){1, 0x7fffffff}, 2);
        assert_int_equal(talk(w, 1000), 0);
        assert_int_equal(spdy_room(w->spdy, 1), 0);
        assert_true(str_has_suffix(w->client.told.data, "rst 1 5;"));
}

static void what_was_taken_is_acknowledged(void **state)
{
        static char block[40000];
        struct world *w = *state;

        spdy_client_open(&w->client, 1, "", false);
        spdy_client_data(&w->client, 1, block, 20000, false);
        talk(w, 100000);
        assert_string_equal(w->client.told.data, "reply 1;");
        spdy_client_data(&w->client, 1, block, 20000, false);
        talk(w, 100000);
        assert_string_equal(w->client.told.data, "reply 1;window 1 40000;window 0 40000;");
}

static void who_leaves_is_gone_after_his_last_stream(void **state)
{
        struct world *w = *state;

        spdy_client_open(&w->client, 1, "", true);
        spdy_client_control(&w->client, 7, (uint32_t[]){0, 0}, 2);
        assert_int_equal(talk(w, 1000), 0);
        spdy_close(w->spdy, 1);
        spdy_client_control(&w->client, 6, (uint32_t[]){1}, 1);
        assert_int_equal(talk(w, 1000), SPDY_GONE);
}

static void what_breaks_the_rules_ends_the_session(void **state)
{
        static const struct {
                const char *what, *bytes;
                size_t n;
        } table[] = {
                {"another version", "\x80\2\0\6\0\0\0\4\0\0\0\1", 12},
                {"a stream 0", "\0\0\0\0\0\0\0\1x", 9},
                {"headers that are not compressed", "\x80\3\0\1\0\0\0\x0e\0\0\0\1\0\0\0\0\0\0\0\0\0\0", 22},
                {"a SYN_STREAM that is cut short", "\x80\3\0\1\0\0\0\4\0\0\0\1", 12},
                {"a control frame beyond all bounds", "\x80\3\0\1\0\xff\xff\xff", 8},
                {"settings that do not add up", "\x80\3\0\4\0\0\0\4\0\0\0\1", 12},
                {"a ping without a number", "\x80\3\0\6\0\0\0\0", 8},
                {"a session's window beyond its bound", "\x80\3\0\x09\0\0\0\x08\0\0\0\0\x7f\xff\xff\xff", 16},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                struct world *w;

                teardown(state);
                setup(state);
                w = *state;
                assert_int_equal(spdy_feed(w->spdy, table[i].bytes, table[i].n), -EPROTO);
                talk(w, 1);
                assert_string_equal(w->client.told.data, "goaway 0 1;");
        }
}

static void numbers_of_streams_grow(void **state)
{
        struct world *w = *state;

        spdy_client_open(&w->client, 3, "", false);
        spdy_client_open(&w->client, 1, "", false);
        assert_int_equal(talk(w, 1000), -EPROTO);
}

/* "1 header" of many bytes of one letter: little when compressed. */
static void blocks_that_unfold_are_bounded(void **state)
{
        static char value[SPDY_BLOCK_MAX];
        struct world *w = *state;

        memset(value, 'a', sizeof(value) - 1);
        memcpy(value, "x=", 2);
        spdy_client_open(&w->client, 1, value, false);
        assert_true(w->client.out.len < 200);
        assert_int_equal(talk(w, 1000), -EPROTO);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(streams_are_opened_answered_and_closed, setup, teardown),
                cmocka_unit_test_setup_teardown(pieces_make_no_difference, setup, teardown),
                cmocka_unit_test_setup_teardown(what_is_refused_is_reset, setup, teardown),
                cmocka_unit_test_setup_teardown(too_many_streams_are_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(windows_are_minded_once_they_are_there, setup, teardown),
                cmocka_unit_test_setup_teardown(what_was_taken_is_acknowledged, setup, teardown),
                cmocka_unit_test_setup_teardown(who_leaves_is_gone_after_his_last_stream, setup, teardown),
                cmocka_unit_test_setup_teardown(what_breaks_the_rules_ends_the_session, setup, teardown),
                cmocka_unit_test_setup_teardown(numbers_of_streams_grow, setup, teardown),
                cmocka_unit_test_setup_teardown(blocks_that_unfold_are_bounded, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
