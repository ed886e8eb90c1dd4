/* SPDX-License-Identifier: Apache-2.0 */
/* Admission on this node as it is now: with its pods and its pressures, and making room for critical pods. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/kubelet/node/admission.h"
#include "agent/kubelet/node/affinity.h"
#include "agent/kubelet/node/impl.h"
#include "agent/kubelet/pods/resources.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

struct others {
        const char *uid; /* of who asks */
        const struct json_object **pods;
        size_t n;
};

static bool is_over(const struct pod_view *p)
{
        const char *phase = json_get_str(p->status, "phase");

        return p->ended || str_eq(phase, "Failed") || str_eq(phase, "Succeeded");
}

static void collect(void *userdata, const struct pod_view *p)
{
        struct others *o = userdata;

        if (!p->admitted || is_over(p) || str_eq(p->uid, o->uid))
                return;
        o->pods = mem_realloc(o->pods, o->n + 1, sizeof(*o->pods));
        o->pods[o->n++] = p->pod;
}

/* Under memory pressure alone, those that said how much they need still come. */
static bool bears_pressure(const struct node *n, const struct json_object *pod)
{
        const bool *pressure = n->health.pressure;

        if (admission_is_critical(pod))
                return true;
        if (pressure[NODE_DISK_PRESSURE] || pressure[NODE_PID_PRESSURE])
                return false;
        return !pressure[NODE_MEMORY_PRESSURE] || pod_qos_class(pod) != QOS_BEST_EFFORT ||
               taint_tolerated(pod, "node.kubernetes.io/memory-pressure", "NoSchedule");
}

static int refuse_pressure(const struct node *n, char reason[static 64], struct err *reterr)
{
        char list[128] = "";
        size_t at = 0;

        for (size_t i = 0; i < NODE_READY; i++)
                if (n->health.pressure[i])
                        at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", at ? " " : "",
                                               node_condition_name((enum node_condition_kind)i));
        str_copy(reason, 64, "Evicted");
        return err_set(reterr, -EPERM, "The node had condition: [%s]. ", list);
}

static void preempt(struct node *n, const struct json_object *victim, const struct json_object *for_pod)
{
        log_info("a pod makes room for a critical one", "victim=%s/%s for=%s/%s",
                 json_at_str(victim, "metadata.namespace"), json_at_str(victim, "metadata.name"),
                 json_at_str(for_pod, "metadata.namespace"), json_at_str(for_pod, "metadata.name"));
        n->preemptions++;
        pods_evict(n->opts.pods, json_at_str(victim, "metadata.uid"), "Preempting",
                   "Preempted in order to admit critical pod",
                   json_at_i64(victim, "spec.terminationGracePeriodSeconds", 30));
}

static bool make_room(struct node *n, const struct json_object *pod, const struct others *o)
{
        bool *victims = mem_realloc(NULL, o->n + 1, sizeof(*victims));
        size_t count = admission_preempt(pod, o->pods, o->n, node_object(n), victims);

        for (size_t i = 0; count && i < o->n; i++)
                if (victims[i])
                        preempt(n, o->pods[i], pod);
        free(victims);
        return count > 0;
}

static int check_sysctls(const struct json_object *pod, char reason[static 64], struct err *reterr)
{
        struct arena mem = ARENA_NULL;
        const char *forbidden = spec_forbidden_sysctl(pod, &mem);
        int r = forbidden ? err_set(reterr, -EPERM, "%s", forbidden) : 0;

        if (r)
                str_copy(reason, 64, "SysctlForbidden");
        arena_deinit(&mem);
        return r;
}

int node_admit(struct node *n, const struct json_object *pod, char reason[static 64], struct err *reterr)
{
        struct others o = {.uid = json_at_str(pod, "metadata.uid")};
        int r = check_sysctls(pod, reason, reterr);

        if (r)
                return r;
        if (!bears_pressure(n, pod))
                return refuse_pressure(n, reason, reterr);
        pods_each(n->opts.pods, collect, &o);
        r = admission_check(pod, o.pods, o.n, node_object(n), reason, reterr);
        if (r && admission_is_critical(pod) && make_room(n, pod, &o))
                r = 0;
        free(o.pods);
        return r;
}
