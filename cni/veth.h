/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's side of an attachment: a veth pair whose one end is born in the pod, and what the pod's end needs. */
#pragma once

#include "cni/netlink.h"
#include "cni/record.h"

enum {
        VETH_INDEX_TAKEN = 1000, /* of the host's end: try another */
        VETH_NAME_TAKEN,         /* of the host's end: by what a DEL has not removed yet, or a killed ADD has left */
        VETH_POD_NAME_TAKEN,     /* of the pod's end */
};

/* The host's end, up, and the pod's, down. netns: the pod's. 0, one of the above, or CNI_KERNEL. */
int veth_create(struct netlink *host, const struct attachment *a, int netns, struct err *reterr);
/* In the pod's network namespace: loopback, addresses, routes, neighbours. 0, CNI_EXISTS or CNI_KERNEL. */
int veth_configure_pod(struct netlink *pod, const struct attachment *a, struct err *reterr);
/* Takes 25-30 ms in the kernel. Missing is fine. 0 or CNI_KERNEL. */
int veth_delete(struct netlink *host, uint32_t ifindex, struct err *reterr);
/* The index of a device; 0 when there is none of that name. */
uint32_t veth_ifindex(struct netlink *nl, const char *name);
/* Joins the network namespace for the rest of the process, and opens a socket there. 0, CNI_KERNEL or CNI_NO_CONTAINER.
 */
int veth_enter(int netns, struct netlink *ret, struct err *reterr);
/* Opens CNI_NETNS. 0; CNI_NO_CONTAINER: it does not exist; or CNI_BAD_ENVIRONMENT: it is no network namespace, or the
 * plugin's own and not allowed to be. */
int veth_open_netns(const struct cni_env *env, int *ret, struct err *reterr);
/* The indexes of all veths named as ours are, of which wanted says false. */
int veth_list_stray(struct netlink *host, bool (*wanted)(const char *name, void *userdata), void *userdata,
                    uint32_t **ret, size_t *ret_n, struct err *reterr);
