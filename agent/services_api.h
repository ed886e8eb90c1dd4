/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the API says of Services and EndpointSlices, kept up to date. Apart from services.h, so that it can be listed
 * while the programs are still being loaded. All in the loop's thread.
 */
#pragma once

#include "agent/config.h"
#include "agent/project.h"
#include "kube/informer.h"

struct services_api {
        struct projector projector;
        struct informer *services, *slices;
};

/* Begins to follow the API. config and client are borrowed. 0 or negative errno. */
int services_api_new(const struct agent_config *config, struct kube_client *client, struct services_api **ret);
void services_api_free(struct services_api *api);
DEFINE_CLEANUP(struct services_api *, services_api_free)
