/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/status.h"

#define HEAD "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"

struct fixture {
        struct arena arena;
        struct http_request http;
        struct http_response res;
        struct api_request req;
};

static void open_fixture(struct fixture *f, const char *group, const char *version, const char *plural)
{
        *f = (struct fixture){.http = {.method = "GET", .path = "/x", .query = ""}};
        f->req = (struct api_request){
                .arena = &f->arena,
                .http = &f->http,
                .res = &f->res,
                .group = group,
                .version = version,
                .plural = plural,
                .name = "x",
                .resource = schema_resource_find(group, version, plural),
        };
        assert_non_null(f->req.resource);
}

/* The answer's bytes are these; then it is taken back. */
static void expect(struct fixture *f, int status, const char *text)
{
        assert_int_equal(f->res.status, status);
        assert_string_equal(f->res.buffer.data, text);
        api_answer_drop(&f->req);
}

static void each_failure_has_kubernetes_words(void **state _unused_)
{
        struct fixture f;

        open_fixture(&f, "apps", "v1", "deployments");
        api_fail(&f.req, 400, "no %s", "good");
        expect(&f, 400, HEAD "\"Failure\",\"message\":\"no good\",\"reason\":\"BadRequest\",\"code\":400}\n");
        api_fail_not_found(&f.req);
        expect(&f, 404,
               HEAD "\"Failure\",\"message\":\"deployments.apps \\\"x\\\" not found\",\"reason\":\"NotFound\","
                    "\"details\":{\"name\":\"x\",\"group\":\"apps\",\"kind\":\"deployments\"},\"code\":404}\n");
        api_fail_no_resource(&f.req);
        expect(&f, 404,
               HEAD "\"Failure\",\"message\":\"the server could not find the requested resource\","
                    "\"reason\":\"NotFound\",\"code\":404}\n");
        api_fail_method(&f.req);
        expect(&f, 405,
               HEAD "\"Failure\",\"message\":\"the server does not allow this method on the requested resource\","
                    "\"reason\":\"MethodNotAllowed\",\"code\":405}\n");
        api_fail_exists(&f.req, "y", "");
        expect(&f, 409,
               HEAD
               "\"Failure\",\"message\":\"deployments.apps \\\"y\\\" already exists\",\"reason\":\"AlreadyExists\","
               "\"details\":{\"name\":\"y\",\"group\":\"apps\",\"kind\":\"deployments\"},\"code\":409}\n");
        api_fail_exists_deleting(&f.req, "y");
        expect(&f, 409,
               HEAD "\"Failure\",\"message\":\"object is being deleted: deployments.apps \\\"y\\\" already exists\","
                    "\"reason\":\"AlreadyExists\","
                    "\"details\":{\"name\":\"y\",\"group\":\"apps\",\"kind\":\"deployments\"},\"code\":409}\n");
        api_fail_conflict(&f.req, "be %s", "fast");
        expect(&f, 409,
               HEAD "\"Failure\",\"message\":\"Operation cannot be fulfilled on deployments.apps \\\"x\\\": be fast\","
                    "\"reason\":\"Conflict\","
                    "\"details\":{\"name\":\"x\",\"group\":\"apps\",\"kind\":\"deployments\"},\"code\":409}\n");
        api_fail_gone(&f.req, "too old");
        expect(&f, 410, HEAD "\"Failure\",\"message\":\"too old\",\"reason\":\"Expired\",\"code\":410}\n");
        arena_deinit(&f.arena);
}

static void what_is_forbidden_names_the_object_if_there_is_one(void **state _unused_)
{
        struct fixture f;

        open_fixture(&f, "", "v1", "pods");
        api_fail_forbidden(&f.req, "x", "no");
        expect(&f, 403,
               HEAD "\"Failure\",\"message\":\"pods \\\"x\\\" is forbidden: no\",\"reason\":\"Forbidden\","
                    "\"details\":{\"name\":\"x\",\"kind\":\"pods\"},\"code\":403}\n");
        api_fail_forbidden(&f.req, NULL, "no");
        expect(&f, 403,
               HEAD "\"Failure\",\"message\":\"pods is forbidden: no\",\"reason\":\"Forbidden\","
                    "\"details\":{\"kind\":\"pods\"},\"code\":403}\n");
        arena_deinit(&f.arena);
}

static void field_errors_become_message_and_causes(void **state _unused_)
{
        struct fpath a = fpath_child(NULL, "a"), b = fpath_child(NULL, "b");
        struct fixture f;
        struct ferrs e;

        open_fixture(&f, "apps", "v1", "deployments");
        e = FERRS(&f.arena);
        ferr_required(&e, &a, NULL);
        ferr_forbidden(&e, &b, "no");
        api_fail_invalid(&f.req, "x", &e);
        expect(&f, 422,
               HEAD
               "\"Failure\",\"message\":\"Deployment.apps \\\"x\\\" is invalid: [a: Required value, b: Forbidden: "
               "no]\",\"reason\":\"Invalid\",\"details\":{\"name\":\"x\",\"group\":\"apps\",\"kind\":\"Deployment\","
               "\"causes\":[{\"reason\":\"FieldValueRequired\",\"message\":\"Required value\",\"field\":\"a\"},"
               "{\"reason\":\"FieldValueForbidden\",\"message\":\"Forbidden: no\",\"field\":\"b\"}]},\"code\":422}\n");
        arena_deinit(&f.arena);
}

static void a_delete_has_no_code_and_a_create_has(void **state _unused_)
{
        struct status gone = {.code = 200, .reason = "", .name = "x", .kind = "pods", .uid = "u"};
        struct status made = {.code = 201, .reason = ""};
        struct fixture f;

        open_fixture(&f, "", "v1", "pods");
        api_fail_status(&f.req, &gone);
        expect(&f, 200, HEAD "\"Success\",\"details\":{\"name\":\"x\",\"kind\":\"pods\",\"uid\":\"u\"}}\n");
        api_fail_status(&f.req, &made);
        expect(&f, 201, HEAD "\"Success\",\"code\":201}\n");
        arena_deinit(&f.arena);
}

static void who_may_try_again_is_told_when(void **state _unused_)
{
        struct status busy = {.code = 429, .message = "later", .retry_after_seconds = 7};
        struct fixture f;

        open_fixture(&f, "", "v1", "pods");
        api_fail_status(&f.req, &busy);
        assert_int_equal(f.res.nheaders, 1);
        assert_string_equal(f.res.headers[0].name, "Retry-After");
        assert_string_equal(f.res.headers[0].value, "7");
        expect(&f, 429,
               HEAD "\"Failure\",\"message\":\"later\",\"reason\":\"TooManyRequests\","
                    "\"details\":{\"retryAfterSeconds\":7},\"code\":429}\n");
        arena_deinit(&f.arena);
}

static void a_store_that_fails_is_told_apart_from_a_full_one(void **state _unused_)
{
        struct err err = ERR_NULL;
        struct fixture f;

        open_fixture(&f, "", "v1", "pods");
        api_fail_store(&f.req, STORE_FULL, &err);
        assert_non_null(strstr(f.res.buffer.data, "\"reason\":\"InsufficientStorage\""));
        assert_int_equal(f.res.status, 507);
        api_answer_drop(&f.req);
        err_set(&err, -EIO, "cable");
        api_fail_store(&f.req, -EIO, &err);
        expect(&f, 500,
               HEAD "\"Failure\",\"message\":\"the store failed: cable\",\"reason\":\"InternalError\","
                    "\"code\":500}\n");
        arena_deinit(&f.arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_failure_has_kubernetes_words),
                cmocka_unit_test(what_is_forbidden_names_the_object_if_there_is_one),
                cmocka_unit_test(field_errors_become_message_and_causes),
                cmocka_unit_test(a_delete_has_no_code_and_a_create_has),
                cmocka_unit_test(who_may_try_again_is_told_when),
                cmocka_unit_test(a_store_that_fails_is_told_apart_from_a_full_one),
        };

        return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
