/* SPDX-License-Identifier: Apache-2.0 */
#include <strings.h>

#include "agent/kubelet/server/upgrade.h"
#include "base/str.h"

#define SPDY_VERSION_HEADER "X-Stream-Protocol-Version"

struct subprotocol {
        const char *name;
        enum channels_kind kind;
        int version;
};

/* The best first, as upstream chooses. */
static const struct subprotocol remote_websocket[] = {
        {"v5.channel.k8s.io", CHANNELS_WEBSOCKET_V5, 5},
        {"v4.channel.k8s.io", CHANNELS_WEBSOCKET, 4},
        {"channel.k8s.io", CHANNELS_WEBSOCKET, 1},
        {NULL, 0, 0},
};
static const struct subprotocol remote_spdy[] = {
        {"v4.channel.k8s.io", CHANNELS_SPDY, 4},
        {"v3.channel.k8s.io", CHANNELS_SPDY, 3},
        {"v2.channel.k8s.io", CHANNELS_SPDY, 2},
        {"channel.k8s.io", CHANNELS_SPDY, 1},
        {NULL, 0, 0},
};
static const struct subprotocol forward_websocket[] = {
        {"SPDY/3.1+portforward.k8s.io", CHANNELS_TUNNEL, 1},
        {"v4.channel.k8s.io", CHANNELS_WEBSOCKET, 4},
        {NULL, 0, 0},
};
static const struct subprotocol forward_spdy[] = {
        {"portforward.k8s.io", CHANNELS_SPDY, 1},
        {NULL, 0, 0},
};

static const struct subprotocol *const offered[2][2] = {
        [UPGRADE_REMOTE] = {remote_websocket, remote_spdy},
        [UPGRADE_FORWARD] = {forward_websocket, forward_spdy},
};

/* Lists of words with commas and blanks between them. */
static bool has_word(const char *list, const char *word, bool any_case)
{
        size_t n = strlen(word);

        for (struct str_span piece; str_split(&list, ',', &piece);) {
                for (; piece.n && *piece.s == ' '; piece.s++)
                        piece.n--;
                for (; piece.n && piece.s[piece.n - 1] == ' '; piece.n--)
                        ;
                if (piece.n == n && (any_case ? strncasecmp(piece.s, word, n) : strncmp(piece.s, word, n)) == 0)
                        return true;
        }
        return false;
}

static bool header_has(const struct http_request *req, const char *name, const char *word, bool any_case)
{
        for (size_t i = 0; i < req->nheaders; i++)
                if (strcasecmp(req->headers[i].name, name) == 0 && has_word(req->headers[i].value, word, any_case))
                        return true;
        return false;
}

/* Without any wish the oldest is meant. */
static const struct subprotocol *choose(const struct http_request *req, const char *name,
                                        const struct subprotocol *list)
{
        const struct subprotocol *last = list;

        for (; list->name; last = list++)
                if (header_has(req, name, list->name, false))
                        return list;
        return http_header(req, name) ? NULL : last;
}

static void add_header(struct upgrade *u, const char *name, const char *value)
{
        u->headers[u->nheaders++] = (struct http_header){name, value};
}

static int choose_websocket(const struct http_request *req, enum upgrade_for what, struct upgrade *ret,
                            const char **ret_why)
{
        const char *name = "Sec-WebSocket-Protocol", *key = http_header(req, "Sec-WebSocket-Key");
        const struct subprotocol *p = choose(req, name, offered[what][0]);

        *ret_why =
                "the WebSocket handshake is not complete: Sec-WebSocket-Key and Sec-WebSocket-Version: 13 belong to it";
        if (!str_eq(http_header(req, "Sec-WebSocket-Version"), "13") || !key || websocket_accept(key, ret->accept))
                return 400;
        *ret_why = "unable to upgrade: none of the subprotocols that the client asks for is spoken here";
        if (!p)
                return 403;
        ret->kind = p->kind;
        ret->version = p->version;
        ret->protocol = "websocket";
        add_header(ret, "Sec-WebSocket-Accept", ret->accept);
        if (http_header(req, name))
                add_header(ret, name, p->name);
        return 0;
}

static int choose_spdy(const struct http_request *req, enum upgrade_for what, struct upgrade *ret, const char **ret_why)
{
        const struct subprotocol *p = choose(req, SPDY_VERSION_HEADER, offered[what][1]);

        *ret_why = "unable to upgrade: unable to negotiate protocol: none that the client asks for is spoken here";
        if (!p)
                return 403;
        ret->kind = p->kind;
        ret->version = p->version;
        ret->protocol = "SPDY/3.1";
        if (http_header(req, SPDY_VERSION_HEADER))
                add_header(ret, SPDY_VERSION_HEADER, p->name);
        return 0;
}

int upgrade_choose(const struct http_request *req, enum upgrade_for what, struct upgrade *ret, const char **ret_why)
{
        struct upgrade u = {.version = 0};
        bool asks = header_has(req, "Connection", "upgrade", true);
        int status;

        *ret_why = "unable to upgrade: missing upgrade headers in request";
        if (asks && header_has(req, "Upgrade", "websocket", true))
                status = choose_websocket(req, what, &u, ret_why);
        else if (asks && header_has(req, "Upgrade", "SPDY/3.1", true))
                status = choose_spdy(req, what, &u, ret_why);
        else
                return 400;
        if (status)
                return status;
        *ret = u;
        for (size_t i = 0; i < ret->nheaders; i++)
                if (ret->headers[i].value == u.accept)
                        ret->headers[i].value = ret->accept;
        return 0;
}
