/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "controllers/common/claim.h"

struct json_object *owner_reference(const struct kobj *owner)
{
        struct json_object *ref = json_object_new_object();
        char buf[RESOURCE_API_VERSION_SIZE];

        json_set_str(ref, "apiVersion", resource_api_version(owner->resource, buf));
        json_set_str(ref, "kind", owner->resource->kind);
        json_set_str(ref, "name", owner->name);
        json_set_str(ref, "uid", owner->uid);
        json_set_bool(ref, "controller", true);
        json_set_bool(ref, "blockOwnerDeletion", true);
        return ref;
}

struct json_object *owner_json(const struct owner *o)
{
        struct json_object *ref = json_object_new_object();

        json_set_str(ref, "apiVersion", o->api_version);
        json_set_str(ref, "kind", o->kind);
        json_set_str(ref, "name", o->name);
        json_set_str(ref, "uid", o->uid);
        if (o->controller)
                json_set_bool(ref, "controller", true);
        if (o->block)
                json_set_bool(ref, "blockOwnerDeletion", true);
        return ref;
}

/* A merge patch replaces the whole list, so it is only for the version that it was made from. */
static void patch_owners(struct sync *s, const struct kobj *o, struct json_object *owners,
                         struct json_object *finalizers)
{
        struct json_object *patch = json_object_new_object(), *meta = json_ensure(patch, "metadata");

        json_set(meta, "ownerReferences", owners);
        if (finalizers)
                json_set(meta, "finalizers", finalizers);
        step_version(plan_patch(s, o, NULL, patch), o);
}

static struct json_object *references(const struct kobj *o, bool (*keeps)(const struct owner *ref, const void *ctx),
                                      const void *ctx)
{
        struct json_object *owners = json_object_new_array();

        for (size_t i = 0; i < o->nowners; i++)
                if (keeps(&o->owners[i], ctx))
                        json_object_array_add(owners, owner_json(&o->owners[i]));
        return owners;
}

void plan_owners(struct sync *s, const struct kobj *o, bool (*keeps)(const struct owner *ref, const void *ctx),
                 const void *ctx)
{
        patch_owners(s, o, references(o, keeps, ctx), NULL);
}

void plan_owners_and(struct sync *s, const struct kobj *o, bool (*keeps)(const struct owner *ref, const void *ctx),
                     const void *ctx, const struct kobj *controller)
{
        struct json_object *owners = references(o, keeps, ctx);

        json_object_array_add(owners, owner_reference(controller));
        patch_owners(s, o, owners, NULL);
}

static bool is_other(const struct owner *ref, const void *uid)
{
        return !str_eq(ref->uid, uid);
}

struct rules {
        const struct selector *sel;
        bool (*counts)(const struct kobj *o);
        bool (*fits)(const struct kobj *owner, const struct kobj *o);
        const char *finalizer; /* comes with adoption, goes with release; or NULL */
};

/* Those of o without that one, and with it at the end, if it is to have it. NULL: nothing changes. */
static struct json_object *finalizers_with(const struct kobj *o, const char *finalizer, bool has)
{
        struct json_object *list;

        if (!finalizer || kobj_has_finalizer(o, finalizer) == has)
                return NULL;
        list = json_object_new_array();
        for (size_t i = 0; i < o->nfinalizers; i++)
                if (!str_eq(o->finalizers[i], finalizer))
                        json_object_array_add(list, json_object_new_string(o->finalizers[i]));
        if (has)
                json_object_array_add(list, json_object_new_string(finalizer));
        return list;
}

static void adopt(struct sync *s, const struct rules *rules, const struct kobj *owner, const struct kobj *o)
{
        struct json_object *owners = references(o, is_other, owner->uid);

        json_object_array_add(owners, owner_reference(owner));
        patch_owners(s, o, owners, finalizers_with(o, rules->finalizer, true));
}

static void release(struct sync *s, const struct rules *rules, const struct kobj *owner, const struct kobj *o)
{
        patch_owners(s, o, references(o, is_other, owner->uid), finalizers_with(o, rules->finalizer, false));
}

static bool is_counted(const struct rules *rules, const struct kobj *o)
{
        return !rules->counts || rules->counts(o);
}

static bool belongs(const struct rules *rules, const struct kobj *owner, const struct kobj *o)
{
        return kobj_selected(o, rules->sel) && (!rules->fits || rules->fits(owner, o));
}

static struct kobjs claim_by(struct sync *s, const struct kobj *owner, const struct resource *r,
                             const struct rules *rules)
{
        struct kobjs all = lister_controlled(s->lister, r, owner->uid, s->mem), mine = {0};

        mine.items = arena_array(s->mem, const struct kobj *, all.n + 1);
        kobjs_foreach (all, o) {
                if (!is_counted(rules, o))
                        continue;
                if (belongs(rules, owner, o))
                        mine.items[mine.n++] = o;
                else if (!o->deleted_s && !owner->deleted_s)
                        release(s, rules, owner, o);
        }
        if (owner->deleted_s)
                return mine;
        all = lister_orphans(s->lister, r, owner->ns, s->mem);
        kobjs_foreach (all, orphan)
                if (!orphan->deleted_s && is_counted(rules, orphan) && belongs(rules, owner, orphan))
                        adopt(s, rules, owner, orphan);
        return mine;
}

struct kobjs claim_if(struct sync *s, const struct kobj *owner, const struct resource *r, const struct selector *sel,
                      bool (*counts)(const struct kobj *o))
{
        return claim_by(s, owner, r, &(struct rules){.sel = sel, .counts = counts});
}

struct kobjs claim_fitting(struct sync *s, const struct kobj *owner, const struct resource *r,
                           const struct selector *sel, bool (*fits)(const struct kobj *owner, const struct kobj *o))
{
        return claim_by(s, owner, r, &(struct rules){.sel = sel, .fits = fits});
}

struct kobjs claim_tracked(struct sync *s, const struct kobj *owner, const struct resource *r,
                           const struct selector *sel, const char *finalizer)
{
        return claim_by(s, owner, r, &(struct rules){.sel = sel, .finalizer = finalizer});
}

struct kobjs claim(struct sync *s, const struct kobj *owner, const struct resource *r, const struct selector *sel)
{
        return claim_if(s, owner, r, sel, NULL);
}
