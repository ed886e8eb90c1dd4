/* SPDX-License-Identifier: Apache-2.0 */
/* PersistentVolumeClaims and PersistentVolumes, as far as they decide where a pod can be: a bound claim's volume may be
 * reachable from some nodes only. */
#pragma once

#include "scheduler/model/node_view.h"

struct claim_view {
        const struct atom *volume; /* NULL: not bound */
        bool lost, terminating;
};

struct volume_view {
        struct atom_pool pool;
        bool has_required;
        const struct node_term *required;
        uint32_t nrequired;
};

struct volumes {
        struct hashmap claims;  /* "ns/name" -> struct claim_view * */
        struct hashmap volumes; /* name -> struct volume_view * */
};

void volumes_init(struct volumes *v);
void volumes_deinit(struct volumes *v, struct atoms *atoms);
/* object NULL: gone. */
void volumes_set_claim(struct volumes *v, struct atoms *atoms, const char *key, const struct jnode *claim);
void volumes_set_volume(struct volumes *v, struct atoms *atoms, const char *name, const struct jnode *volume);

/* The claim of a pod's volume, or NULL. *ret_name (of at least 600 bytes) gets its name. */
const struct claim_view *volumes_claim(const struct volumes *v, const struct shape *shape, const char *pod,
                                       const struct claim_ref *ref, char *ret_name, size_t size);
bool volume_reaches(const struct volume_view *volume, const struct node_view *node);
