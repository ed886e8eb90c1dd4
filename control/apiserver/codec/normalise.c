/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One walk over the tree with the schema at its side. What Go does implicitly by decoding into a struct and encoding it
 * again is spelt out here; the facts about each field are in userspace/kube/schema/types.txt.
 */
#include "apiserver/codec/normalise.h"

#include <errno.h>
#include <string.h>

#include "apiserver/codec/scalar.h"

struct walk {
        struct codec_report *report;
        struct err *reterr;
        const struct schema_struct *owner; /* of the field that is looked at, for messages */
};

static int normalise_value(struct walk *w, const struct schema_type *type, const struct codec_path *path,
                           struct json_object **val);
static int normalise_struct(struct walk *w, const struct schema_struct *type, const struct codec_path *path,
                            struct json_object *obj);

static const char *last_part(const char *name)
{
        const char *dot = strrchr(name, '.');

        return dot ? dot + 1 : name;
}

/* The struct as Go prints it: "v1.PodSpec". */
static void write_go_struct(struct strbuf *b, const char *name)
{
        const char *dot = strrchr(name, '.');

        while (dot && dot > name && dot[-1] != '.')
                dot--;
        strbuf_add_str(b, dot ? dot : name);
}

static void write_go_type(struct strbuf *b, const struct schema_type *type)
{
        static const char *const names[] = {
                [SCHEMA_STRING] = "string",
                [SCHEMA_INT32] = "int32",
                [SCHEMA_INT64] = "int64",
                [SCHEMA_NUMBER] = "float64",
                [SCHEMA_BOOL] = "bool",
                [SCHEMA_BYTES] = "[]uint8",
                [SCHEMA_TIME] = "string",
                [SCHEMA_MICROTIME] = "string",
                [SCHEMA_QUANTITY] = "string",
                [SCHEMA_RAW] = "runtime.RawExtension",
                [SCHEMA_INT_OR_STRING] = "string",
        };

        switch (type->kind) {
        case SCHEMA_ARRAY:
                strbuf_add_str(b, "[]");
                write_go_type(b, type->elem);
                break;
        case SCHEMA_MAP:
                strbuf_add_str(b, "map[string]");
                write_go_type(b, type->elem);
                break;
        case SCHEMA_OBJECT:
                write_go_struct(b, type->object->name);
                break;
        default:
                strbuf_add_str(b, names[type->kind]);
        }
}

/* What Go calls the JSON value. Numbers carry their text where the kind of number is what is wrong. */
static void write_json_kind(struct strbuf *b, struct json_object *val, bool number_text)
{
        static const char *const names[] = {
                [json_type_null] = "null",     [json_type_boolean] = "bool",  [json_type_double] = "number",
                [json_type_int] = "number",    [json_type_object] = "object", [json_type_array] = "array",
                [json_type_string] = "string",
        };
        enum json_type kind = json_object_get_type(val);

        strbuf_add_str(b, names[kind]);
        if (number_text && (kind == json_type_double || kind == json_type_int))
                strbuf_printf(b, " %.40s", json_object_get_string(val));
}

static int fail_type(struct walk *w, const struct schema_type *type, const struct codec_path *path,
                     struct json_object *val)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        _cleanup_strbuf_ struct strbuf where = STRBUF_NULL;
        bool number = type->kind == SCHEMA_INT32 || type->kind == SCHEMA_INT64;

        strbuf_add_str(&b, "json: cannot unmarshal ");
        write_json_kind(&b, val, number);
        codec_path_write_fields(&where, path);
        if (where.len)
                strbuf_printf(&b, " into Go struct field %s.%s of type ", last_part(w->owner->name), where.data);
        else
                strbuf_add_str(&b, " into Go value of type ");
        write_go_type(&b, type);
        return err_set(w->reterr, -EINVAL, "%s", b.data);
}

/* A message of scalar.h gets the place behind it. */
static int fail_scalar(struct walk *w, const struct codec_path *path, const struct err *why)
{
        _cleanup_strbuf_ struct strbuf where = STRBUF_NULL;

        codec_path_write(&where, path);
        return err_set(w->reterr, -EINVAL, "%s (in %s)", why->msg, where.data ? where.data : "the object");
}

static bool int32_fits(struct json_object *val)
{
        int64_t v = json_object_get_int64(val);

        return v >= INT32_MIN && v <= INT32_MAX;
}

static bool int64_fits(struct json_object *val)
{
        return json_object_get_int64(val) != INT64_MAX || json_object_get_uint64(val) == INT64_MAX;
}

/* Whether the JSON type of val is right for a scalar type. */
static bool scalar_fits(enum schema_kind kind, struct json_object *val)
{
        enum json_type have = json_object_get_type(val);

        switch (kind) {
        case SCHEMA_INT32:
                return have == json_type_int && int32_fits(val);
        case SCHEMA_INT64:
                return have == json_type_int && int64_fits(val);
        case SCHEMA_NUMBER:
                return have == json_type_int || have == json_type_double;
        case SCHEMA_BOOL:
                return have == json_type_boolean;
        case SCHEMA_QUANTITY:
                return have == json_type_string || have == json_type_int || have == json_type_double;
        case SCHEMA_INT_OR_STRING:
                return have == json_type_string || (have == json_type_int && int32_fits(val));
        default:
                return have == json_type_string;
        }
}

static int normalise_scalar(struct walk *w, const struct schema_type *type, const struct codec_path *path,
                            struct json_object **val)
{
        struct err why = ERR_NULL;
        int r = 0;

        if (!scalar_fits(type->kind, *val))
                return fail_type(w, type, path, *val);
        if (type->kind == SCHEMA_QUANTITY)
                r = scalar_quantity(val, &why);
        else if (type->kind == SCHEMA_TIME || type->kind == SCHEMA_MICROTIME)
                r = scalar_time(val, type->kind == SCHEMA_MICROTIME, &why);
        else if (type->kind == SCHEMA_BYTES)
                r = scalar_bytes(val, &why);
        return r ? fail_scalar(w, path, &why) : 0;
}

/* Go's zero value of a type as JSON; a struct still lacks what is always written in it. NULL is JSON's null. */
static struct json_object *zero_value(const struct schema_type *type)
{
        switch (type->kind) {
        case SCHEMA_STRING:
        case SCHEMA_BYTES:
                return json_object_new_string_len("", 0);
        case SCHEMA_QUANTITY:
                return json_object_new_string_len("0", 1);
        case SCHEMA_INT32:
        case SCHEMA_INT64:
        case SCHEMA_NUMBER:
        case SCHEMA_INT_OR_STRING:
                return json_object_new_int(0);
        case SCHEMA_BOOL:
                return json_object_new_boolean(false);
        case SCHEMA_OBJECT:
                return json_object_new_object();
        default:
                return NULL;
        }
}

/* Whether omitempty drops it. Quantities, IntOrStrings and structs are never empty in Go. */
static bool is_zero(const struct schema_type *type, struct json_object *val)
{
        switch (type->kind) {
        case SCHEMA_STRING:
        case SCHEMA_BYTES:
                return json_object_get_string_len(val) == 0;
        case SCHEMA_INT32:
        case SCHEMA_INT64:
                return json_object_get_int64(val) == 0;
        case SCHEMA_NUMBER:
                return json_object_get_double(val) == 0;
        case SCHEMA_BOOL:
                return !json_object_get_boolean(val);
        case SCHEMA_ARRAY:
                return json_object_array_length(val) == 0;
        case SCHEMA_MAP:
                return json_object_object_length(val) == 0;
        default:
                return false;
        }
}

/* An element of a list or map: null is the zero value there, and none is dropped. */
static int normalise_elem(struct walk *w, const struct schema_type *type, const struct codec_path *path,
                          struct json_object **val)
{
        if (!*val)
                *val = zero_value(type);
        return *val ? normalise_value(w, type, path, val) : 0;
}

static int normalise_array(struct walk *w, const struct schema_type *type, const struct codec_path *up,
                           struct json_object *arr)
{
        struct codec_path path = {.up = up};
        size_t n = json_object_array_length(arr);

        if (type->elem->kind == SCHEMA_RAW)
                return 0;
        for (; path.index < n; path.index++) {
                struct json_object *old = json_object_array_get_idx(arr, path.index), *val;
                int r;

                /* the array's reference is lent to val; when the value is replaced, it took that reference */
                val = json_object_get(old);
                r = normalise_elem(w, type->elem, &path, &val);
                if (val != old)
                        json_object_array_put_idx(arr, path.index, val);
                else
                        json_object_put(val);
                if (r)
                        return r;
        }
        return 0;
}

static int normalise_map(struct walk *w, const struct schema_type *type, const struct codec_path *up,
                         struct json_object *map)
{
        if (type->elem->kind == SCHEMA_RAW)
                return 0;
        json_foreach (map, key, old) {
                const struct codec_path path = {.up = up, .key = key, .key_len = CODEC_KEY_STRING};
                struct json_object *val = old;
                int r;

                r = normalise_elem(w, type->elem, &path, &val);
                _e_key->v = val;
                if (r)
                        return r;
        }
        return 0;
}

static int normalise_value(struct walk *w, const struct schema_type *type, const struct codec_path *path,
                           struct json_object **val)
{
        bool object = json_is_object(*val);

        switch (type->kind) {
        case SCHEMA_RAW:
                return 0;
        case SCHEMA_OBJECT:
                return object ? normalise_struct(w, type->object, path, *val) : fail_type(w, type, path, *val);
        case SCHEMA_MAP:
                return object ? normalise_map(w, type, path, *val) : fail_type(w, type, path, *val);
        case SCHEMA_ARRAY:
                return json_is_array(*val) ? normalise_array(w, type, path, *val) : fail_type(w, type, path, *val);
        default:
                return normalise_scalar(w, type, path, val);
        }
}

/* Whether a member that is there stays: a pointer always, else what omitempty or omitzero would not drop. */
static bool stays(const struct schema_field *f, struct json_object *val)
{
        if (!val)
                return false;
        if (f->flags & SCHEMA_POINTER)
                return true;
        if (f->type.kind == SCHEMA_OBJECT)
                return (f->flags & SCHEMA_ALWAYS) || json_object_object_length(val);
        if (!is_zero(&f->type, val))
                return true;
        return (f->flags & SCHEMA_WRITTEN) && f->type.kind != SCHEMA_ARRAY && f->type.kind != SCHEMA_MAP;
}

static void set_constant(struct json_object *obj, const char *name, struct json_object *val)
{
        json_object_object_add_ex(obj, name, val, JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

/* Adds what Go writes though it was not given. seen has a bit for each field that is there. */
static int add_missing(struct walk *w, const struct schema_struct *type, const struct codec_path *up, uint64_t seen,
                       struct json_object *obj)
{
        for (size_t i = 0; i < type->nfields; i++) {
                const struct schema_field *f = &type->fields[i];
                const struct codec_path path = {.up = up, .key = f->name, .key_len = CODEC_KEY_STRING};
                struct json_object *val;
                int r;

                if (!(f->flags & (SCHEMA_ALWAYS | SCHEMA_WRITTEN)) || seen >> i & 1)
                        continue;
                val = f->flags & SCHEMA_POINTER ? NULL : zero_value(&f->type);
                set_constant(obj, f->name, val);
                if (val && f->type.kind == SCHEMA_OBJECT) {
                        r = normalise_struct(w, f->type.object, &path, val);
                        if (r)
                                return r;
                }
        }
        return 0;
}

static int normalise_struct(struct walk *w, const struct schema_struct *type, const struct codec_path *up,
                            struct json_object *obj)
{
        const struct schema_struct *outer = w->owner;
        uint64_t seen = 0;
        int r;

        json_foreach (obj, key, old) {
                const struct codec_path path = {.up = up, .key = key, .key_len = CODEC_KEY_STRING};
                const struct schema_field *f = schema_field_find(type, key);
                struct json_object *val = old;

                if (f && val) {
                        w->owner = type;
                        r = normalise_value(w, &f->type, &path, &val);
                        _e_key->v = val;
                        if (r)
                                return r;
                }
                if (!f)
                        codec_report_add(w->report, "unknown field", &path);
                if (f && stays(f, val))
                        seen |= 1ULL << (f - type->fields);
                else
                        json_object_object_del(obj, key);
        }
        r = add_missing(w, type, up, seen, obj);
        w->owner = outer;
        return r;
}

int codec_normalise(struct json_object *obj, const struct schema_struct *type, struct codec_report *report,
                    struct err *reterr)
{
        const struct schema_type root = {.kind = SCHEMA_OBJECT, .object = type};
        struct walk w = {.report = report, .reterr = reterr, .owner = type};
        struct json_object *val = obj;

        return normalise_value(&w, &root, NULL, &val);
}
