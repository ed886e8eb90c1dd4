/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "scheduler/state/volumes.h"

void volumes_init(struct volumes *v)
{
        hashmap_init(&v->claims, HASHMAP_STR_OWNED);
        hashmap_init(&v->volumes, HASHMAP_STR_OWNED);
}

static void claim_free(struct atoms *atoms, struct claim_view *c)
{
        if (!c)
                return;
        atoms_put(atoms, c->volume);
        free(c);
}

static void volume_free(struct volume_view *v)
{
        if (!v)
                return;
        atom_pool_deinit(&v->pool);
        free(v);
}

void volumes_deinit(struct volumes *v, struct atoms *atoms)
{
        hashmap_foreach (&v->claims, claim)
                claim_free(atoms, claim->value);
        hashmap_foreach (&v->volumes, volume)
                volume_free(volume->value);
        hashmap_deinit(&v->claims);
        hashmap_deinit(&v->volumes);
}

void volumes_set_claim(struct volumes *v, struct atoms *atoms, const char *key, const struct jnode *claim)
{
        const char *volume = jnode_at_str(claim, "spec.volumeName"), *phase = jnode_at_str(claim, "status.phase");
        struct claim_view *c;

        if (!claim) {
                claim_free(atoms, hashmap_del(&v->claims, key));
                return;
        }
        c = mem_new(struct claim_view);
        if (!str_empty(volume) && str_eq(phase, "Bound"))
                c->volume = atoms_get(atoms, volume, strlen(volume));
        c->lost = str_eq(phase, "Lost");
        c->terminating = jnode_at(claim, "metadata.deletionTimestamp") != NULL;
        claim_free(atoms, hashmap_put(&v->claims, key, c));
}

void volumes_set_volume(struct volumes *v, struct atoms *atoms, const char *name, const struct jnode *volume)
{
        const struct jnode *required = jnode_at(volume, "spec.nodeAffinity.required");
        struct volume_view *one;

        if (!volume) {
                volume_free(hashmap_del(&v->volumes, name));
                return;
        }
        one = mem_new(struct volume_view);
        atom_pool_init(&one->pool, atoms);
        one->has_required = required != NULL;
        if (required)
                one->required = node_terms_parse(&one->pool, jnode_get(required, "nodeSelectorTerms"), &one->nrequired);
        volume_free(hashmap_put(&v->volumes, name, one));
}

const struct claim_view *volumes_claim(const struct volumes *v, const struct shape *shape, const char *pod,
                                       const struct claim_ref *ref, char *ret_name, size_t size)
{
        char key[900];

        if (ref->ephemeral)
                snprintf(ret_name, size, "%s-%s", pod, ref->name->text);
        else
                snprintf(ret_name, size, "%s", ref->name->text);
        snprintf(key, sizeof(key), "%s/%s", shape->ns->text, ret_name);
        return hashmap_get(&v->claims, key);
}

bool volume_reaches(const struct volume_view *volume, const struct node_view *node)
{
        for (uint32_t i = 0; i < volume->nrequired; i++)
                if (node_term_matches(&volume->required[i], node))
                        return true;
        return !volume->has_required;
}
