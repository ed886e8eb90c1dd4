/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table for people (aligned columns) or programs (a JSON array of objects). Cells are added one after the other;
 * those of columns that the format does not show cost nothing. All text is in one buffer: a table may have millions of
 * cells.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

enum column_kind {
        COLUMN_TEXT,
        COLUMN_NUMBER, /* right-aligned; a JSON number */
        COLUMN_JSON,   /* its cells are JSON */
};

struct column {
        const char *title; /* "BACKENDS"; NULL: not in tables */
        const char *key;   /* "backends"; NULL: not in JSON */
        enum column_kind kind;
        bool wide;        /* in tables only when they are wide */
        const char *text; /* what it says, for --help */
};

enum table_format {
        TABLE_TEXT,
        TABLE_WIDE,
        TABLE_JSON,
};

enum tone {
        TONE_PLAIN,
        TONE_GOOD,
        TONE_WARN,
        TONE_BAD,
        TONE_TITLE,
};

struct cell {
        uint32_t length;
        uint8_t tone;
        bool none;
        size_t at; /* in the table's text */
};

struct table {
        const struct column *columns;
        size_t width; /* columns */
        enum table_format format;
        bool color;
        struct strbuf text;
        struct cell *cells;
        size_t count, cap; /* cells */
        size_t *order;     /* rows, once they were sorted */
        size_t *widths;    /* of the columns, once something was printed */
        size_t last;       /* column that is shown; known with them */
        size_t printed;    /* rows that table_flush has printed and forgotten */
};

void table_init(struct table *t, const struct column *columns, size_t width, enum table_format format, bool color);
void table_deinit(struct table *t);
void table_cell(struct table *t, const char *fmt, ...) _printf_(2, 3);
/* The same for a text as it is: quicker. */
void table_text(struct table *t, const char *text);
/* The same in a colour. */
void table_cell_in(struct table *t, enum tone tone, const char *fmt, ...) _printf_(3, 4);
/* A cell of nothing: "-", in JSON null. */
void table_none(struct table *t);
void table_number(struct table *t, uint64_t n);
size_t table_rows(const struct table *t);
/* Orders the rows by their cells, first column first; numbers by value. Only columns that are shown count. */
void table_sort(struct table *t);
/* Lines of text, or of JSON: by its format. */
void table_print(struct table *t, FILE *to);
/* Prints the rows so far and forgets them, for tables that would fill the memory. table_print ends it. Columns are as
 * wide as what was seen of them by then. */
void table_flush(struct table *t, FILE *to);
/* The rows as a JSON array, appended. */
void table_json(const struct table *t, struct strbuf *b);
/* What the terminal is told before text of that tone ("" when it is not coloured), and after it. */
const char *tone_begin(enum tone tone, bool color);
const char *tone_end(enum tone tone, bool color);
