/* SPDX-License-Identifier: Apache-2.0 */
/* Documents are written piece by piece, so that only one path or schema at a time exists as a tree. */
#include "apiserver/openapi_document.h"
#include "apiserver/openapi_path.h"
#include "apiserver/openapi_protobuf.h"
#include "base/str.h"

#define TITLE   "Kubernetes"
#define VERSION "v1.36.0+fairlead." FAIRLEAD_VERSION

/* A JSON object that is being written: "name": value, ... */
struct members {
        struct strbuf *b;
        size_t n;
};

static void add_member(void *arg, const char *name, const struct json_object *value)
{
        struct members *m = arg;

        if (m->n++)
                strbuf_add_char(m->b, ',');
        strbuf_add_json_str(m->b, name, strlen(name));
        strbuf_add_char(m->b, ':');
        json_write(m->b, value);
}

static bool in_document(const struct schema_resource *r, const char *group, const char *version)
{
        return !group || (str_eq(r->group, group) && str_eq(r->version, version));
}

/* Paths and schemas of that group and version, or of all when group is NULL. */
static void each_path(enum openapi_dialect d, const char *group, const char *version, openapi_emit_fn fn, void *arg)
{
        for (size_t i = 0; i < schema_nresources; i++)
                if (in_document(&schema_resources[i], group, version))
                        openapi_paths_each(d, &schema_resources[i], fn, arg);
}

static void each_schema(enum openapi_dialect d, const char *group, const char *version, openapi_emit_fn fn, void *arg)
{
        struct openapi_set set;

        openapi_set_init(&set);
        for (size_t i = 0; i < schema_nresources; i++)
                if (in_document(&schema_resources[i], group, version))
                        openapi_paths_reach(&schema_resources[i], &set);
        openapi_set_each(&set, d, fn, arg);
        openapi_set_deinit(&set);
}

void openapi_v3_write(const char *group, const char *version, struct strbuf *b)
{
        struct members paths = {.b = b}, schemas = {.b = b};

        strbuf_add_str(b, "{\"openapi\":\"3.0.0\",\"info\":{\"title\":\"" TITLE "\",\"version\":\"" VERSION
                          "\"},\"paths\":{");
        each_path(OPENAPI_V3, group, version, add_member, &paths);
        strbuf_add_str(b, "},\"components\":{\"schemas\":{");
        each_schema(OPENAPI_V3, group, version, add_member, &schemas);
        strbuf_add_str(b, "}}}\n");
}

void openapi_v2_write_json(struct strbuf *b)
{
        struct members paths = {.b = b}, schemas = {.b = b};

        strbuf_add_str(b, "{\"swagger\":\"2.0\",\"info\":{\"title\":\"" TITLE "\",\"version\":\"" VERSION
                          "\"},\"paths\":{");
        each_path(OPENAPI_V2, NULL, NULL, add_member, &paths);
        strbuf_add_str(b, "},\"definitions\":{");
        each_schema(OPENAPI_V2, NULL, NULL, add_member, &schemas);
        strbuf_add_str(b, "}}\n");
}

void openapi_v2_write_protobuf(struct strbuf *b)
{
        _cleanup_strbuf_ struct strbuf paths = STRBUF_NULL, definitions = STRBUF_NULL;

        each_path(OPENAPI_V2, NULL, NULL, openapi_protobuf_path, &paths);
        each_schema(OPENAPI_V2, NULL, NULL, openapi_protobuf_definition, &definitions);
        openapi_protobuf_document(b, TITLE, VERSION, &paths, &definitions);
}
