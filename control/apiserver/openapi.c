/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents are the same for as long as the server runs. They are made when somebody first asks (the index of
 * version 3 needs all of its documents, for their hashes) and kept compressed: together they take less than a tenth of
 * their text, and nearly every client wants gzip anyway. Requests run on worker threads.
 */
#include <pthread.h>

#include "apiserver/discovery_build.h"
#include "apiserver/openapi.h"
#include "apiserver/openapi_document.h"
#include "apiserver/status.h"
#include "base/mem.h"
#include "base/str.h"

/* Clients ask for "...spec.v2@v1.0+protobuf", which is no media type; what is sent back is one, as upstream does. */
#define V2_PROTOBUF "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

/* One group and version. */
struct page {
        char *path; /* "apis/apps/v1" */
        struct packed packed;
};

static struct page *pages;
static size_t npages;
static struct packed v3_index, v2_json, v2_protobuf;
static pthread_once_t v3_once = PTHREAD_ONCE_INIT, v2_json_once = PTHREAD_ONCE_INIT,
                      v2_protobuf_once = PTHREAD_ONCE_INIT;

/* ---- making them ---- */

/* "DEAD...", the tag without its quotes. */
static const char *hash_of(const struct packed *p, char hash[DOCUMENT_TAG_SIZE])
{
        str_copy(hash, DOCUMENT_TAG_SIZE, p->tag + 1);
        hash[strcspn(hash, "\"")] = '\0';
        return hash;
}

static void make_index(void)
{
        struct json_object *o = json_object_new_object(), *paths = json_ensure(o, "paths");
        struct packer pack;

        for (size_t i = 0; i < npages; i++) {
                char url[256], hash[DOCUMENT_TAG_SIZE];

                snprintf(url, sizeof(url), "/openapi/v3/%s?hash=%s", pages[i].path, hash_of(&pages[i].packed, hash));
                json_set_str(json_ensure(paths, pages[i].path), "serverRelativeURL", url);
        }
        packer_init(&pack);
        json_write(&pack.text, o);
        strbuf_add_char(&pack.text, '\n');
        packer_finish(&pack, "application/json", &v3_index);
        json_object_put(o);
}

static void make_v3(void)
{
        pages = mem_array(struct page, schema_nresources);
        for (size_t i = 0; i < schema_nresources; i++) {
                const struct schema_resource *r = &schema_resources[i];
                struct page *p = &pages[npages];
                struct packer pack;

                if (!discovery_first_of_version(i))
                        continue;
                p->path = mem_printf("%s%s/%s", *r->group ? "apis/" : "api", r->group, r->version);
                packer_init(&pack);
                openapi_v3_write(r->group, r->version, &pack);
                packer_finish(&pack, "application/json", &p->packed);
                npages++;
        }
        make_index();
}

static void make_v2_json(void)
{
        struct packer pack;

        packer_init(&pack);
        openapi_v2_write_json(&pack);
        packer_finish(&pack, "application/json", &v2_json);
}

static void make_v2_protobuf(void)
{
        struct packer pack;

        packer_init(&pack);
        openapi_v2_write_protobuf(&pack);
        packer_finish(&pack, V2_PROTOBUF, &v2_protobuf);
}

/* ---- answering ---- */

/* "gzip" among the codings, and not with a weight of nothing (RFC 9110, 12.5.3). */
static bool accepts_gzip(const struct api_request *req)
{
        const char *codings = http_header(req->http, "Accept-Encoding");
        struct str_span piece;

        while (codings && str_split(&codings, ',', &piece)) {
                const char *s = piece.s + strspn(piece.s, " "), *end = piece.s + piece.n, *q;

                if (strncmp(s, "gzip", 4) != 0 || (s + 4 < end && !strchr("; ", s[4])))
                        continue;
                q = memmem(s, (size_t)(end - s), "q=0", 3);
                return !q || (q + 3 < end && q[3] == '.' && strspn(q + 4, "0") < strcspn(q + 4, ", "));
        }
        return false;
}

static int answer(struct api_request *req, const struct packed *p)
{
        struct strbuf b;

        if (!p->gzip)
                return api_fail(req, 500, "the OpenAPI document could not be made: out of memory");
        api_header(req, "Vary", "Accept-Encoding, Accept");
        if (document_is_cached(req, p->tag))
                return document_not_modified(req, p->tag);
        api_header(req, "ETag", p->tag);
        if (accepts_gzip(req)) {
                api_header(req, "Content-Encoding", "gzip");
                req->res->status = 200;
                req->res->content_type = p->content_type;
                req->res->kind = HTTP_BODY_BLOB;
                req->res->blob = blob_ref(p->gzip);
                return API_ANSWERED;
        }
        b = packed_text(p);
        return api_answer_buffer(req, 200, p->content_type, &b);
}

/* With the right hash the answer is for ever; with an old one the client is sent to the right one. */
static int answer_page(struct api_request *req, const struct page *p)
{
        const char *want = api_query_get(req, "hash");
        char hash[DOCUMENT_TAG_SIZE];

        hash_of(&p->packed, hash);
        if (!str_empty(want) && !str_eq(want, hash)) {
                api_header(req, "Location", arena_printf(req->arena, "/openapi/v3/%s?hash=%s", p->path, hash));
                req->res->status = 301;
                req->res->kind = HTTP_BODY_NONE;
                return API_ANSWERED;
        }
        if (!str_empty(want))
                api_header(req, "Cache-Control", "public, max-age=31536000, immutable");
        return answer(req, &p->packed);
}

static int answer_v3(struct api_request *req, const char *path)
{
        pthread_once(&v3_once, make_v3);
        if (!*path)
                return answer(req, &v3_index);
        for (size_t i = 0; i < npages; i++)
                if (str_eq(pages[i].path, path))
                        return answer_page(req, &pages[i]);
        return api_fail_no_resource(req);
}

static int answer_v2(struct api_request *req)
{
        const char *accept = http_header(req->http, "Accept");

        if (accept && strstr(accept, "proto-openapi.spec.v2")) {
                pthread_once(&v2_protobuf_once, make_v2_protobuf);
                return answer(req, &v2_protobuf);
        }
        pthread_once(&v2_json_once, make_v2_json);
        return answer(req, &v2_json);
}

bool openapi_handles(const char *path)
{
        return str_has_prefix(path, "/openapi/");
}

int openapi_answer(struct api_request *req)
{
        const char *v3 = str_after(req->http->path, "/openapi/v3");

        if (str_eq(req->http->path, "/openapi/v2"))
                return answer_v2(req);
        if (v3 && (!*v3 || *v3 == '/'))
                return answer_v3(req, v3 + (*v3 == '/'));
        return api_fail_no_resource(req);
}
