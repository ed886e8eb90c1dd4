/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "apiserver/discovery_build.h"
#include "apiserver/openapi_schema.h"
#include "base/mem.h"
#include "base/str.h"

#define META "io.k8s.apimachinery.pkg.apis.meta.v1."

/* What is no struct in the tables, but a definition of its own upstream. */
enum special {
        SPECIAL_TIME,
        SPECIAL_MICROTIME,
        SPECIAL_QUANTITY,
        SPECIAL_INT_OR_STRING,
        SPECIAL_RAW,
        SPECIAL_FIELDS,
        SPECIAL_JSON,
        SPECIAL_PATCH,
        SPECIALS
};

static const struct {
        const char *name, *v2, *v3;
} specials[SPECIALS] = {
        [SPECIAL_TIME] = {META "Time", "{\"format\":\"date-time\",\"type\":\"string\"}", NULL},
        [SPECIAL_MICROTIME] = {META "MicroTime", "{\"format\":\"date-time\",\"type\":\"string\"}", NULL},
        [SPECIAL_QUANTITY] = {"io.k8s.apimachinery.pkg.api.resource.Quantity", "{\"type\":\"string\"}",
                              "{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"number\"}]}"},
        [SPECIAL_INT_OR_STRING] = {"io.k8s.apimachinery.pkg.util.intstr.IntOrString",
                                   "{\"format\":\"int-or-string\",\"type\":\"string\"}",
                                   "{\"format\":\"int-or-string\",\"oneOf\":[{\"type\":\"integer\"},{\"type\":"
                                   "\"string\"}]}"},
        [SPECIAL_RAW] = {"io.k8s.apimachinery.pkg.runtime.RawExtension", "{\"type\":\"object\"}", NULL},
        [SPECIAL_FIELDS] = {META "FieldsV1", "{\"type\":\"object\"}", NULL},
        [SPECIAL_JSON] = {"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
                          "{\"description\":\"Any valid JSON value.\"}", NULL},
        [SPECIAL_PATCH] = {META "Patch", "{\"type\":\"object\"}", NULL},
};

static const struct {
        const char *type, *format, *zero; /* zero: the default of a value that is always there, as JSON */
} scalars[] = {
        [SCHEMA_STRING] = {"string", NULL, "\"\""}, [SCHEMA_INT32] = {"integer", "int32", "0"},
        [SCHEMA_INT64] = {"integer", "int64", "0"}, [SCHEMA_NUMBER] = {"number", "double", "0"},
        [SCHEMA_BOOL] = {"boolean", NULL, "false"}, [SCHEMA_BYTES] = {"string", "byte", NULL},
};

static enum special special_of(const struct schema_struct *owner, const char *field, enum schema_kind kind)
{
        if (kind == SCHEMA_RAW && str_has_prefix(owner->name, "io.k8s.apiextensions-apiserver."))
                return SPECIAL_JSON;
        if (kind == SCHEMA_RAW)
                return str_eq(field, "fieldsV1") ? SPECIAL_FIELDS : SPECIAL_RAW;
        if (kind == SCHEMA_TIME)
                return SPECIAL_TIME;
        if (kind == SCHEMA_MICROTIME)
                return SPECIAL_MICROTIME;
        return kind == SCHEMA_QUANTITY ? SPECIAL_QUANTITY : SPECIAL_INT_OR_STRING;
}

/* ---- what a document has ---- */

void openapi_set_init(struct openapi_set *s)
{
        *s = (struct openapi_set){.structs = mem_zalloc(schema_nstructs * sizeof(bool))};
}

void openapi_set_deinit(struct openapi_set *s)
{
        free(s->structs);
        *s = (struct openapi_set){0};
}

void openapi_set_add_patch(struct openapi_set *s)
{
        s->specials |= 1u << SPECIAL_PATCH;
}

static void add_type(struct openapi_set *s, const struct schema_struct *owner, const struct schema_field *f)
{
        const struct schema_type *t = &f->type;

        while (t->kind == SCHEMA_ARRAY || t->kind == SCHEMA_MAP)
                t = t->elem;
        if (t->kind == SCHEMA_OBJECT)
                openapi_set_add(s, t->object);
        else if (t->kind >= SCHEMA_TIME)
                s->specials |= 1u << special_of(owner, f->name, t->kind);
}

void openapi_set_add(struct openapi_set *s, const struct schema_struct *type)
{
        if (!type || s->structs[type - schema_structs])
                return;
        s->structs[type - schema_structs] = true;
        for (size_t i = 0; i < type->nfields; i++)
                add_type(s, type, &type->fields[i]);
}

/* ---- facts about structs that the tables keep elsewhere ---- */

/* Structs that server-side apply owns as a whole: the tables say so at each field of that type. */
static bool *atomic_structs;
static pthread_once_t atomic_once = PTHREAD_ONCE_INIT;

static void atomic_make(void)
{
        atomic_structs = mem_zalloc(schema_nstructs * sizeof(bool));
        for (size_t i = 0; i < schema_nstructs; i++)
                for (size_t j = 0; j < schema_structs[i].nfields; j++) {
                        const struct schema_type *t = &schema_structs[i].fields[j].type;

                        while (t->kind == SCHEMA_ARRAY || t->kind == SCHEMA_MAP)
                                t = t->elem;
                        if (t->kind == SCHEMA_OBJECT && t->atomic)
                                atomic_structs[t->object - schema_structs] = true;
                }
}

const struct schema_struct *openapi_list_type(const struct schema_resource *r)
{
        char name[160];

        snprintf(name, sizeof(name), "%sList", r->type->name);
        return schema_struct_find(name);
}

struct json_object *openapi_gvk(const char *group, const char *version, const char *kind)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "group", group);
        json_set_str(o, "kind", kind);
        json_set_str(o, "version", version);
        return o;
}

static void add_gvk(struct json_object *list, const char *group, const char *version, const char *kind)
{
        _cleanup_json_ struct json_object *gvk = openapi_gvk(group, version, kind);

        json_array_foreach (list, i, have) {
                if (json_equal(have, gvk))
                        return;
        }
        json_object_array_add(list, json_object_get(gvk));
}

static void add_gvks_of(struct json_object *list, const struct schema_resource *r, const struct schema_struct *type)
{
        char kind[128];

        if (r->type == type)
                add_gvk(list, r->group, r->version, r->kind);
        for (size_t i = 0; i < r->nsubresources; i++)
                if (r->subresources[i].type == type)
                        add_gvk(list, r->subresources[i].group, r->subresources[i].version, r->subresources[i].kind);
        if (openapi_list_type(r) == type) {
                snprintf(kind, sizeof(kind), "%sList", r->kind);
                add_gvk(list, r->group, r->version, kind);
        }
}

/* The kinds that a struct is; empty for most. DeleteOptions is one in every group and version. */
static struct json_object *gvks_of(const struct schema_struct *type)
{
        struct json_object *list = json_object_new_array();
        bool everywhere = str_eq(type->name, META "DeleteOptions");

        if (str_eq(type->name, META "Status"))
                add_gvk(list, "", "v1", "Status");
        for (size_t i = 0; i < schema_nresources; i++) {
                const struct schema_resource *r = &schema_resources[i];

                if (everywhere && discovery_first_of_version(i))
                        add_gvk(list, r->group, r->version, "DeleteOptions");
                if (!everywhere)
                        add_gvks_of(list, r, type);
        }
        return list;
}

/* ---- schemas ---- */

static struct json_object *ref_to(enum openapi_dialect d, const char *name)
{
        struct json_object *o = json_object_new_object();
        char text[200];

        snprintf(text, sizeof(text), "#/%s/%s", d == OPENAPI_V3 ? "components/schemas" : "definitions", name);
        json_set_str(o, "$ref", text);
        return o;
}

struct json_object *openapi_ref(enum openapi_dialect d, const struct schema_struct *type)
{
        return ref_to(d, type->name);
}

struct json_object *openapi_ref_patch(enum openapi_dialect d)
{
        return ref_to(d, specials[SPECIAL_PATCH].name);
}

static struct json_object *parse_constant(const char *text)
{
        struct json_object *o = NULL;

        json_parse(text, strlen(text), &o, NULL);
        return o;
}

/* In version 3 a reference has no neighbours, so it goes into an allOf; defaults are not in version 2. */
static struct json_object *reference(enum openapi_dialect d, const char *name, bool with_default)
{
        struct json_object *o, *all;

        if (d == OPENAPI_V2)
                return ref_to(d, name);
        o = json_object_new_object();
        all = json_object_new_array();
        json_object_array_add(all, ref_to(d, name));
        json_set(o, "allOf", all);
        if (with_default)
                json_set(o, "default", json_object_new_object());
        return o;
}

static struct json_object *scalar(enum openapi_dialect d, enum schema_kind kind, bool with_default)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "type", scalars[kind].type);
        if (scalars[kind].format)
                json_set_str(o, "format", scalars[kind].format);
        if (d == OPENAPI_V3 && with_default && scalars[kind].zero)
                json_set(o, "default", parse_constant(scalars[kind].zero));
        return o;
}

static void set_list_marks(struct json_object *o, const struct schema_type *t)
{
        static const char *const names[] = {
                [SCHEMA_LIST_ATOMIC] = "atomic",
                [SCHEMA_LIST_SET] = "set",
                [SCHEMA_LIST_MAP] = "map",
        };
        struct json_object *keys;

        json_set_str(o, "x-kubernetes-list-type", names[t->list]);
        if (t->list != SCHEMA_LIST_MAP)
                return;
        keys = json_object_new_array();
        for (const char *const *k = t->keys; k && *k; k++)
                json_object_array_add(keys, json_object_new_string(*k));
        json_set(o, "x-kubernetes-list-map-keys", keys);
}

static void set_patch_marks(struct json_object *o, const struct schema_type *t)
{
        if (t->merge_key)
                json_set_str(o, "x-kubernetes-patch-merge-key", t->merge_key);
        if (t->merge || t->retain_keys)
                json_set_str(o, "x-kubernetes-patch-strategy",
                             t->merge && t->retain_keys ? "merge,retainKeys"
                             : t->merge                 ? "merge"
                                                        : "retainKeys");
}

static struct json_object *type_schema(enum openapi_dialect d, const struct schema_struct *owner, const char *field,
                                       const struct schema_type *t, bool with_default)
{
        struct json_object *o;

        if (t->kind == SCHEMA_OBJECT)
                return reference(d, t->object->name, with_default);
        if (t->kind < SCHEMA_TIME)
                return scalar(d, t->kind, with_default);
        if (t->kind != SCHEMA_ARRAY && t->kind != SCHEMA_MAP)
                return reference(d, specials[special_of(owner, field, t->kind)].name, false);
        o = json_object_new_object();
        json_set_str(o, "type", t->kind == SCHEMA_ARRAY ? "array" : "object");
        json_set(o, t->kind == SCHEMA_ARRAY ? "items" : "additionalProperties",
                 type_schema(d, owner, field, t->elem, true));
        if (t->kind == SCHEMA_ARRAY)
                set_list_marks(o, t);
        else if (t->atomic)
                json_set_str(o, "x-kubernetes-map-type", "atomic");
        return o;
}

static struct json_object *field_schema(enum openapi_dialect d, const struct schema_struct *owner,
                                        const struct schema_field *f)
{
        bool by_value = !(f->flags & SCHEMA_POINTER);
        bool zero = f->type.kind == SCHEMA_OBJECT ? by_value : by_value && f->flags & SCHEMA_REQUIRED;
        struct json_object *o = type_schema(d, owner, f->name, &f->type, zero);

        set_patch_marks(o, &f->type);
        return o;
}

static struct json_object *struct_schema(enum openapi_dialect d, const struct schema_struct *type)
{
        struct json_object *o = json_object_new_object(), *properties = json_object_new_object();
        struct json_object *required = json_object_new_array(), *gvks = gvks_of(type);

        for (size_t i = 0; i < type->nfields; i++) {
                const struct schema_field *f = &type->fields[i];

                json_set(properties, f->name, field_schema(d, type, f));
                if (f->flags & SCHEMA_REQUIRED)
                        json_object_array_add(required, json_object_new_string(f->name));
        }
        json_set_str(o, "type", "object");
        json_set(o, "properties", properties);
        if (json_len(required))
                json_set(o, "required", json_object_get(required));
        if (json_len(gvks))
                json_set(o, "x-kubernetes-group-version-kind", json_object_get(gvks));
        if (atomic_structs[type - schema_structs])
                json_set_str(o, "x-kubernetes-map-type", "atomic");
        json_object_put(required);
        json_object_put(gvks);
        return o;
}

void openapi_set_each(const struct openapi_set *s, enum openapi_dialect d, openapi_emit_fn fn, void *arg)
{
        pthread_once(&atomic_once, atomic_make);
        for (size_t i = 0; i < schema_nstructs; i++) {
                _cleanup_json_ struct json_object *o = NULL;

                if (!s->structs[i])
                        continue;
                o = struct_schema(d, &schema_structs[i]);
                fn(arg, schema_structs[i].name, o);
        }
        for (size_t i = 0; i < SPECIALS; i++) {
                bool v3 = d == OPENAPI_V3 && specials[i].v3;
                _cleanup_json_ struct json_object *o = NULL;

                if (!(s->specials & 1u << i))
                        continue;
                o = parse_constant(v3 ? specials[i].v3 : specials[i].v2);
                fn(arg, specials[i].name, o);
        }
}
