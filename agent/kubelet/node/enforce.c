/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/kubelet/node/enforce.h"
#include "agent/kubelet/node/impl.h"
#include "agent/kubelet/pods/resources.h"
#include "base/log.h"

static const struct container_resources nothing = {-1, -1, -1, -1, -1, -1, -1, NULL};

static int64_t less(uint64_t from, int64_t take)
{
        return (int64_t)(from - MIN(from, (uint64_t)MAX(take, 0)));
}

static int limit(const struct cgroups *cg, const char *root, const char *group, const struct container_resources *r,
                 struct err *reterr)
{
        char path[CGROUP_PATH_MAX];
        int e;

        snprintf(path, sizeof(path), "%s%s%s", root, *root ? "/" : "", group);
        e = cgroup_make(cg, path, reterr);
        return e ? e : cgroup_limit(cg, path, r, reterr);
}

int enforce_limits(const struct cgroups *cg, const char *root, const struct machine *m,
                   const struct node_reserved *reserved, uint64_t max_pids, struct err *reterr)
{
        struct container_resources all = nothing, least = nothing;
        int r;

        if (cg->in_v2[CGROUP_MEMORY])
                all.memory_bytes = less(m->memory_bytes, quantity_value(&reserved->memory));
        if (cg->in_v2[CGROUP_PIDS] && max_pids && quantity_sign(&reserved->pid) > 0)
                all.pids = less(max_pids, quantity_value(&reserved->pid));
        if (cg->in_v2[CGROUP_CPU]) {
                all.cpu_shares = cpu_shares(less(m->milli_cpus, quantity_milli(&reserved->cpu)));
                least.cpu_shares = cpu_shares(0);
        }
        r = limit(cg, root, "kubepods", &all, reterr);
        if (!r)
                r = limit(cg, root, "kubepods/burstable", &nothing, reterr);
        return r ? r : limit(cg, root, "kubepods/besteffort", &least, reterr);
}

void enforce_allocatable(struct node *n)
{
        struct node_usage u;
        struct err err = ERR_NULL;

        node_usage(n, &u);
        if (enforce_limits(n->opts.cgroups, n->opts.cgroup_root, &n->machine, &n->reserved, u.max_pids, &err)) {
                log_warn("pods are not limited together", "why=%s", err.msg);
                node_event(n, true, "FailedNodeAllocatableEnforcement", "Failed to update Node Allocatable Limits: %s",
                           err.msg);
                return;
        }
        node_event(n, false, "NodeAllocatableEnforced", "Updated Node Allocatable limit across pods");
}
