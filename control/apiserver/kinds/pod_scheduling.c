/* SPDX-License-Identifier: Apache-2.0 */
/* Where a pod may run: node selectors, affinity, tolerations, topology spread, gates. */
#include <string.h>

#include "apiserver/kinds/pod_check.h"
#include "base/str.h"

#define REQUIRED  "requiredDuringSchedulingIgnoredDuringExecution"
#define PREFERRED "preferredDuringSchedulingIgnoredDuringExecution"

static void check_requirement_values(struct ferrs *e, const struct fpath *p, const struct json_object *req)
{
        static const char *const in[] = {"In", "NotIn", NULL}, *const exists[] = {"Exists", "DoesNotExist", NULL},
                                 *const compare[] = {"Gt", "Lt", NULL};
        struct fpath values = fpath_child(p, "values"), at_op = fpath_child(p, "operator");
        size_t n = json_len(json_get(req, "values"));
        const char *op = str_of(req, "operator");

        if (one_of(op, in)) {
                if (!n)
                        ferr_required(e, &values, "must be specified when `operator` is 'In' or 'NotIn'");
        } else if (one_of(op, exists)) {
                if (n)
                        ferr_forbidden(e, &values,
                                       "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        } else if (one_of(op, compare)) {
                if (n != 1)
                        ferr_required(e, &values, "must be specified single value when `operator` is 'Lt' or 'Gt'");
        } else {
                ferr_invalid_str(e, &at_op, op, "not a valid selector operator");
        }
}

static void check_node_requirement(struct ferrs *e, const struct fpath *p, const struct json_object *req, bool strict)
{
        struct fpath key = fpath_child(p, "key"), values = fpath_child(p, "values");

        check_requirement_values(e, p, req);
        check_name(e, &key, NAME_LABEL_KEY, str_of(req, "key"));
        json_array_foreach (strict ? json_get(req, "values") : NULL, i, value) {
                struct fpath at = fpath_index(&values, i);

                check_name(e, &at, NAME_LABEL_VALUE, json_object_get_string(value));
        }
}

/* Only a node's name is a field that can be selected. */
static void check_field_requirement(struct ferrs *e, const struct fpath *p, const struct json_object *req)
{
        static const char *const in[] = {"In", "NotIn", NULL};
        struct fpath key = fpath_child(p, "key"), values = fpath_child(p, "values"), op = fpath_child(p, "operator");
        struct json_object *list = json_get(req, "values");

        if (!one_of(str_of(req, "operator"), in))
                ferr_invalid_str(e, &op, str_of(req, "operator"), "not a valid selector operator");
        else if (json_len(list) != 1)
                ferr_required(e, &values,
                              "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
        if (!str_eq(str_of(req, "key"), "metadata.name")) {
                ferr_invalid_str(e, &key, str_of(req, "key"), "not a valid field selector key");
                return;
        }
        json_array_foreach (list, i, value) {
                struct fpath at = fpath_index(&values, i);

                check_name(e, &at, NAME_DNS1123_SUBDOMAIN, json_object_get_string(value));
        }
}

static void check_node_term(struct ferrs *e, const struct fpath *p, const struct json_object *term, bool strict)
{
        struct fpath exprs = fpath_child(p, "matchExpressions"), fields = fpath_child(p, "matchFields");

        json_array_foreach (json_get(term, "matchExpressions"), i, req) {
                struct fpath at = fpath_index(&exprs, i);

                check_node_requirement(e, &at, req, strict);
        }
        json_array_foreach (json_get(term, "matchFields"), j, field) {
                struct fpath at = fpath_index(&fields, j);

                check_field_requirement(e, &at, field);
        }
}

void check_node_selector(struct ferrs *e, const struct fpath *p, const struct json_object *selector)
{
        struct fpath terms = fpath_child(p, "nodeSelectorTerms");

        if (!json_len(json_get(selector, "nodeSelectorTerms")))
                ferr_required(e, &terms, "must have at least one node selector term");
        json_array_foreach (json_get(selector, "nodeSelectorTerms"), i, term) {
                struct fpath at = fpath_index(&terms, i);

                check_node_term(e, &at, term, true);
        }
}

static void check_weight(struct ferrs *e, const struct fpath *parent, const struct json_object *o)
{
        int64_t weight = json_get_i64(o, "weight", 0);
        struct fpath p = fpath_child(parent, "weight");

        if (weight < 1 || weight > 100)
                ferr_invalid_i64(e, &p, weight, "must be in the range 1-100");
}

static void check_node_affinity(struct ferrs *e, const struct fpath *p, const struct json_object *affinity)
{
        struct fpath required = fpath_child(p, REQUIRED), preferred = fpath_child(p, PREFERRED);

        if (json_has(affinity, REQUIRED))
                check_node_selector(e, &required, json_get(affinity, REQUIRED));
        json_array_foreach (json_get(affinity, PREFERRED), i, term) {
                struct fpath at = fpath_index(&preferred, i), preference = fpath_child(&at, "preference");

                check_weight(e, &at, term);
                check_node_term(e, &preference, json_get(term, "preference"), false);
        }
}

static void check_label_keys(struct ferrs *e, const struct fpath *parent, const struct json_object *term,
                             const char *field)
{
        struct fpath p = fpath_child(parent, field);
        struct json_object *keys = json_get(term, field);

        if (json_len(keys) && !json_has(term, "labelSelector")) {
                ferr_forbidden(e, &p, "must not be specified when labelSelector is not set");
                return;
        }
        json_array_foreach (keys, i, key) {
                struct fpath at = fpath_index(&p, i);

                check_name(e, &at, NAME_LABEL_KEY, json_object_get_string(key));
        }
}

static void check_match_label_keys(struct ferrs *e, const struct fpath *p, const struct json_object *term)
{
        struct fpath keys = fpath_child(p, "matchLabelKeys");

        check_label_keys(e, p, term, "matchLabelKeys");
        check_label_keys(e, p, term, "mismatchLabelKeys");
        json_array_foreach (json_get(term, "matchLabelKeys"), i, key) {
                struct fpath at = fpath_index(&keys, i);
                const char *text = json_object_get_string(key);

                json_array_foreach (json_get(term, "mismatchLabelKeys"), j, other) {
                        if (str_eq(json_object_get_string(other), text))
                                ferr_invalid_str(e, &at, text, "exists in both matchLabelKeys and mismatchLabelKeys");
                }
        }
}

static void check_pod_term(struct ferrs *e, const struct fpath *p, const struct json_object *term)
{
        struct fpath labels = fpath_child(p, "labelSelector"), spaces = fpath_child(p, "namespaceSelector"),
                     names = fpath_child(p, "namespace"), key = fpath_child(p, "topologyKey");

        check_label_selector(e, &labels, json_get(term, "labelSelector"));
        check_label_selector(e, &spaces, json_get(term, "namespaceSelector"));
        json_array_foreach (json_get(term, "namespaces"), i, name) {
                check_name(e, &names, NAME_DNS1123_LABEL, json_object_get_string(name));
        }
        check_match_label_keys(e, p, term);
        if (!*str_of(term, "topologyKey"))
                ferr_required(e, &key, "can not be empty");
        check_name(e, &key, NAME_LABEL_KEY, str_of(term, "topologyKey"));
}

static void check_pod_affinity(struct ferrs *e, const struct fpath *p, const struct json_object *affinity)
{
        struct fpath required = fpath_child(p, REQUIRED), preferred = fpath_child(p, PREFERRED);

        json_array_foreach (json_get(affinity, REQUIRED), i, term) {
                struct fpath at = fpath_index(&required, i);

                check_pod_term(e, &at, term);
        }
        json_array_foreach (json_get(affinity, PREFERRED), j, weighted) {
                struct fpath at = fpath_index(&preferred, j), inner = fpath_child(&at, "podAffinityTerm");

                check_weight(e, &at, weighted);
                check_pod_term(e, &inner, json_get(weighted, "podAffinityTerm"));
        }
}

static void check_affinity(struct ferrs *e, const struct fpath *spec, const struct json_object *affinity)
{
        struct fpath p = fpath_child(spec, "affinity"), node = fpath_child(&p, "nodeAffinity"),
                     pod = fpath_child(&p, "podAffinity"), anti = fpath_child(&p, "podAntiAffinity");

        if (!affinity)
                return;
        if (json_has(affinity, "nodeAffinity"))
                check_node_affinity(e, &node, json_get(affinity, "nodeAffinity"));
        check_pod_affinity(e, &pod, json_get(affinity, "podAffinity"));
        check_pod_affinity(e, &anti, json_get(affinity, "podAntiAffinity"));
}

void check_taint_effect(struct ferrs *e, const struct fpath *p, const char *effect, bool required)
{
        static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};

        if (!*effect) {
                if (required)
                        ferr_required(e, p, NULL);
        } else if (!one_of(effect, effects)) {
                ferr_not_supported(e, p, effect, effects);
        }
}

static void check_toleration(struct ferrs *e, const struct fpath *p, const struct json_object *t)
{
        static const char *const operators[] = {"Equal", "Exists", NULL};
        struct fpath at_key = fpath_child(p, "key"), at_op = fpath_child(p, "operator"),
                     at_effect = fpath_child(p, "effect");
        const char *key = str_of(t, "key"), *op = str_of(t, "operator"), *effect = str_of(t, "effect"),
                   *value = str_of(t, "value");

        if (*key)
                check_name(e, &at_key, NAME_LABEL_KEY, key);
        else if (!str_eq(op, "Exists"))
                ferr_invalid_str(e, &at_op, op,
                                 "operator must be Exists when `key` is empty, which means \"match all values and all "
                                 "keys\"");
        if (json_has(t, "tolerationSeconds") && !str_eq(effect, "NoExecute"))
                ferr_invalid_str(e, &at_effect, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
        if (!*op || str_eq(op, "Equal"))
                check_name(e, &at_op, NAME_LABEL_VALUE, value);
        else if (!str_eq(op, "Exists"))
                ferr_not_supported(e, &at_op, op, operators);
        else if (*value)
                ferr_invalid_str(e, &at_op, value, "value must be empty when `operator` is 'Exists'");
        check_taint_effect(e, &at_effect, effect, false);
}

void check_tolerations(struct ferrs *e, const struct fpath *p, const struct json_object *tolerations)
{
        json_array_foreach (tolerations, i, t) {
                struct fpath at = fpath_index(p, i);

                check_toleration(e, &at, t);
        }
}

static void check_spread_keys(struct ferrs *e, const struct fpath *parent, const struct json_object *constraint)
{
        struct json_object *keys = json_get(constraint, "matchLabelKeys"),
                           *selector = json_get(constraint, "labelSelector");
        struct fpath p = fpath_child(parent, "matchLabelKeys");

        if (json_len(keys) && !selector)
                ferr_forbidden(e, &p, "must not be specified when labelSelector is not set");
        json_array_foreach (keys, i, key) {
                struct fpath at = fpath_index(&p, i);
                const char *text = json_object_get_string(key);

                check_name(e, &at, NAME_LABEL_KEY, text);
                if (label_selector_has_key(selector, text))
                        ferr_invalid_str(e, &at, text, "exists in both matchLabelKeys and labelSelector");
        }
}

static void check_min_domains(struct ferrs *e, const struct fpath *parent, const struct json_object *constraint)
{
        int64_t n = json_get_i64(constraint, "minDomains", 1);
        const char *action = str_of(constraint, "whenUnsatisfiable");
        struct fpath p = fpath_child(parent, "minDomains");

        if (!json_has(constraint, "minDomains"))
                return;
        if (n <= 0)
                ferr_invalid_i64(e, &p, n, MSG_NOT_POSITIVE);
        if (!str_eq(action, "DoNotSchedule"))
                ferr_invalid_i64(e, &p, n, "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not %s",
                                 action);
}

/* One topology key has at most one constraint of each kind; the earlier one is told. */
static void check_spread_repeat(struct ferrs *e, const struct fpath *p, const struct json_object *list, size_t i)
{
        struct fpath at = fpath_child(p, "{topologyKey, whenUnsatisfiable}");
        const struct json_object *one = json_idx(list, i);
        const char *key = str_of(one, "topologyKey"), *action = str_of(one, "whenUnsatisfiable");

        for (size_t j = i + 1; j < json_len(list); j++) {
                const struct json_object *other = json_idx(list, j);

                if (!str_eq(str_of(other, "topologyKey"), key) || !str_eq(str_of(other, "whenUnsatisfiable"), action))
                        continue;
                ferr_duplicate_str(e, &at, arena_printf(e->arena, "{%s, %s}", key, action));
                return;
        }
}

static void check_spread(struct ferrs *e, const struct fpath *spec, const struct json_object *list)
{
        static const char *const actions[] = {"DoNotSchedule", "ScheduleAnyway", NULL};
        static const char *const policies[] = {"Honor", "Ignore", NULL};
        struct fpath p = fpath_child(spec, "topologySpreadConstraints");

        json_array_foreach (list, i, constraint) {
                struct fpath at = fpath_index(&p, i), skew = fpath_child(&at, "maxSkew"),
                             key = fpath_child(&at, "topologyKey"), when = fpath_child(&at, "whenUnsatisfiable"),
                             selector = fpath_child(&at, "labelSelector");
                int64_t max_skew = json_get_i64(constraint, "maxSkew", 0);

                if (max_skew <= 0)
                        ferr_invalid_i64(e, &skew, max_skew, MSG_NOT_POSITIVE);
                if (!*str_of(constraint, "topologyKey"))
                        ferr_required(e, &key, "can not be empty");
                if (!one_of(str_of(constraint, "whenUnsatisfiable"), actions))
                        ferr_not_supported(e, &when, str_of(constraint, "whenUnsatisfiable"), actions);
                check_spread_repeat(e, &at, list, i);
                check_min_domains(e, &at, constraint);
                check_one_of(e, &at, constraint, "nodeAffinityPolicy", policies, false);
                check_one_of(e, &at, constraint, "nodeTaintsPolicy", policies, false);
                check_spread_keys(e, &at, constraint);
                check_label_selector(e, &selector, json_get(constraint, "labelSelector"));
        }
}

static void check_gates(struct ferrs *e, const struct fpath *spec, const struct json_object *gates)
{
        _cleanup_names_ struct name_set seen = NAME_SET_NULL;
        struct fpath p = fpath_child(spec, "schedulingGates");

        json_array_foreach (gates, i, gate) {
                struct fpath at = fpath_index(&p, i);
                const char *name = str_of(gate, "name");

                check_name(e, &at, NAME_LABEL_KEY, name);
                if (!name_set_add(&seen, name))
                        ferr_duplicate_str(e, &at, name);
        }
}

static void check_readiness_gates(struct ferrs *e, const struct fpath *spec, const struct json_object *gates)
{
        struct fpath p = fpath_child(spec, "readinessGates");

        json_array_foreach (gates, i, gate) {
                struct fpath at = fpath_index(&p, i), type = fpath_child(&at, "conditionType");

                check_name(e, &type, NAME_LABEL_KEY, str_of(gate, "conditionType"));
        }
}

void pod_check_scheduling(struct pod_check *pc, const struct fpath *spec)
{
        struct fpath selector = fpath_child(spec, "nodeSelector"), tolerations = fpath_child(spec, "tolerations");

        check_labels(pc->e, &selector, json_get(pc->spec, "nodeSelector"));
        check_affinity(pc->e, spec, json_get(pc->spec, "affinity"));
        check_readiness_gates(pc->e, spec, json_get(pc->spec, "readinessGates"));
        check_gates(pc->e, spec, json_get(pc->spec, "schedulingGates"));
        check_spread(pc->e, spec, json_get(pc->spec, "topologySpreadConstraints"));
        check_tolerations(pc->e, &tolerations, json_get(pc->spec, "tolerations"));
}
