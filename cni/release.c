/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"
#include "cni/agent.h"
#include "cni/release.h"
#include "cni/veth.h"

int release_locked(struct ipam *ipam, const char *id, const struct attachment *a, struct err *reterr)
{
        int r = record_remove(ipam->run_dir, id, reterr);

        if (r)
                return r;
        /* Before the addresses are given back: whoever gets one of them asks the agent after this. */
        agent_tell_detach(ipam->run_dir, id);
        ipam_release(ipam, id, a ? a->addresses : NULL, a ? a->naddresses : 0);
        return 0;
}

int release(const char *run_dir, const char *id, const struct attachment *a, struct err *reterr)
{
        _cleanup_free_ char *folder = mem_printf("%s/ipam", run_dir);
        struct ipam ipam;
        int r;

        if (access(folder, F_OK))
                return record_remove(run_dir, id, reterr);
        r = ipam_lock(run_dir, &ipam, reterr);
        if (r)
                return r;
        r = release_locked(&ipam, id, a, reterr);
        ipam_unlock(&ipam);
        return r;
}

int release_device(struct netlink *host, const char *host_ifname, struct err *reterr)
{
        uint32_t ifindex = veth_ifindex(host, host_ifname);

        return ifindex ? veth_delete(host, ifindex, reterr) : 0;
}

/* Whoever called the plugin waits until its output is closed, by all who have it. */
static void let_go_of_files(struct netlink *host)
{
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        for (int fd = 0; fd < 3 && null >= 0; fd++)
                dup2(null, fd);
        dup2(host->fd, 3);
        host->fd = 3;
        close_range(4, ~0U, 0);
}

int release_device_later(struct netlink *host, const char *host_ifname, struct err *reterr)
{
        /* By index: the name may soon be that of a new attachment of the same container. */
        uint32_t ifindex = veth_ifindex(host, host_ifname);
        pid_t pid = ifindex ? fork() : 0;

        if (!ifindex || pid > 0)
                return 0;
        if (pid < 0)
                return veth_delete(host, ifindex, reterr);
        setsid();
        let_go_of_files(host);
        _exit(veth_delete(host, ifindex, NULL) ? 1 : 0);
}
