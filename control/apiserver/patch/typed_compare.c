/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing two objects field by field. It runs on every write, so nothing is allocated for what is equal.
 *
 * Go writes some members always, zero or not: they exist as soon as their parent does, also where our trees, which have
 * no zero values, lack them. `was` and `is` say so of the old and the new side. An object that is being created is
 * compared with the empty object of its kind, whose spec, metadata and the like exist, so that these containers belong
 * to nobody.
 */
#include "apiserver/patch/typed.h"

struct side {
        const struct json_object *val; /* NULL: absent */
        bool implied;                  /* there even though absent, as a zero value */
};

/* What is found at one path. */
struct found {
        bool written, removed;
        struct fieldset_list written_below, removed_below;
};

static bool exists(const struct side *s)
{
        return s->val || s->implied;
}

static bool is_zero(const struct json_object *o)
{
        switch (json_object_get_type(o)) {
        case json_type_null:
                return true;
        case json_type_boolean:
                return !json_object_get_boolean(o);
        case json_type_int:
                return json_object_get_int64(o) == 0;
        case json_type_double:
                return json_object_get_double(o) == 0;
        case json_type_string:
                return json_object_get_string_len(o) == 0;
        case json_type_array:
                return json_len(o) == 0;
        default:
                return json_object_object_length(o) == 0;
        }
}

static bool is_same_scalar(const struct json_object *a, const struct json_object *b)
{
        enum json_type type = json_object_get_type(a);

        if (type == json_type_string && json_is_string(b))
                return json_object_get_string_len(a) == json_object_get_string_len(b) &&
                       strcmp(json_object_get_string((struct json_object *)a),
                              json_object_get_string((struct json_object *)b)) == 0;
        if (type == json_type_boolean && json_object_is_type(b, type))
                return json_object_get_boolean(a) == json_object_get_boolean(b);
        return false;
}

static bool same(const struct side *old, const struct side *new)
{
        if (!old->val || !new->val)
                return is_zero(old->val ? old->val : new->val);
        return json_equal(old->val, new->val);
}

static void compare_leaf(const struct side *old, const struct side *new, struct found *f)
{
        if (!exists(new))
                f->removed = true;
        else if (!exists(old) || !same(old, new))
                f->written = true;
}

static void compare_value(struct arena *a, const struct schema_type *t, struct side old, struct side new,
                          struct found *f);

/* Compares one part of a container and hangs what is found there below it. */
static void compare_part(struct arena *a, const struct schema_type *t, struct side old, struct side new,
                         const char *prefix, const char *key, size_t len, struct found *parent)
{
        struct found f = {0};

        compare_value(a, t, old, new, &f);
        if (!f.written && !f.removed && !f.written_below.first && !f.removed_below.first)
                return;
        if (prefix) {
                char *text = arena_alloc(a, len + 3);

                memcpy(text, prefix, 2);
                memcpy(text + 2, key, len + 1);
                key = text;
                len += 2;
        }
        fieldset_add(a, &parent->written_below, key, len, f.written, &f.written_below);
        fieldset_add(a, &parent->removed_below, key, len, f.removed, &f.removed_below);
}

static bool implied(const struct side *parent, const struct schema_field *f)
{
        return f && exists(parent) && (f->flags & (SCHEMA_ALWAYS | SCHEMA_REQUIRED));
}

static void compare_member(struct arena *a, const struct schema_type *t, const struct side *old, const struct side *new,
                           const char *name, const struct json_object *ov, const struct json_object *nv,
                           struct found *f)
{
        const struct schema_field *field;
        const struct schema_type *mt;

        /* What is equal is most of most updates; a scalar is not worth a look at its type. */
        if ((!ov && !nv) || (ov && nv && is_same_scalar(ov, nv)))
                return;
        mt = typed_member(t, name, &field);
        compare_part(a, mt, (struct side){ov, implied(old, field)}, (struct side){nv, implied(new, field)}, "f:", name,
                     strlen(name), f);
}

/* Structs by value that a new struct has without saying so: `resources: {}` of a container. */
static void add_implied(struct arena *a, const struct schema_type *t, const struct side *new, struct found *f)
{
        for (size_t i = 0; t->kind == SCHEMA_OBJECT && i < t->object->nfields; i++) {
                const struct schema_field *field = &t->object->fields[i];

                if ((field->flags & SCHEMA_ALWAYS) && field->type.kind == SCHEMA_OBJECT &&
                    !json_get(new->val, field->name))
                        compare_part(a, NULL, (struct side){0}, (struct side){NULL, true}, "f:", field->name,
                                     strlen(field->name), f);
        }
}

static void compare_fields(struct arena *a, const struct schema_type *t, const struct side *old, const struct side *new,
                           struct found *f)
{
        json_foreach (new->val, name, nv)
                compare_member(a, t, old, new, name, json_get(old->val, name), nv, f);
        json_foreach (old->val, gone, ov) {
                if (ov && !json_get(new->val, gone))
                        compare_member(a, t, old, new, gone, ov, NULL, f);
        }
        if (!exists(old))
                add_implied(a, t, new, f);
        f->written = !exists(old);
        f->removed = !exists(new);
}

static size_t next_key(const struct typed_item *items, size_t n, size_t i)
{
        size_t j = i + 1;

        while (j < n && fieldset_compare(items[i].key, items[i].len, items[j].key, items[j].len) == 0)
                j++;
        return j;
}

/* Walks both sorted lists; of items with one key the first counts. */
static void compare_items(struct arena *a, const struct schema_type *t, const struct side *old, const struct side *new,
                          struct found *f)
{
        struct typed_item *o, *n;
        size_t on, nn, i = 0, j = 0;

        if (old->val && new->val && json_equal(old->val, new->val))
                return;
        if (typed_items(a, t, old->val, &o, &on, NULL) || typed_items(a, t, new->val, &n, &nn, NULL)) {
                compare_leaf(old, new, f);
                return;
        }
        while (i < on || j < nn) {
                int c = i >= on ? 1 : j >= nn ? -1 : fieldset_compare(o[i].key, o[i].len, n[j].key, n[j].len);
                const struct typed_item *item = c <= 0 ? &o[i] : &n[j];
                struct side ov = {c <= 0 ? o[i].val : NULL, false}, nv = {c >= 0 ? n[j].val : NULL, false};

                compare_part(a, t->elem, ov, nv, NULL, item->key, item->len, f);
                i = c <= 0 ? next_key(o, on, i) : i;
                j = c >= 0 ? next_key(n, nn, j) : j;
        }
        f->written = !exists(old);
        f->removed = !exists(new);
}

static void compare_value(struct arena *a, const struct schema_type *t, struct side old, struct side new,
                          struct found *f)
{
        enum typed_shape shape = typed_shape(t);
        enum json_type want = shape == TYPED_ITEMS ? json_type_array : json_type_object;
        bool fits =
                (!old.val || json_object_is_type(old.val, want)) && (!new.val || json_object_is_type(new.val, want));

        /* Two empty containers are compared as values: this tells {} from nothing. */
        if (shape == TYPED_LEAF || !fits || (is_zero(old.val) && is_zero(new.val)))
                compare_leaf(&old, &new, f);
        else if (shape == TYPED_FIELDS)
                compare_fields(a, t, &old, &new, f);
        else
                compare_items(a, t, &old, &new, f);
}

struct typed_diff typed_compare(struct arena *a, const struct schema_struct *type, const struct json_object *old,
                                const struct json_object *new)
{
        const struct schema_type root = {.kind = SCHEMA_OBJECT, .object = type};
        struct found f = {0};

        compare_value(a, &root, (struct side){old, true}, (struct side){new, true}, &f);
        return (struct typed_diff){.written = fieldset_root(a, &f.written_below),
                                   .removed = fieldset_root(a, &f.removed_below)};
}
