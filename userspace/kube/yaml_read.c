/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/yaml_read.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "kube/yaml_scalar.h"
#include "base/utf8.h"

#define ALIAS_NODES_MAX 100000 /* values that aliases may add to a document */
#define ANCHORS_MAX     1000

struct anchor {
        char *name;
        struct json_object *node;
};

struct reader {
        yaml_parser_t parser;
        struct anchor *anchors;
        size_t nanchors;
        size_t alias_nodes;
        unsigned depth, containers;
        struct err *reterr;
};

static void event_delete(yaml_event_t *event)
{
        yaml_event_delete(event);
}

#define _cleanup_event_ _cleanup_(event_delete)

static int read_node(struct reader *r, const yaml_event_t *event, struct json_object **ret);

static int fail(struct reader *r, const yaml_event_t *event, const char *what)
{
        return err_set(r->reterr, -EINVAL, "yaml: line %zu: %s", event->start_mark.line + 1, what);
}

static int next(struct reader *r, yaml_event_t *ret)
{
        if (yaml_parser_parse(&r->parser, ret))
                return 0;
        return err_set(r->reterr, r->parser.error == YAML_MEMORY_ERROR ? -ENOMEM : -EINVAL, "yaml: line %zu: %s",
                       r->parser.problem_mark.line + 1, r->parser.problem ? r->parser.problem : "cannot be read");
}

static bool tag_is(const yaml_char_t *tag, const char *want)
{
        return tag && !strcmp((const char *)tag, want);
}

/* The kind that an explicit tag asks for, or -1 for none of them. */
static int tag_kind(const yaml_char_t *tag)
{
        return tag_is(tag, YAML_STR_TAG)     ? YAML_STR
               : tag_is(tag, YAML_INT_TAG)   ? YAML_INT
               : tag_is(tag, YAML_FLOAT_TAG) ? YAML_FLOAT
               : tag_is(tag, YAML_BOOL_TAG)  ? YAML_BOOL
               : tag_is(tag, YAML_NULL_TAG)  ? YAML_NULL
                                             : -1;
}

static int read_scalar(struct reader *r, const yaml_event_t *event, struct json_object **ret)
{
        const char *s = (const char *)event->data.scalar.value;
        size_t n = event->data.scalar.length;
        const yaml_char_t *tag = event->data.scalar.tag;
        bool plain = event->data.scalar.plain_implicit;
        int want = tag_kind(tag), have;

        if (!utf8_valid(s, n))
                return fail(r, event, "a string holds NUL or is not UTF-8");
        if (tag_is(tag, "tag:yaml.org,2002:binary"))
                return fail(r, event, "!!binary is not supported");
        if (want == YAML_STR || (want < 0 && (tag || !plain))) {
                *ret = json_object_new_string_len(s, (int)n);
                return 0;
        }
        have = (int)yaml_scalar_resolve(s, ret);
        if (have == YAML_UNSUPPORTED)
                return fail(r, event, "infinity and NaN have no JSON");
        if (want >= 0 && want != have && !(want == YAML_FLOAT && have == YAML_INT)) {
                json_object_put(*ret);
                *ret = NULL;
                return fail(r, event, "a scalar is not what its tag says");
        }
        if (have == YAML_STR)
                *ret = json_object_new_string_len(s, (int)n);
        return 0;
}

/* Values in a tree, counted up to limit. */
static size_t count_nodes(struct json_object *o, size_t limit)
{
        size_t n = 1;

        json_foreach (o, key, val) {
                if (n >= limit)
                        return n;
                n += count_nodes(val, limit - n);
        }
        if (json_is_array(o)) {
                for (size_t i = 0; i < json_object_array_length(o) && n < limit; i++)
                        n += count_nodes(json_object_array_get_idx(o, i), limit - n);
        }
        return n;
}

static int read_alias(struct reader *r, const yaml_event_t *event, struct json_object **ret)
{
        const char *name = (const char *)event->data.alias.anchor;
        size_t left = ALIAS_NODES_MAX - r->alias_nodes;

        for (size_t i = r->nanchors; i-- > 0;) {
                if (strcmp(r->anchors[i].name, name))
                        continue;
                r->alias_nodes += count_nodes(r->anchors[i].node, left + 1);
                if (r->alias_nodes > ALIAS_NODES_MAX)
                        return fail(r, event, "document contains excessive aliasing");
                *ret = json_copy(r->anchors[i].node);
                return 0;
        }
        return err_set(r->reterr, -EINVAL, "yaml: line %zu: unknown anchor '%.60s' referenced",
                       event->start_mark.line + 1, name);
}

static int add_anchor(struct reader *r, const yaml_event_t *event, const yaml_char_t *name, struct json_object *node)
{
        struct anchor *anchors;

        if (!name)
                return 0;
        if (r->nanchors == ANCHORS_MAX)
                return fail(r, event, "too many anchors");
        anchors = realloc(r->anchors, (r->nanchors + 1) * sizeof(*anchors));
        if (!anchors)
                return -ENOMEM;
        r->anchors = anchors;
        anchors[r->nanchors++] = (struct anchor){strdup((const char *)name), json_object_get(node)};
        return 0;
}

/* A key as a string, owned by the caller. *ret_merge: it is the merge key. */
static int read_key(struct reader *r, const yaml_event_t *event, char **ret, bool *ret_merge)
{
        _cleanup_json_ struct json_object *key = NULL;
        int ret_code;

        if (event->type != YAML_SCALAR_EVENT && event->type != YAML_ALIAS_EVENT)
                return fail(r, event, "invalid map key: neither a string, a number nor a boolean");
        *ret_merge = event->type == YAML_SCALAR_EVENT && event->data.scalar.plain_implicit &&
                     !strcmp((const char *)event->data.scalar.value, "<<");
        ret_code = read_node(r, event, &key);
        if (ret_code)
                return ret_code;
        if (!key || json_is_object(key) || json_is_array(key))
                return fail(r, event, "invalid map key: neither a string, a number nor a boolean");
        *ret = strdup(json_object_get_string(key));
        return *ret ? 0 : -ENOMEM;
}

/* Takes the members of a mapping that obj does not have. */
static int merge_mapping(struct reader *r, const yaml_event_t *event, struct json_object *obj, struct json_object *from)
{
        if (!json_is_object(from))
                return fail(r, event, "map merge requires map or sequence of maps as the value");
        json_foreach (from, key, val) {
                if (!json_object_object_get_ex(obj, key, NULL))
                        json_object_object_add(obj, key, json_object_get(val));
        }
        return 0;
}

/* Merged members are of lower rank than all that the mapping says itself, so they come last; among them the first
 * counts. */
static int merge(struct reader *r, const yaml_event_t *event, struct json_object *obj, struct json_object *what)
{
        size_t n = json_is_array(what) ? json_object_array_length(what) : 0;
        int ret_code;

        if (!json_is_array(what))
                return merge_mapping(r, event, obj, what);
        for (size_t i = 0; i < n; i++) {
                ret_code = merge_mapping(r, event, obj, json_object_array_get_idx(what, i));
                if (ret_code)
                        return ret_code;
        }
        return 0;
}

static int read_member(struct reader *r, const yaml_event_t *key_event, struct json_object *obj,
                       struct json_object **merged)
{
        _cleanup_event_ yaml_event_t event = {};
        _cleanup_json_ struct json_object *val = NULL;
        _cleanup_free_ char *key = NULL;
        bool is_merge = false;
        int ret_code;

        ret_code = read_key(r, key_event, &key, &is_merge);
        if (!ret_code)
                ret_code = next(r, &event);
        if (!ret_code)
                ret_code = read_node(r, &event, &val);
        if (ret_code)
                return ret_code;
        if (is_merge && !*merged) {
                *merged = val ? TAKE_PTR(val) : json_object_new_array_ext(1);
                return 0;
        }
        if (is_merge || json_object_object_get_ex(obj, key, NULL))
                return err_set(r->reterr, -EINVAL,
                               "yaml: unmarshal errors:\n  line %zu: key \"%.100s\" already set in map",
                               key_event->start_mark.line + 1, key);
        json_object_object_add_ex(obj, key, TAKE_PTR(val), JSON_C_OBJECT_ADD_KEY_IS_NEW);
        return 0;
}

static int read_mapping(struct reader *r, const yaml_event_t *start, struct json_object **ret)
{
        _cleanup_json_ struct json_object *obj = json_object_new_object();
        _cleanup_json_ struct json_object *merged = NULL;
        int ret_code;

        for (;;) {
                _cleanup_event_ yaml_event_t event = {};

                ret_code = next(r, &event);
                if (ret_code)
                        return ret_code;
                if (event.type == YAML_MAPPING_END_EVENT)
                        break;
                ret_code = read_member(r, &event, obj, &merged);
                if (ret_code)
                        return ret_code;
        }
        ret_code = merged ? merge(r, start, obj, merged) : 0;
        if (ret_code)
                return ret_code;
        *ret = TAKE_PTR(obj);
        return 0;
}

static int read_sequence(struct reader *r, struct json_object **ret)
{
        _cleanup_json_ struct json_object *arr = json_object_new_array_ext(4);
        int ret_code;

        for (;;) {
                _cleanup_event_ yaml_event_t event = {};
                struct json_object *val = NULL;

                ret_code = next(r, &event);
                if (ret_code)
                        return ret_code;
                if (event.type == YAML_SEQUENCE_END_EVENT)
                        break;
                ret_code = read_node(r, &event, &val);
                if (ret_code)
                        return ret_code;
                json_object_array_add(arr, val);
        }
        *ret = TAKE_PTR(arr);
        return 0;
}

static int read_collection(struct reader *r, const yaml_event_t *event, struct json_object **ret)
{
        int ret_code;

        if (r->depth == JSON_DEPTH_MAX)
                return fail(r, event, "exceeded max depth");
        if (++r->containers > JSON_CONTAINERS_MAX)
                return fail(r, event, "too many objects and arrays");
        r->depth++;
        ret_code = event->type == YAML_MAPPING_START_EVENT ? read_mapping(r, event, ret) : read_sequence(r, ret);
        r->depth--;
        return ret_code;
}

static const yaml_char_t *event_anchor(const yaml_event_t *event)
{
        switch (event->type) {
        case YAML_SCALAR_EVENT:
                return event->data.scalar.anchor;
        case YAML_SEQUENCE_START_EVENT:
                return event->data.sequence_start.anchor;
        case YAML_MAPPING_START_EVENT:
                return event->data.mapping_start.anchor;
        default:
                return NULL;
        }
}

static int read_node(struct reader *r, const yaml_event_t *event, struct json_object **ret)
{
        _cleanup_json_ struct json_object *node = NULL;
        int ret_code;

        if (event->type == YAML_ALIAS_EVENT)
                ret_code = read_alias(r, event, &node);
        else if (event->type == YAML_SCALAR_EVENT)
                ret_code = read_scalar(r, event, &node);
        else
                ret_code = read_collection(r, event, &node);
        if (!ret_code)
                ret_code = add_anchor(r, event, event_anchor(event), node);
        if (ret_code)
                return ret_code;
        *ret = TAKE_PTR(node);
        return 0;
}

/* Moves to the next event of interest: the root node of a document, or the end of the stream. */
static int next_document(struct reader *r, yaml_event_t *ret)
{
        for (;;) {
                int ret_code = next(r, ret);

                if (ret_code)
                        return ret_code;
                if (ret->type != YAML_STREAM_START_EVENT && ret->type != YAML_DOCUMENT_START_EVENT &&
                    ret->type != YAML_DOCUMENT_END_EVENT)
                        return 0;
                yaml_event_delete(ret);
        }
}

static int read_stream(struct reader *r, struct json_object **ret)
{
        _cleanup_event_ yaml_event_t root = {};
        _cleanup_event_ yaml_event_t after = {};
        _cleanup_json_ struct json_object *tree = NULL;
        int ret_code;

        ret_code = next_document(r, &root);
        if (ret_code)
                return ret_code;
        if (root.type != YAML_STREAM_END_EVENT) {
                ret_code = read_node(r, &root, &tree);
                if (!ret_code)
                        ret_code = next_document(r, &after);
                if (ret_code)
                        return ret_code;
                if (after.type != YAML_STREAM_END_EVENT)
                        return fail(r, &after, "a second document: a body holds one");
        }
        *ret = TAKE_PTR(tree);
        return 0;
}

int yaml_read(const char *data, size_t len, struct json_object **ret, struct err *reterr)
{
        struct reader r = {.reterr = reterr};
        int ret_code;

        if (!yaml_parser_initialize(&r.parser))
                return -ENOMEM;
        yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&r.parser, (const unsigned char *)data, len);
        ret_code = read_stream(&r, ret);
        yaml_parser_delete(&r.parser);
        for (size_t i = 0; i < r.nanchors; i++) {
                free(r.anchors[i].name);
                json_object_put(r.anchors[i].node);
        }
        free(r.anchors);
        return ret_code;
}
