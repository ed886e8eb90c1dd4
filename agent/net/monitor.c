/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/net/kernel.h"
#include "agent/net/monitor.h"
#include "base/mem.h"

#define BUFFER_BYTES (1 << 20)
#define ROUND_MAX    64 /* datagrams before others get their turn */

struct monitor {
        struct monitor_opts opts;
        struct loop_fd *source;
        int fd;
        char answer[32768];
};

static const int groups[] = {
        RTNLGRP_LINK,  RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,  RTNLGRP_IPV4_ROUTE,   RTNLGRP_IPV6_ROUTE,
        RTNLGRP_NEIGH, RTNLGRP_TC,          RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF,
};

/* Neighbours come and go by themselves all the time: only permanent ones, and those that leave, may be ours. */
static bool neighbour_matters(const struct nlmsghdr *h)
{
        const struct ndmsg *n = NLMSG_DATA(h);

        return h->nlmsg_len >= NLMSG_LENGTH(sizeof(*n)) &&
               (n->ndm_state & NUD_PERMANENT || h->nlmsg_type == RTM_DELNEIGH) && n->ndm_type == RTN_UNICAST;
}

static bool route_matters(const struct nlmsghdr *h)
{
        const struct rtmsg *r = NLMSG_DATA(h);

        return h->nlmsg_len >= NLMSG_LENGTH(sizeof(*r)) && !(r->rtm_flags & RTM_F_CLONED) &&
               (r->rtm_table == RT_TABLE_MAIN || r->rtm_table == RT_TABLE_COMPAT) &&
               (r->rtm_protocol == NET_ROUTE_PROTOCOL || !r->rtm_dst_len || h->nlmsg_type == RTM_DELROUTE);
}

static bool matters(const struct monitor *m, const struct nlmsghdr *h)
{
        if (h->nlmsg_pid && h->nlmsg_pid == m->opts.own_port)
                return false;
        switch (h->nlmsg_type) {
        case RTM_NEWNEIGH:
        case RTM_DELNEIGH:
                return neighbour_matters(h);
        case RTM_NEWROUTE:
        case RTM_DELROUTE:
                return route_matters(h);
        default:
                return h->nlmsg_type >= NLMSG_MIN_TYPE;
        }
}

static uint32_t link_gone(const struct nlmsghdr *h)
{
        const struct ifinfomsg *i = NLMSG_DATA(h);

        /* Also sent when a port leaves a bridge, then with that family. */
        if (h->nlmsg_type != RTM_DELLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*i)) || i->ifi_family != AF_UNSPEC)
                return 0;
        return (uint32_t)i->ifi_index;
}

static bool read_datagram(struct monitor *m)
{
        ssize_t n = recv(m->fd, m->answer, sizeof(m->answer), MSG_DONTWAIT);
        bool changed = n < 0 && errno == ENOBUFS;
        int left = (int)n;

        if (n < 0 && !changed)
                return false;
        for (const struct nlmsghdr *h = (void *)m->answer; n > 0 && NLMSG_OK(h, (uint32_t)left);
             h = NLMSG_NEXT(h, left)) {
                uint32_t gone = link_gone(h);

                if (gone)
                        m->opts.changed(m->opts.userdata, gone);
                else
                        changed = changed || matters(m, h);
        }
        if (changed)
                m->opts.changed(m->opts.userdata, 0);
        return true;
}

static void on_ready(void *userdata, unsigned int events)
{
        for (int i = 0; i < ROUND_MAX && read_datagram(userdata); i++)
                ;
}

static int set_up(struct monitor *m)
{
        const int size = BUFFER_BYTES;
        struct sockaddr_nl any = {.nl_family = AF_NETLINK};

        m->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
        if (m->fd < 0 || bind(m->fd, (void *)&any, sizeof(any)) < 0)
                return -errno;
        if (setsockopt(m->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
                setsockopt(m->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
                if (setsockopt(m->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i])) < 0)
                        return -errno;
        return loop_fd_new(m->opts.loop, m->fd, LOOP_READ, on_ready, m, &m->source);
}

int monitor_new(const struct monitor_opts *opts, struct monitor **ret, struct err *reterr)
{
        _cleanup_(monitor_freep) struct monitor *m = mem_new(struct monitor);
        int res;

        m->opts = *opts;
        m->fd = -1;
        res = set_up(m);
        if (res < 0)
                return err_set(reterr, res, "cannot follow the kernel's network changes: %s", strerror(-res));
        *ret = TAKE_PTR(m);
        return 0;
}

void monitor_free(struct monitor *m)
{
        if (!m)
                return;
        if (m->source)
                loop_fd_free(m->source);
        if (m->fd >= 0)
                close(m->fd);
        free(m);
}
