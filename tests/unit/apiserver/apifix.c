/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "unit/apiserver/apifix.h"
#include "unit/apiserver/fakestore.h"

static void observe(void *userdata, const char *key, const struct blob *value)
{
        struct server *s = userdata;

        if (alloc_watches(key))
                alloc_observe(s->alloc, key, value ? value->data : NULL, value ? value->len : 0);
}

void apifix_open(struct apifix *f)
{
        struct server *s = &f->server;
        struct err err = ERR_NULL;

        *f = (struct apifix){0};
        s->kinds = (struct kind_config){.service_cidr = {"10.96.0.0/24"},
                                        .node_port_first = 30000,
                                        .node_port_last = 30100,
                                        .allow_privileged = true};
        s->config = (struct server_config){.event_ttl_seconds = 3600, .history_seconds = 300};
        if (alloc_new(&s->alloc, &s->kinds, &err))
                fail_msg("%s", err.msg);
        s->kinds.alloc = s->alloc;
        s->store = fakestore_new();
        s->reader = server_reader(s);
        if (cache_set_open(s->store, observe, s, &s->caches, &err))
                fail_msg("%s", err.msg);
        apifix_expect(f, 201, "POST", "/api/v1/namespaces", "{'metadata':{'name':'default'}}", "metadata.name",
                      "default");
}

void apifix_close(struct apifix *f)
{
        store_close(f->server.store);
        cache_set_close(f->server.caches);
        alloc_free(f->server.alloc);
}

struct store *apifix_store(struct apifix *f)
{
        return f->server.store;
}

/* ---- one request ---- */

struct exchange {
        struct arena *arena;
        struct http_request *http;
        struct http_response *res;
};

static void run(struct apifix *f, const struct api_call *call, struct exchange *x)
{
        struct http_header *headers = arena_array(x->arena, struct http_header, 3);
        struct http_peer *peer = arena_new(x->arena, struct http_peer);
        const char **groups = arena_array(x->arena, const char *, 2);
        char *path = arena_strdup(x->arena, call->url), *query = strchr(path, '?');
        struct http_app app = server_app(&f->server);
        size_t n = 0;

        if (query)
                *query++ = '\0';
        headers[n++] = (struct http_header){"User-Agent", call->agent ? call->agent : "tests"};
        headers[n++] = (struct http_header){"Content-Type", call->type ? call->type : "application/json"};
        if (call->accept)
                headers[n++] = (struct http_header){"Accept", call->accept};
        groups[0] = call->group ? call->group : "system:masters";
        *peer = (struct http_peer){"127.0.0.1:1", true, call->user ? call->user : "admin", groups, NULL};
        *x->http = (struct http_request){
                .method = call->method,
                .path = path,
                .query = query ? query : "",
                .headers = headers,
                .nheaders = n,
                .body = call->body ? call->body : "",
                .body_len = call->body ? strlen(call->body) : 0,
                .peer = peer,
                .arena = x->arena,
        };
        app.handle(app.userdata, x->http, x->res);
}

static void take_body(struct http_response *res, struct strbuf *b)
{
        const char *data;
        size_t len;

        strbuf_add_str(b, "");
        switch (res->kind) {
        case HTTP_BODY_BUFFER:
                strbuf_add(b, res->buffer.data, res->buffer.len);
                strbuf_deinit(&res->buffer);
                break;
        case HTTP_BODY_BLOB:
                strbuf_add(b, res->blob->data, res->blob->len);
                blob_unref(res->blob);
                break;
        case HTTP_BODY_PARTS:
                for (size_t i = 0; i < res->parts->n; i++) {
                        res->parts->get(res->parts, i, &data, &len);
                        strbuf_add(b, data, len);
                }
                assert_int_equal(b->len, res->parts->total_len);
                res->parts->release(res->parts);
                break;
        case HTTP_BODY_SOURCE:
                res->source->close(res->source);
                break;
        default:
                break;
        }
}

struct api_reply apifix_call(struct apifix *f, const struct api_call *call)
{
        struct arena a = ARENA_NULL;
        struct http_request http;
        struct http_response res = {0};
        struct strbuf b = STRBUF_NULL;
        struct api_reply r = {0};

        run(f, call, &(struct exchange){&a, &http, &res});
        for (size_t i = 0; i < res.nheaders; i++)
                if (!r.warning && str_eq(res.headers[i].name, "Warning"))
                        r.warning = mem_strdup(res.headers[i].value);
        r.status = res.status;
        take_body(&res, &b);
        r.text = strbuf_take(&b, NULL);
        if (json_parse(r.text, strlen(r.text), &r.body, NULL))
                r.body = NULL;
        arena_deinit(&a);
        return r;
}

void apifix_reply_deinit(struct api_reply *r)
{
        free(r->text);
        free(r->warning);
        json_object_put(r->body);
        *r = (struct api_reply){0};
}

static char *quoted(const char *text)
{
        char *copy = mem_strdup(text);

        for (char *p = copy; p && *p; p++)
                if (*p == '\'')
                        *p = '"';
        return copy;
}

struct api_reply apifix_do(struct apifix *f, int status, const char *method, const char *url, const char *body)
{
        _cleanup_free_ char *json = quoted(body);
        struct api_call call = {.method = method, .url = url, .body = json};
        struct api_reply r;

        if (str_eq(method, "PATCH"))
                call.type = "application/merge-patch+json";
        r = apifix_call(f, &call);
        if (r.status != status)
                fail_msg("%s %s %s: %d instead of %d: %s", method, url, body ? body : "", r.status, status, r.text);
        return r;
}

void apifix_expect(struct apifix *f, int status, const char *method, const char *url, const char *body,
                   const char *path, const char *want)
{
        _cleanup_reply_ struct api_reply r = apifix_do(f, status, method, url, body);
        struct json_object *v = json_at(r.body, path);
        const char *got = v ? json_object_get_string(v) : "";

        if (!str_eq(got, want))
                fail_msg("%s %s: %s is %s, not %s: %s", method, url, path, got, want, r.text);
}

/* ---- watches ---- */

int apifix_watch_open(struct apifix *f, struct apifix_watch *w, const char *url, const char *accept)
{
        struct api_call call = {.method = "GET", .url = url, .accept = accept};

        *w = (struct apifix_watch){0};
        run(f, &call, &(struct exchange){&w->arena, &w->http, &w->res});
        if (w->res.kind == HTTP_BODY_SOURCE)
                w->res.source->start(w->res.source, NULL);
        return w->res.status;
}

static bool read_more(struct apifix_watch *w)
{
        char buf[16384];
        ssize_t n = w->ended ? -1 : w->res.source->read(w->res.source, buf, sizeof(buf));

        w->ended = n < 0;
        if (n > 0)
                strbuf_add(&w->text, buf, (size_t)n);
        return n > 0;
}

struct json_object *apifix_watch_next(struct apifix_watch *w)
{
        struct json_object *event = NULL;
        const char *line, *end;

        do {
                line = w->text.data ? w->text.data + w->at : "";
                end = strchr(line, '\n');
        } while (!end && read_more(w));
        if (!end)
                return NULL;
        w->at += (size_t)(end - line) + 1;
        if (json_parse(line, (size_t)(end - line), &event, NULL))
                fail_msg("no JSON: %.*s", (int)(end - line), line);
        return event;
}

void apifix_watch_expect(struct apifix_watch *w, const char *type, const char *name)
{
        _cleanup_json_ struct json_object *e = apifix_watch_next(w);
        const char *got = e ? json_get_str(e, "type") : "", *of = json_at_str(e, "object.metadata.name");

        if (!str_eq(got, type) || (*type && !str_eq(of ? of : "", name)))
                fail_msg("%s of %s instead of %s of %s: %s", got, of ? of : "nothing", type, name,
                         json_object_to_json_string(e));
}

void apifix_watch_close(struct apifix_watch *w)
{
        if (w->res.kind == HTTP_BODY_SOURCE)
                w->res.source->close(w->res.source);
        else if (w->res.kind == HTTP_BODY_BUFFER)
                strbuf_deinit(&w->res.buffer);
        strbuf_deinit(&w->text);
        arena_deinit(&w->arena);
}
