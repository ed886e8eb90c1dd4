/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/hashmap.h"
#include "base/str.h"
#include "controllers/endpoint/placement.h"

struct filling {
        struct drafts *drafts;
        struct group *group;
        bool hints;
        struct placed *result;
        struct hashmap by_name; /* of the pod -> struct wanted * */
        struct draft **slices;  /* of the group */
        size_t n;
        struct wanted **left; /* not in any slice */
        size_t nleft;
};

bool placement_is_of(const struct draft *draft, const struct group *g)
{
        return draft->family == g->family && slice_ports_equal(draft->ports, draft->nports, g->ports, g->nports);
}

struct kobjs placement_slices(const struct sync *s, const char *manager)
{
        const struct label labels[] = {{LABEL_SERVICE, s->name}, {LABEL_MANAGED_BY, manager}};

        return lister_labelled(s->lister, &res_endpointslices, s->ns, labels, ARRAY_SIZE(labels), s->mem);
}

static bool has_group(const struct group *groups, const struct draft *d)
{
        for (const struct group *g = groups; g; g = g->next)
                if (placement_is_of(d, g))
                        return true;
        return false;
}

unsigned int placement_take(struct drafts *d, const char *manager, const struct group *groups, const bool *families)
{
        struct kobjs slices = placement_slices(d->sync, manager);
        unsigned int gone = 0;

        kobjs_foreach (slices, o) {
                enum family f = FAMILY_V4;
                bool known = family_by_name(o->slice->address_type, &f) && (!families || families[f]);
                struct draft *draft;

                if (o->deleted_s)
                        continue;
                draft = draft_take(d, o, f);
                if (known && draft_is_owned(d, draft) && has_group(groups, draft))
                        continue;
                draft->what = DRAFT_DELETE;
                gone += (unsigned int)draft->n;
        }
        return gone;
}

static bool is_same(const struct slice_endpoint *a, const struct slice_endpoint *b, bool hints)
{
        return a->ready == b->ready && a->serving == b->serving && a->terminating == b->terminating && !a->odd &&
               str_eq(a->address, b->address) && str_eq(a->uid, b->uid) && str_eq(a->node, b->node) &&
               str_eq(a->zone, b->zone) && str_eq(a->hostname, b->hostname) && str_eq(a->name, b->name) &&
               str_eq(a->kind, b->kind) && str_eq(a->ns, b->ns) &&
               (!hints || (str_eq(a->for_zone, b->for_zone) && str_eq(a->for_node, b->for_node)));
}

static void note_trigger(struct placed *result, int64_t since_s)
{
        if (since_s > 0 && (!result->trigger_s || since_s < result->trigger_s))
                result->trigger_s = since_s;
}

/* ---- 1: what is there ---- */

static void keep(const struct filling *f, struct draft *draft, struct wanted *const *found, size_t n)
{
        if (!n) {
                draft->what = DRAFT_DELETE;
                return;
        }
        draft_change(f->drafts, draft);
        for (size_t i = 0; i < n; i++)
                draft->own[i] = found[i]->e;
        draft->n = n;
}

/* Whether the endpoint stays as it is: false, too, when it goes (NULL). */
static bool stays(const struct filling *f, const struct slice_endpoint *e, struct wanted *w)
{
        if (!w) {
                f->result->removed++;
                return false;
        }
        w->placed = true;
        if (is_same(e, &w->e, f->hints))
                return true;
        if (e->serving != w->e.serving || !str_eq(e->uid, w->e.uid))
                note_trigger(f->result, w->since_s);
        return false;
}

static struct wanted *find(const struct filling *f, const struct slice_endpoint *e, size_t nkept)
{
        struct wanted *w = nkept < f->drafts->max ? hashmap_get(&f->by_name, e->name) : NULL;

        return w && !w->placed ? w : NULL;
}

static void visit(const struct filling *f, struct draft *draft)
{
        struct wanted **found = arena_array(f->drafts->sync->mem, struct wanted *, draft->n + 1);
        bool same = true;
        size_t n = 0;

        for (size_t i = 0; i < draft->n; i++) {
                struct wanted *w = find(f, &draft->endpoints[i], n);

                same &= stays(f, &draft->endpoints[i], w);
                if (w)
                        found[n++] = w;
        }
        if (!same)
                keep(f, draft, found, n);
        else if (draft_is_mislabelled(f->drafts, draft))
                draft_change(f->drafts, draft);
}

/* ---- 2, 3: what is new ---- */

static void pour(struct filling *f, struct draft *draft)
{
        while (f->nleft && draft->n < f->drafts->max)
                draft_add(f->drafts, draft, &f->left[--f->nleft]->e);
}

static struct draft *fullest_changed(const struct filling *f)
{
        struct draft *best = NULL;

        for (size_t i = 0; i < f->n; i++) {
                struct draft *d = f->slices[i];

                if (d->what == DRAFT_WRITE && d->n < f->drafts->max && (!best || d->n > best->n))
                        best = d;
        }
        return best;
}

static struct draft *best_with_room(const struct filling *f)
{
        struct draft *best = NULL;

        for (size_t i = 0; i < f->n; i++) {
                struct draft *d = f->slices[i];

                if (d->what == DRAFT_KEEP && d->n + f->nleft <= f->drafts->max && (!best || d->n > best->n))
                        best = d;
        }
        return best;
}

static void place_left(struct filling *f)
{
        struct draft *draft;

        while (f->nleft && (draft = fullest_changed(f)))
                pour(f, draft);
        draft = f->nleft ? best_with_room(f) : NULL;
        if (draft)
                pour(f, draft);
        while (f->nleft)
                pour(f, draft_new(f->drafts, f->group->family, f->group->ports, f->group->nports));
}

static void collect_left(struct filling *f)
{
        struct group *g = f->group;

        f->left = arena_array(f->drafts->sync->mem, struct wanted *, g->n + 1);
        for (size_t i = g->n; i-- > 0;) {
                if (g->wanted[i].placed)
                        continue;
                note_trigger(f->result, g->wanted[i].since_s);
                f->left[f->nleft++] = &g->wanted[i];
        }
        f->result->added += (unsigned int)f->nleft;
}

static void collect_slices(struct filling *f)
{
        size_t n = 0;

        drafts_foreach (f->drafts, counted)
                n++;
        f->slices = arena_array(f->drafts->sync->mem, struct draft *, n + 1);
        drafts_foreach (f->drafts, d)
                if (d->what == DRAFT_KEEP && d->was && placement_is_of(d, f->group))
                        f->slices[f->n++] = d;
}

void placement_fill(struct drafts *d, struct group *g, bool hints, struct placed *ret)
{
        struct filling f = {.drafts = d, .group = g, .hints = hints, .result = ret};

        hashmap_init(&f.by_name, HASHMAP_STR);
        for (size_t i = 0; i < g->n; i++)
                hashmap_put(&f.by_name, g->wanted[i].e.name, &g->wanted[i]);
        collect_slices(&f);
        for (size_t i = 0; i < f.n; i++)
                visit(&f, f.slices[i]);
        collect_left(&f);
        place_left(&f);
        hashmap_deinit(&f.by_name);
}
