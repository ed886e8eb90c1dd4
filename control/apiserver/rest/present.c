/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "apiserver/rest/present.h"
#include "apiserver/status.h"
#include "apiserver/rest/write.h"
#include "apiserver/table/table.h"
#include "base/clock.h"
#include "base/str.h"

#define META_VERSION "meta.k8s.io/v1"

struct present present_of(const struct api_request *req)
{
        return (struct present){
                .resource = req->resource,
                .format = req->format,
                .objects = req->table_objects && *req->table_objects ? *req->table_objects : 'M',
        };
}

bool present_raw(const struct present *p)
{
        return p->format == API_JSON && kind_storage(p->resource) == p->resource;
}

bool present_is_raw(const struct api_request *req)
{
        struct present p = present_of(req);

        return present_raw(&p) && !api_query_get(req, "pretty");
}

static void set_gvk(struct json_object *o, const char *kind, const char *group_version)
{
        json_set_str(o, "kind", kind);
        json_set_str(o, "apiVersion", group_version);
}

/* The object in the version that was asked for. */
static struct json_object *tree_of(const struct present *p, const struct blob *json)
{
        const struct schema_resource *r = p->resource;
        struct json_object *o = NULL;
        char gv[300];

        if (json_parse(json->data, json->len, &o, NULL))
                return json_object_new_object();
        if (kind_storage(r) == r)
                return o;
        kind_from_storage(r, o);
        snprintf(gv, sizeof(gv), "%s%s%s", r->group, *r->group ? "/" : "", r->version);
        set_gvk(o, r->kind, gv);
        return o;
}

static struct json_object *partial_of(const struct json_object *o)
{
        struct json_object *p = json_object_new_object();

        set_gvk(p, "PartialObjectMetadata", META_VERSION);
        json_set(p, "metadata", json_object_get(json_get(o, "metadata")));
        return p;
}

static void add_columns(struct json_object *table, const struct table_def *def)
{
        struct json_object *arr = json_object_new_array();

        for (size_t i = 0; i < def->ncolumns; i++) {
                struct json_object *c = json_object_new_object();

                json_set_str(c, "name", def->columns[i].name);
                json_set_str(c, "type", def->columns[i].type);
                json_set_str(c, "format", def->columns[i].format ? def->columns[i].format : "");
                json_set_str(c, "description", def->columns[i].description ? def->columns[i].description : "");
                json_set_i64(c, "priority", def->columns[i].priority);
                json_object_array_add(arr, c);
        }
        json_set(table, "columnDefinitions", arr);
}

static struct json_object *row_of(const struct present *p, const struct table_def *def, struct json_object *o,
                                  struct arena *a)
{
        struct table_ctx ctx = {.arena = a, .now_s = clock_wall_s()};
        struct json_object *row = json_object_new_object(), *cells = json_object_new_array();

        table_row(def, &ctx, o, cells);
        json_set(row, "cells", cells);
        if (p->objects == 'O')
                json_set(row, "object", json_object_get(o));
        else if (p->objects == 'M')
                json_set(row, "object", partial_of(o));
        return row;
}

static struct json_object *table_new(const struct table_def *def, bool columns)
{
        struct json_object *t = json_object_new_object();

        set_gvk(t, "Table", META_VERSION);
        json_set(t, "metadata", json_object_new_object());
        if (columns)
                add_columns(t, def);
        else
                json_set(t, "columnDefinitions", NULL);
        return t;
}

static const struct table_def *def_of(const struct present *p)
{
        return table_find(p->resource->group, p->resource->plural);
}

void present_object(const struct present *p, const struct blob *json, bool columns, struct strbuf *b)
{
        _cleanup_json_ struct json_object *o = tree_of(p, json), *out = NULL;
        struct arena a = ARENA_NULL;

        if (p->format == API_TABLE) {
                struct json_object *rows = json_object_new_array();
                const char *rv = json_at_str(o, "metadata.resourceVersion");

                out = table_new(def_of(p), columns);
                if (rv)
                        json_set_str(json_get(out, "metadata"), "resourceVersion", rv);
                json_object_array_add(rows, row_of(p, def_of(p), o, &a));
                json_set(out, "rows", rows);
        } else {
                out = p->format == API_PARTIAL ? partial_of(o) : json_object_get(o);
        }
        json_write(b, out);
        arena_deinit(&a);
}

int rest_answer_object(struct api_request *req, int status, struct blob *json)
{
        struct present p = present_of(req);
        struct strbuf b = STRBUF_NULL;

        if (present_raw(&p))
                return api_answer_blob(req, status, json);
        present_object(&p, json, true, &b);
        strbuf_add_char(&b, '\n');
        return api_answer_buffer(req, status, "application/json", &b);
}

static void list_meta(struct strbuf *b, const struct object_list *list, const struct present_list *pl)
{
        strbuf_printf(b, "\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\"", list->revision);
        if (pl->continue_token)
                strbuf_printf(b, ",\"continue\":\"%s\"", pl->continue_token);
        if (pl->continue_token && pl->remaining)
                strbuf_printf(b, ",\"remainingItemCount\":%zu", pl->remaining);
        strbuf_add_char(b, '}');
}

static void add_row(const struct present *p, const struct table_def *def, const struct object *o, struct arena *a,
                    struct strbuf *b)
{
        _cleanup_json_ struct json_object *tree = tree_of(p, o->json);
        _cleanup_json_ struct json_object *row = row_of(p, def, tree, a);

        json_write(b, row);
}

static void present_table(const struct present *p, const struct object_list *list, const struct present_list *pl,
                          struct strbuf *b)
{
        const struct table_def *def = def_of(p);
        _cleanup_json_ struct json_object *t = json_object_new_object();
        struct arena a = ARENA_NULL;

        strbuf_add_str(b, "{\"kind\":\"Table\",\"apiVersion\":\"" META_VERSION "\",");
        list_meta(b, list, pl);
        add_columns(t, def);
        strbuf_add_str(b, ",\"columnDefinitions\":");
        json_write(b, json_get(t, "columnDefinitions"));
        strbuf_add_str(b, ",\"rows\":[");
        for (size_t i = 0; i < list->n; i++) {
                if (i)
                        strbuf_add_char(b, ',');
                add_row(p, def, list->items[i], &a, b);
                arena_deinit(&a);
        }
        strbuf_add_str(b, "]}\n");
}

void present_list(struct api_request *req, const struct object_list *list, const struct present_list *pl,
                  struct strbuf *b)
{
        struct present p = present_of(req);

        if (p.format == API_TABLE) {
                present_table(&p, list, pl, b);
                return;
        }
        if (p.format == API_PARTIAL)
                strbuf_add_str(b, "{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"" META_VERSION "\",");
        else
                strbuf_printf(b, "{\"kind\":\"%sList\",\"apiVersion\":\"%s\",", req->resource->kind,
                              api_group_version(req));
        list_meta(b, list, pl);
        strbuf_add_str(b, ",\"items\":[");
        for (size_t i = 0; i < list->n; i++) {
                if (i)
                        strbuf_add_char(b, ',');
                present_object(&p, list->items[i]->json, false, b);
        }
        strbuf_add_str(b, "]}\n");
}
