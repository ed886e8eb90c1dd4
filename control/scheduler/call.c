/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/call.h"

#include "scheduler/scheduler.h"

void call_init(struct call *call, struct scheduler *s, void (*release)(struct call *call))
{
        *call = (struct call){.scheduler = s, .next = s->calls.first, .release = release};
        if (call->next)
                call->next->prev = call;
        s->calls.first = call;
}

static void on_done(void *userdata, int result, struct json_object *o, const struct kube_status *status)
{
        struct call *call = userdata;

        call->kube = NULL;
        call->done(call, result, o, status);
}

void call_start(struct call *call, const char *method, const char *path, struct json_object *body, const char *type,
                call_done_fn done)
{
        const struct kube_request req = {.method = method, .path = path, .body = body, .content_type = type};

        call->done = done;
        call->kube = kube_start(call->scheduler->client, &req, on_done, call);
        json_object_put(body);
}

void call_free(struct call *call)
{
        if (call->prev)
                call->prev->next = call->next;
        else
                call->scheduler->calls.first = call->next;
        if (call->next)
                call->next->prev = call->prev;
        call->release(call);
}

void calls_end(struct calls *all)
{
        while (all->first) {
                kube_cancel(all->first->kube);
                call_free(all->first);
        }
}
