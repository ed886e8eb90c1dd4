/* SPDX-License-Identifier: Apache-2.0 */
/* The played runtime. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "played/impl.h"

static unsigned int next_id;

/* What was asked and is not answered yet. */
struct op {
        struct op *next;
        const char *what;
        void (*effect)(struct op *op);
        runtime_done_fn done;
        void *userdata;
        int result;
        char id[RUNTIME_ID_SIZE], message[128];
        bool waits; /* a stop, for the container's end */
        uint64_t kill_at_ms;
};

static struct op *ops;

static void broken(const char *what)
{
        if (!played->broken)
                played->broken = what;
}

static struct played_box *box_of(const char *id)
{
        for (size_t i = 0; i < played->nboxes; i++)
                if (str_eq(played->boxes[i].id, id))
                        return &played->boxes[i];
        return NULL;
}

static struct played_container *container_of_id(const char *id)
{
        for (size_t i = 0; i < played->ncontainers; i++)
                if (str_eq(played->containers[i].id, id))
                        return &played->containers[i];
        return NULL;
}

static bool lives(const struct played_container *c)
{
        return c->state == CONTAINER_CREATED || c->state == CONTAINER_RUNNING;
}

static void end(struct played_container *c, int32_t code)
{
        c->state = CONTAINER_EXITED;
        c->exit_code = code;
        c->finished_ns = clock_wall_ns();
}

static struct op *ask(const char *what, const char *id, void (*effect)(struct op *op), runtime_done_fn done,
                      void *userdata)
{
        struct op *op = mem_new(struct op), **last = &ops;

        *op = (struct op){.what = what, .effect = effect, .done = done, .userdata = userdata};
        str_copy(op->id, sizeof(op->id), id);
        if (played->fault.op && str_eq(played->fault.op, what) && played->fault.times-- > 0) {
                op->result = -EIO;
                str_copy(op->message, sizeof(op->message), played->fault.message);
        }
        while (*last)
                last = &(*last)->next;
        *last = op;
        return op;
}

static bool is_due(const struct op *op)
{
        const struct played_container *c = op->waits ? container_of_id(op->id) : NULL;

        return !c || !lives(c) || clock_mono_ms() >= op->kill_at_ms;
}

static void carry_out(struct op *op)
{
        if (!op->result && op->effect)
                op->effect(op);
}

bool played_runtime_turn(void)
{
        for (struct op **at = &ops; *at; at = &(*at)->next) {
                struct op *op = *at;

                if (!is_due(op))
                        continue;
                *at = op->next;
                carry_out(op);
                op->done(op->userdata, op->result, op->id, op->message);
                free(op);
                return true;
        }
        return false;
}

uint64_t played_runtime_due_ms(void)
{
        uint64_t due = UINT64_MAX;

        for (const struct op *op = ops; op; op = op->next)
                due = MIN(due, op->waits ? op->kill_at_ms : 0);
        return due;
}

/* Tickets of nobody are still freed by their callbacks. */
void played_runtime_forget(bool fate)
{
        while (ops) {
                struct op *op = ops;

                ops = op->next;
                if (fate && is_due(op))
                        carry_out(op);
                op->done(op->userdata, -ECANCELED, op->id, "killed");
                free(op);
        }
}

/* ---- sandboxes ---- */

static void new_id(char id[static RUNTIME_ID_SIZE], const char *what)
{
        snprintf(id, RUNTIME_ID_SIZE, "%s-%u", what, ++next_id);
}

static void box_is_ready(struct op *op)
{
        box_of(op->id)->ready = true;
}

static void sandbox_run(void *rt, const struct sandbox_config *c, runtime_done_fn done, void *userdata)
{
        struct played_box *b = &played->boxes[played->nboxes++];

        for (size_t i = 0; i + 1 < played->nboxes; i++)
                if (str_eq(played->boxes[i].uid, c->uid) && played->boxes[i].ready)
                        broken("a second sandbox beside one that is ready");
        *b = (struct played_box){.attempt = c->attempt, .created_ns = clock_wall_ns()};
        new_id(b->id, "box");
        str_copy(b->uid, sizeof(b->uid), c->uid);
        str_copy(b->ns, sizeof(b->ns), c->ns);
        str_copy(b->name, sizeof(b->name), c->name);
        strbuf_printf(&played->log, "run %u; ", c->attempt);
        ask("sandbox_run", b->id, box_is_ready, done, userdata);
}

static void box_is_stopped(struct op *op)
{
        struct played_box *b = box_of(op->id);

        for (size_t i = 0; b && i < played->ncontainers; i++)
                if (str_eq(played->containers[i].sandbox, b->id) && lives(&played->containers[i]))
                        end(&played->containers[i], 137);
        if (b)
                b->ready = false;
}

static void sandbox_stop(void *rt, const char *id, runtime_done_fn done, void *userdata)
{
        for (size_t i = 0; i < played->ncontainers; i++)
                if (str_eq(played->containers[i].sandbox, id) && lives(&played->containers[i]))
                        broken("a sandbox is stopped while a container of it lives");
        strbuf_printf(&played->log, "stop-sandbox; ");
        ask("sandbox_stop", id, box_is_stopped, done, userdata);
}

static void remove_container(const char *id)
{
        struct played_container *c = container_of_id(id);

        if (c)
                *c = played->containers[--played->ncontainers];
}

static void box_is_removed(struct op *op)
{
        struct played_box *b = box_of(op->id);

        for (size_t i = played->ncontainers; i-- > 0;)
                if (str_eq(played->containers[i].sandbox, op->id))
                        remove_container(played->containers[i].id);
        if (b)
                *b = played->boxes[--played->nboxes];
}

static void sandbox_remove(void *rt, const char *id, runtime_done_fn done, void *userdata)
{
        strbuf_printf(&played->log, "remove-sandbox; ");
        ask("sandbox_remove", id, box_is_removed, done, userdata);
}

/* ---- containers ---- */

static void check_create(const char *uid, const char *name)
{
        for (size_t i = 0; i < played->ncontainers; i++) {
                const struct played_container *c = &played->containers[i];

                if (str_eq(c->uid, uid) && str_eq(c->name, name) && lives(c))
                        broken("two instances of one container");
        }
}

static void made(struct op *op)
{
        container_of_id(op->id)->state = CONTAINER_CREATED;
}

static const char *hash_of(const struct container_config *config)
{
        for (size_t i = 0; i < config->nlabels; i++)
                if (str_eq(config->labels[i].key, "fairlead.dev/hash"))
                        return config->labels[i].value;
        return "";
}

static void container_create(void *rt, const char *sandbox, const struct container_config *config, runtime_done_fn done,
                             void *userdata)
{
        struct played_box *b = box_of(sandbox);
        struct played_container *c = &played->containers[played->ncontainers];
        struct op *op;

        strbuf_printf(&played->log, "create %s/%u; ", config->name, config->attempt);
        if (!b || !b->ready) {
                broken("a container in a sandbox that is not ready");
                return;
        }
        check_create(b->uid, config->name);
        *c = (struct played_container){
                .attempt = config->attempt, .created_ns = clock_wall_ns(), .state = CONTAINER_UNKNOWN};
        new_id(c->id, config->name);
        str_copy(c->sandbox, sizeof(c->sandbox), sandbox);
        str_copy(c->name, sizeof(c->name), config->name);
        str_copy(c->uid, sizeof(c->uid), b->uid);
        str_copy(c->hash, sizeof(c->hash), hash_of(config));
        op = ask("container_create", c->id, made, done, userdata);
        if (!op->result)
                played->ncontainers++;
}

static void runs(struct op *op)
{
        struct played_container *c = container_of_id(op->id);

        if (c->state == CONTAINER_CREATED)
                c->state = CONTAINER_RUNNING;
        c->started_ns = clock_wall_ns();
}

static void container_start(void *rt, const char *id, runtime_done_fn done, void *userdata)
{
        struct played_container *c = container_of_id(id);

        strbuf_printf(&played->log, "start %s/%u; ", c->name, c->attempt);
        if (c->state != CONTAINER_CREATED)
                broken("a container is started twice");
        ask("container_start", id, runs, done, userdata);
}

static void ended(struct op *op)
{
        struct played_container *c = container_of_id(op->id);

        if (c && lives(c))
                end(c, played->stubborn ? 137 : 143);
}

static void container_stop(void *rt, const char *id, int signo, uint64_t grace_ms, runtime_done_fn done, void *userdata)
{
        struct played_container *c = container_of_id(id);
        struct op *op;

        strbuf_printf(&played->log, "stop %s/%u; ", c ? c->name : "?", c ? c->attempt : 0);
        played->last_grace_ms = (int64_t)grace_ms;
        played->last_signal = signo;
        op = ask("container_stop", id, ended, done, userdata);
        op->waits = played->stubborn;
        op->kill_at_ms = clock_mono_ms() + grace_ms;
}

static void gone(struct op *op)
{
        remove_container(op->id);
}

static void container_remove(void *rt, const char *id, runtime_done_fn done, void *userdata)
{
        struct played_container *c = container_of_id(id);

        strbuf_printf(&played->log, "remove %s/%u; ", c ? c->name : "?", c ? c->attempt : 0);
        ask("container_remove", id, gone, done, userdata);
}

/* ---- what there is ---- */

static void describe(struct runtime_list *ret, struct sandbox_status *boxes, struct container_status *containers,
                     const struct played_box *b)
{
        static const char *const ips[] = {"10.1.0.5", NULL};
        struct sandbox_status *s = &boxes[ret->nsandboxes++];

        *s = (struct sandbox_status){.uid = b->uid,
                                     .ns = b->ns,
                                     .name = b->name,
                                     .attempt = b->attempt,
                                     .state = b->ready ? SANDBOX_READY : SANDBOX_NOT_READY,
                                     .netns = "/proc/1/ns/net",
                                     .ips = ips,
                                     .created_ns = b->created_ns};
        str_copy(s->id, sizeof(s->id), b->id);
        for (size_t i = 0; i < played->ncontainers; i++) {
                const struct played_container *c = &played->containers[i];
                struct container_status *o = &containers[ret->ncontainers];

                if (!str_eq(c->sandbox, b->id))
                        continue;
                ret->ncontainers++;
                *o = (struct container_status){.name = c->name,
                                               .attempt = c->attempt,
                                               .state = c->state,
                                               .image = "busybox",
                                               .image_id = "sha256:1",
                                               .created_ns = c->created_ns,
                                               .started_ns = c->started_ns,
                                               .finished_ns = c->finished_ns,
                                               .exit_code = c->exit_code,
                                               .oom_killed = c->oom_killed,
                                               .log_path = "/nonexistent",
                                               .hash = c->hash};
                str_copy(o->id, sizeof(o->id), c->id);
                str_copy(o->sandbox, sizeof(o->sandbox), c->sandbox);
        }
}

/* Borrowed until the next list, as the real one: the old one is overwritten on purpose. */
static void list(void *rt, const char *uid, struct runtime_list *ret)
{
        static struct sandbox_status boxes[256];
        static struct container_status containers[512];

        memset(boxes, 0, sizeof(boxes));
        memset(containers, 0, sizeof(containers));
        *ret = (struct runtime_list){.sandboxes = boxes, .containers = containers};
        for (size_t i = 0; i < played->nboxes; i++)
                if (!uid || str_eq(played->boxes[i].uid, uid))
                        describe(ret, boxes, containers, &played->boxes[i]);
}

static void (*changed)(void *userdata, const char *uid);
static void *changed_userdata;

static void on_change(void *rt, void (*fn)(void *userdata, const char *uid), void *userdata)
{
        changed = fn;
        changed_userdata = userdata;
}

static const char *version(void *rt)
{
        return "fairlead://played";
}

const struct runtime_ops played_runtime_ops = {
        .version = version,
        .sandbox_run = sandbox_run,
        .sandbox_stop = sandbox_stop,
        .sandbox_remove = sandbox_remove,
        .container_create = container_create,
        .container_start = container_start,
        .container_stop = container_stop,
        .container_remove = container_remove,
        .list = list,
        .on_change = on_change,
};

/* ---- what happens by itself ---- */

struct played_container *played_find(const char *pod, const char *name)
{
        struct played_container *best = NULL;

        for (size_t i = 0; i < played->ncontainers; i++) {
                struct played_container *c = &played->containers[i];

                if (str_eq(c->uid, pod) && str_eq(c->name, name) && (!best || c->attempt >= best->attempt))
                        best = c;
        }
        return best;
}

unsigned int played_living(const char *pod, const char *name)
{
        unsigned int n = 0;

        for (size_t i = 0; i < played->ncontainers; i++)
                n += str_eq(played->containers[i].uid, pod) && (!name || str_eq(played->containers[i].name, name)) &&
                     lives(&played->containers[i]);
        return n;
}

void played_exit(const char *pod, const char *name, int32_t code)
{
        end(played_find(pod, name), code);
        if (changed)
                changed(changed_userdata, pod);
}

void played_break_sandbox(const char *pod)
{
        for (size_t i = 0; i < played->nboxes; i++)
                if (str_eq(played->boxes[i].uid, pod))
                        played->boxes[i].ready = false;
        if (changed)
                changed(changed_userdata, pod);
}
