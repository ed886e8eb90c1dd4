/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kubelet/server/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"

static int socket_here(int family, int type, int *ret)
{
        int fd = socket(family, type | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        *ret = fd;
        return 0;
}

int netns_socket(int netns, int family, int type, int *ret)
{
        _cleanup_close_ int own = netns >= 0 ? open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC) : -1;
        int r;

        if (netns < 0)
                return socket_here(family, type, ret);
        if (own < 0 || setns(netns, CLONE_NEWNET))
                return -errno;
        r = socket_here(family, type, ret);
        if (setns(own, CLONE_NEWNET)) /* a thread that cannot come back would serve from within the pod */
                abort();
        return r;
}
