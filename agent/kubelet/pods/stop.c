/* SPDX-License-Identifier: Apache-2.0 */
/* From a container that runs to one that does not: its preStop hook, its signal, and KILL when its grace is over. */
#include <signal.h>

#include "agent/kubelet/pods/worker.h"
#include "base/clock.h"
#include "base/str.h"

#define GRACE_DEFAULT_S 30
#define GRACE_MIN_MS    2000 /* everybody gets a moment, also after a hook that took all */

/* ---- how long ---- */

static int64_t pod_grace_s(const struct worker *w)
{
        int64_t own = json_at_i64(w->pod, "spec.terminationGracePeriodSeconds", GRACE_DEFAULT_S);

        if (w->evict_grace_s >= 0)
                return MIN(own, w->evict_grace_s);
        return json_at_i64(w->pod, "metadata.deletionGracePeriodSeconds", own);
}

static int64_t probe_grace_s(const struct task *t)
{
        struct probe_verdicts v;

        probes_verdicts(t->w->pods->opts.probes, t->w->uid, t->name, t->id, &v);
        return v.grace_s;
}

/* All containers of a pod that ends share its time: sidecars have what the others have left. */
static uint64_t kill_by_ms(const struct task *t)
{
        bool ends = t->why == KILL_POD_ENDS;
        uint64_t from = ends && t->w->end_began_ms ? t->w->end_began_ms : clock_mono_ms();
        int64_t grace = pod_grace_s(t->w);

        if ((t->why == KILL_LIVENESS || t->why == KILL_STARTUP) && probe_grace_s(t) >= 0)
                grace = probe_grace_s(t);
        return from + (uint64_t)MAX(grace, (int64_t)0) * 1000;
}

static uint64_t time_left_ms(const struct task *t)
{
        uint64_t now = clock_mono_ms();

        return t->kill_by_ms > now ? t->kill_by_ms - now : 0;
}

/* ---- the signal ---- */

static int stop_signal(const struct task *t)
{
        const char *name = json_at_str(task_spec(t, NULL), "lifecycle.stopSignal");

        if (!name || !str_has_prefix(name, "SIG"))
                return 0;
        for (int signo = 1; signo < NSIG; signo++)
                if (str_eq(sigabbrev_np(signo), name + strlen("SIG")))
                        return signo;
        return 0;
}

/* What was ended for another reason than the pod's end runs again, whatever its exit code says. */
static bool comes_back(const struct task *t)
{
        enum container_kind kind;
        const struct json_object *spec = task_spec(t, &kind);
        const struct container_def def = {kind, t->name, spec};

        if (!spec || t->why == KILL_POD_ENDS)
                return false;
        return t->why == KILL_SPEC_CHANGED || container_restarts(t->w->pod, &def, 1);
}

static void stopped(void *ticket, int result, const char *id, const char *message)
{
        struct task *t;
        struct worker *w = ticket_use(ticket, &t);

        if (!w)
                return;
        t->stage = STAGE_IDLE;
        t->restart = comes_back(t);
        if (t->why == KILL_SPEC_CHANGED)
                t->crash = (struct backoff){0};
        if (result)
                task_event(t, true, "FailedKillPod", "error killing container %s: %s", t->name, message);
        worker_wake(w);
}

static void stop(struct task *t)
{
        uint64_t grace = MAX(time_left_ms(t), (uint64_t)GRACE_MIN_MS);
        void *rt;
        const struct runtime_ops *ops = worker_runtime(t->w, &rt);

        t->stage = STAGE_STOP;
        ops->container_stop(rt, t->id, stop_signal(t), grace, stopped, ticket_new(t->w, t, &t->ticket));
}

/* ---- preStop ---- */

static void hook_done(void *userdata, enum handler_outcome outcome, const char *message)
{
        struct task *t = userdata;

        t->hook = NULL;
        if (outcome == HANDLER_FAILURE || outcome == HANDLER_ERROR)
                task_event(t, true, "FailedPreStopHook", "PreStopHook failed");
        stop(t);
}

static bool pre_stop(struct task *t)
{
        const struct json_object *spec = task_spec(t, NULL), *hook = json_at(spec, "lifecycle.preStop");
        const struct handler_target target = {.container = spec, .container_id = t->id, .pod_ip = t->w->ips[0] ?: ""};

        if (!hook || !time_left_ms(t) || t->why == KILL_SANDBOX_CHANGED)
                return false;
        t->stage = STAGE_PRE_STOP;
        t->hook = handler_start(t->w->pods->opts.handlers, hook, &target, time_left_ms(t), hook_done, t);
        return true;
}

/* ---- killing ---- */

static void tell_of_kill(const struct task *t)
{
        static const char *const why[] = {
                [KILL_LIVENESS] = "failed liveness probe",
                [KILL_STARTUP] = "failed startup probe",
                [KILL_SPEC_CHANGED] = "definition changed",
        };

        if (t->why == KILL_POST_START)
                task_event(t, false, "Killing", "FailedPostStartHook");
        else if (t->why < ARRAY_SIZE(why) && why[t->why])
                task_event(t, false, "Killing", "Container %s %s%s", t->name, why[t->why],
                           comes_back(t) ? ", will be restarted" : "");
        else
                task_event(t, false, "Killing", "Stopping container %s", t->name);
}

static void drop_hook(struct task *t)
{
        if (t->hook)
                handler_cancel(TAKE_PTR(t->hook));
}

void task_kill(struct task *t, const struct kill_action *a)
{
        if (t->stage == STAGE_CREATE || t->stage == STAGE_START || t->stage == STAGE_DISCARD)
                return; /* it ends with a look */
        drop_hook(t);
        ticket_drop(&t->ticket);
        str_copy(t->id, sizeof(t->id), a->id);
        t->why = a->reason;
        t->kill_by_ms = kill_by_ms(t);
        tell_of_kill(t);
        if (!pre_stop(t))
                stop(t);
}

void task_hurry(struct task *t)
{
        uint64_t by;

        if (task_activity(t) != ACTIVITY_STOPPING)
                return;
        t->why = KILL_POD_ENDS;
        by = kill_by_ms(t);
        if (by >= t->kill_by_ms)
                return;
        t->kill_by_ms = by;
        drop_hook(t);
        stop(t);
}

/* A pull goes on, for whoever wants that image next. */
void task_abandon(struct task *t)
{
        if (t->stage != STAGE_PULL)
                return;
        ticket_drop(&t->ticket);
        t->stage = STAGE_IDLE;
}
