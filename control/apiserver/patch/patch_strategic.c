/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strategic merge patch: objects. The directives, in the order in which they work on an object:
 *
 *      $patch: replace | delete | merge        the whole object
 *      $retainKeys: [...]                      members that stay; the others go
 *      $setElementOrder/list: [...]            the order of list, merged with the patch's list first
 *      $deleteFromPrimitiveList/list: [...]    scalars that leave list
 *      member: value | null                    merged by the schema's patchStrategy and patchMergeKey | removed
 *
 * Source: Kubernetes' API conventions and the design of preserve-order strategic merge patch.
 */
#include <errno.h>

#include "apiserver/patch/strategic.h"
#include "base/str.h"

#define PRINT_MAX 200 /* bytes of a value in a message */

static void print(struct strbuf *b, const struct json_object *o);

static void print_map(struct strbuf *b, const struct json_object *o)
{
        const char *sep = "";

        strbuf_add_str(b, "map[");
        json_foreach (o, key, val) {
                strbuf_add_str(b, sep);
                strbuf_add_str(b, key);
                strbuf_add_char(b, ':');
                print(b, val);
                sep = " ";
                if (b->len > PRINT_MAX)
                        break;
        }
        strbuf_add_char(b, ']');
}

static void print_list(struct strbuf *b, const struct json_object *o)
{
        strbuf_add_char(b, '[');
        json_array_foreach (o, i, val) {
                if (i)
                        strbuf_add_char(b, ' ');
                print(b, val);
                if (b->len > PRINT_MAX)
                        break;
        }
        strbuf_add_char(b, ']');
}

static void print(struct strbuf *b, const struct json_object *o)
{
        if (json_is_object(o))
                print_map(b, o);
        else if (json_is_array(o))
                print_list(b, o);
        else if (json_is_string(o))
                strbuf_add_str(b, json_object_get_string((struct json_object *)o));
        else if (o)
                json_write(b, o);
        else
                strbuf_add_str(b, "<nil>");
}

char *strategic_print(const struct json_object *o)
{
        struct strbuf b = STRBUF_NULL;

        print(&b, o);
        if (b.len > PRINT_MAX) {
                size_t n = PRINT_MAX;

                while (n && (b.data[n] & 0xc0) == 0x80) /* not inside a UTF-8 sequence */
                        n--;
                memcpy(b.data + n, "...", 4);
        }
        return strbuf_take(&b, NULL);
}

const char *strategic_type_name(const struct json_object *o)
{
        switch (json_object_get_type(o)) {
        case json_type_null:
                return "<nil>";
        case json_type_boolean:
                return "bool";
        case json_type_int:
                return "int64";
        case json_type_double:
                return "float64";
        case json_type_string:
                return "string";
        case json_type_array:
                return "[]interface {}";
        default:
                return "map[string]interface {}";
        }
}

int strategic_bad_type(const char *expected, const struct json_object *got, struct err *reterr)
{
        return err_set(reterr, PATCH_UNPROCESSABLE, "expected a %s, but received a %s", expected,
                       strategic_type_name(got));
}

int strategic_bad_directive(const struct json_object *directive, const struct json_object *map, struct err *reterr)
{
        _cleanup_free_ char *d = strategic_print(directive), *m = strategic_print(map);

        return err_set(reterr, PATCH_UNPROCESSABLE, "unknown patch type: %s in map: %s", d, m);
}

/* The kind of $patch directive that an object carries. */
static bool directive_is(const struct json_object *directive, const char *name)
{
        return json_is_string(directive) && str_eq(json_object_get_string((struct json_object *)directive), name);
}

static bool is_directive(const char *key)
{
        return str_eq(key, DIRECTIVE) || str_eq(key, DIRECTIVE_RETAIN_KEYS) || str_has_prefix(key, DIRECTIVE_ORDER) ||
               str_has_prefix(key, DIRECTIVE_DELETE_LIST);
}

static int clean_object(const struct json_object *patch, struct json_object **ret, struct err *reterr)
{
        _cleanup_json_ struct json_object *o = NULL;
        struct json_object *directive = NULL;

        if (json_object_object_get_ex(patch, DIRECTIVE, &directive)) {
                if (directive_is(directive, "delete")) {
                        *ret = NULL;
                        return 0;
                }
                if (!directive_is(directive, "replace") && !directive_is(directive, "merge"))
                        return strategic_bad_directive(directive, patch, reterr);
        }
        o = json_object_new_object();
        json_foreach (patch, key, val) {
                struct json_object *clean;
                int r;

                if (!val || is_directive(key))
                        continue;
                r = strategic_clean(val, &clean, reterr);
                if (r)
                        return r;
                if (clean)
                        json_set(o, key, clean);
        }
        *ret = TAKE_PTR(o);
        return 0;
}

/* A list item that only says how the list is to be treated. */
static bool is_marker(const struct json_object *item)
{
        return json_is_object(item) && json_object_object_length(item) == 1 &&
               json_object_object_get_ex(item, DIRECTIVE, NULL);
}

static int clean_list(const struct json_object *patch, struct json_object **ret, struct err *reterr)
{
        _cleanup_json_ struct json_object *list = json_object_new_array();

        json_array_foreach (patch, i, val) {
                struct json_object *clean;
                int r;

                r = strategic_clean(val, &clean, reterr);
                if (r)
                        return r;
                if (is_marker(val) || (val && !clean))
                        json_object_put(clean);
                else
                        json_object_array_add(list, clean);
        }
        *ret = TAKE_PTR(list);
        return 0;
}

int strategic_clean(const struct json_object *patch, struct json_object **ret, struct err *reterr)
{
        if (json_is_object(patch))
                return clean_object(patch, ret, reterr);
        if (json_is_array(patch))
                return clean_list(patch, ret, reterr);
        *ret = json_copy(patch);
        return 0;
}

/* What the schema says about a member. RAW values and unknown types merge as plain objects, their lists are replaced.
 */
static int rule_of(const struct schema_type *type, const char *key, struct merge_rule *ret, struct err *reterr)
{
        const struct schema_field *f;
        const char *name;

        *ret = (struct merge_rule){0};
        if (!type || type->kind == SCHEMA_RAW)
                return 0;
        if (type->kind == SCHEMA_MAP) {
                *ret = (struct merge_rule){.type = type->elem};
                return 0;
        }
        if (type->kind != SCHEMA_OBJECT)
                return 0;
        f = schema_field_find(type->object, key);
        if (!f) {
                name = strrchr(type->object->name, '.');
                return err_set(reterr, PATCH_UNPROCESSABLE,
                               "unable to find api field in struct %s for the json field \"%s\"",
                               name ? name + 1 : type->object->name, key);
        }
        *ret = (struct merge_rule){.type = &f->type, .merge_key = f->type.merge_key, .merge = f->type.merge};
        return 0;
}

/* Leaves only the members that are in $retainKeys; the patch may set no others. */
static int retain_keys(struct json_object *target, const struct json_object *patch, struct err *reterr)
{
        _cleanup_json_ struct json_object *keep = json_object_new_object();
        struct json_object *list = NULL;

        if (!json_object_object_get_ex(patch, DIRECTIVE_RETAIN_KEYS, &list))
                return 0;
        if (!json_is_array(list))
                return err_set(reterr, PATCH_BAD_REQUEST, "invalid patch format of retainKeys");
        json_array_foreach (list, i, name) {
                if (json_is_string(name))
                        json_set_bool(keep, json_object_get_string(name), true);
        }
        json_foreach (patch, key, val) {
                if (val && !is_directive(key) && !json_get(keep, key))
                        return err_set(reterr, PATCH_BAD_REQUEST, "invalid patch format of retainKeys");
        }
        json_foreach (target, old, unused) {
                if (!json_get(keep, old))
                        json_del(target, old);
        }
        return 0;
}

/* Takes a member out of an object of ours; the caller owns it. */
static struct json_object *take_member(struct json_object *o, const char *key)
{
        struct json_object *val = json_object_get(json_get(o, key));

        json_del(o, key);
        return val;
}

static int apply_delete_list(struct json_object *target, const char *key, const struct json_object *list,
                             struct err *reterr)
{
        const char *name = key + strlen(DIRECTIVE_DELETE_LIST);
        struct json_object *old = json_get(target, name), *rest;
        int r;

        if (!*name || !json_is_array(list))
                return err_set(reterr, PATCH_BAD_REQUEST, "invalid patch format of primitive list");
        if (!json_is_array(old))
                return 0;
        r = strategic_list_delete(take_member(target, name), list, &rest, reterr);
        if (!r)
                json_set(target, name, rest);
        return r;
}

/* $setElementOrder/name: merges the patch's list of that name, if there is one, and arranges the outcome. */
static int apply_order(struct json_object *target, const struct json_object *patch, const char *key,
                       const struct schema_type *type, struct err *reterr)
{
        const char *name = key + strlen(DIRECTIVE_ORDER);
        _cleanup_json_ struct json_object *old = NULL;
        struct json_object *list = json_get(patch, name), *order = json_get(patch, key), *merged;
        struct merge_rule rule;
        int r;

        if (!*name)
                return err_set(reterr, PATCH_BAD_REQUEST, "invalid patch format of setElementOrder list");
        if (!json_is_array(order))
                return strategic_bad_type("[]interface {}", order, reterr);
        if (list && !json_is_array(list))
                return strategic_bad_type("[]interface {}", list, reterr);
        if (json_has(target, name) && !json_is_array(json_get(target, name)))
                return strategic_bad_type("[]interface {}", json_get(target, name), reterr);
        r = rule_of(type, name, &rule, reterr);
        if (!r)
                r = strategic_list_check_order(list, order, rule.merge_key, reterr);
        if (r || (!list && !json_has(target, name)))
                return r;
        old = take_member(target, name);
        if (list && old)
                r = strategic_list(json_object_get(old), list, &rule, &merged, reterr);
        else if (list)
                r = strategic_clean(list, &merged, reterr);
        else
                merged = json_object_get(old);
        if (!r)
                r = strategic_list_arrange(merged, order, old, rule.merge_key, &merged, reterr);
        if (!r)
                json_set(target, name, merged);
        return r;
}

/* A member of the patch that is no directive and not null. */
static int apply_member(struct json_object *target, const char *key, const struct json_object *val,
                        const struct schema_type *type, struct err *reterr)
{
        struct json_object *old = json_get(target, key), *merged = NULL;
        struct merge_rule rule;
        int r;

        if (!(json_is_object(old) && json_is_object(val)) && !(json_is_array(old) && json_is_array(val))) {
                r = strategic_clean(val, &merged, reterr);
                if (r)
                        return r;
                if (merged)
                        json_set(target, key, merged);
                else
                        json_del(target, key);
                return 0;
        }
        r = rule_of(type, key, &rule, reterr);
        if (r)
                return r;
        if (json_is_array(old)) {
                r = strategic_list(take_member(target, key), val, &rule, &merged, reterr);
        } else {
                merged = json_object_get(old);
                r = strategic_map(&merged, val, rule.type, reterr);
        }
        if (r) {
                json_object_put(merged);
                return r;
        }
        json_set(target, key, merged);
        return 0;
}

static int apply_directive(struct json_object **target, const struct json_object *directive,
                           const struct json_object *patch, struct err *reterr)
{
        struct json_object *clean = NULL;
        int r;

        if (!directive_is(directive, "replace") && !directive_is(directive, "delete"))
                return strategic_bad_directive(directive, patch, reterr);
        r = strategic_clean(patch, &clean, reterr);
        if (r)
                return r;
        json_object_put(*target);
        *target = clean ? clean : json_object_new_object();
        return 0;
}

static int apply_lists(struct json_object *target, const struct json_object *patch, const struct schema_type *type,
                       struct err *reterr)
{
        int r;

        json_foreach (patch, del, list) {
                if (!str_has_prefix(del, DIRECTIVE_DELETE_LIST))
                        continue;
                r = apply_delete_list(target, del, list, reterr);
                if (r)
                        return r;
        }
        json_foreach (patch, key, val) {
                if (!str_has_prefix(key, DIRECTIVE_ORDER))
                        continue;
                r = apply_order(target, patch, key, type, reterr);
                if (r)
                        return r;
        }
        return 0;
}

/* Whether the list of that name was merged when its $setElementOrder was. */
static bool is_ordered(const struct json_object *patch, const char *key)
{
        _cleanup_strbuf_ struct strbuf name = STRBUF_NULL;

        strbuf_add_str(&name, DIRECTIVE_ORDER);
        strbuf_add_str(&name, key);
        return json_object_object_get_ex(patch, name.data, NULL);
}

int strategic_map(struct json_object **target, const struct json_object *patch, const struct schema_type *type,
                  struct err *reterr)
{
        struct json_object *directive = NULL;
        int r;

        if (json_object_object_get_ex(patch, DIRECTIVE, &directive) && !directive_is(directive, "merge"))
                return apply_directive(target, directive, patch, reterr);
        r = retain_keys(*target, patch, reterr);
        if (!r)
                r = apply_lists(*target, patch, type, reterr);
        if (r)
                return r;
        json_foreach (patch, key, val) {
                if (is_directive(key))
                        continue;
                if (!val)
                        json_del(*target, key);
                else if (!json_is_array(val) || !is_ordered(patch, key))
                        r = apply_member(*target, key, val, type, reterr);
                if (r)
                        return r;
        }
        return 0;
}

int patch_strategic_apply(const struct json_object *doc, const struct json_object *patch,
                          const struct schema_struct *type, struct json_object **ret, struct err *reterr)
{
        const struct schema_type root = {.kind = SCHEMA_OBJECT, .object = type};
        _cleanup_json_ struct json_object *target = NULL;
        int r;

        if (!type)
                return err_set(reterr, PATCH_UNPROCESSABLE, "strategic merge patch format is not supported");
        if (!json_is_object(patch))
                return err_set(reterr, PATCH_BAD_REQUEST, "invalid JSON document");
        target = json_is_object(doc) ? json_copy(doc) : json_object_new_object();
        r = strategic_map(&target, patch, &root, reterr);
        if (r)
                return r;
        *ret = TAKE_PTR(target);
        return 0;
}
