/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

#include "agent/net/hostroutes.h"
#include "agent/net/plug.h"
#include "agent/net/sysctl.h"
#include "base/str.h"
#include "datapath/address.h"

struct pod_place plug_place(const struct record *r)
{
        struct pod_place p = {.ifindex = r->host_ifindex, .v4 = r->v4, .v6 = r->v6};

        memcpy(p.mac, r->mac, sizeof(p.mac));
        return p;
}

struct pod plug_pod(const struct record *r)
{
        struct pod p = {
                .ifindex = r->host_ifindex,
                .v4 = r->v4,
                .v6 = r->v6,
                .egress_bps = r->bandwidth.egress_rate,
                .egress_burst = r->bandwidth.egress_burst,
                .ingress_bps = r->bandwidth.ingress_rate,
                .ingress_burst = r->bandwidth.ingress_burst,
        };

        memcpy(p.mac, r->mac, sizeof(p.mac));
        memcpy(p.host_mac, r->host_mac, sizeof(p.host_mac));
        return p;
}

size_t plug_host_ports(const struct record *r, struct host_port *ret)
{
        size_t n = 0;

        for (size_t i = 0; i < r->ports_n; i++) {
                const struct port_mapping *p = &r->ports[i];
                const struct addr *ips[] = {p->any_v4 ? &r->v4 : NULL, p->any_v6 ? &r->v6 : NULL};

                for (size_t k = 0; k < ARRAY_SIZE(ips); k++) {
                        struct host_port *h = &ret[n];

                        if (!ips[k] || address_is_zero(ips[k]))
                                continue;
                        memset(h, 0, sizeof(*h));
                        str_copy(h->owner, sizeof(h->owner), r->pod);
                        h->host_ip = p->host_ip;
                        h->pod_ip = *ips[k];
                        h->host_port = p->host_port;
                        h->container_port = p->container_port;
                        h->proto = p->proto;
                        n++;
                }
        }
        return n;
}

static int check_device(const struct plug *p, const struct record *r, struct err *reterr)
{
        struct net_link l;
        struct ifinfomsg *i;
        struct rtnl_msg m;
        int res = kernel_link(p->rtnl, r->host_ifname, &l, reterr);

        if (res < 0)
                return res;
        if (l.ifindex != r->host_ifindex)
                return err_set(reterr, -ENODEV, "device %s has the index %u, the record says %u: it is another one",
                               r->host_ifname, l.ifindex, r->host_ifindex);
        if (!str_eq(l.kind, "veth"))
                return err_set(reterr, -EINVAL, "device %s is no veth", r->host_ifname);
        if (l.flags & IFF_UP)
                return 0;
        i = rtnl_msg_init(&m, RTM_NEWLINK, 0, sizeof(*i));
        i->ifi_index = (int)l.ifindex;
        i->ifi_flags = i->ifi_change = IFF_UP;
        res = rtnl_do(p->rtnl, &m, reterr);
        return res < 0 ? err_prefix(reterr, res, "cannot bring %s up", r->host_ifname) : 0;
}

static int check_addresses(const struct net_inputs *in, const struct record *r, struct err *reterr)
{
        const struct addr *own[] = {&r->v4, &r->v6};
        char text[ADDRESS_TEXT];

        for (size_t i = 0; i < ARRAY_SIZE(own); i++)
                if (!address_is_zero(own[i]) && net_address_find(in->state, own[i]))
                        return err_set(reterr, -EADDRINUSE, "address %s is this host's own",
                                       address_text(own[i], text));
        return 0;
}

static int write_maps(const struct plug *p, const struct record *r, struct err *reterr)
{
        const uint32_t slot = r->host_ifindex % POD_SLOTS;
        const struct addr *own[] = {&r->v4, &r->v6};
        const struct pod pod = plug_pod(r);
        struct route route = {.type = ROUTE_POD, .ifindex = r->host_ifindex};
        int res = map_update(p->dataplane->maps->m[MAP_PODS], &slot, &pod);

        if (res)
                return err_set(reterr, res < 0 ? res : -ENOSPC, "cannot write the map pods: %s",
                               strerror(res < 0 ? -res : ENOSPC));
        memcpy(route.mac, r->mac, sizeof(route.mac));
        for (size_t i = 0; i < ARRAY_SIZE(own) && !res; i++)
                if (!address_is_zero(own[i]))
                        res = routemap_set(p->routes, own[i], &route, reterr);
        return res;
}

static int set_host_route(const struct plug *p, const struct net_route *route, struct err *reterr)
{
        struct host_route_op op = {HOST_ROUTE_REPLACE, *route};

        /* Whatever leads to this very address is of an attachment that was here before. */
        return host_route_apply(p->rtnl, &op, reterr);
}

static int set_host_routes(const struct plug *p, const struct net_inputs *in, const struct record *r,
                           struct err *reterr)
{
        _cleanup_(host_routes_deinit) struct host_routes routes = HOST_ROUTES_NULL;
        const struct pod_place place = plug_place(r);
        int res = 0;

        host_routes_of_pod(in, &place, &routes);
        for (size_t i = 0; i < routes.count && res == 0; i++) {
                struct net_neighbour n = {.ifindex = r->host_ifindex, .addr = routes.items[i].dst};

                memcpy(n.mac, r->mac, sizeof(n.mac));
                res = set_host_route(p, &routes.items[i], reterr);
                if (res == 0)
                        res = host_neighbour_set(p->rtnl, &n, reterr);
        }
        return res;
}

int plug_in(const struct plug *p, const struct net_inputs *in, const struct record *r, struct err *reterr)
{
        int res = check_addresses(in, r, reterr);

        if (res == 0)
                res = check_device(p, r, reterr);
        if (res == 0)
                res = p->dataplane->attach_pod(p->dataplane->userdata, r->host_ifindex, reterr);
        if (res < 0)
                return res;
        sysctl_ensure_device("ipv4", r->host_ifname, "rp_filter", sysctl_off, NULL);
        res = write_maps(p, r, reterr);
        return res < 0 ? res : set_host_routes(p, in, r, reterr);
}

void plug_out(const struct plug *p, const struct record *r)
{
        static const struct pod none;
        const uint32_t slot = r->host_ifindex % POD_SLOTS;
        struct map *pods = p->dataplane->maps->m[MAP_PODS];
        struct pod there;

        if (map_lookup(pods, &slot, &there) == 0 && there.ifindex == r->host_ifindex)
                map_update(pods, &slot, &none);
        routemap_forget_pod(p->routes, &r->v4, r->host_ifindex);
        routemap_forget_pod(p->routes, &r->v6, r->host_ifindex);
}
