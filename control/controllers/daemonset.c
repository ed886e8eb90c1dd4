/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DaemonSets: one pod on each node that it may run on. A pod names its node by a required affinity from the beginning
 * (the scheduler binds it), so pods and nodes are one list of places (daemonset.h), and what is missing or too much is
 * seen at each. A rolling update goes on only when nothing else is to be done.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/common/claim.h"
#include "controllers/common/int_or_percent.h"
#include "controllers/common/owners.h"
#include "controllers/common/pods.h"
#include "controllers/controllers.h"
#include "controllers/daemonset.h"

#define HASH_LABEL "controller-revision-hash"

struct state {
        struct owners *owners;
        struct backoffs *backoffs;
};

/* ---- each node as it should be ---- */

/* A pod that ended makes room for another, a failed one not at once again and again. */
static void end_finished(struct daemons *d, const struct place *p, const struct kobj *pod)
{
        struct state *state = d->sync->state;
        bool failed = pod->pod->phase == POD_FAILED;
        uint64_t wait;

        if (failed && !backoffs_try(state->backoffs, d, p->name, &wait)) {
                plan_after(d->sync, wait);
                return;
        }
        plan_event(d->sync, d->set, failed, failed ? "FailedDaemonPod" : "SucceededDaemonPod",
                   "Found %s daemon pod %s on node %s, will try to %s it", failed ? "failed" : "succeeded", pod->key,
                   p->name, failed ? "kill" : "delete");
        daemons_delete(d, pod);
}

/* The oldest; but one that serves rather than one that does not: of two edits in a row, the node's only serving pod may
 * be as young as the one that came with the first. */
static void keep_one(struct daemons *d, const struct kobj **kept, const struct kobj *pod)
{
        bool better = *kept && daemon_is_available(d, pod) && !daemon_is_available(d, *kept);

        if (*kept)
                daemons_delete(d, better ? *kept : pod);
        if (!*kept || better)
                *kept = pod;
}

/* While an update makes a second pod on a node, there may be one of each template, until the new one is available, or
 * the old one is not even ready. */
static void thin_out_surging(struct daemons *d, const struct place *p)
{
        const struct kobj *kept_new = NULL, *kept_old = NULL;

        for (const struct placed *at = p->pods; at; at = at->next)
                if (pod_is_active(at->pod))
                        keep_one(d, daemon_is_updated(d, at->pod) ? &kept_new : &kept_old, at->pod);
        if (kept_new && kept_old && (!pod_is_ready(kept_old) || daemon_is_available(d, kept_new)))
                daemons_delete(d, kept_old);
}

static void thin_out(struct daemons *d, const struct place *p)
{
        bool kept = false;

        for (const struct placed *at = p->pods; at; at = at->next) {
                if (!pod_is_active(at->pod))
                        continue;
                if (kept)
                        daemons_delete(d, at->pod);
                kept = true;
        }
}

static bool has_active(const struct place *p)
{
        for (const struct placed *at = p->pods; at; at = at->next)
                if (pod_is_active(at->pod))
                        return true;
        return false;
}

static void keep_daemon(struct daemons *d, const struct place *p)
{
        for (const struct placed *at = p->pods; at; at = at->next)
                if (!at->pod->deleted_s && pod_is_finished(at->pod))
                        end_finished(d, p, at->pod);
        if (d->surge)
                thin_out_surging(d, p);
        else
                thin_out(d, p);
        /* Who surges does not wait for a pod that is ending. */
        if (p->wanted && (d->surge ? !has_active(p) : !p->pods))
                daemons_create(d, p);
}

static void clear_place(struct daemons *d, const struct place *p)
{
        for (const struct placed *at = p->pods; at; at = at->next)
                if (!at->pod->deleted_s)
                        daemons_delete(d, at->pod);
}

/* Of a node that is gone, pods that run are collected by others; one that was never bound would stay for ever. */
static void clear_nowhere(struct daemons *d, const struct place *p)
{
        for (const struct placed *at = p->pods; at; at = at->next)
                if (!at->pod->deleted_s && !*at->pod->pod->node)
                        daemons_delete(d, at->pod);
}

static void keep_places(struct daemons *d)
{
        for (size_t i = 0; i < d->nplaces; i++) {
                const struct place *p = &d->places[i];

                if (!p->node)
                        clear_nowhere(d, p);
                else if (p->tolerated)
                        keep_daemon(d, p);
                else
                        clear_place(d, p);
        }
}

/* ---- rolling update ---- */

/* The pods of a node that are not ending, by template. Of a place in order there is at most one of each. */
static void split(const struct daemons *d, const struct place *p, const struct kobj **ret_new,
                  const struct kobj **ret_old)
{
        *ret_new = *ret_old = NULL;
        for (const struct placed *at = p->pods; at; at = at->next)
                if (!at->pod->deleted_s)
                        *(daemon_is_updated(d, at->pod) ? ret_new : ret_old) = at->pod;
}

/* Whether the pods of this place take part: it shall have one, or it has. */
static bool takes_part(const struct place *p)
{
        return p->node && (p->wanted || p->pods);
}

static bool is_out(const struct daemons *d, const struct place *p)
{
        const struct kobj *fresh, *old;

        split(d, p, &fresh, &old);
        if (fresh || old)
                return !daemon_is_available(d, fresh ? fresh : old);
        return true;
}

/* An old pod that does not serve is replaced whatever the limit is, so that the update may mend what is broken; but it
 * counts, also between two edits of the template that follow each other quickly. */
static void replace_old(struct daemons *d)
{
        int64_t room = d->unavailable;

        for (size_t i = 0; i < d->nplaces; i++)
                room -= takes_part(&d->places[i]) && is_out(d, &d->places[i]);
        for (size_t i = 0; i < d->nplaces; i++) {
                const struct kobj *fresh, *old;

                if (!takes_part(&d->places[i]))
                        continue;
                split(d, &d->places[i], &fresh, &old);
                if (old && !fresh && (!daemon_is_available(d, old) || room-- > 0))
                        daemons_delete(d, old);
        }
}

/* A new pod beside the old one; keep_daemon() ends the old one. */
static void surge(struct daemons *d)
{
        int64_t room = d->surge;

        for (size_t i = 0; i < d->nplaces; i++) {
                const struct kobj *fresh, *old;

                split(d, &d->places[i], &fresh, &old);
                room -= old && (fresh || !daemon_is_available(d, old));
        }
        for (size_t i = 0; i < d->nplaces; i++) {
                const struct kobj *fresh, *old;

                split(d, &d->places[i], &fresh, &old);
                if (d->places[i].wanted && old && !fresh && (!daemon_is_available(d, old) || room-- > 0))
                        daemons_create(d, &d->places[i]);
        }
}

static void read_limits(struct daemons *d)
{
        struct json_object *strategy = json_at(d->json, "spec.updateStrategy"),
                           *rolling = json_get(strategy, "rollingUpdate");

        if (!str_eq(json_get_str(strategy, "type"), "RollingUpdate"))
                return;
        d->surge = int_or_percent(json_get(rolling, "maxSurge"), d->desired, true, 0);
        d->unavailable = int_or_percent(json_get(rolling, "maxUnavailable"), d->desired, true, 1);
        if (!d->surge && !d->unavailable)
                d->unavailable = 1;
}

static void roll(struct daemons *d)
{
        if (d->surge)
                surge(d);
        else if (d->unavailable)
                replace_old(d);
}

/* ---- history ---- */

static bool lives(const struct revision *r, const void *ctx)
{
        const struct daemons *d = ctx;
        const char *hash = revision_hash(&d->history, r);

        if (r == d->current)
                return true;
        for (size_t i = 0; i < d->nplaces; i++)
                for (const struct placed *at = d->places[i].pods; at; at = at->next)
                        if (str_eq(kobj_label(at->pod, HASH_LABEL), hash))
                                return true;
        return false;
}

static void trim_history(struct daemons *d)
{
        int64_t limit = json_at_i64(d->json, "spec.revisionHistoryLimit", 10);

        history_trim(d->sync, &d->history, (int64_t)d->history.n - 1 - limit, lives, d);
}

/* ---- a sync ---- */

static void manage(struct daemons *d, struct kobjs pods)
{
        daemons_read_template(d);
        daemons_find_places(d, pods);
        read_limits(d);
        daemons_write_status(d);
        keep_places(d);
        if (!d->ncreated && !d->ndeleted)
                roll(d);
        trim_history(d);
}

static void look(struct daemons *d, const struct selector *sel)
{
        struct state *state = d->sync->state;
        struct kobjs pods = claim(d->sync, d->set, &res_pods, sel);

        owners_synced(state->owners, d->sync, pods.n);
        history_read(d->sync, d->set, sel, &d->history);
        if (!plan_is_empty(d->sync)) /* first see what is adopted, or more would be made */
                return;
        d->history.hash_label = HASH_LABEL;
        d->min_ready_s = json_at_i64(d->json, "spec.minReadySeconds", 0);
        d->current = history_update(d->sync, &d->history, d->set, d->json);
        if (d->current)
                manage(d, pods);
}

static void sync_set(struct sync *s)
{
        struct state *state = s->state;
        const struct selector *sel = owners_selector(state->owners, s->key);
        struct daemons d = {.sync = s, .set = lister_find(s->lister, &res_daemonsets, s->key)};

        if (!d.set || !sel || d.set->deleted_s)
                return;
        d.json = kobj_json(d.set);
        look(&d, sel);
        json_object_put(d.template);
        history_deinit(&d.history);
        json_object_put(d.json);
}

/* ---- what changes ---- */

static struct owners *owners_of(const struct runner *r)
{
        return ((struct state *)runner_state(r))->owners;
}

static void set_changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        owners_changed(owners_of(r), r, old, now);
}

static void pod_changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        owners_pod_changed(owners_of(r), r, old, now);
}

static void revision_changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        owners_owned_changed(owners_of(r), r, old, now);
}

static bool same_labels(const struct kobj *a, const struct kobj *b)
{
        for (size_t i = 0; i < a->nlabels; i++)
                if (!str_eq(kobj_label(b, a->labels[i].key), a->labels[i].value))
                        return false;
        return a->nlabels == b->nlabels;
}

static bool same_taints(const struct node *a, const struct node *b)
{
        if (a->ntaints != b->ntaints)
                return false;
        for (size_t i = 0; i < a->ntaints; i++)
                if (!str_eq(a->taints[i].key, b->taints[i].key) || !str_eq(a->taints[i].value, b->taints[i].value) ||
                    !str_eq(a->taints[i].effect, b->taints[i].effect))
                        return false;
        return true;
}

/* Heartbeats are nothing to look at. */
static void node_changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        if (!old || !now || !same_labels(old, now) || !same_taints(old->node, now->node))
                owners_add_all(owners_of(r), r);
}

static void *state_new(struct runner *r)
{
        struct state *state = mem_new(struct state);

        state->owners = owners_new(&res_daemonsets);
        state->backoffs = backoffs_new();
        return state;
}

static void state_free(void *userdata)
{
        struct state *state = userdata;

        owners_free(state->owners);
        backoffs_free(state->backoffs);
        free(state);
}

const struct controller controller_daemonset = {
        .name = "daemonset",
        .watches = (const struct watch[]){{&res_daemonsets, set_changed},
                                          {&res_pods, pod_changed},
                                          {&res_controllerrevisions, revision_changed},
                                          {&res_nodes, node_changed},
                                          {0}},
        .sync = sync_set,
        .state_new = state_new,
        .state_free = state_free,
};
