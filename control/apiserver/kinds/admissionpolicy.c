/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ValidatingAdmissionPolicies, MutatingAdmissionPolicies and their bindings. CEL expressions are kept as they are: only
 * that there is one is checked here.
 */
#include <string.h>

#include "apiserver/kinds/admission.h"
#include "apiserver/kinds/kinds.h"
#include "base/str.h"

#define GROUP                 "admissionregistration.k8s.io"
#define AUDIT_ANNOTATIONS_MAX 20

static bool is_blank(const char *s)
{
        return !s[strspn(s, " \t\r\n")];
}

static void default_match(struct json_object *match)
{
        admission_default_match(match, "resourceRules");
        json_array_foreach (json_get(match, "excludeResourceRules"), i, rule)
                json_default_str(rule, "scope", "*");
}

static void policy_defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_ensure(obj, "spec"), *match = json_get(spec, "matchConstraints");

        json_default_str(spec, "failurePolicy", "Fail");
        if (match)
                default_match(match);
}

static void check_rules(const struct json_object *list, const struct fpath *p, struct ferrs *e)
{
        json_array_foreach (list, i, rule)
                admission_check_rule(rule, FPI(p, i), e);
}

static void check_match(const struct json_object *match, const struct fpath *p, struct ferrs *e)
{
        check_one_of(e, p, match, "matchPolicy", admission_match_policies, true);
        check_label_selector(e, FP(p, "namespaceSelector"), json_get(match, "namespaceSelector"));
        check_label_selector(e, FP(p, "objectSelector"), json_get(match, "objectSelector"));
        check_rules(json_get(match, "resourceRules"), FP(p, "resourceRules"), e);
        check_rules(json_get(match, "excludeResourceRules"), FP(p, "excludeResourceRules"), e);
}

static void check_param_kind(const struct json_object *kind, const struct fpath *p, struct ferrs *e)
{
        const char *version = str_of(kind, "apiVersion"), *slash = strchr(version, '/');

        if (!*version)
                ferr_required(e, FP(p, "apiVersion"), NULL);
        else if (slash && strchr(slash + 1, '/'))
                ferr_invalid_str(e, FP(p, "apiVersion"), version, "unexpected GroupVersion string: %s", version);
        else
                check_name(e, FP(p, "apiVersion"), NAME_DNS1035_LABEL, slash ? slash + 1 : version);
        if (str_empty(str_of(kind, "kind")))
                ferr_required(e, FP(p, "kind"), NULL);
}

static void check_variables(const struct json_object *list, const struct fpath *p, struct ferrs *e)
{
        json_array_foreach (list, i, variable) {
                const char *name = str_of(variable, "name");

                if (is_blank(name))
                        ferr_required(e, FP(FPI(p, i), "name"), "name is not specified");
                else if (name_error(NAME_C_IDENTIFIER, name))
                        ferr_invalid_str(e, FP(FPI(p, i), "name"), name, "name is not a valid CEL identifier");
                if (is_blank(str_of(variable, "expression")))
                        ferr_required(e, FP(FPI(p, i), "expression"), "expression is not specified");
        }
}

static void check_common(const struct json_object *spec, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *match = json_get(spec, "matchConstraints");

        check_one_of(e, p, spec, "failurePolicy", admission_failure_policies, true);
        if (json_has(spec, "paramKind"))
                check_param_kind(json_get(spec, "paramKind"), FP(p, "paramKind"), e);
        if (!match) {
                ferr_required(e, FP(p, "matchConstraints"), NULL);
        } else {
                check_match(match, FP(p, "matchConstraints"), e);
                if (!json_len(json_get(match, "resourceRules")))
                        ferr_required(e, FP(FP(p, "matchConstraints"), "resourceRules"), NULL);
        }
        admission_check_match_conditions(json_get(spec, "matchConditions"), FP(p, "matchConditions"), e);
        check_variables(json_get(spec, "variables"), FP(p, "variables"), e);
}

static void check_validation(const struct json_object *validation, const struct fpath *p, struct ferrs *e)
{
        static const char *const reasons[] = {"Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized", NULL};
        const char *message = str_of(validation, "message"), *expression = str_of(validation, "messageExpression");

        if (is_blank(str_of(validation, "expression")))
                ferr_required(e, FP(p, "expression"), "expression is not specified");
        if (*expression && is_blank(expression))
                ferr_invalid_str(e, FP(p, "messageExpression"), expression, "must be non-empty if specified");
        if (*message && is_blank(message))
                ferr_invalid_str(e, FP(p, "message"), message, "message must be non-empty if specified");
        else if (strpbrk(message, "\r\n"))
                ferr_invalid_str(e, FP(p, "message"), message, "message must not contain line breaks");
        check_one_of(e, p, validation, "reason", reasons, false);
}

static void check_audit_annotations(const struct json_object *list, const struct fpath *p, struct ferrs *e)
{
        _cleanup_names_ struct name_set keys = NAME_SET_NULL;

        if (json_len(list) > AUDIT_ANNOTATIONS_MAX)
                ferr_invalid(e, p, list, "must not have more than %d auditAnnotations", AUDIT_ANNOTATIONS_MAX);
        json_array_foreach (list, i, annotation) {
                const char *key = str_of(annotation, "key");

                if (!*key)
                        ferr_required(e, FP(FPI(p, i), "key"), NULL);
                if (is_blank(str_of(annotation, "valueExpression")))
                        ferr_required(e, FP(FPI(p, i), "valueExpression"), "valueExpression is not specified");
                if (!name_set_add(&keys, key))
                        ferr_duplicate_str(e, FP(FPI(p, i), "key"), key);
        }
}

static void validating_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        static const char one[] = "validations or auditAnnotations must contain at least one item";
        const struct json_object *spec = json_get(obj, "spec"), *validations = json_get(spec, "validations");
        const struct json_object *annotations = json_get(spec, "auditAnnotations");
        const struct fpath *p = FP(NULL, "spec");

        check_common(spec, p, e);
        if (!json_len(validations) && !json_len(annotations)) {
                ferr_required(e, FP(p, "validations"), one);
                ferr_required(e, FP(p, "auditAnnotations"), one);
        }
        json_array_foreach (validations, i, validation)
                check_validation(validation, FPI(FP(p, "validations"), i), e);
        check_audit_annotations(annotations, FP(p, "auditAnnotations"), e);
}

const struct kind_ops kind_validatingadmissionpolicies = {
        .group = GROUP,
        .plural = "validatingadmissionpolicies",
        .flags = KIND_GENERATION | KIND_STATUS_RESET | KIND_NO_UNCONDITIONAL_UPDATE,
        .defaults = policy_defaults,
        .validate = validating_validate,
};

static void check_mutation(const struct json_object *mutation, const struct fpath *p, struct ferrs *e)
{
        static const char *const types[] = {"ApplyConfiguration", "JSONPatch", NULL};
        const char *type = str_of(mutation, "patchType");
        const char *field = str_eq(type, "JSONPatch") ? "jsonPatch" : "applyConfiguration";
        const char *other = str_eq(type, "JSONPatch") ? "applyConfiguration" : "jsonPatch";

        check_one_of(e, p, mutation, "patchType", types, true);
        if (!one_of(type, types))
                return;
        if (!json_has(mutation, field))
                ferr_required(e, FP(p, field), "must be specified when patchType is %s", type);
        else if (is_blank(str_of(json_get(mutation, field), "expression")))
                ferr_required(e, FP(FP(p, field), "expression"), "expression is not specified");
        if (json_has(mutation, other))
                ferr_invalid_str(e, FP(p, other), "{}", "must not be specified when patchType is %s", type);
}

static void mutating_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const struct json_object *spec = json_get(obj, "spec"), *mutations = json_get(spec, "mutations");
        const struct fpath *p = FP(NULL, "spec");

        check_common(spec, p, e);
        check_one_of(e, p, spec, "reinvocationPolicy", admission_reinvocations, true);
        if (!json_len(mutations))
                ferr_required(e, FP(p, "mutations"), "mutations must contain at least one item");
        json_array_foreach (mutations, i, mutation)
                check_mutation(mutation, FPI(FP(p, "mutations"), i), e);
}

const struct kind_ops kind_mutatingadmissionpolicies = {
        .group = GROUP,
        .plural = "mutatingadmissionpolicies",
        .flags = KIND_GENERATION | KIND_NO_UNCONDITIONAL_UPDATE,
        .defaults = policy_defaults,
        .validate = mutating_validate,
};

static void binding_defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *match = json_at(obj, "spec.matchResources");

        if (match)
                default_match(match);
}

static void check_param_ref(const struct json_object *ref, const struct fpath *p, struct ferrs *e)
{
        static const char *const actions[] = {"Allow", "Deny", NULL};
        const char *name = str_of(ref, "name");
        bool selector = json_has(ref, "selector");

        if (*name && selector) {
                ferr_forbidden(e, FP(p, "name"), "name and selector are mutually exclusive");
                ferr_forbidden(e, FP(p, "selector"), "name and selector are mutually exclusive");
        } else if (!*name && !selector) {
                ferr_required(e, p, "one of name or selector must be specified");
        }
        if (*name)
                check_name(e, FP(p, "name"), NAME_PATH_SEGMENT, name);
        check_label_selector(e, FP(p, "selector"), json_get(ref, "selector"));
        check_one_of(e, p, ref, "parameterNotFoundAction", actions, true);
}

static void check_binding(const struct json_object *spec, const struct fpath *p, struct ferrs *e)
{
        check_name_required(e, p, spec, "policyName", NAME_DNS1123_SUBDOMAIN);
        if (json_has(spec, "paramRef"))
                check_param_ref(json_get(spec, "paramRef"), FP(p, "paramRef"), e);
        if (json_has(spec, "matchResources"))
                check_match(json_get(spec, "matchResources"), FP(p, "matchResources"), e);
}

static void check_actions(const struct json_object *list, const struct fpath *p, struct ferrs *e)
{
        static const char *const actions[] = {"Audit", "Deny", "Warn", NULL};
        _cleanup_names_ struct name_set seen = NAME_SET_NULL;

        for (size_t i = 0; i < json_len(list); i++) {
                if (!one_of(str_at(list, i), actions))
                        ferr_not_supported(e, FPI(p, i), str_at(list, i), actions);
                if (!name_set_add(&seen, str_at(list, i)))
                        ferr_duplicate_str(e, FPI(p, i), str_at(list, i));
        }
        if (name_set_get(&seen, "Deny") && name_set_get(&seen, "Warn"))
                ferr_invalid(e, p, list,
                             "must not contain both Deny and Warn (repeating the same validation failure information "
                             "in the API response and headers serves no purpose)");
        if (!json_len(list))
                ferr_required(e, p, "at least one validation action is required");
}

static void validating_binding_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const struct json_object *spec = json_get(obj, "spec");
        const struct fpath *p = FP(NULL, "spec");

        check_binding(spec, p, e);
        check_actions(json_get(spec, "validationActions"), FP(p, "validationActions"), e);
}

static void mutating_binding_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        check_binding(json_get(obj, "spec"), FP(NULL, "spec"), e);
}

const struct kind_ops kind_validatingadmissionpolicybindings = {
        .group = GROUP,
        .plural = "validatingadmissionpolicybindings",
        .flags = KIND_GENERATION | KIND_NO_UNCONDITIONAL_UPDATE,
        .defaults = binding_defaults,
        .validate = validating_binding_validate,
};

const struct kind_ops kind_mutatingadmissionpolicybindings = {
        .group = GROUP,
        .plural = "mutatingadmissionpolicybindings",
        .flags = KIND_GENERATION | KIND_NO_UNCONDITIONAL_UPDATE,
        .defaults = binding_defaults,
        .validate = mutating_binding_validate,
};
