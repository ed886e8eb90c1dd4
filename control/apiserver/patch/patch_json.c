/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON patch, RFC 6902. The operations work on one copy of the document. Two things are bounded against hostile
 * patches: the bytes that `copy` adds, and the depth of the document (`copy` and `move` into a value's own
 * neighbourhood would else grow it without limit and exhaust the stack of whoever walks it).
 */
#include <errno.h>
#include <inttypes.h>

#include "apiserver/patch/patch.h"

#define RECOUNTS_MAX 64

struct run {
        struct json_object *root;
        size_t copied; /* bytes added by copy operations */
        int depth;     /* never less than the depth of root */
        int recounts;  /* walks of the whole document so far */
        struct err *reterr;
};

/* Where a JSON pointer leads: the last token and the container that holds, or would hold, it. */
struct place {
        struct json_object *parent;
        char *key; /* unescaped, points into text */
        char *text;
        int depth; /* tokens of the pointer */
};

#define PLACE_NULL ((struct place){0})

static void place_deinit(struct place *p)
{
        free(p->text);
        *p = PLACE_NULL;
}

static int refuse(struct run *run, const char *fmt, ...) _printf_(2, 3);

/* The message that Kubernetes gives to every patch that does not apply, and the reason behind it. */
static int refuse(struct run *run, const char *fmt, ...)
{
        char detail[400];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(detail, sizeof(detail), fmt, ap);
        va_end(ap);
        return err_set(run->reterr, PATCH_UNPROCESSABLE,
                       "the server rejected our request due to an error in our request: %s", detail);
}

static int depth_of(const struct json_object *o)
{
        int max = 0, depth;

        if (!json_is_array(o) && !json_is_object(o))
                return 0;
        json_array_foreach (o, i, element) {
                depth = depth_of(element);
                max = MAX(max, depth);
        }
        json_foreach (o, key, member) {
                depth = depth_of(member);
                max = MAX(max, depth);
        }
        return max + 1;
}

/* ~1 is a slash and ~0 a tilde (RFC 6901); undoes that in place. */
static void unescape(char *s)
{
        char *out = s;

        for (; *s; s++, out++) {
                *out = *s;
                if (s[0] == '~' && (s[1] == '0' || s[1] == '1'))
                        *out = *++s == '1' ? '/' : '~';
        }
        *out = '\0';
}

/* An array index in Go's Atoi form. Returns false when s is no number. */
static bool parse_index(const char *s, int64_t *ret)
{
        char *end;

        errno = 0;
        *ret = strtoll(s, &end, 10);
        return *s && !*end && errno == 0 && (*s == '-' || *s == '+' || (*s >= '0' && *s <= '9'));
}

/* The index that an existing element has, -1 when there is none. */
static int64_t element_index(const struct json_object *arr, const char *key)
{
        int64_t n = (int64_t)json_len(arr), i;

        if (!parse_index(key, &i) || i >= n || i < -n)
                return -1;
        return i < 0 ? i + n : i;
}

/* Returns whether the container has the key; *ret_val is its value, NULL for a JSON null. */
static bool lookup(const struct json_object *parent, const char *key, struct json_object **ret_val)
{
        int64_t i;

        if (json_is_object(parent))
                return json_object_object_get_ex(parent, key, ret_val);
        i = element_index(parent, key);
        if (i < 0)
                return false;
        *ret_val = json_idx(parent, (size_t)i);
        return true;
}

/* Finds the container of the pointer's last token; false when the document has none. The caller deinits *p. */
static bool resolve(struct run *run, const char *pointer, struct place *p)
{
        char *s, *next;

        p->parent = run->root;
        p->text = strdup(pointer);
        if (!p->text || *p->text != '/')
                return false;
        for (s = p->text + 1;; s = next + 1) {
                p->depth++;
                next = strchr(s, '/');
                if (next)
                        *next = '\0';
                unescape(s);
                p->key = s;
                if (!json_is_object(p->parent) && !json_is_array(p->parent))
                        return false;
                if (!next)
                        return true;
                if (!lookup(p->parent, s, &p->parent))
                        return false;
        }
}

/* Makes sure that a value of the given depth may go below a place of the given depth. */
static int check_depth(struct run *run, int place, int value)
{
        int depth = place + value;

        if (depth > JSON_DEPTH_MAX && run->recounts++ < RECOUNTS_MAX)
                run->depth = depth_of(run->root);
        if (depth > JSON_DEPTH_MAX)
                return refuse(run, "the result would be nested more than %d levels deep", JSON_DEPTH_MAX);
        run->depth = MAX(run->depth, depth);
        return 0;
}

/* Inserts val (taken over) before element i, which exists. */
static int insert_element(struct json_object *arr, size_t i, struct json_object *val)
{
        struct array_list *list = json_object_get_array(arr);
        size_t n = json_len(arr);

        if (json_object_array_add(arr, NULL) < 0) {
                json_object_put(val);
                return -ENOMEM;
        }
        memmove(&list->array[i + 1], &list->array[i], (n - i) * sizeof(*list->array));
        list->array[i] = val;
        return 0;
}

/* Puts val (taken over) at the place: a new or replaced member, or an element inserted before the index. */
static int insert(struct run *run, const char *op, const char *path, struct place *p, struct json_object *val)
{
        _cleanup_json_ struct json_object *owned = val;
        int64_t n = (int64_t)json_len(p->parent), i;

        if (json_is_object(p->parent)) {
                json_set(p->parent, p->key, TAKE_PTR(owned));
                return 0;
        }
        if (strcmp(p->key, "-") == 0)
                return json_object_array_add(p->parent, TAKE_PTR(owned)) < 0 ? -ENOMEM : 0;
        if (!parse_index(p->key, &i))
                return refuse(run, "error in %s for path: '%s': value was not a proper array index: '%s'", op, path,
                              p->key);
        if (i > n || i < -(n + 1))
                return refuse(run,
                              "error in %s for path: '%s': Unable to access invalid index: %" PRId64
                              ": invalid index referenced",
                              op, path, i);
        if (i < 0)
                i += n + 1;
        if (i == n)
                return json_object_array_add(p->parent, TAKE_PTR(owned)) < 0 ? -ENOMEM : 0;
        return insert_element(p->parent, (size_t)i, TAKE_PTR(owned));
}

static void drop(struct place *p)
{
        if (json_is_object(p->parent))
                json_del(p->parent, p->key);
        else
                json_object_array_del_idx(p->parent, (size_t)element_index(p->parent, p->key), 1);
}

static int op_add(struct run *run, const char *path, const struct json_object *op)
{
        _cleanup_(place_deinit) struct place p = PLACE_NULL;
        struct json_object *val = json_get(op, "value");
        int r;

        if (!resolve(run, path, &p))
                return refuse(run, "add operation does not apply: doc is missing path: \"%s\": missing value", path);
        r = check_depth(run, p.depth, depth_of(val));
        return r ? r : insert(run, "add", path, &p, json_copy(val));
}

static int missing_key(struct run *run, const char *op, const char *path, const struct place *p)
{
        if (json_is_object(p->parent))
                return refuse(run, "error in %s for path: '%s': Unable to remove nonexistent key: %s: missing value",
                              op, path, p->key);
        return refuse(run, "error in %s for path: '%s': Unable to remove invalid index: %s: invalid index referenced",
                      op, path, p->key);
}

static int op_remove(struct run *run, const char *path, const struct json_object *op)
{
        _cleanup_(place_deinit) struct place p = PLACE_NULL;
        struct json_object *val;

        if (!resolve(run, path, &p))
                return refuse(run, "remove operation does not apply: doc is missing path: \"%s\": missing value", path);
        if (!lookup(p.parent, p.key, &val))
                return missing_key(run, "remove", path, &p);
        drop(&p);
        return 0;
}

static int op_replace(struct run *run, const char *path, const struct json_object *op)
{
        _cleanup_(place_deinit) struct place p = PLACE_NULL;
        struct json_object *val = json_get(op, "value"), *old;
        int r;

        if (!*path) {
                json_object_put(run->root);
                run->root = json_copy(val);
                run->depth = depth_of(val);
                return 0;
        }
        if (!resolve(run, path, &p))
                return refuse(run, "replace operation does not apply: doc is missing path: %s: missing value", path);
        if (!lookup(p.parent, p.key, &old))
                return refuse(run, "replace operation does not apply: doc is missing key: %s: missing value", path);
        r = check_depth(run, p.depth, depth_of(val));
        if (r)
                return r;
        if (json_is_object(p.parent))
                json_set(p.parent, p.key, json_copy(val));
        else
                json_object_array_put_idx(p.parent, (size_t)element_index(p.parent, p.key), json_copy(val));
        return 0;
}

static int op_test(struct run *run, const char *path, const struct json_object *op)
{
        _cleanup_(place_deinit) struct place p = PLACE_NULL;
        struct json_object *want = json_get(op, "value"), *val = run->root;

        if (*path) {
                if (!resolve(run, path, &p))
                        return refuse(run, "test operation does not apply: is missing path: %s: missing value", path);
                if (!lookup(p.parent, p.key, &val)) {
                        if (!json_is_object(p.parent))
                                return refuse(run,
                                              "error in test for path: '%s': Unable to access invalid index: %s: "
                                              "invalid index referenced",
                                              path, p.key);
                        val = NULL;
                }
        }
        return json_equal(val, want) ? 0 : refuse(run, "testing value %s failed: test failed", path);
}

/* The source of a move or copy. */
static int resolve_from(struct run *run, const char *op, const char *from, struct place *p, struct json_object **ret)
{
        if (!resolve(run, from, p))
                return refuse(run, "%s operation does not apply: doc is missing from path: %s: missing value", op,
                              from);
        if (!lookup(p->parent, p->key, ret))
                return refuse(run, "error in %s for path: '%s': unable to get nonexistent key: %s: missing value", op,
                              p->key, p->key);
        return 0;
}

static int missing_destination(struct run *run, const char *op, const char *path)
{
        return refuse(run, "%s operation does not apply: doc is missing destination path: %s: missing value", op, path);
}

static int op_move(struct run *run, const char *path, const struct json_object *op)
{
        _cleanup_(place_deinit) struct place src = PLACE_NULL, dst = PLACE_NULL;
        _cleanup_json_ struct json_object *moved = NULL;
        const char *from = json_get_str(op, "from");
        struct json_object *val = NULL;
        int value_depth, r;

        r = resolve_from(run, "move", from, &src, &val);
        if (r)
                return r;
        moved = json_object_get(val);
        drop(&src);
        if (!resolve(run, path, &dst)) /* also when the destination lies inside what is moved */
                return missing_destination(run, "move", path);
        /* The bound is good enough until it says no; only then is the value walked. */
        value_depth = MAX(run->depth - src.depth, 0);
        if (dst.depth + value_depth > JSON_DEPTH_MAX && run->recounts++ < RECOUNTS_MAX)
                value_depth = depth_of(moved);
        r = check_depth(run, dst.depth, value_depth);
        return r ? r : insert(run, "move", path, &dst, TAKE_PTR(moved));
}

static int op_copy(struct run *run, const char *path, const struct json_object *op)
{
        _cleanup_(place_deinit) struct place src = PLACE_NULL, dst = PLACE_NULL;
        _cleanup_free_ char *text = NULL;
        const char *from = json_get_str(op, "from");
        struct json_object *val = NULL;
        int r;

        r = resolve_from(run, "copy", from, &src, &val);
        if (r)
                return r;
        if (!resolve(run, path, &dst))
                return missing_destination(run, "copy", path);
        text = json_text(val);
        run->copied += strlen(text);
        if (run->copied > PATCH_JSON_COPY_MAX)
                return err_set(run->reterr, PATCH_TOO_LARGE,
                               "Unable to complete the copy, the accumulated size increase of copy is %zu, "
                               "exceeding the limit %d",
                               run->copied, PATCH_JSON_COPY_MAX);
        r = check_depth(run, dst.depth, depth_of(val));
        return r ? r : insert(run, "copy", path, &dst, json_copy(val));
}

static const struct {
        const char *name;
        int (*apply)(struct run *run, const char *path, const struct json_object *op);
        bool needs_from;
} operations[] = {
        {"add", op_add, false},  {"remove", op_remove, false}, {"replace", op_replace, false},
        {"move", op_move, true}, {"copy", op_copy, true},      {"test", op_test, false},
};

static int apply_one(struct run *run, const struct json_object *op)
{
        const char *name = json_get_str(op, "op"), *path = json_get_str(op, "path");

        for (size_t i = 0; name && i < ARRAY_SIZE(operations); i++) {
                if (strcmp(name, operations[i].name) != 0)
                        continue;
                if (!path)
                        return refuse(run, "%s operation failed to decode path: missing value", name);
                if (operations[i].needs_from && !json_get_str(op, "from"))
                        return refuse(run, "%s operation failed to decode from: missing value", name);
                return operations[i].apply(run, path, op);
        }
        return refuse(run, "Unexpected kind: %s", name ? name : "unknown");
}

static const char *go_type_name(const struct json_object *o)
{
        switch (json_object_get_type(o)) {
        case json_type_boolean:
                return "bool";
        case json_type_int:
        case json_type_double:
                return "number";
        case json_type_string:
                return "string";
        case json_type_array:
                return "array";
        default:
                return "object";
        }
}

/* The shape of the patch, checked before anything is applied. */
static int check_ops(const struct json_object *ops, struct err *reterr)
{
        if (!json_is_array(ops))
                return err_set(reterr, PATCH_BAD_REQUEST,
                               "json: cannot unmarshal %s into Go value of type jsonpatch.Patch", go_type_name(ops));
        if (json_len(ops) > PATCH_JSON_OPERATIONS_MAX)
                return err_set(reterr, PATCH_TOO_LARGE, "The allowed maximum operations in a JSON patch is %d, got %zu",
                               PATCH_JSON_OPERATIONS_MAX, json_len(ops));
        json_array_foreach (ops, i, op) {
                if (!json_is_object(op))
                        return err_set(reterr, PATCH_BAD_REQUEST,
                                       "json: cannot unmarshal %s into Go value of type jsonpatch.Operation",
                                       go_type_name(op));
        }
        return 0;
}

int patch_json_apply(const struct json_object *doc, const struct json_object *ops, struct json_object **ret,
                     struct err *reterr)
{
        struct run run = {.reterr = reterr};
        int r;

        r = check_ops(ops, reterr);
        if (r)
                return r;
        run.root = json_copy(doc);
        run.depth = depth_of(doc);
        json_array_foreach (ops, i, op) {
                r = apply_one(&run, op);
                if (r)
                        break;
        }
        if (!r && !json_is_object(run.root))
                r = refuse(&run, "the patched object is not a JSON object");
        if (r) {
                json_object_put(run.root);
                return r;
        }
        *ret = run.root;
        return 0;
}
