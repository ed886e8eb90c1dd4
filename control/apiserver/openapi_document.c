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
        struct packer *p;
        size_t n;
};

static void add_member(void *arg, const char *name, const struct json_object *value)
{
        struct members *m = arg;
        struct strbuf *b = &m->p->text;

        if (m->n++)
                strbuf_add_char(b, ',');
        strbuf_add_json_str(b, name, strlen(name));
        strbuf_add_char(b, ':');
        json_write(b, value);
        packer_flush(m->p);
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

void openapi_v3_write(const char *group, const char *version, struct packer *p)
{
        struct members paths = {.p = p}, schemas = {.p = p};

        strbuf_add_str(&p->text, "{\"openapi\":\"3.0.0\",\"info\":{\"title\":\"" TITLE "\",\"version\":\"" VERSION
                                 "\"},\"paths\":{");
        each_path(OPENAPI_V3, group, version, add_member, &paths);
        strbuf_add_str(&p->text, "},\"components\":{\"schemas\":{");
        each_schema(OPENAPI_V3, group, version, add_member, &schemas);
        strbuf_add_str(&p->text, "}}}\n");
}

void openapi_v2_write_json(struct packer *p)
{
        struct members paths = {.p = p}, schemas = {.p = p};

        strbuf_add_str(&p->text, "{\"swagger\":\"2.0\",\"info\":{\"title\":\"" TITLE "\",\"version\":\"" VERSION
                                 "\"},\"paths\":{");
        each_path(OPENAPI_V2, NULL, NULL, add_member, &paths);
        strbuf_add_str(&p->text, "},\"definitions\":{");
        each_schema(OPENAPI_V2, NULL, NULL, add_member, &schemas);
        strbuf_add_str(&p->text, "}}\n");
}

/* ---- protobuf: the length of a section comes before its entries, so they are written once to be counted ---- */

struct section {
        void (*write)(struct strbuf *b, const char *name, const struct json_object *value);
        size_t len;
        struct packer *p; /* NULL: counting */
};

static void add_entry(void *arg, const char *name, const struct json_object *value)
{
        _cleanup_strbuf_ struct strbuf counted = STRBUF_NULL;
        struct section *s = arg;

        s->write(s->p ? &s->p->text : &counted, name, value);
        s->len += counted.len;
        if (s->p)
                packer_flush(s->p);
}

void openapi_v2_write_protobuf(struct packer *p)
{
        struct section paths = {.write = openapi_protobuf_path}, definitions = {.write = openapi_protobuf_definition};

        each_path(OPENAPI_V2, NULL, NULL, add_entry, &paths);
        each_schema(OPENAPI_V2, NULL, NULL, add_entry, &definitions);
        paths.p = definitions.p = p;
        openapi_protobuf_info(&p->text, TITLE, VERSION);
        openapi_protobuf_begin_paths(&p->text, paths.len);
        each_path(OPENAPI_V2, NULL, NULL, add_entry, &paths);
        openapi_protobuf_begin_definitions(&p->text, definitions.len);
        each_schema(OPENAPI_V2, NULL, NULL, add_entry, &definitions);
}
