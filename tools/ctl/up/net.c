/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "ctl/up/net.h"

static _noreturn_ void exec_ip(int in, int out)
{
        dup2(in, STDIN_FILENO);
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
        execlp("ip", "ip", "-batch", "-", (char *)NULL);
        dprintf(STDERR_FILENO, "`ip` cannot be run (%s): apt-get install iproute2", strerror(errno));
        _exit(127);
}

/* What it says of a failure, on one line. */
static void read_said(int fd, char *ret, size_t size)
{
        ssize_t n = pread(fd, ret, size - 1, 0);

        ret[n < 0 ? 0 : n] = '\0';
        for (char *p = ret; *p; p++)
                if (*p == '\n')
                        *p = p[1] ? ' ' : '\0';
}

int net_ip(const char *lines, struct err *reterr)
{
        _cleanup_close_ int in = memfd_create("ip", MFD_CLOEXEC), out = memfd_create("said", MFD_CLOEXEC);
        char said[300];
        int status;
        pid_t pid;

        if (in < 0 || out < 0 || write(in, lines, strlen(lines)) < 0 || lseek(in, 0, SEEK_SET))
                return err_set(reterr, -errno, "memfd: %s", strerror(errno));
        pid = fork();
        if (pid == 0)
                exec_ip(in, out);
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
                return err_set(reterr, -errno, "fork: %s", strerror(errno));
        if (!status)
                return 0;
        read_said(out, said, sizeof(said));
        return err_set(reterr, -EIO, "the network cannot be laid: %s", said);
}

int net_ethtool(const char *device, uint32_t command, uint32_t value, struct err *reterr)
{
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ethtool_value v = {.cmd = command, .data = value};
        struct ifreq request = {.ifr_data = (void *)&v};

        str_copy(request.ifr_name, sizeof(request.ifr_name), device);
        if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request))
                return err_set(reterr, -errno, "the offloads of %s cannot be set: %s", device, strerror(errno));
        return 0;
}

bool net_accepts(const char *address, int patience_ms)
{
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(API_PORT)};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(API_PORT)};
        bool is_v6 = strchr(address, ':');
        const struct sockaddr *to = is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
        socklen_t size = is_v6 ? sizeof(v6) : sizeof(v4), error_size = sizeof(int);
        _cleanup_close_ int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        int error = 0;

        inet_pton(to->sa_family, address, is_v6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr);
        if (connect(fd, to, size) == 0)
                return true;
        if (errno != EINPROGRESS || poll(&p, 1, patience_ms) != 1)
                return false;
        return !getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size) && !error;
}

static int run_there(pid_t pid, int (*fn)(void *userdata, struct err *reterr), void *userdata, struct err *reterr)
{
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || setns(fd, CLONE_NEWNET))
                return err_set(reterr, -errno, "%s cannot be entered: %s", path, strerror(errno));
        return fn(userdata, reterr);
}

int net_within(pid_t pid, int (*fn)(void *userdata, struct err *reterr), void *userdata, struct err *reterr)
{
        struct err *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pid_t child;
        int r = 0;

        if (shared == MAP_FAILED)
                return err_set(reterr, -errno, "mmap: %s", strerror(errno));
        child = fork();
        if (child == 0)
                _exit(run_there(pid, fn, userdata, shared) ? 1 : 0);
        if (child < 0 || waitpid(child, &r, 0) != child)
                r = err_set(reterr, -errno, "fork: %s", strerror(errno));
        else if (r)
                r = err_set(reterr, shared->code ?: -EIO, "%s", shared->msg);
        munmap(shared, sizeof(*shared));
        return r;
}
