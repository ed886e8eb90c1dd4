/* SPDX-License-Identifier: Apache-2.0 */
/* What runs pods: Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs, ... and the budget for disturbing them. */
#include "apiserver/table/table_cell.h"
#include "base/clock.h"
#include "base/str.h"

#define TEMPLATE "spec.template.spec.containers"

/* Replicas without a number are 1 by default; the field is there once the object was defaulted. */
static struct json_object *cell_ready_of_desired(CELL_ARGS)
{
        return text_cell(arena_printf(ctx->arena, "%lld/%lld", (long long)json_at_i64(obj, "status.readyReplicas", 0),
                                      (long long)json_at_i64(obj, "spec.replicas", 0)));
}

static const struct table_column replication_controllers[] = {
        NAME_COLUMN,
        NUMBER("Desired", "Pods that are wanted", "spec.replicas"),
        NUMBER("Current", "Pods that there are", "status.replicas"),
        NUMBER("Ready", "Pods that are ready", "status.readyReplicas"),
        AGE_COLUMN,
        CONTAINER_COLUMNS(TEMPLATE),
        WIDE_TEXT_COLUMN("Selector", "Labels that choose the pods", cell_labels, .path = "spec.selector"),
};

static const struct table_column replica_sets[] = {
        NAME_COLUMN,
        NUMBER("Desired", "Pods that are wanted", "spec.replicas"),
        NUMBER("Current", "Pods that there are", "status.replicas"),
        NUMBER("Ready", "Pods that are ready", "status.readyReplicas"),
        AGE_COLUMN,
        CONTAINER_COLUMNS(TEMPLATE),
        WIDE_TEXT_COLUMN("Selector", "Labels that choose the pods", cell_selector, .path = "spec.selector"),
};

static const struct table_column deployments[] = {
        NAME_COLUMN,
        TEXT_COLUMN("Ready", "Pods that are ready, of those wanted", cell_ready_of_desired, .path = NULL),
        TEXT_COLUMN("Up-to-date", "Pods made from the current template", cell_int, .path = "status.updatedReplicas"),
        TEXT_COLUMN("Available", "Pods ready for minReadySeconds", cell_int, .path = "status.availableReplicas"),
        AGE_COLUMN,
        CONTAINER_COLUMNS(TEMPLATE),
        WIDE_TEXT_COLUMN("Selector", "Labels that choose the pods", cell_selector, .path = "spec.selector",
                         .otherwise = "<invalid>"),
};

static const struct table_column stateful_sets[] = {
        NAME_COLUMN,
        TEXT_COLUMN("Ready", "Pods that are ready, of those wanted", cell_ready_of_desired, .path = NULL),
        AGE_COLUMN,
        CONTAINER_COLUMNS(TEMPLATE),
};

static const struct table_column daemon_sets[] = {
        NAME_COLUMN,
        NUMBER("Desired", "Nodes that should run the pod", "status.desiredNumberScheduled"),
        NUMBER("Current", "Nodes that run it", "status.currentNumberScheduled"),
        NUMBER("Ready", "Nodes where it is ready", "status.numberReady"),
        NUMBER("Up-to-date", "Nodes that run the current template", "status.updatedNumberScheduled"),
        NUMBER("Available", "Nodes where it is ready for minReadySeconds", "status.numberAvailable"),
        TEXT_COLUMN("Node Selector", "Labels that choose the nodes", cell_labels,
                    .path = "spec.template.spec.nodeSelector"),
        AGE_COLUMN,
        CONTAINER_COLUMNS(TEMPLATE),
        WIDE_TEXT_COLUMN("Selector", "Labels that choose the pods", cell_selector, .path = "spec.selector"),
};

/* ---- jobs ---- */

static struct json_object *cell_job_status(CELL_ARGS)
{
        const struct json_object *conditions = json_at(obj, "status.conditions");

        if (table_condition_true(conditions, "Complete"))
                return text_cell("Complete");
        if (table_condition_true(conditions, "Failed"))
                return text_cell("Failed");
        if (json_at(obj, "metadata.deletionTimestamp"))
                return text_cell("Terminating");
        if (table_condition_true(conditions, "Suspended"))
                return text_cell("Suspended");
        return text_cell(table_condition_true(conditions, "FailureTarget") ? "FailureTarget" : "Running");
}

static struct json_object *cell_completions(CELL_ARGS)
{
        long long done = json_at_i64(obj, "status.succeeded", 0), wanted = json_at_i64(obj, "spec.completions", -1);
        long long parallelism = json_at_i64(obj, "spec.parallelism", 0);

        if (wanted >= 0)
                return text_cell(arena_printf(ctx->arena, "%lld/%lld", done, wanted));
        if (parallelism > 1)
                return text_cell(arena_printf(ctx->arena, "%lld/1 of %lld", done, parallelism));
        return text_cell(arena_printf(ctx->arena, "%lld/1", done));
}

static struct json_object *cell_job_duration(CELL_ARGS)
{
        const char *start = json_at_str(obj, "status.startTime"), *end = json_at_str(obj, "status.completionTime");
        struct timespec from, to = {.tv_sec = ctx->now_s};

        if (!start || clock_parse(start, &from))
                return text_cell("");
        if (end && clock_parse(end, &to))
                return text_cell("<unknown>");
        return text_cell(table_duration(ctx->arena, to.tv_sec - from.tv_sec));
}

static const struct table_column jobs[] = {
        NAME_COLUMN,
        TEXT_COLUMN("Status", "What the job is at", cell_job_status, .path = NULL),
        TEXT_COLUMN("Completions", "Pods that succeeded, of those wanted", cell_completions, .path = NULL),
        TEXT_COLUMN("Duration", "How long the job ran, or runs", cell_job_duration, .path = NULL),
        AGE_COLUMN,
        CONTAINER_COLUMNS(TEMPLATE),
        WIDE_TEXT_COLUMN("Selector", "Labels that choose the pods", cell_selector, .path = "spec.selector"),
};

static struct json_object *cell_true_false(CELL_ARGS)
{
        if (!json_at(obj, col->path))
                return text_cell("<unset>");
        return text_cell(json_at_bool(obj, col->path, false) ? "True" : "False");
}

static const struct table_column cron_jobs[] = {
        NAME_COLUMN,
        TEXT("Schedule", "When it runs, in cron's notation", "spec.schedule", .otherwise = ""),
        TEXT("Timezone", "Time zone of the schedule", "spec.timeZone", .otherwise = "<none>"),
        COLUMN("Suspend", "boolean", "Further runs are suspended", cell_true_false, .path = "spec.suspend"),
        COLUMN("Active", "integer", "Jobs that are running", cell_count, .path = "status.active"),
        TEXT_COLUMN("Last Schedule", "Time since the last run began", cell_since, .path = "status.lastScheduleTime",
                    .otherwise = "<none>"),
        AGE_COLUMN,
        CONTAINER_COLUMNS("spec.jobTemplate.spec.template.spec.containers"),
        WIDE_TEXT_COLUMN("Selector", "Labels that choose the pods", cell_selector,
                         .path = "spec.jobTemplate.spec.selector"),
};

/* ---- others ---- */

/* "daemonset.apps/NAME" of the owner that controls it. */
static struct json_object *cell_controller(CELL_ARGS)
{
        json_array_foreach (json_at(obj, "metadata.ownerReferences"), i, ref) {
                const char *api = json_get_str(ref, "apiVersion"), *name = json_get_str(ref, "name");
                const char *kind = json_get_str(ref, "kind"), *slash = api ? strchr(api, '/') : NULL;
                char *lower;

                if (!json_get_bool(ref, "controller", false))
                        continue;
                lower = arena_printf(ctx->arena, "%s%s%.*s", kind ? kind : "", slash ? "." : "",
                                     slash ? (int)(slash - api) : 0, api ? api : "");
                for (char *p = lower; *p; p++)
                        if (*p >= 'A' && *p <= 'Z')
                                *p |= 0x20;
                return text_cell(arena_printf(ctx->arena, "%s/%s", lower, name ? name : ""));
        }
        return text_cell("<none>");
}

static const struct table_column controller_revisions[] = {
        NAME_COLUMN,
        TEXT_COLUMN("Controller", "Owner of the revision", cell_controller, .path = NULL),
        NUMBER("Revision", "Number of the revision", "revision"),
        AGE_COLUMN,
};

static const struct table_column disruption_budgets[] = {
        NAME_COLUMN,
        TEXT_COLUMN("Min Available", "Pods that must stay", cell_any, .path = "spec.minAvailable", .otherwise = "N/A"),
        TEXT_COLUMN("Max Unavailable", "Pods that may be away", cell_any, .path = "spec.maxUnavailable",
                    .otherwise = "N/A"),
        NUMBER("Allowed Disruptions", "Pods that may be evicted now", "status.disruptionsAllowed"),
        AGE_COLUMN,
};

const struct table_def table_workloads[] = {
        TABLE("", "replicationcontrollers", replication_controllers, .summarise = NULL),
        TABLE("apps", "controllerrevisions", controller_revisions, .summarise = NULL),
        TABLE("apps", "daemonsets", daemon_sets, .summarise = NULL),
        TABLE("apps", "deployments", deployments, .summarise = NULL),
        TABLE("apps", "replicasets", replica_sets, .summarise = NULL),
        TABLE("apps", "statefulsets", stateful_sets, .summarise = NULL),
        TABLE("batch", "cronjobs", cron_jobs, .summarise = NULL),
        TABLE("batch", "jobs", jobs, .summarise = NULL),
        TABLE("policy", "poddisruptionbudgets", disruption_budgets, .summarise = NULL),
        {.plural = NULL},
};
