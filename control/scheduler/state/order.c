/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which nodes are looked at: a cycle looks at some of them only, and should see all zones. */
#include "base/mem.h"
#include "scheduler/state/state.h"

#define ZONES_MAX 64 /* nodes of further zones are put into the last one: only the order suffers */

struct zone {
        const struct atom *region, *zone;
        struct node **nodes;
        uint32_t n, cap, next;
};

struct zones {
        struct zone all[ZONES_MAX];
        uint32_t n;
        const struct atom *region_key, *zone_key;
};

static struct zone *zone_of(struct zones *z, const struct node *n)
{
        const struct atom *region = z->region_key ? label_get(&n->view->labels, z->region_key) : NULL;
        const struct atom *zone = z->zone_key ? label_get(&n->view->labels, z->zone_key) : NULL;

        for (uint32_t i = 0; i < z->n; i++)
                if ((z->all[i].region == region && z->all[i].zone == zone) || i + 1 == ZONES_MAX)
                        return &z->all[i];
        z->all[z->n] = (struct zone){.region = region, .zone = zone};
        return &z->all[z->n++];
}

static void add(struct zone *z, struct node *n)
{
        if (z->n == z->cap) {
                z->cap = z->cap ? z->cap * 2 : 64;
                z->nodes = mem_realloc(z->nodes, z->cap, sizeof(struct node *));
        }
        z->nodes[z->n++] = n;
}

static void take_by_turns(struct state *s, struct zones *z)
{
        uint32_t n = 0;

        while (n < s->nnodes)
                for (uint32_t i = 0; i < z->n; i++)
                        if (z->all[i].next < z->all[i].n)
                                s->order[n++] = z->all[i].nodes[z->all[i].next++];
}

struct node *const *state_order(struct state *s)
{
        struct zones z = {.region_key = atoms_find(&s->atoms, "topology.kubernetes.io/region", 29),
                          .zone_key = atoms_find(&s->atoms, "topology.kubernetes.io/zone", 27)};

        if (s->order_made == s->topology)
                return s->order;
        s->order = mem_realloc(s->order, s->nnodes + 1, sizeof(struct node *));
        for (uint32_t i = 0; i < s->nslots; i++)
                if (s->slots[i] && s->slots[i]->view)
                        add(zone_of(&z, s->slots[i]), s->slots[i]);
        take_by_turns(s, &z);
        for (uint32_t i = 0; i < z.n; i++)
                free(z.all[i].nodes);
        s->order_made = s->topology;
        return s->order;
}
