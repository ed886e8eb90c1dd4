/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a pod: nothing of it runs any more. What is left goes in an order that a kill -9 at any point can only
 * repeat: the last status is told, then containers and sandboxes, then volumes, then the API is asked to forget it.
 */
#include <errno.h>

#include "agent/kubelet/pods/worker.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define RETRY_MIN_MS 500
#define RETRY_MAX_MS 30000

static void retry_later(struct worker *w)
{
        uint64_t ms = MIN((uint64_t)RETRY_MIN_MS << MIN(w->end_failures, 6U), (uint64_t)RETRY_MAX_MS);

        w->end_failures++;
        w->end_blocked_ms = clock_mono_ms() + ms;
        worker_look_at(w, w->end_blocked_ms);
}

/* ---- volumes ---- */

static void volumes_are_gone(void *ticket, int result, const char *message)
{
        struct worker *w = ticket_use(ticket, NULL);

        if (!w)
                return;
        if (result) {
                log_limited(LOG_LEVEL_WARN, 10000, "a pod's volumes cannot be removed", "pod=%s why=%s", w->uid,
                            message);
                retry_later(w);
                return;
        }
        w->volumes_removed = true;
        w->end_failures = 0;
        worker_wake(w);
}

/* The last words of its containers lie beside the volumes and go with them: until the API has them, the next kubelet
 * may need them. A pod that went for want of room gives it back at once. */
static bool may_lose_volumes(const struct worker *w)
{
        return w->gone || w->disrupted || teller_is_done(&w->teller);
}

static bool volumes_gone(struct worker *w)
{
        if (!w->volumes_removed && !w->volumes_ticket)
                volumes_remove(w->pods->opts.volumes, w->uid, volumes_are_gone,
                               ticket_new(w, NULL, &w->volumes_ticket));
        return w->volumes_removed;
}

/* ---- containers and sandboxes ---- */

static void sandbox_is_gone(void *ticket, int result, const char *id, const char *message)
{
        struct worker *w = ticket_use(ticket, NULL);

        if (!w)
                return;
        if (result) {
                log_limited(LOG_LEVEL_WARN, 10000, "a sandbox cannot be removed", "pod=%s why=%s", w->uid, message);
                retry_later(w);
                return;
        }
        worker_wake(w);
}

static bool sandboxes_gone(struct worker *w)
{
        struct runtime_list there;
        void *rt;
        const struct runtime_ops *ops = worker_runtime(w, &rt);

        worker_list(w, &there);
        if (there.nsandboxes && !w->removal_ticket)
                ops->sandbox_remove(rt, there.sandboxes[0].id, sandbox_is_gone,
                                    ticket_new(w, NULL, &w->removal_ticket));
        return !there.nsandboxes;
}

/* ---- the API ---- */

static const struct kube_resource pods_resource = {"", "v1", "pods"};

static void deleted(void *userdata, int result, struct json_object *o, const struct kube_status *status)
{
        struct worker *w = userdata;

        w->delete_call = NULL;
        /* 404: somebody was faster. The watch tells that it is gone. */
        if (result == 0 || (result == KUBE_REFUSED && status->code == 404)) {
                w->deleted = true;
                w->end_failures = 0;
        } else {
                log_limited(LOG_LEVEL_WARN, 10000, "a pod that has ended cannot be deleted", "pod=%s why=%s", w->uid,
                            status->message);
                retry_later(w);
        }
}

static struct json_object *delete_options(const char *uid)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "apiVersion", "v1");
        json_set_str(o, "kind", "DeleteOptions");
        json_set_i64(o, "gracePeriodSeconds", 0);
        json_set_str(json_ensure(o, "preconditions"), "uid", uid);
        return o;
}

static void delete (struct worker *w)
{
        _cleanup_free_ char *path = kube_path(&pods_resource, json_at_str(w->pod, "metadata.namespace"),
                                              json_at_str(w->pod, "metadata.name"), NULL);
        _cleanup_json_ struct json_object *options = delete_options(w->uid);
        struct kube_request req = {.method = "DELETE", .path = path, .body = options};

        w->delete_call = kube_start(w->pods->opts.client, &req, deleted, w);
        if (!w->delete_call)
                retry_later(w);
}

/* ---- all of it ---- */

static void wake_successors(struct pods *p)
{
        hashmap_foreach (&p->workers, slot) {
                struct worker *w = slot->value;

                if (w->source == POD_STATIC && !w->admitted)
                        worker_wake(w);
        }
}

static void forget(struct worker *w)
{
        struct pods *p = w->pods;
        enum pod_source source = w->source;
        struct json_object *next = TAKE_PTR(w->reborn);
        struct worker *unused;

        probes_forget(p->opts.probes, w->uid);
        objects_release(p->opts.objects, w->uid);
        worker_free(w);
        if (next)
                worker_new(p, source, next, &unused);
        json_object_put(next);
        if (source == POD_STATIC)
                wake_successors(p);
}

static void finish(struct worker *w)
{
        w->removed = true;
        if (w->gone)
                forget(w);
        else if (!w->delete_call && !w->deleted)
                delete (w);
}

void worker_end(struct worker *w, bool remove_all)
{
        if (w->end_blocked_ms > clock_mono_ms()) {
                worker_look_at(w, w->end_blocked_ms);
                return;
        }
        if (!remove_all) { /* its containers stay, for their logs */
                if (may_lose_volumes(w))
                        volumes_gone(w);
                return;
        }
        if (!w->gone && !teller_is_done(&w->teller))
                return;
        w->removing = true;
        if (sandboxes_gone(w) && volumes_gone(w))
                finish(w);
}
