/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "http/chars.h"
#include "http/parse.h"
#include "base/str.h"

#define CONTENT_LENGTH_DIGITS_MAX 19

ssize_t http_head_scan(struct http_scan *scan, const char *buf, size_t len)
{
        while (scan->pos < len) {
                const char *lf = memchr(buf + scan->pos, '\n', len - scan->pos);
                size_t at;

                if (!lf) {
                        scan->pos = len;
                        break;
                }
                at = (size_t)(lf - buf);
                if (at == scan->line || lf[-1] != '\r')
                        return -EBADMSG;
                if (at == scan->line + 1 && scan->line != scan->start)
                        return (ssize_t)at + 1;
                if (at == scan->line + 1) /* RFC 9112, 2.2: an empty line in front of a request is skipped */
                        scan->start = at + 1;
                scan->line = scan->pos = at + 1;
        }
        return 0;
}

static int refuse(struct http_head *h, int status, const char *message)
{
        h->message = message;
        return status;
}

static bool all_of(const char *s, size_t n, unsigned class)
{
        size_t i;

        for (i = 0; i < n; i++)
                if (!http_char_is(s[i], class))
                        return false;
        return true;
}

/* Cuts blanks off both ends; returns the new end. */
static char *trim(char **s, char *end)
{
        while (*s < end && (**s == ' ' || **s == '\t'))
                (*s)++;
        while (end > *s && (end[-1] == ' ' || end[-1] == '\t'))
                end--;
        return end;
}

static int read_version(struct http_head *h, const char *s, size_t n)
{
        if (n != 8 || memcmp(s, "HTTP/", 5) || s[6] != '.' || s[5] < '0' || s[5] > '9' || s[7] < '0' || s[7] > '9')
                return refuse(h, 400, "malformed HTTP version");
        if (s[5] != '1')
                return refuse(h, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
        h->http_1_0 = s[7] == '0';
        h->close = h->http_1_0;
        return 0;
}

/* origin-form, or absolute-form, of which scheme and authority are dropped (RFC 9112, 3.2.2). */
static int read_target(struct http_head *h, char *s, size_t n)
{
        static const char *const schemes[] = {"https://", "http://"};
        size_t i;
        char *q;

        if (!n || !all_of(s, n, HTTP_CHAR_TARGET))
                return refuse(h, 400, "malformed request target");
        s[n] = '\0';
        for (i = 0; i < ARRAY_SIZE(schemes); i++) {
                size_t k = strlen(schemes[i]);

                if (strncasecmp(s, schemes[i], k))
                        continue;
                s += k;
                k = strcspn(s, "/?");
                if (!k || memchr(s, '@', k))
                        return refuse(h, 400, "malformed authority in the request target");
                s += k;
                if (*s != '/') { /* "http://host?query" stands for the path "/" */
                        *--s = '/';
                }
                break;
        }
        if (*s != '/')
                return refuse(h, 400, "the request target must be a path or an absolute URL");
        q = strchr(s, '?');
        if (q)
                *q++ = '\0';
        h->path = s;
        h->query = q ? q : "";
        return 0;
}

static int read_request_line(struct http_head *h, char *s, char *end)
{
        char *sp1 = memchr(s, ' ', (size_t)(end - s));
        char *sp2 = sp1 ? memchr(sp1 + 1, ' ', (size_t)(end - sp1 - 1)) : NULL;
        int r;

        if (!sp2 || sp1 == s || sp1 - s > HTTP_METHOD_MAX || !all_of(s, (size_t)(sp1 - s), HTTP_CHAR_TOKEN))
                return refuse(h, 400, "malformed request line");
        r = read_version(h, sp2 + 1, (size_t)(end - sp2 - 1));
        if (r)
                return r;
        *sp1 = '\0';
        h->method = s;
        return read_target(h, sp1 + 1, (size_t)(sp2 - sp1 - 1));
}

static int read_content_length(struct http_head *h, const char *value)
{
        size_t n = strspn(value, "0123456789");
        uint64_t v = 0;

        if (!n || value[n])
                return refuse(h, 400, "malformed Content-Length");
        value += strspn(value, "0");
        if (strlen(value) > CONTENT_LENGTH_DIGITS_MAX)
                v = UINT64_MAX;
        else
                (void)str_parse_u64(*value ? value : "0", &v);
        if (h->has_length && h->content_length != v)
                return refuse(h, 400, "several different Content-Length headers");
        h->has_length = true;
        h->content_length = v;
        return 0;
}

static int read_transfer_encoding(struct http_head *h, const char *value)
{
        if (h->chunked)
                return refuse(h, 400, "several Transfer-Encoding headers");
        if (strcasecmp(value, "chunked"))
                return refuse(h, 501, "unsupported transfer encoding");
        h->chunked = true;
        return 0;
}

static int read_host(struct http_head *h, const char *value)
{
        if (h->has_host)
                return refuse(h, 400, "several Host headers");
        if (!all_of(value, strlen(value), HTTP_CHAR_HOST))
                return refuse(h, 400, "malformed Host header");
        h->has_host = true;
        return 0;
}

static int read_connection(struct http_head *h, const char *value)
{
        for (;;) {
                size_t n;

                value += strspn(value, ", \t");
                n = strcspn(value, ", \t");
                if (!n)
                        return 0;
                if (n == 5 && !strncasecmp(value, "close", 5))
                        h->close = true;
                value += n;
        }
}

static int read_expect(struct http_head *h, const char *value)
{
        if (strcasecmp(value, "100-continue"))
                return refuse(h, 417, "the only expectation that can be met is 100-continue");
        h->expect_continue = !h->http_1_0;
        return 0;
}

static int read_content_encoding(struct http_head *h, const char *value)
{
        h->encoded_body |= *value && strcasecmp(value, "identity");
        return 0;
}

static int read_accept_encoding(struct http_head *h, const char *value)
{
        h->accept_gzip |= http_accepts_gzip(value);
        return 0;
}

bool http_accepts_gzip(const char *value)
{
        while (*value) {
                const char *p = value + strspn(value, ", \t");
                size_t n = strcspn(p, ",;  \t"), len = strcspn(p, ",");
                const char *q = memchr(p, ';', len);
                bool named = (n == 4 && !strncasecmp(p, "gzip", 4)) || (n == 1 && *p == '*');

                value = p + len;
                if (!named)
                        continue;
                if (!q)
                        return true;
                q += 1 + strspn(q + 1, " \t");
                /* A weight of zero in any spelling has no digit but 0. */
                if (strncasecmp(q, "q=", 2))
                        return true;
                q += 2;
                q += strspn(q, "0.");
                return *q >= '1' && *q <= '9';
        }
        return false;
}

/* The headers that tell how the message is framed, and what the server itself acts on. */
static const struct {
        const char *name;
        size_t len;
        int (*read)(struct http_head *h, const char *value);
} known[] = {
#define KNOWN(name, read)                                                                                              \
        {                                                                                                              \
                name, sizeof(name) - 1, read                                                                           \
        }
        KNOWN("Host", read_host),
        KNOWN("Expect", read_expect),
        KNOWN("Connection", read_connection),
        KNOWN("Content-Length", read_content_length),
        KNOWN("Accept-Encoding", read_accept_encoding),
        KNOWN("Content-Encoding", read_content_encoding),
        KNOWN("Transfer-Encoding", read_transfer_encoding),
#undef KNOWN
};

static int read_field(struct http_head *h, char *s, char *end)
{
        char *colon = memchr(s, ':', (size_t)(end - s)), *value;
        size_t n, i;

        if (*s == ' ' || *s == '\t')
                return refuse(h, 400, "folded header lines are obsolete");
        if (!colon || colon == s || !all_of(s, (size_t)(colon - s), HTTP_CHAR_TOKEN))
                return refuse(h, 400, "malformed header name");
        value = colon + 1;
        end = trim(&value, end);
        if (!all_of(value, (size_t)(end - value), HTTP_CHAR_VALUE))
                return refuse(h, 400, "malformed header value");
        *colon = *end = '\0';
        h->headers[h->nheaders++] = (struct http_header){s, value};
        n = (size_t)(colon - s);
        for (i = 0; i < ARRAY_SIZE(known); i++)
                if (known[i].len == n && !strncasecmp(known[i].name, s, n))
                        return known[i].read(h, value);
        return 0;
}

static size_t count_lines(const char *s, const char *end)
{
        size_t n = 0;

        while ((s = memchr(s, '\n', (size_t)(end - s)))) {
                s++;
                n++;
        }
        return n;
}

/* What only all headers together tell. */
static int check_framing(struct http_head *h)
{
        if (!h->has_host && !h->http_1_0)
                return refuse(h, 400, "missing required Host header");
        if (h->chunked && h->has_length)
                return refuse(h, 400, "both Content-Length and Transfer-Encoding");
        if (h->chunked && h->http_1_0)
                return refuse(h, 400, "Transfer-Encoding in an HTTP/1.0 request");
        return 0;
}

int http_head_parse(char *text, size_t len, struct arena *arena, struct http_head *ret)
{
        char *end = text + len - 2, *eol; /* without the empty line */
        size_t lines = count_lines(text, end);
        int r;

        *ret = (struct http_head){.method = "", .path = "", .query = ""};
        if (lines - 1 > HTTP_HEADERS_MAX)
                return refuse(ret, 431, "too many headers");
        ret->headers = arena_array(arena, struct http_header, lines);
        eol = memchr(text, '\n', (size_t)(end - text));
        r = read_request_line(ret, text, eol - 1);
        while (!r && eol + 1 < end) {
                text = eol + 1;
                eol = memchr(text, '\n', (size_t)(end - text));
                r = read_field(ret, text, eol - 1);
        }
        return r ? r : check_framing(ret);
}

const char *http_header(const struct http_request *req, const char *name)
{
        size_t i;

        for (i = 0; i < req->nheaders; i++)
                if (!strcasecmp(req->headers[i].name, name))
                        return req->headers[i].value;
        return NULL;
}
