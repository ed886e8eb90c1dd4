/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/scheduler.h"

#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "scheduler/evict.h"

#define SLICE_NS     (3 * NS_PER_MS) /* then others get their turn: watches, answers */
#define EVENTS_BURST 100

static void run(void *userdata);

static void on_moved(void *userdata, const char *event, enum queue_place to)
{
        struct scheduler *s = userdata;

        metrics_moved(&s->metrics, event, to);
}

/* Events have a client of their own: their rate is limited, and bindings must not wait behind them. */
static int open_events(struct scheduler *s, struct err *reterr)
{
        const struct kube_client_opts opts = {.config = process_kubeconfig(s->process),
                                              .loop = s->loop,
                                              .user_agent = "fairlead-scheduler",
                                              .qps = s->config->events_qps,
                                              .burst = EVENTS_BURST};
        int r = kube_client_new(&opts, &s->events_client, reterr);

        return r ? r
                 : events_new(&(struct events_opts){.client = s->events_client, .component = "default-scheduler"},
                              &s->events);
}

int scheduler_new(const struct scheduler_config *config, struct process *process, struct scheduler **ret,
                  struct err *reterr)
{
        struct scheduler *s = mem_new(struct scheduler);
        int r;

        *ret = s; /* also after a failure: for scheduler_free */
        s->config = config;
        s->process = process;
        s->loop = process_loop(process);
        s->client = process_client(process);
        state_init(&s->state);
        queue_init(&s->queue);
        s->queue.moved = on_moved;
        s->queue.userdata = s;
        cycle_init(&s->cycle, &s->state);
        s->cycle.percentage = config->percentage;
        metrics_scheduler_init(&s->metrics);
        r = open_events(s, reterr);
        if (!r)
                r = loop_timer_new(s->loop, run, s, &s->timer);
        return r ? r : watch_start(s, reterr);
}

void scheduler_free(struct scheduler *s)
{
        if (!s)
                return;
        if (s->timer)
                loop_timer_free(s->timer);
        calls_end(&s->calls);
        watch_free(s);
        events_free(s->events);
        kube_client_free(s->events_client);
        preemption_deinit(&s->preemption);
        shapes_put(&s->state.shapes, s->last_failure.shape);
        strbuf_deinit(&s->last_failure.message);
        diagnosis_deinit(&s->diagnosis);
        cycle_deinit(&s->cycle);
        queue_deinit(&s->queue);
        state_deinit(&s->state);
        free(s);
}

void scheduler_lead(struct scheduler *s)
{
        scheduler_kick(s);
}

const char *scheduler_unready(const struct scheduler *s)
{
        return s->watches.unsynced ? "the state of the cluster is not known yet" : NULL;
}

void scheduler_metrics(struct scheduler *s, struct strbuf *b)
{
        metrics_scheduler_write(&s->metrics, &s->queue, &s->state, s->bindings.n, b);
}

bool scheduler_is_ours(const struct scheduler *s, const struct shape *shape)
{
        const char *rest = s->config->names;
        struct str_span name;

        while (str_split(&rest, ',', &name))
                if (str_span_eq(name, shape->scheduler_name->text))
                        return true;
        return false;
}

struct event_object scheduler_object(const struct pod *pod)
{
        return (struct event_object){.api_version = "v1",
                                     .kind = "Pod",
                                     .ns = pod->view->shape->ns->text,
                                     .name = pod->view->name,
                                     .uid = pod->view->uid};
}

void scheduler_event(struct scheduler *s, const char *name, const struct cluster_change *change)
{
        struct cluster_change with_state = *change;

        with_state.state = &s->state;
        queue_event(&s->queue, name, &with_state, clock_mono_ns());
        scheduler_kick(s);
}

void scheduler_denominate(struct scheduler *s, struct pod *pod)
{
        const struct node *n = pod->nominated;
        struct cluster_change change = {.event = EVENT_POD_DELETE, .pod = pod->view->shape};

        if (!n)
                return;
        change.pod_node = n->view ? n : NULL; /* one without may go with the nomination */
        state_nominate(&s->state, pod, NULL);
        scheduler_event(s, "NominationEnd", &change);
}

/* ---- attempts ---- */

/* The bits of the plugins whose events end the wait. Without a node at all, the first one does. */
static uint32_t rejected_by(const struct scheduler *s)
{
        return s->diagnosis.plugins | (s->state.nnodes ? 0 : 1u << PLUGIN_NODE_NAME);
}

/* False when the failure says something about this pod alone, or things have changed by it. */
static bool preempt(struct scheduler *s, struct pod *pod)
{
        uint64_t begin = clock_mono_ns();
        int r = preempt_find(&s->cycle, &s->preemption);

        metrics_point(&s->metrics, POINT_POST_FILTER, clock_mono_ns() - begin);
        s->metrics.preemptions += r != PREEMPT_NOT_NOW;
        if (!r) {
                histogram_add(&s->metrics.preemption_victims, s->preemption.nvictims);
                evict_victims(s, pod, &s->preemption);
        } else if (r == PREEMPT_NONE) {
                scheduler_denominate(s, pod);
        }
        return r && !pod->nominated && !s->diagnosis.refused.len;
}

static void tell_failure(struct scheduler *s, struct pod *pod, uint64_t begin)
{
        const struct last_failure *f = &s->last_failure;
        uint64_t now = clock_mono_ns();

        queue_put_back(&s->queue, pod, f->rejected_by, now);
        metrics_attempt(&s->metrics, ATTEMPT_UNSCHEDULABLE, now - begin);
        report_failure(s, pod, "Unschedulable", f->message.data);
}

static void fail(struct scheduler *s, struct pod *pod, uint64_t begin)
{
        struct last_failure *f = &s->last_failure;
        bool of_all = preempt(s, pod);

        shapes_put(&s->state.shapes, f->shape);
        f->shape = of_all ? shape_ref(pod->view->shape) : NULL;
        f->generation = s->state.generation;
        f->rejected_by = rejected_by(s);
        f->message.len = 0;
        diagnosis_write(&s->diagnosis, &f->message);
        tell_failure(s, pod, begin);
}

/* As if it had been looked at: the answer would be the same. */
static bool fails_as_the_last(const struct scheduler *s, const struct pod *pod)
{
        const struct last_failure *f = &s->last_failure;

        return f->shape == pod->view->shape && f->generation == s->state.generation && !pod->nominated;
}

static void attempt(struct scheduler *s, struct pod *pod)
{
        uint64_t begin = clock_mono_ns(), found;
        struct node *n;

        if (fails_as_the_last(s, pod)) {
                tell_failure(s, pod, begin);
                return;
        }
        if (cycle_begin(&s->cycle, pod, &s->diagnosis) || !cycle_search(&s->cycle)) {
                metrics_point(&s->metrics, POINT_FILTER, clock_mono_ns() - begin);
                fail(s, pod, begin);
                return;
        }
        found = clock_mono_ns();
        metrics_point(&s->metrics, POINT_FILTER, found - begin);
        n = cycle_choose(&s->cycle);
        metrics_point(&s->metrics, POINT_SCORE, clock_mono_ns() - found);
        bind_start(s, pod, n, begin);
}

/* Not while it ends, either: the Lease may be another's already. */
static bool may_act(const struct scheduler *s)
{
        return process_leads(s->process) && !s->watches.unsynced;
}

void scheduler_kick(struct scheduler *s)
{
        if (s->soon || !may_act(s))
                return;
        s->soon = true;
        loop_timer_set(s->timer, 0);
}

/* False when time is up and there is more. */
static bool run_attempts(struct scheduler *s, uint64_t until_ns)
{
        while (s->bindings.under_way < s->config->bindings) {
                struct pod *pod = queue_pop(&s->queue);

                if (!pod)
                        return true;
                attempt(s, pod);
                if (clock_mono_ns() >= until_ns)
                        return false;
        }
        return true; /* an answer will wake us */
}

static void run(void *userdata)
{
        struct scheduler *s = userdata;
        uint64_t now = clock_mono_ns(), next, bindings;

        s->soon = false;
        if (!may_act(s))
                return;
        next = queue_tick(&s->queue, now);
        bindings = bind_tick(s, now);
        next = MIN(next, bindings);
        if (!run_attempts(s, now + SLICE_NS)) {
                scheduler_kick(s);
                return;
        }
        bindings = queue_tick(&s->queue, clock_mono_ns()); /* what has failed now backs off */
        next = MIN(next, bindings);
        if (!s->soon && next != UINT64_MAX)
                loop_timer_set(s->timer, next > now ? (next - now) / NS_PER_MS + 1 : 0);
}
