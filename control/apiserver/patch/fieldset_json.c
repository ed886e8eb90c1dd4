/* SPDX-License-Identifier: Apache-2.0 */
/* FieldsV1, the JSON form of a field set, and paths for people. */
#include <errno.h>

#include "apiserver/patch/fieldset.h"

/* Brings the text of a k: or v: element, which a client wrote, into the form in which we write it. */
static int canonical(struct arena *a, const char *key, const char **ret, size_t *ret_len)
{
        _cleanup_json_ struct json_object *o = NULL;
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        const char *names[64];
        size_t n = 0;

        if (json_parse(key + 2, strlen(key + 2), &o, NULL) < 0)
                return -EINVAL;
        strbuf_add(&b, key, 2);
        if (*key == 'v') {
                json_write(&b, o);
        } else {
                if (!json_is_object(o) || json_object_object_length(o) > (int)ARRAY_SIZE(names))
                        return -EINVAL;
                json_foreach (o, name, val) {
                        size_t i = n++;

                        for (; i && strcmp(names[i - 1], name) > 0; i--)
                                names[i] = names[i - 1];
                        names[i] = name;
                }
                for (size_t i = 0; i < n; i++) {
                        strbuf_add_char(&b, i ? ',' : '{');
                        strbuf_add_json_str(&b, names[i], strlen(names[i]));
                        strbuf_add_char(&b, ':');
                        json_write(&b, json_get(o, names[i]));
                }
                strbuf_add_str(&b, n ? "}" : "{}");
        }
        *ret = arena_strndup(a, b.data, b.len);
        *ret_len = b.len;
        return 0;
}

/* Returns 0, 1 when the element is of a kind that we do not know (a newer version's), or -EINVAL. */
static int check_element(struct arena *a, const char **key, size_t *len)
{
        const char *s = *key;

        if (*len < 2 || s[1] != ':')
                return -EINVAL;
        if (*s == 'f')
                return 0;
        if (*s == 'i')
                return s[2] && strspn(s + 2, "0123456789") == *len - 2 ? 0 : -EINVAL;
        if (*s == 'k' || *s == 'v')
                return canonical(a, s, key, len);
        return 1;
}

static int parse_children(struct arena *a, const struct json_object *o, bool trusted, struct fieldset_list *list,
                          bool *member)
{
        bool any = false;
        int r;

        *member = false;
        if (!json_is_object(o))
                return -EINVAL;
        json_foreach (o, name, val) {
                struct fieldset_list below = {0};
                const char *key = name;
                size_t len = strlen(name);
                bool self;

                if (strcmp(name, ".") == 0) {
                        *member = true;
                        continue;
                }
                r = trusted ? 0 : check_element(a, &key, &len);
                if (r > 0)
                        continue;
                if (!r)
                        r = parse_children(a, val, trusted, &below, &self);
                if (r < 0)
                        return r;
                fieldset_add(a, list, key, len, self, &below);
                any = true;
        }
        *member = *member || !any;
        return 0;
}

int fieldset_parse(struct arena *a, const struct json_object *o, bool trusted, struct fieldset **ret)
{
        struct fieldset_list list = {0};
        bool self;
        int r;

        if (!o) {
                *ret = NULL;
                return 0;
        }
        r = parse_children(a, o, trusted, &list, &self);
        if (!r)
                *ret = fieldset_root(a, &list);
        return r;
}

static struct json_object *children_json(const struct fieldset *n, struct json_object *leaf)
{
        struct json_object *o = json_object_new_object();

        for (const struct fieldset *c = n->child; c; c = c->next)
                json_object_object_add_ex(o, c->key, c->child ? children_json(c, leaf) : json_object_get(leaf),
                                          JSON_C_OBJECT_ADD_KEY_IS_NEW);
        if (n->member)
                json_object_object_add_ex(o, ".", json_object_get(leaf), JSON_C_OBJECT_ADD_KEY_IS_NEW);
        return o;
}

struct json_object *fieldset_json(const struct fieldset *set)
{
        _cleanup_json_ struct json_object *leaf = json_object_new_object();

        return set ? children_json(set, leaf) : json_object_get(leaf);
}

static void print_value(struct strbuf *b, const char *name, const struct json_object *val)
{
        strbuf_add_str(b, name);
        strbuf_add_char(b, '=');
        json_write(b, val);
}

static void print_element(struct strbuf *b, const struct fieldset *n)
{
        _cleanup_json_ struct json_object *o = NULL;
        const char *sep = "[";

        if (*n->key == 'f') {
                strbuf_add_char(b, '.');
                strbuf_add(b, n->key + 2, n->len - 2);
                return;
        }
        if (*n->key == 'k' && json_parse(n->key + 2, n->len - 2, &o, NULL) == 0) {
                json_foreach (o, name, val) {
                        strbuf_add_str(b, sep);
                        print_value(b, name, val);
                        sep = ",";
                }
                strbuf_add_char(b, ']');
                return;
        }
        strbuf_add_str(b, *n->key == 'v' ? "[=" : "[");
        strbuf_add(b, n->key + 2, n->len - 2);
        strbuf_add_char(b, ']');
}

static void each_path(const struct fieldset *n, struct strbuf *b, fieldset_path_fn *fn, void *userdata)
{
        size_t len = b->len;

        for (const struct fieldset *c = n->child; c; c = c->next) {
                print_element(b, c);
                if (c->member)
                        fn(userdata, b->data);
                each_path(c, b, fn, userdata);
                b->len = len;
        }
}

void fieldset_each_path(const struct fieldset *set, fieldset_path_fn *fn, void *userdata)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        if (set)
                each_path(set, &b, fn, userdata);
}
