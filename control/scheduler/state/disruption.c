/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "scheduler/state/disruption.h"

void disruption_init(struct disruption *d)
{
        hashmap_init(&d->budgets, HASHMAP_STR_OWNED);
}

static void budget_free(struct budget *b)
{
        if (!b)
                return;
        atom_pool_deinit(&b->pool);
        free(b);
}

void disruption_deinit(struct disruption *d)
{
        hashmap_foreach (&d->budgets, slot)
                budget_free(slot->value);
        hashmap_deinit(&d->budgets);
}

static struct budget *budget_new(struct atoms *atoms, const struct jnode *pdb)
{
        const struct jnode *disrupted = jnode_at(pdb, "status.disruptedPods");
        const char *ns = jnode_at_str(pdb, "metadata.namespace");
        uint32_t n = disrupted && disrupted->type == JNODE_OBJECT ? disrupted->n : 0;
        struct budget *b = mem_new(struct budget);

        atom_pool_init(&b->pool, atoms);
        b->ns = atom_pool_get(&b->pool, ns ? ns : "");
        b->pods = query_of_selector(&b->pool, jnode_at(pdb, "spec.selector"));
        b->allowed = jnode_at_i64(pdb, "status.disruptionsAllowed", 0);
        b->disrupted = arena_array(&b->pool.mem, const struct atom *, n + 1);
        for (const struct jnode *it = n ? disrupted->first : NULL; it; it = it->next)
                b->disrupted[b->ndisrupted++] = atom_pool_get(&b->pool, it->key);
        return b;
}

void disruption_set(struct disruption *d, struct atoms *atoms, const char *key, const struct jnode *pdb)
{
        if (pdb)
                budget_free(hashmap_put(&d->budgets, key, budget_new(atoms, pdb)));
        else
                budget_free(hashmap_del(&d->budgets, key));
}

void disruption_begin(struct disruption *d)
{
        hashmap_foreach (&d->budgets, slot) {
                struct budget *b = slot->value;

                b->left = b->allowed;
        }
}

static bool is_disrupted(const struct budget *b, const char *pod)
{
        for (uint32_t i = 0; i < b->ndisrupted; i++)
                if (str_eq(b->disrupted[i]->text, pod))
                        return true;
        return false;
}

bool disruption_violates(struct disruption *d, const struct shape *shape, const char *pod)
{
        bool violated = false;

        hashmap_foreach (&d->budgets, slot) {
                struct budget *b = slot->value;

                /* Neither a budget without requirements nor a pod without labels takes part. */
                if (b->ns != shape->ns || !b->pods.nreqs || !shape->labels.n ||
                    !query_match(&b->pods, &shape->labels) || is_disrupted(b, pod))
                        continue;
                if (--b->left < 0)
                        violated = true;
        }
        return violated;
}
