/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/openapi_pack.h"

#define GZIP  (15 + 16) /* zlib: the largest window, gzip's header */
#define CHUNK 16384

void packer_init(struct packer *p)
{
        *p = (struct packer){.text = STRBUF_NULL};
        p->broken = deflateInit2(&p->z, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP, 8, Z_DEFAULT_STRATEGY) != Z_OK;
}

static void compress_text(struct packer *p, int flush)
{
        int r = Z_OK;

        p->z.next_in = (Bytef *)p->text.data;
        p->z.avail_in = (uInt)p->text.len;
        do {
                p->z.next_out = (Bytef *)strbuf_reserve(&p->out, CHUNK);
                p->z.avail_out = CHUNK;
                r = deflate(&p->z, flush);
                p->out.len += CHUNK - p->z.avail_out;
        } while (r == Z_OK && (p->z.avail_in || flush == Z_FINISH));
        p->text.len = 0;
}

void packer_flush(struct packer *p)
{
        if (p->text.len >= CHUNK && !p->broken)
                compress_text(p, Z_NO_FLUSH);
}

void packer_finish(struct packer *p, const char *content_type, struct packed *ret)
{
        *ret = (struct packed){.content_type = content_type};
        if (!p->broken) {
                compress_text(p, Z_FINISH);
                ret->len = p->z.total_in;
                ret->gzip = blob_new(p->out.data, p->out.len);
                document_tag(p->out.data, p->out.len, ret->tag);
                deflateEnd(&p->z);
        }
        strbuf_deinit(&p->text);
        strbuf_deinit(&p->out);
}

struct strbuf packed_text(const struct packed *p)
{
        z_stream z = {.next_in = (Bytef *)p->gzip->data, .avail_in = p->gzip->len};
        struct strbuf b = STRBUF_NULL;

        if (inflateInit2(&z, GZIP) != Z_OK)
                return b;
        z.next_out = (Bytef *)strbuf_reserve(&b, p->len);
        z.avail_out = (uInt)p->len;
        inflate(&z, Z_FINISH);
        b.len = z.total_out;
        b.data[b.len] = '\0';
        inflateEnd(&z);
        return b;
}
