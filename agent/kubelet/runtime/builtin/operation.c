/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with a sandbox, one after the other; other sandboxes go on meanwhile. */
#include <errno.h>
#include <string.h>

#include "agent/kubelet/runtime/builtin/impl.h"
#include "base/mem.h"
#include "base/str.h"

/* crun and the shim's launcher take milliseconds; what takes this long hangs. */
#define CHILD_TIMEOUT_MS 120000

struct operation *operation_new(struct sandbox *s, struct container *c, void (*begin)(struct operation *op),
                                runtime_done_fn done, void *userdata)
{
        struct operation *op = mem_new(struct operation);

        *op = (struct operation){.s = s, .c = c, .begin = begin, .done = done, .userdata = userdata};
        str_copy(op->id, sizeof(op->id), c ? c->id : s->id);
        return op;
}

static void begin(void *userdata)
{
        struct operation *op = userdata;

        op->begin(op);
}

/* Never from inside the call that asked for it: its callback may not come before the call returns. */
void operation_queue(struct operation *op)
{
        struct sandbox *s = op->s;

        if (s->last)
                s->last->next = op;
        else
                s->first = op;
        s->last = op;
        if (s->first == op)
                loop_post(s->rt->opts.loop, begin, op);
}

void operation_end(struct operation *op, int result, const char *message)
{
        struct sandbox *s = op->s;

        s->first = op->next;
        if (!s->first)
                s->last = NULL;
        else
                loop_post(s->rt->opts.loop, begin, s->first);
        if (op->done)
                op->done(op->userdata, result, op->id, message);
        loop_timer_free(op->timer);
        free(op);
}

struct telling {
        runtime_done_fn done;
        void *userdata;
        int result;
        char id[RUNTIME_ID_SIZE], message[MESSAGE_SIZE];
};

static void tell(void *userdata)
{
        _cleanup_free_ struct telling *t = userdata;

        t->done(t->userdata, t->result, t->id, t->message);
}

void tell_later(struct builtin *rt, runtime_done_fn done, void *userdata, int result, const char *id,
                const char *message)
{
        struct telling *t = mem_new(struct telling);

        *t = (struct telling){.done = done, .userdata = userdata, .result = result};
        str_copy(t->id, sizeof(t->id), id);
        str_copy(t->message, sizeof(t->message), message);
        loop_post(rt->opts.loop, tell, t);
}

bool operation_find(struct operation *op)
{
        op->c = hashmap_get(&op->s->rt->containers, op->id);
        return op->c != NULL;
}

int operation_child(struct operation *op, const char *const *argv, int lock, child_done_fn done)
{
        struct child_opts opts = {.argv = argv, .lock = lock, .timeout_ms = CHILD_TIMEOUT_MS};

        return child_start(op->s->rt->opts.children, &opts, done, op, NULL);
}

int operation_again(struct operation *op, uint64_t ms, void (*fn)(void *userdata))
{
        int r;

        loop_timer_free(TAKE_PTR(op->timer));
        r = loop_timer_new(op->s->rt->opts.loop, fn, op, &op->timer);
        if (!r)
                loop_timer_set(op->timer, ms);
        return r;
}
