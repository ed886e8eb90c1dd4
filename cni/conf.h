/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network configuration of standard input. Keys are found in any case, exact ones first: Go's decoder does so, and
 * containerd relies on it (HostPort). Keys that nobody here knows are left alone, but for capabilities: a runtime sends
 * those only when the configuration declares that the plugin has them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "cni/address.h"
#include "cni/env.h"

#define CNI_STDIN_MAX     (1024 * 1024)
#define PORT_MAPPINGS_MAX 1024
#define REQUESTED_IPS_MAX 2
#define NETWORK_NAME_MAX  200
#define MTU_MIN           1280 /* what IPv6 needs (RFC 8200, 5) */
#define MTU_MAX           65535

#define RUN_DIR_DEFAULT "/run/fairlead"

enum cni_version {
        CNI_0_3_1,
        CNI_0_4_0,
        CNI_1_0_0,
        CNI_1_1_0,
        CNI_VERSIONS,
};

struct mac {
        uint8_t b[6];
};

struct port_mapping {
        uint16_t host_port, container_port;
        const char *protocol; /* "tcp" or "udp" */
        struct addr host_ip;  /* zero: all addresses of the node */
};

struct bandwidth {
        uint64_t ingress_rate, ingress_burst, egress_rate, egress_burst; /* bits a second, bits; 0: no limit */
};

struct cni_conf {
        struct json_object *root; /* owned; texts below are borrowed from it */
        enum cni_version version;
        const char *name, *run_dir;
        uint32_t mtu;          /* 0: node.json's */
        const char *ipam_type; /* NULL: our own */
        struct port_mapping *ports;
        size_t nports;
        struct bandwidth bandwidth;
        struct addr ips[REQUESTED_IPS_MAX];
        size_t nips;
        struct mac mac;                                            /* zero: a random one */
        struct json_object *dns, *prev_result, *valid_attachments; /* borrowed; NULL: absent */
};

#define CNI_CONF_NULL ((struct cni_conf){0})

const char *cni_version_text(enum cni_version version);
/* The member of that name in any case, an exact one before others; NULL when absent. */
struct json_object *conf_get(const struct json_object *obj, const char *key);
const char *conf_get_str(const struct json_object *obj, const char *key);

/* Reads what env's verb needs; on failure, too, ret->version holds what can be said of it (or 1.1.0).
 * 0, or an enum cni_code. */
int cni_conf_parse(const char *text, size_t len, const struct cni_env *env, struct cni_conf *ret, struct err *reterr);
void cni_conf_deinit(struct cni_conf *conf);

bool mac_is_zero(const struct mac *mac);
/* "02:00:00:00:00:01", unicast. 0 or -EINVAL. */
int mac_parse(const char *text, struct mac *ret);
#define MAC_TEXT_SIZE 18
const char *mac_text(const struct mac *mac, char buf[static MAC_TEXT_SIZE]);
