/* SPDX-License-Identifier: Apache-2.0 */
/*
 * StatefulSets: pods with numbers, each with a name and claims of its own that stay when the pod is replaced. By
 * default one is made, ended or replaced at a time, in the order of the numbers, and the next only when all before it
 * are well.
 *
 * Names do what other controllers need counting for: there cannot be two pods of one ordinal, and a create that is
 * repeated is refused.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "controllers/common/claim.h"
#include "controllers/common/int_or_percent.h"
#include "controllers/common/owners.h"
#include "controllers/common/pods.h"
#include "controllers/controllers.h"
#include "controllers/statefulset.h"

#define BURST      500 /* pods at a time */
#define HASH_LABEL "controller.kubernetes.io/hash"

/* ---- pods that shall be ---- */

static void replace_finished(struct stateful *st, const struct kobj *pod)
{
        bool failed = pod->pod->phase == POD_FAILED;

        if (pod->deleted_s)
                return;
        plan_event(st->sync, st->set, failed, failed ? "RecreatingFailedPod" : "RecreatingTerminatedPod",
                   "StatefulSet %s is recreating %s Pod %s", st->set->key, failed ? "failed" : "terminated", pod->name);
        stateful_delete_pod(st, pod);
}

/* Whether the next one may be looked at. In order, that needs this one to be well. */
static bool keep_pod(struct stateful *st, const struct member *m)
{
        const struct kobj *pod = m->pod;

        if (pod_is_finished(pod)) {
                replace_finished(st, pod);
                return !st->ordered;
        }
        if (pod->pod->phase == POD_PENDING && !pod->deleted_s)
                stateful_make_claims(st, m->ordinal);
        if (st->ordered && (!member_is_healthy(pod) || !stateful_is_available(st, pod)))
                return false;
        if (!pod->deleted_s)
                stateful_identify_pod(st, m);
        stateful_own_claims(st, m);
        return true;
}

/* Whether all wanted pods are there, or may be made without regard to each other. */
static bool keep_living(struct stateful *st)
{
        size_t next = 0;

        for (int64_t ordinal = st->start; ordinal < st->start + st->replicas && st->ncreated < BURST; ordinal++) {
                if (next < st->nliving && st->living[next].ordinal == ordinal) {
                        if (!keep_pod(st, &st->living[next++]))
                                return false;
                        continue;
                }
                stateful_create_pod(st, ordinal);
                if (st->ordered)
                        return false;
        }
        if (st->ncreated == BURST)
                plan_after(st->sync, 0);
        return true;
}

/* ---- pods that shall go ---- */

/* In order, all wanted pods are well by now. So who is not is one of the condemned: the lowest may go all the same. */
static const struct kobj *first_unhealthy(const struct stateful *st)
{
        for (size_t i = st->ncondemned; i; i--)
                if (!member_is_healthy(st->condemned[i - 1].pod))
                        return st->condemned[i - 1].pod;
        return NULL;
}

/* An update may have ended one that is condemned since. */
static bool one_is_ending(const struct stateful *st)
{
        for (size_t i = 0; i < st->ncondemned; i++)
                if (st->condemned[i].pod->deleted_s)
                        return true;
        return false;
}

static bool may_go(const struct stateful *st, const struct kobj *pod)
{
        if (!st->ordered)
                return !pod->deleted_s;
        if (one_is_ending(st))
                return false;
        return (member_is_ready(pod) && stateful_is_available(st, pod)) || pod == first_unhealthy(st);
}

/* Whether the update may go on. The claims' owners are right before any pod goes. */
static bool end_condemned(struct stateful *st)
{
        bool right = true;

        for (size_t i = 0; i < st->ncondemned; i++)
                if (!st->condemned[i].pod->deleted_s)
                        right &= stateful_own_claims(st, &st->condemned[i]);
        if (!right)
                plan_then(st->sync);
        for (size_t i = 0; i < st->ncondemned; i++) {
                if (may_go(st, st->condemned[i].pod))
                        stateful_delete_pod(st, st->condemned[i].pod);
                if (st->ordered)
                        return false;
        }
        return true;
}

/* ---- pods of old revisions ---- */

static int64_t max_unavailable(const struct stateful *st)
{
        struct json_object *rolling = json_at(st->json, "spec.updateStrategy.rollingUpdate");

        return MAX(int_or_percent(json_get(rolling, "maxUnavailable"), st->replicas, false, 1), (int64_t)1);
}

static bool serves(const struct stateful *st, const struct kobj *pod)
{
        return stateful_is_available(st, pod) && !pod->deleted_s;
}

static int64_t count_unavailable(const struct stateful *st)
{
        int64_t n = st->replicas;

        for (size_t i = 0; i < st->nliving; i++)
                n -= serves(st, st->living[i].pod);
        return n;
}

/* Those that do not serve cost nothing: else a set whose old pods are broken could not be mended by an update. */
static void update_pods(struct stateful *st)
{
        struct json_object *strategy = json_at(st->json, "spec.updateStrategy");
        int64_t least = st->start + json_at_i64(strategy, "rollingUpdate.partition", 0);
        int64_t room = max_unavailable(st) - count_unavailable(st);

        if (!str_eq(json_get_str(strategy, "type"), "RollingUpdate"))
                return;
        for (size_t i = st->nliving; i && st->living[i - 1].ordinal >= least; i--) {
                const struct kobj *pod = st->living[i - 1].pod;

                if (pod->deleted_s || pod_is_finished(pod) || str_eq(member_revision(pod), st->update->object->name))
                        continue;
                if (!serves(st, pod) || room-- > 0)
                        stateful_delete_pod(st, pod);
        }
}

/* ---- history ---- */

static bool is_of(const struct member *members, size_t n, const char *revision)
{
        for (size_t i = 0; i < n; i++)
                if (str_eq(member_revision(members[i].pod), revision))
                        return true;
        return false;
}

static bool lives(const struct revision *r, const void *ctx)
{
        const struct stateful *st = ctx;
        const char *name = r->object->name;

        return r == st->current || r == st->update || is_of(st->living, st->nliving, name) ||
               is_of(st->condemned, st->ncondemned, name);
}

static void trim_history(struct stateful *st)
{
        int64_t n = -json_at_i64(st->json, "spec.revisionHistoryLimit", 10);

        for (size_t i = 0; i < st->history.n; i++)
                n += !lives(&st->history.all[i], st);
        history_trim(st->sync, &st->history, n, lives, st);
}

/* Whether both are known. */
static bool find_revisions(struct stateful *st)
{
        const char *current = json_at_str(st->json, "status.currentRevision");

        st->history.hash_label = HASH_LABEL;
        st->update = history_update(st->sync, &st->history, st->set, st->json);
        if (!st->update)
                return false;
        st->current = history_find(&st->history, current ? current : "");
        if (!st->current)
                st->current = st->update;
        st->current_template = revision_template(st->current);
        st->update_template = revision_template(st->update);
        return true;
}

/* ---- a sync ---- */

static void read_spec(struct stateful *st)
{
        struct json_object *spec = json_get(st->json, "spec");
        struct json_object *policy = json_get(spec, "persistentVolumeClaimRetentionPolicy");

        st->start = json_at_i64(spec, "ordinals.start", 0);
        st->replicas = json_get_i64(spec, "replicas", 1);
        st->min_ready_s = json_get_i64(spec, "minReadySeconds", 0);
        st->ordered = !str_eq(json_get_str(spec, "podManagementPolicy"), "Parallel");
        st->keep_deleted = !str_eq(json_get_str(policy, "whenDeleted"), "Delete");
        st->keep_scaled = !str_eq(json_get_str(policy, "whenScaled"), "Delete");
}

/* The revisions that the status names tell which template a pod is made of: they are written before any pod is. */
static void manage(struct stateful *st)
{
        if (stateful_write_status(st))
                plan_then(st->sync);
        trim_history(st);
        if (keep_living(st) && end_condemned(st))
                update_pods(st);
}

static bool is_member(const struct kobj *set, const struct kobj *pod)
{
        return statefulset_ordinal(set, pod->name) >= 0;
}

static void look(struct stateful *st, const struct selector *sel)
{
        struct kobjs pods = claim_fitting(st->sync, st->set, &res_pods, sel, is_member);

        owners_synced(st->sync->state, st->sync, pods.n);
        history_read(st->sync, st->set, sel, &st->history);
        if (!plan_is_empty(st->sync)) /* first see what is adopted, or more would be made */
                return;
        read_spec(st);
        stateful_sort_pods(st, pods);
        if (find_revisions(st))
                manage(st);
}

static void sync_set(struct sync *s)
{
        const struct selector *sel = owners_selector(s->state, s->key);
        struct stateful st = {.sync = s, .set = lister_find(s->lister, &res_statefulsets, s->key)};

        if (!st.set || !sel || st.set->deleted_s)
                return;
        st.json = kobj_json(st.set);
        look(&st, sel);
        json_object_put(st.current_template);
        json_object_put(st.update_template);
        history_deinit(&st.history);
        json_object_put(st.json);
}

/* ---- what changes ---- */

static void set_changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        owners_changed(runner_state(r), r, old, now);
}

static void add_set(struct runner *r, const char *ns, const char *name)
{
        const struct kobj *set = lister_get(runner_lister(r), &res_statefulsets, ns, name);

        if (set)
                runner_add_object(r, set);
}

/* The name without "-NUMBER"; NULL when it has none. buf: of the name's size. */
static char *without_ordinal(char *buf, const char *name)
{
        char *dash;

        strcpy(buf, name);
        dash = strrchr(buf, '-');
        if (!dash || !dash[1] || dash[1 + strspn(dash + 1, "0123456789")])
                return NULL;
        *dash = '\0';
        return buf;
}

/* A pod that goes makes its name free, whoever's it was. */
static void pod_changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        char buf[256], *set = now || strlen(old->name) >= sizeof(buf) ? NULL : without_ordinal(buf, old->name);

        owners_pod_changed(runner_state(r), r, old, now);
        if (set)
                add_set(r, old->ns, set);
}

static void revision_changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        owners_owned_changed(runner_state(r), r, old, now);
}

/* TEMPLATE-SET-ORDINAL: where the set's name begins is not known. */
static void claim_changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        const struct kobj *any = now ? now : old;
        char buf[256], *rest = strlen(any->name) < sizeof(buf) ? without_ordinal(buf, any->name) : NULL;

        if (old && now && old->deleted_s == now->deleted_s && old->nowners == now->nowners)
                return;
        while (rest && (rest = strchr(rest, '-')))
                add_set(r, any->ns, ++rest);
}

static void *state_new(struct runner *r)
{
        return owners_new(&res_statefulsets);
}

static void state_free(void *state)
{
        owners_free(state);
}

const struct controller controller_statefulset = {
        .name = "statefulset",
        .watches = (const struct watch[]){{&res_statefulsets, set_changed},
                                          {&res_pods, pod_changed},
                                          {&res_controllerrevisions, revision_changed},
                                          {&res_persistentvolumeclaims, claim_changed},
                                          {0}},
        .sync = sync_set,
        .state_new = state_new,
        .state_free = state_free,
};
