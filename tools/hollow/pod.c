/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "hollow/pod.h"

/* ---- one block for all ---- */

/* Runs twice: without memory it only counts. */
struct packer {
        char *base;
        size_t used;
};

static void *pack(struct packer *p, size_t n, size_t align)
{
        size_t at = (p->used + align - 1) / align * align;

        p->used = at + n;
        return p->base ? p->base + at : NULL;
}

static const char *pack_text(struct packer *p, const char *s)
{
        size_t n = strlen(s ? s : "") + 1;
        char *copy = pack(p, n, 1);

        return copy ? memcpy(copy, s ? s : "", n) : NULL;
}

static const struct pod_container *pack_containers(struct packer *p, const struct jnode *list, uint32_t n)
{
        struct pod_container *to = pack(p, n * sizeof(*to), _Alignof(struct pod_container));
        size_t i = 0;

        jnode_foreach (list, c) {
                const char *name = pack_text(p, jnode_str(c, "name")), *image = pack_text(p, jnode_str(c, "image"));
                const char *policy = jnode_str(c, "restartPolicy");

                if (to)
                        to[i++] = (struct pod_container){name, image, str_eq(policy, "Always")};
        }
        return to;
}

static void pack_ips(struct packer *p, struct pod *pod, const struct jnode *status)
{
        size_t i = 0;

        jnode_foreach (jnode_get(status, "podIPs"), ip) {
                if (i < ARRAY_SIZE(pod->ips))
                        pod->ips[i++] = pack_text(p, jnode_str(ip, "ip"));
        }
}

/* pod may be on the stack in the first round. */
static void pack_pod(struct packer *p, struct pod *pod, const struct jnode *o)
{
        const struct jnode *spec = jnode_get(o, "spec");

        pack(p, sizeof(*pod), _Alignof(struct pod));
        pod->ncontainers = (uint32_t)jnode_len(jnode_get(spec, "containers"));
        pod->ninits = (uint32_t)jnode_len(jnode_get(spec, "initContainers"));
        pod->containers = pack_containers(p, jnode_get(spec, "containers"), pod->ncontainers);
        pod->inits = pack_containers(p, jnode_get(spec, "initContainers"), pod->ninits);
        pod->ns = pack_text(p, jnode_at_str(o, "metadata.namespace"));
        pod->name = pack_text(p, jnode_at_str(o, "metadata.name"));
        pod->uid = pack_text(p, jnode_at_str(o, "metadata.uid"));
        pod->node = pack_text(p, jnode_str(spec, "nodeName"));
        pack_ips(p, pod, jnode_get(o, "status"));
}

/* ---- the plan ---- */

static bool is_jobs(const struct jnode *o)
{
        jnode_foreach (jnode_at(o, "metadata.ownerReferences"), ref) {
                if (jnode_bool(ref, "controller", false) && str_eq(jnode_str(ref, "kind"), "Job"))
                        return true;
        }
        return false;
}

static enum restart_policy policy_of(const char *text)
{
        return str_eq(text, "Never") ? RESTART_NEVER : str_eq(text, "OnFailure") ? RESTART_ON_FAILURE : RESTART_ALWAYS;
}

static void set_annotation(struct plan *plan, struct plan_given *given, const struct jnode *a, struct err *reterr)
{
        const char *name = str_after(a->key, PLAN_PREFIX), *value = jnode_text(a);
        struct err err = ERR_NULL;

        if (!name || !value)
                return;
        if (!plan_set(plan, name, value, &err))
                plan_note(given, name, value);
        else if (reterr && !reterr->code)
                *reterr = err;
}

static void plan_of(struct pod *pod, const struct jnode *o, const struct pod_defaults *d, struct err *reterr)
{
        const struct jnode *annotations = jnode_at(o, "metadata.annotations");
        enum restart_policy policy = policy_of(jnode_at_str(o, "spec.restartPolicy"));
        struct plan_given given = {0};

        pod->plan = (struct plan){.ready_after = d->ready_after,
                                  .stop_after = d->stop_after,
                                  .run_for = policy != RESTART_ALWAYS && is_jobs(o) ? d->job_run_for : PLAN_NEVER,
                                  .restart_after = 1000,
                                  .stop_exit_code = 143, /* 128 + SIGTERM */
                                  .ready = true,
                                  .policy = policy};
        for (const struct jnode *a = annotations && annotations->type == JNODE_OBJECT ? annotations->first : NULL; a;
             a = a->next)
                set_annotation(&pod->plan, &given, a, reterr);
        plan_finish(&pod->plan, &given);
        for (uint32_t i = 0; i < pod->ninits; i++)
                pod->plan.ninit += !pod->inits[i].sidecar;
}

/* ---- what the API says ---- */

static int64_t time_of(const struct jnode *o, const char *key)
{
        const char *text = jnode_str(o, key);
        struct timespec ts;

        return text && !clock_parse(text, &ts) ? ts.tv_sec : 0;
}

static bool condition(const struct jnode *status, const char *type, int64_t *ret_since_s)
{
        jnode_foreach (jnode_get(status, "conditions"), c) {
                if (!str_eq(jnode_str(c, "type"), type))
                        continue;
                *ret_since_s = time_of(c, "lastTransitionTime");
                return str_eq(jnode_str(c, "status"), "True");
        }
        return false;
}

static void see_ended(struct pod_seen *seen, const struct jnode *terminated)
{
        seen->exit_code = (int32_t)jnode_i64(terminated, "exitCode", 0);
        seen->started_s = time_of(terminated, "startedAt");
        seen->finished_s = time_of(terminated, "finishedAt");
}

static enum stage stage_seen(const struct jnode *status, const struct jnode *container)
{
        const char *phase = jnode_str(status, "phase");
        const struct jnode *init = jnode_get(status, "initContainerStatuses");

        if (str_eq(phase, "Succeeded") || str_eq(phase, "Failed"))
                return STAGE_ENDED;
        if (!container)
                return STAGE_NONE;
        if (jnode_at(container, "state.running"))
                return STAGE_RUNNING;
        if (jnode_at(container, "lastState.terminated"))
                return STAGE_BACKOFF;
        jnode_foreach (init, c) {
                if (jnode_at(c, "state.running"))
                        return STAGE_INIT;
        }
        return STAGE_CREATING;
}

static void see(struct pod_seen *seen, const struct jnode *status)
{
        const struct jnode *list = jnode_get(status, "containerStatuses"), *state, *last;
        const struct jnode *first = list && list->type == JNODE_ARRAY ? list->first : NULL;

        state = jnode_get(first, "state");
        last = jnode_at(first, "lastState.terminated");
        seen->stage = stage_seen(status, first);
        condition(status, "Initialized", &seen->initialized_s);
        seen->ready = condition(status, "Ready", &seen->ready_s);
        seen->restarts = (int32_t)jnode_i64(first, "restartCount", 0);
        seen->start_s = time_of(status, "startTime");
        if (last)
                see_ended(seen, last);
        if (jnode_get(state, "terminated"))
                see_ended(seen, jnode_get(state, "terminated"));
        if (jnode_get(state, "running"))
                seen->started_s = time_of(jnode_get(state, "running"), "startedAt");
}

struct pod *pod_parse(const struct jnode *o, const struct pod_defaults *defaults, struct err *reterr)
{
        struct packer p = {0};
        struct pod *pod, probe = {0};
        uint64_t version = 0;

        pack_pod(&p, &probe, o);
        pod = mem_zalloc(p.used);
        p = (struct packer){.base = (char *)pod};
        pack_pod(&p, pod, o);
        if (!str_parse_u64(jnode_at_str(o, "metadata.resourceVersion") ?: "", &version))
                pod->version = version;
        pod->generation = jnode_at_i64(o, "metadata.generation", 0);
        pod->host_network = jnode_bool(jnode_get(o, "spec"), "hostNetwork", false);
        pod->deleting = jnode_at(o, "metadata.deletionTimestamp");
        pod->grace_s = jnode_at_i64(o, "metadata.deletionGracePeriodSeconds", 0);
        plan_of(pod, o, defaults, reterr);
        see(&pod->seen, jnode_get(o, "status"));
        return pod;
}

void pod_adopt(const struct pod *pod, struct life *ret)
{
        const struct pod_seen *seen = &pod->seen;

        *ret = (struct life){.stage = seen->stage,
                             .admitted = seen->start_s * 1000,
                             .started = seen->started_s * 1000,
                             .finished = seen->finished_s * 1000,
                             .restarts = seen->restarts,
                             .exit_code = seen->exit_code};
        switch (seen->stage) {
        case STAGE_RUNNING:
                ret->since = ret->started;
                break;
        case STAGE_BACKOFF:
        case STAGE_ENDED:
                ret->since = ret->finished;
                break;
        case STAGE_CREATING:
        case STAGE_INIT:
        case STAGE_NONE:
                ret->since = ret->admitted;
                break;
        }
}
