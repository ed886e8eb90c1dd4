/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "apiserver/kinds/common.h"
#include "base/str.h"
#include "kube/selector.h"

const char *str_of(const struct json_object *obj, const char *name)
{
        const char *s = json_get_str(obj, name);

        return s ? s : "";
}

bool is_percent(const struct json_object *v)
{
        return json_is_string(v) && !name_error(NAME_PERCENT, json_object_get_string((struct json_object *)v));
}

int64_t int_or_percent_value(const struct json_object *v)
{
        if (!v || (json_is_string(v) && !is_percent(v)))
                return 0;
        if (json_is_string(v))
                return strtoll(json_object_get_string((struct json_object *)v), NULL, 10);
        return json_object_get_int64(v);
}

void check_name(struct ferrs *e, const struct fpath *p, enum name_rule rule, const char *value)
{
        struct name_errors errors;
        size_t n = name_check(rule, value, &errors);

        for (size_t i = 0; i < n; i++)
                ferr_invalid_str(e, p, value, "%s", errors.msg[i]);
}

void check_name_if(struct ferrs *e, const struct fpath *parent, const struct json_object *obj, const char *name,
                   enum name_rule rule)
{
        const char *value = json_get_str(obj, name);
        struct fpath p = fpath_child(parent, name);

        if (!str_empty(value))
                check_name(e, &p, rule, value);
}

bool check_required(struct ferrs *e, const struct fpath *parent, const struct json_object *obj, const char *name)
{
        struct json_object *v = json_get(obj, name);
        struct fpath p = fpath_child(parent, name);

        if (v && !(json_is_string(v) && json_object_get_string_len(v) == 0) && !(json_is_array(v) && json_len(v) == 0))
                return true;
        ferr_required(e, &p, NULL);
        return false;
}

void check_name_required(struct ferrs *e, const struct fpath *parent, const struct json_object *obj, const char *name,
                         enum name_rule rule)
{
        if (check_required(e, parent, obj, name))
                check_name_if(e, parent, obj, name, rule);
}

void check_non_negative(struct ferrs *e, const struct fpath *parent, const struct json_object *obj, const char *name)
{
        int64_t v = json_get_i64(obj, name, 0);
        struct fpath p = fpath_child(parent, name);

        if (v < 0)
                ferr_invalid_i64(e, &p, v, MSG_NEGATIVE);
}

void check_non_negatives(struct ferrs *e, const struct fpath *parent, const struct json_object *obj,
                         const char *const *names)
{
        for (; *names; names++)
                check_non_negative(e, parent, obj, *names);
}

void check_range(struct ferrs *e, const struct fpath *parent, const struct json_object *obj, const char *name,
                 int64_t low, int64_t high)
{
        int64_t v = json_get_i64(obj, name, low);
        struct fpath p = fpath_child(parent, name);

        if (v < low || v > high)
                ferr_invalid_i64(e, &p, v, "must be between %lld and %lld, inclusive", (long long)low, (long long)high);
}

void check_port_number(struct ferrs *e, const struct fpath *p, int64_t port)
{
        if (port < 1 || port > 65535)
                ferr_invalid_i64(e, p, port, MSG_PORT_RANGE);
}

void check_port_number_or_name(struct ferrs *e, const struct fpath *p, const struct json_object *port)
{
        if (json_is_string(port))
                check_name(e, p, NAME_PORT, json_object_get_string((struct json_object *)port));
        else
                check_port_number(e, p, port ? json_object_get_int64(port) : 0);
}

void check_int_or_percent(struct ferrs *e, const struct fpath *p, const struct json_object *v)
{
        if (json_is_string(v))
                check_name(e, p, NAME_PERCENT, json_object_get_string((struct json_object *)v));
        else if (v && json_object_get_int64(v) < 0)
                ferr_invalid(e, p, v, MSG_NEGATIVE);
}

void check_at_most_100_percent(struct ferrs *e, const struct fpath *p, const struct json_object *v)
{
        if (is_percent(v) && int_or_percent_value(v) > 100)
                ferr_invalid(e, p, v, "must not be greater than 100%%");
}

bool one_of(const char *value, const char *const *supported)
{
        for (; *supported; supported++)
                if (str_eq(value, *supported))
                        return true;
        return false;
}

void check_one_of(struct ferrs *e, const struct fpath *parent, const struct json_object *obj, const char *name,
                  const char *const *supported, bool required)
{
        const char *value = json_get_str(obj, name);
        struct fpath p = fpath_child(parent, name);

        if (required && str_empty(value))
                ferr_required(e, &p, NULL);
        else if (value && !one_of(value, supported))
                ferr_not_supported(e, &p, value, supported);
}

void check_immutable(struct ferrs *e, const struct fpath *parent, const struct json_object *obj,
                     const struct json_object *old, const char *name)
{
        struct json_object *v = json_get(obj, name);
        struct fpath p = fpath_child(parent, name);

        if (!json_equal(v, json_get(old, name)))
                ferr_invalid(e, &p, v, MSG_IMMUTABLE);
}

void check_not_decremented(struct ferrs *e, const struct fpath *parent, const struct json_object *obj,
                           const struct json_object *old, const char *name, const char *msg)
{
        int64_t v = json_get_i64(obj, name, 0);
        struct fpath p = fpath_child(parent, name);

        if (v < json_get_i64(old, name, 0))
                ferr_invalid_i64(e, &p, v, "%s", msg);
}

void check_labels(struct ferrs *e, const struct fpath *p, const struct json_object *labels)
{
        json_foreach (labels, key, val) {
                struct fpath at = fpath_key(p, key);
                const char *value = json_is_string(val) ? json_object_get_string(val) : "";

                check_name(e, p, NAME_LABEL_KEY, key);
                check_name(e, &at, NAME_LABEL_VALUE, value);
        }
}

#define ANNOTATIONS_MAX_BYTES (256 << 10)

/* Annotation keys are qualified names but for their case. */
static void check_annotation_key(struct ferrs *e, const struct fpath *p, const char *key)
{
        size_t n = strlen(key);
        char small[320], *lower = n < sizeof(small) ? small : arena_alloc(e->arena, n + 1);
        struct name_errors errors;

        for (size_t i = 0; i <= n; i++)
                lower[i] = (char)tolower((unsigned char)key[i]);
        n = name_check(NAME_LABEL_KEY, lower, &errors);
        for (size_t i = 0; i < n; i++)
                ferr_invalid_str(e, p, key, "%s", errors.msg[i]);
}

void check_annotations(struct ferrs *e, const struct fpath *p, const struct json_object *annotations)
{
        size_t total = 0;

        json_foreach (annotations, key, val) {
                check_annotation_key(e, p, key);
                total += strlen(key) + (json_is_string(val) ? (size_t)json_object_get_string_len(val) : 0);
        }
        if (total > ANNOTATIONS_MAX_BYTES)
                ferr_too_long(e, p, ANNOTATIONS_MAX_BYTES);
}

static void check_selector_requirement(struct ferrs *e, const struct fpath *p, const struct json_object *req)
{
        static const char *const with_values[] = {"In", "NotIn", NULL};
        static const char *const without_values[] = {"Exists", "DoesNotExist", NULL};
        struct fpath values = fpath_child(p, "values"), op = fpath_child(p, "operator"), key = fpath_child(p, "key");
        struct json_object *list = json_get(req, "values");
        const char *operator= str_of(req, "operator");

        if (one_of(operator, with_values)) {
                if (!json_len(list))
                        ferr_required(e, &values, "must be specified when `operator` is 'In' or 'NotIn'");
        } else if (one_of(operator, without_values)) {
                if (json_len(list))
                        ferr_forbidden(e, &values,
                                       "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        } else {
                ferr_invalid_str(e, &op, operator, "not a valid selector operator");
        }
        check_name(e, &key, NAME_LABEL_KEY, str_of(req, "key"));
        json_array_foreach (list, i, val) {
                struct fpath at = fpath_index(&values, i);

                if (json_is_string(val))
                        check_name(e, &at, NAME_LABEL_VALUE, json_object_get_string(val));
        }
}

void check_label_selector(struct ferrs *e, const struct fpath *p, const struct json_object *selector)
{
        struct fpath labels = fpath_child(p, "matchLabels"), exprs = fpath_child(p, "matchExpressions");

        if (!selector)
                return;
        check_labels(e, &labels, json_get(selector, "matchLabels"));
        json_array_foreach (json_get(selector, "matchExpressions"), i, req) {
                struct fpath at = fpath_index(&exprs, i);

                check_selector_requirement(e, &at, req);
        }
}

static size_t object_len(const struct json_object *o)
{
        return json_is_object(o) ? (size_t)json_object_object_length(o) : 0;
}

bool label_selector_is_empty(const struct json_object *selector)
{
        return object_len(json_get(selector, "matchLabels")) + json_len(json_get(selector, "matchExpressions")) == 0;
}

bool label_selector_matches(const struct json_object *selector, const struct json_object *labels)
{
        _cleanup_selector_ struct selector *s = NULL;

        if (!selector || selector_from_label_selector(selector, &s, NULL))
                return false;
        return selector_match_json(s, labels);
}

bool label_selector_has_key(const struct json_object *selector, const char *key)
{
        if (json_has(json_get(selector, "matchLabels"), key))
                return true;
        json_array_foreach (json_get(selector, "matchExpressions"), i, req) {
                if (str_eq(str_of(req, "key"), key))
                        return true;
        }
        return false;
}

void check_ip(struct ferrs *e, const struct fpath *p, const char *value)
{
        check_name(e, p, NAME_IP_SLOPPY, value);
}

void check_cidr(struct ferrs *e, const struct fpath *p, const char *value)
{
        check_name(e, p, NAME_CIDR_SLOPPY, value);
}

bool is_ipv6_text(const char *value)
{
        return strchr(value, ':') != NULL;
}

static bool has_backsteps(const char *path)
{
        struct str_span part;

        for (const char *rest = path; str_split(&rest, '/', &part);)
                if (str_span_eq(part, ".."))
                        return true;
        return false;
}

void check_no_backsteps(struct ferrs *e, const struct fpath *p, const char *value)
{
        if (has_backsteps(value))
                ferr_invalid_str(e, p, value, "must not contain '..'");
}

void check_descending_path(struct ferrs *e, const struct fpath *p, const char *value)
{
        if (*value == '/')
                ferr_invalid_str(e, p, value, "must be a relative path");
        check_no_backsteps(e, p, value);
}

void check_non_reserved_path(struct ferrs *e, const struct fpath *p, const char *value)
{
        check_descending_path(e, p, value);
        if (str_has_prefix(value, "..") && !has_backsteps(value))
                ferr_invalid_str(e, p, value, "must not start with '..'");
}

void check_template_meta(struct ferrs *e, const struct fpath *p, const struct json_object *meta)
{
        struct fpath annotations = fpath_child(p, "annotations"), labels = fpath_child(p, "labels");

        check_annotations(e, &annotations, json_get(meta, "annotations"));
        check_labels(e, &labels, json_get(meta, "labels"));
        json_foreach (meta, key, val) {
                struct fpath at = fpath_child(p, key);

                if (!str_eq(key, "annotations") && !str_eq(key, "labels") && !str_eq(key, "creationTimestamp"))
                        ferr_forbidden(e, &at, "cannot be set");
        }
}

bool condition_is_true(const struct json_object *status, const char *type)
{
        json_array_foreach (json_get(status, "conditions"), i, c) {
                if (str_eq(str_of(c, "type"), type))
                        return str_eq(str_of(c, "status"), "True");
        }
        return false;
}

const void *name_set_get(const struct name_set *s, const char *name)
{
        if (s->n > NAME_SET_FEW)
                return hashmap_get(&s->many, name);
        for (size_t i = 0; i < s->n; i++)
                if (strcmp(s->few[i], name) == 0)
                        return s->values[i];
        return NULL;
}

bool name_set_put(struct name_set *s, const char *name, const void *value)
{
        if (name_set_get(s, name))
                return false;
        if (s->n < NAME_SET_FEW) {
                s->few[s->n] = name;
                s->values[s->n++] = value;
                return true;
        }
        if (s->n == NAME_SET_FEW) {
                hashmap_init(&s->many, HASHMAP_STR);
                for (size_t i = 0; i < NAME_SET_FEW; i++)
                        hashmap_put(&s->many, s->few[i], (void *)s->values[i]);
        }
        hashmap_put(&s->many, name, (void *)value);
        s->n++;
        return true;
}

void name_set_deinit(struct name_set *s)
{
        if (s->n > NAME_SET_FEW)
                hashmap_deinit(&s->many);
        s->n = 0;
}
