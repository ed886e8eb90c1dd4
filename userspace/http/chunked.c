/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "http/chars.h"
#include "http/parse.h"

#define T HTTP_CHAR_TOKEN
#define G HTTP_CHAR_TARGET
#define V HTTP_CHAR_VALUE
#define H HTTP_CHAR_HOST

const uint8_t http_chars[256] = {
        ['\t'] = V,
        [' '] = V,
        ['!'] = T | G | V | H,
        ['"'] = G | V,
        ['#'] = T | V,
        ['$'] = T | G | V | H,
        ['%'] = T | G | V | H,
        ['&'] = T | G | V | H,
        ['\''] = T | G | V | H,
        ['('] = G | V | H,
        [')'] = G | V | H,
        ['*'] = T | G | V | H,
        ['+'] = T | G | V | H,
        [','] = G | V,
        ['-'] = T | G | V | H,
        ['.'] = T | G | V | H,
        ['/'] = G | V,
        ['0' ... '9'] = T | G | V | H,
        [':'] = G | V | H,
        [';'] = G | V | H,
        ['<'] = G | V,
        ['='] = G | V | H,
        ['>' ... '@'] = G | V,
        ['A' ... 'Z'] = T | G | V | H,
        ['['] = G | V | H,
        ['\\'] = G | V,
        [']'] = G | V | H,
        ['^'] = T | G | V,
        ['_'] = T | G | V | H,
        ['`'] = T | G | V,
        ['a' ... 'z'] = T | G | V | H,
        ['{'] = G | V,
        ['|'] = T | G | V,
        ['}'] = G | V,
        ['~'] = T | G | V | H,
        [0x80 ... 0xff] = V,
};

#undef T
#undef G
#undef V
#undef H

#define SIZE_DIGITS_MAX 15

static int hex_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int size_byte(struct http_chunked *d, char c)
{
        int v = d->state == HTTP_CHUNKED_SIZE ? hex_value(c) : -1;

        if (v >= 0) {
                if (++d->digits > SIZE_DIGITS_MAX)
                        return -EBADMSG;
                d->left = d->left << 4 | (unsigned)v;
                return 0;
        }
        if (!d->digits)
                return -EBADMSG;
        if (c == '\r')
                d->state = HTTP_CHUNKED_SIZE_LF;
        else if (c == ';')
                d->state = HTTP_CHUNKED_EXT;
        else if ((c == ' ' || c == '\t') && ++d->ext_bytes <= HTTP_CHUNK_EXT_MAX)
                d->state = HTTP_CHUNKED_SIZE_BLANK;
        else
                return -EBADMSG;
        return 0;
}

static int ext_byte(struct http_chunked *d, char c)
{
        if (c == '\r') {
                d->state = HTTP_CHUNKED_SIZE_LF;
                return 0;
        }
        return http_char_is(c, HTTP_CHAR_VALUE) && ++d->ext_bytes <= HTTP_CHUNK_EXT_MAX ? 0 : -EBADMSG;
}

static int trailer_byte(struct http_chunked *d, char c)
{
        if (++d->trailer_bytes > HTTP_CHUNK_TRAILER_MAX)
                return -EBADMSG;
        if (c == '\r' && d->state != HTTP_CHUNKED_NAME) {
                d->state = d->state == HTTP_CHUNKED_LINE ? HTTP_CHUNKED_LAST_LF : HTTP_CHUNKED_VALUE_LF;
                return 0;
        }
        if (d->state == HTTP_CHUNKED_VALUE)
                return http_char_is(c, HTTP_CHAR_VALUE) ? 0 : -EBADMSG;
        if (c == ':' && d->state == HTTP_CHUNKED_NAME) {
                d->state = HTTP_CHUNKED_VALUE;
                return 0;
        }
        d->state = HTTP_CHUNKED_NAME;
        return http_char_is(c, HTTP_CHAR_TOKEN) ? 0 : -EBADMSG;
}

/* The bytes that must stand where they stand. */
static int fixed_byte(struct http_chunked *d, char c)
{
        static const struct {
                char want;
                enum http_chunked_state next;
        } fixed[] = {
                [HTTP_CHUNKED_BYTES_CR] = {'\r', HTTP_CHUNKED_BYTES_LF},
                [HTTP_CHUNKED_BYTES_LF] = {'\n', HTTP_CHUNKED_SIZE},
                [HTTP_CHUNKED_VALUE_LF] = {'\n', HTTP_CHUNKED_LINE},
                [HTTP_CHUNKED_LAST_LF] = {'\n', HTTP_CHUNKED_DONE},
        };

        if (c != fixed[d->state].want)
                return -EBADMSG;
        d->state = fixed[d->state].next;
        return 0;
}

static int one_byte(struct http_chunked *d, char c)
{
        switch (d->state) {
        case HTTP_CHUNKED_SIZE:
        case HTTP_CHUNKED_SIZE_BLANK:
                return size_byte(d, c);
        case HTTP_CHUNKED_EXT:
                return ext_byte(d, c);
        case HTTP_CHUNKED_SIZE_LF:
                if (c != '\n')
                        return -EBADMSG;
                d->digits = 0;
                d->state = d->left ? HTTP_CHUNKED_BYTES : HTTP_CHUNKED_LINE;
                return 0;
        case HTTP_CHUNKED_LINE:
        case HTTP_CHUNKED_NAME:
        case HTTP_CHUNKED_VALUE:
                return trailer_byte(d, c);
        default:
                return fixed_byte(d, c);
        }
}

int http_chunked_next(struct http_chunked *d, const char **p, const char *end, const char **ret_data, size_t *ret_len)
{
        while (d->state != HTTP_CHUNKED_DONE) {
                int r;

                if (*p == end)
                        return HTTP_CHUNKED_MORE;
                if (d->state == HTTP_CHUNKED_BYTES) {
                        *ret_data = *p;
                        *ret_len = MIN((uint64_t)(end - *p), d->left);
                        *p += *ret_len;
                        d->left -= *ret_len;
                        if (!d->left)
                                d->state = HTTP_CHUNKED_BYTES_CR;
                        return HTTP_CHUNKED_DATA;
                }
                r = one_byte(d, *(*p)++);
                if (r)
                        return r;
        }
        return HTTP_CHUNKED_END;
}
