/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which services have a pod among their endpoints: a controller's own state, from which a changed pod becomes the keys
 * of the services that it concerns. There may be 10,000 services: each is filed under one label of its selector, the
 * one that fewest others have been filed under, so a pod asks once for each of its labels.
 *
 * It also knows what does not matter: most changes of pods' statuses are nothing to an endpoint.
 */
#pragma once

#include "controllers/engine/controller.h"

struct membership;

struct membership *membership_new(void);
void membership_free(struct membership *m);

/* changed() of services; adds the service's own key. */
void membership_service_changed(struct membership *m, struct runner *r, const struct kobj *old, const struct kobj *now);
/* changed() of pods; keys are added after the batch period. */
void membership_pod_changed(struct membership *m, struct runner *r, const struct kobj *old, const struct kobj *now);
/* changed() of nodes, for who tells endpoints' zones: the services of the node's pods, when it came, went or moved. */
void membership_node_changed(struct membership *m, struct runner *r, const struct kobj *old, const struct kobj *now);
/* Adds the key of every service that wants its traffic spread by zones' CPUs (service.h). */
void membership_add_spread(const struct membership *m, struct runner *r);
