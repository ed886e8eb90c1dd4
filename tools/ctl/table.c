/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctl/table.h"

void table_init(struct table *t, const struct column *columns, size_t width, enum table_format format, bool color)
{
        *t = (struct table){.columns = columns, .width = width, .format = format, .color = color};
}

void table_deinit(struct table *t)
{
        strbuf_deinit(&t->text);
        free(t->cells);
        free(t->order);
        free(t->widths);
        *t = (struct table){0};
}

static bool is_shown(const struct table *t, size_t column)
{
        const struct column *c = &t->columns[column];

        if (t->format == TABLE_JSON)
                return c->key;
        return c->title && (!c->wide || t->format == TABLE_WIDE);
}

/* The next cell, empty; false: nobody will see it. */
static bool next_cell(struct table *t, enum tone tone, struct cell **ret)
{
        if (t->count == t->cap) {
                t->cap = MAX(t->cap * 2, 64);
                t->cells = mem_realloc(t->cells, t->cap, sizeof(*t->cells));
        }
        *ret = &t->cells[t->count];
        **ret = (struct cell){.tone = (uint8_t)tone, .at = t->text.len};
        return is_shown(t, t->count++ % t->width);
}

static void cell_printf(struct table *t, enum tone tone, const char *fmt, va_list ap)
{
        struct cell *c;

        if (!next_cell(t, tone, &c))
                return;
        strbuf_vprintf(&t->text, fmt, ap);
        c->length = (uint32_t)(t->text.len - c->at);
}

void table_cell(struct table *t, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        cell_printf(t, TONE_PLAIN, fmt, ap);
        va_end(ap);
}

void table_cell_in(struct table *t, enum tone tone, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        cell_printf(t, tone, fmt, ap);
        va_end(ap);
}

void table_text(struct table *t, const char *text)
{
        struct cell *c;

        if (!next_cell(t, TONE_PLAIN, &c))
                return;
        c->length = (uint32_t)strlen(text);
        strbuf_add(&t->text, text, c->length);
}

void table_none(struct table *t)
{
        struct cell *c;

        if (!next_cell(t, TONE_PLAIN, &c))
                return;
        strbuf_add_str(&t->text, t->format == TABLE_JSON ? "null" : "-");
        c->none = true;
        c->length = (uint32_t)(t->text.len - c->at);
}

void table_number(struct table *t, uint64_t n)
{
        struct cell *c;

        if (!next_cell(t, TONE_PLAIN, &c))
                return;
        strbuf_add_u64(&t->text, n);
        c->length = (uint32_t)(t->text.len - c->at);
}

size_t table_rows(const struct table *t)
{
        return t->count / t->width;
}

static const struct cell *cell_at(const struct table *t, size_t row, size_t column)
{
        return &t->cells[(t->order ? t->order[row] : row) * t->width + column];
}

/* ---- sorting */

static int compare_cells(const struct table *t, const struct cell *a, const struct cell *b, bool number)
{
        const char *x = t->text.data + a->at, *y = t->text.data + b->at;
        int order;

        if (number) {
                double u = strtod(x, NULL), v = strtod(y, NULL);

                return (u > v) - (u < v);
        }
        order = memcmp(x, y, MIN(a->length, b->length));
        return order ? order : (a->length > b->length) - (a->length < b->length);
}

static int compare_rows(const void *a, const void *b, void *userdata)
{
        const struct table *t = userdata;
        size_t x = *(const size_t *)a, y = *(const size_t *)b;
        int r = 0;

        for (size_t i = 0; i < t->width && !r; i++)
                if (is_shown(t, i))
                        r = compare_cells(t, &t->cells[x * t->width + i], &t->cells[y * t->width + i],
                                          t->columns[i].kind == COLUMN_NUMBER);
        return r ? r : (x > y) - (x < y);
}

void table_sort(struct table *t)
{
        size_t n = table_rows(t);

        free(t->order);
        t->order = mem_array(size_t, n + 1);
        for (size_t i = 0; i < n; i++)
                t->order[i] = i;
        if (n)
                qsort_r(t->order, n, sizeof(*t->order), compare_rows, t);
}

/* ---- for people */

const char *tone_begin(enum tone tone, bool color)
{
        static const char *const codes[] = {
                [TONE_PLAIN] = "",       [TONE_GOOD] = "\033[32m", [TONE_WARN] = "\033[33m",
                [TONE_BAD] = "\033[31m", [TONE_TITLE] = "\033[1m",
        };

        return color ? codes[tone] : "";
}

const char *tone_end(enum tone tone, bool color)
{
        return color && tone != TONE_PLAIN ? "\033[0m" : "";
}

/* Spaces, the text in its colour, spaces; or the line's end. */
static void add_padded(const struct table *t, size_t column, struct str_span text, enum tone tone, struct strbuf *b)
{
        size_t width = t->widths[column], padding = width > text.n ? width - text.n : 0;
        bool number = t->columns[column].kind == COLUMN_NUMBER, last = column == t->last;
        size_t before = number ? padding : 0, after = last ? 0 : 2 + padding - before;

        memset(strbuf_reserve(b, before), ' ', before);
        b->len += before;
        if (tone != TONE_PLAIN)
                strbuf_add_str(b, tone_begin(tone, t->color));
        strbuf_add(b, text.s, text.n);
        if (tone != TONE_PLAIN)
                strbuf_add_str(b, tone_end(tone, t->color));
        memset(strbuf_reserve(b, after + 1), ' ', after);
        b->len += after;
        if (last)
                strbuf_add_char(b, '\n');
}

static void add_titles(const struct table *t, struct strbuf *b)
{
        for (size_t c = 0; c < t->width; c++) {
                const char *title = t->columns[c].title;

                if (is_shown(t, c))
                        add_padded(t, c, (struct str_span){title, strlen(title)}, TONE_TITLE, b);
        }
}

static void measure(struct table *t)
{
        if (!t->widths) {
                t->widths = mem_array(size_t, t->width);
                for (size_t c = 0; c < t->width; c++) {
                        t->widths[c] = is_shown(t, c) ? strlen(t->columns[c].title) : 0;
                        t->last = is_shown(t, c) ? c : t->last;
                }
        }
        for (size_t row = 0; row < table_rows(t); row++)
                for (size_t c = 0; c < t->width; c++)
                        t->widths[c] = MAX(t->widths[c], (size_t)t->cells[row * t->width + c].length);
}

static void print_text(struct table *t, FILE *to)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        bool first = !t->widths;

        measure(t);
        if (first)
                add_titles(t, &b);
        for (size_t row = 0; row < table_rows(t); row++)
                for (size_t c = 0; c < t->width; c++) {
                        const struct cell *cell = cell_at(t, row, c);

                        if (is_shown(t, c))
                                add_padded(t, c, (struct str_span){t->text.data + cell->at, cell->length},
                                           (enum tone)cell->tone, &b);
                }
        if (b.len)
                fwrite(b.data, 1, b.len, to);
}

/* ---- for programs */

static void add_json_cell(const struct table *t, const struct column *column, const struct cell *cell, struct strbuf *b)
{
        const char *text = t->text.data + cell->at;

        strbuf_add_char(b, '"');
        strbuf_add_str(b, column->key);
        strbuf_add_str(b, "\":");
        if (column->kind == COLUMN_TEXT && !cell->none)
                strbuf_add_json_str(b, text, cell->length);
        else
                strbuf_add(b, text, cell->length);
}

static void add_json_row(const struct table *t, size_t row, struct strbuf *b)
{
        bool first = true;

        strbuf_add_char(b, '{');
        for (size_t c = 0; c < t->width; c++) {
                if (!is_shown(t, c))
                        continue;
                if (!first)
                        strbuf_add_char(b, ',');
                add_json_cell(t, &t->columns[c], cell_at(t, row, c), b);
                first = false;
        }
        strbuf_add_char(b, '}');
}

void table_json(const struct table *t, struct strbuf *b)
{
        strbuf_add_char(b, '[');
        for (size_t row = 0; row < table_rows(t); row++) {
                strbuf_add_str(b, row ? ",\n " : "\n ");
                add_json_row(t, row, b);
        }
        strbuf_add_str(b, table_rows(t) ? "\n]" : "]");
}

static void print_json(const struct table *t, FILE *to)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        for (size_t row = 0; row < table_rows(t); row++) {
                strbuf_add_str(&b, t->printed + row ? ",\n " : "[\n ");
                add_json_row(t, row, &b);
        }
        if (b.len)
                fwrite(b.data, 1, b.len, to);
}

void table_flush(struct table *t, FILE *to)
{
        if (t->format == TABLE_JSON)
                print_json(t, to);
        else
                print_text(t, to);
        t->printed += table_rows(t);
        t->count = t->text.len = 0;
        free(t->order);
        t->order = NULL;
}

void table_print(struct table *t, FILE *to)
{
        table_flush(t, to);
        if (t->format == TABLE_JSON)
                fputs(t->printed ? "\n]\n" : "[]\n", to);
}
