/* SPDX-License-Identifier: Apache-2.0 */
/* The fields that an applied configuration gives, and whether it fits the schema. */
#include <errno.h>

#include "apiserver/patch/typed.h"

struct place {
        const struct place *parent;
        const char *key;
        size_t len;
};

struct walk {
        struct arena *arena;
        struct err *reterr;
};

/* Refuses with the path in front: ".spec.foo: field not declared in schema". */
static int refuse(struct walk *w, const struct place *p, const char *message);

static void copy_path(void *userdata, const char *path)
{
        snprintf(userdata, 256, "%s", path);
}

static int refuse(struct walk *w, const struct place *p, const char *message)
{
        struct fieldset_list list = {0};
        char text[256] = "";
        bool leaf = true;

        for (; p; p = p->parent) {
                struct fieldset_list up = {0};

                fieldset_add(w->arena, &up, p->key, p->len, leaf, &list);
                list = up;
                leaf = false;
        }
        fieldset_each_path(fieldset_root(w->arena, &list), copy_path, text);
        return err_set(w->reterr, -EINVAL, "%s%s%s", text, *text ? ": " : "", message);
}

static int walk_value(struct walk *w, const struct schema_type *t, const struct json_object *val, const struct place *p,
                      struct fieldset_list *below);

static int walk_fields(struct walk *w, const struct schema_type *t, const struct json_object *val,
                       const struct place *p, struct fieldset_list *below)
{
        if (!json_is_object(val))
                return refuse(w, p, json_is_array(val) ? "expected map, got a list" : "expected map, got a scalar");
        json_foreach (val, name, v) {
                const struct schema_field *field;
                const struct schema_type *mt = typed_member(t, name, &field);
                size_t len = strlen(name) + 2;
                char *key = arena_alloc(w->arena, len + 1);
                struct place here = {p, key, len};
                struct fieldset_list parts = {0};
                bool self = !v || typed_shape(mt) == TYPED_LEAF || t->kind == SCHEMA_MAP ||
                            (json_is_object(v) && json_object_object_length(v) == 0);
                int r;

                memcpy(key, "f:", 2);
                memcpy(key + 2, name, len - 1);
                if (!mt)
                        return refuse(w, &here, "field not declared in schema");
                r = walk_value(w, mt, v, &here, &parts);
                if (r)
                        return r;
                fieldset_add(w->arena, below, key, len, self, &parts);
        }
        return 0;
}

static int walk_items(struct walk *w, const struct schema_type *t, const struct json_object *val, const struct place *p,
                      struct fieldset_list *below)
{
        struct err err = ERR_NULL;
        struct typed_item *items;
        size_t n;

        if (!json_is_array(val))
                return refuse(w, p, json_is_object(val) ? "expected list, got a map" : "expected list, got a scalar");
        if (typed_items(w->arena, t, val, &items, &n, &err))
                return refuse(w, p, err.msg);
        for (size_t i = 0; i < n; i++) {
                struct place here = {p, items[i].key, items[i].len};
                struct fieldset_list parts = {0};
                int r;

                if (i && fieldset_compare(items[i - 1].key, items[i - 1].len, items[i].key, items[i].len) == 0)
                        return refuse(w, &here, "duplicate entries for key");
                r = walk_value(w, t->elem, items[i].val, &here, &parts);
                if (r)
                        return r;
                fieldset_add(w->arena, below, items[i].key, items[i].len, true, &parts);
        }
        return 0;
}

static int walk_value(struct walk *w, const struct schema_type *t, const struct json_object *val, const struct place *p,
                      struct fieldset_list *below)
{
        enum typed_shape shape = typed_shape(t);

        if (!val || shape == TYPED_LEAF)
                return 0;
        return shape == TYPED_FIELDS ? walk_fields(w, t, val, p, below) : walk_items(w, t, val, p, below);
}

int typed_fieldset(struct arena *a, const struct schema_struct *type, const struct json_object *o,
                   struct fieldset **ret, struct err *reterr)
{
        const struct schema_type root = {.kind = SCHEMA_OBJECT, .object = type};
        struct walk w = {.arena = a, .reterr = reterr};
        struct fieldset_list list = {0};
        int r;

        r = walk_value(&w, &root, o, NULL, &list);
        if (!r)
                *ret = fieldset_root(a, &list);
        return r;
}
