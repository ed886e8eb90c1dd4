/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "http/internal.h"

#define LEVEL       1
#define WINDOW_BITS (15 + 16) /* + 16: with gzip's header and trailer */
#define MEM_LEVEL   8
#define SLICE       (64 * 1024) /* input of one step: about half a millisecond */
#define SIZE_LINE   6           /* "1234\r\n" */
#define LAST_CHUNK  "\r\n0\r\n\r\n"

struct gzip {
        z_stream z;
};

int gzip_new(struct gzip **ret)
{
        struct gzip *g = calloc(1, sizeof(*g));

        if (!g)
                return -ENOMEM;
        if (deflateInit2(&g->z, LEVEL, Z_DEFLATED, WINDOW_BITS, MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
                free(g);
                return -ENOMEM;
        }
        *ret = g;
        return 0;
}

void gzip_free(struct gzip *g)
{
        deflateEnd(&g->z);
        free(g);
}

/* Compresses until the output is full, the slice is used, or the body ends; true when all is out. */
static bool compress_slice(struct exchange *x, z_stream *z)
{
        size_t budget = SLICE;

        while (z->avail_out) {
                const char *p = "";
                size_t n = MIN(response_span(x, &p), budget);
                int r;

                if (!n && x->pos < x->total)
                        return false;
                z->next_in = (Bytef *)p;
                z->avail_in = (uInt)n;
                r = deflate(z, x->pos + n == x->total ? Z_FINISH : Z_NO_FLUSH);
                n -= z->avail_in;
                response_skip(x, n);
                budget -= n;
                if (r == Z_STREAM_END)
                        return true;
        }
        return false;
}

size_t gzip_next(struct exchange *x, char *buf, size_t max, bool *ret_end)
{
        z_stream *z = &x->gzip->z;
        size_t room = max - SIZE_LINE - strlen(LAST_CHUNK), n;
        char line[SIZE_LINE + 1];

        z->next_out = (Bytef *)buf + SIZE_LINE;
        z->avail_out = (uInt)room;
        *ret_end = compress_slice(x, z);
        n = room - z->avail_out;
        if (!n)
                return 0;
        snprintf(line, sizeof(line), "%04x\r\n", (unsigned)(n & 0xffff));
        memcpy(buf, line, SIZE_LINE);
        n += SIZE_LINE;
        memcpy(buf + n, LAST_CHUNK, strlen(LAST_CHUNK));
        return n + (*ret_end ? strlen(LAST_CHUNK) : 2);
}
