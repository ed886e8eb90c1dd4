/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An attachment, and its record on disk: <runDir>/attachments/<containerID>-<ifname>.json (agent/README.md). It is
 * written before anything of the attachment exists in the kernel and removed before that is taken away, so a device
 * named fl* without a record is a leftover.
 */
#pragma once

#include <net/if.h>

#include "cni/conf.h"

#define ATTACHMENT_ADDRESSES 2
#define HOST_PREFIX          "fl"

struct attachment {
        char container_id[CONTAINER_ID_MAX + 1], ifname[IFNAME_SIZE], host_ifname[IFNAME_SIZE];
        uint32_t host_ifindex;
        struct mac host_mac, mac;
        struct addr addresses[ATTACHMENT_ADDRESSES]; /* at most one of each family */
        size_t naddresses;
        uint32_t mtu;
        char network[NETWORK_NAME_MAX + 1];
        char netns[NETNS_PATH_MAX + 1]; /* where the runtime said it is */
        char pod_namespace[CNI_ARG_SIZE], pod_name[CNI_ARG_SIZE], pod_uid[CNI_ARG_SIZE];
};

#define ATTACHMENT_ID_SIZE (CONTAINER_ID_MAX + 1 + IFNAME_SIZE)

/* "<containerID>-<ifname>". Returns buf. */
const char *attachment_id(const char *container_id, const char *ifname, char buf[static ATTACHMENT_ID_SIZE]);
/* "fl" and 12 digits of a hash of both: the same whenever it is asked for. */
void attachment_host_ifname(const char *container_id, const char *ifname, char buf[static IFNAME_SIZE]);
/* True for a name that attachment_host_ifname may give. */
bool attachment_is_host_ifname(const char *name);

/* Makes runDir, attachments/ and ipam/ where they are missing. 0 or CNI_IO. */
int record_prepare(const char *run_dir, struct err *reterr);
/* Durable when it returns 0. conf: port mappings and bandwidth. 0 or CNI_IO. */
int record_write(const struct attachment *a, const struct cni_conf *conf, struct err *reterr);
/* 0; 1: there is none, or it cannot be understood, or it belongs to another container or interface; or CNI_IO. */
int record_read(const char *run_dir, const char *id, struct attachment *ret, struct err *reterr);
bool record_exists(const char *run_dir, const char *id);
/* Gone already is fine. 0 or CNI_IO. */
int record_remove(const char *run_dir, const char *id, struct err *reterr);
/* The ids of all records, in an array of strings that the caller puts; an empty one when there is no folder. */
struct json_object *record_list(const char *run_dir);
/* Removes what killed writers have left. Holding the lock of ipam.h. */
void record_remove_temps(const char *run_dir);
