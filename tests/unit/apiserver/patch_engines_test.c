/* SPDX-License-Identifier: Apache-2.0 */
/* JSON patch and merge patch: one table each of document, patch and outcome. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "apiserver/patch/patch.h"

struct patch_case {
        const char *name;
        const char *doc;
        const char *patch;
        const char *want; /* the result, or NULL when refused */
        int code;
        const char *message; /* a part of the message */
};

typedef int engine_fn(const struct json_object *doc, const struct json_object *patch, struct json_object **ret,
                      struct err *reterr);

static struct json_object *parse(const char *text)
{
        struct json_object *o = NULL;
        struct err err = ERR_NULL;

        if (json_parse(text, strlen(text), &o, &err) < 0)
                fail_msg("%s: %s", text, err.msg);
        return o;
}

static void check_case(engine_fn *engine, const struct patch_case *c)
{
        _cleanup_json_ struct json_object *doc = parse(c->doc), *patch = parse(c->patch), *got = NULL;
        _cleanup_free_ char *doc_before = json_text(doc), *patch_before = json_text(patch);
        struct err err = ERR_NULL;
        int r = engine(doc, patch, &got, &err);
        _cleanup_free_ char *doc_after = json_text(doc), *patch_after = json_text(patch);

        assert_string_equal(doc_before, doc_after);
        assert_string_equal(patch_before, patch_after);
        if (r != c->code)
                fail_msg("%s: returned %d (%s), want %d", c->name, r, err.msg, c->code);
        if (c->want) {
                _cleanup_json_ struct json_object *want = parse(c->want);
                _cleanup_free_ char *text = json_text(got);

                if (!json_equal(got, want))
                        fail_msg("%s: got %s, want %s", c->name, text, c->want);
        } else if (got) {
                fail_msg("%s: a result in spite of a refusal", c->name);
        }
        if (c->message && !strstr(err.msg, c->message))
                fail_msg("%s: message \"%s\" lacks \"%s\"", c->name, err.msg, c->message);
}

/* RFC 6902, appendix A, and what Kubernetes' library does where the RFC is silent. */
static const struct patch_case json_cases[] = {
        {"add a member", "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/b\",\"value\":2}]", "{\"a\":1,\"b\":2}", 0, NULL},
        {"add replaces what is there", "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":[]}]", "{\"a\":[]}", 0,
         NULL},
        {"add inserts into an array", "{\"a\":[1,3]}", "[{\"op\":\"add\",\"path\":\"/a/1\",\"value\":2}]",
         "{\"a\":[1,2,3]}", 0, NULL},
        {"add at the first place", "{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/0\",\"value\":0}]", "{\"a\":[0,1]}",
         0, NULL},
        {"add at the length appends", "{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/1\",\"value\":2}]",
         "{\"a\":[1,2]}", 0, NULL},
        {"add with a dash appends", "{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/-\",\"value\":[2]}]",
         "{\"a\":[1,[2]]}", 0, NULL},
        {"a negative index counts from the end", "{\"a\":[1,2]}", "[{\"op\":\"add\",\"path\":\"/a/-1\",\"value\":3}]",
         "{\"a\":[1,2,3]}", 0, NULL},
        {"add beyond the end is refused", "{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/2\",\"value\":2}]", NULL, 422,
         "Unable to access invalid index: 2"},
        {"add at no index is refused", "{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/x\",\"value\":2}]", NULL, 422,
         "value was not a proper array index: 'x'"},
        {"add below what is missing is refused", "{}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":2}]", NULL, 422,
         "add operation does not apply: doc is missing path: \"/a/b\": missing value"},
        {"add below a scalar is refused", "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":2}]", NULL, 422,
         "doc is missing path"},
        {"every refusal starts with Kubernetes' message", "{}", "[{\"op\":\"remove\",\"path\":\"/a\"}]", NULL, 422,
         "the server rejected our request due to an error in our request: error in remove for path: '/a': Unable to "
         "remove nonexistent key: a: missing value"},
        {"remove a member", "{\"a\":1,\"b\":2}", "[{\"op\":\"remove\",\"path\":\"/a\"}]", "{\"b\":2}", 0, NULL},
        {"remove an element", "{\"a\":[1,2,3]}", "[{\"op\":\"remove\",\"path\":\"/a/1\"}]", "{\"a\":[1,3]}", 0, NULL},
        {"remove the last element", "{\"a\":[1,2,3]}", "[{\"op\":\"remove\",\"path\":\"/a/-1\"}]", "{\"a\":[1,2]}", 0,
         NULL},
        {"remove outside an array is refused", "{\"a\":[1]}", "[{\"op\":\"remove\",\"path\":\"/a/1\"}]", NULL, 422,
         "Unable to remove invalid index: 1"},
        {"remove a null", "{\"a\":null}", "[{\"op\":\"remove\",\"path\":\"/a\"}]", "{}", 0, NULL},
        {"replace a member", "{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":{\"b\":1}}]",
         "{\"a\":{\"b\":1}}", 0, NULL},
        {"replace an element", "{\"a\":[1,2]}", "[{\"op\":\"replace\",\"path\":\"/a/0\",\"value\":9}]", "{\"a\":[9,2]}",
         0, NULL},
        {"replace the whole document", "{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"\",\"value\":{\"b\":1}}]",
         "{\"b\":1}", 0, NULL},
        {"the document stays an object", "{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"\",\"value\":[]}]", NULL, 422,
         "not a JSON object"},
        {"replace what is missing is refused", "{}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":1}]", NULL, 422,
         "replace operation does not apply: doc is missing key: /a: missing value"},
        {"move a member", "{\"a\":{\"b\":1},\"c\":{}}", "[{\"op\":\"move\",\"from\":\"/a/b\",\"path\":\"/c/d\"}]",
         "{\"a\":{},\"c\":{\"d\":1}}", 0, NULL},
        {"move an element", "{\"a\":[1,2,3]}", "[{\"op\":\"move\",\"from\":\"/a/0\",\"path\":\"/a/2\"}]",
         "{\"a\":[2,3,1]}", 0, NULL},
        {"move into itself is refused", "{\"a\":{\"b\":1}}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/c\"}]",
         NULL, 422, "doc is missing destination path"},
        {"move of what is missing is refused", "{}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b\"}]", NULL, 422,
         "unable to get nonexistent key: a"},
        {"copy", "{\"a\":{\"b\":1}}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/c\"}]",
         "{\"a\":{\"b\":1,\"c\":{\"b\":1}}}", 0, NULL},
        {"test passes", "{\"a\":{\"b\":[1,\"x\"]}}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":{\"b\":[1,\"x\"]}}]",
         "{\"a\":{\"b\":[1,\"x\"]}}", 0, NULL},
        {"test fails", "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":2}]", NULL, 422,
         "testing value /a failed: test failed"},
        {"test of a missing member against null passes", "{}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":null}]",
         "{}", 0, NULL},
        {"test of a missing member against a value fails", "{}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":1}]",
         NULL, 422, "testing value /a failed"},
        {"test of the whole document", "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"\",\"value\":{\"a\":1}}]",
         "{\"a\":1}", 0, NULL},
        {"slashes and tildes are escaped", "{\"a/b\":1,\"m~n\":2,\"~1\":3}",
         "[{\"op\":\"remove\",\"path\":\"/a~1b\"},{\"op\":\"remove\",\"path\":\"/m~0n\"},{\"op\":\"replace\",\"path\":"
         "\"/~01\",\"value\":4}]",
         "{\"~1\":4}", 0, NULL},
        {"an empty key", "{\"\":1}", "[{\"op\":\"replace\",\"path\":\"/\",\"value\":2}]", "{\"\":2}", 0, NULL},
        {"all or nothing", "{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"/a\"},{\"op\":\"remove\",\"path\":\"/a\"}]",
         NULL, 422, NULL},
        {"later operations see earlier ones", "{}",
         "[{\"op\":\"add\",\"path\":\"/a\",\"value\":{}},{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1}]",
         "{\"a\":{\"b\":1}}", 0, NULL},
        {"an unknown operation is refused", "{}", "[{\"op\":\"frob\",\"path\":\"/a\"}]", NULL, 422,
         "Unexpected kind: frob"},
        {"an operation without a path is refused", "{}", "[{\"op\":\"add\",\"value\":1}]", NULL, 422,
         "add operation failed to decode path"},
        {"a move without from is refused", "{}", "[{\"op\":\"move\",\"path\":\"/a\"}]", NULL, 422,
         "move operation failed to decode from"},
        {"a patch that is no list", "{}", "{\"op\":\"add\"}", NULL, 400,
         "json: cannot unmarshal object into Go value of type jsonpatch.Patch"},
        {"an operation that is no object", "{}", "[1]", NULL, 400, "cannot unmarshal number"},
        {"an empty patch changes nothing", "{\"a\":1}", "[]", "{\"a\":1}", 0, NULL},

};

/* RFC 7386, appendix A, for objects. */
static const struct patch_case merge_cases[] = {
        {"replace", "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}", 0, NULL},
        {"add", "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}", 0, NULL},
        {"null removes", "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}", 0, NULL},
        {"an array is replaced", "{\"a\":[\"b\"]}", "{\"a\":[1]}", "{\"a\":[1]}", 0, NULL},
        {"an array replaces a scalar", "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}", 0, NULL},
        {"objects merge", "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}", 0,
         NULL},
        {"a list of objects is replaced", "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}", 0, NULL},
        {"nulls in new objects vanish", "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}", 0, NULL},
        {"an object replaces a scalar", "{\"a\":1}", "{\"a\":{\"b\":null,\"c\":1}}", "{\"a\":{\"c\":1}}", 0, NULL},
        {"nulls inside arrays stay", "{}", "{\"a\":[null,1]}", "{\"a\":[null,1]}", 0, NULL},
        {"an empty patch changes nothing", "{\"a\":{\"b\":1}}", "{\"a\":{}}", "{\"a\":{\"b\":1}}", 0, NULL},
        {"a patch that is no object", "{}", "[1]", NULL, 400, "error decoding patch"},
        {"a null patch", "{}", "null", NULL, 400, "error decoding patch"},
};

static void json_patch_follows_rfc_6902(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(json_cases); i++)
                check_case(patch_json_apply, &json_cases[i]);
}

static void merge_patch_follows_rfc_7386(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(merge_cases); i++)
                check_case(patch_merge_apply, &merge_cases[i]);
}

/* A patch of n times the same operation. */
static struct json_object *repeat(const char *op, size_t n)
{
        struct json_object *ops = json_object_new_array();

        for (size_t i = 0; i < n; i++)
                json_object_array_add(ops, parse(op));
        return ops;
}

static void a_patch_may_have_ten_thousand_operations(void **state)
{
        _cleanup_json_ struct json_object *doc = parse("{\"a\":1}"), *got = NULL;
        _cleanup_json_ struct json_object *most = repeat("{\"op\":\"test\",\"path\":\"/a\",\"value\":1}", 10000);
        _cleanup_json_ struct json_object *more = repeat("{\"op\":\"test\",\"path\":\"/a\",\"value\":1}", 10001);
        struct err err = ERR_NULL;

        assert_int_equal(patch_json_apply(doc, most, &got, &err), 0);
        assert_int_equal(patch_json_apply(doc, more, NULL, &err), PATCH_TOO_LARGE);
        assert_string_equal(err.msg, "The allowed maximum operations in a JSON patch is 10000, got 10001");
}

static void copies_cannot_blow_up_a_document(void **state)
{
        _cleanup_json_ struct json_object *doc = parse("{\"a\":[\"0123456789012345678901234567890123456789\"]}");
        _cleanup_json_ struct json_object *ops = repeat("{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/-\"}", 40);
        struct json_object *got = NULL;
        struct err err = ERR_NULL;

        assert_int_equal(patch_json_apply(doc, ops, &got, &err), PATCH_TOO_LARGE);
        assert_non_null(strstr(err.msg, "exceeding the limit"));
        assert_null(got);
}

static int depth(const struct json_object *o)
{
        int max = 0, d;

        json_foreach (o, k, v) {
                d = depth(v) + 1;
                max = MAX(max, d);
        }
        return max;
}

static void a_document_cannot_be_nested_deeper_than_it_could_be_read(void **state)
{
        _cleanup_json_ struct json_object *doc = parse("{\"a\":{},\"b\":{}}"), *fits = NULL, *ops = NULL;
        struct json_object *got = NULL;
        struct err err = ERR_NULL;

        /* Each round puts a below b/x and that back in a's place: one level more. */
        ops = json_object_new_array();
        for (int i = 0; i < 200; i++) {
                json_object_array_add(ops, parse("{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b/x\"}"));
                json_object_array_add(ops, parse("{\"op\":\"move\",\"from\":\"/b\",\"path\":\"/a\"}"));
                json_object_array_add(ops, parse("{\"op\":\"add\",\"path\":\"/b\",\"value\":{}}"));
                if (i == 99)
                        assert_int_equal(patch_json_apply(doc, ops, &fits, &err), 0);
        }
        assert_int_equal(depth(fits), 101);
        assert_int_equal(patch_json_apply(doc, ops, &got, &err), PATCH_UNPROCESSABLE);
        assert_non_null(strstr(err.msg, "nested more than 128 levels"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(json_patch_follows_rfc_6902),
                cmocka_unit_test(merge_patch_follows_rfc_7386),
                cmocka_unit_test(a_patch_may_have_ten_thousand_operations),
                cmocka_unit_test(copies_cannot_blow_up_a_document),
                cmocka_unit_test(a_document_cannot_be_nested_deeper_than_it_could_be_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
