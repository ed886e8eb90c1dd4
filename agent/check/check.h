/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairlead-agent check`: are the pinned maps what the API's state makes of them? It lists Services, EndpointSlices and
 * Nodes itself, makes the tables that should be in memory by the agent's own steps, compares by meaning, and looks a
 * second time at what differs, because a table that is just being written differs for a moment. Needs no agent that
 * runs.
 */
#pragma once

#include <stdbool.h>

#include "agent/config.h"

/* Prints one JSON object to stdout: node, compared {frontends, endpoints, routes, pods}, differences [{table, object,
 * difference}], repaired. repair: has the agent that runs write everything anew, or does so itself when none runs, and
 * compares again. 0 whether or not something differs; negative errno when it cannot be found out. */
int check_run(const struct agent_config *config, bool repair, struct err *reterr);
