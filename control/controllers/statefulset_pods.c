/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "controllers/common/pods.h"
#include "controllers/statefulset.h"

#define LABEL_NAME     "statefulset.kubernetes.io/pod-name"
#define LABEL_INDEX    "apps.kubernetes.io/pod-index"
#define LABEL_REVISION "controller-revision-hash"

/* ---- names ---- */

int64_t statefulset_ordinal(const struct kobj *set, const char *pod)
{
        const char *rest = str_after(pod, set->name);
        uint32_t n;

        if (!rest || *rest != '-' || (rest[1] == '0' && rest[2]) || str_parse_u32(rest + 1, &n) || n > INT32_MAX)
                return -1;
        return n;
}

static const char *pod_name(const struct stateful *st, int64_t ordinal)
{
        return arena_printf(st->sync->mem, "%s-%" PRIi64, st->set->name, ordinal);
}

/* ---- which there are ---- */

static int by_ordinal(const void *a, const void *b)
{
        const struct member *x = a, *y = b;

        return x->ordinal < y->ordinal ? -1 : x->ordinal > y->ordinal;
}

static int by_ordinal_down(const void *a, const void *b)
{
        return by_ordinal(b, a);
}

bool stateful_is_wanted(const struct stateful *st, int64_t ordinal)
{
        return ordinal >= st->start && ordinal < st->start + st->replicas;
}

void stateful_sort_pods(struct stateful *st, struct kobjs pods)
{
        st->living = arena_array(st->sync->mem, struct member, pods.n + 1);
        st->condemned = arena_array(st->sync->mem, struct member, pods.n + 1);
        kobjs_foreach (pods, p) {
                struct member m = {statefulset_ordinal(st->set, p->name), p};

                if (stateful_is_wanted(st, m.ordinal))
                        st->living[st->nliving++] = m;
                else
                        st->condemned[st->ncondemned++] = m;
        }
        qsort(st->living, st->nliving, sizeof(*st->living), by_ordinal);
        qsort(st->condemned, st->ncondemned, sizeof(*st->condemned), by_ordinal_down);
}

bool member_is_ready(const struct kobj *pod)
{
        return pod->pod->phase == POD_RUNNING && pod_is_ready(pod);
}

bool member_is_healthy(const struct kobj *pod)
{
        return member_is_ready(pod) && !pod->deleted_s;
}

bool stateful_is_available(const struct stateful *st, const struct kobj *pod)
{
        return pod->pod->phase == POD_RUNNING && pod_is_available(pod, st->min_ready_s, st->sync->now_ms, NULL);
}

const char *member_revision(const struct kobj *pod)
{
        const char *name = kobj_label(pod, LABEL_REVISION);

        return name ? name : "";
}

/* ---- a new one ---- */

/* During a rolling update, pods below the partition are made as they were. Without a partition (only old clients leave
 * it out), so many of the lowest as still are. */
static bool is_kept_back(const struct stateful *st, int64_t ordinal)
{
        struct json_object *strategy = json_at(st->json, "spec.updateStrategy");
        struct json_object *rolling = json_get(strategy, "rollingUpdate");

        if (!str_eq(json_get_str(strategy, "type"), "RollingUpdate"))
                return false;
        return ordinal - st->start <
               (rolling ? json_get_i64(rolling, "partition", 0) : json_at_i64(st->json, "status.currentReplicas", 0));
}

static void set_labels(struct json_object *labels, const char *name, int64_t ordinal)
{
        char index[24];

        snprintf(index, sizeof(index), "%" PRIi64, ordinal);
        json_set_str(labels, LABEL_NAME, name);
        json_set_str(labels, LABEL_INDEX, index);
}

static struct json_object *new_pod(struct stateful *st, int64_t ordinal, const char *name)
{
        bool back = is_kept_back(st, ordinal);
        struct json_object *pod = pod_from_template(st->set, back ? st->current_template : st->update_template);
        struct json_object *meta = json_get(pod, "metadata"), *spec = json_get(pod, "spec");
        const char *service = json_at_str(st->json, "spec.serviceName");

        json_set_str(meta, "name", name);
        set_labels(json_ensure(meta, "labels"), name, ordinal);
        json_set_str(json_get(meta, "labels"), LABEL_REVISION, (back ? st->current : st->update)->object->name);
        json_set_str(spec, "hostname", name);
        if (!str_empty(service))
                json_set_str(spec, "subdomain", service);
        stateful_add_volumes(st, ordinal, spec);
        return pod;
}

/* Upstream's words, which name the set. */
static void tell_pod(struct stateful *st, struct step *step, const char *verb, const char *done, const char *failed)
{
        struct telling t = {
                .done_reason = done,
                .done_text =
                        arena_printf(st->sync->mem, "%s Pod {name} in StatefulSet %s successful", verb, st->set->name),
                .failed_reason = failed,
                .failed_text = arena_printf(st->sync->mem, "%s Pod {name} in StatefulSet %s failed error: {error}",
                                            verb, st->set->name),
        };

        step_tell(step, st->set, &t);
}

/* Somebody else's pod that has the name is in the way until it goes: statefulset.c is told then. */
static bool name_is_taken(struct stateful *st, const char *name)
{
        if (!lister_get(st->sync->lister, &res_pods, st->set->ns, name))
                return false;
        plan_event(st->sync, st->set, true, "FailedCreate",
                   "create Pod %s in StatefulSet %s failed error: pods \"%s\" already exists", name, st->set->name,
                   name);
        return true;
}

/* The claims come first; while some of them are being made or go, the pod has to wait. */
void stateful_create_pod(struct stateful *st, int64_t ordinal)
{
        const char *name = pod_name(st, ordinal);
        struct step *step;

        if (name_is_taken(st, name))
                return;
        st->ncreated++;
        if (stateful_make_claims(st, ordinal) != CLAIMS_THERE)
                return;
        step = plan_create(st->sync, &res_pods, new_pod(st, ordinal, name));
        if (!st->ordered)
                step_slow_start(step);
        tell_pod(st, step, "create", "SuccessfulCreate", "FailedCreate");
}

void stateful_delete_pod(struct stateful *st, const struct kobj *pod)
{
        tell_pod(st, plan_delete(st->sync, pod), "delete", "SuccessfulDelete", "FailedDelete");
}

/* An adopted one has not got them, and users change labels. */
void stateful_identify_pod(struct stateful *st, const struct member *m)
{
        const char *name = kobj_label(m->pod, LABEL_NAME), *index = kobj_label(m->pod, LABEL_INDEX);
        struct json_object *patch;
        int64_t n;

        if (str_eq(name, m->pod->name) && index && !str_parse_i64(index, &n) && n == m->ordinal)
                return;
        patch = json_object_new_object();
        set_labels(json_ensure(json_ensure(patch, "metadata"), "labels"), m->pod->name, m->ordinal);
        tell_pod(st, plan_patch(st->sync, m->pod, NULL, patch), "update", "SuccessfulUpdate", "FailedUpdate");
}
