/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/api.h"
#include "controllers/config.h"
#include "controllers/controllers.h"
#include "controllers/manager.h"
#include "kube/informer.h"

#define RESOURCES_MAX 160
#define TURN_BUDGET   64 /* syncs before the loop looks at its sockets again */

struct followed {
        struct manager *manager;
        const struct resource *resource;
        struct informer *informer;
};

struct manager {
        struct process *process;
        struct api_server api;
        struct engine *engine;
        struct loop_timer *timer;
        const struct controller **chosen;
        struct followed followed[RESOURCES_MAX];
        size_t nfollowed, nsynced;
        bool elected, leads, posted, running; /* leads: elected, and everything is known */
};

const struct controller *const controllers[] = {
#define X(name) &controller_##name,
        CONTROLLERS(X)
#undef X
};
const size_t ncontrollers = ARRAY_SIZE(controllers);

/* ---- which ---- */

/* The last word that speaks of it counts. */
static bool is_chosen(const char *names, const char *name)
{
        bool chosen = false;
        struct str_span word;

        for (const char *rest = names; str_split(&rest, ',', &word);) {
                bool minus = word.n && *word.s == '-';
                struct str_span bare = {word.s + minus, word.n - minus};

                if (str_span_eq(bare, "*") || str_span_eq(bare, name))
                        chosen = !minus;
        }
        return chosen;
}

static bool is_known(struct str_span word)
{
        for (size_t i = 0; i < ncontrollers; i++)
                if (str_span_eq(word, controllers[i]->name))
                        return true;
        return str_span_eq(word, "*");
}

static int unknown_name(struct str_span word, struct err *reterr)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        for (size_t i = 0; i < ncontrollers; i++)
                strbuf_printf(&b, "%s%s", i ? ", " : "", controllers[i]->name);
        return err_set(reterr, -EINVAL,
                       "--controllers: there is no controller %.*s; use * and names, each with - to leave it out: %s",
                       (int)word.n, word.s, b.data ? b.data : "");
}

int manager_check_names(const char *names, struct err *reterr)
{
        struct str_span word;

        for (const char *rest = names; str_split(&rest, ',', &word);) {
                bool minus = word.n && *word.s == '-';
                struct str_span bare = {word.s + minus, word.n - minus};

                if (!is_known(bare))
                        return unknown_name(bare, reterr);
        }
        return 0;
}

/* ---- the engine's turns ---- */

static void turn(void *userdata)
{
        struct manager *m = userdata;
        uint64_t wait_ms;

        m->posted = false;
        if (!m->leads || !process_leads(m->process))
                return;
        m->running = true;
        wait_ms = engine_run(m->engine, TURN_BUDGET);
        m->running = false;
        if (!wait_ms) {
                m->posted = true;
                loop_post(process_loop(m->process), turn, m);
        } else if (wait_ms != UINT64_MAX) {
                loop_timer_set(m->timer, wait_ms);
        }
}

static void wake(void *userdata)
{
        struct manager *m = userdata;

        if (m->posted || m->running || !m->leads)
                return;
        m->posted = true;
        loop_post(process_loop(m->process), turn, m);
}

/* ---- what is followed ---- */

static void *project(void *userdata, const struct jnode *o)
{
        const struct followed *f = userdata;

        return kobj_new(f->resource, o);
}

static void release(void *userdata, void *value)
{
        kobj_unref(value);
}

static void on_change(void *userdata, const char *key, void *old, void *now)
{
        const struct followed *f = userdata;

        engine_observe(f->manager->engine, f->resource, key, now ? kobj_ref(now) : NULL);
}

/* Nobody acts on half of what there is. */
static void begin(struct manager *m)
{
        if (!m->elected || manager_unready(m))
                return;
        m->leads = true;
        wake(m);
}

static void on_synced(void *userdata)
{
        struct manager *m = userdata;

        m->nsynced++;
        if (m->nsynced == m->nfollowed)
                log_info("everything is known", "resources=%zu", m->nfollowed);
        begin(m);
}

static int follow(struct manager *m, const struct resource *r)
{
        struct followed *f = &m->followed[m->nfollowed];
        struct kube_resource where = {r->group, r->version, r->plural};
        _cleanup_free_ char *path = kube_path(&where, NULL, NULL, NULL);
        struct informer_opts opts = {.client = process_client(m->process),
                                     .path = path,
                                     .project_node = project,
                                     .release = release,
                                     .userdata = f};
        int err;

        *f = (struct followed){.manager = m, .resource = r};
        err = informer_new(&opts, &f->informer);
        if (err)
                return err;
        m->nfollowed++;
        informer_add_handler(f->informer, on_change, f);
        informer_on_synced(f->informer, on_synced, m);
        return 0;
}

static int follow_all(struct manager *m)
{
        const struct resource *all[RESOURCES_MAX];
        size_t n = engine_resources(m->engine, all, ARRAY_SIZE(all));
        int r = 0;

        for (size_t i = 0; i < n && !r; i++)
                r = follow(m, all[i]);
        for (size_t i = 0; i < m->nfollowed && !r; i++)
                informer_start(m->followed[i].informer);
        return r;
}

static size_t choose(struct manager *m, const char *names)
{
        size_t n = 0;

        m->chosen = mem_array(const struct controller *, ncontrollers + 1);
        for (size_t i = 0; i < ncontrollers; i++)
                if (is_chosen(names, controllers[i]->name))
                        m->chosen[n++] = controllers[i];
        return n;
}

int manager_new(struct process *p, const struct config *config, struct manager **ret, struct err *reterr)
{
        struct manager *m = mem_new(struct manager);
        size_t n = choose(m, config->controllers);
        int r;

        m->process = p;
        api_server_init(&m->api, process_client(p));
        m->engine = engine_new(&(struct engine_opts){.api = &m->api.api,
                                                     .config = config,
                                                     .controllers = m->chosen,
                                                     .ncontrollers = n,
                                                     .wake = wake,
                                                     .userdata = m});
        r = loop_timer_new(process_loop(p), turn, m, &m->timer);
        if (!r)
                r = follow_all(m);
        if (r) {
                manager_free(m);
                return r;
        }
        *ret = m;
        return 0;
}

void manager_lead(struct manager *m)
{
        m->elected = true;
        begin(m);
}

const char *manager_unready(const struct manager *m)
{
        return m->nsynced < m->nfollowed ? "the API's state is not known yet" : NULL;
}

void manager_metrics(struct manager *m, struct strbuf *b)
{
        engine_metrics(m->engine, b);
}

void manager_free(struct manager *m)
{
        if (!m)
                return;
        for (size_t i = 0; i < m->nfollowed; i++)
                informer_free(m->followed[i].informer);
        loop_timer_free(m->timer);
        api_server_deinit(&m->api);
        engine_free(m->engine);
        free(m->chosen);
        free(m);
}
