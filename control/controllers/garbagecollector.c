/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The garbage collector: what an object's owners leave behind goes, or is let go. The graph is the listers' index of
 * ownerReferences, so there is none to keep in step with it.
 *
 * An owner that the cache does not have may be one that it has not seen yet. So before anything is deleted because its
 * owner is gone, the API server itself is asked, unless the owner's end was seen: a UID never comes back.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/common/claim.h"
#include "controllers/engine/controller.h"

#define ORPHAN     "orphan"
#define FOREGROUND "foregroundDeletion"

/* ---- keys: "plural.group|ns/name" ---- */

static void add(struct runner *r, const struct kobj *o)
{
        _cleanup_free_ char *key = mem_printf("%s.%s|%s", o->resource->plural, o->resource->group, o->key);

        runner_add(r, key);
}

static const struct kobj *find(const struct sync *s)
{
        const char *bar = strchr(s->key, '|'), *dot = strchr(s->key, '.');
        size_t n;
        const struct resource *const *all = resources_all(&n);
        struct str_span plural = {s->key, (size_t)(dot - s->key)}, group = {dot + 1, (size_t)(bar - dot - 1)};

        for (size_t i = 0; i < n; i++)
                if (str_span_eq(plural, all[i]->plural) && str_span_eq(group, all[i]->group))
                        return lister_find(s->lister, all[i], bar + 1);
        return NULL;
}

static bool is_foreground(const struct kobj *o)
{
        return o->deleted_s && kobj_has_finalizer(o, FOREGROUND);
}

static bool same_owners(const struct kobj *a, const struct kobj *b)
{
        if (a->nowners != b->nowners)
                return false;
        for (size_t i = 0; i < a->nowners; i++)
                if (!str_eq(a->owners[i].uid, b->owners[i].uid) || a->owners[i].block != b->owners[i].block)
                        return false;
        return true;
}

static void add_dependents(struct runner *r, const char *uid)
{
        struct arena mem = ARENA_NULL;
        struct kobjs all = lister_all_dependents(runner_lister(r), uid, &mem);

        kobjs_foreach (all, o)
                add(r, o);
        arena_deinit(&mem);
}

/* One that waits for this object's end may go on now. */
static void add_waiting_owners(struct runner *r, const struct kobj *o)
{
        for (size_t i = 0; i < o->nowners; i++) {
                const struct resource *kind = resource_by_kind(o->owners[i].api_version, o->owners[i].kind);
                const struct kobj *owner = kind ? lister_get(runner_lister(r), kind, o->ns, o->owners[i].name) : NULL;

                if (owner && owner->deleted_s)
                        add(r, owner);
        }
}

/* Most changes are of a status, and concern nobody here. */
static void changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        if (!now || (old && !str_eq(old->uid, now->uid))) {
                add_dependents(r, old->uid);
                add_waiting_owners(r, old);
        }
        if (!now)
                return;
        if (now->nowners && (!old || !same_owners(old, now)))
                add(r, now);
        if (old && !same_owners(old, now))
                add_waiting_owners(r, old);
        if (now->deleted_s && (!old || !old->deleted_s || old->nfinalizers != now->nfinalizers)) {
                add(r, now);
                if (is_foreground(now))
                        add_dependents(r, now->uid);
        }
}

/* ---- an object that is being deleted, and waits for its dependents ---- */

static void drop_finalizer(struct sync *s, const struct kobj *o, const char *name)
{
        struct json_object *patch = json_object_new_object(), *left = json_object_new_array();

        for (size_t i = 0; i < o->nfinalizers; i++)
                if (!str_eq(o->finalizers[i], name))
                        json_object_array_add(left, json_object_new_string(o->finalizers[i]));
        json_set(json_ensure(patch, "metadata"), "finalizers", left);
        step_version(plan_patch(s, o, NULL, patch), o);
}

static bool keeps(const struct owner *o, const void *uid)
{
        return !str_eq(o->uid, uid);
}

static void orphan_dependents(struct sync *s, const struct kobj *o)
{
        struct kobjs all = lister_all_dependents(s->lister, o->uid, s->mem);

        kobjs_foreach (all, d)
                plan_owners(s, d, keeps, o->uid);
        plan_then(s);
        drop_finalizer(s, o, ORPHAN);
}

static bool blocks(const struct kobj *dependent, const char *uid)
{
        for (size_t i = 0; i < dependent->nowners; i++)
                if (str_eq(dependent->owners[i].uid, uid))
                        return dependent->owners[i].block;
        return false;
}

static void end_foreground(struct sync *s, const struct kobj *o)
{
        struct kobjs all = lister_all_dependents(s->lister, o->uid, s->mem);

        kobjs_foreach (all, d)
                if (blocks(d, o->uid))
                        return;
        drop_finalizer(s, o, FOREGROUND);
}

/* ---- an object and its owners ---- */

enum standing {
        SOLID,   /* is there, and stays */
        WAITING, /* is being deleted, and waits for its dependents */
        DANGLING,
        UNKNOWN, /* of a kind that is not followed */
        INVALID, /* cannot be: it is in a namespace, and the dependent in none */
};

struct owners_found {
        size_t n[INVALID + 1];
        enum standing *of; /* each owner's */
};

static enum standing stands(const struct sync *s, const struct kobj *o, const struct owner *ref)
{
        const struct resource *kind = resource_by_kind(ref->api_version, ref->kind);
        const struct kobj *owner;

        if (!kind || !lister_follows(s->lister, kind))
                return UNKNOWN;
        if (kind->namespaced && !*o->ns)
                return INVALID;
        owner = lister_get(s->lister, kind, o->ns, ref->name);
        if (!owner || !str_eq(owner->uid, ref->uid))
                return DANGLING;
        return is_foreground(owner) ? WAITING : SOLID;
}

static struct owners_found classify(const struct sync *s, const struct kobj *o)
{
        struct owners_found f = {.of = arena_array(s->mem, enum standing, o->nowners)};

        for (size_t i = 0; i < o->nowners; i++) {
                f.of[i] = stands(s, o, &o->owners[i]);
                f.n[f.of[i]]++;
        }
        return f;
}

/* Nothing is deleted on the word of a cache that may be behind. */
static void confirm_dangling(struct sync *s, const struct kobj *o, const struct owners_found *f)
{
        for (size_t i = 0; i < o->nowners; i++) {
                const struct owner *ref = &o->owners[i];

                if (f->of[i] == DANGLING && !lister_saw_end(s->lister, ref->uid))
                        plan_confirm_absent(s, resource_by_kind(ref->api_version, ref->kind), o->ns, ref->name,
                                            ref->uid);
        }
        plan_then(s);
}

struct reference_filter {
        const struct kobj *object;
        const struct owners_found *found;
};

static bool stays(const struct owner *ref, const void *ctx)
{
        const struct reference_filter *f = ctx;
        enum standing of = f->found->of[ref - f->object->owners];

        return of != DANGLING && of != WAITING;
}

/* As the object itself wishes; one with dependents takes them along when its owner waits for it. */
static const char *propagation_of(const struct sync *s, const struct kobj *o, const struct owners_found *f)
{
        if (kobj_has_finalizer(o, ORPHAN))
                return "Orphan";
        if (kobj_has_finalizer(o, FOREGROUND) || (f->n[WAITING] && lister_has_dependents(s->lister, o->uid)))
                return "Foreground";
        return "Background";
}

static void judge(struct sync *s, const struct kobj *o)
{
        struct owners_found f = classify(s, o);

        if (f.n[INVALID])
                plan_event(s, o, true, "OwnerRefInvalidNamespace",
                           "ownerRef names an owner in a namespace, and this object is in none");
        if (f.n[UNKNOWN] || f.n[INVALID] || !(f.n[DANGLING] + f.n[WAITING]))
                return;
        confirm_dangling(s, o, &f);
        if (f.n[SOLID])
                plan_owners(s, o, stays, &(struct reference_filter){o, &f});
        else
                step_propagation(plan_delete(s, o), propagation_of(s, o, &f));
}

static void sync_object(struct sync *s)
{
        const struct kobj *o = find(s);

        if (!o)
                return;
        if (o->deleted_s && kobj_has_finalizer(o, ORPHAN))
                orphan_dependents(s, o);
        else if (is_foreground(o))
                end_foreground(s, o);
        else if (!o->deleted_s && o->nowners)
                judge(s, o);
}

const struct controller controller_garbagecollector = {
        .name = "garbage-collector",
        .event_source = "garbage-collector-controller",
        .watches = (const struct watch[]){{0}},
        .any = changed,
        .sync = sync_object,
        .backoff_max_ms = 30000,
};
