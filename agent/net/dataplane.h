/* SPDX-License-Identifier: Apache-2.0 */
/* What the network side needs of userspace/datapath, so that tests can put something else behind it. */
#pragma once

#include "datapath/object.h"

struct net_dataplane {
        struct maps *maps;
        void *userdata;
        /* As the functions of datapath/object.h that are named alike. */
        int (*attach_pod)(void *userdata, uint32_t ifindex, struct err *reterr);
        int (*attach_overlay)(void *userdata, uint32_t ifindex, struct err *reterr);
        int (*attach_uplink)(void *userdata, uint32_t ifindex, enum attach_mode *ret_tc, enum attach_mode *ret_xdp,
                             struct err *reterr);
        int (*attach_lo)(void *userdata, uint32_t ifindex, struct err *reterr);
        void (*detach)(void *userdata, uint32_t ifindex);
        bool (*attached)(void *userdata, uint32_t ifindex);
        void (*prune)(void *userdata, bool (*keep)(void *userdata, uint32_t ifindex), void *keep_userdata);
};

/* The real one; dp is borrowed. */
void net_dataplane_init(struct net_dataplane *d, struct datapath *dp);
