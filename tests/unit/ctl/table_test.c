/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"
#include "ctl/table.h"

static const struct column columns[] = {
        {"NAME", "name", COLUMN_TEXT, false, ""},  {"SIZE", NULL, COLUMN_NUMBER, false, ""},
        {NULL, "bytes", COLUMN_NUMBER, false, ""}, {"NOTE", "note", COLUMN_TEXT, true, ""},
        {NULL, "list", COLUMN_JSON, false, ""},
};

static void add(struct table *t, const char *name, uint64_t size, const char *note)
{
        table_cell(t, "%s", name);
        table_cell_in(t, size > 100 ? TONE_BAD : TONE_PLAIN, "%uk", (unsigned int)(size / 1000));
        table_number(t, size);
        if (note)
                table_cell(t, "%s", note);
        else
                table_none(t);
        table_cell(t, "[%u]", (unsigned int)size);
}

/* What it prints; owned by the caller. */
static char *printed(struct table *t)
{
        char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&text, &n);

        table_print(t, f);
        fclose(f);
        table_deinit(t);
        return text;
}

static void make(struct table *t, enum table_format format, bool color)
{
        table_init(t, columns, ARRAY_SIZE(columns), format, color);
        add(t, "web", 5000, "a \"b\"\n");
        add(t, "a", 50000, NULL);
        assert_int_equal(table_rows(t), 2);
}

static void columns_are_aligned(void **state)
{
        _cleanup_free_ char *text = NULL, *wide = NULL;
        struct table t;

        make(&t, TABLE_TEXT, false);
        text = printed(&t);
        assert_string_equal(text, "NAME  SIZE\n"
                                  "web     5k\n"
                                  "a      50k\n");
        table_init(&t, columns, ARRAY_SIZE(columns), TABLE_WIDE, false);
        add(&t, "long-name", 5000, "x");
        add(&t, "a", 50000, NULL);
        table_sort(&t);
        wide = printed(&t);
        assert_string_equal(wide, "NAME       SIZE  NOTE\n"
                                  "a           50k  -\n"
                                  "long-name    5k  x\n");
}

static void json_has_its_own_columns(void **state)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_json_ struct json_object *o = NULL;
        struct table t;

        make(&t, TABLE_JSON, false);
        text = printed(&t);
        assert_int_equal(json_parse(text, strlen(text), &o, NULL), 0);
        assert_int_equal(json_len(o), 2);
        assert_string_equal(json_get_str(json_idx(o, 0), "note"), "a \"b\"\n");
        assert_int_equal(json_get_i64(json_idx(o, 0), "bytes", 0), 5000);
        assert_int_equal(json_len(json_get(json_idx(o, 0), "list")), 1);
        assert_false(json_has(json_idx(o, 1), "note"));
        assert_int_equal(json_object_object_length(json_idx(o, 1)), 4);
}

static void an_empty_table_is_an_empty_array(void **state)
{
        _cleanup_free_ char *text = NULL, *titles = NULL;
        struct table t;

        table_init(&t, columns, ARRAY_SIZE(columns), TABLE_JSON, false);
        text = printed(&t);
        assert_string_equal(text, "[]\n");
        table_init(&t, columns, ARRAY_SIZE(columns), TABLE_TEXT, false);
        titles = printed(&t);
        assert_string_equal(titles, "NAME  SIZE\n");
}

static void colours_do_not_count_as_width(void **state)
{
        _cleanup_free_ char *text = NULL;
        struct table t;

        make(&t, TABLE_TEXT, true);
        text = printed(&t);
        assert_string_equal(text, "\033[1mNAME\033[0m  \033[1mSIZE\033[0m\n"
                                  "web     \033[31m5k\033[0m\n"
                                  "a      \033[31m50k\033[0m\n");
}

static void numbers_sort_by_value(void **state)
{
        static const struct column two[] = {{"N", "n", COLUMN_NUMBER, false, ""}, {"T", "t", COLUMN_TEXT, false, ""}};
        static const unsigned int values[] = {100, 9, 20, 9};
        _cleanup_free_ char *text = NULL;
        struct table t;

        table_init(&t, two, ARRAY_SIZE(two), TABLE_TEXT, false);
        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
                table_number(&t, values[i]);
                table_cell(&t, "%s", i == 1 ? "b" : "a");
        }
        table_sort(&t);
        text = printed(&t);
        assert_string_equal(text, "  N  T\n  9  a\n  9  b\n 20  a\n100  a\n");
}

/* In pieces it is the same text, as long as the first piece has the widest cells; and the same JSON in any case. */
static void pieces_make_one_table(void **state)
{
        for (int format = TABLE_TEXT; format <= TABLE_JSON; format++) {
                _cleanup_free_ char *whole = NULL, *pieces = NULL;
                struct table t;
                size_t n;
                FILE *f;

                make(&t, format, false);
                whole = printed(&t);
                f = open_memstream(&pieces, &n);
                table_init(&t, columns, ARRAY_SIZE(columns), format, false);
                add(&t, "web", 5000, "a \"b\"\n");
                table_flush(&t, f);
                add(&t, "a", 50000, NULL);
                table_flush(&t, f);
                table_print(&t, f);
                fclose(f);
                table_deinit(&t);
                if (format == TABLE_JSON)
                        assert_string_equal(pieces, whole);
                else
                        assert_int_equal(strncmp(pieces, whole, strcspn(whole, "\n")), 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(columns_are_aligned),
                cmocka_unit_test(json_has_its_own_columns),
                cmocka_unit_test(an_empty_table_is_an_empty_array),
                cmocka_unit_test(colours_do_not_count_as_width),
                cmocka_unit_test(numbers_sort_by_value),
                cmocka_unit_test(pieces_make_one_table),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
