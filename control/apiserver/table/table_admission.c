/* SPDX-License-Identifier: Apache-2.0 */
/* Admission webhooks and policies. */
#include "apiserver/table/table_cell.h"
#include "base/str.h"
#include "kube/selector.h"

#define COUNT(n, d, at) COLUMN(n, "integer", d, cell_count, .path = at)

static const struct table_column webhooks[] = {
        NAME_COLUMN,
        COUNT("Webhooks", "Number of webhooks", "webhooks"),
        AGE_COLUMN,
};

static struct json_object *cell_param_kind(CELL_ARGS)
{
        const struct json_object *p = json_at(obj, "spec.paramKind");
        const char *version = json_get_str(p, "apiVersion"), *kind = json_get_str(p, "kind");

        if (!p)
                return text_cell("<unset>");
        return text_cell(arena_printf(ctx->arena, "%s/%s", version ? version : "", kind ? kind : ""));
}

#define PARAM_KIND TEXT_COLUMN("ParamKind", "Kind of the parameters", cell_param_kind, .path = NULL)

static const struct table_column validating_policies[] = {
        NAME_COLUMN,
        COUNT("Validations", "Number of validations", "spec.validations"),
        PARAM_KIND,
        AGE_COLUMN,
};

static const struct table_column mutating_policies[] = {
        NAME_COLUMN,
        COUNT("Mutations", "Number of mutations", "spec.mutations"),
        PARAM_KIND,
        AGE_COLUMN,
};

/* A parameter without a namespace may be cluster-scoped or in the object's namespace: "*". */
static struct json_object *cell_param_ref(CELL_ARGS)
{
        const struct json_object *p = json_at(obj, "spec.paramRef"), *by_labels = json_get(p, "selector");
        const char *namespace = json_get_str(p, "namespace"), *name = json_get_str(p, "name");
        _cleanup_selector_ struct selector *s = NULL;
        struct strbuf b = STRBUF_NULL;

        if (!str_empty(name))
                return text_cell(arena_printf(ctx->arena, "%s/%s", str_empty(namespace) ? "*" : namespace, name));
        if (by_labels && !selector_from_label_selector(by_labels, &s, NULL))
                selector_write(&b, s);
        return text_cell_take(&b, by_labels ? "<all>" : "<unset>");
}

static const struct table_column policy_bindings[] = {
        NAME_COLUMN,
        TEXT("PolicyName", "Policy that is bound", "spec.policyName", .otherwise = ""),
        TEXT_COLUMN("ParamRef", "Parameters of the policy", cell_param_ref, .path = NULL),
        AGE_COLUMN,
};

#define GROUP "admissionregistration.k8s.io"

const struct table_def table_admission[] = {
        TABLE(GROUP, "mutatingadmissionpolicies", mutating_policies, .summarise = NULL),
        TABLE(GROUP, "mutatingadmissionpolicybindings", policy_bindings, .summarise = NULL),
        TABLE(GROUP, "mutatingwebhookconfigurations", webhooks, .summarise = NULL),
        TABLE(GROUP, "validatingadmissionpolicies", validating_policies, .summarise = NULL),
        TABLE(GROUP, "validatingadmissionpolicybindings", policy_bindings, .summarise = NULL),
        TABLE(GROUP, "validatingwebhookconfigurations", webhooks, .summarise = NULL),
        {.plural = NULL},
};
