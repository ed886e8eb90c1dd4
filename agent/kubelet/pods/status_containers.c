/* SPDX-License-Identifier: Apache-2.0 */
/* The status of each container: how it is, how it was before, and what for it waits. */
#include <stdlib.h>

#include "agent/kubelet/pods/status_impl.h"
#include "base/clock.h"
#include "base/str.h"

#define LOST_CODE    137
#define LOST_REASON  "ContainerStatusUnknown"
#define LOST_MESSAGE "The container could not be located when the pod was terminated"
#define GONE_MESSAGE "The container could not be located when the pod was deleted.  The container used to be Running"

static struct json_object *wrap(const char *key, struct json_object *o)
{
        struct json_object *state = json_object_new_object();

        json_set(state, key, o);
        return state;
}

static struct json_object *waiting(const char *reason, const char *message)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "reason", reason);
        if (!str_empty(message))
                json_set_str(o, "message", message);
        return wrap("waiting", o);
}

static struct json_object *lost(const char *message)
{
        struct json_object *o = json_object_new_object();

        json_set_i64(o, "exitCode", LOST_CODE);
        json_set_str(o, "reason", LOST_REASON);
        json_set_str(o, "message", message);
        return wrap("terminated", o);
}

static void set_time(struct json_object *o, const char *key, int64_t ns)
{
        char text[CLOCK_TEXT_SIZE];

        if (ns > 0)
                json_set_str(o, key, clock_format(ns / (int64_t)NS_PER_S, text));
}

static void set_id(struct json_object *o, const struct container_status *c)
{
        char id[sizeof("fairlead://") + RUNTIME_ID_SIZE];

        snprintf(id, sizeof(id), "fairlead://%s", c->id);
        json_set_str(o, "containerID", id);
}

/* ---- states ---- */

static const char *end_reason(const struct container_status *c)
{
        if (c->state == CONTAINER_UNKNOWN)
                return LOST_REASON;
        if (c->oom_killed)
                return "OOMKilled";
        return c->exit_code ? "Error" : "Completed";
}

static struct json_object *terminated(const struct container_status *c, const char *message)
{
        struct json_object *o = json_object_new_object();

        json_set_i64(o, "exitCode", instance_exit_code(c));
        if (c->signal > 0)
                json_set_i64(o, "signal", c->signal);
        json_set_str(o, "reason", end_reason(c));
        if (c->state == CONTAINER_UNKNOWN)
                message = LOST_MESSAGE;
        if (!str_empty(message))
                json_set_str(o, "message", message);
        /* Of one that ends at once its end may be seen before its start. */
        set_time(o, "startedAt", c->finished_ns ? MIN(c->started_ns, c->finished_ns) : c->started_ns);
        set_time(o, "finishedAt", c->finished_ns);
        set_id(o, c);
        return wrap("terminated", o);
}

/* What was told of that instance's end; borrowed, or NULL. It stays as it was told: its message is on no disk any more.
 */
static struct json_object *told_end(const struct json_object *told, const struct container_status *c)
{
        static const char *const states[] = {"state", "lastState"};

        for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
                struct json_object *t = json_get(json_get(told, states[i]), "terminated");
                const char *id = json_get_str(t, "containerID");

                id = id ? str_after(id, "fairlead://") : NULL;
                if (str_eq(id, c->id))
                        return t;
        }
        return NULL;
}

static struct json_object *end_of(const struct json_object *told, const struct container_status *c, const char *message)
{
        struct json_object *t = told_end(told, c);

        return t ? wrap("terminated", json_copy(t)) : terminated(c, message);
}

static const char *waiting_reason(const struct status_job *j)
{
        return json_len(json_get(json_get(j->in->pod, "spec"), "initContainers")) ? "PodInitializing"
                                                                                  : "ContainerCreating";
}

static struct json_object *state_of(const struct status_job *j, const struct container_status *c,
                                    const struct json_object *told, const struct container_note *note)
{
        struct json_object *o;

        if (note->starting && !instance_lives(c))
                return waiting(waiting_reason(j), NULL);
        switch (c->state) {
        case CONTAINER_RUNNING:
                o = json_object_new_object();
                set_time(o, "startedAt", c->started_ns);
                return wrap("running", o);
        case CONTAINER_EXITED:
        case CONTAINER_UNKNOWN:
                return end_of(told, c, note->termination_message);
        case CONTAINER_CREATED:
                break;
        }
        return waiting(waiting_reason(j), NULL);
}

/* ---- one container ---- */

static void add_mounts(struct json_object *o, const struct container_def *def)
{
        struct json_object *list = json_object_new_array();

        json_array_foreach (json_get(def->spec, "volumeMounts"), i, m) {
                struct json_object *e = json_object_new_object();

                json_set_str(e, "name", json_get_str(m, "name") ?: "");
                json_set_str(e, "mountPath", json_get_str(m, "mountPath") ?: "");
                if (json_get_bool(m, "readOnly", false)) {
                        json_set_bool(e, "readOnly", true);
                        json_set_str(e, "recursiveReadOnly", "Disabled");
                }
                json_object_array_add(list, e);
        }
        if (json_len(list))
                json_set(o, "volumeMounts", list);
        else
                json_object_put(list);
}

/* What it was made with: nothing of that changes while it runs, whatever the spec says meanwhile. */
static const struct json_object *own_resources(const struct container_def *def, const struct container_status *c,
                                               const struct json_object *told)
{
        const char *id = json_get_str(told, "containerID");

        id = id ? str_after(id, "fairlead://") : NULL;
        return str_eq(id, c->id) && json_has(told, "resources") ? json_get(told, "resources")
                                                                : json_get(def->spec, "resources");
}

static void add_resources(struct json_object *o, const struct container_def *def, const struct json_object *r)
{
        struct json_object *requests = json_get(r, "requests");
        const char *signal = json_at_str(def->spec, "lifecycle.stopSignal");

        json_set(o, "resources", json_is_object(r) ? json_copy(r) : json_object_new_object());
        if (json_is_object(requests) && json_object_object_length(requests))
                json_set(o, "allocatedResources", json_copy(requests));
        if (signal)
                json_set_str(o, "stopSignal", signal);
}

static struct json_object *bare_status(const struct container_def *def, struct json_object *state)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "name", def->name);
        json_set(o, "state", state);
        json_set(o, "lastState", json_object_new_object());
        json_set_bool(o, "ready", false);
        json_set_i64(o, "restartCount", 0);
        json_set_str(o, "image", json_get_str(def->spec, "image") ?: "");
        json_set_str(o, "imageID", "");
        json_set_bool(o, "started", false);
        add_mounts(o, def);
        return o;
}

/* Nothing of it is there: it was not made yet, or has vanished, with a boot perhaps. */
static struct json_object *absent_status(const struct status_job *j, const struct container_def *def,
                                         const struct json_object *told)
{
        const struct json_object *state = json_get(told, "state"), *last = json_get(told, "lastState");
        int64_t restarts = json_get_i64(told, "restartCount", 0);
        struct json_object *o;

        if (json_has(state, "terminated"))
                return json_copy(told);
        o = bare_status(def, waiting(waiting_reason(j), NULL));
        if (json_has(state, "running") && !json_has(last, "terminated")) {
                json_set(o, "lastState", lost(GONE_MESSAGE));
                restarts += json_at_str(j->in->pod, "metadata.deletionTimestamp") ? 0 : 1;
        } else if (json_has(last, "terminated")) {
                json_set(o, "lastState", json_copy(last));
        }
        json_set_i64(o, "restartCount", restarts);
        return o;
}

static struct json_object *present_status(const struct status_job *j, const struct container_def *def,
                                          const struct container_status *c, const struct json_object *told)
{
        const struct container_status *before = older_instance(j->in->there, c);
        const struct container_note *note = status_note(j, def->name);
        struct json_object *o = bare_status(def, state_of(j, c, told, note)), *last = json_get(told, "lastState");

        if (before)
                json_set(o, "lastState", end_of(told, before, NULL));
        else if (json_has(last, "terminated") && !told_end(last, c) && c->attempt)
                json_set(o, "lastState", json_copy(last));
        json_set_i64(o, "restartCount", MAX((int64_t)c->attempt, json_get_i64(told, "restartCount", 0)));
        json_set_str(o, "image", c->image);
        json_set_str(o, "imageID", note->image_ref ?: c->image_id);
        set_id(o, c);
        add_resources(o, def, own_resources(def, c, told));
        return o;
}

/* It will run again, and something keeps it: what it was moves to lastState. */
static void make_wait(const struct status_job *j, const struct container_def *def, struct json_object *o)
{
        const struct container_note *note = status_note(j, def->name);
        struct json_object *state = json_get(o, "state"), *end = json_get(state, "terminated");

        if (!note->reason || j->in->over || json_has(state, "running"))
                return;
        if (end)
                json_set(o, "lastState", wrap("terminated", json_object_get(end)));
        json_set(o, "state", waiting(note->reason, note->message));
}

static void set_readiness(const struct status_job *j, const struct container_def *def, struct json_object *o)
{
        const struct container_note *note = status_note(j, def->name);
        const struct json_object *state = json_get(o, "state");
        bool running = json_has(state, "running"), ready = running && note->started && note->ready;

        if (def->kind == KIND_INIT)
                ready = json_has(state, "terminated") && json_at_i64(state, "terminated.exitCode", 1) == 0;
        json_set_bool(o, "ready", ready && def->kind != KIND_EPHEMERAL);
        json_set_bool(o, "started", running && note->started && def->kind != KIND_INIT && def->kind != KIND_EPHEMERAL);
}

static struct json_object *container_status(const struct status_job *j, const struct container_def *def)
{
        const struct json_object *told = json_named(json_get(j->in->old, kind_status_field(def->kind)), def->name);
        const struct container_status *c = newest_instance(j->in->there, def->name, NULL);
        struct json_object *o = c ? present_status(j, def, c, told) : absent_status(j, def, told);

        make_wait(j, def, o);
        set_readiness(j, def, o);
        return o;
}

/* ---- all of them ---- */

static int by_name(const void *a, const void *b)
{
        return strcmp(json_get_str(*(struct json_object *const *)a, "name"),
                      json_get_str(*(struct json_object *const *)b, "name"));
}

/* Init containers come in their order, the others by name, as clients are used to. */
void status_set_containers(const struct status_job *j)
{
        for (size_t i = 0; i < j->defs.n; i++) {
                const char *field = kind_status_field(j->defs.v[i].kind);

                if (!json_get(j->status, field))
                        json_set(j->status, field, json_object_new_array());
                json_object_array_add(json_get(j->status, field), container_status(j, &j->defs.v[i]));
        }
        json_foreach (j->status, field, list)
                if (json_is_array(list) && !str_eq(field, "initContainerStatuses"))
                        json_object_array_sort(list, by_name);
}

const struct json_object *status_of(const struct status_job *j, const struct container_def *def)
{
        return json_named(json_get(j->status, kind_status_field(def->kind)), def->name);
}

static bool has_begun(const struct json_object *o)
{
        const struct json_object *state = json_get(o, "state");

        return json_has(state, "running") || json_has(state, "terminated") ||
               json_has(json_get(o, "lastState"), "terminated");
}

bool status_was_initialized(const struct status_job *j)
{
        for (size_t i = 0; i < j->defs.n; i++)
                if (j->defs.v[i].kind == KIND_MAIN && has_begun(status_of(j, &j->defs.v[i])))
                        return true;
        return false;
}

static bool all_inits_done(const struct status_job *j)
{
        for (size_t i = 0; i < j->defs.n; i++) {
                const struct json_object *o = status_of(j, &j->defs.v[i]);

                if (j->defs.v[i].kind == KIND_INIT && !json_get_bool(o, "ready", false))
                        return false;
                if (j->defs.v[i].kind == KIND_SIDECAR && !json_get_bool(o, "started", false))
                        return false;
        }
        return true;
}

static void make_lost(struct json_object *o)
{
        if (!json_has(json_get(o, "state"), "terminated"))
                json_set(o, "state", lost(LOST_MESSAGE));
}

void status_end_containers(const struct status_job *j)
{
        bool mains = status_was_initialized(j) || all_inits_done(j), later = mains;

        for (size_t i = j->defs.n; i-- > 0;) {
                struct json_object *o = (struct json_object *)status_of(j, &j->defs.v[i]);

                if (j->defs.v[i].kind == KIND_MAIN && mains)
                        make_lost(o);
                if (j->defs.v[i].kind != KIND_INIT && j->defs.v[i].kind != KIND_SIDECAR)
                        continue;
                later |= has_begun(o);
                if (later) /* those behind the last one that began never had their turn */
                        make_lost(o);
        }
}
