/* SPDX-License-Identifier: Apache-2.0 */
/* HorizontalPodAutoscalers: the targets are a small language of their own. */
#include "apiserver/kind.h"
#include "apiserver/table/table_cell.h"
#include "base/str.h"

#define SHOWN_MAX 2 /* metrics in one cell; the rest is counted */

/* How metrics of each type are shown. */
static const struct metric_type {
        const char *type, *key; /* "Resource", "resource" */
        bool named;             /* "cpu: " in front */
        bool average_marked;    /* " (avg)" behind an average value */
        bool utilization;       /* a percentage when there is no average value */
        bool average_only;
} metric_types[] = {
        {.type = "External", .key = "external", .average_marked = true},
        {.type = "Pods", .key = "pods", .average_only = true},
        {.type = "Object", .key = "object", .average_marked = true},
        {.type = "Resource", .key = "resource", .named = true, .utilization = true},
        {.type = "ContainerResource", .key = "containerResource", .named = true, .utilization = true},
};

static const struct metric_type *metric_type_find(const char *type)
{
        for (size_t i = 0; i < ARRAY_SIZE(metric_types); i++)
                if (str_eq(metric_types[i].type, type))
                        return &metric_types[i];
        return NULL;
}

/* The amount called key: a quantity, or a percentage. */
static const char *amount(struct arena *a, const struct json_object *o, const char *key, const char *otherwise)
{
        struct json_object *v = json_get(o, key);

        if (!v)
                return otherwise;
        if (str_eq(key, "averageUtilization"))
                return arena_printf(a, "%lld%%", (long long)json_object_get_int64(v));
        return json_object_get_string(v);
}

/* "cpu: 10%/80%" for one metric; current is that metric's status, or NULL. */
static const char *metric_text(struct arena *a, const struct json_object *spec, const struct json_object *status)
{
        const struct metric_type *t = metric_type_find(json_get_str(spec, "type"));
        const struct json_object *source, *target, *current;
        bool average;
        const char *key, *name;

        if (!t)
                return "<unknown type>";
        source = json_get(spec, t->key);
        target = json_get(source, "target");
        current = json_get(json_get(status, t->key), "current");
        average = t->average_only || json_has(target, "averageValue");
        key = average ? "averageValue" : t->utilization ? "averageUtilization" : "value";
        name = t->named ? json_get_str(source, "name") : NULL;
        return arena_printf(a, "%s%s%s/%s%s", name ? name : "", name ? ": " : "", amount(a, current, key, "<unknown>"),
                            amount(a, target, key, t->utilization && !average ? "<auto>" : "0"),
                            average && t->average_marked ? " (avg)" : "");
}

static struct json_object *targets_of(struct arena *a, const struct json_object *hpa)
{
        const struct json_object *specs = json_at(hpa, "spec.metrics"), *now = json_at(hpa, "status.currentMetrics");
        struct strbuf b = STRBUF_NULL;

        json_array_foreach (specs, i, spec) {
                if (i < SHOWN_MAX)
                        text_join(&b, ", ", metric_text(a, spec, json_idx(now, i)));
        }
        if (json_len(specs) > SHOWN_MAX)
                strbuf_printf(&b, " + %zu more...", json_len(specs) - SHOWN_MAX);
        return text_cell_take(&b, "<none>");
}

/* v1 has one metric in fields of its own and the others in annotations: what is stored has them all. */
static struct json_object *cell_targets(CELL_ARGS)
{
        const struct schema_resource *r;
        _cleanup_json_ struct json_object *v2 = NULL;

        if (!str_eq(json_get_str(obj, "apiVersion"), "autoscaling/v1"))
                return targets_of(ctx->arena, obj);
        r = schema_resource_find("autoscaling", "v1", "horizontalpodautoscalers");
        v2 = json_copy(obj);
        kind_to_storage(r, v2);
        return targets_of(ctx->arena, v2);
}

static struct json_object *cell_reference(CELL_ARGS)
{
        const char *kind = json_at_str(obj, "spec.scaleTargetRef.kind");
        const char *name = json_at_str(obj, "spec.scaleTargetRef.name");

        return text_cell(arena_printf(ctx->arena, "%s/%s", kind ? kind : "", name ? name : ""));
}

static const struct table_column autoscalers[] = {
        NAME_COLUMN,
        TEXT_COLUMN("Reference", "What is scaled", cell_reference, .path = NULL),
        TEXT_COLUMN("Targets", "Metrics now, and as they should be", cell_targets, .path = NULL),
        TEXT_COLUMN("MinPods", "Fewest pods", cell_any, .path = "spec.minReplicas", .otherwise = "<unset>"),
        TEXT_COLUMN("MaxPods", "Most pods", cell_int, .path = "spec.maxReplicas"),
        TEXT_COLUMN("Replicas", "Pods that there are", cell_int, .path = "status.currentReplicas"),
        AGE_COLUMN,
};

const struct table_def table_autoscaling[] = {
        TABLE("autoscaling", "horizontalpodautoscalers", autoscalers, .summarise = NULL),
        {.plural = NULL},
};
