/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Atoms: strings that exist once, so that equal ones are the same pointer. Label keys and values, names of nodes,
 * resources and images are atoms: what a scheduling cycle compares a thousand times is compared by one instruction.
 * Counted references; one thread.
 *
 * An atom_pool is the memory of one immutable object (a pod's shape, a node): an arena for its arrays, and the
 * references to the atoms that these point to. All of it goes at once.
 */
#pragma once

#include "base/arena.h"
#include "base/hashmap.h"

struct atom {
        uint32_t refs;
        uint32_t len;
        char text[];
};

struct atoms {
        struct hashmap table; /* text -> struct atom * */
};

void atoms_init(struct atoms *a);
/* Every reference must have been put back. */
void atoms_deinit(struct atoms *a);

/* A reference to the atom of these bytes, made when there is none. */
const struct atom *atoms_get(struct atoms *a, const char *s, size_t n);
/* The same without a reference; NULL: nobody has such an atom. */
const struct atom *atoms_find(const struct atoms *a, const char *s, size_t n);
const struct atom *atom_ref(const struct atom *atom);
/* NULL does nothing. */
void atoms_put(struct atoms *a, const struct atom *atom);

struct atom_pool {
        struct atoms *atoms;
        struct arena mem;
        const struct atom **held;
        uint32_t nheld, cap;
};

void atom_pool_init(struct atom_pool *p, struct atoms *atoms);
void atom_pool_deinit(struct atom_pool *p);
/* Borrowed from the pool, which holds a reference. NULL gives NULL. */
const struct atom *atom_pool_get(struct atom_pool *p, const char *s);
const struct atom *atom_pool_ref(struct atom_pool *p, const struct atom *atom);
