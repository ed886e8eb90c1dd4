/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kubelet/server/usage.h"

#define CONTAINERS_MAX 128

struct walk {
        struct kubelet_server *s;
        void (*fn)(void *userdata, const struct pod_usage *u);
        void *userdata;
};

static void add(struct walk *w, const struct container_status *c, struct container_usage *list, struct pod_usage *u)
{
        const struct runtime *rt = w->s->opts.runtime;
        struct container_usage x = {.name = c->name, .started_ns = c->started_ns, .id = c->id, .log_path = c->log_path};

        if (c->state != CONTAINER_RUNNING || u->n == CONTAINERS_MAX ||
            rt->ops->usage(rt->rt, c->id, &x.cpu_ns, &x.memory, &x.working_set))
                return;
        list[u->n++] = x;
        u->cpu_ns += x.cpu_ns;
        u->memory += x.memory;
        u->working_set += x.working_set;
}

static void on_pod(void *userdata, const struct pod_view *pod)
{
        struct walk *w = userdata;
        const struct runtime *rt = w->s->opts.runtime;
        struct container_usage list[CONTAINERS_MAX];
        struct pod_usage u = {.pod = pod, .containers = list};
        struct runtime_list there;

        rt->ops->list(rt->rt, pod->uid, &there);
        for (size_t i = 0; i < there.ncontainers; i++)
                add(w, &there.containers[i], list, &u);
        if (u.n)
                w->fn(w->userdata, &u);
}

void usage_each_pod(struct kubelet_server *s, void (*fn)(void *userdata, const struct pod_usage *u), void *userdata)
{
        struct walk w = {s, fn, userdata};

        pods_each(s->opts.pods, on_pod, &w);
}
