/* SPDX-License-Identifier: Apache-2.0 */
/* ValidatingWebhookConfigurations and MutatingWebhookConfigurations. */
#include <string.h>

#include "apiserver/kinds/admission.h"
#include "apiserver/kinds/kinds.h"
#include "base/str.h"

static void default_webhooks(struct json_object *obj, bool mutating)
{
        json_array_foreach (json_get(obj, "webhooks"), i, hook) {
                json_default_str(hook, "failurePolicy", "Fail");
                admission_default_match(hook, "rules");
                json_default_i64(hook, "timeoutSeconds", 10);
                if (mutating)
                        json_default_str(hook, "reinvocationPolicy", "Never");
                admission_default_client(json_get(hook, "clientConfig"));
        }
}

static void mutating_defaults(const struct kctx *c, struct json_object *obj)
{
        default_webhooks(obj, true);
}

static void validating_defaults(const struct kctx *c, struct json_object *obj)
{
        default_webhooks(obj, false);
}

static void check_hook_name(const char *name, const struct fpath *p, struct ferrs *e)
{
        const char *dot = strchr(name, '.');

        if (!*name)
                ferr_required(e, p, NULL);
        else if (name_error(NAME_DNS1123_SUBDOMAIN, name))
                check_name(e, p, NAME_DNS1123_SUBDOMAIN, name);
        else if (!dot || !strchr(dot + 1, '.'))
                ferr_invalid_str(e, p, name, "should be a domain with at least three segments separated by dots");
}

static void check_review_versions(const struct json_object *list, const struct fpath *p, struct ferrs *e)
{
        static const char *const known[] = {"v1", "v1beta1", NULL};
        _cleanup_names_ struct name_set seen = NAME_SET_NULL;
        bool accepted = false;

        if (!json_len(list)) {
                ferr_required(e, p, "must specify one of v1, v1beta1");
                return;
        }
        for (size_t i = 0; i < json_len(list); i++) {
                if (!name_set_add(&seen, str_at(list, i))) {
                        ferr_invalid_str(e, FPI(p, i), str_at(list, i), "duplicate version");
                        continue;
                }
                check_name(e, FPI(p, i), NAME_DNS1035_LABEL, str_at(list, i));
                accepted |= one_of(str_at(list, i), known);
        }
        if (!accepted)
                ferr_invalid(e, p, list, "must include at least one of v1, v1beta1");
}

static void check_side_effects(const struct json_object *hook, const struct fpath *p, struct ferrs *e)
{
        static const char *const none[] = {"None", "NoneOnDryRun", NULL};

        if (!json_has(hook, "sideEffects"))
                ferr_required(e, FP(p, "sideEffects"), "must specify one of None, NoneOnDryRun");
        else
                check_one_of(e, p, hook, "sideEffects", none, false);
}

static void check_hook(const struct json_object *hook, const struct fpath *p, struct ferrs *e)
{
        int64_t timeout = json_get_i64(hook, "timeoutSeconds", 10);

        check_hook_name(str_of(hook, "name"), FP(p, "name"), e);
        json_array_foreach (json_get(hook, "rules"), i, rule)
                admission_check_rule(rule, FPI(FP(p, "rules"), i), e);
        check_one_of(e, p, hook, "failurePolicy", admission_failure_policies, false);
        check_one_of(e, p, hook, "matchPolicy", admission_match_policies, false);
        check_side_effects(hook, p, e);
        if (timeout < 1 || timeout > 30)
                ferr_invalid_i64(e, FP(p, "timeoutSeconds"), timeout,
                                 "the timeout value must be between 1 and 30 seconds");
        check_label_selector(e, FP(p, "namespaceSelector"), json_get(hook, "namespaceSelector"));
        check_label_selector(e, FP(p, "objectSelector"), json_get(hook, "objectSelector"));
        check_one_of(e, p, hook, "reinvocationPolicy", admission_reinvocations, false);
        admission_check_client(json_get(hook, "clientConfig"), FP(p, "clientConfig"), e);
        admission_check_match_conditions(json_get(hook, "matchConditions"), FP(p, "matchConditions"), e);
        check_review_versions(json_get(hook, "admissionReviewVersions"), FP(p, "admissionReviewVersions"), e);
}

static void validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const struct fpath *hooks = FP(NULL, "webhooks");
        _cleanup_names_ struct name_set names = NAME_SET_NULL;

        json_array_foreach (json_get(obj, "webhooks"), i, hook) {
                const char *name = str_of(hook, "name");

                check_hook(hook, FPI(hooks, i), e);
                if (*name && !name_set_add(&names, name))
                        ferr_duplicate_str(e, FP(FPI(hooks, i), "name"), name);
        }
}

const struct kind_ops kind_mutatingwebhookconfigurations = {
        .group = "admissionregistration.k8s.io",
        .plural = "mutatingwebhookconfigurations",
        .flags = KIND_GENERATION | KIND_NO_UNCONDITIONAL_UPDATE,
        .defaults = mutating_defaults,
        .validate = validate,
};

const struct kind_ops kind_validatingwebhookconfigurations = {
        .group = "admissionregistration.k8s.io",
        .plural = "validatingwebhookconfigurations",
        .flags = KIND_GENERATION | KIND_NO_UNCONDITIONAL_UPDATE,
        .defaults = validating_defaults,
        .validate = validate,
};
