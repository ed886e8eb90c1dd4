/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `kubectl get` prints: per resource the columns and the text of each cell, as Kubernetes' printers have them
 * (pkg/printers/internalversion). One table of definitions, a file per group of kinds. Pure but for the clock in ctx.
 */
#pragma once

#include "base/arena.h"
#include "base/json.h"

struct table_column {
        const char *name; /* "Ready" */
        const char *type; /* "string", "integer", "date", "boolean" */
        const char *format; /* "name" for the name, else "" */
        int priority; /* 0: always; 1: -o wide */
        const char *description;
};

struct table_ctx {
        struct arena *arena;
        int64_t now_s; /* wall clock */
};

struct table_def {
        const char *group, *plural;
        const struct table_column *columns;
        size_t ncolumns;
        /* Appends one value per column (strings, numbers, null) to the array cells. */
        void (*cells)(const struct table_ctx *ctx, const struct json_object *obj, struct json_object *cells);
};

/* The definition of that resource; one with Name and Age when it has none of its own. Never NULL. */
const struct table_def *table_find(const char *group, const char *plural);

/* "5m", "3d4h": as `kubectl get` shows ages (apimachinery's duration.HumanDuration). In the arena. */
const char *table_age(const struct table_ctx *ctx, const struct json_object *obj);
const char *table_duration(struct arena *a, int64_t seconds);
/* Since that RFC 3339 time; "<unknown>" when it is none. */
const char *table_since(const struct table_ctx *ctx, const char *time);
