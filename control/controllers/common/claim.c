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
static void patch_owners(struct sync *s, const struct kobj *o, struct json_object *owners)
{
        struct json_object *patch = json_object_new_object();

        json_set(json_ensure(patch, "metadata"), "ownerReferences", owners);
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
        patch_owners(s, o, references(o, keeps, ctx));
}

void plan_owners_and(struct sync *s, const struct kobj *o, bool (*keeps)(const struct owner *ref, const void *ctx),
                     const void *ctx, const struct kobj *controller)
{
        struct json_object *owners = references(o, keeps, ctx);

        json_object_array_add(owners, owner_reference(controller));
        patch_owners(s, o, owners);
}

static bool is_other(const struct owner *ref, const void *uid)
{
        return !str_eq(ref->uid, uid);
}

static void adopt(struct sync *s, const struct kobj *owner, const struct kobj *o)
{
        plan_owners_and(s, o, is_other, owner->uid, owner);
}

static void release(struct sync *s, const struct kobj *owner, const struct kobj *o)
{
        plan_owners(s, o, is_other, owner->uid);
}

struct rules {
        const struct selector *sel;
        bool (*counts)(const struct kobj *o);
        bool (*fits)(const struct kobj *owner, const struct kobj *o);
};

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
                        release(s, owner, o);
        }
        if (owner->deleted_s)
                return mine;
        all = lister_orphans(s->lister, r, owner->ns, s->mem);
        kobjs_foreach (all, orphan)
                if (!orphan->deleted_s && is_counted(rules, orphan) && belongs(rules, owner, orphan))
                        adopt(s, owner, orphan);
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

struct kobjs claim(struct sync *s, const struct kobj *owner, const struct resource *r, const struct selector *sel)
{
        return claim_if(s, owner, r, sel, NULL);
}
