/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kubelet/node/affinity.h"
#include "base/str.h"

static bool is_in(const struct json_object *values, const char *value)
{
        json_array_foreach (values, i, v)
                if (str_eq(json_object_get_string(v), value))
                        return true;
        return false;
}

/* Gt and Lt compare whole numbers; what is none never matches. */
static bool compare(const struct json_object *values, const char *value, bool greater)
{
        const char *bound = json_len(values) == 1 ? json_object_get_string(json_idx(values, 0)) : NULL;
        int64_t have, than;

        if (!bound || !value || str_parse_i64(value, &have) || str_parse_i64(bound, &than))
                return false;
        return greater ? have > than : have < than;
}

static bool holds(const struct json_object *requirement, const char *value)
{
        const struct json_object *values = json_get(requirement, "values");
        const char *op = json_get_str(requirement, "operator");

        if (str_eq(op, "In"))
                return value && is_in(values, value);
        if (str_eq(op, "NotIn"))
                return !value || !is_in(values, value);
        if (str_eq(op, "Exists"))
                return value != NULL;
        if (str_eq(op, "DoesNotExist"))
                return value == NULL;
        if (str_eq(op, "Gt") || str_eq(op, "Lt"))
                return compare(values, value, str_eq(op, "Gt"));
        return false;
}

/* A term without any requirement matches nothing. */
static bool term_matches(const struct json_object *term, const struct json_object *node)
{
        const struct json_object *expressions = json_get(term, "matchExpressions"),
                                 *fields = json_get(term, "matchFields"), *labels = json_at(node, "metadata.labels");

        if (!json_len(expressions) && !json_len(fields))
                return false;
        json_array_foreach (expressions, i, e) {
                const char *key = json_get_str(e, "key");

                if (!key || !holds(e, json_get_str(labels, key)))
                        return false;
        }
        json_array_foreach (fields, k, f)
                if (!str_eq(json_get_str(f, "key"), "metadata.name") || !holds(f, json_at_str(node, "metadata.name")))
                        return false;
        return true;
}

bool affinity_allows(const struct json_object *pod, const struct json_object *node)
{
        const struct json_object *required =
                json_at(pod, "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution");

        json_foreach (json_at(pod, "spec.nodeSelector"), key, value)
                if (!str_eq(json_get_str(json_at(node, "metadata.labels"), key), json_object_get_string(value)))
                        return false;
        if (!required)
                return true;
        json_array_foreach (json_get(required, "nodeSelectorTerms"), i, term)
                if (term_matches(term, node))
                        return true;
        return false;
}

static bool tolerates(const struct json_object *toleration, const char *key, const char *value, const char *effect)
{
        const char *of_effect = json_get_str(toleration, "effect"), *of_key = json_get_str(toleration, "key"),
                   *op = json_get_str(toleration, "operator"), *of_value = json_get_str(toleration, "value");

        if ((!str_empty(of_effect) && !str_eq(of_effect, effect)) || (!str_empty(of_key) && !str_eq(of_key, key)))
                return false;
        if (str_eq(op, "Exists"))
                return true;
        return (str_empty(op) || str_eq(op, "Equal")) && str_eq(of_value ? of_value : "", value ? value : "");
}

static bool any_tolerates(const struct json_object *pod, const char *key, const char *value, const char *effect)
{
        json_array_foreach (json_at(pod, "spec.tolerations"), i, t)
                if (tolerates(t, key, value, effect))
                        return true;
        return false;
}

const struct json_object *taint_untolerated(const struct json_object *pod, const struct json_object *node,
                                            const char *effect)
{
        json_array_foreach (json_at(node, "spec.taints"), i, t)
                if (str_eq(json_get_str(t, "effect"), effect) &&
                    !any_tolerates(pod, json_get_str(t, "key"), json_get_str(t, "value"), effect))
                        return t;
        return NULL;
}

bool taint_tolerated(const struct json_object *pod, const char *key, const char *effect)
{
        return any_tolerates(pod, key, "", effect);
}
