/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's own life: made, told of changes, woken, freed. What it does when it looks is in look.c. */
#include "agent/kubelet/pods/worker.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

void worker_wake(struct worker *w)
{
        if (w->is_woken)
                return;
        w->is_woken = true;
        w->next_woken = w->pods->woken;
        w->pods->woken = w;
        loop_timer_set(w->pods->wake, 0);
}

static void wake(void *userdata)
{
        worker_wake(userdata);
}

void worker_look_at(struct worker *w, uint64_t mono_ms)
{
        uint64_t now = clock_mono_ms();

        if (mono_ms >= w->look_ms)
                return;
        w->look_ms = mono_ms;
        loop_timer_set(w->timer, mono_ms > now ? mono_ms - now : 0);
}

int worker_new(struct pods *p, enum pod_source source, struct json_object *pod, struct worker **ret)
{
        struct worker *w = mem_new(struct worker);
        int r;

        w->pods = p;
        w->source = source;
        w->uid = mem_strdup(json_at_str(pod, "metadata.uid"));
        w->evict_grace_s = -1;
        w->look_ms = UINT64_MAX;
        r = loop_timer_new(p->opts.loop, wake, w, &w->timer);
        if (!r)
                r = teller_init(&w->teller, p->opts.loop, p->opts.client, wake, w);
        if (r) {
                worker_free(w);
                return r;
        }
        w->teller.patches = &p->stats.status_patches;
        hashmap_put(&p->workers, w->uid, w);
        worker_set_pod(w, pod);
        pods_trim_later(p);
        *ret = w;
        return 0;
}

static void unlink_woken(struct worker *w)
{
        for (struct worker **at = &w->pods->woken; *at; at = &(*at)->next_woken)
                if (*at == w) {
                        *at = w->next_woken;
                        return;
                }
}

void worker_free(struct worker *w)
{
        pods_trim_later(w->pods);
        if (hashmap_get(&w->pods->workers, w->uid) == w)
                hashmap_del(&w->pods->workers, w->uid);
        unlink_woken(w);
        for (size_t i = 0; i < w->ntasks; i++)
                task_free(w->tasks[i]);
        free(w->tasks);
        ticket_drop(&w->sandbox_ticket);
        ticket_drop(&w->removal_ticket);
        ticket_drop(&w->volumes_ticket);
        kube_cancel(w->delete_call);
        teller_deinit(&w->teller);
        loop_timer_free(w->timer);
        json_object_put(w->pod);
        json_object_put(w->reborn);
        json_object_put(w->status);
        free(w->uid);
        free(w->failed_reason);
        free(w->failed_message);
        free(w->mount_problem);
        free(w);
}

static int64_t deletion_grace(const struct json_object *pod)
{
        return json_at_i64(pod, "metadata.deletionGracePeriodSeconds", INT64_MAX);
}

void worker_set_pod(struct worker *w, struct json_object *pod)
{
        bool hurry = w->pod && deletion_grace(pod) < deletion_grace(w->pod);

        json_object_put(w->pod);
        w->pod = json_object_get(pod);
        w->remount = true;
        if (w->source == POD_FROM_API)
                teller_heard(&w->teller, pod);
        objects_hold(w->pods->opts.objects, pod);
        for (size_t i = 0; i < w->ntasks && hurry; i++)
                task_hurry(w->tasks[i]);
        worker_wake(w);
}

void worker_fail(struct worker *w, const char *reason, const char *message)
{
        if (w->failed_reason)
                return;
        w->failed_reason = mem_strdup(reason);
        w->failed_message = mem_strdup(message);
        worker_wake(w);
}

bool worker_is_deleted(const struct worker *w)
{
        return w->gone || json_at_str(w->pod, "metadata.deletionTimestamp");
}

bool worker_is_ending(const struct worker *w)
{
        const char *phase = json_get_str(w->status, "phase") ?: json_at_str(w->pod, "status.phase");

        return worker_is_deleted(w) || w->failed_reason || w->over || str_eq(phase, "Succeeded") ||
               str_eq(phase, "Failed");
}

const struct runtime_ops *worker_runtime(const struct worker *w, void **ret_rt)
{
        *ret_rt = w->pods->opts.runtime->rt;
        return w->pods->opts.runtime->ops;
}

void worker_list(const struct worker *w, struct runtime_list *ret)
{
        void *rt;

        worker_runtime(w, &rt)->list(rt, w->uid, ret);
}

/* Members are shared, not copied. */
struct json_object *worker_whole_pod(const struct worker *w)
{
        struct json_object *o = json_object_new_object();

        json_foreach (w->pod, key, val)
                json_set(o, key, json_object_get(val));
        if (w->status)
                json_set(o, "status", json_object_get(w->status));
        return o;
}
