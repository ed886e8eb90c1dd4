/* SPDX-License-Identifier: Apache-2.0 */
/* The conditions that the kubelet speaks for, beside those of others, which are kept. */
#include "agent/kubelet/pods/status_impl.h"
#include "base/clock.h"
#include "base/str.h"

#define SCHEDULED "PodScheduled"

struct condition {
        const char *type;
        bool yes;
        const char *reason, *message; /* or NULL */
};

bool status_owns_condition(const char *type)
{
        static const char *const types[] = {"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady",
                                            "PodResizePending"};

        for (size_t i = 0; i < ARRAY_SIZE(types); i++)
                if (str_eq(type, types[i]))
                        return true;
        return false;
}

static const struct json_object *find_condition(const struct json_object *list, const char *type)
{
        json_array_foreach (list, i, c)
                if (str_eq(json_get_str(c, "type"), type))
                        return c;
        return NULL;
}

static const char *yes_or_no(bool yes)
{
        return yes ? "True" : "False";
}

/* lastTransitionTime moves when the status does. */
static void add_condition(const struct status_job *j, const struct condition *c)
{
        const struct json_object *old = find_condition(json_get(j->in->old, "conditions"), c->type);
        bool same = str_eq(json_get_str(old, "status"), yes_or_no(c->yes));
        struct json_object *o = json_object_new_object();
        int64_t generation = json_at_i64(j->in->pod, "metadata.generation", 0);
        char now[CLOCK_TEXT_SIZE];

        json_set_str(o, "type", c->type);
        json_set(o, "lastProbeTime", NULL); /* as the API has it: what is told and what it holds are equal then */
        if (generation)
                json_set_i64(o, "observedGeneration", generation);
        json_set_str(o, "status", yes_or_no(c->yes));
        json_set_str(o, "lastTransitionTime",
                     (same ? json_get_str(old, "lastTransitionTime") : NULL) ?: clock_format(j->in->now_s, now));
        if (!str_empty(c->reason))
                json_set_str(o, "reason", c->reason);
        if (!str_empty(c->message))
                json_set_str(o, "message", c->message);
        json_object_array_add(json_get(j->status, "conditions"), o);
}

/* ---- names of containers that are not as they should be ---- */

static bool counts_for_readiness(const struct status_job *j, const struct container_def *def)
{
        return def->kind == KIND_MAIN || def->kind == KIND_SIDECAR;
}

static bool is_ready(const struct json_object *o, const struct container_def *def)
{
        return json_get_bool(o, "ready", false);
}

static bool counts_for_init(const struct status_job *j, const struct container_def *def)
{
        return def->kind == KIND_INIT || def->kind == KIND_SIDECAR;
}

static bool is_initialized(const struct json_object *o, const struct container_def *def)
{
        return json_get_bool(o, def->kind == KIND_SIDECAR ? "started" : "ready", false);
}

/* "PREFIX: [a b]"; NULL: all are well. */
static const char *names(const struct status_job *j, const char *prefix,
                         bool (*counts)(const struct status_job *j, const struct container_def *def),
                         bool (*well)(const struct json_object *o, const struct container_def *def))
{
        const char *text = NULL;

        for (size_t i = 0; i < j->defs.n; i++) {
                const struct container_def *def = &j->defs.v[i];

                if (!counts(j, def) || well(status_of(j, def), def))
                        continue;
                text = text ? arena_printf(j->mem, "%s %s", text, def->name)
                            : arena_printf(j->mem, "%s: [%s", prefix, def->name);
        }
        return text ? arena_printf(j->mem, "%s]", text) : NULL;
}

/* ---- each condition ---- */

/* Why nothing is ready any more; NULL: the phase is not the end. */
static const char *end_reason(const struct status_job *j)
{
        const char *phase = json_get_str(j->status, "phase");

        if (j->in->failed_reason || str_eq(phase, "Failed"))
                return "PodFailed";
        return str_eq(phase, "Succeeded") ? "PodCompleted" : NULL;
}

static struct condition containers_ready(const struct status_job *j)
{
        struct condition c = {.type = "ContainersReady", .reason = end_reason(j)};

        if (c.reason)
                return c;
        c.message = names(j, "containers with unready status", counts_for_readiness, is_ready);
        c.yes = !c.message;
        c.reason = c.yes ? NULL : "ContainersNotReady";
        return c;
}

/* What the gates say; NULL: all are open. */
static const char *closed_gates(const struct status_job *j)
{
        const struct json_object *conditions = json_get(j->status, "conditions");
        const char *text = NULL;

        json_array_foreach (json_at(j->in->pod, "spec.readinessGates"), i, gate) {
                const char *type = json_get_str(gate, "conditionType") ?: "", *one;
                const struct json_object *c = find_condition(conditions, type);
                const char *status = json_get_str(c, "status") ?: "";

                if (str_eq(status, "True"))
                        continue;
                if (!c)
                        one = arena_printf(
                                j->mem, "corresponding condition of pod readiness gate \"%s\" does not exist.", type);
                else
                        one = arena_printf(j->mem, "the status of pod readiness gate \"%s\" is not \"True\", but %s",
                                           type, status);
                text = text ? arena_printf(j->mem, "%s, %s", text, one) : one;
        }
        return text;
}

static struct condition pod_ready(const struct status_job *j)
{
        struct condition c = containers_ready(j);

        c.type = "Ready";
        if (!c.yes || !(c.message = closed_gates(j)))
                return c;
        c.yes = false;
        c.reason = "ReadinessGatesNotReady";
        return c;
}

static struct condition initialized(const struct status_job *j)
{
        struct condition c = {.type = "Initialized", .yes = true};

        if (str_eq(json_get_str(j->status, "phase"), "Succeeded"))
                c.reason = "PodCompleted";
        else if (!status_was_initialized(j))
                c.message = names(j, "containers with incomplete status", counts_for_init, is_initialized);
        if (!c.message)
                return c;
        c.yes = false;
        c.reason = "ContainersNotInitialized";
        return c;
}

static struct condition ready_to_start(const struct status_job *j)
{
        const struct sandbox_status *box = newest_sandbox(j->in->there);

        return (struct condition){.type = "PodReadyToStartContainers", .yes = box && box->state == SANDBOX_READY};
}

/* A change of resources while it runs. */
static bool wants_resize(const struct status_job *j)
{
        for (size_t i = 0; i < j->defs.n; i++) {
                const struct json_object *o = status_of(j, &j->defs.v[i]), *now = json_get(o, "resources"),
                                         *asked = json_get(j->defs.v[i].spec, "resources");

                if (!json_has(json_get(o, "state"), "running") || !json_is_object(asked))
                        continue;
                if (!json_equal(json_get(now, "requests"), json_get(asked, "requests")) ||
                    !json_equal(json_get(now, "limits"), json_get(asked, "limits")))
                        return true;
        }
        return false;
}

/* ---- all of them ---- */

static bool is_others(const struct status_job *j, const char *type)
{
        if (str_eq(type, "DisruptionTarget"))
                return !j->in->disrupted;
        return !status_owns_condition(type) && !str_eq(type, SCHEDULED);
}

static void keep_others(const struct status_job *j, struct json_object *list)
{
        json_array_foreach (json_at(j->in->pod, "status.conditions"), i, c)
                if (is_others(j, json_get_str(c, "type")))
                        json_object_array_add(list, json_copy(c));
}

/* The scheduler's; a static pod has it from here. */
static void keep_scheduled(const struct status_job *j, struct json_object *list)
{
        const struct json_object *c = find_condition(json_at(j->in->pod, "status.conditions"), SCHEDULED);
        const struct condition scheduled = {.type = SCHEDULED, .yes = true};

        if (c)
                json_object_array_add(list, json_copy(c));
        else
                add_condition(j, &scheduled);
}

void status_set_conditions(const struct status_job *j)
{
        struct json_object *list = json_object_new_array();
        struct condition own[4];
        struct condition resize = {"PodResizePending", true, "Infeasible",
                                   "In-place resize is not supported by this node"};
        struct condition disrupted = {"DisruptionTarget", true, "TerminationByKubelet", j->in->failed_message};

        keep_others(j, list);
        json_set(j->status, "conditions", list);
        own[0] = ready_to_start(j);
        own[1] = initialized(j);
        own[2] = pod_ready(j);
        own[3] = containers_ready(j);
        if (wants_resize(j))
                add_condition(j, &resize);
        if (j->in->disrupted)
                add_condition(j, &disrupted);
        for (size_t i = 0; i < ARRAY_SIZE(own); i++)
                add_condition(j, &own[i]);
        keep_scheduled(j, list);
}
