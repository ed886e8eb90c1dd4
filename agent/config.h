/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent was told: built-in defaults, over them one YAML file (--config), over that flags. One table in
 * config.c describes every setting (key in the file, flag, type, default, help), and --help is made of it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "bpf/abi/config.h"
#include "datapath/object.h"

enum routing_mode {
        ROUTING_VXLAN,
        ROUTING_NATIVE,
};

struct string_list {
        char **items;
        size_t count;
};

struct agent_config {
        char *kubeconfig;
        char *node_name;                         /* --node-name; default: the host's name, lower case */
        enum routing_mode routing;               /* routing: vxlan */
        uint32_t vxlan_port, vni;                /* 8472, 1 */
        struct string_list devices;              /* NICs; empty: those with a default route or a node address */
        struct string_list node_ips;             /* empty: the InternalIPs of the Node object that are on this host */
        struct string_list nodeport_addresses;   /* CIDRs; empty: every node address */
        uint32_t nodeport_min, nodeport_max;     /* 30000-32767, for --help and checks only */
        struct string_list non_masquerade_cidrs; /* added to the cluster's pod CIDRs and node addresses */
        struct string_list service_cidrs;        /* empty: those of the API's ServiceCIDR objects */
        bool masquerade, socket_path, bind_protect, nodeport_loopback, xdp, xdp_generic, tcx,
                vxlan_direct;                  /* all true but xdp_generic */
        uint32_t mtu;                          /* of the pods; 0: from the NICs */
        uint32_t snat_port_min, snat_port_max; /* 61000-65535: outside net.ipv4.ip_local_port_range's default */
        struct flow_timeouts timeouts;
        struct datapath_sizes sizes;
        uint32_t flow_entries;              /* 131072; becomes a power of two of sets */
        uint32_t mark;                      /* 0x00800000 */
        uint32_t drop_events_per_s;         /* 20 */
        char *pin_root;                     /* /sys/fs/bpf/fairlead */
        char *cgroup_root;                  /* NULL: found */
        char *run_dir;                      /* /run/fairlead: agent.sock, node.json, attachments/, ipam/ */
        char *cni_conf_dir, *cni_conf_name; /* /etc/cni/net.d, 05-fairlead.conflist */
        char *service_proxy_name; /* NULL: services without the label service.kubernetes.io/service-proxy-name */
        char *health_address;     /* 0.0.0.0:10256: /healthz /livez /metrics */
        uint32_t min_sync_ms, max_sync_ms; /* a batch waits that long for more: 1 and 20 */
        char *log_level;
};

/* 0; CONFIG_EXIT after --help or --version was printed; or negative errno with a message that names the file, line, key
 * or flag, and what would be right. */
enum { CONFIG_EXIT = 1 };
int agent_config_parse(int argc, char **argv, struct agent_config *ret, struct err *reterr);
void agent_config_deinit(struct agent_config *config);
