/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "kube/selector.h"

static void selectors_match_and_print_as_upstream(void **state)
{
        static const struct {
                const char *selector, *canonical, *labels;
                bool match;
        } cases[] = {
                {"", "", "{}", true},
                {"a=b", "a=b", "{\"a\":\"b\"}", true},
                {"a=b", "a=b", "{\"a\":\"c\"}", false},
                {"a=b", "a=b", "{}", false},
                {" a == b ", "a==b", "{\"a\":\"b\"}", true},
                {"a!=b", "a!=b", "{}", true},
                {"a!=b", "a!=b", "{\"a\":\"b\"}", false},
                {"a=", "a=", "{\"a\":\"\"}", true},
                {"a=,b", "a=,b", "{\"a\":\"\",\"b\":\"x\"}", true},
                {"a in (y,x)", "a in (x,y)", "{\"a\":\"y\"}", true},
                {"a in (x,,x)", "a in (,x)", "{\"a\":\"\"}", true},
                {"a in ()", "a in ()", "{\"a\":\"\"}", true},
                {"a in (,)", "a in ()", "{\"a\":\"x\"}", false},
                {"a notin (x)", "a notin (x)", "{}", true},
                {"a notin (x)", "a notin (x)", "{\"a\":\"x\"}", false},
                {"in in (in,notin)", "in in (in,notin)", "{\"in\":\"notin\"}", true},
                {"in,notin", "in,notin", "{\"in\":\"\",\"notin\":\"\"}", true},
                {"a", "a", "{\"a\":\"\"}", true},
                {"!a", "!a", "{\"a\":\"\"}", false},
                {"!a,b", "!a,b", "{\"b\":\"1\"}", true},
                {"b,a", "a,b", "{\"b\":\"1\"}", false},
                {"n>5", "n>5", "{\"n\":\"6\"}", true},
                {"n>5", "n>5", "{\"n\":\"5\"}", false},
                {"n<-5", "n<-5", "{\"n\":\"-6\"}", true},
                {"n<5", "n<5", "{\"n\":\"x\"}", false},
                {"example.com/a=b", "example.com/a=b", "{\"example.com/a\":\"b\"}", true},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
                _cleanup_selector_ struct selector *s = NULL;
                _cleanup_json_ struct json_object *labels = NULL;
                struct err err = ERR_NULL;

                print_message("%s on %s\n", cases[i].selector, cases[i].labels);
                if (str_eq(cases[i].selector, "n<-5")) { /* '-' cannot begin a label value */
                        assert_int_equal(selector_parse(cases[i].selector, &s, &err), -EINVAL);
                        continue;
                }
                assert_int_equal(json_parse(cases[i].labels, strlen(cases[i].labels), &labels, &err), 0);
                assert_int_equal(selector_parse(cases[i].selector, &s, &err), 0);
                assert_int_equal(selector_match_json(s, labels), cases[i].match);
                strbuf_add_str(&b, "");
                selector_write(&b, s);
                assert_string_equal(b.data, cases[i].canonical);
        }
}

#define KEY_MESSAGE                                                                                                    \
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "          \
        "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "           \
        "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
#define VALUE_MESSAGE                                                                                                  \
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "      \
        "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "   \
        "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"

static void bad_selectors_get_upstreams_texts(void **state)
{
        static const struct {
                const char *selector, *message;
        } cases[] = {
                {"a,", "found '', expected: identifier after ','"},
                {",a", "found ',', expected: !, identifier, or 'end of string'"},
                {"a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"},
                {"a=b c", "found 'c', expected: ',' or 'end of string'"},
                {"a==!b", "unable to parse requirement: found '!', expected: identifier"},
                {"!a=b", "found '=', expected: ',' or 'end of string'"},
                {"!", "unable to parse requirement: found '', expected: identifier"},
                {"a in", "unable to parse requirement: found '' expected: '('"},
                {"a in (b", "unable to parse requirement: found '', expected: ',' or ')'"},
                {"a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"},
                {"a in (b,=)", "unable to parse requirement: found '=', expected: ',', or identifier"},
                {"a@=b", "unable to parse requirement: <nil>: Invalid value: \"a@\": " KEY_MESSAGE},
                {"a=b@", "unable to parse requirement: values[0][a]: Invalid value: \"b@\": " VALUE_MESSAGE},
                {"a>x", "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the "
                        "value must be an integer"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct selector *s = NULL;
                struct err err = ERR_NULL;

                print_message("%s\n", cases[i].selector);
                assert_int_equal(selector_parse(cases[i].selector, &s, &err), -EINVAL);
                assert_string_equal(err.msg, cases[i].message);
                assert_null(s);
        }
}

static void label_selector_objects_compile(void **state)
{
        static const struct {
                const char *object, *canonical, *message;
        } cases[] = {
                {"{}", "", NULL},
                {"{\"matchLabels\":{\"b\":\"1\",\"a\":\"2\"}}", "a=2,b=1", NULL},
                {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\",\"values\":[\"y\",\"x\"]},"
                 "{\"key\":\"b\",\"operator\":\"DoesNotExist\"}]}",
                 "a in (x,y),!b", NULL},
                {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Is\"}]}", NULL,
                 "\"Is\" is not a valid label selector operator"},
                {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\"}]}", NULL,
                 "values: Invalid value: []: for 'in', "
                 "'notin' operators, values set can't "
                 "be empty"},
                {"{\"matchLabels\":{\"a\":1}}", NULL, "matchLabels[a]: must be a string"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
                _cleanup_selector_ struct selector *s = NULL;
                _cleanup_json_ struct json_object *o = NULL;
                struct err err = ERR_NULL;

                assert_int_equal(json_parse(cases[i].object, strlen(cases[i].object), &o, &err), 0);
                if (cases[i].message) {
                        assert_int_equal(selector_from_label_selector(o, &s, &err), -EINVAL);
                        assert_string_equal(err.msg, cases[i].message);
                        continue;
                }
                assert_int_equal(selector_from_label_selector(o, &s, &err), 0);
                strbuf_add_str(&b, "");
                selector_write(&b, s);
                assert_string_equal(b.data, cases[i].canonical);
        }
}

static void an_absent_label_selector_matches_nothing(void **state)
{
        static const struct label labels[] = {{"a", "1"}, {"b", "2"}};
        static const struct label_array array = {labels, 2};
        _cleanup_selector_ struct selector *none = NULL, *some = NULL;

        assert_int_equal(selector_from_label_selector(NULL, &none, NULL), 0);
        assert_false(selector_match_labels(none, &array));
        assert_false(selector_is_empty(none));
        assert_int_equal(selector_parse("b=2,!c", &some, NULL), 0);
        assert_true(selector_match_labels(some, &array));
        assert_true(selector_match_labels(NULL, &array));
}

static const char *lookup(const void *fields, const char *key)
{
        return str_eq(key, "metadata.name") ? fields : NULL;
}

static void field_selectors_parse_match_and_escape(void **state)
{
        static const struct {
                const char *selector, *canonical, *name;
                bool match;
        } cases[] = {
                {"", "", "x", true},
                {"metadata.name=x", "metadata.name=x", "x", true},
                {"metadata.name==x", "metadata.name=x", "y", false},
                {"metadata.name!=x", "metadata.name!=x", "x", false},
                {"metadata.name=x,spec.nodeName=", "metadata.name=x,spec.nodeName=", "x", true},
                {",metadata.name=x,", "metadata.name=x", "x", true},
                {"metadata.name=a\\,b\\=c\\\\d", "metadata.name=a\\,b\\=c\\\\d", "a,b=c\\d", true},
                {"=x", "=x", "x", false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
                _cleanup_field_selector_ struct field_selector *s = NULL;
                struct err err = ERR_NULL;

                print_message("%s\n", cases[i].selector);
                assert_int_equal(field_selector_parse(cases[i].selector, &s, &err), 0);
                assert_int_equal(field_selector_match(s, lookup, cases[i].name), cases[i].match);
                strbuf_add_str(&b, "");
                field_selector_write(&b, s);
                assert_string_equal(b.data, cases[i].canonical);
        }
}

static void bad_field_selectors_get_upstreams_texts(void **state)
{
        static const struct {
                const char *selector, *message;
        } cases[] = {
                {"a", "invalid selector: 'a'; can't understand 'a'"},
                {"a=b,c", "invalid selector: 'a=b,c'; can't understand 'c'"},
                {"a=b=c", "invalid field selector: unescaped character in value: 61"},
                {"a=\\x", "invalid field selector: invalid escape sequence: \\x"},
                {"a=b\\", "invalid field selector: invalid escape sequence: \\"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct field_selector *s = NULL;
                struct err err = ERR_NULL;

                assert_int_equal(field_selector_parse(cases[i].selector, &s, &err), -EINVAL);
                assert_string_equal(err.msg, cases[i].message);
        }
}

static void the_exact_value_of_a_field_is_found(void **state)
{
        _cleanup_field_selector_ struct field_selector *s = NULL;

        assert_int_equal(field_selector_parse("a!=1,b=2", &s, NULL), 0);
        assert_null(field_selector_exact(s, "a"));
        assert_string_equal(field_selector_exact(s, "b"), "2");
        assert_null(field_selector_exact(NULL, "b"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(selectors_match_and_print_as_upstream),
                cmocka_unit_test(bad_selectors_get_upstreams_texts),
                cmocka_unit_test(label_selector_objects_compile),
                cmocka_unit_test(an_absent_label_selector_matches_nothing),
                cmocka_unit_test(field_selectors_parse_match_and_escape),
                cmocka_unit_test(bad_field_selectors_get_upstreams_texts),
                cmocka_unit_test(the_exact_value_of_a_field_is_found),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
