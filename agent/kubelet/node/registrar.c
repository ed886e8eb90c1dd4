/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "agent/kubelet/node/registrar.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/ratelimit.h"
#include "base/str.h"
#include "kube/informer.h"

/* Changes are told at once; more than these are a quarrel with the server, or with another node of this name. */
#define PATCH_RATE  1
#define PATCH_BURST 10
#define QUARREL_MS  1000
#define BUSY_MS     500 /* another call finds out whether the API is back, and tells */

enum step {
        STEP_NONE,
        STEP_CREATE,
        STEP_FETCH,
        STEP_METADATA,
        STEP_STATUS,
};

struct registrar {
        struct registrar_opts opts;
        struct informer *informer;
        struct loop_timer *timer;
        struct kube_call *call;
        struct json_object *node; /* of the API */
        struct json_object *body; /* of the call */
        uint64_t informed;        /* the version that the watch told last */
        enum step sending;
        bool started, fetch, anyway;
        bool reconciled; /* metadata of this Node has been looked at since the start */
        uint64_t told_ms;
        struct ratelimit patches; /* for who never stores what it is told, or tells otherwise at once */
        struct registrar_stats stats;
};

static const struct kube_resource NODES = {"", "v1", "nodes"};

static void look(void *userdata);

static void again_in(struct registrar *r, uint64_t ms)
{
        loop_timer_set(r->timer, ms);
}

/* ---- what the API has ---- */

/* Versions of one resource are numbers that grow (KEP-5504); 0: it says none. */
static uint64_t version_of(const struct json_object *o)
{
        const char *text = json_at_str(o, "metadata.resourceVersion");
        uint64_t v;

        return text && !str_parse_u64(text, &v) ? v : 0;
}

static bool is_older(const struct json_object *a, const struct json_object *b)
{
        return version_of(a) && version_of(a) < version_of(b);
}

static bool same_uid(const struct json_object *a, const struct json_object *b)
{
        return str_eq(json_at_str(a, "metadata.uid"), json_at_str(b, "metadata.uid"));
}

/* node: NULL: there is none. */
static void see(struct registrar *r, struct json_object *node)
{
        struct json_object *before = r->node;

        if (!before || !node || !same_uid(node, before))
                r->reconciled = false;
        r->node = json_object_get(node);
        json_shrink(node);
        r->opts.seen(r->opts.userdata, node);
        json_object_put(before);
}

/* Answers of calls are faster than the watch, which tells then what was. But when the watch itself goes back, the
 * server was restored, and its versions have begun anew. */
static bool is_news(struct registrar *r, const struct json_object *node)
{
        uint64_t last = r->informed;

        r->informed = version_of(node);
        return !r->node || !same_uid(r->node, node) || !is_older(node, r->node) || r->informed < last;
}

static void on_informed(void *userdata, const char *key, void *old, void *now)
{
        struct registrar *r = userdata;

        if (now && is_news(r, now))
                see(r, now);
        else if (!now && r->node && same_uid(r->node, old)) {
                log_warn("the Node was deleted", "node=%s", r->opts.name);
                see(r, NULL);
        }
        registrar_poke(r, false);
}

/* A Node that was made here and deleted before the watch began is told of by nobody: a patch finds out. */
static void on_synced(void *userdata)
{
        struct registrar *r = userdata;

        if (r->node && !informer_get(r->informer, r->opts.name))
                registrar_poke(r, true);
}

static void *project(void *userdata, struct json_object *o)
{
        return json_object_get(o);
}

static void release(void *userdata, void *value)
{
        json_object_put(value);
}

/* ---- what is sent ---- */

static bool tell_due(const struct registrar *r)
{
        return r->anyway || clock_mono_ms() - r->told_ms >= r->opts.tell_ms;
}

static enum step next_step(struct registrar *r, struct json_object **ret_body)
{
        struct node_facts facts = {0};

        if (!r->node && (r->fetch || !r->opts.create))
                return STEP_FETCH;
        r->opts.facts(r->opts.userdata, &facts);
        if (!r->node) {
                *ret_body = object_make(&facts, clock_wall_s());
                return STEP_CREATE;
        }
        if (!r->reconciled && r->opts.create) {
                *ret_body = object_metadata_patch(&facts, r->node);
                r->reconciled = true;
                if (*ret_body)
                        return STEP_METADATA;
        }
        *ret_body = object_status_patch(&facts, r->node, clock_wall_s(), tell_due(r));
        return *ret_body ? STEP_STATUS : STEP_NONE;
}

static void request(const struct registrar *r, enum step step, struct kube_request *ret)
{
        bool patch = step == STEP_METADATA || step == STEP_STATUS;
        const char *name = step == STEP_CREATE ? NULL : r->opts.name;

        *ret = (struct kube_request){.method = step == STEP_CREATE ? "POST"
                                               : patch             ? "PATCH"
                                                                   : "GET",
                                     .path = kube_path(&NODES, NULL, name, step == STEP_STATUS ? "status" : NULL),
                                     .body = r->body,
                                     .content_type = patch ? KUBE_STRATEGIC_PATCH : NULL,
                                     .timeout_ms = retry_timeout_ms(r->opts.retry)};
}

/* ---- what came of it ---- */

static void tell(struct registrar *r)
{
        r->told_ms = clock_mono_ms();
        r->anyway = false;
        r->opts.told(r->opts.userdata, json_at(r->body, "status.conditions"), r->sending == STEP_CREATE);
}

static void succeeded(struct registrar *r, struct json_object *obj)
{
        if (r->sending == STEP_CREATE)
                r->stats.creations++;
        else if (r->sending != STEP_FETCH)
                r->stats.patches++;
        r->fetch = false;
        if (r->sending == STEP_CREATE || r->sending == STEP_STATUS)
                tell(r);
        if (json_is_object(obj) && !(r->node && is_older(obj, r->node)))
                see(r, obj);
        if (r->sending == STEP_CREATE)
                r->reconciled = true;
}

static void refused(struct registrar *r, const struct kube_status *status)
{
        if (r->sending == STEP_CREATE && status->code == 409) {
                r->fetch = true;
                return;
        }
        if (status->code == 404) { /* deleted meanwhile, or never made by others */
                r->fetch = false;
                if (r->sending != STEP_FETCH || !r->opts.create)
                        see(r, NULL);
                return;
        }
        r->stats.failures++;
        if (r->sending == STEP_METADATA)
                r->reconciled = false;
        log_limited(LOG_LEVEL_WARN, 10000, "what the node told was refused", "node=%s code=%d message=%s", r->opts.name,
                    status->code, status->message);
}

static void on_done(void *userdata, int result, struct json_object *obj, const struct kube_status *status)
{
        struct registrar *r = userdata;
        uint64_t now = clock_mono_ms();
        bool back = retry_note(r->opts.retry, result, status, now), idle = false;

        r->call = NULL;
        if (!result) {
                succeeded(r, obj);
        } else if (result == KUBE_REFUSED) {
                refused(r, status);
                idle = status->code == 404 && r->sending == STEP_FETCH;
        } else {
                r->stats.failures++;
                if (r->sending == STEP_METADATA)
                        r->reconciled = false;
                log_limited(LOG_LEVEL_WARN, 10000, "the API does not answer", "node=%s error=%s", r->opts.name,
                            status->message);
        }
        json_object_put(TAKE_PTR(r->body));
        again_in(r, idle && !r->opts.create ? 1000 : retry_wait(r->opts.retry, now));
        if (back)
                r->opts.back(r->opts.userdata);
}

/* The next step and its body; STEP_NONE: nothing differs, or it has to wait. */
static enum step plan(struct registrar *r)
{
        enum step step = next_step(r, &r->body);

        if (step == STEP_NONE) {
                again_in(r, random_jitter(r->opts.look_ms, 4));
        } else if (step == STEP_STATUS && !ratelimit_allow(&r->patches, clock_mono_ns())) {
                log_limited(LOG_LEVEL_WARN, 60000, "the API does not keep what the node tells", "node=%s",
                            r->opts.name);
                json_object_put(TAKE_PTR(r->body));
                again_in(r, QUARREL_MS);
                step = STEP_NONE;
        }
        return step;
}

static void look(void *userdata)
{
        struct registrar *r = userdata;
        uint64_t now = clock_mono_ms();
        struct kube_request req;

        if (r->call)
                return;
        if (!retry_begin(r->opts.retry, now)) {
                again_in(r, retry_wait(r->opts.retry, now) ?: BUSY_MS);
                return;
        }
        r->sending = plan(r);
        if (r->sending == STEP_NONE) {
                r->opts.retry->trying = false;
                return;
        }
        request(r, r->sending, &req);
        r->call = kube_start(r->opts.client, &req, on_done, r);
        free((char *)req.path);
}

/* ---- life ---- */

int registrar_new(const struct registrar_opts *opts, struct registrar **ret)
{
        _cleanup_(registrar_freep) struct registrar *r = mem_new(struct registrar);
        _cleanup_free_ char *selector = mem_printf("metadata.name=%s", opts->name);
        const struct informer_opts informer = {.client = opts->client,
                                               .path = "/api/v1/nodes",
                                               .field_selector = selector,
                                               .project = project,
                                               .release = release,
                                               .userdata = r,
                                               .backoff_min_ms = 500,
                                               .backoff_max_ms = 2000};
        int e;

        r->opts = *opts;
        ratelimit_init(&r->patches, PATCH_RATE, PATCH_BURST);
        e = loop_timer_new(opts->loop, look, r, &r->timer);
        if (!e)
                e = informer_new(&informer, &r->informer);
        if (e)
                return e;
        informer_add_handler(r->informer, on_informed, r);
        informer_on_synced(r->informer, on_synced, r);
        *ret = TAKE_PTR(r);
        return 0;
}

void registrar_free(struct registrar *r)
{
        if (!r)
                return;
        kube_cancel(r->call);
        informer_free(r->informer);
        loop_timer_free(r->timer);
        json_object_put(r->node);
        json_object_put(r->body);
        free(r);
}

void registrar_start(struct registrar *r)
{
        r->started = true;
        look(r);
        informer_start(r->informer);
}

void registrar_poke(struct registrar *r, bool anyway)
{
        r->anyway |= anyway;
        if (r->started && !r->call)
                again_in(r, 0);
}

void registrar_stats(const struct registrar *r, struct registrar_stats *ret)
{
        *ret = r->stats;
}
