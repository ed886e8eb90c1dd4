/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "swagger_read.h"

struct bytes {
        const uint8_t *p, *end;
        bool bad;
};

struct field {
        uint64_t number, value; /* value of varints */
        struct bytes bytes;     /* of the others */
};

static uint64_t read_varint(struct bytes *b)
{
        uint64_t v = 0;

        for (unsigned shift = 0; shift < 64 && b->p < b->end; shift += 7) {
                v |= (uint64_t)(*b->p & 0x7f) << shift;
                if (!(*b->p++ & 0x80))
                        return v;
        }
        b->bad = true;
        return 0;
}

static bool next(struct bytes *b, struct field *f)
{
        uint64_t key, len;

        if (b->bad || b->p == b->end)
                return false;
        key = read_varint(b);
        f->number = key >> 3;
        if ((key & 7) == 0) {
                f->value = read_varint(b);
                return !b->bad;
        }
        len = read_varint(b);
        if ((key & 7) != 2 || b->bad || len > (uint64_t)(b->end - b->p)) {
                b->bad = true;
                return false;
        }
        f->bytes = (struct bytes){b->p, b->p + len, false};
        b->p += len;
        return true;
}

static struct json_object *text(struct bytes b)
{
        return json_object_new_string_len((const char *)b.p, (int)(b.end - b.p));
}

/* The bytes of the only field of a message that wraps another one. */
static struct bytes unwrap(struct bytes b, uint64_t number)
{
        struct field f = {.number = 0};

        if (!next(&b, &f) || f.number != number || b.p != b.end)
                return (struct bytes){NULL, NULL, true};
        return f.bytes;
}

typedef struct json_object *(*reader)(struct bytes b);

static void append(struct json_object *o, const char *key, struct json_object *v)
{
        struct json_object *list = json_get(o, key);

        if (!list) {
                list = json_object_new_array();
                json_set(o, key, list);
        }
        json_object_array_add(list, v);
}

/* Named... {name = 1, value = 2} becomes a member of o. NULL: malformed. */
static bool named(struct json_object *o, struct bytes b, reader read)
{
        _cleanup_json_ struct json_object *name = NULL, *value = NULL;
        struct field f;

        while (next(&b, &f)) {
                if (f.number == 1 && !name)
                        name = text(f.bytes);
                else if (f.number == 2 && !value)
                        value = read(f.bytes);
                else
                        return false;
        }
        if (b.bad || !name || !value)
                return false;
        json_set(o, json_object_get_string(name), json_object_get(value));
        return true;
}

static bool map(struct json_object *o, struct bytes b, reader read)
{
        struct field f;

        while (next(&b, &f))
                if (f.number != 1 || !named(o, f.bytes, read))
                        return false;
        return !b.bad;
}

static struct json_object *yaml(struct bytes b)
{
        struct bytes inner = unwrap(b, 2);
        struct json_object *o = NULL;

        if (inner.bad || json_parse((const char *)inner.p, (size_t)(inner.end - inner.p), &o, NULL))
                return NULL;
        return o;
}

/* What a message's field means: a member with a text, or with what a reader makes of the bytes. */
struct meaning {
        uint64_t number;
        const char *key;
        enum { TEXT, TEXTS, FLAG, WRAPPED_TEXT, OBJECT, WRAPPED, MAP, LIST, EXTENSION } how;
        reader read;
        uint64_t wrap;
};

static bool take(struct json_object *o, const struct field *f, const struct meaning *m)
{
        struct bytes inner = f->bytes;
        struct json_object *v;

        if (m->how == WRAPPED || m->how == WRAPPED_TEXT)
                inner = unwrap(inner, m->wrap);
        if (inner.bad)
                return false;
        if (m->how == MAP)
                return map(json_ensure(o, m->key), inner, m->read);
        if (m->how == EXTENSION)
                return named(o, inner, yaml);
        if (m->how == FLAG)
                v = json_object_new_boolean(f->value != 0);
        else
                v = m->read ? m->read(inner) : text(inner);
        if (!v)
                return false;
        if (m->how == TEXTS || m->how == LIST)
                append(o, m->key, v);
        else
                json_set(o, m->key, v);
        return true;
}

static struct json_object *message(struct bytes b, const struct meaning *meanings)
{
        _cleanup_json_ struct json_object *o = json_object_new_object();
        struct field f;

        while (next(&b, &f)) {
                const struct meaning *m = meanings;

                while (m->number && m->number != f.number)
                        m++;
                if (!m->number || !take(o, &f, m))
                        return NULL;
        }
        return b.bad ? NULL : json_object_get(o);
}

static struct json_object *read_schema(struct bytes b)
{
        static const struct meaning meanings[] = {
                {1, "$ref", TEXT, NULL, 0},
                {2, "format", TEXT, NULL, 0},
                {4, "description", TEXT, NULL, 0},
                {19, "required", TEXTS, NULL, 0},
                {21, "additionalProperties", WRAPPED, read_schema, 1},
                {22, "type", WRAPPED_TEXT, NULL, 1},
                {23, "items", WRAPPED, read_schema, 1},
                {25, "properties", MAP, read_schema, 0},
                {31, NULL, EXTENSION, NULL, 0},
                {0},
        };

        return message(b, meanings);
}

static struct json_object *read_response(struct bytes b)
{
        static const struct meaning meanings[] = {
                {1, "description", TEXT, NULL, 0},
                {2, "schema", WRAPPED, read_schema, 1},
                {0},
        };
        struct bytes inner = unwrap(b, 1); /* ResponseValue.response */

        return inner.bad ? NULL : message(inner, meanings);
}

static struct json_object *read_body_parameter(struct bytes b)
{
        static const struct meaning meanings[] = {
                {2, "name", TEXT, NULL, 0},
                {3, "in", TEXT, NULL, 0},
                {4, "required", FLAG, NULL, 0},
                {5, "schema", OBJECT, read_schema, 0},
                {0},
        };

        return message(b, meanings);
}

static struct json_object *read_query_parameter(struct bytes b)
{
        static const struct meaning meanings[] = {
                {1, "required", FLAG, NULL, 0}, {2, "in", TEXT, NULL, 0},           {4, "name", TEXT, NULL, 0},
                {6, "type", TEXT, NULL, 0},     {20, "uniqueItems", FLAG, NULL, 0}, {0},
        };

        return message(b, meanings);
}

static struct json_object *read_path_parameter(struct bytes b)
{
        static const struct meaning meanings[] = {
                {1, "required", FLAG, NULL, 0}, {2, "in", TEXT, NULL, 0},           {4, "name", TEXT, NULL, 0},
                {5, "type", TEXT, NULL, 0},     {19, "uniqueItems", FLAG, NULL, 0}, {0},
        };

        return message(b, meanings);
}

/* ParametersItem.parameter: a body parameter, or one of the others. */
static struct json_object *read_parameter(struct bytes b)
{
        struct bytes parameter = unwrap(b, 1), body = unwrap(parameter, 1), other = unwrap(parameter, 2);
        struct bytes query = unwrap(other, 3), path = unwrap(other, 4);

        if (!body.bad)
                return read_body_parameter(body);
        if (!query.bad)
                return read_query_parameter(query);
        return path.bad ? NULL : read_path_parameter(path);
}

static struct json_object *read_operation(struct bytes b)
{
        static const struct meaning meanings[] = {
                {1, "tags", TEXTS, NULL, 0},
                {5, "operationId", TEXT, NULL, 0},
                {6, "produces", TEXTS, NULL, 0},
                {7, "consumes", TEXTS, NULL, 0},
                {8, "parameters", LIST, read_parameter, 0},
                {9, "responses", MAP, read_response, 0},
                {13, NULL, EXTENSION, NULL, 0},
                {0},
        };

        return message(b, meanings);
}

static struct json_object *read_item(struct bytes b)
{
        static const struct meaning meanings[] = {
                {2, "get", OBJECT, read_operation, 0},
                {3, "put", OBJECT, read_operation, 0},
                {4, "post", OBJECT, read_operation, 0},
                {5, "delete", OBJECT, read_operation, 0},
                {8, "patch", OBJECT, read_operation, 0},
                {9, "parameters", LIST, read_parameter, 0},
                {0},
        };

        return message(b, meanings);
}

static struct json_object *read_paths(struct bytes b)
{
        _cleanup_json_ struct json_object *o = json_object_new_object();
        struct field f;

        while (next(&b, &f))
                if (f.number != 2 || !named(o, f.bytes, read_item))
                        return NULL;
        return b.bad ? NULL : json_object_get(o);
}

static struct json_object *read_info(struct bytes b)
{
        static const struct meaning meanings[] = {{1, "title", TEXT, NULL, 0}, {2, "version", TEXT, NULL, 0}, {0}};

        return message(b, meanings);
}

struct json_object *swagger_read(const char *data, size_t len)
{
        static const struct meaning meanings[] = {
                {1, "swagger", TEXT, NULL, 0},
                {2, "info", OBJECT, read_info, 0},
                {8, "paths", OBJECT, read_paths, 0},
                {9, "definitions", MAP, read_schema, 0},
                {0},
        };

        return message((struct bytes){(const uint8_t *)data, (const uint8_t *)data + len, false}, meanings);
}
