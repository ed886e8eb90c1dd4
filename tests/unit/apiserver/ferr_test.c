/* SPDX-License-Identifier: Apache-2.0 */
/* The wording of field errors (apimachinery/pkg/util/validation/field/errors.go). */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/ferr.h"

static void paths_are_written_as_in_kubernetes(void **state _unused_)
{
        struct fpath spec = fpath_child(NULL, "spec"), ports = fpath_child(&spec, "ports"),
                     two = fpath_index(&ports, 2);
        struct fpath name = fpath_child(&two, "name"), labels = fpath_child(&spec, "labels");
        struct fpath key = fpath_key(&labels, "a.b/c"), first = fpath_index(NULL, 0);
        struct arena a = ARENA_NULL;

        assert_string_equal(fpath_text(&a, &spec), "spec");
        assert_string_equal(fpath_text(&a, &name), "spec.ports[2].name");
        assert_string_equal(fpath_text(&a, &key), "spec.labels[a.b/c]");
        assert_string_equal(fpath_text(&a, &first), "[0]");
        assert_string_equal(fpath_text(&a, NULL), "<nil>");
        arena_deinit(&a);
}

static void each_kind_has_its_words_and_its_reason(void **state _unused_)
{
        static const char *const supported[] = {"A", "B", NULL};
        static const char *const want[][2] = {
                {"x: Required value", "FieldValueRequired"},
                {"x: Required value: say 1", "FieldValueRequired"},
                {"x: Forbidden: no", "FieldValueForbidden"},
                {"x: Invalid value: \"a\\\"b\": bad", "FieldValueInvalid"},
                {"x: Invalid value: -1: bad", "FieldValueInvalid"},
                {"x: Invalid value: {\"k\":[1,true]}: bad", "FieldValueInvalid"},
                {"x: Invalid value: null: bad", "FieldValueInvalid"},
                {"x: Duplicate value: \"d\"", "FieldValueDuplicate"},
                {"x: Not found: \"n\"", "FieldValueNotFound"},
                {"x: Unsupported value: \"u\": supported values: \"A\", \"B\"", "FieldValueNotSupported"},
                {"x: Unsupported value: \"u\"", "FieldValueNotSupported"},
                {"x: Too long: may not be more than 63 bytes", "FieldValueTooLong"},
                {"x: Too many: 3: must have at most 1 item", "FieldValueTooMany"},
                {"x: Too many: 3: must have at most 2 items", "FieldValueTooMany"},
                {"x: Internal error: oops", "InternalError"},
        };
        _cleanup_json_ struct json_object *o = json_object_new_object();
        struct fpath x = fpath_child(NULL, "x");
        struct arena a = ARENA_NULL;
        struct ferrs e = FERRS(&a);

        json_set(o, "k", json_object_new_array());
        json_object_array_add(json_get(o, "k"), json_object_new_int(1));
        json_object_array_add(json_get(o, "k"), json_object_new_boolean(1));
        assert_string_equal(ferrs_message(&e), "");
        ferr_required(&e, &x, NULL);
        assert_string_equal(ferrs_message(&e), "x: Required value");
        ferr_required(&e, &x, "say %d", 1);
        ferr_forbidden(&e, &x, "no");
        ferr_invalid_str(&e, &x, "a\"b", "bad");
        ferr_invalid_i64(&e, &x, -1, "bad");
        ferr_invalid(&e, &x, o, "bad");
        ferr_invalid(&e, &x, NULL, "bad");
        ferr_duplicate_str(&e, &x, "d");
        ferr_not_found_str(&e, &x, "n");
        ferr_not_supported(&e, &x, "u", supported);
        ferr_not_supported(&e, &x, "u", NULL);
        ferr_too_long(&e, &x, 63);
        ferr_too_many(&e, &x, 3, 1);
        ferr_too_many(&e, &x, 3, 2);
        ferr_internal(&e, &x, "oops");
        assert_int_equal(e.n, ARRAY_SIZE(want));
        for (size_t i = 0; i < e.n; i++) {
                assert_string_equal(arena_printf(&a, "%s: %s", e.items[i].field, e.items[i].body), want[i][0]);
                assert_string_equal(ferr_reason(e.items[i].type), want[i][1]);
        }
        e.n = 2;
        assert_string_equal(ferrs_message(&e), "[x: Required value, x: Required value: say 1]");
        arena_deinit(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(paths_are_written_as_in_kubernetes),
                cmocka_unit_test(each_kind_has_its_words_and_its_reason),
        };

        return cmocka_run_group_tests_name("ferr", tests, NULL, NULL);
}
