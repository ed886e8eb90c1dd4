/* SPDX-License-Identifier: Apache-2.0 */
/* A table for people (aligned columns) or programs (a JSON array of objects). Cells are added one after the other. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

struct column {
        const char *title; /* "BACKENDS" */
        const char *key;   /* "backends", in JSON */
        bool number;       /* right-aligned; a JSON number */
};

struct table {
        const struct column *columns;
        size_t width; /* columns */
        char **cells;
        size_t count, cap; /* cells */
};

void table_init(struct table *t, const struct column *columns, size_t width);
void table_deinit(struct table *t);
void table_cell(struct table *t, const char *fmt, ...) _printf_(2, 3);
size_t table_rows(const struct table *t);
/* Orders the rows by their cells, first column first; numbers by value. */
void table_sort(struct table *t);
void table_print(const struct table *t, FILE *to);
void table_print_json(const struct table *t, FILE *to);
/* The rows as a JSON array, appended. */
void table_json(const struct table *t, struct strbuf *b);
