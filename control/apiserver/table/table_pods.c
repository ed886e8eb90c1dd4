/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/table/table_cell.h"
#include "base/clock.h"
#include "base/str.h"

/* The columns Ready, Status and Restarts come out of one walk over the container statuses. */
struct pod_summary {
        int64_t ready, total, restarts;
        int64_t last_restart_s; /* 0: unknown */
        const char *reason;
};

static void note_restart(int64_t *last_s, const struct json_object *status)
{
        const char *at = json_at_str(status, "lastState.terminated.finishedAt");
        struct timespec t;

        if (at && !clock_parse(at, &t) && t.tv_sec > *last_s)
                *last_s = t.tv_sec;
}

/* Sidecars are init containers that are restarted for as long as the pod runs. */
static bool is_sidecar(const struct json_object *spec_container)
{
        return str_eq(json_get_str(spec_container, "restartPolicy"), "Always");
}

static bool is_named_sidecar(const struct json_object *pod, const char *name)
{
        json_array_foreach (json_at(pod, "spec.initContainers"), i, c) {
                if (str_eq(json_get_str(c, "name"), name))
                        return is_sidecar(c);
        }
        return false;
}

/* "Completed", "OOMKilled"; without a reason by how it ended. */
static const char *end_of(struct arena *a, const struct json_object *terminated)
{
        const char *reason = json_get_str(terminated, "reason");
        int64_t signal = json_get_i64(terminated, "signal", 0);

        if (!str_empty(reason))
                return reason;
        if (signal)
                return arena_printf(a, "Signal:%lld", (long long)signal);
        return arena_printf(a, "ExitCode:%lld", (long long)json_get_i64(terminated, "exitCode", 0));
}

/* What an init container that is not done yet makes the pod's status. */
static const char *init_reason(struct arena *a, const struct json_object *pod, const struct json_object *status,
                               size_t index)
{
        const struct json_object *terminated = json_at(status, "state.terminated");
        const char *waiting = json_at_str(status, "state.waiting.reason");

        if (terminated)
                return arena_printf(a, "Init:%s", end_of(a, terminated));
        if (!str_empty(waiting) && !str_eq(waiting, "PodInitializing"))
                return arena_printf(a, "Init:%s", waiting);
        return arena_printf(a, "Init:%zu/%zu", index, json_len(json_at(pod, "spec.initContainers")));
}

struct init_walk {
        bool initializing;
        int64_t sidecar_restarts, sidecar_last_s;
};

static void walk_init_containers(const struct table_ctx *ctx, const struct json_object *pod, struct pod_summary *s,
                                 struct init_walk *w)
{
        json_array_foreach (json_at(pod, "status.initContainerStatuses"), i, c) {
                bool sidecar = is_named_sidecar(pod, json_get_str(c, "name"));
                const struct json_object *terminated = json_at(c, "state.terminated");

                s->restarts += json_get_i64(c, "restartCount", 0);
                note_restart(&s->last_restart_s, c);
                if (sidecar) {
                        w->sidecar_restarts += json_get_i64(c, "restartCount", 0);
                        note_restart(&w->sidecar_last_s, c);
                }
                if (terminated && json_get_i64(terminated, "exitCode", 0) == 0)
                        continue;
                if (sidecar && json_get_bool(c, "started", false)) {
                        s->ready += json_get_bool(c, "ready", false);
                        continue;
                }
                s->reason = init_reason(ctx->arena, pod, c, i);
                w->initializing = true;
                return;
        }
}

/* The first container that has something to tell wins, so the walk goes backwards. */
static void walk_containers(const struct table_ctx *ctx, const struct json_object *pod, struct pod_summary *s)
{
        const struct json_object *statuses = json_at(pod, "status.containerStatuses");
        bool running = false;

        for (size_t i = json_len(statuses); i-- > 0;) {
                const struct json_object *c = json_idx(statuses, i), *terminated = json_at(c, "state.terminated");
                const char *waiting = json_at_str(c, "state.waiting.reason");

                s->restarts += json_get_i64(c, "restartCount", 0);
                note_restart(&s->last_restart_s, c);
                if (!str_empty(waiting)) {
                        s->reason = waiting;
                } else if (terminated) {
                        s->reason = end_of(ctx->arena, terminated);
                } else if (json_get_bool(c, "ready", false) && json_at(c, "state.running")) {
                        running = true;
                        s->ready++;
                }
        }
        if (running && str_eq(s->reason, "Completed"))
                s->reason = table_condition_true(json_at(pod, "status.conditions"), "Ready") ? "Running" : "NotReady";
}

static const char *first_reason(const struct json_object *pod)
{
        const char *reason = json_at_str(pod, "status.reason"), *phase = json_at_str(pod, "status.phase");
        const struct json_object *scheduled = table_condition(json_at(pod, "status.conditions"), "PodScheduled");

        if (str_eq(json_get_str(scheduled, "reason"), "SchedulingGated"))
                return "SchedulingGated";
        if (!str_empty(reason))
                return reason;
        return phase ? phase : "";
}

static bool is_over(const struct json_object *pod)
{
        const char *phase = json_at_str(pod, "status.phase");

        return str_eq(phase, "Succeeded") || str_eq(phase, "Failed");
}

static const void *summarise(const struct table_ctx *ctx, const struct json_object *pod)
{
        struct pod_summary *s = arena_new(ctx->arena, struct pod_summary);
        struct init_walk init = {.initializing = false};

        s->reason = first_reason(pod);
        s->total = (int64_t)json_len(json_at(pod, "spec.containers"));
        json_array_foreach (json_at(pod, "spec.initContainers"), i, c)
                s->total += is_sidecar(c);
        walk_init_containers(ctx, pod, s, &init);
        if (!init.initializing || table_condition_true(json_at(pod, "status.conditions"), "Initialized")) {
                s->restarts = init.sidecar_restarts;
                s->last_restart_s = init.sidecar_last_s;
                walk_containers(ctx, pod, s);
        }
        if (json_at(pod, "metadata.deletionTimestamp")) {
                if (str_eq(json_at_str(pod, "status.reason"), "NodeLost"))
                        s->reason = "Unknown";
                else if (!is_over(pod))
                        s->reason = "Terminating";
        }
        return s;
}

static struct json_object *cell_ready(CELL_ARGS)
{
        const struct pod_summary *s = ctx->summary;

        return text_cell(arena_printf(ctx->arena, "%lld/%lld", (long long)s->ready, (long long)s->total));
}

static struct json_object *cell_status(CELL_ARGS)
{
        return text_cell(((const struct pod_summary *)ctx->summary)->reason);
}

static struct json_object *cell_restarts(CELL_ARGS)
{
        const struct pod_summary *s = ctx->summary;

        if (!s->restarts || !s->last_restart_s)
                return text_cell(arena_printf(ctx->arena, "%lld", (long long)s->restarts));
        return text_cell(arena_printf(ctx->arena, "%lld (%s ago)", (long long)s->restarts,
                                      table_duration(ctx->arena, ctx->now_s - s->last_restart_s)));
}

static struct json_object *cell_ip(CELL_ARGS)
{
        const char *ip = json_get_str(json_idx(json_at(obj, "status.podIPs"), 0), "ip");

        return text_cell(str_empty(ip) ? "<none>" : ip);
}

static struct json_object *cell_gates(CELL_ARGS)
{
        const struct json_object *gates = json_at(obj, "spec.readinessGates");
        const struct json_object *conditions = json_at(obj, "status.conditions");
        size_t n = 0;

        if (!json_len(gates))
                return text_cell("<none>");
        json_array_foreach (gates, i, g)
                n += table_condition_true(conditions, json_get_str(g, "conditionType"));
        return text_cell(arena_printf(ctx->arena, "%zu/%zu", n, json_len(gates)));
}

static const struct table_column pod_columns[] = {
        NAME_COLUMN,
        TEXT_COLUMN("Ready", "Containers that are ready, of all", cell_ready, .path = NULL),
        TEXT_COLUMN("Status", "What the pod and its containers are at", cell_status, .path = NULL),
        TEXT_COLUMN("Restarts", "Restarts of its containers, and when the last one was", cell_restarts, .path = NULL),
        AGE_COLUMN,
        WIDE_TEXT_COLUMN("IP", "First address of the pod", cell_ip, .path = NULL),
        WIDE_TEXT("Node", "Node that the pod is bound to", "spec.nodeName", .otherwise = "<none>"),
        WIDE_TEXT("Nominated Node", "Node where others make room for the pod", "status.nominatedNodeName",
                  .otherwise = "<none>"),
        WIDE_TEXT_COLUMN("Readiness Gates", "Extra conditions for readiness that are true, of all", cell_gates,
                         .path = NULL),
};

static const struct table_column template_columns[] = {
        NAME_COLUMN,
        TEXT_COLUMN("Containers", "Names of the containers of the pods", cell_names,
                    .path = "template.spec.containers"),
        TEXT_COLUMN("Images", "Images of the containers of the pods", cell_images, .path = "template.spec.containers"),
        TEXT_COLUMN("Pod Labels", "Labels of the pods", cell_labels, .path = "template.metadata.labels"),
};

const struct table_def table_pods[] = {
        TABLE("", "pods", pod_columns, .summarise = summarise),
        TABLE("", "podtemplates", template_columns, .summarise = NULL),
        {.plural = NULL},
};
