/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/str.h"
#include "controllers/endpoint/spread.h"

#define OVERLOAD 0.2 /* so much more than its share may an endpoint get of the traffic */

/* Of one zone. */
struct share {
        const char *zone;
        double wanted;       /* endpoints */
        size_t least, most;  /* endpoints */
        size_t has;          /* hints for it */
        size_t gives, takes; /* that are moved to other zones, or from them */
        double over, under;
};

struct spread {
        struct drafts *drafts;
        enum family family;
        struct share *shares;
        size_t n;
        const char *problem; /* why there can be no hints */
};

static bool is_of(const struct draft *d, enum family f)
{
        return d->family == f && d->what != DRAFT_DELETE;
}

static bool is_ready(const struct slice_endpoint *e)
{
        return e->ready == TRI_TRUE;
}

static bool has_hints(const struct slice_endpoint *e)
{
        return !str_empty(e->for_zone) || !str_empty(e->for_node);
}

bool spread_had_hints(const struct drafts *d, enum family f)
{
        drafts_foreach (d, draft) {
                const struct slice *s = draft->was && draft->family == f ? draft->was->slice : NULL;

                for (size_t i = 0; s && i < s->nendpoints; i++)
                        if (has_hints(&s->endpoints[i]))
                                return true;
        }
        return false;
}

void spread_clear(struct drafts *d, enum family f)
{
        drafts_foreach (d, draft) {
                for (size_t i = 0; is_of(draft, f) && i < draft->n; i++) {
                        if (!has_hints(&draft->endpoints[i]))
                                continue;
                        draft_change(d, draft);
                        draft->own[i].for_zone = draft->own[i].for_node = "";
                }
        }
}

/* ---- shares ---- */

static size_t count_ready(const struct spread *s)
{
        size_t n = 0;

        drafts_foreach (s->drafts, d)
                for (size_t i = 0; is_of(d, s->family) && i < d->n; i++)
                        n += is_ready(&d->endpoints[i]);
        return n;
}

static const char *with_numbers(const struct spread *s, const char *problem, size_t endpoints, size_t zones)
{
        return arena_printf(s->drafts->sync->mem, "%s (%zu endpoints, %zu zones)", problem, endpoints, zones);
}

static void make_shares(struct spread *s, const struct zones *z)
{
        size_t endpoints = count_ready(s), least = 0;

        if (!zones_known(z)) {
                s->problem =
                        "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes";
                return;
        }
        if (z->n > endpoints) {
                s->problem = with_numbers(s, "Insufficient number of endpoints", endpoints, z->n);
                return;
        }
        s->n = z->n;
        s->shares = arena_array(s->drafts->sync->mem, struct share, z->n);
        for (size_t i = 0; i < z->n; i++) {
                double part = (double)z->all[i].cpu_milli / (double)z->cpu_milli * (double)endpoints;
                struct share *share = &s->shares[i];

                share->zone = arena_strdup(s->drafts->sync->mem, z->all[i].name);
                share->least = (size_t)ceil(part / (1 + OVERLOAD));
                share->wanted = MAX(part, (double)share->least);
                least += share->least;
        }
        if (least > endpoints)
                s->problem = with_numbers(s,
                                          "Unable to allocate minimum required endpoints to each zone without "
                                          "exceeding overload threshold",
                                          endpoints, z->n);
        for (size_t i = 0; i < z->n && !s->problem; i++)
                s->shares[i].most = s->shares[i].least + endpoints - least;
}

static struct share *share_of(const struct spread *s, const char *zone)
{
        for (size_t i = 0; i < s->n; i++)
                if (str_eq(s->shares[i].zone, zone))
                        return &s->shares[i];
        return NULL;
}

/* ---- slices that may stay ---- */

/* Counts the hints of a slice that nobody has changed; false when one is missing, or for a zone that may have none. */
static bool count_hints(const struct spread *s, const struct draft *d, size_t *counts)
{
        for (size_t i = 0; i < d->n; i++) {
                const struct share *share = share_of(s, d->endpoints[i].for_zone);

                if (!is_ready(&d->endpoints[i]))
                        continue;
                if (!share || d->endpoints[i].odd)
                        return false;
                counts[share - s->shares]++;
        }
        for (size_t i = 0; i < s->n; i++)
                if (s->shares[i].has + counts[i] > s->shares[i].most)
                        return false;
        return true;
}

static void take_good_ones(const struct spread *s)
{
        drafts_foreach (s->drafts, d) {
                size_t *counts = arena_array(s->drafts->sync->mem, size_t, s->n);

                if (!is_of(d, s->family) || d->what != DRAFT_KEEP || !d->was)
                        continue;
                if (!count_hints(s, d, counts)) {
                        draft_change(s->drafts, d);
                        continue;
                }
                for (size_t i = 0; i < s->n; i++)
                        s->shares[i].has += counts[i];
        }
}

/* ---- the others ---- */

static bool is_written(const struct spread *s, const struct draft *d)
{
        return is_of(d, s->family) && d->what == DRAFT_WRITE;
}

static void hint_own_zones(struct spread *s)
{
        drafts_foreach (s->drafts, d)
                for (size_t i = 0; is_written(s, d) && i < d->n; i++) {
                        struct slice_endpoint *e = &d->own[i];
                        struct share *share = share_of(s, e->zone);

                        e->for_zone = is_ready(e) ? e->zone : "";
                        e->for_node = "";
                        if (!is_ready(e))
                                continue;
                        if (str_empty(e->zone))
                                s->problem = "One or more endpoints do not have a zone specified";
                        if (share)
                                share->has++;
                }
}

static struct share *most(const struct spread *s, bool over)
{
        struct share *best = NULL;

        for (size_t i = 0; i < s->n; i++) {
                struct share *at = &s->shares[i];

                if ((over ? at->over : at->under) > (best ? (over ? best->over : best->under) : 0))
                        best = at;
        }
        return best;
}

/* Whole endpoints go from who has most too many to who has most too few, while that makes it better. */
static void balance(struct spread *s)
{
        for (size_t i = 0; i < s->n; i++) {
                struct share *at = &s->shares[i];

                at->over = (double)at->has - at->wanted;
                at->under = -at->over;
        }
        for (;;) {
                struct share *from = most(s, true), *to = most(s, false);

                if (!from || !to || (from->over < 1 && to->under < 1) || from->over < 0.5 || to->under < 0.5)
                        return;
                from->gives++;
                from->over--;
                to->takes++;
                to->under--;
        }
}

static struct share *taker(const struct spread *s)
{
        for (size_t i = 0; i < s->n; i++)
                if (s->shares[i].takes)
                        return &s->shares[i];
        return NULL;
}

static void move_hints(const struct spread *s)
{
        drafts_foreach (s->drafts, d)
                for (size_t i = 0; is_written(s, d) && i < d->n; i++) {
                        struct share *from = share_of(s, d->own[i].for_zone), *to = taker(s);

                        if (!is_ready(&d->own[i]) || !from || !from->gives || !to)
                                continue;
                        from->gives--;
                        to->takes--;
                        d->own[i].for_zone = to->zone;
                }
}

/* ---- all of it ---- */

static void tell(const struct spread *s, bool had)
{
        struct sync *sync = s->drafts->sync;
        const char *family = family_name(s->family);

        if (s->problem)
                plan_event(sync, s->drafts->owner, true, "TopologyAwareHintsDisabled", "%s, addressType: %s",
                           s->problem, family);
        else if (!had)
                plan_event(sync, s->drafts->owner, false, "TopologyAwareHintsEnabled",
                           "Topology Aware Hints has been enabled, addressType: %s", family);
}

void spread_hints(struct drafts *d, enum family f, const struct zones *z)
{
        struct spread s = {.drafts = d, .family = f};
        bool had = spread_had_hints(d, f);

        make_shares(&s, z);
        if (!s.problem) {
                take_good_ones(&s);
                hint_own_zones(&s);
        }
        if (s.problem) {
                spread_clear(d, f);
        } else {
                balance(&s);
                move_hints(&s);
        }
        tell(&s, had);
}
