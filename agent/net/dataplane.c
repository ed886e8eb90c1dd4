/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/net/dataplane.h"

static int attach_pod(void *userdata, uint32_t ifindex, struct err *reterr)
{
        return datapath_attach_pod(userdata, ifindex, reterr);
}

static int attach_overlay(void *userdata, uint32_t ifindex, struct err *reterr)
{
        return datapath_attach_overlay(userdata, ifindex, reterr);
}

static int attach_uplink(void *userdata, uint32_t ifindex, enum attach_mode *ret_tc, enum attach_mode *ret_xdp,
                         struct err *reterr)
{
        return datapath_attach_uplink(userdata, ifindex, ret_tc, ret_xdp, reterr);
}

static int attach_lo(void *userdata, uint32_t ifindex, struct err *reterr)
{
        return datapath_attach_lo(userdata, ifindex, reterr);
}

static void detach(void *userdata, uint32_t ifindex)
{
        datapath_detach(userdata, ifindex);
}

static bool attached(void *userdata, uint32_t ifindex)
{
        return datapath_attached(userdata, ifindex);
}

static void prune(void *userdata, bool (*keep)(void *userdata, uint32_t ifindex), void *keep_userdata)
{
        datapath_prune(userdata, keep, keep_userdata);
}

void net_dataplane_init(struct net_dataplane *d, struct datapath *dp)
{
        *d = (struct net_dataplane){
                .maps = datapath_maps(dp),
                .userdata = dp,
                .attach_pod = attach_pod,
                .attach_overlay = attach_overlay,
                .attach_uplink = attach_uplink,
                .attach_lo = attach_lo,
                .detach = detach,
                .attached = attached,
                .prune = prune,
        };
}
