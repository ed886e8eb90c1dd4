/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims have stable names (TEMPLATE-SET-ORDINAL) and outlive their pods. By the retention policy they are owned by the
 * set (and go with it), or, once their pod is scaled away, by that pod: garbage collection does the rest.
 */
#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "controllers/common/claim.h"
#include "controllers/statefulset.h"

static struct json_object *templates(const struct stateful *st)
{
        return json_at(st->json, "spec.volumeClaimTemplates");
}

static const char *claim_name(const struct stateful *st, const struct json_object *template, int64_t ordinal)
{
        const char *name = json_at_str(template, "metadata.name");

        return arena_printf(st->sync->mem, "%s-%s-%" PRIi64, name ? name : "", st->set->name, ordinal);
}

/* ---- new ones ---- */

static struct json_object *new_claim(const struct stateful *st, const struct json_object *template, const char *name)
{
        struct json_object *claim = json_copy(template), *meta = json_ensure(claim, "metadata");

        json_del(claim, "status");
        json_set_str(meta, "name", name);
        json_set_str(meta, "namespace", st->set->ns);
        json_foreach (json_at(st->json, "spec.selector.matchLabels"), key, val)
                json_set(json_ensure(meta, "labels"), key, json_object_get(val));
        json_del(meta, "ownerReferences");
        if (!st->keep_deleted) {
                json_set(meta, "ownerReferences", json_object_new_array());
                json_object_array_add(json_get(meta, "ownerReferences"), owner_reference(st->set));
        }
        return claim;
}

static void create_claim(struct stateful *st, const struct json_object *template, const char *name, int64_t ordinal)
{
        struct arena *mem = st->sync->mem;
        const char *set = st->set->name;
        struct telling t = {
                .done_reason = "SuccessfulCreate",
                .done_text = arena_printf(mem, "create Claim {name} Pod %s-%" PRIi64 " in StatefulSet %s success", set,
                                          ordinal, set),
                .failed_reason = "FailedCreate",
                .failed_text = arena_printf(
                        mem, "create Claim {name} for Pod %s-%" PRIi64 " in StatefulSet %s failed error: {error}", set,
                        ordinal, set),
        };

        step_tell(plan_create(st->sync, &res_persistentvolumeclaims, new_claim(st, template, name)), st->set, &t);
}

/* Of a pod that has gone: garbage collection is about to remove the claim. */
static bool is_stale(const struct kobj *claim, const char *pod, const char *uid)
{
        for (size_t i = 0; i < claim->nowners; i++)
                if (str_eq(claim->owners[i].kind, "Pod") && str_eq(claim->owners[i].name, pod) &&
                    !str_eq(claim->owners[i].uid, uid))
                        return true;
        return false;
}

static enum claims make_claim(struct stateful *st, const struct json_object *template, int64_t ordinal)
{
        const char *name = claim_name(st, template, ordinal), *set = st->set->name;
        const char *pod = arena_printf(st->sync->mem, "%s-%" PRIi64, set, ordinal);
        const struct kobj *claim = lister_get(st->sync->lister, &res_persistentvolumeclaims, st->set->ns, name);
        const struct kobj *there = lister_get(st->sync->lister, &res_pods, st->set->ns, pod);

        if (!claim) {
                create_claim(st, template, name, ordinal);
                return CLAIMS_PLANNED;
        }
        if (is_stale(claim, pod, there ? there->uid : ""))
                return CLAIMS_BLOCKED;
        if (!claim->deleted_s)
                return CLAIMS_THERE;
        plan_event(st->sync, st->set, true, "FailedCreate",
                   "create Pod %s in StatefulSet %s failed error: pvc %s is being deleted", pod, set, name);
        return CLAIMS_BLOCKED;
}

enum claims stateful_make_claims(struct stateful *st, int64_t ordinal)
{
        enum claims worst = CLAIMS_THERE;

        json_array_foreach (templates(st), i, t) {
                enum claims one = make_claim(st, t, ordinal);

                worst = MAX(worst, one);
        }
        if (worst == CLAIMS_PLANNED)
                plan_after(st->sync, 0);
        return worst;
}

/* ---- whose they are ---- */

struct referrers {
        const char *set, *pod; /* UIDs */
};

static bool is_neither(const struct owner *ref, const void *ctx)
{
        const struct referrers *r = ctx;

        return !str_eq(ref->uid, r->set) && !str_eq(ref->uid, r->pod);
}

/* A set that goes takes the claims of its present pods along; a pod that is scaled away its own. */
static const struct kobj *rightful(const struct stateful *st, const struct member *m)
{
        if (!st->keep_scaled && !stateful_is_wanted(st, m->ordinal))
                return m->pod;
        return st->keep_deleted ? NULL : st->set;
}

static bool is_controlled_by_another(const struct kobj *claim, const struct referrers *r)
{
        const struct owner *by = kobj_controller(claim);

        return by && is_neither(by, r);
}

static bool own_claim(struct stateful *st, const struct member *m, const struct kobj *claim)
{
        struct referrers r = {st->set->uid, m->pod->uid};
        const struct kobj *right = rightful(st, m);
        bool of_set = kobj_owned_by(claim, r.set), of_pod = kobj_owned_by(claim, r.pod);

        if (is_controlled_by_another(claim, &r))
                right = NULL; /* it has the say */
        if (of_set == (right == st->set) && of_pod == (right == m->pod))
                return true;
        if (right)
                plan_owners_and(st->sync, claim, is_neither, &r, right);
        else
                plan_owners(st->sync, claim, is_neither, &r);
        return false;
}

bool stateful_own_claims(struct stateful *st, const struct member *m)
{
        bool right = true;

        json_array_foreach (templates(st), i, t) {
                const char *name = claim_name(st, t, m->ordinal);
                const struct kobj *claim = lister_get(st->sync->lister, &res_persistentvolumeclaims, st->set->ns, name);

                if (claim && !claim->deleted_s)
                        right &= own_claim(st, m, claim);
        }
        return right;
}

/* ---- where pods have them ---- */

static bool is_of_a_claim(const struct stateful *st, const struct json_object *volume)
{
        json_array_foreach (templates(st), i, t)
                if (str_eq(json_at_str(t, "metadata.name"), json_get_str(volume, "name")))
                        return true;
        return false;
}

/* They come before the template's own volumes, and instead of those that have the same name. */
void stateful_add_volumes(const struct stateful *st, int64_t ordinal, struct json_object *spec)
{
        struct json_object *volumes = json_object_new_array();

        json_array_foreach (templates(st), i, t) {
                struct json_object *v = json_object_new_object();
                const char *name = json_at_str(t, "metadata.name");

                json_set_str(v, "name", name ? name : "");
                json_set_str(json_ensure(v, "persistentVolumeClaim"), "claimName", claim_name(st, t, ordinal));
                json_object_array_add(volumes, v);
        }
        json_array_foreach (json_get(spec, "volumes"), j, other)
                if (!is_of_a_claim(st, other))
                        json_object_array_add(volumes, json_object_get(other));
        if (json_len(volumes))
                json_set(spec, "volumes", volumes);
        else
                json_object_put(volumes);
}
