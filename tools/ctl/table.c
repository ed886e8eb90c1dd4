/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/table.h"

void table_init(struct table *t, const struct column *columns, size_t width)
{
        *t = (struct table){.columns = columns, .width = width};
}

void table_deinit(struct table *t)
{
        for (size_t i = 0; i < t->count; i++)
                free(t->cells[i]);
        free(t->cells);
        *t = (struct table){0};
}

void table_cell(struct table *t, const char *fmt, ...)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        va_list ap;

        va_start(ap, fmt);
        strbuf_vprintf(&b, fmt, ap);
        va_end(ap);
        if (t->count == t->cap) {
                t->cap = MAX(t->cap * 2, 64);
                t->cells = mem_realloc(t->cells, t->cap, sizeof(*t->cells));
        }
        t->cells[t->count++] = strbuf_take(&b, NULL);
}

size_t table_rows(const struct table *t)
{
        return t->count / t->width;
}

struct row {
        char **cells;
        const struct table *table;
};

static int compare_cells(const char *a, const char *b, bool number)
{
        double x, y;

        if (!number)
                return strcmp(a, b);
        x = strtod(a, NULL);
        y = strtod(b, NULL);
        return (x > y) - (x < y);
}

static int compare_rows(const void *a, const void *b)
{
        const struct row *x = a, *y = b;
        int r = 0;

        for (size_t i = 0; i < x->table->width && !r; i++)
                r = compare_cells(x->cells[i], y->cells[i], x->table->columns[i].number);
        return r;
}

void table_sort(struct table *t)
{
        size_t n = table_rows(t);
        _cleanup_free_ struct row *rows = mem_realloc(NULL, MAX(n, 1), sizeof(*rows));
        char **cells = mem_realloc(NULL, MAX(t->count, 1), sizeof(*cells));

        for (size_t i = 0; i < n; i++)
                rows[i] = (struct row){t->cells + i * t->width, t};
        qsort(rows, n, sizeof(*rows), compare_rows);
        for (size_t i = 0; i < n; i++)
                memcpy(cells + i * t->width, rows[i].cells, t->width * sizeof(*cells));
        free(t->cells);
        t->cells = cells;
        t->cap = MAX(t->count, 1);
}

static size_t column_width(const struct table *t, size_t column)
{
        size_t width = strlen(t->columns[column].title);

        for (size_t i = column; i < t->count; i += t->width)
                width = MAX(width, strlen(t->cells[i]));
        return width;
}

static void print_cell(const struct table *t, size_t column, size_t width, const char *text, FILE *to)
{
        bool last = column + 1 == t->width;

        if (t->columns[column].number)
                fprintf(to, "%*s", (int)width, text);
        else
                fprintf(to, "%-*s", last ? 0 : (int)width, text);
        fputs(last ? "\n" : "  ", to);
}

void table_print(const struct table *t, FILE *to)
{
        _cleanup_free_ size_t *widths = mem_realloc(NULL, t->width, sizeof(*widths));

        for (size_t c = 0; c < t->width; c++)
                widths[c] = column_width(t, c);
        for (size_t c = 0; c < t->width; c++)
                print_cell(t, c, widths[c], t->columns[c].title, to);
        for (size_t i = 0; i < t->count; i++)
                print_cell(t, i % t->width, widths[i % t->width], t->cells[i], to);
}

void table_json(const struct table *t, struct strbuf *b)
{
        strbuf_add_char(b, '[');
        for (size_t i = 0; i < t->count; i++) {
                const struct column *c = &t->columns[i % t->width];

                strbuf_add_str(b, i % t->width ? "," : i ? ",\n {" : "\n {");
                strbuf_printf(b, "\"%s\":", c->key);
                if (c->number)
                        strbuf_add_str(b, t->cells[i]);
                else
                        strbuf_add_json_str(b, t->cells[i], strlen(t->cells[i]));
                if (i % t->width == t->width - 1)
                        strbuf_add_char(b, '}');
        }
        strbuf_add_str(b, "\n]");
}

void table_print_json(const struct table *t, FILE *to)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        table_json(t, &b);
        fprintf(to, "%s\n", b.data);
}
