/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/engine/internal.h"

#define WORKERS         32
#define BACKOFF_MAX_MS  1000000
#define EXPIRE_EVERY_MS 250 /* while something is under way */

static void on_queue(void *userdata)
{
        struct engine *e = userdata;

        e->opts.wake(e->opts.userdata);
}

static void follow_all(struct lister *l)
{
        size_t n;
        const struct resource *const *all = resources_all(&n);

        for (size_t i = 0; i < n; i++)
                if (all[i]->keep != KEEP_NOTHING)
                        lister_follow(l, all[i]);
}

static void runner_init(struct runner *r, struct engine *e, const struct controller *desc)
{
        struct workqueue_opts opts = {.backoff_max_ms = desc->backoff_max_ms, .now_ns = e->opts.api->mono_ns};

        r->engine = e;
        r->desc = desc;
        r->source = desc->event_source ? mem_strdup(desc->event_source) : mem_printf("%s-controller", desc->name);
        workqueue_new(&opts, &r->queue);
        workqueue_set_notify(r->queue, on_queue, e);
        hashmap_init(&r->failures, HASHMAP_STR_OWNED);
        for (const struct watch *w = desc->watches; w->resource; w++)
                lister_follow(e->lister, w->resource);
        if (desc->any)
                follow_all(e->lister);
        if (desc->state_new)
                r->state = desc->state_new(r);
}

struct engine *engine_new(const struct engine_opts *opts)
{
        struct engine *e = mem_new(struct engine);

        e->opts = *opts;
        e->lister = lister_new();
        e->ready_tail = &e->ready;
        hashmap_init(&e->awaits, HASHMAP_STR_OWNED);
        e->runners = mem_zalloc(opts->ncontrollers * sizeof(struct runner) + 1);
        for (size_t i = 0; i < opts->ncontrollers; i++)
                runner_init(&e->runners[i], e, opts->controllers[i]);
        return e;
}

static void runner_deinit(struct runner *r)
{
        if (r->desc->state_free)
                r->desc->state_free(r->state);
        workqueue_free(r->queue);
        free(r->source);
        hashmap_foreach (&r->failures, slot)
                free(slot->value);
        hashmap_deinit(&r->failures);
}

void engine_free(struct engine *e)
{
        if (!e)
                return;
        while (e->jobs)
                job_free(e->jobs);
        for (size_t i = 0; i < e->opts.ncontrollers; i++)
                runner_deinit(&e->runners[i]);
        free(e->runners);
        awaits_deinit(e);
        lister_free(e->lister);
        free(e);
}

struct lister *engine_lister(struct engine *e)
{
        return e->lister;
}

size_t engine_resources(const struct engine *e, const struct resource **ret, size_t room)
{
        return lister_followed(e->lister, ret, room);
}

static void tell(struct runner *r, const struct resource *of, const struct kobj *old, const struct kobj *now)
{
        for (const struct watch *w = r->desc->watches; w->resource; w++)
                if (w->resource == of && w->changed)
                        w->changed(r, old, now);
        if (r->desc->any)
                r->desc->any(r, old, now);
}

void engine_observe(struct engine *e, const struct resource *r, const char *key, const struct kobj *now)
{
        const struct kobj *old = lister_set(e->lister, r, key, now);

        await_seen(e, r, key, now);
        for (size_t i = 0; i < e->opts.ncontrollers && (old || now); i++)
                tell(&e->runners[i], r, old, now);
        kobj_unref(old);
}

static void split_key(struct sync *s)
{
        const char *slash = strchr(s->key, '/');

        s->ns = slash ? arena_strndup(s->mem, s->key, (size_t)(slash - s->key)) : "";
        s->name = slash ? slash + 1 : s->key;
}

static void sync_key(struct runner *r, char *key)
{
        struct engine *e = r->engine;
        struct plan *plan = plan_new();
        uint64_t began = clock_mono_ns();
        struct sync s = {.key = key,
                         .lister = e->lister,
                         .mem = &plan->mem,
                         .plan = plan,
                         .failed = hashmap_get(&r->failures, key),
                         .now_ms = e->opts.api->wall_ms(e->opts.api),
                         .mono_ms = e->opts.api->mono_ns() / NS_PER_MS,
                         .config = e->opts.config,
                         .state = r->state};

        split_key(&s);
        r->desc->sync(&s);
        r->syncs++;
        r->sync_ns += clock_mono_ns() - began;
        job_start(r, key, plan);
}

/* One key of it, if there is one and a worker for it. */
static bool runner_step(struct runner *r, uint64_t *wait_ms)
{
        _cleanup_free_ char *key = NULL;
        uint64_t wait = UINT64_MAX;

        if (r->running >= (r->desc->workers ? r->desc->workers : WORKERS))
                return false;
        if (workqueue_try_get(r->queue, &key, &wait)) {
                *wait_ms = MIN(*wait_ms, wait);
                return false;
        }
        sync_key(r, key);
        return true;
}

uint64_t engine_run(struct engine *e, size_t budget)
{
        uint64_t wait_ms = UINT64_MAX;
        bool more = true;

        jobs_expire(e);
        while (more && budget) {
                more = jobs_continue(e);
                for (size_t i = 0; i < e->opts.ncontrollers && budget; i++)
                        if (runner_step(&e->runners[i], &wait_ms)) {
                                more = true;
                                budget--;
                        }
        }
        if (more)
                return 0;
        return e->jobs ? MIN(wait_ms, (uint64_t)EXPIRE_EVERY_MS) : wait_ms;
}

bool engine_idle(struct engine *e)
{
        for (size_t i = 0; i < e->opts.ncontrollers; i++)
                if (workqueue_len(e->runners[i].queue))
                        return false;
        return !e->jobs;
}

void engine_metrics(struct engine *e, struct strbuf *b)
{
        strbuf_add_str(b, "# TYPE workqueue_adds_total counter\n# TYPE workqueue_depth gauge\n"
                          "# TYPE workqueue_retries_total counter\n# TYPE workqueue_work_duration_seconds summary\n"
                          "# TYPE fairlead_controller_writes_total counter\n");
        for (size_t i = 0; i < e->opts.ncontrollers; i++) {
                const struct runner *r = &e->runners[i];
                const char *name = r->desc->name;

                strbuf_printf(b, "workqueue_adds_total{name=\"%s\"} %llu\n", name, (unsigned long long)r->adds);
                strbuf_printf(b, "workqueue_depth{name=\"%s\"} %zu\n", name, workqueue_len(r->queue));
                strbuf_printf(b, "workqueue_retries_total{name=\"%s\"} %llu\n", name, (unsigned long long)r->retries);
                strbuf_printf(b, "workqueue_work_duration_seconds_sum{name=\"%s\"} %.6f\n", name,
                              (double)r->sync_ns / 1e9);
                strbuf_printf(b, "workqueue_work_duration_seconds_count{name=\"%s\"} %llu\n", name,
                              (unsigned long long)r->syncs);
                if (r->desc->metrics)
                        r->desc->metrics(r, b);
        }
        for (size_t v = 0; v < ARRAY_SIZE(e->writes); v++) {
                static const char *const verbs[] = {"create", "update", "patch", "delete", "confirm"};

                strbuf_printf(b, "fairlead_controller_writes_total{verb=\"%s\"} %llu\n", verbs[v],
                              (unsigned long long)e->writes[v]);
        }
        strbuf_printf(b, "fairlead_controller_write_errors_total %llu\n", (unsigned long long)e->write_errors);
        strbuf_printf(b, "fairlead_controller_writes_not_seen_total %llu\n", (unsigned long long)e->given_up);
}

/* ---- what controllers call ---- */

void runner_add(struct runner *r, const char *key)
{
        r->adds++;
        workqueue_add(r->queue, key);
}

void runner_add_object(struct runner *r, const struct kobj *o)
{
        runner_add(r, o->key);
}

void runner_add_after(struct runner *r, const char *key, uint64_t ms)
{
        r->adds++;
        workqueue_add_after(r->queue, key, ms);
}

void runner_add_controller_of(struct runner *r, const struct kobj *o, const struct resource *kind)
{
        const struct owner *by = kobj_controller(o);
        const struct kobj *owner;

        if (!by || !str_eq(by->kind, kind->kind))
                return;
        owner = lister_get(r->engine->lister, kind, o->ns, by->name);
        if (owner && str_eq(owner->uid, by->uid))
                runner_add_object(r, owner);
}

const struct lister *runner_lister(const struct runner *r)
{
        return r->engine->lister;
}

const struct config *runner_config(const struct runner *r)
{
        return r->engine->opts.config;
}

void *runner_state(const struct runner *r)
{
        return r->state;
}

int64_t runner_now_ms(const struct runner *r)
{
        return r->engine->opts.api->wall_ms(r->engine->opts.api);
}

uint64_t runner_mono_ms(const struct runner *r)
{
        return r->engine->opts.api->mono_ns() / NS_PER_MS;
}
