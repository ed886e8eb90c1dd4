/* SPDX-License-Identifier: Apache-2.0 */
/* From an image to a container that runs: made, started, its postStart hook. */
#include <errno.h>

#include "agent/kubelet/pods/worker.h"
#include "base/clock.h"
#include "base/str.h"

#define CONFIG_RETRY_MS    10000 /* and whenever something that it refers to changes */
#define CONFIG_PATIENCE_MS 500
#define HOOK_TIMEOUT_MS    0 /* none: a hook may take as long as it wants */

void task_error(struct task *t, const char *reason, const char *message, const char *what, uint64_t again_ms)
{
        uint64_t now = clock_mono_ms();
        bool news = !str_eq(t->reason, reason) || !str_eq(t->message, message);

        t->stage = STAGE_IDLE;
        t->blocked_until_ms = again_ms ? now + again_ms : 0;
        t->w->pods->stats.failures++;
        task_wait(t, reason, message);
        if (news || now - t->last_event_ms >= CONFIG_RETRY_MS) {
                t->last_event_ms = now;
                task_event(t, true, "Failed", "Error: %s", what);
        }
        if (news || again_ms) /* else it would be tried again at once, for ever */
                worker_wake(t->w);
}

/* As often as a container that crashes. */
static uint64_t crash_delay(struct task *t)
{
        backoff_next(&t->crash, &t->w->pods->limits, clock_mono_ms());
        return t->crash.delay_ms;
}

/* ---- discarding what could not be started ---- */

static void discarded(void *ticket, int result, const char *id, const char *message)
{
        struct task *t;
        struct worker *w = ticket_use(ticket, &t);

        if (!w)
                return;
        t->stage = STAGE_IDLE;
        worker_wake(w);
}

static void discard(struct task *t)
{
        void *rt;
        const struct runtime_ops *ops = worker_runtime(t->w, &rt);

        t->stage = STAGE_DISCARD;
        ops->container_remove(rt, t->id, discarded, ticket_new(t->w, t, &t->ticket));
}

/* ---- postStart ---- */

static void hook_done(void *userdata, enum handler_outcome outcome, const char *message)
{
        struct task *t = userdata;
        struct kill_action kill = {.name = t->name, .reason = KILL_POST_START};

        t->hook = NULL;
        t->stage = STAGE_IDLE;
        worker_wake(t->w);
        if (outcome == HANDLER_SUCCESS || outcome == HANDLER_WARNING)
                return;
        task_event(t, true, "FailedPostStartHook", "PostStartHook failed");
        task_wait(t, "PostStartHookError", message);
        str_copy(kill.id, sizeof(kill.id), t->id);
        task_kill(t, &kill);
}

static void post_start(struct task *t)
{
        const struct json_object *spec = task_spec(t, NULL), *hook = json_at(spec, "lifecycle.postStart");
        const struct handler_target target = {.container = spec, .container_id = t->id, .pod_ip = t->w->ips[0] ?: ""};

        t->stage = STAGE_IDLE;
        if (!hook)
                return;
        t->stage = STAGE_POST_START;
        t->hook = handler_start(t->w->pods->opts.handlers, hook, &target, HOOK_TIMEOUT_MS, hook_done, t);
}

/* ---- starting ---- */

static void started(void *ticket, int result, const char *id, const char *message)
{
        struct task *t;
        struct worker *w = ticket_use(ticket, &t);

        if (!w)
                return;
        worker_wake(w);
        if (result) {
                task_error(t, "RunContainerError", message, message, crash_delay(t));
                discard(t);
                return;
        }
        w->pods->stats.starts++;
        t->restart = false;
        t->blocked_until_ms = 0;
        if (t->attempt)
                backoff_next(&t->crash, &w->pods->limits, clock_mono_ms());
        task_wait(t, NULL, NULL);
        task_event(t, false, "Started", "Started container %s", t->name);
        post_start(t);
}

static void start(struct task *t)
{
        void *rt;
        const struct runtime_ops *ops = worker_runtime(t->w, &rt);

        t->stage = STAGE_START;
        ops->container_start(rt, t->id, started, ticket_new(t->w, t, &t->ticket));
}

static void created(void *ticket, int result, const char *id, const char *message)
{
        struct task *t;
        struct worker *w = ticket_use(ticket, &t);

        if (!w)
                return;
        if (result) {
                task_error(t, "CreateContainerError", message, message, crash_delay(t));
                return;
        }
        str_copy(t->id, sizeof(t->id), id);
        task_event(t, false, "Created", "Created container: %s", t->name);
        if (worker_is_ending(w)) {
                t->stage = STAGE_IDLE;
                worker_wake(w);
        } else {
                start(t);
        }
}

/* ---- making ---- */

/* The first answer about a ConfigMap may be on its way: that is nothing to tell of. */
static void config_failed(struct task *t, int r, const char *message)
{
        uint64_t now = clock_mono_ms();

        if (!t->config_since_ms)
                t->config_since_ms = now;
        if (r == -EAGAIN && now - t->config_since_ms < CONFIG_PATIENCE_MS) {
                worker_look_at(t->w, t->config_since_ms + CONFIG_PATIENCE_MS);
                return;
        }
        task_error(t, "CreateContainerConfigError", message, message, 0);
        worker_look_at(t->w, now + CONFIG_RETRY_MS);
}

void task_create(struct task *t)
{
        struct worker *w = t->w;
        const struct pods_opts *o = &w->pods->opts;
        const struct json_object *container = task_spec(t, NULL);
        _cleanup_json_ struct json_object *pod = worker_whole_pod(w);
        const struct spec spec = {.pod = pod,
                                  .node = o->node,
                                  .volumes = o->volumes,
                                  .objects = o->objects,
                                  .services = o->services,
                                  .ips = w->ips,
                                  .warn = worker_warn,
                                  .userdata = w};
        const struct image *image = images_find(o->images, json_get_str(container, "image"));
        struct container_config config;
        struct arena mem = ARENA_NULL;
        struct err err = ERR_NULL;
        void *rt;
        const struct runtime_ops *ops = worker_runtime(w, &rt);
        int r = image ? spec_container(&spec, container, t->attempt, image, &mem, &config, &err)
                      : err_set(&err, -ENOENT, "the image is not here any more");

        if (r) {
                config_failed(t, r, err.msg);
        } else {
                t->config_since_ms = 0;
                t->stage = STAGE_CREATE;
                ops->container_create(rt, w->sandbox, &config, created, ticket_new(w, t, &t->ticket));
        }
        arena_deinit(&mem);
}

void task_start(struct task *t, const struct start_action *a)
{
        t->attempt = a->attempt;
        if (!a->id[0]) {
                task_pull(t);
                return;
        }
        str_copy(t->id, sizeof(t->id), a->id);
        start(t);
}
