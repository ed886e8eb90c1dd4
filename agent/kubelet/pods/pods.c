/* SPDX-License-Identifier: Apache-2.0 */
/* The pods of the node: one worker each. */
#include <errno.h>

#include "agent/kubelet/pods/worker.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define CRASH_MIN_MS   10000
#define CRASH_MAX_MS   300000
#define SANDBOX_MIN_MS 1000
#define SANDBOX_MAX_MS 30000
#define TRIM_MS        3000

static void look_all(void *userdata)
{
        struct pods *p = userdata;

        /* Who is woken meanwhile comes with the next turn of the loop. */
        for (struct worker *w = TAKE_PTR(p->woken), *next; w; w = next) {
                next = TAKE_PTR(w->next_woken);
                w->is_woken = false;
                worker_look(w);
        }
}

static void trim(void *userdata)
{
        mem_trim();
}

void pods_trim_later(struct pods *p)
{
        if (p->trim)
                loop_timer_set(p->trim, TRIM_MS);
}

static void on_change(void *userdata, const char *uid)
{
        struct pods *p = userdata;
        struct worker *w = hashmap_get(&p->workers, uid);

        if (w)
                worker_wake(w);
}

int pods_new(const struct pods_opts *o, struct pods **ret, struct err *reterr)
{
        struct pods *p = mem_new(struct pods);
        int r;

        p->opts = *o;
        p->limits = (struct backoff_limits){o->backoff_initial_ms ?: CRASH_MIN_MS, o->backoff_max_ms ?: CRASH_MAX_MS};
        p->sandbox_limits = (struct backoff_limits){MIN(p->limits.initial_ms, (uint64_t)SANDBOX_MIN_MS),
                                                    MIN(p->limits.max_ms, (uint64_t)SANDBOX_MAX_MS)};
        hashmap_init(&p->workers, HASHMAP_STR);
        r = loop_timer_new(o->loop, look_all, p, &p->wake);
        if (!r)
                r = loop_timer_new(o->loop, trim, p, &p->trim);
        if (r) {
                pods_free(p);
                return err_set(reterr, r, "pods: no timer");
        }
        o->runtime->ops->on_change(o->runtime->rt, on_change, p);
        images_on_progress(o->images, pull_progress, p);
        *ret = p;
        return 0;
}

static void nobody(void *userdata, const char *uid)
{
}

void pods_free(struct pods *p)
{
        if (!p)
                return;
        p->opts.runtime->ops->on_change(p->opts.runtime->rt, nobody, NULL);
        for (struct hashmap_slot *slot; (slot = hashmap_next(&p->workers, p->workers.slots));)
                worker_free(slot->value);
        hashmap_deinit(&p->workers);
        loop_timer_free(p->wake);
        loop_timer_free(p->trim);
        free(p);
}

static struct worker *find(const struct pods *p, const char *uid)
{
        return uid ? hashmap_get(&p->workers, uid) : NULL;
}

/* ---- what sources say ---- */

void pods_set(struct pods *p, enum pod_source source, struct json_object *pod)
{
        const char *uid = json_at_str(pod, "metadata.uid");
        struct worker *w = find(p, uid);

        if (!uid)
                return;
        if (!w) {
                if (worker_new(p, source, pod, &w))
                        log_error("a pod cannot be followed", "pod=%s", uid);
        } else if (w->gone) { /* a static pod that is back before it had ended */
                json_object_put(w->reborn);
                w->reborn = json_object_get(pod);
        } else {
                worker_set_pod(w, pod);
        }
}

void pods_gone(struct pods *p, const char *uid)
{
        struct worker *w = find(p, uid);

        if (!w)
                return;
        json_object_put(TAKE_PTR(w->reborn));
        w->gone = true;
        worker_wake(w);
}

void pods_set_mirror(struct pods *p, const char *static_uid, struct json_object *mirror)
{
        struct worker *w = find(p, static_uid);

        if (!w || !mirror)
                return;
        teller_heard(&w->teller, mirror);
        worker_wake(w);
}

/* ---- what runs and nobody wants ---- */

static void add_orphan(struct pods *p, const char *uid, const char *ns, const char *name)
{
        _cleanup_json_ struct json_object *pod = NULL;
        struct json_object *meta;
        struct worker *w;

        if (find(p, uid))
                return;
        pod = json_object_new_object();
        meta = json_ensure(pod, "metadata");
        json_set_str(meta, "uid", uid);
        json_set_str(meta, "namespace", ns);
        json_set_str(meta, "name", name);
        if (worker_new(p, POD_STATIC, pod, &w))
                return;
        log_info("a pod that nobody wants any more is ended", "pod=%s/%s uid=%s", ns, name, uid);
        w->gone = true;
}

static void add_leftover(void *userdata, const char *uid)
{
        add_orphan(userdata, uid, "", "");
}

void pods_sources_ready(struct pods *p)
{
        const struct pods_opts *o = &p->opts;
        struct runtime_list there;

        p->sources_ready = true;
        o->runtime->ops->list(o->runtime->rt, NULL, &there);
        for (size_t i = 0; i < there.nsandboxes; i++)
                add_orphan(p, there.sandboxes[i].uid, there.sandboxes[i].ns, there.sandboxes[i].name);
        volumes_each_pod(o->volumes, add_leftover, p);
}

/* ---- what others say ---- */

void pods_poke(struct pods *p, const char *uid)
{
        struct worker *w = find(p, uid);

        if (w) {
                w->remount = true;
                worker_wake(w);
        }
        if (!uid)
                hashmap_foreach (&p->workers, slot)
                        worker_wake(slot->value);
}

void pods_evict(struct pods *p, const char *uid, const char *reason, const char *message, int64_t grace_s)
{
        struct worker *w = find(p, uid);

        if (!w || worker_is_ending(w))
                return;
        w->disrupted = true;
        w->evict_grace_s = grace_s;
        worker_fail(w, reason, message);
}

void pods_tell_again(struct pods *p)
{
        hashmap_foreach (&p->workers, slot)
                teller_again(&((struct worker *)slot->value)->teller);
}

/* ---- views ---- */

static void view_of(struct worker *w, struct pod_view *ret)
{
        *ret = (struct pod_view){.uid = w->uid,
                                 .ns = json_at_str(w->pod, "metadata.namespace"),
                                 .name = json_at_str(w->pod, "metadata.name"),
                                 .source = w->source,
                                 .pod = w->pod,
                                 .status = w->status,
                                 .admitted = w->admitted,
                                 .ending = worker_is_ending(w),
                                 .ended = w->over || w->removing || w->rejected || w->gone,
                                 .sandbox = w->sandbox,
                                 .netns = w->netns};
}

bool pods_find(const struct pods *p, const char *ns, const char *name, struct pod_view *ret)
{
        bool found = false;

        /* One that ends may have a successor under its name already, which is meant then. */
        hashmap_foreach (&p->workers, slot) {
                struct pod_view v;

                view_of(slot->value, &v);
                if (!str_eq(v.ns, ns) || !str_eq(v.name, name) || (found && v.ending))
                        continue;
                *ret = v;
                found = true;
        }
        return found;
}

void pods_each(const struct pods *p, void (*fn)(void *userdata, const struct pod_view *pod), void *userdata)
{
        hashmap_foreach (&p->workers, slot) {
                struct pod_view v;

                view_of(slot->value, &v);
                fn(userdata, &v);
        }
}

bool pods_container(const struct pods *p, const char *uid, const char *container, bool previous,
                    struct container_status *ret)
{
        struct runtime_list there;
        const struct container_status *c;

        p->opts.runtime->ops->list(p->opts.runtime->rt, uid, &there);
        c = newest_instance(&there, container, NULL);
        if (previous)
                c = older_instance(&there, c);
        if (c)
                *ret = *c;
        return c != NULL;
}

void pods_stats(const struct pods *p, struct pods_stats *ret)
{
        *ret = p->stats;
        ret->pods = p->workers.count;
        ret->containers_running = 0;
        hashmap_foreach (&p->workers, slot)
                ret->containers_running += ((struct worker *)slot->value)->running;
}
