/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/yaml_read.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct row {
        const char *in, *out;
};

static void check(const struct row *row)
{
        _cleanup_json_ struct json_object *tree = NULL;
        _cleanup_free_ char *text = NULL;
        struct err err = ERR_NULL;

        if (yaml_read(row->in, strlen(row->in), &tree, &err))
                fail_msg("%s: %s", row->in, err.msg);
        text = json_text(tree);
        if (strcmp(text, row->out))
                fail_msg("%s\n  became %s\n  not    %s", row->in, text, row->out);
}

static void check_refused(const struct row *row)
{
        struct json_object *tree = NULL;
        struct err err = ERR_NULL;

        if (yaml_read(row->in, strlen(row->in), &tree, &err) != -EINVAL)
                fail_msg("%s was taken", row->in);
        if (!strstr(err.msg, row->out))
                fail_msg("%s: %s", row->in, err.msg);
        assert_null(tree);
}

/* What Go's yaml.v2 makes of plain scalars. */
static void scalars_are_those_of_yaml_1_1(void **state)
{
        static const struct row rows[] = {
                {"[yes, No, on, OFF, y, N, true, False]", "[true,false,true,false,true,false,true,false]"},
                {"[yEs, tRue, nope, None]", "[\"yEs\",\"tRue\",\"nope\",\"None\"]"},
                {"[~, null, NULL, ]", "[null,null,null]"},
                {"[0, -1, +5, 0x1F, 0o17, 017, 0b101, 1_000]", "[0,-1,5,31,15,15,5,1000]"},
                {"[08, 1.0, 1e3, 1.5, .5, -.25, 6.02e23]", "[8,1,1000,1.5,0.5,-0.25,6.02e+23]"},
                {"[18446744073709551615, 9223372036854775808, -9223372036854775808]",
                 "[18446744073709551615,9223372036854775808,-9223372036854775808]"},
                {"[1.2.3, 1Gi, 100m, 2001-01-01, 12:30:45, 1e999, '-', 0x, 0xg]",
                 "[\"1.2.3\",\"1Gi\",\"100m\",\"2001-01-01\",\"12:30:45\",\"1e999\",\"-\",\"0x\",\"0xg\"]"},
                {"['yes', \"1\", \"null\", !!str 5, ! 5]", "[\"yes\",\"1\",\"null\",\"5\",\"5\"]"},
                {"[!!int 5, !!float 5, !!bool yes, !!null ~]", "[5,5,true,null]"},
                {"a: |\n  x\n  y\nb: >-\n  x\n  y\n", "{\"a\":\"x\\ny\\n\",\"b\":\"x y\"}"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                check(&rows[i]);
}

static void keys_become_strings(void **state)
{
        static const struct row rows[] = {
                {"{1: a, yes: b, 1.5: c, 'x': d}", "{\"1\":\"a\",\"true\":\"b\",\"1.5\":\"c\",\"x\":\"d\"}"},
                {"? a\n: b\n", "{\"a\":\"b\"}"},
        };
        static const struct row bad[] = {
                {"{[a]: b}", "invalid map key"},
                {"{{a: b}: c}", "invalid map key"},
                {"{~: b}", "invalid map key"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                check(&rows[i]);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                check_refused(&bad[i]);
}

static void anchors_and_merges_are_resolved(void **state)
{
        static const struct row rows[] = {
                {"a: &x {p: 1}\nb: *x\nc: [*x]\n", "{\"a\":{\"p\":1},\"b\":{\"p\":1},\"c\":[{\"p\":1}]}"},
                {"a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}"},
                {"d: &d {p: 1, q: 2}\ne:\n  q: 3\n  <<: *d\n", "{\"d\":{\"p\":1,\"q\":2},\"e\":{\"q\":3,\"p\":1}}"},
                {"d: &d {p: 1}\ne: &e {p: 2, r: 3}\nf: {<<: [*d, *e]}\n",
                 "{\"d\":{\"p\":1},\"e\":{\"p\":2,\"r\":3},\"f\":{\"p\":1,\"r\":3}}"},
                {"{'<<': 1}", "{\"<<\":1}"},
        };
        static const struct row bad[] = {
                {"a: *x\n", "unknown anchor 'x' referenced"},
                {"a: &x [*x]\n", "unknown anchor 'x' referenced"},
                {"<<: 5\n", "map merge requires map or sequence of maps as the value"},
                {"<<: [5]\n", "map merge requires"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                check(&rows[i]);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                check_refused(&bad[i]);
}

static void bad_documents_are_refused_with_their_line(void **state)
{
        static const struct row rows[] = {
                {"a: 1\nb: 2\na: 3\n", "line 3: key \"a\" already set in map"},
                {"a: b: c\n", "yaml: line 1: mapping values are not allowed in this context"},
                {"a: [1\nb: 2\n", "yaml: line"},
                {"\tx: 1\n", "yaml: line 1: found character that cannot start any token"},
                {"a: 1\n---\nb: 2\n", "line 3: a second document"},
                {"a: .inf\n", "line 1: infinity and NaN have no JSON"},
                {"a: !!int x\n", "line 1: a scalar is not what its tag says"},
                {"a: !!binary aGk=\n", "!!binary is not supported"},
                {"a: \"\\0\"\n", "holds NUL"},
                {"a: \xff\n", "yaml: line"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                check_refused(&rows[i]);
}

static void an_empty_document_is_null(void **state)
{
        static const struct row rows[] = {{"", "null"}, {"# nothing\n", "null"}, {"---\n", "null"}, {"--- {}\n", "{}"}};

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                check(&rows[i]);
}

static void a_billion_laughs_are_cut_short(void **state)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        strbuf_add_str(&b, "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
        for (int i = 1; i < 10; i++) {
                strbuf_printf(&b, "a%d: &a%d [", i, i);
                for (int j = 0; j < 9; j++)
                        strbuf_printf(&b, "%s*a%d", j ? ", " : "", i - 1);
                strbuf_add_str(&b, "]\n");
        }
        check_refused(&(struct row){b.data, "document contains excessive aliasing"});
}

static void depth_is_bounded(void **state)
{
        char text[2 * JSON_DEPTH_MAX + 4] = {};

        memset(text, '[', JSON_DEPTH_MAX + 1);
        memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
        check_refused(&(struct row){text, "exceeded max depth"});
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(scalars_are_those_of_yaml_1_1),
                cmocka_unit_test(keys_become_strings),
                cmocka_unit_test(anchors_and_merges_are_resolved),
                cmocka_unit_test(bad_documents_are_refused_with_their_line),
                cmocka_unit_test(an_empty_document_is_null),
                cmocka_unit_test(a_billion_laughs_are_cut_short),
                cmocka_unit_test(depth_is_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
