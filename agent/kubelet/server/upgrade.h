/* SPDX-License-Identifier: Apache-2.0 */
/* Which protocol a client and we speak after 101: by the headers of its request. Pure. */
#pragma once

#include "agent/kubelet/server/channels.h"
#include "http/http.h"

enum upgrade_for {
        UPGRADE_REMOTE,  /* exec and attach */
        UPGRADE_FORWARD, /* port-forward */
};

struct upgrade {
        enum channels_kind kind;
        int version;          /* 1 to 5, of exec's error stream and sizes */
        const char *protocol; /* "websocket", "SPDY/3.1" */
        struct http_header headers[2];
        size_t nheaders;
        char accept[WEBSOCKET_ACCEPT_SIZE];
};

/* 0, or the HTTP status to refuse with, and why. Strings of *ret lie in the request or are constant. */
int upgrade_choose(const struct http_request *req, enum upgrade_for what, struct upgrade *ret, const char **ret_why);
