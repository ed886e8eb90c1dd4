/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "scheduler/state/state.h"

static struct topology *find(struct topologies *t, const struct atom *key)
{
        for (uint32_t i = 0; i < t->n; i++)
                if (t->all[i]->key == key)
                        return t->all[i];
        return NULL;
}

static struct topology *add(struct topologies *t, const struct atom *key)
{
        struct topology *one = mem_new(struct topology);

        one->key = atom_ref(key);
        t->all = mem_realloc(t->all, t->n + 1, sizeof(*t->all));
        return t->all[t->n++] = one;
}

static void number(struct topology *t, struct hashmap *seen, uint32_t slot, const struct atom *value)
{
        uint64_t known = (uint64_t)(uintptr_t)hashmap_get_u64(seen, (uint64_t)(uintptr_t)value);

        if (!known) {
                t->values[t->ndomains] = value;
                known = ++t->ndomains;
                hashmap_put_u64(seen, (uint64_t)(uintptr_t)value, (void *)(uintptr_t)known);
        }
        t->domain[slot] = (uint32_t)known - 1;
}

static void make(struct topology *t, const struct state *s)
{
        struct hashmap seen;

        if (t->cap < s->nslots || !t->cap) {
                t->cap = s->cap + 1;
                t->domain = mem_realloc(t->domain, t->cap, sizeof(*t->domain));
                t->values = mem_realloc(t->values, t->cap, sizeof(*t->values));
        }
        t->ndomains = 0;
        hashmap_init(&seen, HASHMAP_U64);
        for (uint32_t i = 0; i < s->nslots; i++) {
                const struct node *n = s->slots[i];
                const struct atom *value = n && n->view ? label_get(&n->view->labels, t->key) : NULL;

                t->domain[i] = NO_DOMAIN;
                if (value)
                        number(t, &seen, i, value);
        }
        hashmap_deinit(&seen);
        t->made = s->topology;
}

const struct topology *topology_get(struct state *s, const struct atom *key)
{
        struct topology *t = find(&s->topologies, key);

        if (!t)
                t = add(&s->topologies, key);
        if (t->made != s->topology)
                make(t, s);
        return t;
}

void topologies_deinit(struct topologies *t, struct atoms *atoms)
{
        for (uint32_t i = 0; i < t->n; i++) {
                atoms_put(atoms, t->all[i]->key);
                free(t->all[i]->domain);
                free(t->all[i]->values);
                free(t->all[i]);
        }
        free(t->all);
        *t = (struct topologies){0};
}
