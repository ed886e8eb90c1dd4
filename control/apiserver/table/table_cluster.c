/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes, Namespaces and the small kinds of the core. */
#include <stdlib.h>

#include "apiserver/table/table_cell.h"
#include "base/mem.h"
#include "base/str.h"

/* ---- nodes ---- */

static struct json_object *cell_node_status(CELL_ARGS)
{
        const struct json_object *ready = table_condition(json_at(obj, "status.conditions"), "Ready");
        struct strbuf b = STRBUF_NULL;

        if (!ready)
                strbuf_add_str(&b, "Unknown");
        else
                strbuf_add_str(&b, str_eq(json_get_str(ready, "status"), "True") ? "Ready" : "NotReady");
        if (json_at_bool(obj, "spec.unschedulable", false))
                strbuf_add_str(&b, ",SchedulingDisabled");
        return text_cell_take(&b, "");
}

static int compare_strings(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Of the labels node-role.kubernetes.io/ROLE and kubernetes.io/role=ROLE; sorted, each once. */
static struct json_object *cell_roles(CELL_ARGS)
{
        const struct json_object *labels = json_at(obj, "metadata.labels");
        size_t n = 0, max = labels ? (size_t)json_object_object_length(labels) : 0;
        _cleanup_free_ const char **roles = mem_array(const char *, max + 1);
        struct strbuf b = STRBUF_NULL;

        json_foreach (labels, key, val) {
                const char *role = str_after(key, "node-role.kubernetes.io/");

                if (str_eq(key, "kubernetes.io/role"))
                        role = json_object_get_string(val);
                if (!str_empty(role))
                        roles[n++] = role;
        }
        qsort(roles, n, sizeof(*roles), compare_strings);
        for (size_t i = 0; i < n; i++)
                if (!i || !str_eq(roles[i], roles[i - 1]))
                        text_join(&b, ",", roles[i]);
        return text_cell_take(&b, "<none>");
}

/* col->path is the type of the address. */
static struct json_object *cell_node_address(CELL_ARGS)
{
        json_array_foreach (json_at(obj, "status.addresses"), i, a) {
                if (str_eq(json_get_str(a, "type"), col->path))
                        return text_cell(json_get_str(a, "address"));
        }
        return text_cell("<none>");
}

static const struct table_column nodes[] = {
        NAME_COLUMN,
        TEXT_COLUMN("Status", "Whether the node is ready, and open for new pods", cell_node_status, .path = NULL),
        TEXT_COLUMN("Roles", "Roles that its labels give it", cell_roles, .path = NULL),
        AGE_COLUMN,
        TEXT("Version", "Version of its kubelet", "status.nodeInfo.kubeletVersion", .otherwise = ""),
        WIDE_TEXT_COLUMN("Internal-IP", "Address inside of the cluster", cell_node_address, .path = "InternalIP"),
        WIDE_TEXT_COLUMN("External-IP", "Address outside of the cluster", cell_node_address, .path = "ExternalIP"),
        WIDE_TEXT("OS-Image", "Operating system", "status.nodeInfo.osImage", .otherwise = "<unknown>"),
        WIDE_TEXT("Kernel-Version", "Kernel", "status.nodeInfo.kernelVersion", .otherwise = "<unknown>"),
        WIDE_TEXT("Container-Runtime", "Container runtime", "status.nodeInfo.containerRuntimeVersion",
                  .otherwise = "<unknown>"),
};

/* ---- small kinds ---- */

static const struct table_column namespaces[] = {
        NAME_COLUMN,
        TEXT("Status", "Phase of the namespace", "status.phase", .otherwise = ""),
        AGE_COLUMN,
};

static const struct table_column secrets[] = {
        NAME_COLUMN,
        TEXT("Type", "Type of the secret", "type", .otherwise = ""),
        TEXT_COLUMN("Data", "Number of its keys", cell_count, .path = "data"),
        AGE_COLUMN,
};

static struct json_object *cell_config_data(CELL_ARGS)
{
        int64_t n = 0;

        json_foreach (json_get(obj, "data"), text_key, text)
                n++;
        json_foreach (json_get(obj, "binaryData"), key, bytes)
                n++;
        return json_object_new_int64(n);
}

static const struct table_column config_maps[] = {
        NAME_COLUMN,
        TEXT_COLUMN("Data", "Number of its keys", cell_config_data, .path = NULL),
        AGE_COLUMN,
};

static const struct table_column service_accounts[] = {NAME_COLUMN, AGE_COLUMN};

/* "pods: 3/10, requests.cpu: 1/4"; col->otherwise non-NULL: those of "limits." */
static struct json_object *cell_quota(CELL_ARGS)
{
        const struct json_object *hard = json_at(obj, "status.hard"), *used = json_at(obj, "status.used");
        size_t n = 0, max = hard ? (size_t)json_object_object_length(hard) : 0;
        _cleanup_free_ const char **names = mem_array(const char *, max + 1);
        struct strbuf b = STRBUF_NULL;

        json_foreach (hard, key, val)
                if (str_has_prefix(key, "limits.") == (col->otherwise != NULL))
                        names[n++] = key;
        qsort(names, n, sizeof(*names), compare_strings);
        for (size_t i = 0; i < n; i++) {
                const char *now = json_get_str(used, names[i]), *most = json_get_str(hard, names[i]);

                text_join(&b, ", ", names[i]);
                strbuf_printf(&b, ": %s/%s", now ? now : "0", most ? most : "0");
        }
        return text_cell_take(&b, "");
}

static const struct table_column quotas[] = {
        NAME_COLUMN,
        TEXT_COLUMN("Request", "Requests and counts in use, of those allowed", cell_quota, .path = NULL),
        TEXT_COLUMN("Limit", "Limits in use, of those allowed", cell_quota, .otherwise = "limits"),
        AGE_COLUMN,
};

static struct json_object *cell_health(CELL_ARGS)
{
        const struct json_object *healthy = table_condition(json_get(obj, "conditions"), "Healthy");

        if (!healthy)
                return text_cell("Unknown");
        return text_cell(str_eq(json_get_str(healthy, "status"), "True") ? "Healthy" : "Unhealthy");
}

/* col->path is the member of the condition. */
static struct json_object *cell_health_text(CELL_ARGS)
{
        return text_cell(json_get_str(table_condition(json_get(obj, "conditions"), "Healthy"), col->path));
}

static const struct table_column component_statuses[] = {
        NAME_COLUMN,
        TEXT_COLUMN("Status", "Whether the component is healthy", cell_health, .path = NULL),
        TEXT_COLUMN("Message", "What it says", cell_health_text, .path = "message"),
        TEXT_COLUMN("Error", "What is wrong with it", cell_health_text, .path = "error"),
};

static const struct table_column leases[] = {
        NAME_COLUMN,
        TEXT("Holder", "Who holds the lease", "spec.holderIdentity", .otherwise = ""),
        AGE_COLUMN,
};

static const struct table_column priority_classes[] = {
        NAME_COLUMN,
        NUMBER("Value", "Priority of the pods of the class", "value"),
        COLUMN("Global-Default", "boolean", "Whether pods without a class get it", cell_bool, .path = "globalDefault"),
        AGE_COLUMN,
        WIDE_TEXT("PreemptionPolicy", "Whether its pods push others away", "preemptionPolicy", .otherwise = ""),
};

static const struct table_column runtime_classes[] = {
        NAME_COLUMN,
        TEXT("Handler", "What the runtime calls it", "handler", .otherwise = ""),
        AGE_COLUMN,
};

/* ---- aggregated APIs ---- */

static struct json_object *cell_api_service(CELL_ARGS)
{
        const struct json_object *s = json_at(obj, "spec.service");
        const char *namespace = json_get_str(s, "namespace"), *name = json_get_str(s, "name");

        if (!s)
                return text_cell("Local");
        return text_cell(arena_printf(ctx->arena, "%s/%s", namespace ? namespace : "", name ? name : ""));
}

static struct json_object *cell_api_available(CELL_ARGS)
{
        const struct json_object *c = table_condition(json_at(obj, "status.conditions"), "Available");
        const char *status = json_get_str(c, "status"), *reason = json_get_str(c, "reason");

        if (!c)
                return text_cell("Unknown");
        if (str_eq(status, "True"))
                return text_cell(status);
        return text_cell(arena_printf(ctx->arena, "%s (%s)", status ? status : "", reason ? reason : ""));
}

static const struct table_column api_services[] = {
        NAME_COLUMN,
        TEXT_COLUMN("Service", "Service that answers for the API, or Local", cell_api_service, .path = NULL),
        TEXT_COLUMN("Available", "Whether it answers", cell_api_available, .path = NULL),
        AGE_COLUMN,
};

const struct table_def table_cluster[] = {
        TABLE("", "componentstatuses", component_statuses, .summarise = NULL),
        TABLE("", "configmaps", config_maps, .summarise = NULL),
        TABLE("", "namespaces", namespaces, .summarise = NULL),
        TABLE("", "nodes", nodes, .summarise = NULL),
        TABLE("", "resourcequotas", quotas, .summarise = NULL),
        TABLE("", "secrets", secrets, .summarise = NULL),
        TABLE("", "serviceaccounts", service_accounts, .summarise = NULL),
        TABLE("apiregistration.k8s.io", "apiservices", api_services, .summarise = NULL),
        TABLE("coordination.k8s.io", "leases", leases, .summarise = NULL),
        TABLE("node.k8s.io", "runtimeclasses", runtime_classes, .summarise = NULL),
        TABLE("scheduling.k8s.io", "priorityclasses", priority_classes, .summarise = NULL),
        {.plural = NULL},
};
