/* SPDX-License-Identifier: Apache-2.0 */
/* The vxlan device and other links: effects. */
#pragma once

#include "agent/net/devices.h"

/* Makes the device what is wanted, by what vxlan_check found, and tells its index. 0 or negative errno. */
int vxlan_apply(struct rtnl *rtnl, enum vxlan_verdict verdict, const struct vxlan_want *want, uint32_t *ret_ifindex,
                struct err *reterr);
/* 0, also when there is no such device, or negative errno. */
int link_delete(struct rtnl *rtnl, uint32_t ifindex, struct err *reterr);
