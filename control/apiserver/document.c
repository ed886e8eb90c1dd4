/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "apiserver/document.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"

void document_tag(const void *data, size_t n, char tag[DOCUMENT_TAG_SIZE])
{
        static const uint64_t seeds[2][2] = {{1, 2}, {3, 4}}; /* fixed: a tag outlives the process */

        snprintf(tag, DOCUMENT_TAG_SIZE, "\"%016" PRIX64 "%016" PRIX64 "\"", hash_bytes(seeds[0], data, n),
                 hash_bytes(seeds[1], data, n));
}

void document_init(struct document *d, const char *content_type, struct strbuf *b)
{
        d->content_type = content_type;
        d->blob = blob_new(b->data, b->len);
        if (!d->blob)
                abort();
        document_tag(d->blob->data, d->blob->len, d->tag);
        strbuf_deinit(b);
        *b = STRBUF_NULL;
}

void document_deinit(struct document *d)
{
        blob_unref(d->blob);
        *d = (struct document){0};
}

bool document_is_cached(const struct api_request *req, const char *tag)
{
        const char *have = http_header(req->http, "If-None-Match");
        struct str_span piece;

        while (have && str_split(&have, ',', &piece)) {
                const char *s = piece.s + strspn(piece.s, " ");
                size_t n = piece.n - (size_t)(s - piece.s);

                if (n > 2 && memcmp(s, "W/", 2) == 0)
                        s += 2, n -= 2;
                while (n && s[n - 1] == ' ')
                        n--;
                if ((n == strlen(tag) && memcmp(s, tag, n) == 0) || (n == 1 && *s == '*'))
                        return true;
        }
        return false;
}

int document_not_modified(struct api_request *req, const char *tag)
{
        api_header(req, "ETag", tag);
        req->res->status = 304;
        req->res->kind = HTTP_BODY_NONE;
        return API_ANSWERED;
}

int document_answer(struct api_request *req, const struct document *d)
{
        if (document_is_cached(req, d->tag))
                return document_not_modified(req, d->tag);
        api_header(req, "ETag", d->tag);
        api_answer_blob(req, 200, d->blob);
        if (req->res->kind == HTTP_BODY_BLOB) /* "pretty" makes plain JSON of it */
                req->res->content_type = d->content_type;
        return API_ANSWERED;
}
