/* SPDX-License-Identifier: Apache-2.0 */
/* Plugging one pod in: effects only. Everything may be done again. */
#pragma once

#include "agent/net/dataplane.h"
#include "agent/net/inputs.h"
#include "agent/net/record.h"
#include "agent/net/routemap.h"
#include "bpf/abi/maps.h"

struct plug {
        const struct net_dataplane *dataplane;
        struct rtnl *rtnl;
        struct routemap *routes;
};

/* Pure: what the maps are told. */
struct pod_place plug_place(const struct record *r);
struct pod plug_pod(const struct record *r);
/* ret has room for two of each mapping. Returns the number. */
size_t plug_host_ports(const struct record *r, struct host_port *ret);

/* The device that the record names has to be there. The program is attached before the maps let the pod speak. */
int plug_in(const struct plug *p, const struct net_inputs *in, const struct record *r, struct err *reterr);
/* Out of the maps. */
void plug_out(const struct plug *p, const struct record *r);
