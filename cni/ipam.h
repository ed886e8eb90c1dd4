/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of the node's pod CIDRs. An address is given out when <runDir>/ipam/<address> is there: a symbolic link to
 * the attachment's id, because making one tells who has it in the same instant, and fails when somebody has it. An
 * address goes to the next one only after all others of its family were given out. The lock file holds hints: the last
 * address of each family and the last interface index.
 *
 * A lease is made, and its attachment's record written, under the same lock: a lease without a record, seen by whoever
 * has the lock, is what a killed ADD has left.
 */
#pragma once

#include "cni/node.h"
#include "cni/record.h"

/* The indexes of host sides. The dataplane finds a pod by the low 16 bits of the index (bpf/abi/maps.h), and the kernel
 * gives no index twice: from a range of just so many, no two pods have the same low bits. */
#define IFINDEX_FIRST 0x100000u
#define IFINDEX_COUNT 0x10000u

struct ipam {
        const char *run_dir; /* borrowed */
        char *folder;
        int lock;            /* < 0: not locked */
        struct addr last[2]; /* IPv4, IPv6; zero: none yet */
        uint32_t last_ifindex;
};

#define IPAM_NULL ((struct ipam){.lock = -1})

/* Waits for the lock, at most 10 s. run_dir must live on; its folders exist (record_prepare). 0, CNI_IO, CNI_TRY_LATER.
 */
int ipam_lock(const char *run_dir, struct ipam *ret, struct err *reterr);
/* Writes the hints down and gives the lock back. */
void ipam_unlock(struct ipam *ipam);
/* Gives back one address of each family that the node has ranges of, or the requested ones of those families.
 * 0, CNI_NO_ADDRESS, CNI_ADDRESS_REFUSED or CNI_IO; then nothing is leased. */
int ipam_lease(struct ipam *ipam, const struct node *node, const struct cni_conf *conf, struct attachment *a,
               struct err *reterr);
/* Releases what that attachment has of these addresses; n = 0: of all. */
void ipam_release(struct ipam *ipam, const char *id, const struct addr *addresses, size_t n);
/* Releases what belongs to attachments without a record. The number of them. */
size_t ipam_release_stray(struct ipam *ipam);
/* True when the address is leased to that attachment. Needs no lock, just ipam.folder. */
bool ipam_has(const struct ipam *ipam, const char *id, const struct addr *a);
/* The next interface index to try. */
uint32_t ipam_next_ifindex(struct ipam *ipam);
/* How many addresses of that family are still to be had; UINT64_MAX when the node has no range of it. */
uint64_t ipam_free(const struct ipam *ipam, const struct node *node, int family);
/* For ipam_has and ipam_free, without the lock. */
void ipam_init_unlocked(const char *run_dir, struct ipam *ret);
