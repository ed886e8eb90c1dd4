/* SPDX-License-Identifier: Apache-2.0 */
#include "kindcase.h"

#include "apiserver/kinds/kinds.h"
#include "base/str.h"

#define KIND_ROW(name) {#name, &kind_##name},

static const struct {
        const char *name;
        const struct kind_ops *ops;
} rows[] = {KINDS(KIND_ROW)};

static void each_kind_is_found_for_its_resource(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (kind_ops_find(rows[i].ops->group, rows[i].ops->plural) != rows[i].ops)
                        fail_msg("%s: no resource \"%s\" in group \"%s\"", rows[i].name, rows[i].ops->plural,
                                 rows[i].ops->group);
}

static void fields_name_a_path(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                for (const struct kind_field *f = rows[i].ops->fields; f && f->label; f++)
                        if (!f->path)
                                fail_msg("%s: nothing says where %s is", rows[i].name, f->label);
}

static void a_status_that_is_validated_is_a_subresource(void **state)
{
        for (size_t i = 0; i < schema_nresources; i++) {
                const struct schema_resource *r = &schema_resources[i];

                if (kind_ops_find(r->group, r->plural)->validate_status && !schema_subresource_find(r, "status"))
                        fail_msg("%s has no status to validate", r->plural);
        }
}

static void autoscalers_are_stored_as_v2(void **state)
{
        const struct schema_resource *v1 = schema_resource_find("autoscaling", "v1", "horizontalpodautoscalers");
        const struct schema_resource *v2 = schema_resource_find("autoscaling", "v2", "horizontalpodautoscalers");
        _cleanup_json_ struct json_object *obj =
                case_json("{'apiVersion':'autoscaling/v1','spec':{'targetCPUUtilizationPercentage':5}}");

        assert_ptr_equal(kind_storage(v1), v2);
        assert_ptr_equal(kind_storage(v2), v2);
        kind_to_storage(v1, obj);
        assert_string_equal(json_get_str(obj, "apiVersion"), "autoscaling/v2");
        assert_int_equal(json_len(json_at(obj, "spec.metrics")), 1);
        kind_from_storage(v1, obj);
        assert_string_equal(json_get_str(obj, "apiVersion"), "autoscaling/v1");
        assert_int_equal(json_at_i64(obj, "spec.targetCPUUtilizationPercentage", 0), 5);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_kind_is_found_for_its_resource),
                cmocka_unit_test(fields_name_a_path),
                cmocka_unit_test(a_status_that_is_validated_is_a_subresource),
                cmocka_unit_test(autoscalers_are_stored_as_v2),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
