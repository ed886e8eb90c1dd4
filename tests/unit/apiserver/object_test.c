/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/object.h"

static const struct kind_field fields[] = {
        {.label = "spec.nodeName", .path = "spec.nodeName"},
        {.label = "spec.on", .path = "spec.on"},
        {.label = "status.phase", .path = "status.phase", .otherwise = "Pending"},
        {.label = "source", .path = "source.component", .or_path = "reporting"},
        {.label = "spec.text", .path = "spec.text"},
        {.label = NULL},
};
static const struct kind_ops ops = {.group = "", .plural = "things", .fields = fields};

static struct object *make(const char *json, uint64_t revision)
{
        _cleanup_blob_ struct blob *b = blob_new(json, strlen(json));

        return object_new(&ops, "ns", "x", revision, 3, b);
}

static void the_revision_is_put_first_into_the_metadata(void **state _unused_)
{
        static const struct {
                const char *stored, *complete;
        } rows[] = {
                {"{\"kind\":\"A\",\"metadata\":{\"name\":\"x\"}}",
                 "{\"kind\":\"A\",\"metadata\":{\"resourceVersion\":\"42\",\"name\":\"x\"}}"},
                {"{\"metadata\":{}}", "{\"metadata\":{\"resourceVersion\":\"42\"}}"},
                {"{\"metadata\":{},\"spec\":{}}", "{\"metadata\":{\"resourceVersion\":\"42\"},\"spec\":{}}"},
                {"{\"spec\":{\"metadata\":{\"name\":\"no\"}},\"metadata\":{\"name\":\"x\"}}",
                 "{\"spec\":{\"metadata\":{\"name\":\"no\"}},\"metadata\":{\"resourceVersion\":\"42\",\"name\":\"x\"}"
                 "}"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_object_ struct object *o = make(rows[i].stored, 42), *later = NULL;

                assert_non_null(o);
                assert_string_equal(o->json->data, rows[i].complete);
                assert_int_equal(o->json->len, strlen(rows[i].complete));
                /* There and back: the same bytes with another number. */
                later = object_at_revision(&ops, o, 42);
                assert_string_equal(later->json->data, rows[i].complete);
                object_unref(later);
                later = object_at_revision(&ops, o, 1000);
                assert_int_equal(later->json->len, strlen(rows[i].complete) + 2);
                assert_non_null(strstr(later->json->data, "{\"resourceVersion\":\"1000\""));
                assert_null(strstr(later->json->data, "42"));
                assert_int_equal(later->revision, 1000);
                assert_int_equal(later->create_revision, 3);
        }
}

static void bytes_that_are_no_object_make_none(void **state _unused_)
{
        static const char *const rows[] = {
                "",
                "{}",
                "[]",
                "null",
                "{\"metadata\":[]}",
                "{\"metadata\":\"x\"}",
                "{\"metadata\":{\"a\":1",
                "garbage",
                "{\"metadata\"",
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_null(make(rows[i], 1));
}

static void labels_and_fields_are_gathered(void **state _unused_)
{
        _cleanup_object_ struct object *o =
                make("{\"metadata\":{\"labels\":{\"app\":\"web\",\"a.b/c\":\"\"}},\"spec\":{\"nodeName\":\"n1\","
                     "\"on\":true,\"text\":\"a\\\"b\"},\"status\":{\"phase\":\"Running\"},\"source\":{\"component\":"
                     "\"me\"}}",
                     5);

        assert_non_null(o);
        assert_string_equal(o->key, "ns/x");
        assert_string_equal(o->namespace, "ns");
        assert_string_equal(o->name, "x");
        assert_int_equal(o->nlabels, 2);
        assert_string_equal(o->labels[0].key, "app");
        assert_string_equal(o->labels[0].value, "web");
        assert_string_equal(o->labels[1].key, "a.b/c");
        assert_string_equal(o->labels[1].value, "");
        assert_int_equal(o->nfields, 5);
        assert_string_equal(o->fields[0], "n1");
        assert_string_equal(o->fields[1], "true");
        assert_string_equal(o->fields[2], "Running");
        assert_string_equal(o->fields[3], "me");
        assert_string_equal(o->fields[4], "a\"b");
}

static void absent_fields_have_their_default(void **state _unused_)
{
        _cleanup_object_ struct object *o = make("{\"metadata\":{}}", 5);
        static const char *const want[] = {"", "", "Pending", "", ""};

        assert_int_equal(o->nlabels, 0);
        for (size_t i = 0; i < ARRAY_SIZE(want); i++)
                assert_string_equal(o->fields[i], want[i]);
}

static void a_field_may_have_a_second_place(void **state _unused_)
{
        static const struct {
                const char *json, *want;
        } rows[] = {
                {"{\"metadata\":{},\"reporting\":\"you\"}", "you"},
                {"{\"metadata\":{},\"source\":{\"component\":\"\"},\"reporting\":\"you\"}", "you"},
                {"{\"metadata\":{},\"source\":{\"component\":\"me\"},\"reporting\":\"you\"}", "me"},
                {"{\"metadata\":{},\"reporting\":\"a\\tb\"}", "a\tb"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_object_ struct object *o = make(rows[i].json, 5);

                assert_string_equal(o->fields[3], rows[i].want);
        }
}

static void an_object_of_the_cluster_has_its_name_as_key(void **state _unused_)
{
        _cleanup_blob_ struct blob *b = blob_new("{\"metadata\":{}}", 15);
        _cleanup_object_ struct object *o = object_new(&ops, NULL, "node-1", 7, 7, b);

        assert_string_equal(o->key, "node-1");
        assert_string_equal(o->namespace, "");
}

static void stored_bytes_begin_with_kind_version_and_metadata(void **state _unused_)
{
        _cleanup_json_ struct json_object *o = NULL;
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        static const char json[] =
                "{\"spec\":{\"a\":1},\"metadata\":{\"name\":\"x\",\"resourceVersion\":\"9\",\"uid\":\"u\"},"
                "\"apiVersion\":\"v1\",\"kind\":\"Thing\",\"status\":{}}";

        assert_int_equal(json_parse(json, strlen(json), &o, NULL), 0);
        object_encode(&b, o);
        assert_string_equal(b.data,
                            "{\"kind\":\"Thing\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"x\",\"uid\":\"u\"},"
                            "\"spec\":{\"a\":1},\"status\":{}}");
}

static void very_many_labels_are_all_there(void **state _unused_)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        _cleanup_object_ struct object *o = NULL;
        const unsigned n = 70000;

        strbuf_add_str(&b, "{\"metadata\":{\"labels\":{");
        for (unsigned i = 0; i < n; i++)
                strbuf_printf(&b, "%s\"l%u\":\"\"", i ? "," : "", i);
        strbuf_add_str(&b, "}}}");
        o = make(b.data, 1);
        assert_int_equal(o->nlabels, n);
        assert_string_equal(o->labels[n - 1].key, "l69999");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_revision_is_put_first_into_the_metadata),
                cmocka_unit_test(bytes_that_are_no_object_make_none),
                cmocka_unit_test(labels_and_fields_are_gathered),
                cmocka_unit_test(absent_fields_have_their_default),
                cmocka_unit_test(a_field_may_have_a_second_place),
                cmocka_unit_test(an_object_of_the_cluster_has_its_name_as_key),
                cmocka_unit_test(stored_bytes_begin_with_kind_version_and_metadata),
                cmocka_unit_test(very_many_labels_are_all_there),
        };

        return cmocka_run_group_tests_name("object", tests, NULL, NULL);
}
