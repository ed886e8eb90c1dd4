/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/kubelet/images/outcome.h"
#include "base/cleanup.h"
#include "base/utf8.h"

struct meaning {
        const char *text; /* what it says somewhere */
        enum image_outcome outcome;
        const char *is;   /* what to say */
        bool with_reason; /* and its own words behind it */
};

/* The first that fits: what is sure before what is vague. */
static const struct meaning meanings[] = {
        {"no space left on device", IMAGE_NO_SPACE, "no space is left on the disk", false},
        {"disk quota exceeded", IMAGE_NO_SPACE, "the disk quota is used up", false},
        {"no image found in manifest list", IMAGE_REFUSED, "there is no image for this node's platform", true},
        {"no image found in image index", IMAGE_REFUSED, "there is no image for this node's platform", true},
        {"x509:", IMAGE_UNAVAILABLE, "the registry's certificate is not trusted", true},
        {"tls: failed to verify certificate", IMAGE_UNAVAILABLE, "the registry's certificate is not trusted", true},
        {"server gave HTTP response to HTTPS client", IMAGE_UNAVAILABLE,
         "the registry speaks no TLS, and registries.conf does not call it insecure", false},
        {"manifest unknown", IMAGE_REFUSED, "not found", false},
        {"name unknown", IMAGE_REFUSED, "not found", false},
        {"repository name not known", IMAGE_REFUSED, "not found", false},
        {"unauthorized", IMAGE_REFUSED, OUTCOME_DENIED ": it does not exist or needs credentials", false},
        {"authentication required", IMAGE_REFUSED, OUTCOME_DENIED ": it does not exist or needs credentials", false},
        {"invalid username/password", IMAGE_REFUSED, OUTCOME_DENIED ": the credentials are not accepted", false},
        {"access to the resource is denied", IMAGE_REFUSED, OUTCOME_DENIED ": it does not exist or needs credentials",
         false},
        {"received unexpected HTTP status: 403", IMAGE_REFUSED, OUTCOME_DENIED, false},
        {"received unexpected HTTP status: 404", IMAGE_REFUSED, "not found", false},
        {"StatusCode: 403", IMAGE_REFUSED, OUTCOME_DENIED, false},
        {"StatusCode: 404", IMAGE_REFUSED, "not found", false},
        {"toomanyrequests", IMAGE_UNAVAILABLE, "the registry has had too many requests", false},
        {"received unexpected HTTP status: 429", IMAGE_UNAVAILABLE, "the registry has had too many requests", false},
        {"received unexpected HTTP status: 5", IMAGE_UNAVAILABLE, "the registry fails", true},
        {"StatusCode: 5", IMAGE_UNAVAILABLE, "the registry fails", true},
        {"no such host", IMAGE_UNAVAILABLE, "the registry's name is not known", true},
        {"server misbehaving", IMAGE_UNAVAILABLE, "the registry's name cannot be asked for", true},
        {"Temporary failure in name resolution", IMAGE_UNAVAILABLE, "the registry's name cannot be asked for", true},
        {"connection refused", IMAGE_UNAVAILABLE, "no connection to the registry", true},
        {"no route to host", IMAGE_UNAVAILABLE, "no connection to the registry", true},
        {"network is unreachable", IMAGE_UNAVAILABLE, "no connection to the registry", true},
        {"connection reset", IMAGE_UNAVAILABLE, "the connection to the registry broke", true},
        {"i/o timeout", IMAGE_UNAVAILABLE, "the registry does not answer", true},
        {"TLS handshake timeout", IMAGE_UNAVAILABLE, "the registry does not answer", true},
        {"context deadline exceeded", IMAGE_UNAVAILABLE, "the registry does not answer", true},
        {"does not match config's DiffID", IMAGE_BROKEN, "a layer is not what the configuration announces", true},
        {"igest did not match", IMAGE_BROKEN, "what came is not what its digest says", true},
        {"does not match digest", IMAGE_BROKEN, "what came is not what its digest says", true},
        {"does not match provided manifest digest", IMAGE_BROKEN, "what came is not what its digest says", true},
        {"unexpected EOF", IMAGE_UNAVAILABLE, "the connection to the registry broke", true},
        {": EOF", IMAGE_UNAVAILABLE, "the connection to the registry broke", true},
        {"Error decompressing", IMAGE_BROKEN, "a layer cannot be unpacked", true},
        {"gzip: invalid header", IMAGE_BROKEN, "a layer cannot be unpacked", true},
        {"no such file or directory", IMAGE_REFUSED, "not found on the disk", true},
        {"no descriptor found for reference", IMAGE_REFUSED, "the layout has no image of that name", true},
};

/* The text of the last msg="..." whose level is fatal; else all of it. */
static const char *fatal(const char *said, size_t *ret_n)
{
        static const char mark[] = "level=fatal msg=\"";
        const char *found = NULL, *at = said, *end;

        while ((at = strstr(at, mark)))
                found = at += strlen(mark);
        if (!found) {
                *ret_n = strcspn(said, "\n");
                return said;
        }
        for (end = found; *end && *end != '"' && *end != '\n'; end++)
                if (*end == '\\' && end[1])
                        end++;
        *ret_n = (size_t)(end - found);
        return found;
}

/* One line without the quoting. */
static void words(const char *said, size_t n, char *buf, size_t size)
{
        size_t out = 0;

        for (size_t i = 0; i < n && out + 1 < size; i++) {
                if (said[i] == '\\' && i + 1 < n)
                        i++;
                buf[out++] = (unsigned char)said[i] < ' ' || said[i] == 127 ? ' ' : said[i];
        }
        buf[out] = '\0';
}

/* Errors of Go's HTTP client have the request in front: Get "https://...": what it was. */
static const char *reason(const char *own)
{
        const char *at = own, *next;

        while ((next = strstr(at, "\": ")))
                at = next + 3;
        return at;
}

/* There is no connection to a file: what would be one that broke is a broken file. */
static struct meaning on_disk(struct meaning m)
{
        if (m.outcome == IMAGE_UNAVAILABLE)
                m = (struct meaning){m.text, IMAGE_BROKEN, "cannot be read", true};
        return m;
}

enum image_outcome outcome_of_skopeo(const char *said, bool from_disk, const char *what, char *buf, size_t size)
{
        char own[400];
        size_t n;
        const char *text = fatal(said, &n);

        words(text, n, own, sizeof(own));
        for (size_t i = 0; i < ARRAY_SIZE(meanings); i++) {
                struct meaning m = from_disk ? on_disk(meanings[i]) : meanings[i];

                if (!strstr(own, m.text))
                        continue;
                snprintf(buf, size, "%s: %s%s%s", what, m.is, m.with_reason ? ": " : "",
                         m.with_reason ? reason(own) : "");
                return m.outcome;
        }
        snprintf(buf, size, "%s: %s", what, *own ? own : "skopeo failed without a word");
        return IMAGE_REFUSED;
}

/* It marks the line of the error by a cross. */
enum image_outcome outcome_of_umoci(const char *said, const char *what, char *buf, size_t size)
{
        static const char cross[] = "\xe2\xa8\xaf ";
        const char *found = strstr(said, cross), *text = found ? found + strlen(cross) : said;
        bool full = strstr(said, "no space left on device") || strstr(said, "disk quota exceeded");
        char own[400];

        words(text, strcspn(text, "\n"), own, sizeof(own));
        if (full)
                snprintf(buf, size, "%s: no space is left on the disk", what);
        else
                snprintf(buf, size, "%s: cannot be unpacked: %s", what, *own ? own : "umoci failed without a word");
        return full ? IMAGE_NO_SPACE : IMAGE_BROKEN;
}

void outcome_clean(char *text)
{
        size_t n = strlen(text);

        for (size_t i = 0, len; i < n; i += len) {
                unsigned char c = (unsigned char)text[i];

                len = c < 0x80 ? 1 : utf8_len((unsigned char *)text + i, n - i);
                if (!len || c < ' ' || c == 127) {
                        text[i] = len ? ' ' : '?';
                        len = 1;
                }
        }
}
