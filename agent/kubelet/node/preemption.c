/* SPDX-License-Identifier: Apache-2.0 */
/* Which pods go for a critical one: all that may are taken away in thought, then as many as fit beside it come back,
 * the most important first. */
#include <stdlib.h>

#include "agent/kubelet/node/admission.h"
#include "agent/kubelet/pods/resources.h"
#include "base/mem.h"

struct candidate {
        const struct json_object *pod;
        size_t index;
        bool goes;
};

static int64_t priority(const struct json_object *pod)
{
        return json_at_i64(pod, "spec.priority", 0);
}

static bool may_go(const struct json_object *pod, const struct json_object *for_pod)
{
        return !admission_is_static(pod) && (!admission_is_critical(pod) || priority(pod) < priority(for_pod));
}

static int64_t weight(const struct json_object *pod)
{
        struct quantity memory = pod_resource(pod, "requests", "memory", NULL);

        return quantity_value(&memory);
}

/* The most important first: those that are to come back. Of equals, small ones. */
static int by_importance(const void *a, const void *b)
{
        const struct candidate *x = a, *y = b;
        enum pod_qos qx = pod_qos_class(x->pod), qy = pod_qos_class(y->pod);
        int64_t wx = weight(x->pod), wy = weight(y->pod);

        if (priority(x->pod) != priority(y->pod))
                return priority(x->pod) > priority(y->pod) ? -1 : 1;
        if (qx != qy)
                return qx < qy ? -1 : 1;
        return wx < wy ? -1 : wx > wy;
}

static bool fits(const struct json_object *pod, const struct candidate *all, size_t n, const struct json_object *node)
{
        const struct json_object **staying = mem_realloc(NULL, n + 1, sizeof(*staying));
        size_t nstaying = 0;
        char reason[64];
        bool yes;

        for (size_t i = 0; i < n; i++)
                if (!all[i].goes)
                        staying[nstaying++] = all[i].pod;
        yes = !admission_check(pod, staying, nstaying, node, reason, NULL);
        free(staying);
        return yes;
}

size_t admission_preempt(const struct json_object *pod, const struct json_object *const *others, size_t nothers,
                         const struct json_object *node, bool *ret_victims)
{
        struct candidate *all = mem_realloc(NULL, nothers + 1, sizeof(*all));
        size_t count = 0;

        for (size_t i = 0; i < nothers; i++)
                all[i] = (struct candidate){.pod = others[i], .index = i, .goes = may_go(others[i], pod)};
        qsort(all, nothers, sizeof(*all), by_importance);
        if (fits(pod, all, nothers, node)) {
                for (size_t i = 0; i < nothers; i++) {
                        if (!all[i].goes)
                                continue;
                        all[i].goes = false;
                        all[i].goes = !fits(pod, all, nothers, node);
                }
                for (size_t i = 0; i < nothers; i++) {
                        ret_victims[all[i].index] = all[i].goes;
                        count += all[i].goes;
                }
        }
        free(all);
        return count;
}
