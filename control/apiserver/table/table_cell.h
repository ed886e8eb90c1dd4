/* SPDX-License-Identifier: Apache-2.0 */
/* What the definitions of columns are made of. */
#pragma once

#include "apiserver/table/table.h"

#define CELL_ARGS                                                                                                      \
        const struct table_ctx *ctx _unused_, const struct json_object *obj _unused_,                                  \
                const struct table_column *col _unused_

/* Cells of one field (col->path). */
struct json_object *cell_str(CELL_ARGS);       /* a string; otherwise when absent or empty */
struct json_object *cell_int(CELL_ARGS);       /* 0 when absent */
struct json_object *cell_bool(CELL_ARGS);      /* otherwise "true", or false */
struct json_object *cell_count(CELL_ARGS);     /* of an array's or an object's members */
struct json_object *cell_since(CELL_ARGS);     /* of a time; otherwise when absent */
struct json_object *cell_join(CELL_ARGS);      /* strings, by a comma; otherwise when there are none */
struct json_object *cell_labels(CELL_ARGS);    /* a map as "a=b,c=d", or <none> */
struct json_object *cell_selector(CELL_ARGS);  /* a LabelSelector, or <none> */
struct json_object *cell_names(CELL_ARGS);     /* of a list of containers */
struct json_object *cell_images(CELL_ARGS);    /* of a list of containers */
struct json_object *cell_any(CELL_ARGS);       /* a string or a number as text (IntOrString); otherwise when absent */
struct json_object *cell_age(CELL_ARGS);       /* of the object */
struct json_object *cell_timestamp(CELL_ARGS); /* the object's creationTimestamp as it is */

#define COLUMN(n, t, d, fn, ...)                                                                                       \
        {                                                                                                              \
                .name = n, .type = t, .format = "", .description = d, .cell = fn, __VA_ARGS__                          \
        }
#define WIDE_COLUMN(n, t, d, fn, ...)   COLUMN(n, t, d, fn, .priority = 1, __VA_ARGS__)
#define TEXT(n, d, at, ...)             COLUMN(n, "string", d, cell_str, .path = at, __VA_ARGS__)
#define WIDE_TEXT(n, d, at, ...)        COLUMN(n, "string", d, cell_str, .priority = 1, .path = at, __VA_ARGS__)
#define NUMBER(n, d, at)                COLUMN(n, "integer", d, cell_int, .path = at)
#define TEXT_COLUMN(n, d, fn, ...)      COLUMN(n, "string", d, fn, __VA_ARGS__)
#define WIDE_TEXT_COLUMN(n, d, fn, ...) COLUMN(n, "string", d, fn, .priority = 1, __VA_ARGS__)

#define NAME_COLUMN                                                                                                    \
        {                                                                                                              \
                .name = "Name", .type = "string", .format = "name", .description = "Name of the object",               \
                .cell = cell_str, .path = "metadata.name"                                                              \
        }
#define AGE_COLUMN COLUMN("Age", "string", "Time since the object was created", cell_age, .path = NULL)
#define CONTAINER_COLUMNS(at)                                                                                          \
        WIDE_TEXT_COLUMN("Containers", "Names of the containers of the pods", cell_names, .path = at),                 \
                WIDE_TEXT_COLUMN("Images", "Images of the containers of the pods", cell_images, .path = at)

#define TABLE(g, p, cols, ...)                                                                                         \
        {                                                                                                              \
                .group = g, .plural = p, .columns = cols, .ncolumns = ARRAY_SIZE(cols), __VA_ARGS__                    \
        }

/* Files of definitions: each array ends with a NULL plural. */
extern const struct table_def table_access[], table_admission[], table_autoscaling[], table_cluster[], table_events[],
        table_network[], table_pods[], table_storage[], table_workloads[];

/* A new JSON string. */
struct json_object *text_cell(const char *s);
/* A new JSON string of the buffer's text, or of otherwise when it is empty; releases the buffer. */
struct json_object *text_cell_take(struct strbuf *b, const char *otherwise);
/* Adds a separator unless b is empty, then s. */
void text_join(struct strbuf *b, const char *separator, const char *s);
/* "a=b,c=d" in the order of the keys. */
void text_labels(struct strbuf *b, const struct json_object *map);
/* The member of an array of conditions with that type, or NULL. */
struct json_object *table_condition(const struct json_object *conditions, const char *type);
bool table_condition_true(const struct json_object *conditions, const char *type);
