/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection's bytes, cut into pieces as the first bytes of the input say: requests are read one after the other, as
 * the server does it. What must hold: the pieces make no difference.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/parse.h"
#include "base/strbuf.h"

#define CUTS 4

struct reading {
        struct strbuf told; /* what was understood */
        struct strbuf in;   /* bytes not used yet */
        struct http_scan scan;
        struct http_head head;
        struct http_chunked chunked;
        uint64_t left;
        bool in_body, over;
};

static void begin_body(struct reading *r)
{
        r->in_body = r->head.chunked || r->head.content_length;
        r->left = r->head.content_length;
        r->chunked = (struct http_chunked){0};
        r->over = r->head.close && !r->in_body;
}

static size_t take_head(struct reading *r)
{
        ssize_t end = http_head_scan(&r->scan, r->in.data, r->in.len);
        struct arena a = ARENA_NULL;
        size_t i;
        int status;

        if (end <= 0) {
                r->over = end < 0;
                return 0;
        }
        status = http_head_parse(arena_strndup(&a, r->in.data + r->scan.start, (size_t)end - r->scan.start),
                                 (size_t)end - r->scan.start, &a, &r->head);
        strbuf_printf(&r->told, "%d ", status);
        if (status) {
                if (!r->head.message)
                        abort();
                r->over = true;
        } else {
                if (r->head.path[0] != '/' || (r->head.chunked && r->head.has_length))
                        abort();
                strbuf_printf(&r->told, "%s %s %s\n", r->head.method, r->head.path, r->head.query);
                for (i = 0; i < r->head.nheaders; i++)
                        strbuf_printf(&r->told, "%s=%s\n", r->head.headers[i].name, r->head.headers[i].value);
                begin_body(r);
        }
        arena_deinit(&a);
        r->head.method = r->head.path = r->head.query = NULL;
        r->head.headers = NULL;
        r->scan = (struct http_scan){0};
        return (size_t)end;
}

static size_t take_body(struct reading *r)
{
        const char *p = r->in.data, *data;
        size_t n = MIN(r->in.len, r->left);
        int step;

        if (!r->head.chunked) {
                strbuf_add(&r->told, p, n);
                r->left -= n;
                r->in_body = r->left;
                return n;
        }
        while ((step = http_chunked_next(&r->chunked, &p, r->in.data + r->in.len, &data, &n)) == HTTP_CHUNKED_DATA)
                strbuf_add(&r->told, data, n);
        r->over = step < 0;
        r->in_body = step != HTTP_CHUNKED_END;
        return (size_t)(p - r->in.data);
}

static void feed(struct reading *r, const uint8_t *data, size_t n)
{
        size_t used = 1;

        strbuf_add(&r->in, data, n);
        while (!r->over && r->in.len && used) {
                used = r->in_body ? take_body(r) : take_head(r);
                memmove(r->in.data, r->in.data + used, r->in.len - used);
                r->in.len -= used;
        }
}

static void finish(struct reading *r, struct strbuf *ret)
{
        strbuf_printf(&r->told, "over=%d", r->over);
        *ret = r->told;
        strbuf_deinit(&r->in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_strbuf_ struct strbuf whole = STRBUF_NULL, pieces = STRBUF_NULL;
        struct reading a = {0}, b = {0};
        size_t i, n;

        if (size < CUTS)
                return 0;
        feed(&a, data + CUTS, size - CUTS);
        finish(&a, &whole);
        for (i = CUTS; i < size; i += n) {
                n = MIN((size_t)data[i % CUTS] + 1, size - i);
                feed(&b, data + i, n);
        }
        finish(&b, &pieces);
        if (whole.len != pieces.len || memcmp(whole.data, pieces.data, whole.len))
                abort();
        return 0;
}
