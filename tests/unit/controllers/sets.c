/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/controllers/sets.h"

#include <stdlib.h>

#include "base/str.h"

bool sets_is_active(struct json_object *pod)
{
        const char *phase = json_at_str(pod, "status.phase");

        return !json_has(json_get(pod, "metadata"), "deletionTimestamp") && !str_eq(phase, "Failed") &&
               !str_eq(phase, "Succeeded");
}

bool sets_is_ready(struct json_object *pod)
{
        json_array_foreach (json_at(pod, "status.conditions"), i, c)
                if (str_eq(json_get_str(c, "type"), "Ready"))
                        return str_eq(json_get_str(c, "status"), "True");
        return false;
}

const char *sets_owner(struct json_object *o, const char *kind)
{
        json_array_foreach (json_at(o, "metadata.ownerReferences"), i, ref)
                if (json_get_bool(ref, "controller", false) && str_eq(json_get_str(ref, "kind"), kind))
                        return json_get_str(ref, "name");
        return "";
}

static void count(struct tally *t, struct json_object *pod)
{
        t->all++;
        t->active += sets_is_active(pod);
        t->ready += sets_is_active(pod) && sets_is_ready(pod);
}

struct tally sets_tally(struct world *w, const char *app)
{
        struct tally t = {0};
        size_t n;
        _cleanup_free_ struct json_object **pods = world_list(w, &res_pods, "d", &n);

        for (size_t i = 0; i < n; i++)
                if (!app || str_eq(json_at_str(pods[i], "metadata.labels.app"), app))
                        count(&t, pods[i]);
        return t;
}

struct tally sets_owned(struct world *w, const char *kind, const char *name)
{
        struct tally t = {0};
        size_t n;
        _cleanup_free_ struct json_object **pods = world_list(w, &res_pods, "d", &n);

        for (size_t i = 0; i < n; i++)
                if (str_eq(sets_owner(pods[i], kind), name))
                        count(&t, pods[i]);
        return t;
}

const char *sets_lazy_kubelet(void *world, struct json_object *pod)
{
        return str_eq(json_at_str(pod, "status.phase"), "Pending") && world_random(world, 2) ? "Running" : NULL;
}

void sets_live(struct world *w, unsigned int rounds, uint64_t ms)
{
        for (unsigned int i = 0; i < rounds; i++) {
                world_pass(w, ms);
                world_kubelet(w, 3, NULL, NULL);
        }
        world_pass(w, ms);
}
