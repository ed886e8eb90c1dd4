/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <string.h>

#include "cni/inspect.h"

/* The address in an attribute; zero when it is missing or of another size. */
static struct addr address_of(struct nlattr *attr, int family)
{
        struct addr a = {0};

        if (attr && family == AF_INET && nla_len(attr) == 4) {
                a.w[2] = htonl(0xffff);
                memcpy(&a.w[3], nla_data(attr), 4);
        } else if (attr && family == AF_INET6 && nla_len(attr) == 16) {
                memcpy(&a, nla_data(attr), 16);
        }
        return a;
}

static struct mac mac_of(struct nlattr *attr)
{
        struct mac mac = {{0}};

        if (attr && nla_len(attr) == sizeof(mac))
                memcpy(&mac, nla_data(attr), sizeof(mac));
        return mac;
}

static void read_link(struct nlmsghdr *h, void *userdata)
{
        struct link_state *link = userdata;
        struct ifinfomsg *i = nlmsg_data(h);
        struct nlattr *attrs[IFLA_MAX + 1];

        if (nlmsg_parse(h, sizeof(*i), attrs, IFLA_MAX, NULL))
                return;
        link->ifindex = (uint32_t)i->ifi_index;
        link->up = i->ifi_flags & IFF_UP;
        link->mtu = attrs[IFLA_MTU] ? nla_get_u32(attrs[IFLA_MTU]) : 0;
        link->mac = mac_of(attrs[IFLA_ADDRESS]);
}

int inspect_link(struct netlink *nl, const char *name, struct link_state *ret, struct err *reterr)
{
        static const struct ifinfomsg any = {0};
        struct nl_msg *msg = netlink_request(RTM_GETLINK, 0, &any, sizeof(any));
        struct link_state link = {0};
        int r;

        if (nla_put_string(msg, IFLA_IFNAME, name))
                abort();
        r = netlink_ask(nl, msg, read_link, &link, reterr);
        if (r && r != -ENODEV)
                return r;
        *ret = link;
        return 0;
}

static void read_address(struct nlmsghdr *h, void *userdata)
{
        struct pod_state *pod = userdata;
        struct ifaddrmsg *m = nlmsg_data(h);
        struct nlattr *attrs[IFA_MAX + 1];

        if (h->nlmsg_type != RTM_NEWADDR || m->ifa_index != pod->link.ifindex || m->ifa_scope == RT_SCOPE_LINK ||
            pod->naddresses == INSPECT_MAX || nlmsg_parse(h, sizeof(*m), attrs, IFA_MAX, NULL))
                return;
        pod->addresses[pod->naddresses] =
                address_of(attrs[IFA_LOCAL] ? attrs[IFA_LOCAL] : attrs[IFA_ADDRESS], m->ifa_family);
        pod->prefixes[pod->naddresses++] = m->ifa_prefixlen;
}

static void read_route(struct nlmsghdr *h, void *userdata)
{
        struct pod_state *pod = userdata;
        struct rtmsg *m = nlmsg_data(h);
        struct nlattr *attrs[RTA_MAX + 1];

        if (h->nlmsg_type != RTM_NEWROUTE || m->rtm_table != RT_TABLE_MAIN || m->rtm_type != RTN_UNICAST ||
            pod->nroutes == INSPECT_MAX || nlmsg_parse(h, sizeof(*m), attrs, RTA_MAX, NULL) || !attrs[RTA_OIF] ||
            nla_get_u32(attrs[RTA_OIF]) != pod->link.ifindex)
                return;
        pod->routes[pod->nroutes++] = (struct route_state){.to = address_of(attrs[RTA_DST], m->rtm_family),
                                                           .bits = m->rtm_dst_len,
                                                           .via = address_of(attrs[RTA_GATEWAY], m->rtm_family)};
}

static void read_neighbour(struct nlmsghdr *h, void *userdata)
{
        struct pod_state *pod = userdata;
        struct ndmsg *m = nlmsg_data(h);
        struct nlattr *attrs[NDA_MAX + 1];

        if (h->nlmsg_type != RTM_NEWNEIGH || (uint32_t)m->ndm_ifindex != pod->link.ifindex ||
            pod->nneighbours == INSPECT_MAX || nlmsg_parse(h, sizeof(*m), attrs, NDA_MAX, NULL))
                return;
        pod->neighbours[pod->nneighbours++] =
                (struct neighbour_state){.address = address_of(attrs[NDA_DST], m->ndm_family),
                                         .mac = mac_of(attrs[NDA_LLADDR]),
                                         .permanent = m->ndm_state & NUD_PERMANENT};
}

int inspect_pod(struct netlink *pod, const char *ifname, struct pod_state *ret, struct err *reterr)
{
        static const struct ifaddrmsg addresses = {0};
        static const struct rtmsg routes = {.rtm_table = RT_TABLE_MAIN};
        static const struct ndmsg neighbours = {0};
        struct pod_state state = {0};
        int r = inspect_link(pod, ifname, &state.link, reterr);

        if (!r && state.link.ifindex)
                r = netlink_ask(pod, netlink_request(RTM_GETADDR, NLM_F_DUMP, &addresses, sizeof(addresses)),
                                read_address, &state, reterr);
        if (!r && state.link.ifindex)
                r = netlink_ask(pod, netlink_request(RTM_GETROUTE, NLM_F_DUMP, &routes, sizeof(routes)), read_route,
                                &state, reterr);
        if (!r && state.link.ifindex)
                r = netlink_ask(pod, netlink_request(RTM_GETNEIGH, NLM_F_DUMP, &neighbours, sizeof(neighbours)),
                                read_neighbour, &state, reterr);
        if (!r)
                *ret = state;
        return r;
}
