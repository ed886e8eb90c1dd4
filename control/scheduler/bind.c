/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/bind.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "scheduler/scheduler.h"

#define READ_AGAIN_NS NS_PER_S

enum binding_step {
        STEP_SENT,
        STEP_READING, /* the pod, to know */
        STEP_WAITING, /* for the watch, or to read the pod (again) */
};

struct binding {
        struct call call; /* first */
        struct binding *prev, *next;
        struct pod *pod; /* NULL: settled */
        enum binding_step step;
        const struct atom *node, *ns;    /* references */
        char *name, uid[UUID_TEXT_SIZE]; /* of the pod, which may be settled before the answer comes */
        uint64_t start_ns, first_ns;     /* of this attempt, of the pod's first one */
        uint64_t sent_ns;
        uint64_t read_ns; /* when the pod is to be read */
        uint32_t attempts;
        bool unknown; /* nobody has said yet whether it was done */
};

static const struct kube_resource pods = {"", "v1", "pods"};

static void release(struct call *call)
{
        struct binding *b = container_of(call, struct binding, call);
        struct scheduler *s = call->scheduler;

        if (b->prev)
                b->prev->next = b->next;
        else
                s->bindings.first = b->next;
        if (b->next)
                b->next->prev = b->prev;
        s->bindings.n--;
        s->bindings.under_way -= b->unknown;
        if (b->pod)
                b->pod->binding = NULL;
        atoms_put(&s->state.atoms, b->node);
        atoms_put(&s->state.atoms, b->ns);
        free(b->name);
        free(b);
}

static struct binding *binding_new(struct scheduler *s, struct pod *pod, const struct node *node)
{
        struct binding *b = mem_new(struct binding);

        call_init(&b->call, s, release);
        b->next = s->bindings.first;
        if (b->next)
                b->next->prev = b;
        s->bindings.first = b;
        s->bindings.n++;
        b->pod = pod;
        b->node = atom_ref(node->name);
        b->ns = atom_ref(pod->view->shape->ns);
        b->name = mem_strdup(pod->view->name);
        str_copy(b->uid, sizeof(b->uid), pod->view->uid);
        pod->binding = b;
        return b;
}

static struct json_object *body_of(const struct binding *b)
{
        struct json_object *o = json_object_new_object(), *meta = json_object_new_object();
        struct json_object *target = json_object_new_object();

        json_set_str(o, "apiVersion", "v1");
        json_set_str(o, "kind", "Binding");
        json_set_str(meta, "name", b->name);
        json_set_str(meta, "namespace", b->ns->text);
        json_set_str(meta, "uid", b->uid);
        json_set(o, "metadata", meta);
        json_set_str(target, "apiVersion", "v1");
        json_set_str(target, "kind", "Node");
        json_set_str(target, "name", b->node->text);
        json_set(o, "target", target);
        return o;
}

static char *path_of(const struct binding *b, const char *sub)
{
        return kube_path(&pods, b->ns->text, b->name, sub);
}

/* ---- how it ends ---- */

/* The first news that it was done. */
static void tell(struct binding *b, uint64_t now)
{
        struct scheduler *s = b->call.scheduler;
        const struct event_object about = {
                .api_version = "v1", .kind = "Pod", .ns = b->ns->text, .name = b->name, .uid = b->uid};

        if (!b->unknown)
                return;
        b->unknown = false;
        s->bindings.under_way--;
        metrics_attempt(&s->metrics, ATTEMPT_SCHEDULED, now - b->start_ns);
        metrics_bound(&s->metrics, b->attempts, now - b->first_ns);
        events_record(s->events, &about, false, "Scheduled", "Successfully assigned %s/%s to %s", b->ns->text, b->name,
                      b->node->text);
}

/* It was done; the watch will show it. */
static void done(struct binding *b)
{
        struct scheduler *s = b->call.scheduler;
        uint64_t now = clock_mono_ns();

        tell(b, now);
        if (!b->pod || !b->pod->assumed) {
                call_free(&b->call);
                return;
        }
        b->step = STEP_WAITING;
        b->read_ns = now + (uint64_t)s->config->confirm_ms * NS_PER_MS;
        scheduler_kick(s);
}

/* It was not: the place is free again. */
static void forget(struct binding *b, const struct kube_status *status)
{
        struct scheduler *s = b->call.scheduler;
        struct pod *pod = b->pod;
        uint64_t now = clock_mono_ns();

        if (b->unknown)
                metrics_attempt(&s->metrics, ATTEMPT_ERROR, now - b->start_ns);
        call_free(&b->call);
        if (!pod || !pod->assumed)
                return;
        log_debug("a pod could not be bound", "pod=%s/%s code=%d message=%s", pod->view->shape->ns->text,
                  pod->view->name, status->code, status->message);
        if (pod->node) {
                const struct cluster_change change = {.event = EVENT_POD_DELETE,
                                                      .pod = pod->view->shape,
                                                      .pod_node = pod->node->view ? pod->node : NULL};

                state_remove(&s->state, pod);
                scheduler_event(s, "AssignedPodDelete", &change);
        }
        if (pod->view->terminating)
                return;
        queue_put_back(&s->queue, pod, 0, now);
        if (status->code != 404)
                report_failure(s, pod, "SchedulerError", *status->message ? status->message : "the binding failed");
        scheduler_kick(s);
}

/* ---- reading the pod ---- */

static void read_pod(struct binding *b);

static void read_later(struct binding *b)
{
        b->step = STEP_WAITING;
        b->read_ns = clock_mono_ns() + READ_AGAIN_NS;
        scheduler_kick(b->call.scheduler);
}

/* Bound, by this request or by somebody else. */
static void place_where_it_is(struct binding *b, const char *name)
{
        struct state *state = &b->call.scheduler->state;
        const struct atom *node = atoms_get(&state->atoms, name, strlen(name));

        state_place(state, b->pod, node);
        b->pod->assumed = true;
        atoms_put(&state->atoms, node);
        done(b);
}

static void on_read(struct call *call, int result, struct json_object *o, const struct kube_status *status)
{
        struct binding *b = container_of(call, struct binding, call);
        const char *node = json_at_str(o, "spec.nodeName");

        if (!b->pod)
                call_free(call);
        else if (result && status->code != 404)
                read_later(b);
        else if (result || !str_eq(json_at_str(o, "metadata.uid"), b->pod->view->uid) || str_empty(node))
                forget(b, status);
        else
                place_where_it_is(b, node);
}

static void read_pod(struct binding *b)
{
        _cleanup_free_ char *path = path_of(b, NULL);

        b->step = STEP_READING;
        call_start(&b->call, "GET", path, NULL, NULL, on_read);
}

/* ---- the request ---- */

/* The server has said no, or has not heard of it: certainly not done. */
static bool is_refused(int result, const struct kube_status *status)
{
        return result == -ECONNREFUSED ||
               (result == KUBE_REFUSED && status->code >= 400 && status->code < 500 && status->code != 408);
}

static void on_sent(struct call *call, int result, struct json_object *o, const struct kube_status *status)
{
        struct binding *b = container_of(call, struct binding, call);
        struct scheduler *s = call->scheduler;

        metrics_point(&s->metrics, POINT_BIND, clock_mono_ns() - b->sent_ns);
        scheduler_kick(s);
        if (!result)
                done(b);
        else if (!b->pod)
                call_free(call);
        else if (is_refused(result, status))
                forget(b, status);
        else
                read_pod(b);
}

void bind_start(struct scheduler *s, struct pod *pod, const struct node *node, uint64_t start_ns)
{
        struct binding *b = binding_new(s, pod, node);
        _cleanup_free_ char *path = path_of(b, "binding");

        scheduler_denominate(s, pod);
        state_place(&s->state, pod, b->node);
        pod->assumed = true;
        b->unknown = true;
        b->start_ns = start_ns;
        b->first_ns = pod->item.first_ns;
        b->attempts = pod->item.attempts;
        b->sent_ns = clock_mono_ns();
        s->bindings.under_way++;
        call_start(&b->call, "POST", path, body_of(b), NULL, on_sent);
}

void bind_settled(struct scheduler *s, struct pod *pod)
{
        struct binding *b = pod->binding;

        pod->assumed = false;
        if (!b)
                return;
        pod->binding = NULL;
        b->pod = NULL;
        if (b->step == STEP_WAITING)
                call_free(&b->call);
}

uint64_t bind_tick(struct scheduler *s, uint64_t now_ns)
{
        uint64_t next_ns = UINT64_MAX;

        for (struct binding *b = s->bindings.first, *next; b; b = next) {
                next = b->next;
                if (b->step != STEP_WAITING)
                        continue;
                if (b->read_ns <= now_ns)
                        read_pod(b);
                else
                        next_ns = MIN(next_ns, b->read_ns);
        }
        return next_ns;
}
