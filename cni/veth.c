/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/nsfs.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <netlink/attr.h>
#include <sched.h>
#include <string.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "cni/code.h"
#include "cni/node.h"
#include "cni/veth.h"

#define LOOPBACK_INDEX 1

static int kernel_error(int r, struct err *reterr)
{
        if (reterr)
                reterr->code = CNI_KERNEL;
        return r ? CNI_KERNEL : 0;
}

static bool same_netns_as_own(int fd)
{
        struct stat a, b;

        return fstat(fd, &a) == 0 && stat("/proc/self/ns/net", &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int veth_open_netns(const struct cni_env *env, int *ret, struct err *reterr)
{
        /* O_NONBLOCK: the path may lead to anything, a FIFO too. */
        _cleanup_close_ int fd = open(env->netns, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
                return err_set(reterr, CNI_NO_CONTAINER, "CNI_NETNS: the network namespace %s does not exist",
                               env->netns);
        if (fd < 0)
                return err_set(reterr, CNI_BAD_ENVIRONMENT, "CNI_NETNS: cannot open %s: %s", env->netns,
                               strerror(errno));
        if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
                return err_set(reterr, CNI_BAD_ENVIRONMENT, "CNI_NETNS: %s is not a network namespace", env->netns);
        if (!env->netns_override && same_netns_as_own(fd))
                return err_set(reterr, CNI_BAD_ENVIRONMENT,
                               "CNI_NETNS: %s is the network namespace that the plugin runs in, the host's "
                               "(CNI_NETNS_OVERRIDE=true allows it)",
                               env->netns);
        *ret = TAKE_FD(fd);
        return 0;
}

int veth_enter(int netns, struct netlink *ret, struct err *reterr)
{
        if (setns(netns, CLONE_NEWNET))
                return err_set(reterr, CNI_KERNEL, "cannot enter the pod's network namespace: %s", strerror(errno));
        return kernel_error(netlink_open(ret, reterr), reterr);
}

static struct nlattr *nest(struct nl_msg *msg, int type)
{
        struct nlattr *attr = nla_nest_start(msg, type);

        if (!attr)
                abort(); /* messages have a fixed size, and room for all that goes in */
        return attr;
}

static void put(struct nl_msg *msg, int type, const void *data, size_t n)
{
        if (nla_put(msg, type, (int)n, data))
                abort();
}

static void put_u32(struct nl_msg *msg, int type, uint32_t v)
{
        put(msg, type, &v, sizeof(v));
}

static void put_text(struct nl_msg *msg, int type, const char *text)
{
        put(msg, type, text, strlen(text) + 1);
}

/* The end of a pair: what is the same of both. */
static void put_end(struct nl_msg *msg, const char *name, const struct mac *mac, uint32_t mtu)
{
        put_text(msg, IFLA_IFNAME, name);
        put(msg, IFLA_ADDRESS, mac, sizeof(*mac));
        put_u32(msg, IFLA_MTU, mtu);
        /* By default a veth has a queue for each CPU, which costs time and memory at its making and helps nobody: it
         * takes no lock to send, and no XDP program works at it. */
        put_u32(msg, IFLA_NUM_TX_QUEUES, 1);
        put_u32(msg, IFLA_NUM_RX_QUEUES, 1);
}

static void put_peer(struct nl_msg *msg, const struct attachment *a, int netns)
{
        struct nlattr *info = nest(msg, IFLA_LINKINFO), *data, *peer;
        static const struct ifinfomsg none = {0};

        put_text(msg, IFLA_INFO_KIND, "veth");
        data = nest(msg, IFLA_INFO_DATA);
        peer = nest(msg, VETH_INFO_PEER);
        if (nlmsg_append(msg, (void *)&none, sizeof(none), NLMSG_ALIGNTO))
                abort();
        put_end(msg, a->ifname, &a->mac, a->mtu);
        put_u32(msg, IFLA_NET_NS_FD, (uint32_t)netns);
        nla_nest_end(msg, peer);
        nla_nest_end(msg, data);
        nla_nest_end(msg, info);
}

static void add_pair(struct netlink *host, const struct attachment *a, int netns)
{
        struct ifinfomsg i = {.ifi_index = (int)a->host_ifindex};
        struct nl_msg *msg = netlink_request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &i, sizeof(i));

        put_end(msg, a->host_ifname, &a->host_mac, a->mtu);
        put_peer(msg, a, netns);
        netlink_add(host, msg, 0, "create the veth pair %s and %s", a->host_ifname, a->ifname);
}

/* Up, and without a link-local address of its own: nobody speaks to it, and its discovery would cost the pod's first
 * second. */
static void add_host_up(struct netlink *host, const struct attachment *a)
{
        struct ifinfomsg i = {.ifi_index = (int)a->host_ifindex, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
        struct nl_msg *msg = netlink_request(RTM_NEWLINK, 0, &i, sizeof(i));
        struct nlattr *spec = nest(msg, IFLA_AF_SPEC), *v6 = nest(msg, AF_INET6);
        static const uint8_t none = IN6_ADDR_GEN_MODE_NONE;

        put(msg, IFLA_INET6_ADDR_GEN_MODE, &none, sizeof(none));
        nla_nest_end(msg, v6);
        nla_nest_end(msg, spec);
        netlink_add(host, msg, 0, "raise the host side %s", a->host_ifname);
}

/* Hosts that have no IPv6 at all refuse the attribute of add_host_up. */
static int raise_host_plainly(struct netlink *host, const struct attachment *a, struct err *reterr)
{
        struct ifinfomsg i = {.ifi_index = (int)a->host_ifindex, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};

        netlink_add(host, netlink_request(RTM_NEWLINK, 0, &i, sizeof(i)), 0, "raise the host side %s", a->host_ifname);
        return kernel_error(netlink_run(host, NULL, reterr), reterr);
}

static void find_index(struct nlmsghdr *h, void *userdata)
{
        *(uint32_t *)userdata = (uint32_t)((struct ifinfomsg *)nlmsg_data(h))->ifi_index;
}

uint32_t veth_ifindex(struct netlink *nl, const char *name)
{
        static const struct ifinfomsg any = {0};
        struct nl_msg *msg = netlink_request(RTM_GETLINK, 0, &any, sizeof(any));
        uint32_t index = 0;

        put_text(msg, IFLA_IFNAME, name);
        return netlink_ask(nl, msg, find_index, &index, NULL) ? 0 : index;
}

static bool index_taken(struct netlink *nl, uint32_t ifindex)
{
        struct ifinfomsg i = {.ifi_index = (int)ifindex};
        uint32_t index = 0;

        return netlink_ask(nl, netlink_request(RTM_GETLINK, 0, &i, sizeof(i)), find_index, &index, NULL) == 0;
}

/* The kernel says EEXIST of three different things. */
static int explain_exists(struct netlink *host, const struct attachment *a, struct err *reterr)
{
        if (veth_ifindex(host, a->host_ifname))
                return err_set(reterr, VETH_NAME_TAKEN, "there is already an interface %s on the host", a->host_ifname);
        if (index_taken(host, a->host_ifindex))
                return err_set(reterr, VETH_INDEX_TAKEN, "there is already an interface with index %u on the host",
                               a->host_ifindex);
        return err_set(reterr, VETH_POD_NAME_TAKEN, "there is already an interface %s in the container", a->ifname);
}

int veth_create(struct netlink *host, const struct attachment *a, int netns, struct err *reterr)
{
        uint32_t failed = 0;
        int r;

        add_pair(host, a, netns);
        add_host_up(host, a);
        r = netlink_run(host, &failed, reterr);
        if (r && failed == 1)
                return raise_host_plainly(host, a, reterr);
        if (r == -EEXIST || r == -EBUSY)
                return explain_exists(host, a, reterr);
        return kernel_error(r, reterr);
}

static void add_up(struct netlink *nl, uint32_t ifindex, const char *name)
{
        struct ifinfomsg i = {.ifi_index = (int)ifindex, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};

        netlink_add(nl, netlink_request(RTM_NEWLINK, 0, &i, sizeof(i)), 0, "raise %s in the pod", name);
}

static void add_address(struct netlink *nl, uint32_t ifindex, const struct addr *a)
{
        struct ifaddrmsg m = {.ifa_family = (uint8_t)ip_family(a),
                              .ifa_prefixlen = (uint8_t)ip_bits(a),
                              .ifa_flags = ip_is_v4(a) ? 0 : IFA_F_NODAD,
                              .ifa_index = ifindex};
        struct nl_msg *msg = netlink_request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &m, sizeof(m));
        char text[ADDRESS_TEXT_SIZE];

        put(msg, IFA_LOCAL, ip_bytes(a), ip_size(a));
        put(msg, IFA_ADDRESS, ip_bytes(a), ip_size(a));
        netlink_add(nl, msg, 0, "give the pod the address %s", ip_text(a, text));
}

static void add_neighbour(struct netlink *nl, uint32_t ifindex, const struct addr *gateway, const struct mac *mac)
{
        struct ndmsg m = {
                .ndm_family = (uint8_t)ip_family(gateway), .ndm_ifindex = (int)ifindex, .ndm_state = NUD_PERMANENT};
        struct nl_msg *msg = netlink_request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &m, sizeof(m));
        char text[ADDRESS_TEXT_SIZE];

        put(msg, NDA_DST, ip_bytes(gateway), ip_size(gateway));
        put(msg, NDA_LLADDR, mac, sizeof(*mac));
        netlink_add(nl, msg, 0, "tell the pod its gateway's MAC address (%s)", ip_text(gateway, text));
}

/* to: NULL is the default route; via: NULL is on the link itself. */
static void add_route(struct netlink *nl, uint32_t ifindex, const struct addr *to, const struct addr *via)
{
        const struct addr *any = to ? to : via;
        struct rtmsg m = {.rtm_family = (uint8_t)ip_family(any),
                          .rtm_dst_len = to ? (uint8_t)ip_bits(to) : 0,
                          .rtm_table = RT_TABLE_MAIN,
                          .rtm_protocol = RTPROT_STATIC,
                          .rtm_scope = via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
                          .rtm_type = RTN_UNICAST};
        struct nl_msg *msg = netlink_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &m, sizeof(m));
        char text[ADDRESS_TEXT_SIZE];

        put_u32(msg, RTA_OIF, ifindex);
        if (to)
                put(msg, RTA_DST, ip_bytes(to), ip_size(to));
        if (via)
                put(msg, RTA_GATEWAY, ip_bytes(via), ip_size(via));
        netlink_add(nl, msg, 0, "give the pod the %sroute %s %s", to ? "" : "default ", to ? "to" : "by",
                    ip_text(any, text));
}

static void add_family(struct netlink *pod, uint32_t ifindex, const struct attachment *a, const struct addr *address)
{
        bool v4 = ip_is_v4(address);
        struct addr gateway;
        uint32_t bits;

        ip_parse(v4 ? GATEWAY_V4 : GATEWAY_V6, &gateway, &bits);
        add_address(pod, ifindex, address);
        add_neighbour(pod, ifindex, &gateway, &a->host_mac);
        if (v4)
                add_route(pod, ifindex, &gateway, NULL);
        add_route(pod, ifindex, NULL, &gateway);
}

/* Some runtimes switch IPv6 off in new namespaces; an address of the cluster's network is wanted nevertheless. */
static void enable_ipv6(const char *ifname)
{
        _cleanup_free_ char *path = mem_printf("/proc/sys/net/ipv6/conf/%s/disable_ipv6", ifname);
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd >= 0 && write(fd, "0", 1) != 1)
                return; /* the address will be refused, and that is reported */
}

static bool has_v6(const struct attachment *a)
{
        return a->naddresses && !ip_is_v4(&a->addresses[a->naddresses - 1]);
}

static int v6_disabled(const char *ifname)
{
        _cleanup_free_ char *path = mem_printf("/proc/sys/net/ipv6/conf/%s/disable_ipv6", ifname);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        char c = '0';

        return fd >= 0 && read(fd, &c, 1) == 1 && c != '0';
}

int veth_configure_pod(struct netlink *pod, const struct attachment *a, struct err *reterr)
{
        uint32_t ifindex = veth_ifindex(pod, a->ifname);

        if (!ifindex)
                return err_set(reterr, CNI_KERNEL, "the pod's interface %s has vanished", a->ifname);
        if (has_v6(a) && v6_disabled(a->ifname))
                enable_ipv6(a->ifname);
        add_up(pod, LOOPBACK_INDEX, "lo");
        add_up(pod, ifindex, a->ifname);
        for (size_t i = 0; i < a->naddresses; i++)
                add_family(pod, ifindex, a, &a->addresses[i]);
        return kernel_error(netlink_run(pod, NULL, reterr), reterr);
}

int veth_delete(struct netlink *host, uint32_t ifindex, struct err *reterr)
{
        struct ifinfomsg i = {.ifi_index = (int)ifindex};

        netlink_add(host, netlink_request(RTM_DELLINK, 0, &i, sizeof(i)), ENODEV, "remove the host side with index %u",
                    ifindex);
        return kernel_error(netlink_run(host, NULL, reterr), reterr);
}

struct stray {
        bool (*wanted)(const char *name, void *userdata);
        void *userdata;
        uint32_t *indexes;
        size_t n;
};

static void collect_stray(struct nlmsghdr *h, void *userdata)
{
        struct stray *s = userdata;
        struct ifinfomsg *i = nlmsg_data(h);
        struct nlattr *attrs[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1];

        if (nlmsg_parse(h, sizeof(*i), attrs, IFLA_MAX, NULL) || !attrs[IFLA_IFNAME] || !attrs[IFLA_LINKINFO] ||
            nla_parse_nested(info, IFLA_INFO_MAX, attrs[IFLA_LINKINFO], NULL) || !info[IFLA_INFO_KIND] ||
            !str_eq(nla_get_string(info[IFLA_INFO_KIND]), "veth") ||
            !attachment_is_host_ifname(nla_get_string(attrs[IFLA_IFNAME])) ||
            s->wanted(nla_get_string(attrs[IFLA_IFNAME]), s->userdata))
                return;
        s->indexes = mem_realloc(s->indexes, s->n + 1, sizeof(*s->indexes));
        s->indexes[s->n++] = (uint32_t)i->ifi_index;
}

int veth_list_stray(struct netlink *host, bool (*wanted)(const char *name, void *userdata), void *userdata,
                    uint32_t **ret, size_t *ret_n, struct err *reterr)
{
        static const struct ifinfomsg any = {0};
        struct stray s = {.wanted = wanted, .userdata = userdata};
        int r = netlink_ask(host, netlink_request(RTM_GETLINK, NLM_F_DUMP, &any, sizeof(any)), collect_stray, &s,
                            reterr);

        if (r) {
                free(s.indexes);
                return kernel_error(r, reterr);
        }
        *ret = s.indexes;
        *ret_n = s.n;
        return 0;
}
