/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of ReplicaSets and Deployments make and count in a world, in its namespace "d". */
#pragma once

#include "unit/controllers/world.h"

struct tally {
        int64_t active, ready, all;
};

/* Pods with that label "app"; NULL: all. Active: not ended, not being deleted. Ready: of the active. */
struct tally sets_tally(struct world *w, const char *app);
/* Pods whose controller is the object of that kind and name. */
struct tally sets_owned(struct world *w, const char *kind, const char *name);
bool sets_is_active(struct json_object *pod);
bool sets_is_ready(struct json_object *pod);
/* The kind of the controllerRef and its name, "" when there is none. */
const char *sets_owner(struct json_object *o, const char *kind);
/* The cluster does what it has to do, for so long that all backoffs end: kubelet, controllers and clock in turns. */
void sets_live(struct world *w, unsigned int rounds, uint64_t ms);
/* A kubelet that gets around to every second pod (userdata: the world). */
const char *sets_lazy_kubelet(void *world, struct json_object *pod);
