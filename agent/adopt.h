/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a former life of the agent has left in the pinned maps, as states of services: the same form as what is applied
 * later, so that the first comparison with the API removes what nobody wants any more and leaves everything else alone.
 */
#pragma once

#include "agent/apply.h"

/* Calls found for each service; its state is the callee's. doubt: what is there does not fit together (the agent was
 * killed while writing): everything of it is to be written again. Ids that no name explains come as services
 * "orphan/<id>", which the API does not know. 0 or negative errno. */
int adopt_services(struct maps *maps, struct apply *apply,
                   void (*found)(void *userdata, struct service_state *state, bool doubt), void *userdata,
                   struct err *reterr);
