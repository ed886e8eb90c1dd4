/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deletion of namespaces: everything in one that is being deleted is deleted, and when the API server itself says that
 * nothing is left, the namespace's own finalizer goes. Until then its conditions tell what is left.
 */
#include "base/str.h"
#include "controllers/common/conditions.h"
#include "controllers/engine/controller.h"
#include "kube/schema.h"

#define FINALIZER     "kubernetes"
#define PACE_MS       200  /* between looks while much is going */
#define LOOK_AGAIN_MS 5000 /* at what is ended by somebody else; the cache tells of its end sooner */

static void on_namespace(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        if (now && now->deleted_s)
                runner_add_object(r, now);
}

/* The last one of a kind is gone: perhaps the last one of all. */
static void on_any(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        const struct kobj *ns;

        if (now || !*old->ns)
                return;
        ns = lister_get(runner_lister(r), &res_namespaces, NULL, old->ns);
        if (!ns || !ns->deleted_s)
                return;
        if (lister_count_in(runner_lister(r), old->resource, old->ns))
                runner_add_after(r, ns->key, PACE_MS);
        else
                runner_add_object(r, ns);
}

/* What is left, as upstream counts it. */
struct content {
        size_t total, kinds;
        struct strbuf remaining;  /* "pods. has 3 resource instances, ..." */
        struct strbuf finalizers; /* "example.com/a in 2 resource instances" */
        struct {
                const char *name;
                size_t n;
        } held[32];
        size_t nheld;
};

static void count_finalizer(struct content *c, const char *name)
{
        size_t i = 0;

        while (i < c->nheld && !str_eq(c->held[i].name, name))
                i++;
        if (i == ARRAY_SIZE(c->held))
                return;
        c->held[i].name = name;
        c->held[i].n++;
        c->nheld = MAX(c->nheld, i + 1);
}

static void count_kind(struct sync *s, struct content *c, const struct resource *r)
{
        struct kobjs all = lister_in(s->lister, r, s->name, s->mem);

        if (!all.n)
                return;
        c->total += all.n;
        strbuf_printf(&c->remaining, "%s%s.%s has %zu resource instances", c->kinds++ ? ", " : "", r->plural, r->group,
                      all.n);
        kobjs_foreach (all, o)
                for (size_t i = 0; i < o->nfinalizers; i++)
                        count_finalizer(c, o->finalizers[i]);
}

static void write_finalizers(struct content *c)
{
        for (size_t i = 0; i < c->nheld; i++)
                strbuf_printf(&c->finalizers, "%s%s in %zu resource instances", i ? ", " : "", c->held[i].name,
                              c->held[i].n);
}

static void tell_left(struct json_object *status, const struct content *c, int64_t now_s)
{
        _cleanup_strbuf_ struct strbuf left = STRBUF_NULL, held = STRBUF_NULL;

        strbuf_printf(&left, "Some resources are remaining: %s", c->total ? c->remaining.data : "");
        strbuf_printf(&held, "Some content in the namespace has finalizers remaining: %s",
                      c->nheld ? c->finalizers.data : "");
        condition_set(status, "NamespaceContentRemaining", c->total ? "True" : "False",
                      c->total ? "SomeResourcesRemain" : "ContentRemoved",
                      c->total ? left.data : "All content successfully removed", now_s);
        condition_set(status, "NamespaceFinalizersRemaining", c->nheld ? "True" : "False",
                      c->nheld ? "SomeFinalizersRemain" : "ContentHasNoFinalizers",
                      c->nheld ? held.data : "All content-preserving finalizers finished", now_s);
}

static void write_status(struct sync *s, const struct kobj *ns, const struct content *c)
{
        _cleanup_json_ struct json_object *body = kobj_json(ns), *before = json_copy(json_get(body, "status"));
        struct json_object *status = json_ensure(body, "status");
        int64_t now_s = s->now_ms / 1000;
        const struct failure *f = s->failed && s->failed->verb == STEP_DELETE ? s->failed : NULL;

        condition_set(status, "NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered",
                      "All resources successfully discovered", now_s);
        condition_set(status, "NamespaceDeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions",
                      "All legacy kube types successfully parsed", now_s);
        condition_set(status, "NamespaceDeletionContentFailure", f ? "True" : "False",
                      f ? "ContentDeletionFailed" : "ContentDeleted",
                      f ? f->message : "All content successfully deleted, may be waiting on finalization", now_s);
        tell_left(status, c, now_s);
        if (!json_equal(before, status))
                plan_update_status(s, &res_namespaces, json_object_get(body));
}

/* Of a kind that has all its objects deleted at once. */
static bool can_delete_all(const struct resource *r)
{
        const struct schema_resource *known = schema_resource_find(r->group, r->version, r->plural);

        return known && known->verbs & VERB_DELETECOLLECTION;
}

static void delete_kind(struct sync *s, const struct resource *r)
{
        struct kobjs all = lister_in(s->lister, r, s->name, s->mem);

        if (all.n && can_delete_all(r)) {
                plan_delete_all(s, r, s->name);
                return;
        }
        kobjs_foreach (all, o)
                if (!o->deleted_s)
                        plan_delete(s, o);
}

static bool has_new(struct sync *s, const struct resource *r)
{
        struct kobjs all = lister_in(s->lister, r, s->name, s->mem);

        kobjs_foreach (all, o)
                if (!o->deleted_s)
                        return true;
        return false;
}

/* The cache shows nothing more; the API server has the last word. Events are not followed. */
static void finish(struct sync *s, const struct kobj *ns)
{
        static const struct resource events = {
                .group = "", .version = "v1", .plural = "events", .kind = "Event", .namespaced = true};
        size_t n;
        const struct resource *const *all = resources_all(&n);
        _cleanup_json_ struct json_object *body = kobj_json(ns);
        struct json_object *left = json_object_new_array();

        plan_delete_all(s, &events, s->name);
        for (size_t i = 0; i < n; i++)
                if (all[i]->namespaced && all[i]->keep != KEEP_NOTHING)
                        plan_confirm_none(s, all[i], s->name);
        plan_then(s);
        json_array_foreach (json_at(body, "spec.finalizers"), i, f)
                if (!str_eq(json_object_get_string(f), FINALIZER))
                        json_object_array_add(left, json_object_get(f));
        json_set(json_ensure(body, "spec"), "finalizers", left);
        plan_put(s, ns, "finalize", json_object_get(body));
}

static bool is_finished(const struct kobj *ns)
{
        _cleanup_json_ struct json_object *body = kobj_json(ns);

        json_array_foreach (json_at(body, "spec.finalizers"), i, f)
                if (str_eq(json_object_get_string(f), FINALIZER))
                        return false;
        return true;
}

static void sync_namespace(struct sync *s)
{
        const struct kobj *ns = lister_find(s->lister, &res_namespaces, s->key);
        struct content c = {0};
        size_t n;
        const struct resource *const *all = resources_all(&n);

        if (!ns || !ns->deleted_s || is_finished(ns))
                return;
        for (size_t i = 0; i < n; i++)
                if (all[i]->namespaced)
                        count_kind(s, &c, all[i]);
        write_finalizers(&c);
        write_status(s, ns, &c);
        if (c.total) {
                for (size_t i = 0; i < n; i++)
                        if (all[i]->namespaced && has_new(s, all[i]))
                                delete_kind(s, all[i]);
                plan_after(s, LOOK_AGAIN_MS);
        } else if (plan_is_empty(s)) {
                finish(s, ns);
        }
        strbuf_deinit(&c.remaining);
        strbuf_deinit(&c.finalizers);
}

const struct controller controller_namespace = {
        .name = "namespace",
        .watches = (const struct watch[]){{&res_namespaces, on_namespace}, {0}},
        .any = on_any,
        .sync = sync_namespace,
        .backoff_max_ms = 60000,
};
