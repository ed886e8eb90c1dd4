/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/request.h"
#include "base/str.h"

struct route {
        struct arena arena;
        struct http_request http;
        struct http_response res;
        struct api_request req;
};

static void route_open(struct route *r, const char *method, const char *path)
{
        *r = (struct route){.http = {.method = method, .path = path, .query = ""}};
        r->req = (struct api_request){.arena = &r->arena, .http = &r->http, .res = &r->res};
        api_route(&r->req);
}

static void route_close(struct route *r)
{
        if (r->res.kind)
                api_answer_drop(&r->req);
        arena_deinit(&r->arena);
}

static const char *or_dash(const char *s)
{
        return s ? s : "-";
}

/* "verb group/version plural namespace name subresource", with - for what is not there and ! for what is unknown. */
static const char *route_text(struct route *r)
{
        const struct api_request *q = &r->req;

        if (!q->is_resource)
                return arena_printf(&r->arena, "%s path", q->verb);
        return arena_printf(&r->arena, "%s %s/%s %s%s %s %s %s%s", q->verb, q->group, q->version, q->plural,
                            q->resource ? "" : "!", or_dash(q->namespace), or_dash(q->name), or_dash(q->subresource),
                            q->subresource && !q->sub ? "!" : "");
}

static void a_url_names_verb_resource_namespace_name_and_subresource(void **state _unused_)
{
        static const char *const rows[][3] = {
                {"GET", "/api/v1/pods", "list /v1 pods - - -"},
                {"HEAD", "/api/v1/pods", "list /v1 pods - - -"},
                {"GET", "/api/v1/namespaces/ns/pods", "list /v1 pods ns - -"},
                {"POST", "/api/v1/namespaces/ns/pods", "create /v1 pods ns - -"},
                {"DELETE", "/api/v1/namespaces/ns/pods", "deletecollection /v1 pods ns - -"},
                {"GET", "/api/v1/namespaces/ns/pods/x", "get /v1 pods ns x -"},
                {"PUT", "/api/v1/namespaces/ns/pods/x", "update /v1 pods ns x -"},
                {"PATCH", "/api/v1/namespaces/ns/pods/x", "patch /v1 pods ns x -"},
                {"DELETE", "/api/v1/namespaces/ns/pods/x", "delete /v1 pods ns x -"},
                {"PUT", "/api/v1/namespaces/ns/pods/x/status", "update /v1 pods ns x status"},
                {"POST", "/api/v1/namespaces/ns/pods/x/eviction", "create /v1 pods ns x eviction"},
                {"GET", "/api/v1/namespaces/ns/pods/x/nothing", "get /v1 pods ns x nothing!"},
                {"GET", "/api/v1/namespaces", "list /v1 namespaces - - -"},
                {"GET", "/api/v1/namespaces/ns", "get /v1 namespaces - ns -"},
                {"PUT", "/api/v1/namespaces/ns/status", "update /v1 namespaces - ns status"},
                {"PUT", "/api/v1/namespaces/ns/finalize", "update /v1 namespaces - ns finalize"},
                {"GET", "/api/v1/namespaces/ns/status/x", "get /v1 status! ns x -"},
                {"GET", "/api/v1/nodes/n", "get /v1 nodes - n -"},
                {"GET", "/apis/apps/v1/deployments", "list apps/v1 deployments - - -"},
                {"GET", "/apis/apps/v1/namespaces/ns/deployments/d/scale", "get apps/v1 deployments ns d scale"},
                {"GET", "/apis/apps/v9/deployments", "list apps/v9 deployments! - - -"},
                {"GET", "/apis/no.such/v1/things", "list no.such/v1 things! - - -"},
                {"BREW", "/api/v1/pods", " /v1 pods - - -"},
                /* slashes */
                {"GET", "/api/v1/pods/", "list /v1 pods - - -"},
                {"GET", "//api//v1///namespaces//ns//pods//x//", "get /v1 pods ns x -"},
                {"GET", "/api/v1/namespaces/ns/", "get /v1 namespaces - ns -"},
                /* escapes */
                {"GET", "/api/v1/namespaces/n%73/pods/%78", "get /v1 pods ns x -"},
                {"GET", "/api/v1/namespaces/ns/pods/a%2Fb", "get /v1 pods ns a/b -"},
                {"GET", "/api/v1/namespaces/ns/pods/a+b", "get /v1 pods ns a+b -"},
                {"GET", "/api/v1/namespaces/ns/pods/%zz", "get /v1 pods ns \x7f -"},
                {"GET", "/api/v1/namespaces/ns/pods/a%00", "get /v1 pods ns \x7f -"},
                {"GET", "/api/v1/namespaces/ns/pods/a%f", "get /v1 pods ns \x7f -"},
                {"GET", "/api/v1/namespaces/ns/pods/%ff%fe", "get /v1 pods ns \x7f -"},
                {"GET", "/api/v1/namespaces/ns/pods/\xff", "get /v1 pods ns \x7f -"},
                {"GET", "/api/v1/namespaces/ns/pods/%C3%A4", "get /v1 pods ns \xc3\xa4 -"},
                /* the old form of a watch */
                {"GET", "/api/v1/watch/pods", "watch /v1 pods - - -"},
                {"GET", "/api/v1/watch/namespaces/ns/pods", "watch /v1 pods ns - -"},
                {"GET", "/api/v1/watch/namespaces/ns/pods/x", "watch /v1 pods ns x -"},
                {"GET", "/apis/apps/v1/watch/deployments", "watch apps/v1 deployments - - -"},
                {"DELETE", "/api/v1/watch/namespaces/ns/pods", " /v1 pods ns - -"},
                {"POST", "/api/v1/watch/pods", " /v1 pods - - -"},
                /* no resources */
                {"GET", "/", "get path"},
                {"GET", "/api", "get path"},
                {"GET", "/api/v1", "get path"},
                {"GET", "/api/v1/watch", "get path"},
                {"GET", "/apis/apps", "get path"},
                {"GET", "/apis/apps/v1", "get path"},
                {"POST", "/healthz", "post path"},
                {"GET", "/apix/v1/pods", "get path"},
                {"GET", "", "get path"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct route r;

                route_open(&r, rows[i][0], rows[i][1]);
                if (!str_eq(route_text(&r), rows[i][2]))
                        fail_msg("%s %s: \"%s\" instead of \"%s\"", rows[i][0], rows[i][1], route_text(&r), rows[i][2]);
                route_close(&r);
        }
}

static void what_follows_a_subresource_is_left_as_it_is(void **state _unused_)
{
        struct route r;

        route_open(&r, "GET", "/api/v1/namespaces/ns/services/s/proxy/a%2Fb/c/");
        assert_string_equal(r.req.subresource, "proxy");
        assert_string_equal(r.req.subpath, "a%2Fb/c/");
        route_close(&r);
        route_open(&r, "GET", "/api/v1/namespaces/ns/services/s/proxy");
        assert_null(r.req.subpath);
        route_close(&r);
}

static void a_very_deep_path_is_cut_not_crashed_on(void **state _unused_)
{
        static char path[4000] = "/api/v1/namespaces/ns/pods/x/proxy";
        struct route r;

        while (strlen(path) < sizeof(path) - 3)
                strcat(path, "/a");
        route_open(&r, "GET", path);
        assert_string_equal(route_text(&r), "get /v1 pods ns x proxy");
        route_close(&r);
}

/* ---- query ---- */

static void a_query_is_decoded(void **state _unused_)
{
        static const struct {
                const char *query, *name, *value; /* value NULL: not there */
                int r;
        } rows[] = {
                {"a=1&b=2", "b", "2", 0},
                {"a=1&a=2", "a", "1", 0},
                {"a", "a", "", 0},
                {"a=", "a", "", 0},
                {"&&a=1&", "a", "1", 0},
                {"a=x+y%2B", "a", "x y+", 0},
                {"l%61bel=%3D", "label", "=", 0},
                {"a=b=c", "a", "b=c", 0},
                {"=x", "", "x", 0},
                {"", "a", NULL, 0},
                {"ab=1", "a", NULL, 0},
                {"a=%", "a", NULL, -EINVAL},
                {"a=%4", "a", NULL, -EINVAL},
                {"a=%00", "a", NULL, -EINVAL},
                {"%gg=1", "a", NULL, -EINVAL},
                {"a=%ff", "a", NULL, -EINVAL},
                {"a=%C3%A4", "a", "\xc3\xa4", 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct route r;
                const char *v;

                route_open(&r, "GET", "/");
                assert_int_equal(api_query_parse(&r.req, rows[i].query), rows[i].r);
                v = rows[i].r ? NULL : api_query_get(&r.req, rows[i].name);
                if (v ? !rows[i].value || strcmp(v, rows[i].value) != 0 : rows[i].value != NULL)
                        fail_msg("%s: %s is \"%s\"", rows[i].query, rows[i].name, or_dash(v));
                route_close(&r);
        }
}

static void parameters_are_booleans_and_numbers(void **state _unused_)
{
        static const struct {
                const char *query;
                int bool_status, i64_status; /* 0: it is one */
                bool yes;
                int64_t number;
        } rows[] = {
                {"", 0, 0, false, 7},          {"v=", 0, 0, false, 7},
                {"v=1", 0, 0, true, 1},        {"v=0", 0, 0, false, 0},
                {"v=true", 0, 400, true, 0},   {"v=True", 0, 400, true, 0},
                {"v=T", 0, 400, true, 0},      {"v=tRUE", 400, 400, 0, 0},
                {"v=FALSE", 0, 400, false, 0}, {"v=yes", 400, 400, 0, 0},
                {"v=-5", 400, 0, 0, -5},       {"v=%2B5", 400, 400, 0, 0},
                {"v=%095", 400, 400, 0, 0},    {"v=5x", 400, 400, 0, 0},
                {"v=5.0", 400, 400, 0, 0},     {"v=99999999999999999999", 400, 400, 0, 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct route r;
                int64_t number;
                bool yes;

                route_open(&r, "GET", "/");
                assert_int_equal(api_query_parse(&r.req, rows[i].query), 0);
                assert_int_equal(api_query_bool(&r.req, "v", &yes) ? r.res.status : 0, rows[i].bool_status);
                if (!rows[i].bool_status)
                        assert_int_equal(yes, rows[i].yes);
                api_answer_drop(&r.req);
                assert_int_equal(api_query_i64(&r.req, "v", 7, &number) ? r.res.status : 0, rows[i].i64_status);
                if (!rows[i].i64_status)
                        assert_int_equal(number, rows[i].number);
                route_close(&r);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_url_names_verb_resource_namespace_name_and_subresource),
                cmocka_unit_test(what_follows_a_subresource_is_left_as_it_is),
                cmocka_unit_test(a_very_deep_path_is_cut_not_crashed_on),
                cmocka_unit_test(a_query_is_decoded),
                cmocka_unit_test(parameters_are_booleans_and_numbers),
        };

        return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
