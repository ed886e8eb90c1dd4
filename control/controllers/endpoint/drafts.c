/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "controllers/common/claim.h"
#include "controllers/common/pods.h"
#include "controllers/endpoint/drafts.h"

#define NAME_MAX_LEN 253

void drafts_init(struct drafts *d, struct sync *s, const struct kobj *owner)
{
        *d = (struct drafts){.sync = s, .owner = owner, .max = 1000};
        d->tail = &d->first;
}

static struct draft *add_draft(struct drafts *d, enum family f)
{
        struct draft *draft = arena_new(d->sync->mem, struct draft);

        draft->family = f;
        *d->tail = draft;
        d->tail = &draft->next;
        return draft;
}

struct draft *draft_take(struct drafts *d, const struct kobj *slice, enum family f)
{
        struct draft *draft = add_draft(d, f);

        draft->was = slice;
        draft->ports = slice->slice->ports;
        draft->nports = slice->slice->nports;
        draft->endpoints = slice->slice->endpoints;
        draft->n = slice->slice->nendpoints;
        return draft;
}

struct draft *draft_new(struct drafts *d, enum family f, const struct slice_port *ports, size_t nports)
{
        struct draft *draft = add_draft(d, f);

        draft->ports = ports;
        draft->nports = nports;
        draft_change(d, draft);
        return draft;
}

void draft_change(struct drafts *d, struct draft *draft)
{
        draft->what = DRAFT_WRITE;
        if (draft->own)
                return;
        draft->own = arena_array(d->sync->mem, struct slice_endpoint, MAX(d->max, draft->n));
        if (draft->n)
                memcpy(draft->own, draft->endpoints, draft->n * sizeof(*draft->own));
        draft->endpoints = draft->own;
}

void draft_add(struct drafts *d, struct draft *draft, const struct slice_endpoint *e)
{
        draft_change(d, draft);
        draft->own[draft->n++] = *e;
}

/* ---- comparing ---- */

static bool port_equal(const struct slice_port *a, const struct slice_port *b)
{
        return a->port == b->port && str_eq(a->name, b->name) && str_eq(a->protocol, b->protocol) &&
               str_eq(a->app, b->app);
}

/* No two ports of a slice are the same: names are unique. */
bool slice_ports_equal(const struct slice_port *a, size_t na, const struct slice_port *b, size_t nb)
{
        if (na != nb)
                return false;
        for (size_t i = 0; i < na; i++) {
                size_t j = 0;

                while (j < nb && !port_equal(&a[i], &b[j]))
                        j++;
                if (j == nb)
                        return false;
        }
        return true;
}

static bool has_all(const struct label *a, size_t na, const struct label *b, size_t nb)
{
        for (size_t i = 0; i < nb; i++) {
                size_t j = 0;

                while (j < na && !(str_eq(a[j].key, b[i].key) && str_eq(a[j].value, b[i].value)))
                        j++;
                if (j == na)
                        return false;
        }
        return true;
}

bool draft_is_mislabelled(const struct drafts *d, const struct draft *draft)
{
        const struct kobj *o = draft->was;

        if (o->nlabels != d->nlabels || !has_all(o->labels, o->nlabels, d->labels, d->nlabels))
                return true;
        return !d->foreign_annotations && (o->nannotations != d->nannotations ||
                                           !has_all(o->annotations, o->nannotations, d->annotations, d->nannotations));
}

bool draft_is_owned(const struct drafts *d, const struct draft *draft)
{
        return draft->was && kobj_owned_by(draft->was, d->owner->uid);
}

/* ---- writing ---- */

static struct json_object *labels_json(const struct label *labels, size_t n)
{
        struct json_object *map = json_object_new_object();

        for (size_t i = 0; i < n; i++)
                json_set_str(map, labels[i].key, labels[i].value);
        return map;
}

static struct json_object *annotations_json(const struct drafts *d, const struct draft *draft, int64_t trigger_s)
{
        struct json_object *map = labels_json(d->annotations, d->nannotations);
        char text[CLOCK_TEXT_SIZE];

        for (size_t i = 0; d->foreign_annotations && draft->was && i < draft->was->nannotations; i++)
                json_set_str(map, draft->was->annotations[i].key, draft->was->annotations[i].value);
        json_del(map, ANNOTATION_TRIGGER);
        if (trigger_s > 0)
                json_set_str(map, ANNOTATION_TRIGGER, clock_format(trigger_s, text));
        return map;
}

/* A slice that is taken over from an owner before has the reference to it no more. */
static struct json_object *owners_json(const struct drafts *d, const struct draft *draft)
{
        struct json_object *list = json_object_new_array();

        for (size_t i = 0; draft_is_owned(d, draft) && i < draft->was->nowners; i++)
                if (!str_eq(draft->was->owners[i].uid, d->owner->uid))
                        json_object_array_add(list, owner_json(&draft->was->owners[i]));
        json_object_array_add(list, owner_reference(d->owner));
        return list;
}

static void set_identity(const struct draft *draft, struct json_object *meta)
{
        struct json_object *finalizers = json_object_new_array();
        char version[24];

        json_set_str(meta, "name", draft->was->name);
        json_set_str(meta, "uid", draft->was->uid);
        snprintf(version, sizeof(version), "%llu", (unsigned long long)draft->was->version);
        json_set_str(meta, "resourceVersion", version);
        for (size_t i = 0; i < draft->was->nfinalizers; i++)
                json_object_array_add(finalizers, json_object_new_string(draft->was->finalizers[i]));
        json_set(meta, "finalizers", finalizers);
}

/* With a dash, unless that would be too long for a name. */
static const char *generate_name(const struct drafts *d)
{
        const char *name = d->owner->name;

        return strlen(name) < NAME_MAX_LEN ? arena_printf(d->sync->mem, "%s-", name) : name;
}

static struct json_object *metadata_json(const struct drafts *d, const struct draft *draft, int64_t trigger_s)
{
        struct json_object *meta = json_object_new_object(), *notes = annotations_json(d, draft, trigger_s);

        json_set_str(meta, "namespace", d->owner->ns);
        json_set_str(meta, "generateName", generate_name(d));
        if (draft->was)
                set_identity(draft, meta);
        json_set(meta, "labels", labels_json(d->labels, d->nlabels));
        json_set(meta, "annotations", notes);
        json_set(meta, "ownerReferences", owners_json(d, draft));
        return meta;
}

static struct json_object *ports_json(const struct draft *draft)
{
        struct json_object *list = json_object_new_array();

        for (size_t i = 0; i < draft->nports; i++) {
                const struct slice_port *p = &draft->ports[i];
                struct json_object *o = json_object_new_object();

                json_set_str(o, "name", p->name);
                if (p->port >= 0)
                        json_set_i64(o, "port", p->port);
                json_set_str(o, "protocol", p->protocol);
                if (*p->app)
                        json_set_str(o, "appProtocol", p->app);
                json_object_array_add(list, o);
        }
        return list;
}

static void set_text(struct json_object *o, const char *key, const char *text)
{
        if (!str_empty(text))
                json_set_str(o, key, text);
}

static void set_tri(struct json_object *o, const char *key, enum tri v)
{
        if (v != TRI_UNSET)
                json_set_bool(o, key, v == TRI_TRUE);
}

static void set_hint(struct json_object *endpoint, const char *key, const char *name)
{
        struct json_object *list, *one;

        if (str_empty(name))
                return;
        list = json_object_new_array();
        one = json_object_new_object();
        json_set_str(one, "name", name);
        json_object_array_add(list, one);
        json_set(json_ensure(endpoint, "hints"), key, list);
}

static void set_target(struct json_object *endpoint, const struct slice_endpoint *e)
{
        struct json_object *target;

        if (str_empty(e->kind) && str_empty(e->name))
                return;
        target = json_ensure(endpoint, "targetRef");
        set_text(target, "kind", e->kind);
        set_text(target, "namespace", e->ns);
        set_text(target, "name", e->name);
        set_text(target, "uid", e->uid);
}

static struct json_object *endpoint_json(const struct slice_endpoint *e)
{
        struct json_object *o = json_object_new_object(), *addresses = json_object_new_array(), *conditions;

        json_object_array_add(addresses, json_object_new_string(e->address));
        json_set(o, "addresses", addresses);
        conditions = json_ensure(o, "conditions");
        set_tri(conditions, "ready", e->ready);
        set_tri(conditions, "serving", e->serving);
        set_tri(conditions, "terminating", e->terminating);
        set_text(o, "hostname", e->hostname);
        set_text(o, "nodeName", e->node);
        set_text(o, "zone", e->zone);
        set_target(o, e);
        set_hint(o, "forZones", e->for_zone);
        set_hint(o, "forNodes", e->for_node);
        return o;
}

static struct json_object *slice_json(const struct drafts *d, const struct draft *draft, int64_t trigger_s)
{
        struct json_object *o = json_object_new_object(), *endpoints = json_object_new_array();

        json_set(o, "metadata", metadata_json(d, draft, trigger_s));
        json_set_str(o, "addressType", family_name(draft->family));
        json_set(o, "ports", ports_json(draft));
        for (size_t i = 0; i < draft->n; i++)
                json_object_array_add(endpoints, endpoint_json(&draft->endpoints[i]));
        json_set(o, "endpoints", endpoints);
        return o;
}

/* ---- planning ---- */

/* A slice that would be deleted is written over with one that would be made: one write for two. */
static void recycle(struct drafts *d, struct draft *gone)
{
        if (gone->what != DRAFT_DELETE || !draft_is_owned(d, gone))
                return;
        drafts_foreach (d, made) {
                if (made->was || made->family != gone->family)
                        continue;
                made->was = gone->was;
                gone->what = DRAFT_KEEP;
                gone->was = NULL;
                return;
        }
}

static bool may_create(const struct drafts *d)
{
        return !d->owner->deleted_s && !failure_of_ending_namespace(d->sync->failed);
}

static void plan_write(struct drafts *d, const struct draft *draft, int64_t trigger_s, const struct telling *telling,
                       struct draft_counts *counts)
{
        struct json_object *body = slice_json(d, draft, trigger_s);
        struct step *st;

        st = draft->was ? plan_update(d->sync, &res_endpointslices, body)
                        : plan_create(d->sync, &res_endpointslices, body);
        step_tell(st, d->owner, telling);
        counts->updated += draft->was != NULL;
        counts->created += draft->was == NULL;
        counts->left++;
}

struct draft_counts drafts_plan(struct drafts *d, int64_t trigger_s, const struct telling *telling)
{
        struct draft_counts counts = {0};

        drafts_foreach (d, gone)
                recycle(d, gone);
        drafts_foreach (d, draft) {
                if (draft->what == DRAFT_WRITE && (draft->was || may_create(d))) {
                        plan_write(d, draft, trigger_s, telling, &counts);
                } else if (draft->what == DRAFT_DELETE) {
                        step_tell(plan_delete(d->sync, draft->was), d->owner, telling);
                        counts.deleted++;
                } else if (draft->what == DRAFT_KEEP && draft->was) {
                        counts.left++;
                }
        }
        return counts;
}
