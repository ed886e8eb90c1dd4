/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "agent/net/sysctl.h"
#include "agent/net/vxlan.h"

static int create(struct rtnl *rtnl, const struct vxlan_want *want, struct err *reterr)
{
        struct nlattr *info, *data;
        struct rtnl_msg m;
        int res;

        rtnl_msg_init(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
        rtnl_put_str(&m, IFLA_IFNAME, VXLAN_DEVICE);
        rtnl_put_u32(&m, IFLA_MTU, want->mtu);
        info = rtnl_nest(&m, IFLA_LINKINFO);
        rtnl_put_str(&m, IFLA_INFO_KIND, "vxlan");
        data = rtnl_nest(&m, IFLA_INFO_DATA);
        rtnl_put_u8(&m, IFLA_VXLAN_COLLECT_METADATA, 1);
        rtnl_put_u16(&m, IFLA_VXLAN_PORT, htons(want->port));
        rtnl_put_u8(&m, IFLA_VXLAN_LEARNING, 0);
        rtnl_put_u8(&m, IFLA_VXLAN_UDP_ZERO_CSUM6_RX, 1);
        rtnl_nest_end(&m, data);
        rtnl_nest_end(&m, info);
        res = rtnl_do(rtnl, &m, reterr);
        if (res == -EEXIST || res == -EADDRINUSE)
                return err_set(reterr, res,
                               "cannot make %s: another vxlan device has UDP port %u; remove it, or set vxlanPort to "
                               "another on all nodes",
                               VXLAN_DEVICE, want->port);
        return res < 0 ? err_prefix(reterr, res, "cannot make %s", VXLAN_DEVICE) : 0;
}

/* Two steps: the kernel looks at the port's socket only when the device goes up, and says so then. */
static int adjust(struct rtnl *rtnl, uint32_t ifindex, const struct vxlan_want *want, struct err *reterr)
{
        struct ifinfomsg *i;
        struct rtnl_msg m;
        int res;

        i = rtnl_msg_init(&m, RTM_NEWLINK, 0, sizeof(*i));
        i->ifi_index = (int)ifindex;
        i->ifi_flags = IFF_NOARP;
        i->ifi_change = IFF_NOARP;
        rtnl_put_u32(&m, IFLA_MTU, want->mtu);
        rtnl_put_u32(&m, IFLA_MASTER, 0);
        res = rtnl_do(rtnl, &m, reterr);
        if (res < 0)
                return err_prefix(reterr, res, "cannot set %s to MTU %u", VXLAN_DEVICE, want->mtu);
        i = rtnl_msg_init(&m, RTM_NEWLINK, 0, sizeof(*i));
        i->ifi_index = (int)ifindex;
        i->ifi_flags = IFF_UP;
        i->ifi_change = IFF_UP;
        res = rtnl_do(rtnl, &m, reterr);
        if (res == -EADDRINUSE || res == -EEXIST)
                return err_set(reterr, res,
                               "cannot bring %s up: UDP port %u belongs to another device or program; stop it, or set "
                               "vxlanPort to another on all nodes",
                               VXLAN_DEVICE, want->port);
        return res < 0 ? err_prefix(reterr, res, "cannot bring %s up", VXLAN_DEVICE) : 0;
}

int link_delete(struct rtnl *rtnl, uint32_t ifindex, struct err *reterr)
{
        struct rtnl_msg m;
        struct ifinfomsg *i = rtnl_msg_init(&m, RTM_DELLINK, 0, sizeof(*i));
        int res;

        i->ifi_index = (int)ifindex;
        res = rtnl_do(rtnl, &m, reterr);
        return res == -ENODEV ? 0 : res;
}

static int delete_by_name(struct rtnl *rtnl, struct err *reterr)
{
        struct net_link l;
        int res = kernel_link(rtnl, VXLAN_DEVICE, &l, reterr);

        if (res == -ENODEV)
                return 0;
        return res < 0 ? res : link_delete(rtnl, l.ifindex, reterr);
}

int vxlan_apply(struct rtnl *rtnl, enum vxlan_verdict verdict, const struct vxlan_want *want, uint32_t *ret_ifindex,
                struct err *reterr)
{
        struct net_link l;
        int res = 0;

        if (verdict == VXLAN_REPLACE)
                res = delete_by_name(rtnl, reterr);
        if (res == 0 && (verdict == VXLAN_REPLACE || verdict == VXLAN_MISSING)) {
                res = create(rtnl, want, reterr);
                /* No address of its own: it would only send router solicitations into a device without a remote. */
                if (res == 0)
                        sysctl_write("net/ipv6/conf/" VXLAN_DEVICE "/addr_gen_mode", "1");
        }
        if (res == 0)
                res = kernel_link(rtnl, VXLAN_DEVICE, &l, reterr);
        if (res == 0 && verdict != VXLAN_FITS)
                res = adjust(rtnl, l.ifindex, want, reterr);
        if (res == 0)
                *ret_ifindex = l.ifindex;
        return res;
}
