/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EndpointSlices that mirror Endpoints which people, or controllers of others, have made for Services without a
 * selector: who only reads slices finds those, too. One slice for each subset and family.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/config.h"
#include "controllers/controllers.h"
#include "controllers/endpoint/metrics.h"
#include "controllers/endpoint/placement.h"
#include "controllers/endpoint/subsets.h"

#define MANAGER    "endpointslicemirroring-controller.k8s.io"
#define LABEL_SKIP "endpointslice.kubernetes.io/skip-mirror"
#define LEADER     "control-plane.alpha.kubernetes.io/leader"
#define SUBSET_MAX 1000 /* addresses of a subset that are mirrored */
/* What has changed is looked at later: mostly it is what was just written. */
#define ECHO_MS 1000

struct look {
        struct sync *sync;
        const struct kobj *endpoints;
        struct drafts drafts;
        struct group *groups;
        size_t invalid, skipped; /* addresses; skipped: also those */
        unsigned int added, updated, removed;
};

/* ---- what is wanted ---- */

static struct group *group_of(struct look *l, const struct subset *s, enum family f)
{
        struct group *g;

        for (g = l->groups; g; g = g->next)
                if (g->family == f && slice_ports_equal(g->ports, g->nports, s->ports, s->nports))
                        return g;
        g = arena_new(l->sync->mem, struct group);
        *g = (struct group){.next = l->groups, .family = f, .ports = s->ports, .nports = s->nports};
        g->wanted = arena_array(l->sync->mem, struct wanted, SUBSET_MAX);
        l->groups = g;
        return g;
}

static bool is_again(const struct group *g, const struct slice_endpoint *e)
{
        const struct slice_endpoint *last = g->n ? &g->wanted[g->n - 1].e : NULL;

        return last && str_eq(last->address, e->address) && str_eq(last->hostname, e->hostname) &&
               str_eq(last->ns, e->ns) && str_eq(last->name, e->name);
}

static void want_address(struct look *l, const struct subset *s, const struct subset_address *a)
{
        struct slice_endpoint e = a->e;
        enum family f = FAMILY_V4;
        struct group *g;

        e.address = address_canonical(e.address, &f, l->sync->mem);
        e.zone = e.for_zone = e.for_node = "";
        if (!e.address) {
                l->invalid++;
                l->skipped++;
                return;
        }
        g = group_of(l, s, f);
        if (is_again(g, &e)) {
                g->wanted[g->n - 1].e.ready = MAX(g->wanted[g->n - 1].e.ready, e.ready);
        } else if (g->n < SUBSET_MAX) {
                g->wanted[g->n++].e = e;
        } else {
                l->skipped++;
        }
}

/* Of too many, the ready ones first. */
static void want_subset(struct look *l, const struct subset *s)
{
        bool many = s->naddresses > SUBSET_MAX;

        for (enum tri only = TRI_TRUE; only <= TRI_FALSE; only++)
                for (size_t i = 0; i < s->naddresses && (many || only == TRI_TRUE); i++)
                        if (!many || s->addresses[i]->e.ready == only)
                                want_address(l, s, s->addresses[i]);
}

static void want_metadata(struct look *l)
{
        const struct kobj *o = l->endpoints;
        struct label *labels = arena_array(l->sync->mem, struct label, (size_t)o->nlabels + 2);
        struct label *notes = arena_array(l->sync->mem, struct label, o->nannotations);

        l->drafts.labels = labels;
        l->drafts.annotations = notes;
        for (size_t i = 0; i < o->nlabels; i++)
                if (!str_eq(o->labels[i].key, LABEL_SERVICE) && !str_eq(o->labels[i].key, LABEL_MANAGED_BY))
                        labels[l->drafts.nlabels++] = o->labels[i];
        labels[l->drafts.nlabels++] = (struct label){LABEL_SERVICE, o->name};
        labels[l->drafts.nlabels++] = (struct label){LABEL_MANAGED_BY, MANAGER};
        for (size_t i = 0; i < o->nannotations; i++)
                if (!str_eq(o->annotations[i].key, ANNOTATION_TRIGGER))
                        notes[l->drafts.nannotations++] = o->annotations[i];
}

/* ---- slices ---- */

static bool is_same(const struct slice_endpoint *a, const struct slice_endpoint *b)
{
        return a->ready == b->ready && !a->odd && a->serving == TRI_UNSET && a->terminating == TRI_UNSET &&
               str_eq(a->address, b->address) && str_eq(a->hostname, b->hostname) && str_eq(a->node, b->node) &&
               str_eq(a->kind, b->kind) && str_eq(a->ns, b->ns) && str_eq(a->name, b->name) && str_eq(a->uid, b->uid) &&
               !*a->zone && !*a->for_zone && !*a->for_node;
}

static bool is_right(const struct look *l, const struct draft *d, const struct group *g)
{
        if (d->n != g->n || draft_is_mislabelled(&l->drafts, d))
                return false;
        for (size_t i = 0; i < g->n; i++)
                if (!is_same(&d->endpoints[i], &g->wanted[i].e))
                        return false;
        return true;
}

static void fill(struct look *l, struct draft *d, const struct group *g)
{
        size_t kept = MIN(d->n, g->n);

        l->added += (unsigned int)(g->n - kept);
        l->removed += (unsigned int)(d->n - kept);
        l->updated += (unsigned int)kept;
        d->n = 0;
        for (size_t i = 0; i < g->n; i++)
                draft_add(&l->drafts, d, &g->wanted[i].e);
}

/* The first slice of a group stays, others go. */
static struct draft *slice_for(struct look *l, const struct group *g)
{
        struct draft *first = NULL;

        drafts_foreach (&l->drafts, d) {
                if (d->what != DRAFT_KEEP || !d->was || !placement_is_of(d, g))
                        continue;
                if (first)
                        d->what = DRAFT_DELETE;
                else
                        first = d;
        }
        return first;
}

static void mirror_group(struct look *l, const struct group *g)
{
        struct draft *d = slice_for(l, g);

        if (d && is_right(l, d, g))
                return;
        fill(l, d ? d : draft_new(&l->drafts, g->family, g->ports, g->nports), g);
}

/* ---- the sync ---- */

static void tell(const struct look *l)
{
        if (l->invalid)
                plan_event(l->sync, l->endpoints, true, "InvalidIPAddress",
                           "Skipped %zu invalid IP addresses when mirroring to EndpointSlices", l->invalid);
        if (l->skipped > l->invalid)
                plan_event(l->sync, l->endpoints, true, "TooManyAddressesToMirror",
                           "A max of %d addresses can be mirrored to EndpointSlices per Endpoints subset. %zu "
                           "addresses were skipped",
                           SUBSET_MAX, l->skipped);
}

static void count(struct look *l, const struct draft_counts *c)
{
        struct object_counts counts = {.slices = c->left};
        struct slice_metrics *m = l->sync->state;

        for (const struct group *g = l->groups; g; g = g->next) {
                counts.endpoints += (unsigned int)g->n;
                counts.desired_slices++;
        }
        histogram_observe(&m->added, l->added);
        histogram_observe(&m->updated, l->updated);
        histogram_observe(&m->removed, l->removed);
        histogram_observe(&m->skipped, l->skipped);
        slice_metrics_planned(m, l->sync, c);
        slice_metrics_object(m, l->sync->key, &counts);
}

static void mirror(struct sync *s, const struct kobj *endpoints)
{
        static const struct telling quiet;
        struct look l = {.sync = s, .endpoints = endpoints};
        struct draft_counts counts;
        struct subsets subsets;

        subsets_read(&subsets, endpoints, s->mem);
        for (size_t i = 0; i < subsets.n; i++)
                want_subset(&l, &subsets.all[i]);
        drafts_init(&l.drafts, s, endpoints);
        l.drafts.max = SUBSET_MAX;
        want_metadata(&l);
        l.removed += placement_take(&l.drafts, MANAGER, l.groups, NULL);
        for (const struct group *g = l.groups; g; g = g->next)
                mirror_group(&l, g);
        counts = drafts_plan(&l.drafts, 0, &quiet);
        if (counts.created || counts.updated || counts.deleted)
                tell(&l);
        count(&l, &counts);
}

static bool is_mirrored(const struct kobj *endpoints)
{
        return endpoints && !str_eq(kobj_label(endpoints, LABEL_SKIP), "true") && !kobj_annotation(endpoints, LEADER);
}

static bool has_no_selector(const struct sync *s)
{
        const struct kobj *o = lister_find(s->lister, &res_services, s->key);
        struct service service;

        if (!o)
                return false;
        service_read(&service, o, s->mem);
        return !service.nselector;
}

static void sync_endpoints(struct sync *s)
{
        const struct kobj *o = lister_find(s->lister, &res_endpoints, s->key);
        struct kobjs slices;

        if (is_mirrored(o) && has_no_selector(s)) {
                mirror(s, o);
                return;
        }
        slice_metrics_object(s->state, s->key, NULL);
        slices = placement_slices(s, MANAGER);
        kobjs_foreach (slices, slice)
                if (!slice->deleted_s)
                        plan_delete(s, slice);
}

/* ---- what has changed ---- */

static void on_service(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        runner_add_object(r, now ? now : old);
}

static void on_endpoints(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        if (is_mirrored(old) || is_mirrored(now))
                runner_add_object(r, now ? now : old);
}

static void add_endpoints_of(struct runner *r, const struct kobj *slice)
{
        const char *name = slice ? kobj_label(slice, LABEL_SERVICE) : NULL;
        _cleanup_free_ char *key = NULL;

        if (!name || !str_eq(kobj_label(slice, LABEL_MANAGED_BY), MANAGER))
                return;
        key = mem_printf("%s/%s", slice->ns, name);
        runner_add_after(r, key, (uint64_t)MAX(runner_config(r)->endpoint_batch_ms, (int64_t)ECHO_MS));
}

static void on_slice(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        add_endpoints_of(r, old);
        add_endpoints_of(r, now);
}

static void *state_new(struct runner *r)
{
        struct slice_metrics *m = mem_new(struct slice_metrics);

        slice_metrics_init(m);
        return m;
}

static void state_free(void *state)
{
        slice_metrics_deinit(state);
        free(state);
}

static void metrics(const struct runner *r, struct strbuf *b)
{
        slice_metrics_write_mirroring(runner_state(r), b);
}

const struct controller controller_endpointslicemirroring = {
        .name = "endpointslice-mirroring",
        .event_source = "endpoint-slice-mirroring-controller",
        .watches =
                (const struct watch[]){
                        {&res_services, on_service},
                        {&res_endpoints, on_endpoints},
                        {&res_endpointslices, on_slice},
                        {0},
                },
        .sync = sync_endpoints,
        .state_new = state_new,
        .state_free = state_free,
        .metrics = metrics,
};
