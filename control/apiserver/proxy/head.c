/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "apiserver/proxy/head.h"
#include "base/str.h"
#include "http/chars.h"

bool proxy_is_hop_header(const char *name)
{
        static const char *const names[] = {
                "Connection",     "Keep-Alive",        "Proxy-Connection",   "TE", "Trailer", "Upgrade",
                "Content-Length", "Transfer-Encoding", "Proxy-Authenticate",
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (!strcasecmp(name, names[i]))
                        return true;
        return false;
}

static int bad(const char **ret_why, const char *why)
{
        *ret_why = why;
        return -EBADMSG;
}

/* HTTP/1.1 200 OK */
static int read_status(char *line, struct proxy_head *h, const char **ret_why)
{
        uint16_t code;

        if (strncmp(line, "HTTP/1.", 7) != 0 || !line[7] || line[8] != ' ')
                return bad(ret_why, "malformed HTTP version");
        line += 9;
        if (strlen(line) > 3 && line[3] == ' ')
                line[3] = '\0';
        if (strlen(line) != 3 || str_parse_u16(line, &code) || code < 100 || code > 599)
                return bad(ret_why, "malformed HTTP status code");
        h->status = code;
        return 0;
}

static int read_length(const char *value, struct proxy_head *h, const char **ret_why)
{
        uint64_t n;

        if (str_parse_u64(value, &n) || (h->has_length && n != h->length))
                return bad(ret_why, "bad Content-Length");
        h->has_length = true;
        h->length = n;
        return 0;
}

static int note_header(const char *name, const char *value, struct proxy_head *h, const char **ret_why)
{
        if (!strcasecmp(name, "Content-Length"))
                return read_length(value, h, ret_why);
        if (!strcasecmp(name, "Upgrade"))
                h->upgrade = value;
        if (strcasecmp(name, "Transfer-Encoding"))
                return 0;
        if (h->chunked || strcasecmp(value, "chunked"))
                return bad(ret_why, "unsupported transfer encoding");
        h->chunked = true;
        return 0;
}

static bool all_of(const char *s, unsigned class)
{
        while (*s && http_char_is(*s, class))
                s++;
        return !*s;
}

/* Cuts "Name: value" apart. */
static int read_header(char *line, struct http_header *ret, const char **ret_why)
{
        char *colon = strchr(line, ':'), *value, *end;

        if (!colon || colon == line)
                return bad(ret_why, "malformed header");
        *colon = '\0';
        value = colon + 1 + strspn(colon + 1, " \t");
        end = value + strlen(value);
        while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
                *--end = '\0';
        if (!all_of(line, HTTP_CHAR_TOKEN) || !all_of(value, HTTP_CHAR_VALUE))
                return bad(ret_why, "malformed header");
        *ret = (struct http_header){line, value};
        return 0;
}

/* The next line, its end cut off, or NULL at the empty one. */
static char *next_line(char **at, char *end)
{
        char *line = *at, *lf = memchr(line, '\n', (size_t)(end - line));

        if (!lf)
                return NULL;
        *at = lf + 1;
        if (lf > line && lf[-1] == '\r')
                lf--;
        *lf = '\0';
        return lf > line ? line : NULL;
}

static size_t count_lines(const char *s, size_t n)
{
        size_t lines = 0;

        for (size_t i = 0; i < n; i++)
                lines += s[i] == '\n';
        return lines;
}

int proxy_head_parse(char *text, size_t len, struct arena *a, struct proxy_head *ret, const char **ret_why)
{
        struct http_header *headers = arena_array(a, struct http_header, count_lines(text, len) + 1);
        char *at = text, *line;
        int r;

        *ret = (struct proxy_head){.headers = headers};
        if (memchr(text, '\0', len))
                return bad(ret_why, "a NUL in the head");
        line = next_line(&at, text + len);
        r = line ? read_status(line, ret, ret_why) : bad(ret_why, "no status line");
        while (!r && (line = next_line(&at, text + len))) {
                struct http_header *h = &headers[ret->nheaders];

                r = read_header(line, h, ret_why);
                if (!r)
                        r = note_header(h->name, h->value, ret, ret_why);
                if (!r && !proxy_is_hop_header(h->name))
                        ret->nheaders++;
        }
        if (!r && ret->chunked && ret->has_length)
                r = bad(ret_why, "both Content-Length and Transfer-Encoding");
        return r;
}
