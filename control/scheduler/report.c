/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/report.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "scheduler/scheduler.h"

#define UNDER_WAY_MAX 16

struct report {
        struct call call;           /* first */
        struct report *prev, *next; /* of those that wait */
        struct pod *pod;            /* NULL: sent */
        char *path;
        char *reason, *message; /* NULL: only the nomination */
        char uid[UUID_TEXT_SIZE];
        char *key; /* "ns/name" */
        uint64_t hash;
};

static void unlink_report(struct reports *all, struct report *r)
{
        if (r->prev)
                r->prev->next = r->next;
        else
                all->head = r->next;
        if (r->next)
                r->next->prev = r->prev;
        else
                all->tail = r->prev;
        r->prev = r->next = NULL;
}

/* It is not among those that wait any more. */
static void detach(struct scheduler *s, struct report *r)
{
        if (!r->pod)
                return;
        unlink_report(&s->reports, r);
        r->pod->report = NULL;
        r->pod = NULL;
}

static void release(struct call *call)
{
        struct report *r = container_of(call, struct report, call);

        detach(call->scheduler, r);
        free(r->path);
        free(r->reason);
        free(r->message);
        free(r->key);
        free(r);
}

static struct report *report_new(struct scheduler *s, struct pod *pod)
{
        const struct kube_resource pods = {"", "v1", "pods"};
        struct report *r = mem_new(struct report);

        call_init(&r->call, s, release);
        r->pod = pod;
        r->path = kube_path(&pods, pod->view->shape->ns->text, pod->view->name, "status");
        r->key = mem_printf("%s/%s", pod->view->shape->ns->text, pod->view->name);
        str_copy(r->uid, sizeof(r->uid), pod->view->uid);
        r->prev = s->reports.tail;
        if (r->prev)
                r->prev->next = r;
        else
                s->reports.head = r;
        s->reports.tail = r;
        return pod->report = r;
}

static struct json_object *condition_of(const struct report *r)
{
        struct json_object *c = json_object_new_object();
        char now[CLOCK_TEXT_SIZE];

        json_set_str(c, "type", "PodScheduled");
        json_set_str(c, "status", "False");
        json_set_str(c, "reason", r->reason);
        json_set_str(c, "message", r->message);
        if (!r->pod->view->condition) /* else it was False before: no transition */
                json_set_str(c, "lastTransitionTime", clock_now(now));
        return c;
}

/* The UID is a precondition: a patch must not hit a pod of the same name that came later. */
static struct json_object *body_of(const struct report *r)
{
        struct json_object *o = json_object_new_object(), *status = json_object_new_object();
        const struct atom *now = r->pod->nominated ? r->pod->nominated->name : NULL;

        json_set_str(json_ensure(o, "metadata"), "uid", r->uid);
        if (r->reason) {
                struct json_object *conditions = json_object_new_array();

                json_object_array_add(conditions, condition_of(r));
                json_set(status, "conditions", conditions);
        }
        if (now != r->pod->view->nominated)
                json_set(status, "nominatedNodeName", now ? json_object_new_string(now->text) : NULL);
        json_set(o, "status", status);
        return o;
}

static void send_next(struct scheduler *s);

static void on_sent(struct call *call, int result, struct json_object *o, const struct kube_status *status)
{
        struct report *r = container_of(call, struct report, call);
        struct scheduler *s = call->scheduler;
        struct pod *pod = hashmap_get(&s->state.pods, r->key);

        s->reports.under_way--;
        if (result && pod && pod->reported == r->hash)
                pod->reported = 0; /* the next failure tries again */
        call_free(call);
        send_next(s);
}

static void send_next(struct scheduler *s)
{
        while (s->reports.head && s->reports.under_way < UNDER_WAY_MAX) {
                struct report *r = s->reports.head;
                struct json_object *body = body_of(r);

                detach(s, r);
                s->reports.under_way++;
                call_start(&r->call, "PATCH", r->path, body, KUBE_STRATEGIC_PATCH, on_sent);
        }
}

static bool nomination_is_known(const struct pod *pod)
{
        return (pod->nominated ? pod->nominated->name : NULL) == pod->view->nominated;
}

void report_nomination(struct scheduler *s, struct pod *pod)
{
        if (nomination_is_known(pod) || pod->report)
                return;
        report_new(s, pod);
        send_next(s);
}

void report_failure(struct scheduler *s, struct pod *pod, const char *reason, const char *message)
{
        uint64_t hash = pod_condition_hash(reason, message);
        const struct event_object about = scheduler_object(pod);
        struct report *r = pod->report;

        events_record(s->events, &about, true, "FailedScheduling", "%s", message);
        if ((pod->reported ? pod->reported : pod->view->condition) == hash && nomination_is_known(pod))
                return;
        if (!r)
                r = report_new(s, pod);
        free(r->reason);
        free(r->message);
        r->reason = mem_strdup(reason);
        r->message = mem_strdup(message);
        r->hash = pod->reported = hash;
        send_next(s);
}

void report_forget(struct scheduler *s, struct pod *pod)
{
        if (pod->report)
                call_free(&pod->report->call);
}
