/* SPDX-License-Identifier: Apache-2.0 */
/* URL -> what is asked for (apiserver/pkg/endpoints/request: RequestInfo). */
#include <errno.h>

#include "apiserver/request.h"
#include "base/str.h"
#include "base/utf8.h"

#define SEGMENTS_MAX 32

struct segments {
        const char *at[SEGMENTS_MAX];
        const char *rest[SEGMENTS_MAX]; /* the undecoded path from here on */
        size_t n;
};

static int hex(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes in the arena; NULL on a bad escape, an escaped NUL, or what is no UTF-8: it would end up in answers
 * and in stored objects, and make them unreadable. */
static char *url_decode(struct arena *a, const char *s, size_t n, bool plus_is_blank)
{
        char *out = arena_alloc(a, n + 1), *o = out;

        for (size_t i = 0; i < n; i++) {
                if (s[i] == '%') {
                        int hi = i + 1 < n ? hex(s[i + 1]) : -1;
                        int lo = i + 2 < n ? hex(s[i + 2]) : -1;

                        if (hi < 0 || lo < 0 || (hi == 0 && lo == 0))
                                return NULL;
                        *o++ = (char)(hi << 4 | lo);
                        i += 2;
                } else {
                        *o++ = s[i] == '+' && plus_is_blank ? ' ' : s[i];
                }
        }
        *o = '\0';
        return utf8_valid(out, (size_t)(o - out)) ? out : NULL;
}

static void split(struct arena *a, const char *path, struct segments *s)
{
        while (*path && s->n < SEGMENTS_MAX) {
                size_t n;

                path += strspn(path, "/");
                n = strcspn(path, "/");
                if (!n)
                        break;
                s->rest[s->n] = path;
                s->at[s->n] = url_decode(a, path, n, false);
                if (!s->at[s->n])
                        s->at[s->n] = "\x7f"; /* matches nothing that exists */
                s->n++;
                path += n;
        }
}

static const char *method_verb(const struct api_request *req)
{
        const char *m = req->http->method;

        if (strcmp(m, "POST") == 0)
                return "create";
        if (strcmp(m, "PUT") == 0)
                return "update";
        if (strcmp(m, "PATCH") == 0)
                return "patch";
        if (strcmp(m, "DELETE") == 0)
                return req->name ? "delete" : "deletecollection";
        if (strcmp(m, "GET") == 0 || strcmp(m, "HEAD") == 0)
                return req->name ? "get" : "list";
        return "";
}

/* /namespaces/NS/pods is about pods; /namespaces/NS/status and /finalize are about the namespace. */
static bool is_namespace_scope(const struct segments *s, size_t at)
{
        const struct schema_resource *ns;

        if (s->n < at + 3 || strcmp(s->at[at], "namespaces") != 0)
                return false;
        ns = schema_resource_find("", "v1", "namespaces");
        return s->n > at + 3 || !ns || !schema_subresource_find(ns, s->at[at + 2]);
}

static void route_resource(struct api_request *req, const struct segments *s, size_t at)
{
        bool watch = at < s->n && strcmp(s->at[at], "watch") == 0;

        at += watch;
        if (is_namespace_scope(s, at)) {
                req->namespace = s->at[at + 1];
                at += 2;
        }
        if (at >= s->n)
                return;
        req->is_resource = true;
        req->plural = s->at[at];
        req->name = at + 1 < s->n ? s->at[at + 1] : NULL;
        req->subresource = at + 2 < s->n ? s->at[at + 2] : NULL;
        req->subpath = at + 3 < s->n ? s->rest[at + 3] : NULL;
        req->resource = schema_resource_find(req->group, req->version, req->plural);
        if (req->resource && req->subresource)
                req->sub = schema_subresource_find(req->resource, req->subresource);
        req->verb = method_verb(req);
        if (watch) /* the old form of a watch; nothing else can be done below it */
                req->verb = str_eq(req->verb, "get") || str_eq(req->verb, "list") ? "watch" : "";
}

static const char *lower_method(struct api_request *req)
{
        char *m = arena_strdup(req->arena, req->http->method);

        for (char *p = m; *p; p++)
                *p |= 0x20;
        return m;
}

void api_route(struct api_request *req)
{
        struct segments s = {.n = 0};

        req->verb = lower_method(req);
        split(req->arena, req->http->path, &s);
        if (s.n >= 3 && strcmp(s.at[0], "api") == 0) {
                req->group = "";
                req->version = s.at[1];
                route_resource(req, &s, 2);
        } else if (s.n >= 4 && strcmp(s.at[0], "apis") == 0) {
                req->group = s.at[1];
                req->version = s.at[2];
                route_resource(req, &s, 3);
        }
}

/* ---- query ---- */

static size_t count_params(const char *query)
{
        size_t n = 1;

        for (; *query; query++)
                n += *query == '&';
        return n;
}

int api_query_parse(struct api_request *req, const char *query)
{
        struct api_query_param *params = arena_array(req->arena, struct api_query_param, count_params(query));
        size_t n = 0;

        while (*query) {
                size_t len = strcspn(query, "&"), name = strcspn(query, "=&");
                const char *value = name < len ? query + name + 1 : "";

                if (len) {
                        params[n].name = url_decode(req->arena, query, name, true);
                        params[n].value = url_decode(req->arena, value, name < len ? len - name - 1 : 0, true);
                        if (!params[n].name || !params[n].value)
                                return -EINVAL;
                        n++;
                }
                query += len + (query[len] == '&');
        }
        req->query = (struct api_query){params, n};
        return 0;
}

const char *api_query_get(const struct api_request *req, const char *name)
{
        for (size_t i = 0; i < req->query.n; i++)
                if (strcmp(req->query.params[i].name, name) == 0)
                        return req->query.params[i].value;
        return NULL;
}
