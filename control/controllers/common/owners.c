/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/common/owners.h"
#include "controllers/common/pods.h"

#define PODS_PER_MS 100

struct entry {
        char *key, *uid;
        int64_t generation;
        struct selector *selector;
        uint64_t due_ms; /* not before this, on the monotonic clock */
};

struct owners {
        const struct resource *kind;
        struct hashmap entries; /* key -> struct entry * */
};

struct owners *owners_new(const struct resource *kind)
{
        struct owners *w = mem_new(struct owners);

        w->kind = kind;
        hashmap_init(&w->entries, HASHMAP_STR);
        return w;
}

static void entry_free(struct entry *e)
{
        if (!e)
                return;
        selector_free(e->selector);
        free(e->key);
        free(e->uid);
        free(e);
}

void owners_free(struct owners *w)
{
        if (!w)
                return;
        hashmap_foreach (&w->entries, slot)
                entry_free(slot->value);
        hashmap_deinit(&w->entries);
        free(w);
}

const struct resource *owners_kind(const struct owners *w)
{
        return w->kind;
}

/* ---- the owners themselves ---- */

static struct selector *selector_of(const struct kobj *o)
{
        _cleanup_json_ struct json_object *json = kobj_json(o);
        struct json_object *text = json_at(json, "spec.selector");
        struct selector *sel = NULL;
        int r = o->resource == &res_replicationcontrollers ? selector_from_map(text, &sel, NULL)
                                                           : selector_from_label_selector(text, &sel, NULL);

        if (!r && !selector_is_empty(sel) && !sel->nothing)
                return sel;
        selector_free(sel);
        return NULL;
}

static void remember(struct owners *w, const struct kobj *o)
{
        struct entry *e = hashmap_get(&w->entries, o->key);

        if (e && str_eq(e->uid, o->uid) && e->generation == o->generation)
                return;
        entry_free(hashmap_del(&w->entries, o->key));
        e = mem_new(struct entry);
        e->key = mem_strdup(o->key);
        e->uid = mem_strdup(o->uid);
        e->generation = o->generation;
        e->selector = selector_of(o);
        hashmap_put(&w->entries, e->key, e);
}

static void add_paced(struct runner *r, const struct entry *e)
{
        uint64_t now = runner_mono_ms(r);

        if (now >= e->due_ms)
                runner_add(r, e->key);
        else
                runner_add_after(r, e->key, e->due_ms - now);
}

/* What is not the echo of its own status must not wait. */
void owners_changed(struct owners *w, struct runner *r, const struct kobj *old, const struct kobj *now)
{
        if (!now) {
                entry_free(hashmap_del(&w->entries, old->key));
                runner_add_object(r, old);
                return;
        }
        remember(w, now);
        if (old && old->generation == now->generation && old->deleted_s == now->deleted_s)
                add_paced(r, hashmap_get(&w->entries, now->key));
        else
                runner_add_object(r, now);
}

void owners_add_all(struct owners *w, struct runner *r)
{
        hashmap_foreach (&w->entries, slot)
                add_paced(r, slot->value);
}

const struct selector *owners_selector(const struct owners *w, const char *key)
{
        const struct entry *e = hashmap_get(&w->entries, key);

        return e ? e->selector : NULL;
}

void owners_synced(struct owners *w, const struct sync *s, size_t pods)
{
        struct entry *e = hashmap_get(&w->entries, s->key);

        if (e)
                e->due_ms = s->mono_ms + pods / PODS_PER_MS;
}

/* ---- what they own ---- */

static struct entry *controller_of(struct owners *w, const struct kobj *o)
{
        const struct owner *by = kobj_controller(o);
        struct entry *e;
        char key[1024];

        if (!by || !str_eq(by->kind, w->kind->kind))
                return NULL;
        snprintf(key, sizeof(key), "%s/%s", o->ns, by->name);
        e = hashmap_get(&w->entries, key);
        return e && str_eq(e->uid, by->uid) ? e : NULL;
}

static void add_matching(struct owners *w, struct runner *r, const struct kobj *orphan)
{
        size_t ns = strlen(orphan->ns);

        hashmap_foreach (&w->entries, slot) {
                const struct entry *e = slot->value;

                if (!strncmp(e->key, orphan->ns, ns) && e->key[ns] == '/' && e->selector &&
                    kobj_selected(orphan, e->selector))
                        add_paced(r, e);
        }
}

static bool same_labels(const struct kobj *a, const struct kobj *b)
{
        if (a->nlabels != b->nlabels)
                return false;
        for (size_t i = 0; i < a->nlabels; i++)
                if (!str_eq(a->labels[i].key, b->labels[i].key) || !str_eq(a->labels[i].value, b->labels[i].value))
                        return false;
        return true;
}

static bool same_controller(const struct kobj *a, const struct kobj *b)
{
        const struct owner *of_a = kobj_controller(a), *of_b = kobj_controller(b);

        return of_a && of_b ? str_eq(of_a->uid, of_b->uid) : of_a == of_b;
}

/* Ready since: a minimal time begins anew. */
static int64_t ready_since(const struct kobj *pod)
{
        const struct pod_condition *c = pod_condition(pod->pod, "Ready");

        return !c ? -2 : c->status == TRI_TRUE ? c->since_s : -1;
}

static bool same_to_owners(const struct kobj *a, const struct kobj *b)
{
        return a->deleted_s == b->deleted_s && pod_is_finished(a) == pod_is_finished(b) &&
               ready_since(a) == ready_since(b) && same_controller(a, b) && same_labels(a, b);
}

void owners_owned_changed(struct owners *w, struct runner *r, const struct kobj *old, const struct kobj *now)
{
        const struct entry *was = old ? controller_of(w, old) : NULL, *is = now ? controller_of(w, now) : NULL;

        if (was)
                add_paced(r, was);
        if (is && is != was)
                add_paced(r, is);
        if (!now || now->deleted_s || kobj_controller(now))
                return;
        if (!old || !same_controller(old, now) || !same_labels(old, now))
                add_matching(w, r, now);
}

void owners_pod_changed(struct owners *w, struct runner *r, const struct kobj *old, const struct kobj *now)
{
        if (!old || !now || !same_to_owners(old, now))
                owners_owned_changed(w, r, old, now);
}
