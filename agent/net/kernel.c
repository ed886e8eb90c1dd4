/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#include "agent/net/kernel.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/address.h"

#define HOST_SIDE_DIGITS 12

void net_state_deinit(struct net_state *s)
{
        free(s->links);
        free(s->addresses);
        free(s->routes);
        free(s->neighbours);
        *s = NET_STATE_NULL;
}

static void *grow(void *items, size_t n, size_t *cap, size_t size)
{
        if (n < *cap)
                return items;
        *cap = MAX(16, *cap * 2);
        return mem_realloc(items, *cap, size);
}

#define NET_STATE_ADD(type, one, many)                                                                                 \
        struct type *net_state_add_##one(struct net_state *s)                                                          \
        {                                                                                                              \
                s->many = grow(s->many, s->many##_n, &s->many##_cap, sizeof(*s->many));                                \
                memset(&s->many[s->many##_n], 0, sizeof(*s->many));                                                    \
                return &s->many[s->many##_n++];                                                                        \
        }

NET_STATE_ADD(net_link, link, links)
NET_STATE_ADD(net_address, address, addresses)
NET_STATE_ADD(net_route, route, routes)
NET_STATE_ADD(net_neighbour, neighbour, neighbours)

const struct net_link *net_link_by_index(const struct net_state *s, uint32_t ifindex)
{
        for (size_t i = 0; i < s->links_n; i++)
                if (s->links[i].ifindex == ifindex)
                        return &s->links[i];
        return NULL;
}

const struct net_link *net_link_by_name(const struct net_state *s, const char *name)
{
        for (size_t i = 0; i < s->links_n; i++)
                if (str_eq(s->links[i].name, name))
                        return &s->links[i];
        return NULL;
}

const struct net_address *net_address_find(const struct net_state *s, const struct addr *a)
{
        for (size_t i = 0; i < s->addresses_n; i++)
                if (s->addresses[i].usable && address_equal(&s->addresses[i].addr, a))
                        return &s->addresses[i];
        return NULL;
}

bool net_is_host_side(const char *name)
{
        const char *digits = str_after(name, "fl");

        return digits && strlen(digits) == HOST_SIDE_DIGITS && strspn(digits, "0123456789abcdef") == HOST_SIDE_DIGITS;
}

/* ---- reading answers. All attributes' sizes are looked at: the struct's bytes are the kernel's, but of which one? */

static bool has(const struct nlattr *a, int size)
{
        return a && nla_len(a) >= size;
}

static uint32_t u32_of(const struct nlattr *a)
{
        return has(a, 4) ? nla_get_u32(a) : 0;
}

static bool flag_of(const struct nlattr *a)
{
        return has(a, 1) && nla_get_u8(a);
}

static bool addr_of(const struct nlattr *a, int family, struct addr *ret)
{
        __be32 v4;

        if (family == AF_INET && has(a, 4)) {
                memcpy(&v4, nla_data(a), sizeof(v4));
                *ret = address_of_v4(v4);
                return true;
        }
        if (family == AF_INET6 && has(a, 16)) {
                *ret = address_of_v6(nla_data(a));
                return true;
        }
        return false;
}

static uint32_t bits_of(int family, uint8_t prefix)
{
        return family == AF_INET ? prefix + (uint32_t)ADDR_V4_BITS : prefix;
}

static void text_of(const struct nlattr *a, char *dst, size_t size)
{
        if (has(a, 1))
                nla_strlcpy(dst, a, size);
}

static void read_vxlan(const struct nlattr *data, struct net_vxlan *ret)
{
        struct nlattr *a[IFLA_VXLAN_MAX + 1];

        if (!data || nla_parse_nested(a, IFLA_VXLAN_MAX, (struct nlattr *)data, NULL) < 0)
                return;
        ret->vni = u32_of(a[IFLA_VXLAN_ID]);
        ret->port = has(a[IFLA_VXLAN_PORT], 2) ? ntohs(nla_get_u16(a[IFLA_VXLAN_PORT])) : 0;
        ret->external = flag_of(a[IFLA_VXLAN_COLLECT_METADATA]);
        ret->zero_csum6_rx = flag_of(a[IFLA_VXLAN_UDP_ZERO_CSUM6_RX]);
        ret->learning = flag_of(a[IFLA_VXLAN_LEARNING]);
}

static void read_link_info(const struct nlattr *info, struct net_link *l)
{
        struct nlattr *a[IFLA_INFO_MAX + 1];

        if (!info || nla_parse_nested(a, IFLA_INFO_MAX, (struct nlattr *)info, NULL) < 0)
                return;
        text_of(a[IFLA_INFO_KIND], l->kind, sizeof(l->kind));
        if (str_eq(l->kind, "vxlan"))
                read_vxlan(a[IFLA_INFO_DATA], &l->vxlan);
}

static bool read_link(const struct nlmsghdr *h, struct net_link *ret)
{
        const struct ifinfomsg *m = NLMSG_DATA(h);
        struct nlattr *a[IFLA_MAX + 1];

        if (h->nlmsg_type != RTM_NEWLINK || nlmsg_parse((struct nlmsghdr *)h, sizeof(*m), a, IFLA_MAX, NULL) < 0)
                return false;
        ret->ifindex = (uint32_t)m->ifi_index;
        ret->flags = m->ifi_flags;
        ret->mtu = u32_of(a[IFLA_MTU]);
        ret->master = u32_of(a[IFLA_MASTER]);
        text_of(a[IFLA_IFNAME], ret->name, sizeof(ret->name));
        if (has(a[IFLA_ADDRESS], 6) && nla_len(a[IFLA_ADDRESS]) == 6)
                memcpy(ret->mac, nla_data(a[IFLA_ADDRESS]), 6);
        read_link_info(a[IFLA_LINKINFO], ret);
        return true;
}

static void on_link(void *userdata, const struct nlmsghdr *h)
{
        struct net_link l = {0};

        if (read_link(h, &l))
                *net_state_add_link(userdata) = l;
}

static void on_address(void *userdata, const struct nlmsghdr *h)
{
        const struct ifaddrmsg *m = NLMSG_DATA(h);
        struct nlattr *a[IFA_MAX + 1];
        struct net_address *ret;
        struct addr addr;
        uint32_t flags;

        if (h->nlmsg_type != RTM_NEWADDR || nlmsg_parse((struct nlmsghdr *)h, sizeof(*m), a, IFA_MAX, NULL) < 0)
                return;
        /* IFA_ADDRESS of a point-to-point link is the other side's. */
        if (!addr_of(a[IFA_LOCAL] ? a[IFA_LOCAL] : a[IFA_ADDRESS], m->ifa_family, &addr))
                return;
        flags = a[IFA_FLAGS] ? u32_of(a[IFA_FLAGS]) : m->ifa_flags;
        ret = net_state_add_address(userdata);
        ret->ifindex = m->ifa_index;
        ret->addr = addr;
        ret->bits = bits_of(m->ifa_family, m->ifa_prefixlen);
        ret->scope = m->ifa_scope;
        ret->usable = !(flags & IFA_F_DADFAILED) && (!(flags & IFA_F_TENTATIVE) || flags & IFA_F_OPTIMISTIC);
        /* The same bit says "temporary" of an IPv6 address: neither is one to be known by. */
        ret->secondary = flags & IFA_F_SECONDARY;
}

static void add_next_hops(struct net_state *s, const struct net_route *route, const struct nlattr *multipath)
{
        const struct rtnexthop *hop = nla_data(multipath);
        int left = nla_len(multipath);

        for (; RTNH_OK(hop, left); left -= (int)RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
                struct net_route *r = net_state_add_route(s);

                *r = *route;
                r->ifindex = (uint32_t)hop->rtnh_ifindex;
        }
}

static bool matters(const struct rtmsg *m)
{
        bool ours = m->rtm_protocol == NET_ROUTE_PROTOCOL;

        if ((m->rtm_family != AF_INET && m->rtm_family != AF_INET6) || m->rtm_flags & RTM_F_CLONED)
                return false;
        return m->rtm_type == RTN_UNICAST ? ours || !m->rtm_dst_len : ours && m->rtm_type == RTN_UNREACHABLE;
}

static uint32_t mtu_of(const struct nlattr *metrics)
{
        struct nlattr *a[RTAX_MAX + 1];

        if (!metrics || nla_parse_nested(a, RTAX_MAX, (struct nlattr *)metrics, NULL) < 0)
                return 0;
        return u32_of(a[RTAX_MTU]);
}

static void on_route(void *userdata, const struct nlmsghdr *h)
{
        const struct rtmsg *m = NLMSG_DATA(h);
        struct nlattr *a[RTA_MAX + 1];
        struct net_route r = {0};

        if (h->nlmsg_type != RTM_NEWROUTE || nlmsg_parse((struct nlmsghdr *)h, sizeof(*m), a, RTA_MAX, NULL) < 0)
                return;
        if (!matters(m) || (a[RTA_TABLE] ? u32_of(a[RTA_TABLE]) : m->rtm_table) != RT_TABLE_MAIN)
                return;
        if (!addr_of(a[RTA_DST], m->rtm_family, &r.dst) && m->rtm_family == AF_INET)
                r.dst = address_of_v4(0);
        r.bits = bits_of(m->rtm_family, m->rtm_dst_len);
        r.ifindex = u32_of(a[RTA_OIF]);
        r.protocol = m->rtm_protocol;
        r.unreachable = m->rtm_type == RTN_UNREACHABLE;
        addr_of(a[RTA_GATEWAY], m->rtm_family, &r.via);
        addr_of(a[RTA_PREFSRC], m->rtm_family, &r.src);
        r.mtu = mtu_of(a[RTA_METRICS]);
        if (a[RTA_MULTIPATH])
                add_next_hops(userdata, &r, a[RTA_MULTIPATH]);
        else
                *net_state_add_route(userdata) = r;
}

static void on_neighbour(void *userdata, const struct nlmsghdr *h)
{
        const struct ndmsg *m = NLMSG_DATA(h);
        struct nlattr *a[NDA_MAX + 1];
        struct net_neighbour *n;
        struct addr addr;

        if (h->nlmsg_type != RTM_NEWNEIGH || nlmsg_parse((struct nlmsghdr *)h, sizeof(*m), a, NDA_MAX, NULL) < 0)
                return;
        if (!(m->ndm_state & NUD_PERMANENT) || !has(a[NDA_LLADDR], 6) || !addr_of(a[NDA_DST], m->ndm_family, &addr))
                return;
        n = net_state_add_neighbour(userdata);
        n->ifindex = (uint32_t)m->ndm_ifindex;
        n->addr = addr;
        memcpy(n->mac, nla_data(a[NDA_LLADDR]), 6);
}

static void restart_links(void *userdata)
{
        ((struct net_state *)userdata)->links_n = 0;
}

static void restart_addresses(void *userdata)
{
        ((struct net_state *)userdata)->addresses_n = 0;
}

static void restart_routes(void *userdata)
{
        ((struct net_state *)userdata)->routes_n = 0;
}

static void restart_neighbours(void *userdata)
{
        ((struct net_state *)userdata)->neighbours_n = 0;
}

static const struct {
        uint16_t type;
        size_t header;
        rtnl_dump_fn fn;
        void (*restart)(void *userdata);
        const char *what;
} dumps[] = {
        {RTM_GETLINK, sizeof(struct ifinfomsg), on_link, restart_links, "links"},
        {RTM_GETADDR, sizeof(struct ifaddrmsg), on_address, restart_addresses, "addresses"},
        {RTM_GETROUTE, sizeof(struct rtmsg), on_route, restart_routes, "routes"},
        {RTM_GETNEIGH, sizeof(struct ndmsg), on_neighbour, restart_neighbours, "neighbours"},
};

int kernel_dump(struct rtnl *rtnl, struct net_state *ret, struct err *reterr)
{
        _cleanup_(net_state_deinit) struct net_state s = NET_STATE_NULL;

        for (size_t i = 0; i < ARRAY_SIZE(dumps); i++) {
                struct rtnl_msg m;
                int res;

                rtnl_msg_init(&m, dumps[i].type, 0, dumps[i].header);
                res = rtnl_dump(rtnl, &m, dumps[i].fn, dumps[i].restart, &s, reterr);
                if (res < 0)
                        return err_prefix(reterr, res, "cannot list the kernel's %s", dumps[i].what);
        }
        net_state_deinit(ret);
        *ret = s;
        s = NET_STATE_NULL;
        return 0;
}

static void on_one_link(void *userdata, const struct nlmsghdr *h)
{
        read_link(h, userdata);
}

int kernel_link(struct rtnl *rtnl, const char *name, struct net_link *ret, struct err *reterr)
{
        struct net_link l = {0};
        struct rtnl_msg m;
        int res;

        rtnl_msg_init(&m, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
        rtnl_put_str(&m, IFLA_IFNAME, name);
        res = rtnl_get(rtnl, &m, on_one_link, &l, reterr);
        if (res < 0)
                return err_prefix(reterr, res, "device %s", name);
        *ret = l;
        return 0;
}
