/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories of a pod: steps take any time and fail, containers end, sandboxes break, the kubelet is killed, the
 * pod is deleted. At each point compute_actions is asked, and what it says is held against what must never happen; in
 * the end, when nothing goes wrong any more, the pod has to come to where it should.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/kubelet/pods/actions.h"
#include "agent/kubelet/pods/containers.h"
#include "agent/kubelet/pods/spec.h"
#include "base/str.h"

#define HISTORIES  3000
#define CHAOS      120 /* steps with faults */
#define CALM       400 /* and without: far more than it needs */
#define BOXES      64
#define CONTAINERS 256
#define NAMES      6

enum step { STEP_NONE, STEP_CREATE, STEP_START, STEP_STOP, STEP_RUN_BOX, STEP_STOP_BOX };

struct world {
        struct json_object *pod;
        struct containers defs;
        struct arena mem;
        struct sandbox_status boxes[BOXES];
        struct container_status containers[CONTAINERS];
        struct container_facts facts[NAMES];
        enum step steps[NAMES]; /* under way, of each container */
        uint32_t attempts[NAMES];
        char stopping[NAMES][RUNTIME_ID_SIZE];
        enum step box_step;
        char box[RUNTIME_ID_SIZE], stopped[RUNTIME_ID_SIZE];
        uint32_t box_attempt;
        struct runtime_list there;
        bool deleted, chaos, removed;
        unsigned int next_id, seed;
        struct pod_actions last;
};

void spec_hash(const struct json_object *container, char ret[static 17])
{
        str_copy(ret, 17, "same");
}

static unsigned int roll(struct world *w, unsigned int n)
{
        return (unsigned int)rand_r(&w->seed) % n;
}

static void wrong(const struct world *w, const char *what, const char *name)
{
        fail_msg("%s: %s; pod %s", what, name, json_object_to_json_string(w->pod));
}

/* ---- a pod ---- */

static void add_container(struct world *w, const char *list, const char *name, bool sidecar)
{
        struct json_object *c = json_object_new_object(), *spec = json_ensure(w->pod, "spec");

        json_set_str(c, "name", name);
        if (sidecar)
                json_set_str(c, "restartPolicy", "Always");
        if (!json_get(spec, list))
                json_set(spec, list, json_object_new_array());
        json_object_array_add(json_get(spec, list), c);
}

static void make_pod(struct world *w)
{
        static const char *const inits[] = {"a", "b", "c"}, *const mains[] = {"x", "y", "z"},
                                 *const policies[] = {"Always", "OnFailure", "Never"};
        unsigned int ninits = roll(w, 4), nmains = 1 + roll(w, 3);

        w->pod = json_object_new_object();
        json_set_str(json_ensure(w->pod, "spec"), "restartPolicy", policies[roll(w, 3)]);
        for (unsigned int i = 0; i < ninits; i++)
                add_container(w, "initContainers", inits[i], roll(w, 2));
        for (unsigned int i = 0; i < nmains; i++)
                add_container(w, "containers", mains[i], false);
        containers_of(w->pod, &w->mem, &w->defs);
        for (size_t i = 0; i < w->defs.n; i++)
                w->facts[i] = (struct container_facts){.name = w->defs.v[i].name, .startup = VERDICT_SUCCESS};
}

static size_t index_of(const struct world *w, const char *name)
{
        return (size_t)(containers_find(&w->defs, name) - w->defs.v);
}

static struct container_status *find(struct world *w, const char *id)
{
        for (size_t i = 0; i < w->there.ncontainers; i++)
                if (str_eq(w->containers[i].id, id))
                        return &w->containers[i];
        return NULL;
}

static struct container_status *living(struct world *w, const char *name)
{
        for (size_t i = 0; i < w->there.ncontainers; i++)
                if (str_eq(w->containers[i].name, name) && instance_lives(&w->containers[i]))
                        return &w->containers[i];
        return NULL;
}

static void end(struct container_status *c, int32_t code)
{
        if (!instance_lives(c))
                return;
        c->state = CONTAINER_EXITED;
        c->exit_code = code;
}

/* ---- what must never happen ---- */

static void check_order(struct world *w, size_t at)
{
        const struct sandbox_status *box = newest_sandbox(&w->there);
        bool initialized = false;

        for (size_t i = 0; i < w->defs.n; i++)
                initialized |= w->defs.v[i].kind == KIND_MAIN && newest_instance(&w->there, w->defs.v[i].name, box->id);
        for (size_t i = 0; i < at && !initialized && w->defs.v[i].kind != KIND_MAIN; i++) {
                const struct container_status *c = newest_instance(&w->there, w->defs.v[i].name, box->id);
                bool done = w->defs.v[i].kind == KIND_INIT ? instance_succeeded(c) : c && c->state == CONTAINER_RUNNING;

                if (!done)
                        wrong(w, "begins before its turn", w->defs.v[at].name);
        }
}

static void check_start(struct world *w, const struct start_action *a)
{
        size_t i = index_of(w, a->name);
        const struct container_status *c = newest_instance(&w->there, a->name, NULL);

        if (w->deleted)
                wrong(w, "begins after the pod was deleted", a->name);
        if (w->steps[i])
                wrong(w, "begins while something is done to it", a->name);
        if (!a->id[0] && living(w, a->name))
                wrong(w, "a second instance", a->name);
        if (!a->id[0] && c && a->attempt != c->attempt + 1)
                wrong(w, "the restart count does not grow by one", a->name);
        check_order(w, i);
}

static bool main_lives(struct world *w)
{
        for (size_t i = 0; i < w->defs.n; i++)
                if (w->defs.v[i].kind != KIND_SIDECAR && living(w, w->defs.v[i].name))
                        return true;
        return false;
}

static void check_kill(struct world *w, const struct kill_action *k)
{
        size_t at = index_of(w, k->name);

        if (k->reason != KILL_POD_ENDS || w->defs.v[at].kind != KIND_SIDECAR)
                return;
        if (main_lives(w))
                wrong(w, "a sidecar ends before the main containers", k->name);
        for (size_t i = at + 1; i < w->defs.n; i++)
                if (w->defs.v[i].kind == KIND_SIDECAR && living(w, w->defs.v[i].name))
                        wrong(w, "sidecars do not end in reverse order", k->name);
}

static void check_box(struct world *w, const struct pod_actions *a)
{
        for (size_t i = 0; i < w->there.ncontainers; i++)
                if ((a->run_sandbox || a->stop_sandbox[0]) && instance_lives(&w->containers[i]))
                        wrong(w, "the sandbox changes under a container", w->containers[i].name);
        if (a->run_sandbox && w->deleted)
                wrong(w, "a sandbox after the pod was deleted", "");
        if (a->remove_all && !w->deleted)
                wrong(w, "all is removed that nobody has deleted", "");
}

/* ---- doing what was said ---- */

static void begin(struct world *w, const char *name, enum step step)
{
        w->steps[index_of(w, name)] = step;
        w->facts[index_of(w, name)].activity = step == STEP_STOP ? ACTIVITY_STOPPING : ACTIVITY_STARTING;
}

static void do_removal(struct world *w, const struct removal *r)
{
        for (size_t i = 0; i < w->there.ncontainers; i++)
                if (!r->is_sandbox && str_eq(w->containers[i].id, r->id)) {
                        if (instance_lives(&w->containers[i]))
                                wrong(w, "one that lives is removed", w->containers[i].name);
                        w->containers[i] = w->containers[--w->there.ncontainers];
                }
        for (size_t i = 0; i < w->there.nsandboxes; i++)
                if (r->is_sandbox && str_eq(w->boxes[i].id, r->id))
                        w->boxes[i] = w->boxes[--w->there.nsandboxes];
}

static void act(struct world *w, const struct pod_actions *a)
{
        check_box(w, a);
        for (size_t i = 0; i < a->nkills; i++) {
                check_kill(w, &a->kills[i]);
                begin(w, a->kills[i].name, STEP_STOP);
                str_copy(w->stopping[index_of(w, a->kills[i].name)], RUNTIME_ID_SIZE, a->kills[i].id);
        }
        for (size_t i = 0; i < a->nstarts; i++) {
                check_start(w, &a->starts[i]);
                begin(w, a->starts[i].name, a->starts[i].id[0] ? STEP_START : STEP_CREATE);
                w->attempts[index_of(w, a->starts[i].name)] = a->starts[i].attempt;
        }
        if (a->run_sandbox || a->stop_sandbox[0]) {
                w->box_step = a->run_sandbox ? STEP_RUN_BOX : STEP_STOP_BOX;
                w->box_attempt = a->sandbox_attempt;
                str_copy(w->box, sizeof(w->box), a->stop_sandbox);
        }
        for (size_t i = 0; i < a->nremovals; i++)
                do_removal(w, &a->removals[i]);
        w->removed |= a->remove_all;
}

static void look(struct world *w)
{
        struct arena mem = ARENA_NULL;
        struct pod_input in = {.pod = w->pod,
                               .there = &w->there,
                               .facts = w->facts,
                               .nfacts = w->defs.n,
                               .deleted = w->deleted,
                               .sandbox_busy = w->box_step != STEP_NONE,
                               .sandbox_stopped = w->stopped,
                               .mono_ms = 1};

        compute_actions(&in, &mem, &w->last);
        act(w, &w->last);
        w->last = (struct pod_actions){.over = w->last.over, .nstarts = w->last.nstarts, .nkills = w->last.nkills};
        arena_deinit(&mem);
}

/* ---- what happens ---- */

static void finish_box(struct world *w)
{
        enum step step = w->box_step;
        struct sandbox_status *b;

        w->box_step = STEP_NONE;
        if (w->chaos && roll(w, 4) == 0)
                return;
        if (step == STEP_STOP_BOX) {
                for (size_t i = 0; i < w->there.nsandboxes; i++)
                        if (str_eq(w->boxes[i].id, w->box))
                                w->boxes[i].state = SANDBOX_NOT_READY;
                str_copy(w->stopped, sizeof(w->stopped), w->box);
        } else if (w->there.nsandboxes < BOXES) {
                b = &w->boxes[w->there.nsandboxes++];
                *b = (struct sandbox_status){.attempt = w->box_attempt};
                snprintf(b->id, sizeof(b->id), "box%u", w->next_id++);
        }
}

static void create(struct world *w, size_t i)
{
        const struct sandbox_status *box = newest_sandbox(&w->there);
        struct container_status *c;

        if (!box || box->state != SANDBOX_READY || w->there.ncontainers == CONTAINERS)
                return;
        c = &w->containers[w->there.ncontainers++];
        *c = (struct container_status){.name = w->defs.v[i].name, .attempt = w->attempts[i], .hash = "same"};
        snprintf(c->id, sizeof(c->id), "c%u", w->next_id++);
        str_copy(c->sandbox, sizeof(c->sandbox), box->id);
}

static void finish_step(struct world *w, size_t i)
{
        enum step step = w->steps[i];
        struct container_status *c = living(w, w->defs.v[i].name);

        w->steps[i] = STEP_NONE;
        w->facts[i].activity = ACTIVITY_NONE;
        if (w->chaos && roll(w, 4) == 0)
                return;
        if (step == STEP_CREATE)
                create(w, i);
        else if (step == STEP_START && c)
                c->state = CONTAINER_RUNNING;
        else if (step == STEP_STOP && (c = find(w, w->stopping[i])))
                end(c, 143);
}

static void finish_something(struct world *w)
{
        size_t i = roll(w, (unsigned int)w->defs.n);

        if (w->box_step && roll(w, 2))
                finish_box(w);
        else if (w->steps[i])
                finish_step(w, i);
}

/* kill -9 of the kubelet: what was under way happens or not, and what was remembered is gone. */
static void crash(struct world *w)
{
        if (w->box_step)
                finish_box(w);
        for (size_t i = 0; i < w->defs.n; i++) {
                if (w->steps[i])
                        finish_step(w, i);
                w->facts[i] = (struct container_facts){.name = w->defs.v[i].name, .startup = VERDICT_SUCCESS};
        }
        w->stopped[0] = '\0';
}

static void exit_some(struct world *w, int32_t code)
{
        struct container_status *c = living(w, w->defs.v[roll(w, (unsigned int)w->defs.n)].name);

        if (c && c->state == CONTAINER_RUNNING)
                end(c, code);
}

static void break_box(struct world *w)
{
        if (w->there.nsandboxes)
                w->boxes[w->there.nsandboxes - 1].state = SANDBOX_NOT_READY;
}

static void get_sick(struct world *w)
{
        struct container_facts *f = &w->facts[roll(w, (unsigned int)w->defs.n)];

        f->liveness = f->liveness == VERDICT_FAILURE ? VERDICT_SUCCESS : VERDICT_FAILURE;
}

static void something_happens(struct world *w)
{
        switch (roll(w, 40)) {
        case 0:
                crash(w);
                break;
        case 1:
                break_box(w);
                break;
        case 2:
                get_sick(w);
                break;
        case 3:
        case 4:
                exit_some(w, (int32_t)roll(w, 2));
                break;
        case 5:
                w->deleted |= roll(w, 6) == 0;
                break;
        default:
                finish_something(w);
        }
}

/* ---- where it has to come to ---- */

/* Init containers run to their end by themselves. */
static void calm_step(struct world *w)
{
        for (size_t i = 0; i < w->defs.n; i++) {
                struct container_status *c = living(w, w->defs.v[i].name);

                if (w->defs.v[i].kind == KIND_INIT && c && c->state == CONTAINER_RUNNING)
                        end(c, 0);
        }
        finish_something(w);
}

static bool all_run(struct world *w)
{
        for (size_t i = 0; i < w->defs.n; i++) {
                const struct container_status *c = newest_instance(&w->there, w->defs.v[i].name, NULL);

                if (w->defs.v[i].kind == KIND_INIT || (c && c->state == CONTAINER_RUNNING))
                        continue;
                if (!c || instance_lives(c) || container_restarts(w->pod, &w->defs.v[i], instance_exit_code(c)))
                        return false;
        }
        return true;
}

static void check_end(struct world *w)
{
        if (w->deleted && !w->removed)
                wrong(w, "is never removed", "");
        if (!w->deleted && !w->last.over && !all_run(w))
                wrong(w, "neither runs nor is over", "");
        if (w->last.nstarts || w->last.nkills)
                wrong(w, "never comes to rest", "");
}

static void live(unsigned int seed, unsigned int *ret_over, unsigned int *ret_removed)
{
        struct world w = {.seed = seed, .chaos = true};

        w.there = (struct runtime_list){.sandboxes = w.boxes, .containers = w.containers};
        make_pod(&w);
        for (int i = 0; i < CHAOS && !w.removed; i++) {
                look(&w);
                something_happens(&w);
        }
        w.chaos = false;
        for (size_t i = 0; i < w.defs.n; i++)
                w.facts[i].liveness = VERDICT_SUCCESS;
        for (int i = 0; i < CALM && !w.removed; i++) {
                look(&w);
                calm_step(&w);
        }
        check_end(&w);
        *ret_over += w.last.over;
        *ret_removed += w.removed;
        json_object_put(w.pod);
        arena_deinit(&w.mem);
}

static void histories_keep_the_order_and_come_to_their_end(void **state)
{
        unsigned int over = 0, removed = 0;

        for (unsigned int seed = 1; seed <= HISTORIES; seed++)
                live(seed, &over, &removed);
        /* All kinds of ends were seen: the test would say nothing if pods never got that far. */
        assert_in_range(removed, HISTORIES / 20, HISTORIES);
        assert_in_range(over, HISTORIES / 20, HISTORIES);
        assert_in_range(HISTORIES - over, HISTORIES / 20, HISTORIES);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(histories_keep_the_order_and_come_to_their_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
