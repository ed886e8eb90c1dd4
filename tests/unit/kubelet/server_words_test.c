/* SPDX-License-Identifier: Apache-2.0 */
/* What requests ask for, and what clients are told: the pure parts of the kubelet's server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent/kubelet/server/remote.h"
#include "agent/kubelet/server/upgrade.h"
#include "agent/kubelet/server/url.h"
#include "base/str.h"

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n"
#define WS  "Connection: keep-alive, Upgrade\nUpgrade: websocket\n"
#define SP  "Connection: Upgrade\nUpgrade: SPDY/3.1\n"

/* text: "Name: value\n" lines, which must live on. */
static struct http_request request(const char *text, struct http_header *headers, struct arena *mem)
{
        struct http_request r = {.method = "GET", .headers = headers};

        for (struct str_span line; str_split(&text, '\n', &line) && line.n;) {
                const char *colon = memchr(line.s, ':', line.n);

                headers[r.nheaders++] =
                        (struct http_header){arena_strndup(mem, line.s, (size_t)(colon - line.s)),
                                             arena_strndup(mem, colon + 2, (size_t)(line.s + line.n - colon - 2))};
        }
        return r;
}

static void protocols_are_chosen_by_headers(void **state)
{
        static const struct {
                enum upgrade_for what;
                const char *headers;
                int status;
                enum channels_kind kind;
                int version;
                const char *answer;
        } table[] = {
                {UPGRADE_REMOTE, WS KEY "Sec-WebSocket-Protocol: v5.channel.k8s.io\n", 0, CHANNELS_WEBSOCKET_V5, 5,
                 "v5.channel.k8s.io"},
                {UPGRADE_REMOTE, WS KEY "Sec-WebSocket-Protocol: v4.channel.k8s.io, v5.channel.k8s.io\n", 0,
                 CHANNELS_WEBSOCKET_V5, 5, "v5.channel.k8s.io"},
                {UPGRADE_REMOTE, WS KEY "Sec-WebSocket-Protocol: v4.channel.k8s.io\n", 0, CHANNELS_WEBSOCKET, 4,
                 "v4.channel.k8s.io"},
                {UPGRADE_REMOTE, WS KEY, 0, CHANNELS_WEBSOCKET, 1, NULL},
                {UPGRADE_REMOTE, WS KEY "Sec-WebSocket-Protocol: v4.base64.channel.k8s.io\n", 403, 0, 0, NULL},
                {UPGRADE_REMOTE, WS "Sec-WebSocket-Protocol: v5.channel.k8s.io\n", 400, 0, 0, NULL},
                {UPGRADE_REMOTE,
                 SP "X-Stream-Protocol-Version: v4.channel.k8s.io\n"
                    "X-Stream-Protocol-Version: v3.channel.k8s.io\n",
                 0, CHANNELS_SPDY, 4, "v4.channel.k8s.io"},
                {UPGRADE_REMOTE, SP "X-Stream-Protocol-Version: v2.channel.k8s.io, channel.k8s.io\n", 0, CHANNELS_SPDY,
                 2, "v2.channel.k8s.io"},
                {UPGRADE_REMOTE, SP, 0, CHANNELS_SPDY, 1, NULL},
                {UPGRADE_REMOTE, SP "X-Stream-Protocol-Version: v9.channel.k8s.io\n", 403, 0, 0, NULL},
                {UPGRADE_REMOTE, "", 400, 0, 0, NULL},
                {UPGRADE_REMOTE, "Upgrade: SPDY/3.1\n", 400, 0, 0, NULL},
                {UPGRADE_REMOTE, "Connection: Upgrade\nUpgrade: h2c\n", 400, 0, 0, NULL},
                {UPGRADE_FORWARD, WS KEY "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\n", 0, CHANNELS_TUNNEL, 1,
                 "SPDY/3.1+portforward.k8s.io"},
                {UPGRADE_FORWARD, WS KEY "Sec-WebSocket-Protocol: v4.channel.k8s.io\n", 0, CHANNELS_WEBSOCKET, 4,
                 "v4.channel.k8s.io"},
                {UPGRADE_FORWARD, WS KEY "Sec-WebSocket-Protocol: v5.channel.k8s.io\n", 403, 0, 0, NULL},
                {UPGRADE_FORWARD, SP "X-Stream-Protocol-Version: portforward.k8s.io\n", 0, CHANNELS_SPDY, 1,
                 "portforward.k8s.io"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                struct arena mem = ARENA_NULL;
                struct http_header headers[8];
                struct http_request req = request(table[i].headers, headers, &mem);
                struct upgrade up = {.nheaders = 0};
                const char *why = NULL, *answer = NULL;

                assert_int_equal(upgrade_choose(&req, table[i].what, &up, &why), table[i].status);
                assert_true(!table[i].status || why);
                for (size_t k = 0; k < up.nheaders; k++)
                        if (!str_eq(up.headers[k].name, "Sec-WebSocket-Accept"))
                                answer = up.headers[k].value;
                assert_true(str_eq(answer, table[i].answer));
                if (!table[i].status) {
                        assert_int_equal(up.kind, table[i].kind);
                        assert_int_equal(up.version, table[i].version);
                }
                if (!table[i].status && str_eq(up.protocol, "websocket"))
                        assert_string_equal(up.headers[0].value, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
                arena_deinit(&mem);
        }
}

static void paths_and_queries_are_decoded(void **state)
{
        static const struct {
                const char *path;
                int n;
                const char *last;
        } paths[] = {
                {"/a/b", 2, "b"},       {"/", -1, NULL},          {"//a", -1, NULL},    {"/a/", -1, NULL},
                {"/a%2Fb/%41", 2, "A"}, {"/a%00", -1, NULL},      {"/a%zz", 1, "a%zz"}, {"/a%4", 1, "a%4"},
                {"/a+b", 1, "a+b"},     {"/1/2/3/4/5", -1, NULL},
        };
        struct arena mem = ARENA_NULL;
        const char *q = "command=a+b&command=%26&stdin&tty=&x=%00&command=c=d", *segments[4];

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                assert_int_equal(url_segments(paths[i].path, segments, 4, &mem), paths[i].n);
                if (paths[i].n > 0)
                        assert_string_equal(segments[paths[i].n - 1], paths[i].last);
        }
        assert_string_equal(url_param(q, "command", 0, &mem), "a b");
        assert_string_equal(url_param(q, "command", 1, &mem), "&");
        assert_string_equal(url_param(q, "command", 2, &mem), "c=d");
        assert_null(url_param(q, "command", 3, &mem));
        assert_string_equal(url_param(q, "stdin", 0, &mem), "");
        assert_string_equal(url_param(q, "tty", 0, &mem), "");
        assert_null(url_param(q, "x", 0, &mem));
        assert_null(url_param("", "x", 0, &mem));
        arena_deinit(&mem);
}

/* Each word is decoded once: a walk for each of them would take gigabytes. */
static void many_words_are_one_walk(void **state)
{
        struct arena mem = ARENA_NULL;
        _cleanup_strbuf_ struct strbuf query = STRBUF_NULL;
        const char *const *words;

        for (int i = 0; i < 6500; i++)
                strbuf_printf(&query, "%scommand=%d", i ? "&" : "", i);
        assert_int_equal(url_params(query.data, "command", 6500, &words, &mem), 6500);
        assert_string_equal(words[6499], "6499");
        assert_null(words[6500]);
        assert_true(mem.total < 1 << 20);
        assert_int_equal(url_params(query.data, "command", 6499, &words, &mem), -1);
        assert_int_equal(url_params("command=a&x=%00&command=b+c&command", "command", 9, &words, &mem), 3);
        assert_string_equal(words[1], "b c");
        assert_string_equal(words[2], "");
        assert_int_equal(url_params("command=a&command=%00", "command", 9, &words, &mem), -1);
        assert_int_equal(url_params("", "command", 9, &words, &mem), 0);
        arena_deinit(&mem);
}

static void the_end_is_told_in_words_of_the_version(void **state)
{
        static const struct {
                int version, code;
                const char *want;
        } table[] = {
                {4, 0, "{\"metadata\":{},\"status\":\"Success\"}"},
                {5, 7,
                 "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated with non-zero exit code: "
                 "error "
                 "executing command [sh -c x], exit code 7\",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":["
                 "{\"reason\":\"ExitCode\",\"message\":\"7\"}]}}"},
                {3, 0, ""},
                {1, 7, "command terminated with non-zero exit code: error executing command [sh -c x], exit code 7"},
        };
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                b.len = 0;
                strbuf_add_str(&b, "");
                remote_exit_status(table[i].version, table[i].code, "sh -c x", &b);
                assert_string_equal(b.data, table[i].want);
        }
        b.len = 0;
        remote_error_status(4, "it \"broke\"", &b);
        assert_string_equal(b.data,
                            "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"Internal error occurred: it "
                            "\\\"broke\\\"\",\"reason\":\"InternalError\",\"details\":{\"causes\":[{\"message\":"
                            "\"it \\\"broke\\\"\"}]},\"code\":500}");
}

static void sizes_come_in_any_pieces(void **state)
{
        static const char text[] = "{\"Width\":80,\"Height\":24}\n{\"Width\": 101, \"Height\": 33}{\"Width\":";
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        uint16_t columns = 0, rows = 0;

        for (size_t i = 0; i < strlen(text); i++) {
                strbuf_add_char(&b, text[i]);
                if (remote_sizes(&b, &columns, &rows))
                        assert_true((columns == 80 && rows == 24) || (columns == 101 && rows == 33));
        }
        assert_int_equal(columns, 101);
        assert_int_equal(b.len, strlen("{\"Width\":"));
        strbuf_add_str(&b, "\"x\"}{]}");
        assert_false(remote_sizes(&b, &columns, &rows));
        assert_int_equal(columns, 101);
        for (int i = 0; i < 3000; i++)
                strbuf_add_char(&b, '{');
        assert_false(remote_sizes(&b, &columns, &rows));
        assert_int_equal(b.len, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(protocols_are_chosen_by_headers),
                cmocka_unit_test(paths_and_queries_are_decoded),
                cmocka_unit_test(many_words_are_one_walk),
                cmocka_unit_test(the_end_is_told_in_words_of_the_version),
                cmocka_unit_test(sizes_come_in_any_pieces),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
