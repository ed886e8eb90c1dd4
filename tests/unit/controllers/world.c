/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API server in here is the real one, on a store in memory: defaults, validation, finalizers and graceful deletion
 * are what users will meet. What lies between it and the engine is the world's: calls that arrive when they arrive,
 * watches that are read when they are read.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "unit/controllers/world_internal.h"

#define STEPS_MAX 2000000
#define START_S   1767225600 /* 2026-01-01, a Thursday */

/* The engine and the server ask for the time without saying whose: there is one world at a time. */
static uint64_t mono_ns;
static int64_t wall_ns_now;
static struct world *present;

static const struct config defaults = {
        .controllers = "*",
        .node_mask_v4 = 24,
        .node_mask_v6 = 64,
        .node_grace_ms = 50000,
        .node_startup_grace_ms = 60000,
        .node_period_ms = 5000,
        .eviction_rate = 0.1,
        .secondary_eviction_rate = 0.01,
        .large_cluster = 50,
        .unhealthy_zone = 0.55,
        .terminated_pod_threshold = 12500,
        .endpoints_per_slice = 100,
        .root_ca = "a certificate\n",
};

/* SplitMix64: small, and the same everywhere. */
uint64_t world_random(struct world *w, uint64_t below)
{
        uint64_t z = (w->random += 0x9e3779b97f4a7c15ULL);

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return (z ^ (z >> 31)) % below;
}

static bool chance(struct world *w, unsigned int percent)
{
        return percent && world_random(w, 100) < percent;
}

/* ---- the engine's API ---- */

static void submit(struct api *api, const struct step *st, step_done_fn done, void *userdata)
{
        struct world *w = container_of(api, struct world, api);
        struct call *c = mem_new(struct call), **at = &w->calls;

        *c = (struct call){.step = st, .done = done, .userdata = userdata};
        while (*at)
                at = &(*at)->next;
        *at = c;
}

static void event(struct api *api, const char *component, const struct kobj *about, bool warning, const char *reason,
                  const char *text)
{
        struct world *w = container_of(api, struct world, api);

        strbuf_printf(&w->events, "%s %s %s %s %s\n", warning ? "Warning" : "Normal", reason, about->resource->kind,
                      about->key, text);
}

static int64_t wall_ms(struct api *api)
{
        return wall_ns_now / (int64_t)NS_PER_MS;
}

static uint64_t mono(void)
{
        return mono_ns;
}

static int64_t server_wall(void)
{
        return wall_ns_now;
}

static uint64_t below(uint64_t n)
{
        return world_random(present, n);
}

static void call_free(struct call *c)
{
        free(c);
}

void world_check(struct world *w)
{
        if (w->opts.check)
                w->opts.check(w, w->opts.userdata);
}

static void read_answer(struct answer *a, const struct json_object *reply)
{
        _cleanup_(jsontree_deinit) struct jsontree tree = JSONTREE_NULL;
        _cleanup_strbuf_ struct strbuf text = STRBUF_NULL;
        const struct jnode *node;

        json_write(&text, reply);
        assert_int_equal(jsontree_parse(&tree, text.data, text.len, &node, NULL), 0);
        answer_read(a, node);
}

/* The real server does it. */
static void perform(struct world *w, struct call *c)
{
        const struct step *st = c->step;
        _cleanup_free_ char *path = step_path(st);
        _cleanup_json_ struct json_object *reply = NULL;
        int code = world_api_call(w->server, step_method(st), path, st->body, step_content_type(st), &reply);

        c->status = (struct kube_status){.code = code, .retry_after_s = -1};
        c->result = code < 300 ? 0 : KUBE_REFUSED;
        if (c->result) {
                const char *reason = json_get_str(reply, "reason"), *message = json_get_str(reply, "message");

                str_copy(c->status.reason, sizeof(c->status.reason), reason ? reason : "");
                str_copy(c->status.message, sizeof(c->status.message), message ? message : "");
        } else {
                read_answer(&c->answer, reply);
                w->writes += st->verb != STEP_CONFIRM;
        }
        world_check(w);
}

static void refuse(struct world *w, struct call *c)
{
        static const struct {
                int code;
                const char *reason;
        } refusals[] = {{409, "Conflict"}, {429, "TooManyRequests"}, {500, "InternalError"}};
        size_t i = world_random(w, ARRAY_SIZE(refusals));

        c->result = KUBE_REFUSED;
        c->status = (struct kube_status){.code = refusals[i].code, .retry_after_s = i == 1 ? 1 : -1};
        str_copy(c->status.reason, sizeof(c->status.reason), refusals[i].reason);
        str_copy(c->status.message, sizeof(c->status.message), "refused by the test");
}

static void arrive(struct world *w, struct call *c)
{
        c->arrived = true;
        if (c->step->verb == STEP_CONFIRM) /* faults are for writes */
                perform(w, c);
        else if (chance(w, w->opts.crash)) {
                if (chance(w, 50))
                        perform(w, c);
                w->crash_pending = true;
        } else if (chance(w, w->opts.lose)) {
                if (chance(w, 50))
                        perform(w, c);
                c->result = -ECONNRESET;
                c->status = (struct kube_status){.retry_after_s = -1};
        } else if (chance(w, w->opts.refuse)) {
                refuse(w, c);
        } else {
                perform(w, c);
        }
}

/* One of the calls goes on by one stage. */
static bool step_call(struct world *w)
{
        struct call **at = &w->calls, *c;
        size_t n = 0;

        for (c = w->calls; c; c = c->next)
                n++;
        if (!n)
                return false;
        for (size_t skip = world_random(w, n); skip; skip--)
                at = &(*at)->next;
        c = *at;
        if (!c->arrived) {
                arrive(w, c);
                return true;
        }
        *at = c->next;
        c->done(c->userdata, c->result, &c->answer, &c->status);
        call_free(c);
        return true;
}

/* ---- watches ---- */

static void follow(struct world *w)
{
        const struct resource *all[RESOURCES_MAX];

        w->nfollowed = engine_resources(w->engine, all, RESOURCES_MAX);
        for (size_t i = 0; i < w->nfollowed; i++) {
                struct followed *f = &w->followed[i];
                struct kube_resource r = {all[i]->group, all[i]->version, all[i]->plural};
                _cleanup_free_ char *path = kube_path(&r, NULL, NULL, NULL);
                _cleanup_free_ char *url = mem_printf("%s?watch=1&resourceVersion=0", path);

                f->resource = all[i];
                f->watch = world_watch_open(w->server, url);
        }
}

static bool deliver(struct world *w, struct followed *f)
{
        _cleanup_json_ struct json_object *e = world_watch_next(f->watch);
        struct json_object *o = json_get(e, "object");
        struct kobj *now;

        if (!e)
                return false;
        now = kobj_from_json(f->resource, o);
        if (!now)
                return true; /* a bookmark */
        if (str_eq(json_get_str(e, "type"), "DELETED")) {
                engine_observe(w->engine, f->resource, now->key, NULL);
                kobj_unref(now);
        } else {
                engine_observe(w->engine, f->resource, now->key, now);
        }
        return true;
}

static bool step_watch(struct world *w)
{
        size_t first = w->nfollowed ? world_random(w, w->nfollowed) : 0;

        for (size_t i = 0; i < w->nfollowed; i++)
                if (deliver(w, &w->followed[(first + i) % w->nfollowed]))
                        return true;
        return false;
}

static void deliver_all(struct world *w)
{
        while (step_watch(w))
                ;
}

/* ---- life ---- */

static void wake(void *userdata)
{
}

static void start(struct world *w)
{
        w->engine = engine_new(&(struct engine_opts){.api = &w->api,
                                                     .config = w->opts.config ? w->opts.config : &defaults,
                                                     .controllers = w->opts.controllers,
                                                     .ncontrollers = w->opts.ncontrollers,
                                                     .wake = wake,
                                                     .userdata = w});
        follow(w);
        deliver_all(w); /* nobody acts on half of what there is */
}

static void stop(struct world *w)
{
        for (size_t i = 0; i < w->nfollowed; i++)
                world_watch_close(w->followed[i].watch);
        while (w->calls) {
                struct call *c = w->calls;

                w->calls = c->next;
                call_free(c);
        }
        engine_free(w->engine);
        w->engine = NULL;
}

/* Calls that were on their way still arrive, or never do. */
void world_crash(struct world *w)
{
        w->crash_pending = false;
        for (struct call *c = w->calls; c; c = c->next)
                if (!c->arrived && chance(w, 50))
                        perform(w, c);
        stop(w);
        start(w);
}

struct world *world_new(const struct world_opts *opts)
{
        struct world *w = mem_new(struct world);

        w->opts = *opts;
        w->random = opts->seed;
        w->api = (struct api){
                .submit = submit, .event = event, .wall_ms = wall_ms, .mono_ns = mono, .random_below = below};
        mono_ns = NS_PER_S;
        wall_ns_now = START_S * (int64_t)NS_PER_S;
        present = w;
        w->server = world_api_new(server_wall);
        world_apply(w, "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'d'}}");
        start(w);
        return w;
}

void world_free(struct world *w)
{
        if (!w)
                return;
        stop(w);
        world_take_back(w);
        world_api_free(w->server);
        strbuf_deinit(&w->events);
        free(w);
}

/* ---- time and progress ---- */

typedef bool (*step_fn)(struct world *w);

static bool step_engine(struct world *w)
{
        w->wait_ms = engine_run(w->engine, 1);
        return !w->wait_ms || w->calls; /* it may have sent some just now */
}

bool world_step(struct world *w)
{
        static const step_fn steps[] = {step_call, step_engine, step_watch};
        size_t first = world_random(w, ARRAY_SIZE(steps));

        world_take_back(w);
        if (w->crash_pending) {
                world_crash(w);
                return true;
        }
        if (first == 2 && chance(w, w->opts.lateness))
                first = 0;
        for (size_t i = 0; i <= ARRAY_SIZE(steps); i++) /* the first once more: the others may have made work for it */
                if (steps[(first + i) % ARRAY_SIZE(steps)](w))
                        return true;
        return false;
}

void world_settle(struct world *w)
{
        for (size_t i = 0; i < STEPS_MAX; i++)
                if (!world_step(w))
                        return;
        fail_msg("seed %llu: it does not come to rest", (unsigned long long)w->opts.seed);
}

void world_pass(struct world *w, uint64_t ms)
{
        world_settle(w);
        while (ms) {
                uint64_t next = MAX(MIN(ms, w->wait_ms), (uint64_t)1);

                next = MIN(next, ms);
                mono_ns += next * NS_PER_MS;
                wall_ns_now += (int64_t)(next * NS_PER_MS);
                ms -= next;
                world_settle(w);
        }
}

void world_jump(struct world *w, int64_t seconds)
{
        wall_ns_now += seconds * (int64_t)NS_PER_S;
}

int64_t world_now_s(const struct world *w)
{
        return wall_ns_now / (int64_t)NS_PER_S;
}

const char *world_events(const struct world *w)
{
        return w->events.data ? w->events.data : "";
}

uint64_t world_writes(const struct world *w)
{
        return w->writes;
}
