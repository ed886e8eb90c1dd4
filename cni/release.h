/* SPDX-License-Identifier: Apache-2.0 */
/* Taking an attachment away: what DEL, GC and an ADD that fails half-way have in common. */
#pragma once

#include "cni/ipam.h"
#include "cni/netlink.h"

/* Removes the record, gives the addresses back and tells the agent; devices stay. a: NULL when there is no record, or
 * none that can be understood. Holding the lock. 0 or CNI_IO. */
int release_locked(struct ipam *ipam, const char *id, const struct attachment *a, struct err *reterr);
/* The same, taking the lock; without a run folder there is nothing to do. */
int release(const char *run_dir, const char *id, const struct attachment *a, struct err *reterr);
/* Removes the host side (and with it the pod's) of that name, now. */
int release_device(struct netlink *host, const char *host_ifname, struct err *reterr);
/* The same, by a child that this process does not wait for: the kernel takes 25-30 ms for it. */
int release_device_later(struct netlink *host, const char *host_ifname, struct err *reterr);
