/* SPDX-License-Identifier: Apache-2.0 */
/* What the kubelet was told on its command line. One table in config.c describes every flag, and --help is made of it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define CONFIG_LIST_MAX 32

/* "a,b,c" cut up; ends with NULL. */
struct config_list {
        char *text;
        const char *items[CONFIG_LIST_MAX + 1];
};

/* Texts are borrowed from the command line. */
struct kubelet_config {
        const char *kubeconfig, *log_level;
        const char *node_name; /* the host's name, lower case, when not given */
        struct config_list node_ips, node_labels, taints, cluster_dns;
        bool register_node;
        const char *provider_id, *reserved, *eviction_hard, *eviction_reclaim;
        uint32_t max_pods;
        int64_t lease_ms, status_ms, eviction_transition_ms, image_min_age_ms;

        const char *address;
        uint32_t port;
        const char *cert_file, *key_file, *client_ca_file, *client_name;
        const char *health_address; /* "none": not served */

        const char *root_dir, *run_dir, *image_dir, *log_dir, *static_pods, *cgroup_root, *seccomp_dir;
        const char *cluster_domain, *resolv_conf;
        const char *cni_conf_dir, *cni_bin_dirs;
        int64_t cni_timeout_ms;

        const char *registries_conf, *registry_certs, *image_disk_folder, *image_max_size;
        uint32_t parallel_pulls, image_gc_high, image_gc_low;
        uint32_t pod_max_pids;    /* 0: POD_MAX_PIDS where that costs nothing */
        const char *log_max_size; /* a quantity */
        uint32_t log_max_files;
        int64_t backoff_initial_ms, backoff_max_ms;

        const char *shim, *crun, *skopeo, *umoci;

        char own_name[256], own_shim[512];
        uint64_t log_max_bytes, image_max_bytes;
};

/* 0; FLAGS_EXIT after --help or --version was printed; or -EINVAL with the flag and what would be right. */
int kubelet_config_parse(int argc, char **argv, struct kubelet_config *ret, struct err *reterr);
void kubelet_config_deinit(struct kubelet_config *config);
