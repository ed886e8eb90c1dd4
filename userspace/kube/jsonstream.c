/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scanner knows strings (whose brackets do not count) and depth, nothing else. Bytes are copied in runs, not one by
 * one: `from` is the first byte of the present run that is not in its buffer yet.
 */
#include <errno.h>
#include <string.h>

#include "kube/jsonstream.h"

#define KEPT_BYTES ((size_t)64 << 10) /* of an object, for the next one */

void jsonstream_init(struct jsonstream *s, enum jsonstream_mode mode, size_t limit,
                     int (*fn)(void *userdata, char *data, size_t len), void *userdata)
{
        *s = (struct jsonstream){.mode = mode, .limit = limit, .fn = fn, .userdata = userdata};
}

void jsonstream_deinit(struct jsonstream *s)
{
        strbuf_deinit(&s->buf);
        strbuf_deinit(&s->rest);
}

bool jsonstream_complete(const struct jsonstream *s)
{
        return s->depth == 0 && !s->in_string && (s->mode == JSONSTREAM_VALUES || s->rest.len > 0);
}

/* Depth at which the objects that come out begin. */
static size_t base_depth(const struct jsonstream *s)
{
        return s->in_items ? 2 : 0;
}

/* Where bytes go at present: into the object, or into the list's rest. */
static struct strbuf *target(struct jsonstream *s)
{
        return s->mode == JSONSTREAM_VALUES || s->in_items ? &s->buf : &s->rest;
}

static int copy(struct jsonstream *s, const char *from, const char *to)
{
        struct strbuf *b = target(s);

        if (b->len + (size_t)(to - from) > s->limit)
                return -EFBIG;
        strbuf_add(b, from, (size_t)(to - from));
        return 0;
}

/* An object (or whatever stands in its place) has ended. */
static int emit(struct jsonstream *s)
{
        int r = s->fn(s->userdata, s->buf.data, s->buf.len);

        s->buf.len = 0;
        if (s->buf.cap > KEPT_BYTES)
                strbuf_deinit(&s->buf);
        return r;
}

static void string_ended(struct jsonstream *s)
{
        static const char key[] = "\"items\"";

        s->in_string = false;
        if (s->mode == JSONSTREAM_LIST && s->depth == 1)
                s->key_is_items = s->rest.len - s->string_at == sizeof(key) - 1 &&
                                  memcmp(s->rest.data + s->string_at, key, sizeof(key) - 1) == 0;
}

/* The bytes of a string up to and including its end; returns where scanning goes on. */
static const char *skip_string(struct jsonstream *s, const char *p, const char *end, bool *ret_ended)
{
        *ret_ended = false;
        for (; p < end; p++) {
                if (s->escaped)
                        s->escaped = false;
                else if (*p != '\\' && *p != '"')
                        continue;
                else if (*p == '\\')
                        s->escaped = true;
                else if (*p == '"') {
                        *ret_ended = true;
                        return p + 1;
                }
        }
        return p;
}

static int opened(struct jsonstream *s, char c)
{
        if (s->mode == JSONSTREAM_LIST && s->depth == 1 && c == '[' && s->key_is_items) {
                s->in_items = true;
                s->key_is_items = false;
        }
        if (s->mode == JSONSTREAM_LIST && s->depth == 0 && s->rest.len > 1)
                return -EBADMSG; /* a second value behind the list */
        s->depth++;
        return 0;
}

/* One structural byte at p; *from moves behind what was copied or left out. */
static int structural(struct jsonstream *s, const char *p, const char **from)
{
        int r;

        switch (*p) {
        case '"':
                r = copy(s, *from, p);
                if (r)
                        return r;
                *from = p;
                s->in_string = true;
                s->string_at = s->rest.len;
                return 0;
        case '{':
        case '[':
                r = copy(s, *from, p + 1); /* an opening bracket of the items belongs to the rest */
                *from = p + 1;
                return r ? r : opened(s, *p);
        case '}':
        case ']':
                if (s->depth == 0)
                        return -EBADMSG;
                if (s->in_items && s->depth == 2) {
                        if (*p != ']' || s->buf.len)
                                return -EBADMSG;
                        s->in_items = false;
                        *from = p;
                }
                s->depth--;
                r = copy(s, *from, p + 1);
                *from = p + 1;
                if (!r && s->depth == base_depth(s) && (s->in_items || s->mode == JSONSTREAM_VALUES))
                        r = emit(s);
                return r;
        }
        return 0;
}

/* A byte outside of strings and brackets: between objects only white space and commas may be. */
static int plain(struct jsonstream *s, const char *p, const char **from)
{
        bool blank = *p == ' ' || *p == '\n' || *p == '\r' || *p == '\t';

        if (s->depth != base_depth(s) || (s->mode == JSONSTREAM_LIST && !s->in_items && !blank && s->depth))
                return 0;
        if (!blank && !(s->in_items && *p == ','))
                return -EBADMSG;
        *from = p + 1;
        return 0;
}

/* Goes on inside of an object that comes out, up to its end or that of the bytes: nearly all of a stream. Only there
 * nothing but its depth matters. */
static const char *skip_object(struct jsonstream *s, const char *p, const char *end)
{
        size_t base = base_depth(s);

        while (p < end) {
                bool ended;

                switch (*p) {
                case '"':
                        s->in_string = true;
                        p = skip_string(s, p + 1, end, &ended);
                        s->in_string = !ended;
                        continue;
                case '{':
                case '[':
                        s->depth++;
                        break;
                case '}':
                case ']':
                        if (s->depth == base + 1)
                                return p; /* which structural() sees */
                        s->depth--;
                        break;
                }
                p++;
        }
        return p;
}

static bool in_object(const struct jsonstream *s)
{
        return !s->in_string && s->depth > base_depth(s) && (s->mode == JSONSTREAM_VALUES || s->in_items);
}

int jsonstream_feed(struct jsonstream *s, const char *data, size_t len)
{
        const char *p = data, *end = data + len, *from = data;
        int r = 0;

        while (p < end && !r) {
                if (s->in_string) {
                        bool ended;

                        p = skip_string(s, p, end, &ended);
                        if (ended) {
                                r = copy(s, from, p);
                                from = p;
                                string_ended(s);
                        }
                        continue;
                }
                if (in_object(s)) {
                        p = skip_object(s, p, end);
                        if (p == end)
                                break;
                }
                if (strchr("\"{}[]", *p) && *p)
                        r = structural(s, p, &from);
                else
                        r = plain(s, p, &from);
                p++;
        }
        return r ? r : copy(s, from, end);
}
