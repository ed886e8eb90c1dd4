/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/kubelet/node/evictor.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define CONTAINERS_MAX   64
#define GONE_WAIT_MS     30000 /* so long an evicted pod may take before the next one is looked for */
#define RECLAIM_AGAIN_MS 30000
#define SETTLE_MS        10000 /* images are deleted in the background: so long what they free may not be seen yet */
#define HARD_GRACE_S     1

struct evictor {
        struct evictor_opts opts;
        struct eviction_state state;
        bool pressure[NODE_READY];
        char leaving[64]; /* uid of the pod that is to be gone first; "": none */
        uint64_t leaving_since_ms;
        uint64_t reclaimed_ms[EVICTION_SIGNALS];
        bool reclaimed[EVICTION_SIGNALS];
        bool freed;        /* something on a disk, */
        uint64_t freed_ms; /* then */
        bool told[EVICTION_SIGNALS];
        struct evictor_stats stats;
};

int evictor_new(const struct evictor_opts *opts, struct evictor **ret)
{
        struct evictor *m = mem_new(struct evictor);

        m->opts = *opts;
        *ret = m;
        return 0;
}

void evictor_free(struct evictor *m)
{
        free(m);
}

void evictor_stats(const struct evictor *m, struct evictor_stats *ret)
{
        *ret = m->stats;
}

static void tell_pressure(struct evictor *m, uint64_t now_ms)
{
        bool now[NODE_READY];

        eviction_pressure(&m->state, now_ms, m->opts.transition_ms, now);
        if (memcmp(now, m->pressure, sizeof(now)) == 0)
                return;
        memcpy(m->pressure, now, sizeof(now));
        m->opts.hooks->pressure(m->opts.userdata, now);
}

static void tell_short(struct evictor *m)
{
        for (size_t i = 0; i < EVICTION_SIGNALS; i++) {
                if (m->state.met[i] && !m->told[i])
                        m->opts.hooks->short_of(m->opts.userdata, eviction_resource((enum eviction_signal)i));
                m->told[i] = m->state.met[i];
        }
}

static void evict(struct evictor *m, const struct evictor_pod *pod, const struct strbuf *message, uint64_t now_ms)
{
        str_copy(m->leaving, sizeof(m->leaving), pod->uid);
        m->leaving_since_ms = now_ms;
        m->opts.hooks->evict(m->opts.userdata, pod, message->data, HARD_GRACE_S);
}

/* An evicted pod has given nothing back before it is gone: figures of before count its use still. */
static bool is_leaving(struct evictor *m, uint64_t now_ms)
{
        if (!*m->leaving)
                return false;
        if (now_ms - m->leaving_since_ms < GONE_WAIT_MS && !m->opts.hooks->is_gone(m->opts.userdata, m->leaving))
                return true;
        *m->leaving = '\0';
        return false;
}

/* Whoever writes more than he said goes, whatever is left. */
static bool evict_over_limit(struct evictor *m, uint64_t now_ms)
{
        struct evictor_pods all;

        m->opts.hooks->pods(m->opts.userdata, &all);
        for (size_t i = 0; i < all.n; i++) {
                _cleanup_strbuf_ struct strbuf message = STRBUF_NULL;

                if (!m->opts.hooks->exceeds(m->opts.userdata, &all.pods[i], &message))
                        continue;
                m->stats.limits++;
                evict(m, &all.pods[i], &message, now_ms);
                return true;
        }
        return false;
}

static uint64_t missing(const struct evictor *m, enum eviction_signal s, const struct eviction_view *v)
{
        const struct eviction_threshold *t = &m->opts.thresholds->of[s];
        uint64_t want = eviction_amount_of(&t->below, v->capacity[s]) + eviction_amount_of(&t->reclaim, v->capacity[s]);

        return want - MIN(want, v->available[s]);
}

static bool is_settling(const struct evictor *m, uint64_t now_ms)
{
        return m->freed && now_ms - m->freed_ms < SETTLE_MS;
}

/* True: wait and see whether that is enough, rather than let a pod go for what is on its way out. */
static bool reclaim(struct evictor *m, enum eviction_signal s, const struct eviction_view *v, uint64_t now_ms)
{
        if (s == EVICT_MEMORY || s == EVICT_PID)
                return false;
        if (is_settling(m, now_ms))
                return true;
        if (m->reclaimed[s] && now_ms - m->reclaimed_ms[s] < RECLAIM_AGAIN_MS)
                return false;
        m->reclaimed[s] = true;
        m->reclaimed_ms[s] = now_ms;
        if (m->opts.hooks->reclaim(m->opts.userdata, s, missing(m, s, v))) {
                m->freed = true;
                m->freed_ms = now_ms;
        }
        return is_settling(m, now_ms);
}

/* The first thing that pods have to go for, memory before all others. */
static bool find_short(struct evictor *m, const struct eviction_view *v, uint64_t now_ms, enum eviction_signal *ret)
{
        for (size_t i = 0; i < EVICTION_SIGNALS; i++) {
                *ret = (enum eviction_signal)i;
                if (m->state.met[i] && !reclaim(m, *ret, v, now_ms))
                        return true;
        }
        return false;
}

static size_t collect(struct evictor *m, enum eviction_signal s, const struct evictor_pods *all,
                      struct eviction_candidate *ret)
{
        struct eviction_container containers[CONTAINERS_MAX];
        size_t n;

        for (size_t i = 0; i < all->n; i++)
                ret[i] = (struct eviction_candidate){.pod = all->pods[i].pod,
                                                     .usage = m->opts.hooks->usage(m->opts.userdata, s, &all->pods[i],
                                                                                   containers, CONTAINERS_MAX, &n),
                                                     .request = eviction_request(s, all->pods[i].pod),
                                                     .userdata = (void *)&all->pods[i]};
        return all->n;
}

static void evict_worst(struct evictor *m, enum eviction_signal s, const struct eviction_view *v, uint64_t now_ms)
{
        struct eviction_container containers[CONTAINERS_MAX];
        _cleanup_free_ struct eviction_candidate *ranked = NULL;
        _cleanup_strbuf_ struct strbuf message = STRBUF_NULL;
        const struct evictor_pod *pod;
        struct evictor_pods all;
        size_t n;

        m->opts.hooks->pods(m->opts.userdata, &all);
        if (!all.n) {
                log_limited(LOG_LEVEL_WARN, 60000, "the node is short and there is no pod to evict", "resource=%s",
                            eviction_resource(s));
                return;
        }
        ranked = mem_realloc(NULL, all.n, sizeof(*ranked));
        eviction_rank(s, ranked, collect(m, s, &all, ranked));
        pod = ranked[0].userdata;
        m->opts.hooks->usage(m->opts.userdata, s, pod, containers, CONTAINERS_MAX, &n);
        eviction_message(s, &m->opts.thresholds->of[s], v, pod->pod, containers, n, &message);
        m->stats.evictions[s]++;
        evict(m, pod, &message, now_ms);
}

void evictor_look(struct evictor *m, uint64_t now_ms)
{
        struct eviction_view view = {0};
        enum eviction_signal s;

        m->opts.hooks->look(m->opts.userdata, &view);
        eviction_update(m->opts.thresholds, &view, now_ms, &m->state);
        tell_pressure(m, now_ms);
        tell_short(m);
        if (is_leaving(m, now_ms) || evict_over_limit(m, now_ms))
                return;
        if (find_short(m, &view, now_ms, &s) && m->opts.hooks->usage_ready(m->opts.userdata, s))
                evict_worst(m, s, &view, now_ms);
}
