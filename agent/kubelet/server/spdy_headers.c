/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/types.h>

#include <zlib.h>

#include "agent/kubelet/server/spdy.h"
#include "base/mem.h"
#include "base/str.h"

/* What header blocks look like before the first one came (2.6.10.1): numbers of 32 bits before the words, then what is
 * frequent in values. Its Adler-32 is 0xe3c6a7c2. */
static const char dictionary[] =
        "\0\0\0\007options\0\0\0\004head\0\0\0\004post\0\0\0\003put\0\0\0\006delete\0\0\0\005trace"
        "\0\0\0\006accept\0\0\0\016accept-charset\0\0\0\017accept-encoding\0\0\0\017accept-language"
        "\0\0\0\015accept-ranges\0\0\0\003age\0\0\0\005allow\0\0\0\015authorization\0\0\0\015cache-control"
        "\0\0\0\012connection\0\0\0\014content-base\0\0\0\020content-encoding\0\0\0\020content-language"
        "\0\0\0\016content-length\0\0\0\020content-location\0\0\0\013content-md5\0\0\0\015content-range"
        "\0\0\0\014content-type\0\0\0\004date\0\0\0\004etag\0\0\0\006expect\0\0\0\007expires\0\0\0\004from"
        "\0\0\0\004host\0\0\0\010if-match\0\0\0\021if-modified-since\0\0\0\015if-none-match\0\0\0\010if-range"
        "\0\0\0\023if-unmodified-since\0\0\0\015last-modified\0\0\0\010location\0\0\0\014max-forwards"
        "\0\0\0\006pragma\0\0\0\022proxy-authenticate\0\0\0\023proxy-authorization\0\0\0\005range"
        "\0\0\0\007referer\0\0\0\013retry-after\0\0\0\006server\0\0\0\002te\0\0\0\007trailer"
        "\0\0\0\021transfer-encoding\0\0\0\007upgrade\0\0\0\012user-agent\0\0\0\004vary\0\0\0\003via"
        "\0\0\0\007warning\0\0\0\020www-authenticate\0\0\0\006method\0\0\0\003get\0\0\0\006status"
        "\0\0\0\006200 OK\0\0\0\007version\0\0\0\010HTTP/1.1\0\0\0\003url\0\0\0\006public\0\0\0\012set-cookie"
        "\0\0\0\012keep-alive\0\0\0\006origin"
        "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Au"
        "thoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidd"
        "en404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr Ma"
        "y Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,imag"
        "e/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicpri"
        "vatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

#define DICTIONARY_SIZE (sizeof(dictionary) - 1)

struct spdy_inflater {
        z_stream z;
};

struct spdy_deflater {
        z_stream z;
};

int spdy_inflater_new(struct spdy_inflater **ret)
{
        struct spdy_inflater *i = mem_new(struct spdy_inflater);

        if (inflateInit(&i->z) != Z_OK) {
                free(i);
                return -ENOMEM;
        }
        *ret = i;
        return 0;
}

void spdy_inflater_free(struct spdy_inflater *i)
{
        if (i)
                inflateEnd(&i->z);
        free(i);
}

static int inflate_some(z_stream *z)
{
        int r = inflate(z, Z_SYNC_FLUSH);

        if (r == Z_NEED_DICT && inflateSetDictionary(z, (const Bytef *)dictionary, DICTIONARY_SIZE) == Z_OK)
                r = inflate(z, Z_SYNC_FLUSH);
        return r;
}

ssize_t spdy_inflate(struct spdy_inflater *i, const char *data, size_t n, char *out, size_t max)
{
        z_stream *z = &i->z;

        z->next_in = (Bytef *)data;
        z->avail_in = (uInt)n;
        z->next_out = (Bytef *)out;
        z->avail_out = (uInt)max;
        while (z->avail_in) {
                int r = inflate_some(z);

                if (r != Z_OK || (z->avail_in && !z->avail_out))
                        return -EPROTO;
        }
        return (ssize_t)(max - z->avail_out);
}

/* Answers have hardly any headers: a window of 2 KiB does. */
int spdy_deflater_new(struct spdy_deflater **ret)
{
        struct spdy_deflater *d = mem_new(struct spdy_deflater);

        if (deflateInit2(&d->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 11, 1, Z_DEFAULT_STRATEGY) != Z_OK) {
                free(d);
                return -ENOMEM;
        }
        deflateSetDictionary(&d->z, (const Bytef *)dictionary, DICTIONARY_SIZE);
        *ret = d;
        return 0;
}

void spdy_deflater_free(struct spdy_deflater *d)
{
        if (d)
                deflateEnd(&d->z);
        free(d);
}

void spdy_deflate(struct spdy_deflater *d, const char *data, size_t n, struct strbuf *out)
{
        z_stream *z = &d->z;

        z->next_in = (Bytef *)data;
        z->avail_in = (uInt)n;
        do {
                z->next_out = (Bytef *)strbuf_reserve(out, 256);
                z->avail_out = 256;
                deflate(z, Z_SYNC_FLUSH);
                out->len += 256 - z->avail_out;
        } while (!z->avail_out);
}

struct reader {
        const char *p, *end;
};

static bool take_u32(struct reader *r, uint32_t *ret)
{
        const uint8_t *p = (const uint8_t *)r->p;

        if (r->end - r->p < 4)
                return false;
        *ret = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        r->p += 4;
        return true;
}

/* A counted string, which gets a NUL behind it. */
static const char *take_string(struct reader *r, char **to)
{
        char *s = *to;
        uint32_t n;

        if (!take_u32(r, &n) || (size_t)(r->end - r->p) < n)
                return NULL;
        memcpy(s, r->p, n);
        s[n] = '\0';
        *to += n + 1;
        r->p += n;
        return s;
}

int spdy_headers_parse(const char *block, size_t n, struct spdy_headers *ret)
{
        struct reader r = {block, block + n};
        char *to = ret->text;
        uint32_t count;

        if (n > sizeof(ret->text) || !take_u32(&r, &count) || count > SPDY_HEADERS_MAX)
                return -EPROTO;
        for (uint32_t i = 0; i < count; i++) {
                ret->list[i].name = take_string(&r, &to);
                ret->list[i].value = ret->list[i].name ? take_string(&r, &to) : NULL;
                if (!ret->list[i].value || !*ret->list[i].name)
                        return -EPROTO;
        }
        ret->n = count;
        return r.p == r.end ? 0 : -EPROTO;
}

const char *spdy_header(const struct spdy_headers *h, const char *name)
{
        for (size_t i = 0; i < h->n; i++)
                if (str_eq(h->list[i].name, name))
                        return h->list[i].value;
        return NULL;
}
