/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/table/table.h"

static const struct table_column default_columns[] = {
        {"Name", "string", "name", 0, "Name of the object"},
        {"Created At", "date", "", 0, "When the object was made"},
};

static void default_cells(const struct table_ctx *ctx _unused_, const struct json_object *obj,
                          struct json_object *cells)
{
        struct json_object *meta = json_get(obj, "metadata");

        json_object_array_add(cells, json_object_get(json_get(meta, "name")));
        json_object_array_add(cells, json_object_get(json_get(meta, "creationTimestamp")));
}

static const struct table_def by_default = {"", "", default_columns, ARRAY_SIZE(default_columns), default_cells};

const struct table_def *table_find(const char *group _unused_, const char *plural _unused_)
{
        return &by_default;
}
