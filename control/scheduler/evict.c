/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/evict.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "scheduler/scheduler.h"

struct eviction {
        struct call call; /* first */
        char *path, *status_path;
        char *preemptor; /* "ns/name" */
        char uid[UUID_TEXT_SIZE];
};

static void release(struct call *call)
{
        struct eviction *e = container_of(call, struct eviction, call);

        free(e->path);
        free(e->status_path);
        free(e->preemptor);
        free(e);
}

/* The victim stays, so the pod must not wait for its end. */
static void fail(struct eviction *e, const struct kube_status *status)
{
        struct scheduler *s = e->call.scheduler;
        struct pod *pod = hashmap_get(&s->state.pods, e->preemptor);

        log_limited(LOG_LEVEL_WARN, 10000, "a victim of preemption could not be deleted",
                    "path=%s preemptor=%s message=%s", e->path, e->preemptor, status->message);
        if (pod && pod->item.place == QUEUE_UNSCHEDULABLE) {
                scheduler_denominate(s, pod);
                report_nomination(s, pod);
                queue_put_back(&s->queue, pod, 0, clock_mono_ns());
                scheduler_kick(s);
        }
}

static void on_deleted(struct call *call, int result, struct json_object *o, const struct kube_status *status)
{
        struct eviction *e = container_of(call, struct eviction, call);

        if (result && status->code != 404 && status->code != 409) /* 409: another pod of that name */
                fail(e, status);
        call_free(call);
}

static void on_marked(struct call *call, int result, struct json_object *o, const struct kube_status *status)
{
        struct eviction *e = container_of(call, struct eviction, call);
        struct json_object *options;

        if (result) {
                if (status->code != 404)
                        fail(e, status);
                call_free(call);
                return;
        }
        options = json_object_new_object();
        json_set_str(options, "apiVersion", "v1");
        json_set_str(options, "kind", "DeleteOptions");
        json_set_str(json_ensure(options, "preconditions"), "uid", e->uid);
        call_start(call, "DELETE", e->path, options, NULL, on_deleted);
}

static struct json_object *mark_of(const struct eviction *e, const char *scheduler_name)
{
        struct json_object *o = json_object_new_object(), *c = json_object_new_object();
        struct json_object *list = json_object_new_array();
        _cleanup_free_ char *message =
                mem_printf("%s: preempting to accommodate a higher priority pod", scheduler_name);
        char now[CLOCK_TEXT_SIZE];

        json_set_str(c, "type", "DisruptionTarget");
        json_set_str(c, "status", "True");
        json_set_str(c, "reason", "PreemptionByScheduler");
        json_set_str(c, "message", message);
        json_set_str(c, "lastTransitionTime", clock_now(now));
        json_object_array_add(list, c);
        json_set_str(json_ensure(o, "metadata"), "uid", e->uid);
        json_set(json_ensure(o, "status"), "conditions", list);
        return o;
}

static void evict(struct scheduler *s, const struct pod *preemptor, const struct pod *victim, const struct node *n)
{
        const struct kube_resource pods = {"", "v1", "pods"};
        const struct event_object about = scheduler_object(victim);
        const char *ns = about.ns;
        struct eviction *e;

        if (victim->view->terminating)
                return;
        e = mem_new(struct eviction);
        call_init(&e->call, s, release);
        e->path = kube_path(&pods, ns, victim->view->name, NULL);
        e->status_path = kube_path(&pods, ns, victim->view->name, "status");
        e->preemptor = mem_printf("%s/%s", preemptor->view->shape->ns->text, preemptor->view->name);
        str_copy(e->uid, sizeof(e->uid), victim->view->uid);
        call_start(&e->call, "PATCH", e->status_path, mark_of(e, preemptor->view->shape->scheduler_name->text),
                   KUBE_STRATEGIC_PATCH, on_marked);
        events_record(s->events, &about, false, "Preempted", "Preempted by pod %s on node %s", preemptor->view->uid,
                      n->name->text);
}

static void denominate_lesser(struct scheduler *s, struct pod *preemptor, struct node *n)
{
        for (struct pod *p = n->nominated, *next; p; p = next) {
                next = p->next_nominated;
                if (p == preemptor || p->view->shape->priority >= preemptor->view->shape->priority)
                        continue;
                state_nominate(&s->state, p, NULL);
                report_nomination(s, p);
        }
}

void evict_victims(struct scheduler *s, struct pod *preemptor, const struct preemption *p)
{
        for (uint32_t i = 0; i < p->nvictims; i++)
                evict(s, preemptor, p->victims[i], p->node);
        denominate_lesser(s, preemptor, p->node);
        state_nominate(&s->state, preemptor, p->node->name);
}
