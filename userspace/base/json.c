/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/jsoncheck.h"
#include "base/jsontree.h"
#include "base/mem.h"

size_t json_len(const struct json_object *arr)
{
        return json_is_array(arr) ? json_object_array_length(arr) : 0;
}

struct json_object *json_idx(const struct json_object *arr, size_t i)
{
        return json_is_array(arr) ? json_object_array_get_idx(arr, i) : NULL;
}

/* Most objects have few members: walking them is quicker than hashing the key, above all when it is not there. */
#define WALK_MAX 16

static struct json_object *get_n(const struct json_object *obj, const char *key)
{
        struct json_object *v = NULL;
        struct lh_table *table;

        if (!json_is_object(obj))
                return NULL;
        table = json_object_get_object(obj);
        if (table->count > WALK_MAX) {
                json_object_object_get_ex(obj, key, &v);
                return v;
        }
        for (struct lh_entry *e = table->head; e; e = e->next) {
                const char *k = e->k;

                if (*k == *key && strcmp(k, key) == 0)
                        return (struct json_object *)e->v;
        }
        return NULL;
}

struct json_object *json_get(const struct json_object *obj, const char *key)
{
        return get_n(obj, key);
}

static const char *as_str(const struct json_object *o)
{
        return json_is_string(o) ? json_object_get_string((struct json_object *)o) : NULL;
}

static int64_t as_i64(const struct json_object *o, int64_t otherwise)
{
        return o && (json_object_is_type(o, json_type_int) || json_object_is_type(o, json_type_double))
                       ? json_object_get_int64(o)
                       : otherwise;
}

static bool as_bool(const struct json_object *o, bool otherwise)
{
        return o && json_object_is_type(o, json_type_boolean) ? json_object_get_boolean(o) : otherwise;
}

const char *json_get_str(const struct json_object *obj, const char *key)
{
        return as_str(get_n(obj, key));
}

int64_t json_get_i64(const struct json_object *obj, const char *key, int64_t otherwise)
{
        return as_i64(get_n(obj, key), otherwise);
}

bool json_get_bool(const struct json_object *obj, const char *key, bool otherwise)
{
        return as_bool(get_n(obj, key), otherwise);
}

bool json_has(const struct json_object *obj, const char *key)
{
        return get_n(obj, key) != NULL;
}

struct json_object *json_at(const struct json_object *obj, const char *path)
{
        const struct json_object *o = obj;
        char key[64];

        while (o && *path) {
                size_t n = strcspn(path, ".");

                if (n >= sizeof(key))
                        return NULL;
                memcpy(key, path, n);
                key[n] = '\0';
                o = get_n(o, key);
                path += n + (path[n] == '.');
        }
        return (struct json_object *)o;
}

const char *json_at_str(const struct json_object *obj, const char *path)
{
        return as_str(json_at(obj, path));
}

int64_t json_at_i64(const struct json_object *obj, const char *path, int64_t otherwise)
{
        return as_i64(json_at(obj, path), otherwise);
}

bool json_at_bool(const struct json_object *obj, const char *path, bool otherwise)
{
        return as_bool(json_at(obj, path), otherwise);
}

void json_set(struct json_object *obj, const char *key, struct json_object *val)
{
        json_object_object_add(obj, key, val);
}

void json_set_str(struct json_object *obj, const char *key, const char *val)
{
        json_set(obj, key, json_object_new_string(val));
}

void json_set_i64(struct json_object *obj, const char *key, int64_t val)
{
        json_set(obj, key, json_object_new_int64(val));
}

void json_set_bool(struct json_object *obj, const char *key, bool val)
{
        json_set(obj, key, json_object_new_boolean(val));
}

void json_del(struct json_object *obj, const char *key)
{
        if (json_is_object(obj))
                json_object_object_del(obj, key);
}

struct json_object *json_ensure(struct json_object *obj, const char *key)
{
        struct json_object *v = get_n(obj, key);

        if (!v) {
                v = json_object_new_object();
                json_set(obj, key, v);
        }
        return v;
}

void json_default_str(struct json_object *obj, const char *key, const char *val)
{
        if (!json_has(obj, key))
                json_set_str(obj, key, val);
}

void json_default_i64(struct json_object *obj, const char *key, int64_t val)
{
        if (!json_has(obj, key))
                json_set_i64(obj, key, val);
}

void json_default_bool(struct json_object *obj, const char *key, bool val)
{
        if (!json_has(obj, key))
                json_set_bool(obj, key, val);
}

struct json_object *json_copy(const struct json_object *o)
{
        struct json_object *copy = NULL;

        if (o)
                json_object_deep_copy((struct json_object *)o, &copy, NULL);
        return copy;
}

bool json_equal(const struct json_object *a, const struct json_object *b)
{
        return json_object_equal((struct json_object *)a, (struct json_object *)b);
}

static int refuse(const char *data, size_t len, size_t at, struct err *reterr)
{
        _cleanup_strbuf_ struct strbuf found = STRBUF_NULL;

        if (at == len)
                return err_set(reterr, -EINVAL, "unexpected end of JSON input");
        strbuf_add_quoted(&found, data + at, 1);
        return err_set(reterr, -EINVAL, "invalid JSON at byte %zu: %s", at, found.data);
}

/* By way of jsontree, which is so much faster than json-c's parser that both steps take half its time. */
int json_parse(const char *data, size_t len, struct json_object **ret, struct err *reterr)
{
        struct jsontree tree = JSONTREE_NULL;
        const struct jnode *root;
        char *text;
        size_t at;
        int r;

        if (len > INT32_MAX)
                return err_set(reterr, -EINVAL, "the text is longer than 2 GiB");
        text = mem_alloc(len + 1);
        memcpy(text, data, len);
        text[len] = '\0';
        r = jsontree_parse(&tree, text, len, &root, reterr);
        if (!r)
                *ret = jnode_json(root);
        else if (!json_check(data, len, JSON_DEPTH_MAX, &at)) /* knows the place, and what is there */
                r = refuse(data, len, at, reterr);
        jsontree_deinit(&tree);
        free(text);
        return r;
}

static void write_double(struct strbuf *b, const struct json_object *o)
{
        const char *text = json_object_to_json_string_ext((struct json_object *)o, JSON_C_TO_STRING_PLAIN);

        strbuf_add_str(b, isfinite(json_object_get_double(o)) ? text : "null");
}

static void write_object(struct strbuf *b, const struct json_object *o)
{
        bool first = true;

        strbuf_add_char(b, '{');
        json_foreach (o, key, val) {
                if (!first)
                        strbuf_add_char(b, ',');
                first = false;
                strbuf_add_json_str(b, key, strlen(key));
                strbuf_add_char(b, ':');
                json_write(b, val);
        }
        strbuf_add_char(b, '}');
}

static void write_array(struct strbuf *b, const struct json_object *o)
{
        strbuf_add_char(b, '[');
        json_array_foreach (o, i, val) {
                if (i)
                        strbuf_add_char(b, ',');
                json_write(b, val);
        }
        strbuf_add_char(b, ']');
}

void json_write(struct strbuf *b, const struct json_object *o)
{
        switch (json_object_get_type(o)) {
        case json_type_null:
                strbuf_add(b, "null", 4);
                break;
        case json_type_boolean:
                strbuf_add_str(b, json_object_get_boolean(o) ? "true" : "false");
                break;
        case json_type_int:
                if (json_object_get_int64(o) == INT64_MAX)
                        strbuf_add_u64(b, json_object_get_uint64(o));
                else
                        strbuf_add_i64(b, json_object_get_int64(o));
                break;
        case json_type_double:
                write_double(b, o);
                break;
        case json_type_string:
                strbuf_add_json_str(b, json_object_get_string((struct json_object *)o),
                                    (size_t)json_object_get_string_len(o));
                break;
        case json_type_array:
                write_array(b, o);
                break;
        case json_type_object:
                write_object(b, o);
                break;
        }
}

char *json_text(const struct json_object *o)
{
        struct strbuf b = STRBUF_NULL;

        json_write(&b, o);
        return strbuf_take(&b, NULL);
}

struct json_object *json_number(double d)
{
        char text[32];

        if (d == trunc(d) && fabs(d) < 9e18)
                return json_object_new_int64((int64_t)d);
        for (int precision = 15; precision <= 17; precision++) {
                snprintf(text, sizeof(text), "%.*g", precision, d);
                if (strtod(text, NULL) == d)
                        break;
        }
        return json_object_new_double_s(d, text);
}

/* A table is made larger before it is more than two thirds full (LH_LOAD_FACTOR). */
static int table_size(int members)
{
        return members * 3 / 2 + 2;
}

static void shrink_table(struct lh_table *t)
{
        int size = table_size(lh_table_length(t));

        if (size < t->size)
                lh_table_resize(t, size);
}

void json_shrink(struct json_object *o)
{
        if (json_is_array(o)) {
                json_array_foreach (o, i, element)
                        json_shrink(element);
                json_object_array_shrink(o, 0);
        } else if (json_is_object(o)) {
                json_foreach (o, key, value)
                        json_shrink(value);
                shrink_table(json_object_get_object(o));
        }
}
