/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator can choose; flags.c gives the defaults. Texts are borrowed from the command line. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct config {
        const char *controllers;  /* "*,-cronjob" */
        const char *root_ca_file; /* for kube-root-ca.crt; NULL: that of the kubeconfig */
        const char *cluster_cidr; /* "10.244.0.0/16,fd00:244::/56" or NULL */
        bool allocate_node_cidrs;
        uint32_t node_mask_v4, node_mask_v6;
        int64_t node_grace_ms; /* without a heartbeat: Unknown */
        int64_t node_startup_grace_ms;
        int64_t node_period_ms;                        /* between looks at all nodes */
        double eviction_rate, secondary_eviction_rate; /* nodes a second */
        uint32_t large_cluster;                        /* nodes; in smaller ones the secondary rate is 0 */
        double unhealthy_zone;                         /* part of a zone's nodes */
        uint32_t terminated_pod_threshold;
        uint32_t endpoints_per_slice;
        int64_t endpoint_batch_ms; /* changes of pods wait so long for others; 0: none */
        const char *root_ca;       /* PEM text, read at start */
};
