/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "load/net.h"

int net_address_parse(const char *text, struct net_address *ret)
{
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        const char *colon = strrchr(text, ':');
        bool brackets = *text == '[';
        char host[NET_TEXT];
        uint16_t port;
        size_t n;

        if (!colon || str_parse_u16(colon + 1, &port) < 0 || (brackets && (colon - text < 2 || colon[-1] != ']')))
                return -EINVAL;
        n = (size_t)(colon - text) - (brackets ? 2 : 0);
        if (n >= sizeof(host))
                return -EINVAL;
        memcpy(host, text + brackets, n);
        host[n] = '\0';
        v4.sin_port = v6.sin6_port = htons(port);
        *ret = (struct net_address){0};
        if (brackets && inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
                memcpy(&ret->sa, &v6, ret->len = sizeof(v6));
                return 0;
        }
        if (!brackets && inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
                memcpy(&ret->sa, &v4, ret->len = sizeof(v4));
                return 0;
        }
        return -EINVAL;
}

const char *net_address_text(const struct sockaddr *sa, char buf[static NET_TEXT])
{
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
        char host[INET6_ADDRSTRLEN];

        if (sa->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
                snprintf(buf, NET_TEXT, "%s:%u", inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, host, sizeof(host)),
                         ntohs(v6->sin6_port));
        else if (sa->sa_family == AF_INET6)
                snprintf(buf, NET_TEXT, "[%s]:%u", inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host)),
                         ntohs(v6->sin6_port));
        else
                snprintf(buf, NET_TEXT, "%s:%u", inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host)),
                         ntohs(v4->sin_port));
        return buf;
}

void net_address_map(struct net_address *a)
{
        struct sockaddr_in v4;
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

        if (a->sa.ss_family != AF_INET)
                return;
        memcpy(&v4, &a->sa, sizeof(v4));
        v6.sin6_port = v4.sin_port;
        memset(v6.sin6_addr.s6_addr + 10, 0xff, 2);
        memcpy(v6.sin6_addr.s6_addr + 12, &v4.sin_addr, 4);
        memcpy(&a->sa, &v6, a->len = sizeof(v6));
}

bool net_address_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
        char x[NET_TEXT], y[NET_TEXT];

        return strcmp(net_address_text((const struct sockaddr *)a, x),
                      net_address_text((const struct sockaddr *)b, y)) == 0;
}
