/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/kubelet/node/addresses.h"
#include "base/str.h"

/* Of documentation: nobody is there, and everybody who has a default route has one to them. */
#define FAR_V4 "192.0.2.1"
#define FAR_V6 "2001:db8::1"

union address {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
};

static bool is_loopback(const union address *a)
{
        if (a->any.sa_family == AF_INET)
                return ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
        return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

static bool is_usable(const union address *a)
{
        if (a->any.sa_family == AF_INET)
                return !is_loopback(a) && a->v4.sin_addr.s_addr != INADDR_ANY &&
                       ntohl(a->v4.sin_addr.s_addr) >> 16 != 0xa9fe; /* 169.254/16 */
        return a->any.sa_family == AF_INET6 && !is_loopback(a) && !IN6_IS_ADDR_LINKLOCAL(&a->v6.sin6_addr) &&
               !IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr) && !IN6_IS_ADDR_MULTICAST(&a->v6.sin6_addr);
}

static void write_address(const union address *a, char *ret)
{
        const void *bytes =
                a->any.sa_family == AF_INET ? (const void *)&a->v4.sin_addr : (const void *)&a->v6.sin6_addr;

        inet_ntop(a->any.sa_family, bytes, ret, NODE_IP_SIZE);
}

static bool parse_address(const char *text, union address *ret)
{
        *ret = (union address){.v4 = {.sin_family = AF_INET, .sin_port = htons(9)}};
        if (inet_pton(AF_INET, text, &ret->v4.sin_addr) == 1)
                return true;
        *ret = (union address){.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(9)}};
        return inet_pton(AF_INET6, text, &ret->v6.sin6_addr) == 1;
}

/* Where packets to it would come from: connecting a UDP socket asks the routes and sends nothing. */
static bool source_for(const char *target, union address *ret)
{
        union address to;
        socklen_t n = sizeof(*ret);
        bool found;
        int fd;

        if (!parse_address(target, &to))
                return false;
        fd = socket(to.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return false;
        found = !connect(fd, &to.any, to.any.sa_family == AF_INET ? sizeof(to.v4) : sizeof(to.v6)) &&
                !getsockname(fd, &ret->any, &n);
        close(fd);
        return found;
}

/* The host of "https://host:port/", when it is an address. */
static bool host_of(const char *url, char ret[static NODE_IP_SIZE])
{
        const char *s = url ? strstr(url, "://") : NULL;
        size_t n;

        if (!s)
                return false;
        s += 3;
        if (*s == '[')
                n = strcspn(++s, "]");
        else
                n = strcspn(s, ":/");
        if (n >= NODE_IP_SIZE)
                return false;
        memcpy(ret, s, n);
        ret[n] = '\0';
        return true;
}

/* The first usable address of that family, on that interface (NULL: any that is up and no loopback). */
static bool first_of(const struct ifaddrs *all, int family, const char *interface, union address *ret)
{
        for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
                union address a = {0};

                if (!i->ifa_addr || i->ifa_addr->sa_family != family || !(i->ifa_flags & IFF_UP) ||
                    (i->ifa_flags & (IFF_LOOPBACK | IFF_POINTOPOINT)) || (interface && !str_eq(interface, i->ifa_name)))
                        continue;
                memcpy(&a, i->ifa_addr, family == AF_INET ? sizeof(a.v4) : sizeof(a.v6));
                if (!is_usable(&a))
                        continue;
                *ret = a;
                return true;
        }
        return false;
}

static const char *interface_of(const struct ifaddrs *all, const char *address)
{
        for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
                char text[NODE_IP_SIZE];
                union address a = {0};

                if (!i->ifa_addr || (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
                        continue;
                memcpy(&a, i->ifa_addr, i->ifa_addr->sa_family == AF_INET ? sizeof(a.v4) : sizeof(a.v6));
                write_address(&a, text);
                if (str_eq(text, address))
                        return i->ifa_name;
        }
        return NULL;
}

static void find_first(const struct ifaddrs *all, const char *api_server, union address *ret)
{
        char host[NODE_IP_SIZE];

        if (host_of(api_server, host) && source_for(host, ret) && is_usable(ret))
                return;
        if ((source_for(FAR_V4, ret) && is_usable(ret)) || (source_for(FAR_V6, ret) && is_usable(ret)))
                return;
        if (!first_of(all, AF_INET, NULL, ret) && !first_of(all, AF_INET6, NULL, ret))
                parse_address("127.0.0.1", ret);
}

static void find_second(const struct ifaddrs *all, int family, struct node_ips *ips)
{
        const char *interface = interface_of(all, ips->text[0]);
        union address a;

        if ((interface && first_of(all, family, interface, &a)) ||
            (source_for(family == AF_INET ? FAR_V4 : FAR_V6, &a) && is_usable(&a)))
                write_address(&a, ips->text[1]);
}

static int take_wanted(const char *const *wanted, struct node_ips *ret, struct err *reterr)
{
        struct node_ips ips = {0};
        union address a, first;

        for (size_t i = 0; wanted[i]; i++) {
                if (i == NODE_IPS_MAX)
                        return err_set(reterr, -EINVAL, "--node-ip: a node has at most one address of each family");
                if (!parse_address(wanted[i], &a))
                        return err_set(reterr, -EINVAL, "--node-ip: \"%s\" is no IP address", wanted[i]);
                if (i && a.any.sa_family == first.any.sa_family)
                        return err_set(reterr, -EINVAL, "--node-ip: %s and %s are of the same family", ips.text[0],
                                       wanted[i]);
                first = a;
                write_address(&a, ips.text[i]);
        }
        *ret = ips;
        return 0;
}

int addresses_find(const char *const *wanted, const char *api_server, struct node_ips *ret, struct err *reterr)
{
        struct node_ips ips = {0};
        struct ifaddrs *all = NULL;
        union address a;

        if (wanted && wanted[0])
                return take_wanted(wanted, ret, reterr);
        if (getifaddrs(&all))
                return err_set(reterr, -EADDRNOTAVAIL, "the addresses of this machine cannot be read: %s",
                               strerror(errno));
        find_first(all, api_server, &a);
        write_address(&a, ips.text[0]);
        if (!is_loopback(&a))
                find_second(all, a.any.sa_family == AF_INET ? AF_INET6 : AF_INET, &ips);
        freeifaddrs(all);
        *ret = ips;
        return 0;
}
