/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of an answer: as stored, partial, as a Table, in another version. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "unit/apiserver/apifix.h"

#define CMS     "/api/v1/namespaces/default/configmaps"
#define TABLE   "application/json;as=Table;v=v1;g=meta.k8s.io"
#define PARTIAL "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"

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

static struct api_reply get(const char *url, const char *accept)
{
        struct api_reply r = apifix_call(&fix, &(struct api_call){.method = "GET", .url = url, .accept = accept});

        if (r.status != 200)
                fail_msg("%s: %d %s", url, r.status, r.text);
        assert_non_null(r.body);
        return r;
}

static void make(const char *name)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        _cleanup_reply_ struct api_reply r = {0};

        strbuf_printf(&b, "{'metadata':{'name':'%s','labels':{'a':'b'}},'data':{'k':'v'}}", name);
        r = apifix_do(&fix, 201, "POST", CMS, b.data);
}

static void a_list_has_its_objects_as_they_are(void **state _unused_)
{
        _cleanup_reply_ struct api_reply none = get(CMS, NULL), some = {0};

        assert_true(str_has_prefix(
                none.text, "{\"kind\":\"ConfigMapList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\""));
        assert_int_equal(json_len(json_get(none.body, "items")), 0);
        assert_true(json_is_array(json_get(none.body, "items")));
        make("a");
        make("b");
        some = get(CMS, NULL);
        assert_int_equal(json_len(json_get(some.body, "items")), 2);
        assert_string_equal(json_at_str(json_idx(json_get(some.body, "items"), 1), "data.k"), "v");
        assert_string_equal(json_at_str(json_idx(json_get(some.body, "items"), 1), "kind"), "ConfigMap");
}

static void a_partial_object_has_nothing_but_metadata(void **state _unused_)
{
        _cleanup_reply_ struct api_reply one = {0}, list = {0};
        struct json_object *item;

        make("a");
        one = get(CMS "/a", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io");
        assert_string_equal(json_at_str(one.body, "kind"), "PartialObjectMetadata");
        assert_string_equal(json_at_str(one.body, "apiVersion"), "meta.k8s.io/v1");
        assert_string_equal(json_at_str(one.body, "metadata.labels.a"), "b");
        assert_null(json_get(one.body, "data"));
        list = get(CMS, PARTIAL);
        assert_string_equal(json_at_str(list.body, "kind"), "PartialObjectMetadataList");
        item = json_idx(json_get(list.body, "items"), 0);
        assert_string_equal(json_at_str(item, "metadata.name"), "a");
        assert_null(json_get(item, "data"));
}

static void a_table_has_columns_rows_and_the_objects_asked_for(void **state _unused_)
{
        static const char *const rows[][3] = {
                {"", "PartialObjectMetadata", ""},
                {"&includeObject=Metadata", "PartialObjectMetadata", ""},
                {"&includeObject=Object", "ConfigMap", "v"},
                {"&includeObject=None", "", ""},
        };

        make("a");
        make("b");
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_strbuf_ struct strbuf url = STRBUF_NULL;
                _cleanup_reply_ struct api_reply r = {0};
                struct json_object *row;
                const char *kind, *data;

                strbuf_printf(&url, CMS "?limit=1%s", rows[i][0]);
                r = get(url.data, TABLE);
                assert_string_equal(json_at_str(r.body, "kind"), "Table");
                assert_true(json_len(json_get(r.body, "columnDefinitions")) >= 3);
                assert_int_equal(json_len(json_get(r.body, "rows")), 1);
                assert_non_null(json_at(r.body, "metadata.continue"));
                assert_int_equal(json_at_i64(r.body, "metadata.remainingItemCount", 0), 1);
                row = json_idx(json_get(r.body, "rows"), 0);
                assert_int_equal(json_len(json_get(row, "cells")), json_len(json_get(r.body, "columnDefinitions")));
                assert_string_equal(json_object_get_string(json_idx(json_get(row, "cells"), 0)), "a");
                kind = json_at_str(row, "object.kind");
                data = json_at_str(row, "object.data.k");
                assert_string_equal(kind ? kind : "", rows[i][1]);
                assert_string_equal(data ? data : "", rows[i][2]);
        }
}

static void an_object_is_given_in_the_version_of_the_url(void **state _unused_)
{
        static const char v2[] = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
        static const char v1[] = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
        _cleanup_reply_ struct api_reply made = apifix_do(
                &fix, 201, "POST", v1,
                "{'metadata':{'name':'h'},'spec':{'maxReplicas':3,'targetCPUUtilizationPercentage':70,'scaleTargetRef':"
                "{'kind':'Deployment','name':'d','apiVersion':'apps/v1'}}}");
        _cleanup_reply_ struct api_reply old = get(v1, NULL), new = get(v2, NULL);

        assert_string_equal(json_at_str(made.body, "apiVersion"), "autoscaling/v1");
        assert_string_equal(json_at_str(json_idx(json_get(old.body, "items"), 0), "apiVersion"), "autoscaling/v1");
        assert_int_equal(
                json_at_i64(json_idx(json_get(old.body, "items"), 0), "spec.targetCPUUtilizationPercentage", 0), 70);
        assert_string_equal(json_at_str(json_idx(json_get(new.body, "items"), 0), "apiVersion"), "autoscaling/v2");
        assert_int_equal(json_len(json_at(json_idx(json_get(new.body, "items"), 0), "spec.metrics")), 1);
}

#define fresh(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                fresh(a_list_has_its_objects_as_they_are),
                fresh(a_partial_object_has_nothing_but_metadata),
                fresh(a_table_has_columns_rows_and_the_objects_asked_for),
                fresh(an_object_is_given_in_the_version_of_the_url),
        };

        return cmocka_run_group_tests_name("present", tests, NULL, NULL);
}
