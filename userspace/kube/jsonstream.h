/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts a stream of JSON into single objects as its bytes come in, wherever the chunks end: the events of a watch, or
 * the items of a list. Only one object is held at a time. It finds where objects end; whether they are JSON is found
 * out by whoever parses them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"

enum jsonstream_mode {
        JSONSTREAM_VALUES, /* objects one after the other, with white space between them */
        JSONSTREAM_LIST,   /* one object; the elements of its member "items" come out, the rest is kept */
};

struct jsonstream {
        enum jsonstream_mode mode;
        size_t limit; /* bytes of one object, or of a list's rest */
        /* Returns 0, or negative errno, which ends jsonstream_feed. The bytes are borrowed, with a NUL behind them, and
         * may be changed. */
        int (*fn)(void *userdata, char *data, size_t len);
        void *userdata;

        struct strbuf buf;  /* the object being collected */
        struct strbuf rest; /* JSONSTREAM_LIST: the list without its items: {"metadata":{...},"items":[]} */
        size_t depth;       /* of open braces and brackets */
        bool in_string, escaped;
        bool in_items;     /* inside the array "items" */
        bool key_is_items; /* the last string at depth 1 was "items" */
        size_t string_at;  /* where in rest the present string began */
};

void jsonstream_init(struct jsonstream *s, enum jsonstream_mode mode, size_t limit,
                     int (*fn)(void *userdata, char *data, size_t len), void *userdata);
void jsonstream_deinit(struct jsonstream *s);
/* 0, -EBADMSG (no JSON), -EFBIG (limit), or what fn returned. */
int jsonstream_feed(struct jsonstream *s, const char *data, size_t len);
/* True between objects (and, for a list, behind its end): the stream may end here. */
bool jsonstream_complete(const struct jsonstream *s);
