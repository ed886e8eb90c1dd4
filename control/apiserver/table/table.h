/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `kubectl get` prints: per resource the columns and the text of each cell, as Kubernetes' printers have them
 * (pkg/printers/internalversion). One table of definitions, a file per group of kinds. Pure but for the clock in ctx.
 */
#pragma once

#include "base/arena.h"
#include "base/json.h"

struct table_ctx {
        struct arena *arena;
        int64_t now_s;       /* wall clock */
        const void *summary; /* what the definition's summarise returned for this row */
};

struct table_column {
        const char *name;   /* "Ready" */
        const char *type;   /* "string", "integer", "date", "boolean" */
        const char *format; /* "name" for the name, else "" */
        int priority;       /* 0: always; 1: -o wide */
        const char *description;
        /* The cell: a string, a number, a boolean or NULL (null); owned by the caller. */
        struct json_object *(*cell)(const struct table_ctx *ctx, const struct json_object *obj,
                                    const struct table_column *col);
        const char *path;      /* for the cell functions that read one field */
        const char *otherwise; /* ... and the text when it is absent */
};

struct table_def {
        const char *group, *plural;
        const struct table_column *columns;
        size_t ncolumns;
        /* What several cells of a row need, computed once (in the arena); NULL: nothing. */
        const void *(*summarise)(const struct table_ctx *ctx, const struct json_object *obj);
};

/* The definition of that resource; one with Name and Created At when it has none of its own. Never NULL. */
const struct table_def *table_find(const char *group, const char *plural);
/* Appends the object's value of each column to the array cells. */
void table_row(const struct table_def *def, const struct table_ctx *ctx, const struct json_object *obj,
               struct json_object *cells);

/* "5m", "3d4h": as `kubectl get` shows ages (apimachinery's duration.HumanDuration). In the arena. */
const char *table_age(const struct table_ctx *ctx, const struct json_object *obj);
const char *table_duration(struct arena *a, int64_t seconds);
/* Since that RFC 3339 time; "<unknown>" when it is none. */
const char *table_since(const struct table_ctx *ctx, const char *time);
