/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "apiserver/patch/typed.h"
#include "base/str.h"

enum typed_shape typed_shape(const struct schema_type *t)
{
        if (!t)
                return TYPED_LEAF;
        switch (t->kind) {
        case SCHEMA_OBJECT:
        case SCHEMA_MAP:
                return t->atomic ? TYPED_LEAF : TYPED_FIELDS;
        case SCHEMA_ARRAY:
                return t->list == SCHEMA_LIST_ATOMIC ? TYPED_LEAF : TYPED_ITEMS;
        default:
                return TYPED_LEAF;
        }
}

const struct schema_type *typed_member(const struct schema_type *t, const char *name,
                                       const struct schema_field **ret_field)
{
        const struct schema_field *f;

        *ret_field = NULL;
        if (t->kind == SCHEMA_MAP)
                return t->elem;
        f = schema_field_find(t->object, name);
        *ret_field = f;
        return f ? &f->type : NULL;
}

/* Key fields that a client may leave out and what they then are (the defaults of Kubernetes' OpenAPI). */
static const char *key_default(const struct schema_type *t, const char *name)
{
        const struct schema_field *f;

        if (str_eq(name, "protocol"))
                return "\"TCP\"";
        f = t->elem && t->elem->kind == SCHEMA_OBJECT ? schema_field_find(t->elem->object, name) : NULL;
        return f && !(f->flags & SCHEMA_REQUIRED) ? "\"\"" : NULL;
}

static bool is_scalar(const struct json_object *o)
{
        return o && !json_is_object(o) && !json_is_array(o);
}

/* k:{...} with the key fields sorted by name: they are few, and the tables have them nearly in order. */
static int map_key(const struct schema_type *t, const struct json_object *item, struct strbuf *b, size_t at,
                   struct err *reterr)
{
        const char *last = "";

        if (!json_is_object(item))
                return err_set(reterr, -EINVAL, "element %zu: associative list with keys may not have non-map elements",
                               at);
        strbuf_add(b, "k:{", 3);
        for (size_t done = 0; t->keys[done]; done++) {
                const struct json_object *val;
                const char *name = NULL;

                for (size_t i = 0; t->keys[i]; i++) {
                        if (strcmp(t->keys[i], last) > 0 && (!name || strcmp(t->keys[i], name) < 0))
                                name = t->keys[i];
                }
                if (!name)
                        break;
                val = json_get(item, name);
                if (val ? !is_scalar(val) : !key_default(t, name))
                        return err_set(reterr, -EINVAL,
                                       "element %zu: associative list with keys has an element that omits key field "
                                       "\"%s\" (and doesn't have default value)",
                                       at, name);
                if (done)
                        strbuf_add_char(b, ',');
                strbuf_add_json_str(b, name, strlen(name));
                strbuf_add_char(b, ':');
                if (val)
                        json_write(b, val);
                else
                        strbuf_add_str(b, key_default(t, name));
                last = name;
        }
        strbuf_add_char(b, '}');
        return 0;
}

static int item_key(const struct schema_type *t, const struct json_object *item, struct strbuf *b, size_t at,
                    struct err *reterr)
{
        b->len = 0;
        if (t->list == SCHEMA_LIST_MAP)
                return map_key(t, item, b, at, reterr);
        if (!is_scalar(item))
                return err_set(reterr, -EINVAL, "element %zu: associative list without keys has an element that's %s",
                               at, item ? json_is_object(item) ? "a map type" : "a list type" : "an explicit null");
        strbuf_add(b, "v:", 2);
        json_write(b, item);
        return 0;
}

static int by_key(const void *x, const void *y)
{
        const struct typed_item *a = x, *b = y;
        int r = fieldset_compare(a->key, a->len, b->key, b->len);

        return r ? r : a->at < b->at ? -1 : a->at > b->at;
}

int typed_items(struct arena *a, const struct schema_type *t, const struct json_object *list,
                struct typed_item **ret_items, size_t *ret_n, struct err *reterr)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        struct typed_item *items = NULL;
        size_t n = json_len(list);
        bool sorted = true;
        int r;

        if (n)
                items = arena_array(a, struct typed_item, n);
        json_array_foreach (list, i, val) {
                r = item_key(t, val, &b, i, reterr);
                if (r)
                        return r;
                items[i] =
                        (struct typed_item){.key = arena_strndup(a, b.data, b.len), .len = b.len, .at = i, .val = val};
                sorted = sorted && (!i || by_key(&items[i - 1], &items[i]) < 0);
        }
        if (!sorted)
                qsort(items, n, sizeof(*items), by_key);
        *ret_items = items;
        *ret_n = n;
        return 0;
}
