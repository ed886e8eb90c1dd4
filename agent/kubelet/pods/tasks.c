/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks and tickets: what is remembered of a container, and of a call that is waited for. */
#include "agent/kubelet/pods/worker.h"
#include "base/mem.h"
#include "base/str.h"

/* Dropped ones, whose answers may still come, whatever has become of their pods. */
static struct ticket *adrift;

static void let_drift(struct ticket *k)
{
        k->w = NULL;
        k->next = adrift;
        if (adrift)
                adrift->prev = k;
        adrift = k;
}

static void take_in(struct ticket *k)
{
        if (k->prev)
                k->prev->next = k->next;
        else
                adrift = k->next;
        if (k->next)
                k->next->prev = k->prev;
}

struct ticket *ticket_new(struct worker *w, struct task *t, struct ticket **holder)
{
        struct ticket *k = mem_new(struct ticket);

        ticket_drop(holder);
        *k = (struct ticket){.w = w, .t = t, .holder = holder};
        *holder = k;
        return k;
}

struct worker *ticket_use(void *ticket, struct task **ret_task)
{
        struct ticket *k = ticket;
        struct worker *w = k->w;

        if (w) {
                *k->holder = NULL;
                if (ret_task)
                        *ret_task = k->t;
        } else {
                take_in(k);
        }
        free(k);
        return w;
}

void ticket_drop(struct ticket **holder)
{
        if (*holder)
                let_drift(*holder);
        *holder = NULL;
}

struct task *worker_task(struct worker *w, const char *name)
{
        struct task *t;

        for (size_t i = 0; i < w->ntasks; i++)
                if (str_eq(w->tasks[i]->name, name))
                        return w->tasks[i];
        t = mem_new(struct task);
        t->w = w;
        t->name = mem_strdup(name);
        w->tasks = mem_realloc(w->tasks, w->ntasks + 1, sizeof(*w->tasks));
        w->tasks[w->ntasks++] = t;
        return t;
}

void task_free(struct task *t)
{
        ticket_drop(&t->ticket);
        if (t->hook)
                handler_cancel(t->hook);
        free(t->name);
        free(t->reason);
        free(t->message);
        free(t->end_id);
        free(t->end_message);
        free(t);
}

enum container_activity task_activity(const struct task *t)
{
        switch (t->stage) {
        case STAGE_PULL:
        case STAGE_CREATE:
        case STAGE_START:
        case STAGE_POST_START:
        case STAGE_DISCARD:
                return ACTIVITY_STARTING;
        case STAGE_PRE_STOP:
        case STAGE_STOP:
                return ACTIVITY_STOPPING;
        case STAGE_IDLE:
                break;
        }
        return ACTIVITY_NONE;
}

void task_wait(struct task *t, const char *reason, const char *message)
{
        char *r = mem_strdup(reason), *m = mem_strdup(message);

        free(t->reason);
        free(t->message);
        t->reason = r;
        t->message = m;
}

const struct json_object *task_spec(const struct task *t, enum container_kind *ret_kind)
{
        struct arena mem = ARENA_NULL;
        const struct json_object *spec = NULL;
        const struct container_def *def;
        struct containers all;

        containers_of(t->w->pod, &mem, &all);
        def = containers_find(&all, t->name);
        if (def) {
                spec = def->spec;
                if (ret_kind)
                        *ret_kind = def->kind;
        }
        arena_deinit(&mem);
        return spec;
}
