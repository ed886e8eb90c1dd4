/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/netcheck.h"
#include "base/str.h"

#define RBAC "rbac.authorization.k8s.io"

static const char *const rbac_group[] = {RBAC, NULL};

static const char *validate_name(const char *name)
{
        return name_error(NAME_PATH_SEGMENT, name);
}

static void check_policy_rule(const struct json_object *rule, bool namespaced, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *urls = json_get(rule, "nonResourceURLs"), *groups = json_get(rule, "apiGroups");
        const struct json_object *resources = json_get(rule, "resources"), *names = json_get(rule, "resourceNames");

        if (!json_len(json_get(rule, "verbs")))
                ferr_required(e, FP(p, "verbs"), "verbs must contain at least one value");
        if (json_len(urls)) {
                if (namespaced)
                        ferr_invalid(e, FP(p, "nonResourceURLs"), urls,
                                     "namespaced rules cannot apply to non-resource URLs");
                if (json_len(groups) || json_len(resources) || json_len(names))
                        ferr_invalid(e, FP(p, "nonResourceURLs"), urls,
                                     "rules cannot apply to both regular resources and non-resource URLs");
                return;
        }
        if (!json_len(groups))
                ferr_required(e, FP(p, "apiGroups"), "resource rules must supply at least one api group");
        if (!json_len(resources))
                ferr_required(e, FP(p, "resources"), "resource rules must supply at least one resource");
}

static void check_policy_rules(const struct json_object *obj, bool namespaced, struct ferrs *e)
{
        json_array_foreach (json_get(obj, "rules"), i, rule)
                check_policy_rule(rule, namespaced, FPI(FP(NULL, "rules"), i), e);
}

static void role_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        check_policy_rules(obj, true, e);
}

static void cluster_role_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const struct json_object *aggregation = json_get(obj, "aggregationRule");
        const struct json_object *selectors = json_get(aggregation, "clusterRoleSelectors");
        const struct fpath *p = FP(FP(NULL, "aggregationRule"), "clusterRoleSelectors");

        check_policy_rules(obj, false, e);
        if (aggregation && !json_len(selectors))
                ferr_required(e, p, "at least one clusterRoleSelector required if aggregationRule is non-nil");
        json_array_foreach (selectors, i, selector)
                check_label_selector(e, FPI(p, i), selector);
}

const struct kind_ops kind_roles = {
        .group = RBAC,
        .plural = "roles",
        .flags = KIND_CREATE_ON_UPDATE,
        .validate_name = validate_name,
        .validate = role_validate,
};

const struct kind_ops kind_clusterroles = {
        .group = RBAC,
        .plural = "clusterroles",
        .flags = KIND_CREATE_ON_UPDATE,
        .validate_name = validate_name,
        .validate = cluster_role_validate,
};

static void binding_defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *ref = json_ensure(obj, "roleRef");

        if (str_empty(str_of(ref, "apiGroup"))) /* which Go writes even when it is */
                json_set_str(ref, "apiGroup", RBAC);
        json_array_foreach (json_get(obj, "subjects"), i, subject) {
                const char *kind = str_of(subject, "kind");

                if (str_eq(kind, "User") || str_eq(kind, "Group"))
                        json_default_str(subject, "apiGroup", RBAC);
        }
}

static void check_account(const struct json_object *subject, bool namespaced, const struct fpath *p, struct ferrs *e)
{
        static const char *const none[] = {"", NULL};

        check_name_if(e, p, subject, "name", NAME_DNS1123_SUBDOMAIN);
        if (!str_empty(str_of(subject, "apiGroup")))
                ferr_not_supported(e, FP(p, "apiGroup"), str_of(subject, "apiGroup"), none);
        if (!namespaced && str_empty(str_of(subject, "namespace")))
                ferr_required(e, FP(p, "namespace"), NULL);
}

/* A User or a Group. */
static void check_identity(const struct json_object *subject, const char *what, const struct fpath *p, struct ferrs *e)
{
        if (str_empty(str_of(subject, "name")))
                ferr_invalid_str(e, FP(p, "name"), "", "%s name cannot be empty", what);
        if (!str_eq(str_of(subject, "apiGroup"), RBAC))
                ferr_not_supported(e, FP(p, "apiGroup"), str_of(subject, "apiGroup"), rbac_group);
}

static void check_subject(const struct json_object *subject, bool namespaced, const struct fpath *p, struct ferrs *e)
{
        static const char *const kinds[] = {"ServiceAccount", "User", "Group", NULL};
        const char *kind = str_of(subject, "kind");

        if (str_empty(str_of(subject, "name")))
                ferr_required(e, FP(p, "name"), NULL);
        if (str_eq(kind, "ServiceAccount"))
                check_account(subject, namespaced, p, e);
        else if (str_eq(kind, "User"))
                check_identity(subject, "user", p, e);
        else if (str_eq(kind, "Group"))
                check_identity(subject, "group", p, e);
        else
                ferr_not_supported(e, FP(p, "kind"), kind, kinds);
}

static void check_binding(const struct json_object *obj, bool namespaced, struct ferrs *e)
{
        static const char *const any_role[] = {"Role", "ClusterRole", NULL}, *const cluster_role[] = {"ClusterRole",
                                                                                                      NULL};
        const char *const *kinds = namespaced ? any_role : cluster_role;
        const struct json_object *ref = json_get(obj, "roleRef");
        const struct fpath *p = FP(NULL, "roleRef");

        if (!str_eq(str_of(ref, "apiGroup"), RBAC))
                ferr_not_supported(e, FP(p, "apiGroup"), str_of(ref, "apiGroup"), rbac_group);
        if (!one_of(str_of(ref, "kind"), kinds))
                ferr_not_supported(e, FP(p, "kind"), str_of(ref, "kind"), kinds);
        check_name_required(e, p, ref, "name", NAME_PATH_SEGMENT);
        json_array_foreach (json_get(obj, "subjects"), i, subject)
                check_subject(subject, namespaced, FPI(FP(NULL, "subjects"), i), e);
}

static void role_binding_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        check_binding(obj, true, e);
}

static void cluster_role_binding_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        check_binding(obj, false, e);
}

/* The reference as upstream's internal struct prints. */
static struct json_object *internal_role_ref(const struct json_object *ref)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "APIGroup", str_of(ref, "apiGroup"));
        json_set_str(o, "Kind", str_of(ref, "kind"));
        json_set_str(o, "Name", str_of(ref, "name"));
        return o;
}

static void binding_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                    struct ferrs *e)
{
        _cleanup_json_ struct json_object *shown = NULL;

        if (json_equal(json_get(obj, "roleRef"), json_get(old, "roleRef")))
                return;
        shown = internal_role_ref(json_get(obj, "roleRef"));
        ferr_invalid(e, FP(NULL, "roleRef"), shown, "cannot change roleRef");
}

const struct kind_ops kind_rolebindings = {
        .group = RBAC,
        .plural = "rolebindings",
        .flags = KIND_CREATE_ON_UPDATE,
        .validate_name = validate_name,
        .defaults = binding_defaults,
        .validate = role_binding_validate,
        .validate_update = binding_validate_update,
};

const struct kind_ops kind_clusterrolebindings = {
        .group = RBAC,
        .plural = "clusterrolebindings",
        .flags = KIND_CREATE_ON_UPDATE,
        .validate_name = validate_name,
        .defaults = binding_defaults,
        .validate = cluster_role_binding_validate,
        .validate_update = binding_validate_update,
};
