/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/jsontree.h"

struct text {
        const char *s;
        size_t n;
};

#define TEXT(s)                                                                                                        \
        {                                                                                                              \
                s, sizeof(s) - 1                                                                                       \
        }

/* Parses a copy in place, whose other side of the NUL must not matter. */
static int parse_tree(struct jsontree *t, const struct text *text, char *copy, const struct jnode **ret)
{
        memcpy(copy, text->s, text->n);
        copy[text->n] = '\0';
        return jsontree_parse(t, copy, text->n, ret, NULL);
}

static void texts_that_are_no_json_are_refused(void **state)
{
        static const struct text bad[] = {
                TEXT(""),
                TEXT(" "),
                TEXT("{"),
                TEXT("[1"),
                TEXT("\"a"),
                TEXT("{}x"),
                TEXT("{} {}"),
                TEXT("{}\0"),
                TEXT("{}\0x"),
                TEXT("[1,]"),
                TEXT("{\"a\":1,}"),
                TEXT("{a:1}"),
                TEXT("'a'"),
                TEXT("NaN"),
                TEXT("Infinity"),
                TEXT("-Infinity"),
                TEXT("True"),
                TEXT("nul"),
                TEXT("01"),
                TEXT("-"),
                TEXT("+1"),
                TEXT("1."),
                TEXT(".5"),
                TEXT("1e"),
                TEXT("0x1"),
                TEXT("\"\n\""),
                TEXT("\"\x01\""),
                TEXT("\"\\x\""),
                TEXT("\"\\u12\""),
                TEXT("\"\xff\""),
                TEXT("\"\xc3\""),
                TEXT("\"\xed\xa0\x80\""),
                TEXT("/* c */ 1"),
                TEXT("[1 2]"),
                TEXT("{\"a\" 1}"),
                TEXT("{\"\xff\":1}"),
                TEXT("\"\xc0\x80\""),
                TEXT("\"\xf5\x80\x80\x80\""),
                TEXT("[-01]"),
                TEXT("[1.e5]"),
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct json_object *o = (struct json_object *)bad;
                struct jsontree tree = JSONTREE_NULL;
                const struct jnode *node;
                struct err err = ERR_NULL;
                char copy[64];

                print_message("%s\n", bad[i].s);
                assert_int_equal(json_parse(bad[i].s, bad[i].n, &o, &err), -EINVAL);
                assert_ptr_equal(o, bad);
                assert_true(*err.msg);
                assert_int_equal(parse_tree(&tree, &bad[i], copy, &node), -EINVAL);
                jsontree_deinit(&tree);
        }
}

static void json_comes_back_as_it_was(void **state)
{
        static const struct text good[] = {
                TEXT("null"),
                TEXT("true"),
                TEXT("-1"),
                TEXT("0"),
                TEXT("9223372036854775807"),
                TEXT("-9223372036854775808"),
                TEXT("18446744073709551615"),
                TEXT("1.5"),
                TEXT("1e100"),
                TEXT("-0.25"),
                TEXT("\"\""),
                TEXT("\"a\\\"\\\\\\n\\r\\t\\u0001\""),
                TEXT("\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\""),
                TEXT("[]"),
                TEXT("{}"),
                TEXT("[1,[2,{\"a\":[null]}],\"x\"]"),
                TEXT("{\"b\":1,\"a\":{\"c\":[]}}"),
        };

        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                _cleanup_json_ struct json_object *o = NULL, *same = NULL;
                _cleanup_free_ char *text = NULL, *again = NULL;
                struct jsontree tree = JSONTREE_NULL;
                const struct jnode *node;
                struct err err = ERR_NULL;
                char copy[64];

                print_message("%s\n", good[i].s);
                assert_int_equal(json_parse(good[i].s, good[i].n, &o, &err), 0);
                text = json_text(o);
                assert_string_equal(text, good[i].s);
                assert_int_equal(parse_tree(&tree, &good[i], copy, &node), 0);
                same = jnode_json(node);
                again = json_text(same);
                assert_string_equal(again, good[i].s);
                jsontree_deinit(&tree);
        }
}

static void nesting_is_bounded(void **state)
{
        char text[2 * 200 + 1];
        struct json_object *o = NULL;
        struct jsontree tree = JSONTREE_NULL;
        const struct jnode *node;

        for (size_t depth = 1; depth <= 200; depth++) {
                int r;

                memset(text, '[', depth);
                memset(text + depth, ']', depth);
                r = json_parse(text, 2 * depth, &o, NULL);
                assert_int_equal(r, depth <= JSON_DEPTH_MAX ? 0 : -EINVAL);
                if (!r)
                        json_object_put(o);
                text[2 * depth] = '\0';
                assert_int_equal(jsontree_parse(&tree, text, 2 * depth, &node, NULL), r);
        }
        jsontree_deinit(&tree);
}

static void members_are_found_by_path_and_type(void **state)
{
        static const char text[] = "{\"a\":{\"b\":{\"s\":\"x\",\"n\":7,\"t\":true,\"z\":null}},\"l\":[1,2]}";
        _cleanup_json_ struct json_object *o = NULL;
        int64_t sum = 0;

        assert_int_equal(json_parse(text, strlen(text), &o, NULL), 0);
        assert_string_equal(json_at_str(o, "a.b.s"), "x");
        assert_int_equal(json_at_i64(o, "a.b.n", 0), 7);
        assert_true(json_at_bool(o, "a.b.t", false));
        assert_null(json_at_str(o, "a.b.n"));
        assert_int_equal(json_at_i64(o, "a.b.s", -3), -3);
        assert_false(json_has(json_at(o, "a.b"), "z"));
        assert_null(json_at(o, "a.x.y"));
        assert_null(json_at(NULL, "a"));
        json_array_foreach (json_get(o, "l"), i, v)
                sum += json_object_get_int64(v);
        assert_int_equal(sum, 3);
        json_array_foreach (json_get(o, "a"), j, w)
                fail();
        json_foreach (json_get(o, "l"), k, u)
                fail();
}

static void a_tree_in_place_answers_as_json_c_does(void **state)
{
        static const struct text text =
                TEXT("{\"a\":{\"b\":{\"s\":\"x\\u00e9\\n\\ud83d\\ude00\\ud800!\",\"n\":-70,\"t\":true,\"z\":null}},"
                     "\"l\":[1,2, 9223372036854775808,1.9e0],\"d\":\"first\",\"d\":\"last\",\"ab\":7}");
        struct jsontree tree = JSONTREE_NULL;
        const struct jnode *o;
        char copy[256];
        int64_t sum = 0;

        assert_int_equal(parse_tree(&tree, &text, copy, &o), 0);
        assert_string_equal(jnode_at_str(o, "a.b.s"), "x\xc3\xa9\n\xf0\x9f\x98\x80\xef\xbf\xbd!");
        assert_int_equal(jnode_at_i64(o, "a.b.n", 0), -70);
        assert_true(jnode_bool(jnode_at(o, "a.b"), "t", false));
        assert_null(jnode_at_str(o, "a.b.n"));
        assert_int_equal(jnode_at_i64(o, "a.b.s", -3), -3);
        assert_null(jnode_at(o, "a.b.z"));
        assert_null(jnode_at(o, "a.x.y"));
        assert_null(jnode_get(NULL, "a"));
        assert_string_equal(jnode_str(o, "d"), "last");
        assert_int_equal(jnode_i64(o, "ab", 0), 7);
        assert_int_equal(jnode_len(jnode_get(o, "l")), 4);
        jnode_foreach (jnode_get(o, "l"), e)
                sum += e->n == 1 ? *e->text - '0' : 0;
        assert_int_equal(sum, 3);
        jnode_foreach (jnode_get(o, "a"), w)
                fail();
        jsontree_deinit(&tree);
}

/* The nodes of a text are more than one chunk holds. */
static void a_tree_may_be_large_and_is_used_again(void **state)
{
        struct jsontree tree = JSONTREE_NULL;
        const struct jnode *o;

        for (int round = 0; round < 3; round++) {
                char text[2 * 3000 + 2];
                size_t n = 0, at = 0;

                text[at++] = '[';
                for (int i = 0; i < 3000; i++) {
                        text[at++] = (char)('0' + i % 10);
                        text[at++] = i == 2999 ? ']' : ',';
                }
                text[at] = '\0';
                assert_int_equal(jsontree_parse(&tree, text, at, &o, NULL), 0);
                jnode_foreach (o, e)
                        assert_int_equal(*e->text - '0', n++ % 10);
                assert_int_equal(n, 3000);
        }
        jsontree_deinit(&tree);
}

static void the_current_member_may_be_deleted_in_a_loop(void **state)
{
        static const char text[] = "{\"a\":1,\"b\":2,\"c\":3,\"d\":4}";
        _cleanup_json_ struct json_object *o = NULL;
        _cleanup_free_ char *left = NULL;

        assert_int_equal(json_parse(text, strlen(text), &o, NULL), 0);
        json_foreach (o, key, val) {
                if (json_object_get_int64(val) % 2)
                        json_del(o, key);
        }
        left = json_text(o);
        assert_string_equal(left, "{\"b\":2,\"d\":4}");
}

static void copies_are_deep_and_equality_ignores_order(void **state)
{
        static const char a_text[] = "{\"x\":[1,{\"y\":2}],\"z\":null}", b_text[] = "{\"z\":null,\"x\":[1,{\"y\":2}]}";
        _cleanup_json_ struct json_object *a = NULL, *b = NULL, *copy = NULL;

        assert_int_equal(json_parse(a_text, strlen(a_text), &a, NULL), 0);
        assert_int_equal(json_parse(b_text, strlen(b_text), &b, NULL), 0);
        assert_true(json_equal(a, b));
        copy = json_copy(a);
        assert_true(json_equal(a, copy));
        json_set_i64(json_idx(json_get(copy, "x"), 1), "y", 3);
        assert_false(json_equal(a, copy));
        assert_true(json_equal(a, b));
        assert_null(json_copy(NULL));
}

static void errors_are_cut_at_whole_characters(void **state)
{
        struct err err = ERR_NULL;
        char text[1000];
        size_t n;

        for (n = 0; n + 2 < sizeof(text); n += 2)
                memcpy(text + n, "\xc3\xbc", 2);
        text[n] = '\0';
        for (int shift = 0; shift < 2; shift++) {
                assert_int_equal(err_set(&err, -EIO, "%s%s", shift ? "x" : "", text), -EIO);
                assert_int_equal((unsigned char)err.msg[strlen(err.msg) - 1], 0xbc);
                assert_int_equal(err_prefix(&err, -EIO, "where"), -EIO);
                assert_int_equal(strncmp(err.msg, "where: ", 7), 0);
                assert_int_equal((unsigned char)err.msg[strlen(err.msg) - 1], 0xbc);
        }
        assert_int_equal(err_set(NULL, 3, "x"), 3);
}

static void an_arena_hands_out_aligned_memory_and_starts_anew(void **state)
{
        struct arena a = ARENA_NULL;
        char *s;

        for (size_t n = 1; n < 40000; n = n * 3 / 2 + 1) {
                char *p = arena_alloc(&a, n);

                assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
                memset(p, 0xaa, n);
                p = arena_zalloc(&a, n);
                for (size_t i = 0; i < n; i++)
                        assert_int_equal(p[i], 0);
        }
        s = arena_printf(&a, "%s-%d", "x", 5);
        assert_string_equal(s, "x-5");
        assert_string_equal(arena_strndup(&a, "abc", 2), "ab");
        arena_deinit(&a);
        assert_int_equal(a.total, 0);
        assert_string_equal(arena_strdup(&a, "again"), "again");
        arena_deinit(&a);
}

static void a_shrunk_tree_is_the_same_and_can_grow(void **state)
{
        const char *text = "{\"a\":[1,2,{\"b\":{}}],\"c\":{\"d\":1,\"e\":2,\"f\":3},\"g\":[]}";
        _cleanup_json_ struct json_object *o = NULL, *same = NULL;
        char name[16];

        assert_int_equal(json_parse(text, strlen(text), &o, NULL), 0);
        assert_int_equal(json_parse(text, strlen(text), &same, NULL), 0);
        json_shrink(o);
        assert_true(json_equal(o, same));
        assert_true(json_object_get_object(json_get(o, "c"))->size < json_object_get_object(json_get(same, "c"))->size);
        json_shrink(o);
        for (int i = 0; i < 100; i++) {
                snprintf(name, sizeof(name), "m%d", i);
                json_set_i64(json_get(o, "c"), name, i);
                json_object_array_add(json_get(o, "g"), json_object_new_int(i));
        }
        for (int i = 0; i < 100; i++) {
                snprintf(name, sizeof(name), "m%d", i);
                assert_int_equal(json_get_i64(json_get(o, "c"), name, -1), i);
        }
        assert_int_equal(json_len(json_get(o, "g")), 100);
        json_shrink(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_shrunk_tree_is_the_same_and_can_grow),
                cmocka_unit_test(texts_that_are_no_json_are_refused),
                cmocka_unit_test(json_comes_back_as_it_was),
                cmocka_unit_test(nesting_is_bounded),
                cmocka_unit_test(members_are_found_by_path_and_type),
                cmocka_unit_test(a_tree_in_place_answers_as_json_c_does),
                cmocka_unit_test(a_tree_may_be_large_and_is_used_again),
                cmocka_unit_test(the_current_member_may_be_deleted_in_a_loop),
                cmocka_unit_test(copies_are_deep_and_equality_ignores_order),
                cmocka_unit_test(errors_are_cut_at_whole_characters),
                cmocka_unit_test(an_arena_hands_out_aligned_memory_and_starts_anew),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
