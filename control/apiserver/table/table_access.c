/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what: role bindings and certificate signing requests. Roles have the default columns, as upstream. */
#include "apiserver/table/table_cell.h"
#include "base/str.h"

static struct json_object *cell_role(CELL_ARGS)
{
        const char *kind = json_at_str(obj, "roleRef.kind"), *name = json_at_str(obj, "roleRef.name");

        return text_cell(arena_printf(ctx->arena, "%s/%s", kind ? kind : "", name ? name : ""));
}

/* Subjects of the kind col->path, by ", "; service accounts with their namespace. */
static struct json_object *cell_subjects(CELL_ARGS)
{
        struct strbuf b = STRBUF_NULL;

        json_array_foreach (json_get(obj, "subjects"), i, s) {
                const char *namespace = json_get_str(s, "namespace"), *name = json_get_str(s, "name");
                bool account = str_eq(col->path, "ServiceAccount");

                if (!str_eq(json_get_str(s, "kind"), col->path))
                        continue;
                text_join(&b, ", ", account && !str_empty(namespace) ? namespace : "");
                strbuf_printf(&b, "%s%s", account && !str_empty(namespace) ? "/" : "", name ? name : "");
        }
        return text_cell_take(&b, "");
}

static const struct table_column bindings[] = {
        NAME_COLUMN,
        TEXT_COLUMN("Role", "Role that is given", cell_role, .path = NULL),
        AGE_COLUMN,
        WIDE_TEXT_COLUMN("Users", "Users who have it", cell_subjects, .path = "User"),
        WIDE_TEXT_COLUMN("Groups", "Groups that have it", cell_subjects, .path = "Group"),
        WIDE_TEXT_COLUMN("ServiceAccounts", "Service accounts that have it", cell_subjects, .path = "ServiceAccount"),
};

static struct json_object *cell_csr_duration(CELL_ARGS)
{
        int64_t seconds = json_at_i64(obj, "spec.expirationSeconds", -1);

        return text_cell(seconds < 0 ? "<none>" : table_duration(ctx->arena, seconds));
}

/* The types of conditions count, whatever their status. */
static struct json_object *cell_csr_condition(CELL_ARGS)
{
        const struct json_object *conditions = json_at(obj, "status.conditions");
        struct strbuf b = STRBUF_NULL;

        if (table_condition(conditions, "Denied"))
                strbuf_add_str(&b, "Denied");
        else
                strbuf_add_str(&b, table_condition(conditions, "Approved") ? "Approved" : "Pending");
        if (table_condition(conditions, "Failed"))
                strbuf_add_str(&b, ",Failed");
        if (!str_empty(json_at_str(obj, "status.certificate")))
                strbuf_add_str(&b, ",Issued");
        return text_cell_take(&b, "");
}

static const struct table_column signing_requests[] = {
        NAME_COLUMN,
        AGE_COLUMN,
        TEXT("SignerName", "Who shall sign", "spec.signerName", .otherwise = "<none>"),
        TEXT("Requestor", "Who asked", "spec.username", .otherwise = ""),
        TEXT_COLUMN("RequestedDuration", "How long the certificate shall be valid", cell_csr_duration, .path = NULL),
        TEXT_COLUMN("Condition", "What the request is at", cell_csr_condition, .path = NULL),
};

const struct table_def table_access[] = {
        TABLE("certificates.k8s.io", "certificatesigningrequests", signing_requests, .summarise = NULL),
        TABLE("rbac.authorization.k8s.io", "clusterrolebindings", bindings, .summarise = NULL),
        TABLE("rbac.authorization.k8s.io", "rolebindings", bindings, .summarise = NULL),
        {.plural = NULL},
};
