/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What load balancers, kubelets and people ask: /healthz, /livez and /metrics at health_address, and at each
 * healthCheckNodePort whether this node has endpoints of that Service, with kube-proxy's answers.
 */
#pragma once

#include "agent/metrics.h"
#include "base/web.h"

struct health;

struct health_opts {
        struct loop *loop;
        const struct agent_config *config;
        struct services *services;
        struct network *network; /* or NULL */
        struct metrics *metrics;
};

/* 0 or negative errno: the address is taken or cannot be. */
int health_new(const struct health_opts *opts, struct health **ret, struct err *reterr);
void health_free(struct health *h);
DEFINE_CLEANUP(struct health *, health_free)
/* Services have changed: ports are opened and closed some time after. */
void health_changed(struct health *h);
uint16_t health_port(const struct health *h);
