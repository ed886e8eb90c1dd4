/* SPDX-License-Identifier: Apache-2.0 */
/* The pod's sandbox: made, stopped, removed; one step at a time. */
#include "agent/kubelet/pods/worker.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#define REMOVE_RETRY_MS 5000

static void block_sandbox(struct worker *w)
{
        uint64_t now = clock_mono_ms();

        backoff_next(&w->sandbox_backoff, &w->pods->sandbox_limits, now);
        w->sandbox_blocked_ms = now + w->sandbox_backoff.delay_ms;
        worker_wake(w);
}

static void sandbox_failed(struct worker *w, const char *message)
{
        w->pods->stats.failures++;
        worker_event(w, true, "FailedCreatePodSandBox", "Failed to create pod sandbox: %s", message);
        block_sandbox(w);
}

static void sandbox_runs(void *ticket, int result, const char *id, const char *message)
{
        struct worker *w = ticket_use(ticket, NULL);

        if (!w)
                return;
        if (result) {
                sandbox_failed(w, message);
                return;
        }
        w->sandbox_blocked_ms = 0;
        worker_wake(w);
}

void worker_run_sandbox(struct worker *w, uint32_t attempt)
{
        const struct pods_opts *o = &w->pods->opts;
        const struct spec spec = {.pod = w->pod,
                                  .node = o->node,
                                  .volumes = o->volumes,
                                  .objects = o->objects,
                                  .services = o->services,
                                  .warn = worker_warn,
                                  .userdata = w};
        struct sandbox_config config;
        struct arena mem = ARENA_NULL;
        struct err err = ERR_NULL;
        void *rt;
        const struct runtime_ops *ops = worker_runtime(w, &rt);

        if (spec_sandbox(&spec, attempt, &mem, &config, &err))
                sandbox_failed(w, err.msg);
        else
                ops->sandbox_run(rt, &config, sandbox_runs, ticket_new(w, NULL, &w->sandbox_ticket));
        arena_deinit(&mem);
}

static void sandbox_stopped(void *ticket, int result, const char *id, const char *message)
{
        struct worker *w = ticket_use(ticket, NULL);

        if (!w)
                return;
        if (result) {
                worker_event(w, true, "FailedKillPod", "error killing pod: %s", message);
                block_sandbox(w);
                return;
        }
        str_copy(w->sandbox_stopped, sizeof(w->sandbox_stopped), id);
        worker_wake(w);
}

void worker_stop_sandbox(struct worker *w, const char *id, bool anew)
{
        void *rt;
        const struct runtime_ops *ops = worker_runtime(w, &rt);

        if (anew && !str_eq(id, w->sandbox_told)) {
                worker_event(w, false, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
                str_copy(w->sandbox_told, sizeof(w->sandbox_told), id);
        }
        ops->sandbox_stop(rt, id, sandbox_stopped, ticket_new(w, NULL, &w->sandbox_ticket));
}

/* ---- removal of dead ones ---- */

static void removed(void *ticket, int result, const char *id, const char *message)
{
        struct worker *w = ticket_use(ticket, NULL);

        if (!w)
                return;
        if (result) {
                log_limited(LOG_LEVEL_WARN, 10000, "what is dead cannot be removed", "pod=%s id=%s why=%s", w->uid, id,
                            message);
                w->remove_blocked_ms = clock_mono_ms() + REMOVE_RETRY_MS;
                worker_look_at(w, w->remove_blocked_ms);
                return;
        }
        worker_wake(w);
}

void worker_remove(struct worker *w, const struct removal *list, size_t n)
{
        void *rt;
        const struct runtime_ops *ops = worker_runtime(w, &rt);

        if (!n || w->removal_ticket)
                return;
        if (w->remove_blocked_ms > clock_mono_ms()) {
                worker_look_at(w, w->remove_blocked_ms);
                return;
        }
        if (list->is_sandbox)
                ops->sandbox_remove(rt, list->id, removed, ticket_new(w, NULL, &w->removal_ticket));
        else
                ops->container_remove(rt, list->id, removed, ticket_new(w, NULL, &w->removal_ticket));
}
