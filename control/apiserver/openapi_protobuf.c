/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each message has a table: which member of the JSON object goes to which field, and how. Messages that only wrap
 * another one (oneofs, lists and maps) are a path of field numbers instead of tables of their own.
 */
#include "apiserver/openapi_protobuf.h"
#include "base/str.h"

enum shape {
        SHAPE_TEXT,       /* a string */
        SHAPE_TEXTS,      /* a list of strings */
        SHAPE_FLAG,       /* a boolean */
        SHAPE_MESSAGE,    /* an object */
        SHAPE_MAP,        /* an object of objects: Named... messages {name = 1, value = 2} in field 1 */
        SHAPE_PARAMETERS, /* a list of parameters */
};

struct rule {
        const char *key;
        enum shape shape;
        uint8_t path[2]; /* field numbers from the outside in; 0: none */
        const struct rule *message;
        uint8_t value_path[2]; /* SHAPE_MAP: what the value is wrapped into */
};

/* Ends with a NULL key; an extension field of the message takes all members that begin with "x-". */
#define EXTENSIONS "x-"

static const struct rule schema_rules[] = {
        {.key = "$ref", .path = {1}},
        {.key = "format", .path = {2}},
        {.key = "description", .path = {4}},
        {.key = "required", .shape = SHAPE_TEXTS, .path = {19}},
        {.key = "additionalProperties", .shape = SHAPE_MESSAGE, .path = {21, 1}, .message = schema_rules},
        {.key = "type", .path = {22, 1}},
        {.key = "items", .shape = SHAPE_MESSAGE, .path = {23, 1}, .message = schema_rules},
        {.key = "properties", .shape = SHAPE_MAP, .path = {25}, .message = schema_rules},
        {.key = EXTENSIONS, .path = {31}},
        {.key = NULL},
};

static const struct rule response_rules[] = {
        {.key = "description", .path = {1}},
        {.key = "schema", .shape = SHAPE_MESSAGE, .path = {2, 1}, .message = schema_rules},
        {.key = NULL},
};

static const struct rule body_rules[] = {
        {.key = "name", .path = {2}},
        {.key = "in", .path = {3}},
        {.key = "required", .shape = SHAPE_FLAG, .path = {4}},
        {.key = "schema", .shape = SHAPE_MESSAGE, .path = {5}, .message = schema_rules},
        {.key = NULL},
};

static const struct rule query_rules[] = {
        {.key = "required", .shape = SHAPE_FLAG, .path = {1}},
        {.key = "in", .path = {2}},
        {.key = "name", .path = {4}},
        {.key = "type", .path = {6}},
        {.key = "uniqueItems", .shape = SHAPE_FLAG, .path = {20}},
        {.key = NULL},
};

static const struct rule path_param_rules[] = {
        {.key = "required", .shape = SHAPE_FLAG, .path = {1}},
        {.key = "in", .path = {2}},
        {.key = "name", .path = {4}},
        {.key = "type", .path = {5}},
        {.key = "uniqueItems", .shape = SHAPE_FLAG, .path = {19}},
        {.key = NULL},
};

static const struct rule operation_rules[] = {
        {.key = "tags", .shape = SHAPE_TEXTS, .path = {1}},
        {.key = "operationId", .path = {5}},
        {.key = "produces", .shape = SHAPE_TEXTS, .path = {6}},
        {.key = "consumes", .shape = SHAPE_TEXTS, .path = {7}},
        {.key = "parameters", .shape = SHAPE_PARAMETERS, .path = {8}},
        {.key = "responses", .shape = SHAPE_MAP, .path = {9}, .message = response_rules, .value_path = {1}},
        {.key = EXTENSIONS, .path = {13}},
        {.key = NULL},
};

static const struct rule item_rules[] = {
        {.key = "get", .shape = SHAPE_MESSAGE, .path = {2}, .message = operation_rules},
        {.key = "put", .shape = SHAPE_MESSAGE, .path = {3}, .message = operation_rules},
        {.key = "post", .shape = SHAPE_MESSAGE, .path = {4}, .message = operation_rules},
        {.key = "delete", .shape = SHAPE_MESSAGE, .path = {5}, .message = operation_rules},
        {.key = "patch", .shape = SHAPE_MESSAGE, .path = {8}, .message = operation_rules},
        {.key = "parameters", .shape = SHAPE_PARAMETERS, .path = {9}},
        {.key = NULL},
};

/* Where a parameter goes in ParametersItem: parameter = 1, there body_parameter or non_body_parameter. */
static const struct {
        const char *in;
        uint8_t path[3];
        const struct rule *message;
} parameter_kinds[] = {
        {"body", {1, 1}, body_rules},
        {"query", {1, 2, 3}, query_rules},
        {"path", {1, 2, 4}, path_param_rules},
};

/* ---- the wire ---- */

static void add_varint(struct strbuf *b, uint64_t v)
{
        for (; v >= 0x80; v >>= 7)
                strbuf_add_char(b, (char)(v | 0x80));
        strbuf_add_char(b, (char)v);
}

static void begin_bytes(struct strbuf *b, unsigned number, size_t n)
{
        add_varint(b, (uint64_t)number << 3 | 2);
        add_varint(b, n);
}

static void add_bytes(struct strbuf *b, unsigned number, const void *data, size_t n)
{
        begin_bytes(b, number, n);
        strbuf_add(b, data, n);
}

/* The bytes in the field at the end of that path of numbers (n of them, or up to a 0). */
static void add_at(struct strbuf *b, const uint8_t *path, size_t n, const void *data, size_t len)
{
        _cleanup_strbuf_ struct strbuf inner = STRBUF_NULL;

        if (n < 2 || !path[1]) {
                add_bytes(b, path[0], data, len);
                return;
        }
        add_at(&inner, path + 1, n - 1, data, len);
        add_bytes(b, path[0], inner.data, inner.len);
}

/* ---- trees ---- */

static void add_message(struct strbuf *b, const struct json_object *o, const struct rule *rules);

static void add_text(struct strbuf *b, const struct rule *r, const struct json_object *v)
{
        const char *s = json_object_get_string((struct json_object *)v);

        add_at(b, r->path, 2, s, strlen(s));
}

static void add_object(struct strbuf *b, const uint8_t *path, size_t n, const struct json_object *o,
                       const struct rule *rules)
{
        _cleanup_strbuf_ struct strbuf m = STRBUF_NULL;

        add_message(&m, o, rules);
        add_at(b, path, n, m.data, m.len);
}

/* A Named... message: what OpenAPI has as a map. */
static void add_named(struct strbuf *b, unsigned number, const char *name, const struct strbuf *value)
{
        _cleanup_strbuf_ struct strbuf m = STRBUF_NULL;

        add_bytes(&m, 1, name, strlen(name));
        add_bytes(&m, 2, value->data, value->len);
        add_bytes(b, number, m.data, m.len);
}

static void add_map(struct strbuf *b, const struct rule *r, const struct json_object *o)
{
        _cleanup_strbuf_ struct strbuf m = STRBUF_NULL;

        json_foreach (o, key, v) {
                _cleanup_strbuf_ struct strbuf value = STRBUF_NULL;

                if (r->value_path[0])
                        add_object(&value, r->value_path, 2, v, r->message);
                else
                        add_message(&value, v, r->message);
                add_named(&m, 1, key, &value);
        }
        add_bytes(b, r->path[0], m.data, m.len);
}

static void add_parameters(struct strbuf *b, const struct rule *r, const struct json_object *list)
{
        json_array_foreach (list, i, p) {
                for (size_t k = 0; k < ARRAY_SIZE(parameter_kinds); k++) {
                        _cleanup_strbuf_ struct strbuf m = STRBUF_NULL;

                        if (!str_eq(json_get_str(p, "in"), parameter_kinds[k].in))
                                continue;
                        add_object(&m, parameter_kinds[k].path, 3, p, parameter_kinds[k].message);
                        add_bytes(b, r->path[0], m.data, m.len);
                }
        }
}

/* Any {yaml = 2}: JSON is YAML. */
static void add_extensions(struct strbuf *b, const struct rule *r, const struct json_object *o)
{
        json_foreach (o, key, v) {
                _cleanup_strbuf_ struct strbuf any = STRBUF_NULL;
                _cleanup_free_ char *text = NULL;

                if (!str_has_prefix(key, EXTENSIONS))
                        continue;
                text = json_text(v);
                add_bytes(&any, 2, text, strlen(text));
                add_named(b, r->path[0], key, &any);
        }
}

static void add_flag(struct strbuf *b, const struct rule *r, const struct json_object *v)
{
        if (!json_object_get_boolean(v))
                return;
        add_varint(b, (uint64_t)r->path[0] << 3);
        add_varint(b, 1);
}

static void add_texts(struct strbuf *b, const struct rule *r, const struct json_object *list)
{
        json_array_foreach (list, i, s)
                add_text(b, r, s);
}

static void add_rule(struct strbuf *b, const struct rule *r, const struct json_object *v)
{
        static void (*const simple[])(struct strbuf *, const struct rule *, const struct json_object *) = {
                [SHAPE_TEXT] = add_text, [SHAPE_TEXTS] = add_texts,           [SHAPE_FLAG] = add_flag,
                [SHAPE_MAP] = add_map,   [SHAPE_PARAMETERS] = add_parameters,
        };

        if (r->shape == SHAPE_MESSAGE)
                add_object(b, r->path, 2, v, r->message);
        else
                simple[r->shape](b, r, v);
}

static void add_message(struct strbuf *b, const struct json_object *o, const struct rule *rules)
{
        for (const struct rule *r = rules; r->key; r++) {
                const struct json_object *v = json_get(o, r->key);

                if (str_eq(r->key, EXTENSIONS))
                        add_extensions(b, r, o);
                else if (v)
                        add_rule(b, r, v);
        }
}

/* ---- the document ---- */

void openapi_protobuf_path(struct strbuf *b, const char *path, const struct json_object *item)
{
        _cleanup_strbuf_ struct strbuf m = STRBUF_NULL;

        add_message(&m, item, item_rules);
        add_named(b, 2, path, &m);
}

void openapi_protobuf_definition(struct strbuf *b, const char *name, const struct json_object *schema)
{
        _cleanup_strbuf_ struct strbuf m = STRBUF_NULL;

        add_message(&m, schema, schema_rules);
        add_named(b, 1, name, &m);
}

void openapi_protobuf_info(struct strbuf *b, const char *title, const char *version)
{
        _cleanup_strbuf_ struct strbuf info = STRBUF_NULL;

        add_bytes(&info, 1, title, strlen(title));
        add_bytes(&info, 2, version, strlen(version));
        add_bytes(b, 1, "2.0", 3);
        add_bytes(b, 2, info.data, info.len);
}

void openapi_protobuf_begin_paths(struct strbuf *b, size_t len)
{
        begin_bytes(b, 8, len);
}

void openapi_protobuf_begin_definitions(struct strbuf *b, size_t len)
{
        begin_bytes(b, 9, len);
}
