/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "datapath/clsact.h"

#define FILTER_HANDLE   0x666c /* "fl" */
#define FILTER_PRIORITY 0x66

static struct bpf_tc_hook hook_of(uint32_t ifindex, enum bpf_tc_attach_point point)
{
        return (struct bpf_tc_hook){.sz = sizeof(struct bpf_tc_hook), .ifindex = (int)ifindex, .attach_point = point};
}

static enum bpf_tc_attach_point point_of(bool egress)
{
        return egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
}

int clsact_attach(uint32_t ifindex, bool egress, int prog_fd, bool *ret_made)
{
        LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog_fd, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY,
                    .flags = BPF_TC_F_REPLACE);
        struct bpf_tc_hook hook = hook_of(ifindex, point_of(egress));
        int made = bpf_tc_hook_create(&hook), r;

        if (made && made != -EEXIST)
                return made;
        r = bpf_tc_attach(&hook, &opts);
        if (r == 0 && ret_made)
                *ret_made = made == 0;
        return r;
}

/* The id of our filter's program; 0: there is none. */
static uint32_t filter_program(uint32_t ifindex, bool egress)
{
        LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);
        struct bpf_tc_hook hook = hook_of(ifindex, point_of(egress));

        return bpf_tc_query(&hook, &opts) == 0 ? opts.prog_id : 0;
}

bool clsact_attached(uint32_t ifindex, bool egress, uint32_t prog_id)
{
        return filter_program(ifindex, egress) == prog_id;
}

bool clsact_present(uint32_t ifindex, bool egress)
{
        return filter_program(ifindex, egress) != 0;
}

int clsact_detach(uint32_t ifindex, bool egress)
{
        LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);
        struct bpf_tc_hook hook = hook_of(ifindex, point_of(egress));
        int r = bpf_tc_detach(&hook, &opts);

        return r == -ENOENT || r == -EINVAL || r == -ENODEV ? 0 : r; /* -EINVAL: there is no qdisc */
}

/* Reads one answer to a dump: 1 when a filter is among it, 0 when it is the end, -EAGAIN when more comes. */
static int read_filters(int fd)
{
        char buffer[16384] __attribute__((aligned(8)));
        ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

        if (n < 0)
                return -errno;
        for (struct nlmsghdr *m = (struct nlmsghdr *)buffer; NLMSG_OK(m, n); m = NLMSG_NEXT(m, n)) {
                if (m->nlmsg_type == RTM_NEWTFILTER)
                        return 1;
                if (m->nlmsg_type == NLMSG_DONE)
                        return 0;
                if (m->nlmsg_type == NLMSG_ERROR)
                        return -EIO;
        }
        return -EAGAIN;
}

/* 1 when there are filters, 0 when there are none, or negative errno. */
static int has_filters(uint32_t ifindex, uint32_t parent)
{
        struct {
                struct nlmsghdr head;
                struct tcmsg tc;
        } request = {
                .head = {.nlmsg_len = sizeof(request),
                         .nlmsg_type = RTM_GETTFILTER,
                         .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
                .tc = {.tcm_ifindex = (int)ifindex, .tcm_parent = parent},
        };
        _cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        int r = -EAGAIN;

        if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0)
                return -errno;
        while (r == -EAGAIN)
                r = read_filters(fd);
        return r;
}

void clsact_remove_empty(uint32_t ifindex)
{
        struct bpf_tc_hook hook = hook_of(ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);

        if (has_filters(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)) == 0 &&
            has_filters(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)) == 0)
                bpf_tc_hook_destroy(&hook);
}
