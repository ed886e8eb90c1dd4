/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What services at the socket cost, one key=value a line; needs root. Times are of a client's calls over the loopback
 * device: UDP: socket, connect, close; UDP: one sendto of a socket that is not connected; TCP: socket, connect, accept,
 * close of both. Each to a pod's address without and with the programs attached, to a service, and to a service among
 * 10,000. The best of seven rounds, in turn, because what else runs on the machine changes more than the programs do.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <netinet/in.h>

#include "base/clock.h"
#include "bpf/sock_lab.h"

#define ROUNDS    7
#define CALLS     20000
#define TCP_CALLS 3000
#define SERVICES  10000

enum kind {
        UDP_CONNECT,
        UDP_SENDTO,
        TCP_CONNECT,
        KINDS,
};

enum setting {
        DETACHED,
        DIRECT,
        SERVICE,
        SERVICE_OF_MANY,
        SETTINGS,
};

static const char *const kind_names[KINDS] = {"udp_connect", "udp_sendto", "tcp_connection"};
static const char *const setting_names[SETTINGS] = {"without_programs", "direct", "service", "service_of_10000"};

static double best_ns[KINDS][SETTINGS];
static int listener, receiver;

static void die(const char *what)
{
        fprintf(stderr, "sock_bench: %s: %m\n", what);
        exit(1);
}

static int serve(int type)
{
        struct sockaddr_storage sa;
        socklen_t len = place_sockaddr(V4, POD1, POD_PORT, &sa);
        int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), one = 1;

        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) < 0 || (type == SOCK_STREAM && listen(fd, 16) < 0))
                die("cannot serve");
        return fd;
}

/* What comes is thrown away at once by a receiver without room. */
static void call_udp_sendto(int fd, const struct sockaddr_storage *sa, socklen_t len)
{
        if (sendto(fd, "?", 1, 0, (const struct sockaddr *)sa, len) != 1)
                die("sendto");
}

static void call_udp_connect(const struct sockaddr_storage *sa, socklen_t len)
{
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (connect(fd, (const struct sockaddr *)sa, len) < 0)
                die("connect");
        close(fd);
}

static void call_tcp(const struct sockaddr_storage *sa, socklen_t len)
{
        static const struct linger at_once = {1, 0};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), other;

        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        if (connect(fd, (const struct sockaddr *)sa, len) < 0)
                die("connect");
        other = accept(listener, NULL, NULL);
        close(fd);
        close(other);
}

static void measure(enum kind kind, enum setting setting)
{
        bool service = setting == SERVICE || setting == SERVICE_OF_MANY;
        uint64_t calls = kind == TCP_CONNECT ? TCP_CALLS : CALLS, start;
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct sockaddr_storage sa;
        socklen_t len = place_sockaddr(V4, service ? VIP : POD1, service ? 80 : POD_PORT, &sa);
        double ns;

        start = clock_mono_ns();
        for (uint64_t i = 0; i < calls; i++) {
                if (kind == UDP_CONNECT)
                        call_udp_connect(&sa, len);
                else if (kind == UDP_SENDTO)
                        call_udp_sendto(fd, &sa, len);
                else
                        call_tcp(&sa, len);
        }
        ns = (double)(clock_mono_ns() - start) / (double)calls;
        close(fd);
        if (!best_ns[kind][setting] || ns < best_ns[kind][setting])
                best_ns[kind][setting] = ns;
}

static void add_services(struct sock_lab *lab, uint32_t n)
{
        static struct filters f;
        uint32_t zero = 0;

        if (map_lookup(lab->maps.m[MAP_FILTERS], &zero, &f) != 0)
                die("filters");
        for (uint32_t i = 0; i < n; i++) {
                struct service_key key = {.port = htons(80), .proto = IPPROTO_TCP};
                struct service value = {.id = 1};
                uint32_t bit;

                key.addr.b[10] = key.addr.b[11] = 0xff;
                key.addr.w[3] = htonl(0x0a600100 + i);
                bit = addr_filter_bit(&key.addr);
                f.address[bit / 64] |= 1ULL << bit % 64;
                if (map_update(lab->maps.m[MAP_SERVICES], &key, &value) != 0)
                        die("services");
        }
        if (map_update(lab->maps.m[MAP_FILTERS], &zero, &f) != 0)
                die("filters");
}

static void round_of(enum setting setting)
{
        struct sock_service s = {.at = VIP, .port = 80, .count = 1};
        struct sock_lab lab;

        sock_lab_open(&lab, KNOB_SOCK | KNOB_RETVAL | KNOB_BIND_PROTECT, 65536);
        if (!listener) {
                listener = serve(SOCK_STREAM);
                receiver = serve(SOCK_DGRAM);
        }
        sock_lab_service(&lab, V4, &s);
        s.proto = IPPROTO_UDP;
        sock_lab_service(&lab, V4, &s);
        if (setting == SERVICE_OF_MANY)
                add_services(&lab, SERVICES);
        if (setting == DETACHED)
                sock_lab_close(&lab);
        for (int kind = 0; kind < KINDS; kind++)
                measure((enum kind)kind, setting);
        if (setting != DETACHED)
                sock_lab_close(&lab);
}

int main(void)
{
        for (int i = 0; i < ROUNDS; i++)
                for (int setting = 0; setting < SETTINGS; setting++)
                        round_of((enum setting)setting);
        for (int kind = 0; kind < KINDS; kind++)
                for (int setting = 0; setting < SETTINGS; setting++)
                        printf("%s_%s_ns=%.0f\n", kind_names[kind], setting_names[setting], best_ns[kind][setting]);
        return 0;
}
