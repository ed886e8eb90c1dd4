/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.sock: one JSON object a line, one answer a line, answered in order. Callers are bounded in number, line length
 * and time.
 */
#pragma once

#include "agent/net/record.h"
#include "base/loop.h"
#include "base/strbuf.h"

struct agentsock;

struct agentsock_opts {
        struct loop *loop;
        const char *path;
        /* 0, or negative errno whose message becomes the answer. extra: more members, as ",\"ready\":true". */
        int (*serve)(void *userdata, const struct request *request, struct strbuf *extra, struct err *reterr);
        void *userdata;
};

/* Replaces a socket that a former life has left. */
int agentsock_new(const struct agentsock_opts *opts, struct agentsock **ret, struct err *reterr);
/* Ends all connections and removes the socket. */
void agentsock_free(struct agentsock *s);
DEFINE_CLEANUP(struct agentsock *, agentsock_free)
