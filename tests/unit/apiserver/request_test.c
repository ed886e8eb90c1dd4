/* SPDX-License-Identifier: Apache-2.0 */
/* What every resource request has: Accept, fieldValidation, dryRun, the field manager; and the form of answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/request.h"
#include "apiserver/status.h"
#include "base/str.h"

struct fixture {
        struct arena arena;
        struct http_header headers[2];
        struct http_request http;
        struct http_response res;
        struct api_request req;
};

static int parse(struct fixture *f, const char *accept, const char *agent, const char *query)
{
        *f = (struct fixture){.headers = {{"accept", accept}, {"User-Agent", agent}}};
        f->http = (struct http_request){
                .method = "GET", .path = "/", .query = query, .headers = f->headers, .nheaders = 2};
        f->req = (struct api_request){.arena = &f->arena, .http = &f->http, .res = &f->res};
        f->req.warnings.arena = &f->arena;
        assert_int_equal(api_query_parse(&f->req, query), 0);
        return api_options_parse(&f->req) ? f->res.status : 0;
}

static void done(struct fixture *f)
{
        api_answer_drop(&f->req);
        arena_deinit(&f->arena);
}

#define TABLE   "application/json;as=Table;v=v1;g=meta.k8s.io"
#define PARTIAL "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"

static void accept_says_the_form_of_the_answer(void **state _unused_)
{
        static const struct {
                const char *accept;
                int status; /* 0: fine */
                enum api_format format;
        } rows[] = {
                {"", 0, API_JSON},
                {"*/*", 0, API_JSON},
                {"application/*", 0, API_JSON},
                {"application/json", 0, API_JSON},
                {"Application/JSON; q=0.9", 0, API_JSON},
                {TABLE, 0, API_TABLE},
                {"application/json; as=Table; v=v1; g=meta.k8s.io", 0, API_TABLE},
                {"application/json;g=meta.k8s.io;v=v1;as=Table", 0, API_TABLE},
                {"application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,"
                 "application/json",
                 0, API_TABLE},
                {"application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", 0, API_JSON},
                {"application/json;as=Table;v=v1beta1;g=meta.k8s.io", 406, 0},
                {"application/json;as=Thing;v=v1;g=meta.k8s.io", 406, 0},
                {PARTIAL, 0, API_PARTIAL},
                {"application/vnd.kubernetes.protobuf," PARTIAL ",application/json", 0, API_PARTIAL},
                {"application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io," TABLE, 0, API_TABLE},
                {"application/vnd.kubernetes.protobuf", 0, API_JSON},
                {"application/vnd.kubernetes.protobuf, application/json", 0, API_JSON},
                {"text/html", 406, 0},
                {"application/xml", 406, 0},
                {", ,application/json", 0, API_JSON},
                {"application/jsonx", 406, 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct fixture f;
                int status = parse(&f, rows[i].accept, "x", "");

                if (status != rows[i].status || (!status && f.req.format != rows[i].format))
                        fail_msg("%s: status %d, format %d", rows[i].accept, status, (int)f.req.format);
                done(&f);
        }
}

static void options_are_what_kubernetes_takes(void **state _unused_)
{
        static const struct {
                const char *query;
                int status;
                bool dry_run;
                enum api_field_validation validation;
        } rows[] = {
                {"", 0, false, FIELD_VALIDATION_WARN},
                {"dryRun=All", 0, true, FIELD_VALIDATION_WARN},
                {"dryRun=", 0, false, FIELD_VALIDATION_WARN},
                {"dryRun=All&dryRun=All", 0, true, FIELD_VALIDATION_WARN},
                {"dryRun=all", 422, false, 0},
                {"dryRun=All&dryRun=no", 422, false, 0},
                {"fieldValidation=Strict", 0, false, FIELD_VALIDATION_STRICT},
                {"fieldValidation=Ignore", 0, false, FIELD_VALIDATION_IGNORE},
                {"fieldValidation=strict", 422, false, 0},
                {"fieldManager=a%0Ab", 422, false, 0},
                {"fieldManager=m", 0, false, FIELD_VALIDATION_WARN},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct fixture f;
                int status = parse(&f, "", "x", rows[i].query);

                if (status != rows[i].status)
                        fail_msg("%s: %d", rows[i].query, status);
                if (!status) {
                        assert_int_equal(f.req.dry_run, rows[i].dry_run);
                        assert_int_equal(f.req.field_validation, rows[i].validation);
                }
                done(&f);
        }
}

static void the_field_manager_is_printable_text(void **state _unused_)
{
        static const char *const rows[][3] = {
                {"", "kubectl/v1.36 (linux)", "kubectl"},
                {"", "", "unknown"},
                {"", "/x", "unknown"},
                {"",
                 "a\xff\xfe"
                 "b\tc",
                 "abc"},
                {"fieldManager=me", "kubectl/v1.36", "me"},
                {"fieldManager=", "curl/7", "curl"},
                {"fieldManager=m%C3%A4", "curl/7", "m\xc3\xa4"},
        };
        static char agent[300], query[300] = "fieldManager=";
        struct fixture f;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                assert_int_equal(parse(&f, "", rows[i][1], rows[i][0]), 0);
                assert_string_equal(api_field_manager(&f.req), rows[i][2]);
                done(&f);
        }
        memset(agent, 'a', sizeof(agent) - 1);
        assert_int_equal(parse(&f, "", agent, ""), 0);
        assert_int_equal(strlen(api_field_manager(&f.req)), 128);
        done(&f);
        memset(query + 13, 'a', 129);
        assert_int_equal(parse(&f, "", agent, query), 422);
        done(&f);
}

static void warnings_are_quoted_headers_each_once(void **state _unused_)
{
        struct fixture f;

        parse(&f, "", "x", "");
        warnings_add(&f.req.warnings, "say \"%s\"\n", "a\\b");
        warnings_add(&f.req.warnings, "say \"%s\"\n", "a\\b");
        warnings_add(&f.req.warnings, "two");
        api_answer_text(&f.req, 200, "ok");
        assert_int_equal(f.res.nheaders, 2);
        assert_string_equal(f.res.headers[0].name, "Warning");
        assert_string_equal(f.res.headers[0].value, "299 - \"say \\\"a\\\\b\\\" \"");
        assert_string_equal(f.res.headers[1].value, "299 - \"two\"");
        done(&f);
}

static void a_tree_is_answered_compact_or_pretty(void **state _unused_)
{
        _cleanup_json_ struct json_object *o = json_object_new_object();
        struct fixture f;

        json_set_str(o, "a", "x/y");
        parse(&f, "", "x", "");
        api_answer_tree(&f.req, 201, o);
        assert_int_equal(f.res.status, 201);
        assert_string_equal(f.res.content_type, "application/json");
        assert_string_equal(f.res.buffer.data, "{\"a\":\"x/y\"}\n");
        done(&f);
        parse(&f, "", "x", "pretty=true");
        api_answer_tree(&f.req, 200, o);
        assert_string_equal(f.res.buffer.data, "{\n  \"a\": \"x/y\"\n}\n");
        done(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(accept_says_the_form_of_the_answer),
                cmocka_unit_test(options_are_what_kubernetes_takes),
                cmocka_unit_test(the_field_manager_is_printable_text),
                cmocka_unit_test(warnings_are_quoted_headers_each_once),
                cmocka_unit_test(a_tree_is_answered_compact_or_pretty),
        };

        return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
