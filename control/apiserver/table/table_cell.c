/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "apiserver/table/table_cell.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/selector.h"

struct json_object *text_cell(const char *s)
{
        return json_object_new_string(s ? s : "");
}

struct json_object *text_cell_take(struct strbuf *b, const char *otherwise)
{
        struct json_object *o = b->len ? json_object_new_string_len(b->data, (int)b->len) : text_cell(otherwise);

        strbuf_deinit(b);
        return o;
}

void text_join(struct strbuf *b, const char *separator, const char *s)
{
        if (b->len)
                strbuf_add_str(b, separator);
        strbuf_add_str(b, s);
}

static int compare_strings(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void text_labels(struct strbuf *b, const struct json_object *map)
{
        size_t n = 0, count = json_is_object(map) ? (size_t)json_object_object_length(map) : 0;
        _cleanup_free_ const char **keys = mem_array(const char *, count + 1);

        json_foreach (map, key, val)
                keys[n++] = key;
        qsort(keys, n, sizeof(*keys), compare_strings);
        for (size_t i = 0; i < n; i++) {
                const char *value = json_get_str(map, keys[i]);

                text_join(b, ",", keys[i]);
                strbuf_add_char(b, '=');
                strbuf_add_str(b, value ? value : "");
        }
}

struct json_object *table_condition(const struct json_object *conditions, const char *type)
{
        json_array_foreach (conditions, i, c) {
                if (str_eq(json_get_str(c, "type"), type))
                        return c;
        }
        return NULL;
}

bool table_condition_true(const struct json_object *conditions, const char *type)
{
        return str_eq(json_get_str(table_condition(conditions, type), "status"), "True");
}

/* ---- cells of one field ---- */

struct json_object *cell_str(CELL_ARGS)
{
        const char *s = json_at_str(obj, col->path);

        return text_cell(str_empty(s) ? col->otherwise : s);
}

struct json_object *cell_int(CELL_ARGS)
{
        return json_object_new_int64(json_at_i64(obj, col->path, 0));
}

struct json_object *cell_bool(CELL_ARGS)
{
        return json_object_new_boolean(json_at_bool(obj, col->path, str_eq(col->otherwise, "true")));
}

struct json_object *cell_count(CELL_ARGS)
{
        const struct json_object *o = json_at(obj, col->path);

        return json_object_new_int64(json_is_object(o) ? json_object_object_length(o) : (int64_t)json_len(o));
}

struct json_object *cell_since(CELL_ARGS)
{
        const char *time = json_at_str(obj, col->path);

        return text_cell(time ? table_since(ctx, time) : col->otherwise);
}

struct json_object *cell_join(CELL_ARGS)
{
        struct strbuf b = STRBUF_NULL;

        json_array_foreach (json_at(obj, col->path), i, s) {
                text_join(&b, ",", json_is_string(s) ? json_object_get_string(s) : "");
        }
        return text_cell_take(&b, col->otherwise);
}

struct json_object *cell_labels(CELL_ARGS)
{
        struct strbuf b = STRBUF_NULL;

        text_labels(&b, json_at(obj, col->path));
        return text_cell_take(&b, "<none>");
}

struct json_object *cell_selector(CELL_ARGS)
{
        _cleanup_selector_ struct selector *s = NULL;
        struct strbuf b = STRBUF_NULL;

        if (selector_from_label_selector(json_at(obj, col->path), &s, NULL))
                return text_cell(col->otherwise ? col->otherwise : "<error>");
        if (!s->nothing)
                selector_write(&b, s);
        return text_cell_take(&b, "<none>");
}

static struct json_object *of_containers(const struct json_object *list, const char *key)
{
        struct strbuf b = STRBUF_NULL;

        json_array_foreach (list, i, c) {
                const char *s = json_get_str(c, key);

                if (i)
                        strbuf_add_char(&b, ',');
                strbuf_add_str(&b, s ? s : "");
        }
        return text_cell_take(&b, "");
}

struct json_object *cell_names(CELL_ARGS)
{
        return of_containers(json_at(obj, col->path), "name");
}

struct json_object *cell_images(CELL_ARGS)
{
        return of_containers(json_at(obj, col->path), "image");
}

struct json_object *cell_any(CELL_ARGS)
{
        struct json_object *o = json_at(obj, col->path);

        return text_cell(o ? json_object_get_string(o) : col->otherwise);
}

struct json_object *cell_age(CELL_ARGS)
{
        return text_cell(table_age(ctx, obj));
}

struct json_object *cell_timestamp(CELL_ARGS)
{
        return json_object_get(json_at(obj, "metadata.creationTimestamp"));
}
