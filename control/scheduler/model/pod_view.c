/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "scheduler/model/pod_view.h"

uint64_t pod_condition_hash(const char *reason, const char *message)
{
        static const uint64_t seed[2] = {0x736368656475, 0x6c6572};
        uint64_t h = hash_bytes(seed, message ? message : "", strlen(message ? message : ""));

        h ^= hash_bytes(seed, reason ? reason : "", strlen(reason ? reason : "")) * 3;
        return h ? h : 1;
}

static const struct atom *atom_of(struct atoms *atoms, const char *s)
{
        return str_empty(s) ? NULL : atoms_get(atoms, s, strlen(s));
}

static int64_t seconds_of(const char *text)
{
        struct timespec t;

        return text && !clock_parse(text, &t) ? t.tv_sec : 0;
}

static void read_conditions(struct pod_view *v, const struct jnode *list)
{
        jnode_foreach (list, c) {
                const char *type = jnode_str(c, "type"), *status = jnode_str(c, "status"),
                           *reason = jnode_str(c, "reason");

                if (str_eq(type, "PodScheduled") && str_eq(status, "False"))
                        v->condition = pod_condition_hash(reason, jnode_str(c, "message"));
                else if (str_eq(type, "DisruptionTarget"))
                        v->preempted = str_eq(status, "True") && str_eq(reason, "PreemptionByScheduler");
        }
}

struct pod_view *pod_view_new(struct shapes *shapes, const struct jnode *pod)
{
        const struct jnode *meta = jnode_get(pod, "metadata"), *status = jnode_get(pod, "status");
        const char *name = jnode_str(meta, "name"), *uid = jnode_str(meta, "uid"), *phase = jnode_str(status, "phase");
        struct pod_view *v;

        if (str_empty(name))
                return NULL;
        v = mem_zalloc(sizeof(*v) + strlen(name) + 1);
        memcpy(v->name, name, strlen(name) + 1);
        str_copy(v->uid, sizeof(v->uid), uid ? uid : "");
        v->shape = shapes_get(shapes, pod);
        v->node = atom_of(shapes->atoms, jnode_at_str(pod, "spec.nodeName"));
        v->nominated = atom_of(shapes->atoms, jnode_str(status, "nominatedNodeName"));
        v->created_s = seconds_of(jnode_str(meta, "creationTimestamp"));
        v->started_s = seconds_of(jnode_str(status, "startTime"));
        v->terminating = jnode_get(meta, "deletionTimestamp") != NULL;
        v->ended = str_eq(phase, "Succeeded") || str_eq(phase, "Failed");
        read_conditions(v, jnode_get(status, "conditions"));
        return v;
}

void pod_view_free(struct shapes *shapes, struct pod_view *v)
{
        if (!v)
                return;
        shapes_put(shapes, v->shape);
        atoms_put(shapes->atoms, v->node);
        atoms_put(shapes->atoms, v->nominated);
        free(v);
}
