/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three questions, in this order. Is it to end? Then main containers are ended side by side, sidecars after them in
 * reverse order, the sandbox last. Has it a sandbox? Then init containers are walked through, and the first that is not
 * done yet stops the walk. Are they done? Then each main container looks after itself.
 */
#include "agent/kubelet/pods/actions.h"
#include "agent/kubelet/pods/containers.h"
#include "agent/kubelet/pods/spec.h"
#include "base/str.h"

struct plan {
        const struct pod_input *in;
        struct containers defs;
        const struct sandbox_status *box; /* the newest one, or NULL */
        struct kill_action *kills;
        struct start_action *starts;
        struct removal *removals;
        struct pod_actions *out;
};

static const struct container_facts *facts_of(const struct plan *p, const char *name)
{
        static const struct container_facts none = {.startup = VERDICT_SUCCESS};

        for (size_t i = 0; i < p->in->nfacts; i++)
                if (str_eq(p->in->facts[i].name, name))
                        return &p->in->facts[i];
        return &none;
}

static bool is_idle(const struct plan *p, const char *name)
{
        return facts_of(p, name)->activity == ACTIVITY_NONE;
}

static const struct container_status *newest(const struct plan *p, const struct container_def *def)
{
        return newest_instance(p->in->there, def->name, NULL);
}

/* In the sandbox of now: what ran in an earlier one says nothing about this one's init containers. */
static const struct container_status *present(const struct plan *p, const struct container_def *def)
{
        return newest_instance(p->in->there, def->name, p->box->id);
}

static void look_again(struct plan *p, uint64_t ms)
{
        p->out->again_ms = MIN(p->out->again_ms, ms);
}

static void kill(struct plan *p, const struct container_status *c, enum kill_reason reason)
{
        struct kill_action *k;

        if (facts_of(p, c->name)->activity == ACTIVITY_STOPPING)
                return;
        k = &p->kills[p->out->nkills++];
        *k = (struct kill_action){.name = c->name, .reason = reason};
        str_copy(k->id, sizeof(k->id), c->id);
}

/* As the status counts: one that is told with an instance has had its turn. */
static uint32_t told_attempt(const struct plan *p, const struct container_def *def)
{
        const struct json_object *statuses = json_get(p->in->status, kind_status_field(def->kind)),
                                 *told = json_named(statuses, def->name);

        return (uint32_t)json_get_i64(told, "restartCount", 0) + json_has(told, "containerID");
}

/* How often it ran before: what is there tells, and the status of what is not there any more: after a boot of the node,
 * or when its start has failed. */
static uint32_t next_attempt(const struct plan *p, const struct container_def *def)
{
        const struct container_status *c = newest(p, def);

        return MAX(c ? c->attempt + 1 : 0, told_attempt(p, def));
}

static void start(struct plan *p, const struct container_def *def)
{
        const struct container_facts *f = facts_of(p, def->name);
        const struct container_status *c = present(p, def);
        struct start_action *s;

        if (f->activity != ACTIVITY_NONE)
                return;
        if (f->blocked_until_ms > p->in->mono_ms) {
                look_again(p, f->blocked_until_ms);
                return;
        }
        s = &p->starts[p->out->nstarts++];
        *s = (struct start_action){.name = def->name};
        if (c && c->state == CONTAINER_CREATED) {
                s->attempt = c->attempt;
                str_copy(s->id, sizeof(s->id), c->id);
        } else {
                s->attempt = next_attempt(p, def);
        }
}

/* ---- the end ---- */

static bool is_sidecar(const struct plan *p, const char *name)
{
        const struct container_def *def = containers_find(&p->defs, name);

        return def && def->kind == KIND_SIDECAR;
}

/* Kills those that live; also true while one is just being made. */
static bool end_containers(struct plan *p, bool sidecars)
{
        bool any = false;

        for (size_t i = 0; i < p->in->there->ncontainers; i++) {
                const struct container_status *c = &p->in->there->containers[i];

                if (!instance_lives(c) || is_sidecar(p, c->name) != sidecars)
                        continue;
                any = true;
                kill(p, c, KILL_POD_ENDS);
        }
        for (size_t i = 0; i < p->in->nfacts; i++)
                any |= p->in->facts[i].activity != ACTIVITY_NONE && is_sidecar(p, p->in->facts[i].name) == sidecars;
        return any;
}

/* The last one first, and the one before it when that has ended. */
static bool end_last_sidecar(struct plan *p)
{
        for (size_t i = p->defs.n; i-- > 0;) {
                const struct container_def *def = &p->defs.v[i];
                const struct container_status *c = newest(p, def);

                if (def->kind != KIND_SIDECAR)
                        continue;
                if (instance_lives(c))
                        kill(p, c, KILL_POD_ENDS);
                if (instance_lives(c) || !is_idle(p, def->name))
                        return true;
        }
        /* Those whose name the spec has lost are ended with the main ones; older instances do not live. */
        return false;
}

static bool is_stopped(const struct plan *p, const struct sandbox_status *s)
{
        return s->state == SANDBOX_NOT_READY && (s != p->box || str_eq(p->in->sandbox_stopped, s->id));
}

/* An older sandbox that is not ready was stopped before there was a newer one. */
static bool end_sandboxes(struct plan *p)
{
        if (p->in->sandbox_busy)
                return true;
        for (size_t i = 0; i < p->in->there->nsandboxes; i++) {
                const struct sandbox_status *s = &p->in->there->sandboxes[i];

                if (is_stopped(p, s))
                        continue;
                if (p->in->sandbox_blocked_ms > p->in->mono_ms)
                        look_again(p, p->in->sandbox_blocked_ms);
                else
                        str_copy(p->out->stop_sandbox, sizeof(p->out->stop_sandbox), s->id);
                return true;
        }
        return false;
}

static void plan_end(struct plan *p)
{
        if (end_containers(p, false) || end_last_sidecar(p) || end_sandboxes(p))
                return;
        p->out->over = true;
        p->out->remove_all = p->in->deleted;
}

/* ---- whether it has run to its end ---- */

static bool has_ended(const struct plan *p, const struct container_def *def)
{
        const struct container_status *c = newest(p, def);
        const struct container_facts *f = facts_of(p, def->name);

        return c && !instance_lives(c) && f->activity == ACTIVITY_NONE && !f->restart;
}

static bool ended_for_good(const struct plan *p, const struct container_def *def)
{
        return has_ended(p, def) && !container_restarts(p->in->pod, def, instance_exit_code(newest(p, def)));
}

static bool has_failed_init(const struct plan *p)
{
        for (size_t i = 0; i < p->defs.n; i++)
                if (p->defs.v[i].kind == KIND_INIT && ended_for_good(p, &p->defs.v[i]) &&
                    !instance_succeeded(newest(p, &p->defs.v[i])))
                        return true;
        return false;
}

static bool has_finished(const struct plan *p)
{
        size_t mains = 0;

        for (size_t i = 0; i < p->defs.n; i++) {
                if (p->defs.v[i].kind != KIND_MAIN)
                        continue;
                mains++;
                if (!ended_for_good(p, &p->defs.v[i]))
                        return has_failed_init(p);
        }
        return mains > 0;
}

/* ---- the sandbox ---- */

/* What is just being made in it is waited for, and ended then. */
static bool end_old_sandbox(struct plan *p)
{
        bool any = false;

        for (size_t i = 0; i < p->in->nfacts; i++)
                any |= p->in->facts[i].activity != ACTIVITY_NONE;
        for (size_t i = 0; i < p->in->there->ncontainers; i++) {
                const struct container_status *c = &p->in->there->containers[i];

                if (!instance_lives(c))
                        continue;
                any = true;
                kill(p, c, KILL_SANDBOX_CHANGED);
        }
        return any || end_sandboxes(p);
}

/* False: containers have to wait for it. */
static bool has_sandbox(struct plan *p)
{
        if (p->box && p->box->state == SANDBOX_READY) {
                str_copy(p->out->sandbox, sizeof(p->out->sandbox), p->box->id);
                return true;
        }
        if (p->in->sandbox_busy || end_old_sandbox(p))
                return false;
        if (p->in->sandbox_blocked_ms > p->in->mono_ms) {
                look_again(p, p->in->sandbox_blocked_ms);
                return false;
        }
        p->out->run_sandbox = true;
        p->out->sandbox_attempt = p->box ? p->box->attempt + 1 : 0;
        return false;
}

/* ---- containers that run ---- */

static bool spec_has_changed(const struct container_def *def, const struct container_status *c)
{
        char hash[17];

        spec_hash(def->spec, hash);
        return !str_empty(c->hash) && !str_eq(c->hash, hash);
}

static void keep_running(struct plan *p, const struct container_def *def, const struct container_status *c)
{
        const struct container_facts *f = facts_of(p, def->name);

        if (c->state == CONTAINER_CREATED) {
                start(p, def);
                return;
        }
        if (f->activity != ACTIVITY_NONE)
                return;
        if (spec_has_changed(def, c))
                kill(p, c, KILL_SPEC_CHANGED);
        else if (f->startup == VERDICT_FAILURE)
                kill(p, c, KILL_STARTUP);
        else if (f->liveness == VERDICT_FAILURE)
                kill(p, c, KILL_LIVENESS);
}

/* True: the next one may begin. */
static bool plan_sidecar(struct plan *p, const struct container_def *def)
{
        const struct container_status *c = present(p, def);

        if (!instance_lives(c)) {
                start(p, def);
                return false;
        }
        keep_running(p, def, c);
        return c->state == CONTAINER_RUNNING && is_idle(p, def->name) &&
               facts_of(p, def->name)->startup == VERDICT_SUCCESS;
}

static bool plan_init(struct plan *p, const struct container_def *def)
{
        const struct container_status *c = present(p, def);

        if (instance_succeeded(c))
                return true;
        if (!c || c->state != CONTAINER_RUNNING)
                start(p, def);
        return false;
}

/* Once a main container was made, init containers are history. */
static bool was_initialized(const struct plan *p)
{
        for (size_t i = 0; i < p->defs.n; i++)
                if (p->defs.v[i].kind == KIND_MAIN && present(p, &p->defs.v[i]))
                        return true;
        return false;
}

static bool plan_inits(struct plan *p)
{
        bool before = was_initialized(p);

        for (size_t i = 0; i < p->defs.n; i++) {
                const struct container_def *def = &p->defs.v[i];
                bool done = true;

                if (def->kind == KIND_SIDECAR)
                        done = plan_sidecar(p, def);
                else if (def->kind == KIND_INIT)
                        done = before || plan_init(p, def);
                if (!done && !before)
                        return false;
        }
        return true;
}

static void plan_main(struct plan *p, const struct container_def *def)
{
        const struct container_status *c = newest(p, def);

        if (instance_lives(c))
                keep_running(p, def, c);
        else if (!ended_for_good(p, def))
                start(p, def);
}

static void plan_rest(struct plan *p)
{
        bool initialized = plan_inits(p);

        for (size_t i = 0; i < p->defs.n; i++) {
                const struct container_def *def = &p->defs.v[i];

                if (def->kind == KIND_MAIN && initialized)
                        plan_main(p, def);
                else if (def->kind == KIND_EPHEMERAL && (!newest(p, def) || newest(p, def)->state == CONTAINER_CREATED))
                        start(p, def);
        }
}

/* ---- what is not needed any more ---- */

/* The newest one, and before one that runs the one before it (kubectl logs --previous). */
static bool is_kept(const struct plan *p, const struct container_status *c)
{
        const struct container_status *first = newest_instance(p->in->there, c->name, NULL);

        return instance_lives(c) || c == first || (instance_lives(first) && c == older_instance(p->in->there, first));
}

static bool holds_kept(const struct plan *p, const struct sandbox_status *s)
{
        for (size_t i = 0; i < p->in->there->ncontainers; i++)
                if (str_eq(p->in->there->containers[i].sandbox, s->id) && is_kept(p, &p->in->there->containers[i]))
                        return true;
        return false;
}

static void remove_later(struct plan *p, const char *id, bool is_sandbox)
{
        struct removal *r = &p->removals[p->out->nremovals++];

        r->is_sandbox = is_sandbox;
        str_copy(r->id, sizeof(r->id), id);
}

/* A container that is being stopped or started may still be asked for. */
static void plan_removals(struct plan *p)
{
        const struct runtime_list *there = p->in->there;

        for (size_t i = 0; i < there->ncontainers; i++)
                if (!is_kept(p, &there->containers[i]) && is_idle(p, there->containers[i].name))
                        remove_later(p, there->containers[i].id, false);
        for (size_t i = 0; i < there->nsandboxes && !p->in->sandbox_busy; i++)
                if (&there->sandboxes[i] != p->box && is_stopped(p, &there->sandboxes[i]) &&
                    !holds_kept(p, &there->sandboxes[i]))
                        remove_later(p, there->sandboxes[i].id, true);
}

/* ---- all of it ---- */

static void begin(struct plan *p, const struct pod_input *in, struct arena *mem)
{
        *p = (struct plan){.in = in, .box = newest_sandbox(in->there)};
        containers_of(in->pod, mem, &p->defs);
}

bool pod_has_finished(const struct pod_input *in, struct arena *mem)
{
        struct plan p;

        begin(&p, in, mem);
        return has_finished(&p);
}

void compute_actions(const struct pod_input *in, struct arena *mem, struct pod_actions *ret)
{
        size_t n = in->there->ncontainers + in->there->nsandboxes + 1;
        struct plan p;

        begin(&p, in, mem);
        *ret = (struct pod_actions){.again_ms = UINT64_MAX};
        p.out = ret;
        ret->kills = p.kills = arena_array(mem, struct kill_action, n);
        ret->removals = p.removals = arena_array(mem, struct removal, n);
        ret->starts = p.starts = arena_array(mem, struct start_action, p.defs.n + 1);
        if (in->deleted || in->ended || has_finished(&p))
                plan_end(&p);
        else if (has_sandbox(&p))
                plan_rest(&p);
        if (!ret->remove_all)
                plan_removals(&p);
}
