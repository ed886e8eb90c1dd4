/* SPDX-License-Identifier: Apache-2.0 */
/* The node's Lease in kube-node-lease: renewed every quarter of its duration, by calls of its own, whatever else of the
 * node hangs. */
#pragma once

#include "agent/kubelet/node/retry.h"
#include "kube/client.h"

struct heartbeat;

struct heartbeat_opts {
        struct loop *loop;
        struct kube_client *client;
        struct retry *retry; /* shared with the registrar */
        const char *name;
        uint32_t duration_s;
        void (*back)(void *userdata); /* the API answers again */
        void *userdata;
};

int heartbeat_new(const struct heartbeat_opts *opts, struct heartbeat **ret);
void heartbeat_free(struct heartbeat *h);
DEFINE_CLEANUP(struct heartbeat *, heartbeat_free)

/* The Node that owns the Lease; "" when there is none: the Lease is renewed with the owner that it has. The first call
 * starts the beat. */
void heartbeat_owner(struct heartbeat *h, const char *node_uid);
/* Renew at once. */
void heartbeat_poke(struct heartbeat *h);

struct heartbeat_stats {
        uint64_t renewals, failures;
        int64_t last_s; /* wall clock of the last renewal; 0: none */
};

void heartbeat_stats(const struct heartbeat *h, struct heartbeat_stats *ret);
