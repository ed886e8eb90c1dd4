/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pods of all nodes: compares how far a pod is by its plan with what the API says of it, and writes the difference.
 * In the loop's thread.
 */
#pragma once

#include "hollow/nodes.h"

struct kubelet;

struct kubelet_opts {
        const struct hollow_config *config;
        struct kube_client *client;
        struct calls *calls;
        struct loop *loop;
        struct nodes *nodes;
};

struct kubelet_stats {
        uint32_t pods, pending, running, ready, ended, stopping;
        uint64_t statuses, deletes, failures;
        bool synced;
};

int kubelet_new(const struct kubelet_opts *opts, struct kubelet **ret);
void kubelet_start(struct kubelet *k);
/* Before the client. */
void kubelet_stop(struct kubelet *k);
/* After the client. */
void kubelet_free(struct kubelet *k);

/* A node came back, and its pods are looked after again; after a reboot their containers start anew. */
void kubelet_node_back(struct kubelet *k, struct node *node, bool rebooted);
void kubelet_stats(const struct kubelet *k, struct kubelet_stats *ret);
