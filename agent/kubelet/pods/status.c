/* SPDX-License-Identifier: Apache-2.0 */
/* Phase, addresses, and what there is to tell of it. */
#include "agent/kubelet/pods/status_impl.h"
#include "base/clock.h"
#include "base/str.h"

const struct container_note *status_note(const struct status_job *j, const char *name)
{
        static const struct container_note none;

        for (size_t i = 0; i < j->in->nnotes; i++)
                if (str_eq(j->in->notes[i].name, name))
                        return &j->in->notes[i];
        return &none;
}

/* ---- the phase ---- */

struct count {
        unsigned int failed_inits, pending_inits, pending_sidecars;
        unsigned int running, waiting, stopped, ended, succeeded; /* ended: stopped for good */
};

/* The end of the run that is over, of one that waits to run again; NULL: it has not run yet, or runs. */
static const struct json_object *end_of(const struct json_object *o)
{
        const struct json_object *state = json_get(o, "state");

        if (json_has(state, "running"))
                return NULL;
        return json_get(state, "terminated") ?: json_get(json_get(o, "lastState"), "terminated");
}

static void count_init(const struct status_job *j, const struct container_def *def, struct count *n)
{
        const struct json_object *end = end_of(status_of(j, def));
        int32_t code = (int32_t)json_get_i64(end, "exitCode", 0);

        if (!end)
                n->pending_inits++;
        else if (code && !container_restarts(j->in->pod, def, code))
                n->failed_inits++;
        else if (code)
                n->pending_inits++;
}

static void count_sidecar(const struct status_job *j, const struct container_def *def, struct count *n)
{
        const struct json_object *o = status_of(j, def);
        bool running = json_has(json_get(o, "state"), "running");

        n->running += running;
        if (running ? !json_get_bool(o, "started", false) : !end_of(o))
                n->pending_sidecars++;
        if (!running && !end_of(o))
                n->waiting++;
}

static void count_main(const struct status_job *j, const struct container_def *def, struct count *n)
{
        const struct json_object *o = status_of(j, def), *end = end_of(o);
        int32_t code = (int32_t)json_get_i64(end, "exitCode", 0);

        if (json_has(json_get(o, "state"), "running")) {
                n->running++;
        } else if (end) {
                n->stopped++;
                n->succeeded += code == 0;
                n->ended += j->in->finished || !container_restarts(j->in->pod, def, code);
        } else {
                n->waiting++;
        }
}

static struct count count(const struct status_job *j)
{
        struct count n = {0};

        for (size_t i = 0; i < j->defs.n; i++) {
                const struct container_def *def = &j->defs.v[i];

                if (def->kind == KIND_INIT)
                        count_init(j, def, &n);
                else if (def->kind == KIND_SIDECAR)
                        count_sidecar(j, def, &n);
                else if (def->kind == KIND_MAIN)
                        count_main(j, def, &n);
        }
        return n;
}

static const char *phase_by_containers(const struct status_job *j)
{
        struct count n = count(j);

        if (n.failed_inits)
                return "Failed";
        if (n.pending_inits || (n.pending_sidecars && !status_was_initialized(j)) || n.waiting)
                return "Pending";
        if (n.running)
                return "Running";
        if (!n.stopped)
                return "Pending";
        if (n.stopped != n.ended)
                return "Running";
        return n.stopped == n.succeeded ? "Succeeded" : "Failed";
}

static bool is_end(const char *phase)
{
        return str_eq(phase, "Succeeded") || str_eq(phase, "Failed");
}

static bool anything_lives(const struct runtime_list *there)
{
        for (size_t i = 0; i < there->ncontainers; i++)
                if (instance_lives(&there->containers[i]))
                        return true;
        return false;
}

/* The end is told when it has come: whoever sees Succeeded or Failed may give what the pod held to another. */
static const char *phase_of(const struct status_job *j)
{
        const char *old = json_get_str(j->in->old, "phase"), *phase = phase_by_containers(j);

        if (is_end(old))
                return old;
        if (j->in->failed_reason)
                phase = "Failed";
        if (is_end(phase) && anything_lives(j->in->there))
                return str_empty(old) ? "Pending" : old;
        return phase;
}

/* ---- the rest ---- */

static void set_ips(struct json_object *status, const char *one, const char *many, const char *const *ips)
{
        struct json_object *list;

        if (!ips || !ips[0])
                return;
        json_set_str(status, one, ips[0]);
        list = json_object_new_array();
        for (size_t i = 0; i < 2 && ips[i]; i++) {
                struct json_object *o = json_object_new_object();

                json_set_str(o, "ip", ips[i]);
                json_object_array_add(list, o);
        }
        json_set(status, many, list);
}

static void keep(struct json_object *status, const struct json_object *old, const char *key)
{
        if (json_has(old, key))
                json_set(status, key, json_copy(json_get(old, key)));
}

static void set_pod_ips(const struct status_job *j)
{
        const struct sandbox_status *box = newest_sandbox(j->in->there);

        if (json_at_bool(j->in->pod, "spec.hostNetwork", false)) {
                set_ips(j->status, "podIP", "podIPs", j->in->host_ips);
        } else if (box) {
                set_ips(j->status, "podIP", "podIPs", box->ips);
        } else {
                keep(j->status, j->in->old, "podIP");
                keep(j->status, j->in->old, "podIPs");
        }
}

static void set_reason(const struct status_job *j)
{
        if (j->in->failed_reason) {
                json_set_str(j->status, "reason", j->in->failed_reason);
                json_set_str(j->status, "message", j->in->failed_message ?: "");
        } else if (str_eq(json_get_str(j->status, "phase"), json_get_str(j->in->old, "phase"))) {
                keep(j->status, j->in->old, "reason");
                keep(j->status, j->in->old, "message");
        }
}

static struct json_object *begin(const struct status_input *in)
{
        const struct json_object *told = json_get(in->pod, "status");
        const char *start = json_get_str(in->old, "startTime") ?: json_get_str(told, "startTime");
        const char *qos = json_get_str(told, "qosClass") ?: in->qos;
        struct json_object *status = json_object_new_object();
        int64_t generation = json_at_i64(in->pod, "metadata.generation", 0);
        char now[CLOCK_TEXT_SIZE];

        if (generation)
                json_set_i64(status, "observedGeneration", generation);
        json_set_str(status, "startTime", start ?: clock_format(in->now_s, now));
        if (qos)
                json_set_str(status, "qosClass", qos);
        set_ips(status, "hostIP", "hostIPs", in->host_ips);
        return status;
}

struct json_object *status_make(const struct status_input *in)
{
        struct arena mem = ARENA_NULL;
        struct status_job j = {.in = in, .mem = &mem, .status = begin(in)};

        containers_of(in->pod, &mem, &j.defs);
        status_set_containers(&j);
        if (in->over)
                status_end_containers(&j);
        json_set_str(j.status, "phase", phase_of(&j));
        status_set_conditions(&j);
        set_pod_ips(&j);
        set_reason(&j);
        arena_deinit(&mem);
        return j.status;
}

struct json_object *status_rejected(const struct status_input *in)
{
        struct json_object *status = begin(in);

        json_set_str(status, "phase", "Failed");
        json_set_str(status, "reason", in->failed_reason);
        json_set_str(status, "message", in->failed_message);
        keep(status, json_get(in->pod, "status"), "conditions");
        return status;
}

/* ---- what differs ---- */

static bool has_condition(const struct json_object *list, const char *type)
{
        json_array_foreach (list, i, c)
                if (str_eq(json_get_str(c, "type"), type))
                        return true;
        return false;
}

/* Adds what takes own ones away; list may be NULL and is returned. */
static struct json_object *gone_conditions(const struct json_object *known, const struct json_object *wanted,
                                           struct json_object *list)
{
        json_array_foreach (known, i, c) {
                const char *type = json_get_str(c, "type");
                struct json_object *o;

                if (!status_owns_condition(type) || has_condition(wanted, type) || !wanted)
                        continue;
                o = json_object_new_object();
                json_set_str(o, "type", type);
                json_set_str(o, "$patch", "delete");
                list = list ?: json_object_new_array();
                json_object_array_add(list, o);
        }
        return list;
}

/* Conditions merge by their type: own ones that differ are sent, those of others never. */
static struct json_object *changed_conditions(const struct json_object *known, const struct json_object *wanted)
{
        struct json_object *list = NULL;

        json_array_foreach (wanted, i, c) {
                const char *type = json_get_str(c, "type");
                struct json_object *old = NULL, *o;

                json_array_foreach (known, k, candidate)
                        old = str_eq(json_get_str(candidate, "type"), type) ? candidate : old;
                if (old && (json_equal(old, c) || !(status_owns_condition(type) || str_eq(type, "DisruptionTarget"))))
                        continue;
                o = json_copy(c);
                json_foreach (old, key, val) /* what has to go is named */
                        if (!json_has(c, key))
                                json_set(o, key, NULL);
                list = list ?: json_object_new_array();
                json_object_array_add(list, o);
        }
        return gone_conditions(known, wanted, list);
}

/* A list that would be merged by key is replaced. */
static struct json_object *as_whole(const char *key, const struct json_object *val)
{
        struct json_object *copy = json_copy(val), *mark;

        if (!str_eq(key, "podIPs") && !str_eq(key, "hostIPs"))
                return copy;
        mark = json_object_new_object();
        json_set_str(mark, "$patch", "replace");
        json_object_array_add(copy, mark);
        return copy;
}

/* Those that can go again; others are nobody's, or somebody else's. */
static bool can_go(const char *key)
{
        static const char *const keys[] = {"reason", "message", "podIP", "podIPs"};

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (str_eq(key, keys[i]))
                        return true;
        return false;
}

struct json_object *status_diff(const char *uid, const struct json_object *known, const struct json_object *wanted)
{
        struct json_object *patch, *status = json_object_new_object(), *conditions;

        json_foreach (wanted, key, val)
                if (!str_eq(key, "conditions") && !json_equal(json_get(known, key), val))
                        json_set(status, key, as_whole(key, val));
        json_foreach (known, gone, old)
                if (can_go(gone) && !json_has(wanted, gone))
                        json_set(status, gone, NULL);
        conditions = changed_conditions(json_get(known, "conditions"), json_get(wanted, "conditions"));
        if (conditions)
                json_set(status, "conditions", conditions);
        if (!json_object_object_length(status)) {
                json_object_put(status);
                return NULL;
        }
        patch = json_object_new_object();
        json_set_str(json_ensure(patch, "metadata"), "uid", uid);
        json_set(patch, "status", status);
        return patch;
}
