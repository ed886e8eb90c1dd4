// SPDX-License-Identifier: Apache-2.0
#include "bpf/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The namespace has no way out: its uplink's other end is a device in the same namespace. */
static const char devices[] = "link set lo up\n"
                              "link add pod_a address 02:00:00:00:00:09 type veth peer name pod_a_in\n"
                              "link add pod_b address 02:00:00:00:00:09 type veth peer name pod_b_in\n"
                              "link add uplink address 02:00:00:00:01:01 type veth peer name router address "
                              "02:00:00:00:01:fe\n"
                              "link add vxlan address 02:00:00:00:02:01 type vxlan external dstport 8472 nolearning\n"
                              "link set pod_a up\nlink set pod_a_in up\nlink set pod_b up\nlink set pod_b_in up\n"
                              "link set router up\nlink set uplink up\nlink set vxlan up\n"
                              "addr add 192.0.2.1/24 dev uplink\n"
                              "addr add 2001:db8::1/64 dev uplink nodad\n"
                              "neigh add 192.0.2.254 lladdr 02:00:00:00:01:fe dev uplink nud permanent\n"
                              "neigh add 192.0.2.2 lladdr 02:00:00:00:01:02 dev uplink nud permanent\n"
                              "neigh add 2001:db8::254 lladdr 02:00:00:00:01:fe dev uplink nud permanent\n"
                              "neigh add 2001:db8::2 lladdr 02:00:00:00:01:02 dev uplink nud permanent\n"
                              "route add default via 192.0.2.254\n"
                              "route add default via 2001:db8::254\n"
                              "route add 10.244.2.0/24 via 192.0.2.2\n"
                              "route add fd00:2::/64 via 2001:db8::2\n"
                              "route add 10.244.1.5 dev pod_a\nroute add 10.244.1.6 dev pod_b\n"
                              "route add fd00:1::5 dev pod_a\nroute add fd00:1::6 dev pod_b\n"
                              "neigh add 10.244.1.5 lladdr 02:00:00:00:00:0a dev pod_a nud permanent\n"
                              "neigh add 10.244.1.6 lladdr 02:00:00:00:00:0b dev pod_b nud permanent\n"
                              "neigh add fd00:1::5 lladdr 02:00:00:00:00:0a dev pod_a nud permanent\n"
                              "neigh add fd00:1::6 lladdr 02:00:00:00:00:0b dev pod_b nud permanent\n";

static void die(const char *what)
{
        fprintf(stderr, "tests/bpf: %s: %s\n", what, strerror(errno));
        exit(EXIT_FAILURE);
}

static void write_file(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                die(path);
        close(fd);
}

/* A veth has receive queues that XDP knows only while GRO is on. */
static void gro_on(const char *name)
{
        struct ethtool_value value = {.cmd = ETHTOOL_SGRO, .data = 1};
        struct ifreq request = {.ifr_data = (char *)&value};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
        if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request) < 0)
                die("cannot switch GRO on");
        close(fd);
}

void netns_enter(void)
{
        FILE *ip;

        if (unshare(CLONE_NEWNET) < 0)
                die("cannot make a network namespace (needs root)");
        write_file("/proc/sys/net/ipv4/ip_forward", "1");
        write_file("/proc/sys/net/ipv6/conf/all/forwarding", "1");
        ip = popen("ip -batch -", "w");
        if (!ip || fputs(devices, ip) < 0 || pclose(ip) != 0)
                die("cannot make the devices of a node with ip(8)");
        gro_on("uplink");
}
