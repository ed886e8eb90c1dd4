/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /metrics in the text format of Prometheus. What kube-proxy has keeps kube-proxy's name, so that its dashboards and
 * alerts go on; the rest is fairlead_*. Counters of the programs are read when they are asked for.
 */
#pragma once

#include "agent/network.h"
#include "agent/services.h"
#include "base/strbuf.h"

struct metrics;

/* services is borrowed; observes it from now on. */
struct metrics *metrics_agent_new(struct services *services, struct maps *maps);
void metrics_agent_free(struct metrics *m);
DEFINE_CLEANUP(struct metrics *, metrics_agent_free)
/* An answer of /healthz ("healthz") or /livez was given. */
void metrics_agent_probe(struct metrics *m, const char *name, int status);
/* network may be NULL. */
void metrics_agent_write(struct metrics *m, const struct network *network, struct strbuf *b);
