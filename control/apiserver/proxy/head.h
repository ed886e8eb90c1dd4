/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the head of an HTTP/1.x response (RFC 9112). Pure. */
#pragma once

#include "base/arena.h"
#include "http/http.h"

struct proxy_head {
        int status;
        const struct http_header *headers; /* all but those about the connection and the body's framing */
        size_t nheaders;
        const char *upgrade; /* the protocol, or NULL */
        bool chunked, has_length;
        uint64_t length;
};

/* Takes apart a complete head (its empty line included), which is written to and must live as long as *ret. Returns 0
 * or -EBADMSG with what is wrong in *ret_why. */
int proxy_head_parse(char *text, size_t len, struct arena *a, struct proxy_head *ret, const char **ret_why);
/* Whether a header is about one connection only, and not to be passed on: RFC 9110, 7.6.1. */
bool proxy_is_hop_header(const char *name);
