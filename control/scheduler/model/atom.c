/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "scheduler/model/atom.h"

void atoms_init(struct atoms *a)
{
        hashmap_init(&a->table, HASHMAP_STR);
}

void atoms_deinit(struct atoms *a)
{
        hashmap_foreach (&a->table, slot)
                free(slot->value);
        hashmap_deinit(&a->table);
}

const struct atom *atoms_find(const struct atoms *a, const char *s, size_t n)
{
        return hashmap_get_n(&a->table, s, n);
}

const struct atom *atoms_get(struct atoms *a, const char *s, size_t n)
{
        struct atom *atom = hashmap_get_n(&a->table, s, n);

        if (!atom) {
                atom = mem_alloc(sizeof(*atom) + n + 1);
                *atom = (struct atom){.len = (uint32_t)n};
                memcpy(atom->text, s, n);
                atom->text[n] = '\0';
                hashmap_put_n(&a->table, atom->text, n, atom);
        }
        atom->refs++;
        return atom;
}

const struct atom *atom_ref(const struct atom *atom)
{
        if (atom)
                ((struct atom *)atom)->refs++;
        return atom;
}

void atoms_put(struct atoms *a, const struct atom *atom)
{
        struct atom *own = (struct atom *)atom;

        if (!own || --own->refs)
                return;
        hashmap_del_n(&a->table, own->text, own->len);
        free(own);
}

void atom_pool_init(struct atom_pool *p, struct atoms *atoms)
{
        *p = (struct atom_pool){.atoms = atoms, .mem = ARENA_NULL};
}

void atom_pool_deinit(struct atom_pool *p)
{
        for (uint32_t i = 0; i < p->nheld; i++)
                atoms_put(p->atoms, p->held[i]);
        free(p->held);
        arena_deinit(&p->mem);
        *p = (struct atom_pool){.atoms = p->atoms};
}

static const struct atom *hold(struct atom_pool *p, const struct atom *atom)
{
        if (p->nheld == p->cap) {
                p->cap = p->cap ? p->cap * 2 : 16;
                p->held = mem_realloc(p->held, p->cap, sizeof(*p->held));
        }
        return p->held[p->nheld++] = atom;
}

const struct atom *atom_pool_get(struct atom_pool *p, const char *s)
{
        return s ? hold(p, atoms_get(p->atoms, s, strlen(s))) : NULL;
}

const struct atom *atom_pool_ref(struct atom_pool *p, const struct atom *atom)
{
        return atom ? hold(p, atom_ref(atom)) : NULL;
}
