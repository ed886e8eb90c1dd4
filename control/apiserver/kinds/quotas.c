/* SPDX-License-Identifier: Apache-2.0 */
/* ResourceQuotas. */
#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/pod_check.h"
#include "base/str.h"

static const char *const scopes[] = {"Terminating",
                                     "NotTerminating",
                                     "BestEffort",
                                     "NotBestEffort",
                                     "PriorityClass",
                                     "CrossNamespacePodAffinity",
                                     "VolumeAttributesClass",
                                     NULL};

static void check_list(struct ferrs *e, const struct fpath *parent, const struct json_object *o, const char *list)
{
        struct fpath p = fpath_child(parent, list);

        json_foreach (json_get(o, list), name, val) {
                struct fpath at = fpath_key(&p, name);

                check_resource_name(e, &at, name, RESOURCE_OF_QUOTA);
                check_resource_quantity(e, &at, name, json_object_get_string(val));
        }
}

static bool scope_fits(const char *scope, const char *resource)
{
        static const char *const compute[] = {"cpu",          "memory",          "limits.cpu", "limits.memory",
                                              "requests.cpu", "requests.memory", "pods",       NULL};
        static const char *const claims[] = {"persistentvolumeclaims", "requests.storage", NULL};

        if (str_eq(scope, "BestEffort"))
                return str_eq(resource, "pods");
        if (str_eq(scope, "VolumeAttributesClass"))
                return one_of(resource, claims);
        return one_of(resource, compute);
}

static bool all_fit(const struct json_object *hard, const char *scope)
{
        json_foreach (hard, name, val) {
                if (resource_is_quota_name(name) && !scope_fits(scope, name))
                        return false;
        }
        return true;
}

static bool has_scope(const struct json_object *list, const char *scope)
{
        json_array_foreach (list, i, item) {
                if (str_eq(json_object_get_string(item), scope))
                        return true;
        }
        return false;
}

static void check_scopes(struct ferrs *e, const struct fpath *spec_path, const struct json_object *spec)
{
        struct json_object *list = json_get(spec, "scopes");
        struct fpath p = fpath_child(spec_path, "scopes");

        json_array_foreach (list, i, scope) {
                const char *text = json_object_get_string(scope);

                if (!one_of(text, scopes))
                        ferr_invalid(e, &p, list, "unsupported scope");
                if (!all_fit(json_get(spec, "hard"), text))
                        ferr_invalid(e, &p, list, "unsupported scope applied to resource");
        }
        if ((has_scope(list, "BestEffort") && has_scope(list, "NotBestEffort")) ||
            (has_scope(list, "Terminating") && has_scope(list, "NotTerminating")))
                ferr_invalid(e, &p, list, "conflicting scopes");
}

static void check_scope_operator(struct ferrs *e, const struct fpath *p, const struct json_object *req)
{
        static const char *const in[] = {"In", "NotIn", NULL}, *const exists[] = {"Exists", "DoesNotExist", NULL};
        static const char *const valued[] = {"PriorityClass", "VolumeAttributesClass", NULL};
        struct fpath at_op = fpath_child(p, "operator"), values = fpath_child(p, "values");
        const char *op = str_of(req, "operator"), *scope = str_of(req, "scopeName");

        if (one_of(scope, scopes) && !one_of(scope, valued) && !str_eq(op, "Exists"))
                ferr_invalid_str(e, &at_op, op,
                                 "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
                                 "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
                                 "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity");
        if (one_of(op, in)) {
                if (!json_len(json_get(req, "values")))
                        ferr_required(e, &values,
                                      "must be at least one value when `operator` is 'In' or 'NotIn' for scope "
                                      "selector");
        } else if (!one_of(op, exists)) {
                ferr_invalid_str(e, &at_op, op, "not a valid selector operator");
        } else if (json_len(json_get(req, "values"))) {
                ferr_invalid(e, &values, json_get(req, "values"),
                             "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector");
        }
}

static void check_scope_selector(struct ferrs *e, const struct fpath *spec_path, const struct json_object *spec)
{
        struct fpath selector = fpath_child(spec_path, "scopeSelector"), p = fpath_child(&selector, "matchExpressions"),
                     name = fpath_child(&p, "scopeName");

        json_array_foreach (json_at(spec, "scopeSelector.matchExpressions"), i, req) {
                const char *scope = str_of(req, "scopeName");

                if (!one_of(scope, scopes))
                        ferr_invalid_str(e, &name, scope, "unsupported scope");
                if (!all_fit(json_get(spec, "hard"), scope))
                        ferr_invalid(e, &p, json_get(spec, "scopeSelector"), "unsupported scope applied to resource");
                check_scope_operator(e, &p, req);
        }
}

static void quotas_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        struct json_object *spec = json_get(obj, "spec");
        struct fpath p = fpath_child(NULL, "spec");

        check_list(e, &p, spec, "hard");
        check_scopes(e, &p, spec);
        check_scope_selector(e, &p, spec);
}

static void quotas_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                   struct ferrs *e)
{
        struct json_object *is = json_at(obj, "spec.scopes"), *was = json_at(old, "spec.scopes");
        struct fpath spec = fpath_child(NULL, "spec"), p = fpath_child(&spec, "scopes");
        bool same = true;

        json_array_foreach (is, i, scope) {
                same &= has_scope(was, json_object_get_string(scope));
        }
        json_array_foreach (was, j, old_scope) {
                same &= has_scope(is, json_object_get_string(old_scope));
        }
        if (!same)
                ferr_invalid(e, &p, is, MSG_IMMUTABLE);
}

static void quotas_validate_status(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                   struct ferrs *e)
{
        struct fpath p = fpath_child(NULL, "status");

        check_list(e, &p, json_get(obj, "status"), "hard");
        check_list(e, &p, json_get(obj, "status"), "used");
}

const struct kind_ops kind_resourcequotas = {
        .group = "",
        .plural = "resourcequotas",
        .flags = KIND_STATUS_RESET,
        .validate = quotas_validate,
        .validate_update = quotas_validate_update,
        .validate_status = quotas_validate_status,
};
