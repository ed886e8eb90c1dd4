/* SPDX-License-Identifier: Apache-2.0 */
/* labelSelector and fieldSelector of a request, on objects as the cache holds them. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/rest/list.h"
#include "apiserver/status.h"

struct fixture {
        struct arena arena;
        struct http_request http;
        struct http_response res;
        struct api_request req;
        struct object_selector selector;
};

/* 0 or the status of the refusal. */
static int open_selector(struct fixture *f, const char *query)
{
        *f = (struct fixture){.http = {.method = "GET", .path = "/", .query = query}};
        f->req = (struct api_request){.arena = &f->arena,
                                      .http = &f->http,
                                      .res = &f->res,
                                      .group = "",
                                      .version = "v1",
                                      .plural = "pods",
                                      .resource = schema_resource_find("", "v1", "pods")};
        assert_int_equal(api_query_parse(&f->req, query), 0);
        return object_selector_parse(&f->req, &f->selector) ? f->res.status : 0;
}

static void close_selector(struct fixture *f)
{
        api_answer_drop(&f->req);
        object_selector_deinit(&f->selector);
        arena_deinit(&f->arena);
}

static struct object *pod(const char *json)
{
        _cleanup_blob_ struct blob *b = blob_new(json, strlen(json));

        return object_new(kind_ops_find("", "pods"), "ns", "x", 1, 1, b);
}

static void objects_are_chosen_by_labels_and_fields(void **state _unused_)
{
        static const struct {
                const char *query;
                bool yes;
        } rows[] = {
                {"", true},
                {"labelSelector=", true},
                {"labelSelector=app%3Dweb", true},
                {"labelSelector=app%3D%3Dweb,tier%3Dfront", true},
                {"labelSelector=app%3Dweb,tier%3Dback", false},
                {"labelSelector=app", true},
                {"labelSelector=!app", false},
                {"labelSelector=!nothing", true},
                {"labelSelector=app+in+(web,db)", true},
                {"labelSelector=app+notin+(web,db)", false},
                {"labelSelector=nothing+notin+(web)", true},
                {"labelSelector=nothing!%3Dweb", true},
                {"fieldSelector=metadata.name%3Dx", true},
                {"fieldSelector=metadata.name%3Dy", false},
                {"fieldSelector=metadata.name!%3Dy,metadata.namespace%3Dns", true},
                {"fieldSelector=spec.nodeName%3Dn1", true},
                {"fieldSelector=spec.nodeName%3D", false},
                {"fieldSelector=status.phase!%3DRunning", false},
                {"fieldSelector=status.phase%3DRunning&labelSelector=app%3Ddb", false},
                {"fieldSelector=status.phase%3DRunning&labelSelector=app%3Dweb", true},
        };
        _cleanup_object_ struct object *o = pod(
                "{\"metadata\":{\"name\":\"x\",\"labels\":{\"app\":\"web\",\"tier\":\"front\"}},\"spec\":{\"nodeName\":"
                "\"n1\"},\"status\":{\"phase\":\"Running\"}}");

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct fixture f;

                if (open_selector(&f, rows[i].query))
                        fail_msg("%s: %s", rows[i].query, f.res.buffer.data);
                if (object_selector_match(&f.selector, o) != rows[i].yes)
                        fail_msg("%s", rows[i].query);
                assert_int_equal(object_selector_is_all(&f.selector), i < 2);
                close_selector(&f);
        }
}

static void what_is_no_selector_is_refused(void **state _unused_)
{
        static const char *const rows[] = {
                "labelSelector=a+in",
                "labelSelector=,",
                "labelSelector=a%3Db%3Dc",
                "labelSelector=-a%3Db",
                "labelSelector=a+in+(",
                "fieldSelector=spec.nothing%3D1",
                "fieldSelector=metadata.na",
                "fieldSelector=status.phase%3Ea",
                "fieldSelector=metadata.name%3Dx&labelSelector=a+in",
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct fixture f;
                int status = open_selector(&f, rows[i]);

                if (status != 400)
                        fail_msg("%s: %d", rows[i], status);
                close_selector(&f);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(objects_are_chosen_by_labels_and_fields),
                cmocka_unit_test(what_is_no_selector_is_refused),
        };

        return cmocka_run_group_tests_name("selectors of objects", tests, NULL, NULL);
}
