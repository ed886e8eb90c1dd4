/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>

#include "apiserver/request.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "base/str.h"

#define FIELD_MANAGER_MAX 128 /* bytes (apimachinery/pkg/apis/meta/v1/validation) */

/* ---- options ---- */

int api_query_bool(struct api_request *req, const char *name, bool *ret)
{
        static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True", NULL};
        static const char *const no[] = {"", "0", "f", "F", "false", "FALSE", "False", NULL};
        const char *v = api_query_get(req, name);

        *ret = false;
        if (!v)
                return 0;
        for (size_t i = 0; no[i]; i++)
                if (strcmp(v, no[i]) == 0)
                        return 0;
        for (size_t i = 0; yes[i]; i++)
                if (strcmp(v, yes[i]) == 0) {
                        *ret = true;
                        return 0;
                }
        return api_fail(req, 400, "the query parameter %s=%s is no boolean: use true or false", name, v);
}

int api_query_i64(struct api_request *req, const char *name, int64_t otherwise, int64_t *ret)
{
        const char *v = api_query_get(req, name);
        char *end;

        *ret = otherwise;
        if (!v || !*v)
                return 0;
        errno = 0;
        *ret = strtoll(v, &end, 10);
        if (errno || *end || !(isdigit((unsigned char)v[0]) || v[0] == '-'))
                return api_fail(req, 400, "the query parameter %s=%s is no integer", name, v);
        return 0;
}

static bool has_param(const char *clause, size_t len, const char *param)
{
        size_t n = strlen(param);

        for (size_t i = 0; i + n <= len; i++)
                if (strncasecmp(clause + i, param, n) == 0 &&
                    (i + n == len || clause[i + n] == ';' || clause[i + n] == ' '))
                        return true;
        return false;
}

static bool is_type(const char *clause, size_t len, const char *type)
{
        return len == strlen(type) && strncasecmp(clause, type, len) == 0;
}

/* What one clause of Accept asks for: -1 when it is nothing that this server writes. */
static int accept_clause(const char *clause, size_t len)
{
        size_t type = strcspn(clause, ";,");

        while (type && clause[type - 1] == ' ')
                type--;
        if (!is_type(clause, type, "application/json") && !is_type(clause, type, "*/*") &&
            !is_type(clause, type, "application/*"))
                return -1;
        if (!memmem(clause, len, "as=", 3))
                return API_JSON;
        if (!has_param(clause, len, "g=meta.k8s.io") || !has_param(clause, len, "v=v1"))
                return -1;
        if (has_param(clause, len, "as=Table"))
                return API_TABLE;
        if (has_param(clause, len, "as=PartialObjectMetadata") ||
            has_param(clause, len, "as=PartialObjectMetadataList"))
                return API_PARTIAL;
        return -1;
}

static int parse_accept(struct api_request *req)
{
        const char *accept = http_header(req->http, "Accept");
        bool protobuf = false;

        req->format = API_JSON;
        if (!accept || !*accept)
                return 0;
        while (*accept) {
                size_t len;
                int format;

                accept += strspn(accept, " ,");
                len = strcspn(accept, ",");
                format = accept_clause(accept, len);
                if (format >= 0) {
                        req->format = (enum api_format)format;
                        return 0;
                }
                protobuf |= memmem(accept, len, "protobuf", 8) && !memmem(accept, len, "as=", 3);
                accept += len;
        }
        if (protobuf) /* clients that prefer protobuf read JSON too: the Content-Type says what it is */
                return 0;
        return api_fail(req, 406, "only the following media types are accepted: application/json");
}

static int parse_field_validation(struct api_request *req)
{
        static const char *const names[] = {"Ignore", "Warn", "Strict"};
        const char *v = api_query_get(req, "fieldValidation");

        req->field_validation = FIELD_VALIDATION_WARN;
        if (!v || !*v)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (strcmp(v, names[i]) == 0) {
                        req->field_validation = (enum api_field_validation)i;
                        return 0;
                }
        return api_fail(
                req, 422,
                "fieldValidation: Unsupported value: \"%s\": supported values: \"Ignore\", \"Strict\", \"Warn\"", v);
}

static int parse_dry_run(struct api_request *req)
{
        for (size_t i = 0; i < req->query.n; i++) {
                const struct api_query_param *p = &req->query.params[i];

                if (strcmp(p->name, "dryRun") != 0 || !*p->value)
                        continue;
                if (strcmp(p->value, "All") != 0)
                        return api_fail(req, 422, "dryRun: Unsupported value: \"%s\": supported values: \"All\"",
                                        p->value);
                req->dry_run = true;
        }
        return 0;
}

static int check_field_manager(struct api_request *req)
{
        const char *m = api_query_get(req, "fieldManager");

        if (m && strlen(m) > FIELD_MANAGER_MAX)
                return api_fail(req, 422, "fieldManager: Too long: may not be more than %d bytes", FIELD_MANAGER_MAX);
        for (const char *p = m; p && *p; p++)
                if ((unsigned char)*p < ' ' || *p == 0x7f)
                        return api_fail(req, 422,
                                        "fieldManager: Invalid value: \"%s\": should only contain printable characters",
                                        m);
        return 0;
}

int api_options_parse(struct api_request *req)
{
        int r = parse_accept(req);

        if (!r)
                r = parse_field_validation(req);
        if (!r)
                r = parse_dry_run(req);
        if (!r)
                r = check_field_manager(req);
        req->table_objects = api_query_get(req, "includeObject");
        return r;
}

/* A header may have any bytes, a stored object may not. */
static char *printable(struct arena *a, const char *s, size_t n)
{
        char *out = arena_alloc(a, n + 1), *o = out;

        for (size_t i = 0; i < n; i++)
                if (s[i] >= ' ' && s[i] <= '~')
                        *o++ = s[i];
        *o = '\0';
        return out;
}

const char *api_field_manager(const struct api_request *req)
{
        const char *m = api_query_get(req, "fieldManager"), *agent;

        if (m && *m)
                return m;
        agent = http_header(req->http, "User-Agent");
        agent = agent ? printable(req->arena, agent, MIN(strcspn(agent, "/"), (size_t)FIELD_MANAGER_MAX)) : "";
        return *agent ? agent : "unknown";
}

const char *api_group_version(const struct api_request *req)
{
        return *req->group ? arena_printf(req->arena, "%s/%s", req->group, req->version) : req->version;
}

/* ---- answers ---- */

void api_header(struct api_request *req, const char *name, const char *value)
{
        struct http_response *res = req->res;
        struct http_header *h = arena_array(req->arena, struct http_header, res->nheaders + 1);

        if (res->nheaders)
                memcpy(h, res->headers, res->nheaders * sizeof(*h));
        h[res->nheaders] = (struct http_header){arena_strdup(req->arena, name), arena_strdup(req->arena, value)};
        res->headers = h;
        res->nheaders++;
}

/* RFC 7234 warn-code 299, with the text quoted, as Kubernetes sends them. */
static void add_warning_headers(struct api_request *req)
{
        for (size_t i = 0; i < req->warnings.n; i++) {
                _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

                strbuf_add_str(&b, "299 - \"");
                for (const char *p = req->warnings.items[i]; *p; p++) {
                        if (*p == '"' || *p == '\\')
                                strbuf_add_char(&b, '\\');
                        strbuf_add_char(&b, (unsigned char)*p < 0x20 ? ' ' : *p);
                }
                strbuf_add_char(&b, '"');
                api_header(req, "Warning", b.data);
        }
        req->warnings.n = 0;
}

static bool wants_pretty(const struct api_request *req)
{
        const char *v = api_query_get(req, "pretty");

        return v && (strcmp(v, "1") == 0 || strcmp(v, "true") == 0);
}

static void pretty_into(struct strbuf *b, const struct json_object *o)
{
        strbuf_add_str(b, json_object_to_json_string_ext((struct json_object *)o,
                                                         JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE |
                                                                 JSON_C_TO_STRING_SPACED));
}

int api_answer_buffer(struct api_request *req, int status, const char *content_type, struct strbuf *b)
{
        add_warning_headers(req);
        req->res->status = status;
        req->res->content_type = content_type;
        req->res->kind = HTTP_BODY_BUFFER;
        req->res->buffer = TAKE(*b, STRBUF_NULL);
        req->res->gzip_ok = true;
        return API_ANSWERED;
}

int api_answer_tree(struct api_request *req, int status, const struct json_object *obj)
{
        struct strbuf b = STRBUF_NULL;

        if (wants_pretty(req))
                pretty_into(&b, obj);
        else
                json_write(&b, obj);
        strbuf_add_char(&b, '\n');
        return api_answer_buffer(req, status, "application/json", &b);
}

int api_answer_text(struct api_request *req, int status, const char *text)
{
        struct strbuf b = STRBUF_NULL;

        strbuf_add_str(&b, text);
        return api_answer_buffer(req, status, "text/plain; charset=utf-8", &b);
}

int api_answer_blob(struct api_request *req, int status, struct blob *json)
{
        _cleanup_json_ struct json_object *tree = NULL;

        if (wants_pretty(req) && json_parse(json->data, json->len, &tree, NULL) == 0)
                return api_answer_tree(req, status, tree);
        add_warning_headers(req);
        req->res->status = status;
        req->res->content_type = "application/json";
        req->res->kind = HTTP_BODY_BLOB;
        req->res->blob = blob_ref(json);
        req->res->gzip_ok = true;
        return API_ANSWERED;
}

void api_answer_drop(struct api_request *req)
{
        if (req->res->kind == HTTP_BODY_BUFFER)
                strbuf_deinit(&req->res->buffer);
        if (req->res->kind == HTTP_BODY_BLOB)
                blob_unref(req->res->blob);
        *req->res = (struct http_response){0};
}

struct kctx api_kctx(struct api_request *req)
{
        struct server *s = req->server;

        return (struct kctx){
                .arena = req->arena,
                .config = &s->kinds,
                .reader = &s->reader,
                .resource = req->resource,
                .subresource = req->subresource,
                .namespace = req->namespace,
                .user = &req->user,
                .warnings = &req->warnings,
                .now_us = req->now_us,
                .dry_run = req->dry_run,
        };
}
