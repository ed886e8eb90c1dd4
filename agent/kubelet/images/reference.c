/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/kubelet/images/images.h"
#include "agent/kubelet/images/outcome.h"
#include "agent/kubelet/images/reference.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/strbuf.h"

#define TEXT_MAX       4096
#define TAG_MAX        128
#define REPOSITORY_MAX 255
#define SHA256_HEX     64

static const char bad_format[] = "invalid reference format";

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
        return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
        return c >= 'A' && c <= 'Z';
}

static bool is_alnum(char c)
{
        return is_digit(c) || is_lower(c) || is_upper(c);
}

static bool is_hex(char c)
{
        return is_digit(c) || (c >= 'a' && c <= 'f');
}

static struct str_span span(const char *s, size_t n)
{
        return (struct str_span){s, n};
}

/* What stands before the first sep, which is cut off with it; the whole when there is none. */
static struct str_span cut(struct str_span *rest, char sep)
{
        const char *at = rest->n ? memchr(rest->s, sep, rest->n) : NULL;
        struct str_span piece = span(rest->s, at ? (size_t)(at - rest->s) : rest->n);
        size_t gone = piece.n + (at ? 1 : 0);

        *rest = span(rest->s + gone, rest->n - gone);
        return piece;
}

static bool any_upper(struct str_span s)
{
        for (size_t i = 0; i < s.n; i++)
                if (is_upper(s.s[i]))
                        return true;
        return false;
}

static bool all(struct str_span s, bool (*is)(char c))
{
        for (size_t i = 0; i < s.n; i++)
                if (!is(s.s[i]))
                        return false;
        return s.n > 0;
}

static bool is_host_label(struct str_span s)
{
        if (!s.n || s.s[0] == '-' || s.s[s.n - 1] == '-')
                return false;
        for (size_t i = 0; i < s.n; i++)
                if (!is_alnum(s.s[i]) && s.s[i] != '-')
                        return false;
        return true;
}

static bool is_host_name(struct str_span s)
{
        for (size_t i = 0, begin = 0; i <= s.n; i++)
                if (i == s.n || s.s[i] == '.') {
                        if (!is_host_label(span(s.s + begin, i - begin)))
                                return false;
                        begin = i + 1;
                }
        return true;
}

static bool is_ipv6_char(char c)
{
        return is_hex(c) || c == ':' || (c >= 'A' && c <= 'F');
}

static bool is_domain(struct str_span s)
{
        const char *bracket = s.n && s.s[0] == '[' ? memchr(s.s, ']', s.n) : NULL;
        struct str_span rest = s, host;

        if (bracket) {
                size_t n = (size_t)(bracket - s.s) + 1;

                rest = span(bracket + 1, s.n - n);
                return all(span(s.s + 1, n - 2), is_ipv6_char) &&
                       (!rest.n || (rest.s[0] == ':' && all(span(rest.s + 1, rest.n - 1), is_digit)));
        }
        host = cut(&rest, ':');
        return is_host_name(host) && (host.n == s.n || all(rest, is_digit));
}

static bool is_path_char(char c)
{
        return is_digit(c) || is_lower(c);
}

/* Lower letters and digits, between which stand a dot, one or two underscores, or dashes. */
static bool is_component(struct str_span s)
{
        size_t i = 0;

        while (i < s.n) {
                size_t begin = i;

                while (i < s.n && is_path_char(s.s[i]))
                        i++;
                if (i == begin || i == s.n)
                        return i == s.n && i > begin;
                if (s.s[i] == '.')
                        i++;
                else if (s.s[i] == '_')
                        i += i + 1 < s.n && s.s[i + 1] == '_' ? 2 : 1;
                else if (s.s[i] == '-')
                        while (i < s.n && s.s[i] == '-')
                                i++;
                else
                        return false;
        }
        return false;
}

static bool is_path(struct str_span s)
{
        for (size_t i = 0, begin = 0; i <= s.n; i++)
                if (i == s.n || s.s[i] == '/') {
                        if (!is_component(span(s.s + begin, i - begin)))
                                return false;
                        begin = i + 1;
                }
        return true;
}

static bool is_tag(struct str_span s)
{
        if (!s.n || s.n > TAG_MAX || s.s[0] == '.' || s.s[0] == '-')
                return false;
        for (size_t i = 0; i < s.n; i++)
                if (!is_alnum(s.s[i]) && !strchr("_.-", s.s[i]))
                        return false;
        return true;
}

/* NULL when it is one, else what is wrong with it. sha384 and sha512 are digests, too, but nothing serves them. */
static const char *digest_wrong(struct str_span s)
{
        struct str_span hex = s, algorithm = cut(&hex, ':');

        if (algorithm.n == s.n || !all(algorithm, is_alnum) || is_digit(algorithm.s[0]) || hex.n < 32)
                return bad_format;
        if (!str_span_eq(algorithm, "sha256"))
                return "unsupported digest algorithm";
        if (hex.n != SHA256_HEX)
                return "invalid checksum digest length";
        return all(hex, is_hex) ? NULL : "invalid checksum digest format";
}

bool reference_is_sha256(const char *text)
{
        return text && !digest_wrong(span(text, strlen(text)));
}

/* Where a registry's name ends: a first component that cannot be part of a repository of Docker Hub. */
static struct str_span domain_of(struct str_span text, struct str_span *rest)
{
        struct str_span first;

        *rest = text;
        first = cut(rest, '/');
        if (first.n < text.n && (str_span_eq(first, "localhost") || memchr(first.s, '.', first.n) ||
                                 memchr(first.s, ':', first.n) || any_upper(first)))
                return str_span_eq(first, "index.docker.io") ? span("docker.io", 9) : first;
        *rest = text;
        return span("docker.io", 9);
}

struct pieces {
        struct str_span domain, path, tag, digest;
        bool has_tag, has_digest; /* a separator was there, so something has to follow */
        const char *official;     /* "library/" or "" */
};

static void split(struct str_span text, struct pieces *p)
{
        struct str_span rest, name;

        *p = (struct pieces){.official = ""};
        p->domain = domain_of(text, &rest);
        name = cut(&rest, '@');
        p->has_digest = rest.s > name.s + name.n;
        p->digest = rest;
        rest = name;
        p->path = cut(&rest, ':');
        p->has_tag = rest.s > p->path.s + p->path.n;
        p->tag = rest;
        if (str_span_eq(p->domain, "docker.io") && (!p->path.n || !memchr(p->path.s, '/', p->path.n)))
                p->official = "library/";
}

/* NULL when all is well. */
static const char *wrong_with(struct str_span text, const struct pieces *p)
{
        if (text.n == SHA256_HEX && all(text, is_hex))
                return "cannot specify 64-byte hexadecimal strings";
        if (any_upper(p->path))
                return "must be lowercase";
        if (!is_domain(p->domain) || !is_path(p->path) || (p->has_tag && !is_tag(p->tag)))
                return bad_format;
        if (p->path.n + strlen(p->official) > REPOSITORY_MAX)
                return "repository name must not be more than 255 characters";
        return p->has_digest ? digest_wrong(p->digest) : NULL;
}

static char *copy(struct str_span s)
{
        return s.n ? mem_strndup(s.s, s.n) : NULL;
}

static void fill(const struct pieces *p, struct reference *ret)
{
        struct reference r = {.domain = copy(p->domain), .tag = copy(p->tag), .digest = copy(p->digest)};

        r.repository = mem_printf("%s/%s%.*s", r.domain, p->official, (int)p->path.n, p->path.s);
        if (!r.tag && !r.digest)
                r.tag = mem_strdup("latest");
        r.text = mem_printf("%s%s%s%s%s", r.repository, r.tag ? ":" : "", r.tag ?: "", r.digest ? "@" : "",
                            r.digest ?: "");
        *ret = r;
}

static int refuse(const char *text, const char *why, struct err *reterr)
{
        _cleanup_strbuf_ struct strbuf quoted = STRBUF_NULL;
        char named[192];

        strbuf_add_quoted(&quoted, text, strnlen(text, 200));
        if (str_eq(why, "must be lowercase"))
                snprintf(named, sizeof(named), "%s: repository name (%.100s) must be lowercase", bad_format, text);
        else if (str_has_prefix(why, "cannot"))
                snprintf(named, sizeof(named), "invalid repository name (%.70s), %s", text, why);
        else
                snprintf(named, sizeof(named), "%s", why);
        outcome_clean(named);
        return err_set(reterr, -EINVAL, "couldn't parse image reference %s: %s", quoted.data, named);
}

static const char *on_disk(const char *text)
{
        static const char *const transports[] = {"oci:", "oci-archive:", "docker-archive:", "dir:"};

        for (size_t i = 0; i < ARRAY_SIZE(transports); i++) {
                const char *path = str_after(text, transports[i]);

                if (path && *path == '/')
                        return path;
        }
        return NULL;
}

static const char *disk_wrong(const char *path)
{
        for (const char *c = path; *c; c++)
                if ((unsigned char)*c < ' ' || *c == 127)
                        return "a path on the disk has no control characters";
        if (strstr(path, "/../") || str_has_suffix(path, "/..") || strstr(path, "/..:"))
                return "a path on the disk may not have \"..\"";
        return path[1] && path[1] != ':' ? NULL : "it names no file";
}

static int parse_disk(const char *text, const char *path, struct reference *ret, struct err *reterr)
{
        const char *wrong = disk_wrong(path), *colon = strchr(path, ':');

        if (wrong)
                return refuse(text, wrong, reterr);
        *ret = (struct reference){.text = mem_strdup(text), .tag = colon ? mem_strdup(colon + 1) : NULL};
        ret->path = mem_strndup(path, strcspn(path, ":"));
        return 0;
}

int reference_parse(const char *text, struct reference *ret, struct err *reterr)
{
        struct str_span whole = span(text, strnlen(text, TEXT_MAX + 1));
        const char *path = on_disk(text), *wrong;
        struct pieces p;

        if (whole.n > TEXT_MAX)
                return refuse(text, bad_format, reterr);
        if (path)
                return parse_disk(text, path, ret, reterr);
        split(whole, &p);
        wrong = wrong_with(whole, &p);
        if (wrong)
                return refuse(text, wrong, reterr);
        fill(&p, ret);
        return 0;
}

void reference_deinit(struct reference *r)
{
        free(r->text);
        free(r->domain);
        free(r->repository);
        free(r->tag);
        free(r->digest);
        free(r->path);
        *r = (struct reference){0};
}

int image_reference(const char *text, char **ret, struct err *reterr)
{
        _cleanup_reference_ struct reference r = {0};
        int e = reference_parse(text, &r, reterr);

        if (!e)
                *ret = TAKE_PTR(r.text);
        return e;
}
