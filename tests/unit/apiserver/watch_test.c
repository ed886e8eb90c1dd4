/* SPDX-License-Identifier: Apache-2.0 */
/* Watches as a client reads them, line by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/rest/watch.h"
#include "base/str.h"
#include "unit/apiserver/apifix.h"
#include "unit/apiserver/fakestore.h"

#define CMS   "/api/v1/namespaces/default/configmaps"
#define TABLE "application/json;as=Table;v=v1;g=meta.k8s.io"

static struct apifix fix;

static int setup(void **state _unused_)
{
        apifix_open(&fix);
        return 0;
}

static int teardown(void **state _unused_)
{
        apifix_close(&fix);
        return 0;
}

static void request(int status, const char *method, const char *url, const char *body)
{
        struct api_reply r = apifix_do(&fix, status, method, url, body);

        apifix_reply_deinit(&r);
}

static void make(const char *name)
{
        char body[60];

        snprintf(body, sizeof(body), "{'metadata':{'name':'%s'}}", name);
        request(201, "POST", CMS, body);
}

static void open_watch(struct apifix_watch *w, const char *url)
{
        int status = apifix_watch_open(&fix, w, url, NULL);

        if (status != 200)
                fail_msg("%s: %d %s", url, status, w->res.buffer.data);
}

static void a_watch_without_a_version_begins_with_what_is_there(void **state _unused_)
{
        struct apifix_watch w;

        make("a");
        make("b");
        open_watch(&w, CMS "?watch=true");
        apifix_watch_expect(&w, "ADDED", "a");
        apifix_watch_expect(&w, "ADDED", "b");
        apifix_watch_expect(&w, "", "");
        make("c");
        request(200, "PATCH", CMS "/a", "{'data':{'x':'y'}}");
        request(200, "DELETE", CMS "/b", NULL);
        apifix_watch_expect(&w, "ADDED", "c");
        apifix_watch_expect(&w, "MODIFIED", "a");
        apifix_watch_expect(&w, "DELETED", "b");
        apifix_watch_expect(&w, "", "");
        apifix_watch_close(&w);
}

static void a_selector_makes_objects_come_and_go(void **state _unused_)
{
        struct apifix_watch w;

        make("a");
        open_watch(&w, CMS "?watch=1&labelSelector=x%3Dy");
        apifix_watch_expect(&w, "", "");
        request(200, "PATCH", CMS "/a", "{'metadata':{'labels':{'x':'y'}}}");
        request(200, "PATCH", CMS "/a", "{'data':{'k':'v'}}");
        request(200, "PATCH", CMS "/a", "{'metadata':{'labels':{'x':'z'}}}");
        apifix_watch_expect(&w, "ADDED", "a");
        apifix_watch_expect(&w, "MODIFIED", "a");
        {
                _cleanup_json_ struct json_object *e = apifix_watch_next(&w);
                char now[24];

                snprintf(now, sizeof(now), "%llu", (unsigned long long)fakestore_revision(apifix_store(&fix)));
                assert_string_equal(json_get_str(e, "type"), "DELETED");
                /* The last state in sight, at the revision of the change that took it away. */
                assert_string_equal(json_at_str(e, "object.metadata.labels.x"), "y");
                assert_string_equal(json_at_str(e, "object.metadata.resourceVersion"), now);
        }
        request(200, "DELETE", CMS "/a", NULL);
        apifix_watch_expect(&w, "", "");
        apifix_watch_close(&w);
}

static void a_watch_list_says_when_the_beginning_is_over(void **state _unused_)
{
        struct apifix_watch w;

        make("a");
        open_watch(&w,
                   CMS "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
        apifix_watch_expect(&w, "ADDED", "a");
        {
                _cleanup_json_ struct json_object *e = apifix_watch_next(&w);
                struct json_object *notes = json_at(e, "object.metadata.annotations");
                char now[24];

                snprintf(now, sizeof(now), "%llu", (unsigned long long)fakestore_revision(apifix_store(&fix)));
                assert_string_equal(json_get_str(e, "type"), "BOOKMARK");
                assert_string_equal(json_at_str(e, "object.kind"), "ConfigMap");
                assert_string_equal(json_at_str(e, "object.apiVersion"), "v1");
                assert_string_equal(json_at_str(e, "object.metadata.resourceVersion"), now);
                assert_string_equal(json_get_str(notes, "k8s.io/initial-events-end"), "true");
        }
        make("b");
        apifix_watch_expect(&w, "ADDED", "b");
        apifix_watch_close(&w);
        /* Also when there is nothing to begin with. */
        open_watch(&w, "/api/v1/secrets?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&"
                       "allowWatchBookmarks=true");
        apifix_watch_expect(&w, "BOOKMARK", "");
        apifix_watch_close(&w);
}

static void bad_options_are_refused(void **state _unused_)
{
        static const struct {
                const char *query;
                int status;
        } rows[] = {
                {"sendInitialEvents=true", 422},
                {"sendInitialEvents=true&resourceVersionMatch=Exact", 422},
                {"resourceVersionMatch=NotOlderThan&resourceVersion=1", 422},
                {"resourceVersion=x", 400},
                {"timeoutSeconds=x", 400},
                {"labelSelector=a%20in", 400},
                {"fieldSelector=spec.nothing%3D1", 400},
                {"allowWatchBookmarks=maybe", 400},
                {"resourceVersion=1", 410}, /* before what the server remembers: it was loaded later */
        };
        char url[200];

        make("a");
        cache_set_close(fix.server.caches);
        assert_int_equal(cache_set_open(fix.server.store, NULL, NULL, &fix.server.caches, NULL), 0);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct apifix_watch w;
                int status;

                snprintf(url, sizeof(url), CMS "?watch=1&%s", rows[i].query);
                status = apifix_watch_open(&fix, &w, url, NULL);
                if (status != rows[i].status)
                        fail_msg("%s: %d instead of %d", url, status, rows[i].status);
                apifix_watch_close(&w);
        }
}

static void only_the_first_table_has_columns(void **state _unused_)
{
        _cleanup_json_ struct json_object *first = NULL, *second = NULL;
        struct apifix_watch w;

        make("a");
        make("b");
        assert_int_equal(apifix_watch_open(&fix, &w, CMS "?watch=1", TABLE), 200);
        first = apifix_watch_next(&w);
        second = apifix_watch_next(&w);
        assert_string_equal(json_at_str(first, "object.kind"), "Table");
        assert_true(json_len(json_at(first, "object.columnDefinitions")) > 0);
        assert_int_equal(json_len(json_at(second, "object.columnDefinitions")), 0);
        assert_int_equal(json_len(json_at(second, "object.rows")), 1);
        assert_string_equal(json_at_str(json_idx(json_at(second, "object.rows"), 0), "object.metadata.name"), "b");
        apifix_watch_close(&w);
}

static void the_old_url_watches_one_object(void **state _unused_)
{
        struct apifix_watch w;

        make("a");
        make("b");
        open_watch(&w, "/api/v1/watch/namespaces/default/configmaps/b");
        apifix_watch_expect(&w, "ADDED", "b");
        request(200, "PATCH", CMS "/a", "{'data':{'x':'y'}}");
        request(200, "PATCH", CMS "/b", "{'data':{'x':'y'}}");
        apifix_watch_expect(&w, "MODIFIED", "b");
        apifix_watch_expect(&w, "", "");
        apifix_watch_close(&w);
}

static void a_namespace_that_does_not_exist_is_quiet(void **state _unused_)
{
        struct apifix_watch w;

        make("a");
        open_watch(&w, "/api/v1/namespaces/none/configmaps?watch=1");
        apifix_watch_expect(&w, "", "");
        make("b");
        apifix_watch_expect(&w, "", "");
        assert_false(w.ended);
        apifix_watch_close(&w);
}

static void a_long_beginning_comes_in_pieces(void **state _unused_)
{
        struct apifix_watch w;
        char name[16];

        for (unsigned i = 0; i < 300; i++) {
                snprintf(name, sizeof(name), "m%03u", i);
                make(name);
        }
        open_watch(&w, CMS "?watch=1");
        request(200, "DELETE", CMS "/m299", NULL); /* comes after its ADDED */
        for (unsigned i = 0; i < 300; i++) {
                snprintf(name, sizeof(name), "m%03u", i);
                apifix_watch_expect(&w, "ADDED", name);
        }
        apifix_watch_expect(&w, "DELETED", "m299");
        apifix_watch_close(&w);
}

static void who_is_too_slow_gets_an_error_and_the_end(void **state _unused_)
{
        _cleanup_json_ struct json_object *e = NULL;
        struct apifix_watch w;

        open_watch(&w, CMS "?watch=1");
        for (unsigned i = 0; i < 17000; i++)
                fakestore_put(apifix_store(&fix), "/registry/configmaps/default/a",
                              "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}");
        e = apifix_watch_next(&w);
        assert_string_equal(json_get_str(e, "type"), "ERROR");
        assert_int_equal(json_at_i64(e, "object.code", 0), 410);
        assert_string_equal(json_at_str(e, "object.reason"), "Expired");
        assert_null(apifix_watch_next(&w));
        assert_true(w.ended);
        apifix_watch_close(&w);
}

static void a_timeout_beyond_all_time_does_not_end_at_once(void **state _unused_)
{
        struct apifix_watch w;

        open_watch(&w, CMS "?watch=1&timeoutSeconds=9223372036854775807&allowWatchBookmarks=true");
        apifix_watch_expect(&w, "", "");
        assert_false(w.ended);
        watch_tick(fix.server.caches);
        apifix_watch_close(&w);
}

#define fresh(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                fresh(a_watch_without_a_version_begins_with_what_is_there),
                fresh(a_selector_makes_objects_come_and_go),
                fresh(a_watch_list_says_when_the_beginning_is_over),
                fresh(bad_options_are_refused),
                fresh(only_the_first_table_has_columns),
                fresh(the_old_url_watches_one_object),
                fresh(a_namespace_that_does_not_exist_is_quiet),
                fresh(a_long_beginning_comes_in_pieces),
                fresh(who_is_too_slow_gets_an_error_and_the_end),
                fresh(a_timeout_beyond_all_time_does_not_end_at_once),
        };

        return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
