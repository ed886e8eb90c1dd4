/* SPDX-License-Identifier: Apache-2.0 */
/* Services at the socket, with real sockets: IPv4, IPv6, and IPv4 on IPv6 sockets. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <netinet/in.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "bpf/sock_lab.h"

#define ALL_KNOBS (KNOB_SOCK | KNOB_NODEPORT_LOOPBACK | KNOB_BIND_PROTECT | KNOB_RETVAL)
#define PODS      4

/* Listeners or UDP sockets at POD_PORT of POD1 to POD4. */
struct pods {
        int fd[PODS];
};

/* Descriptors of the running test: what fails jumps out of it, so they are closed afterwards. */
static int opened[64];
static size_t n_opened;

static int remember(int fd)
{
        assert_true(fd >= 0);
        assert_true(n_opened < ARRAY_SIZE(opened));
        return opened[n_opened++] = fd;
}

/* Closes what was opened since then. */
static void close_since(size_t mark)
{
        while (n_opened > mark)
                close(opened[--n_opened]);
}

static int new_socket(enum tongue t, int type)
{
        int fd = remember(socket(t == V4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0));
        struct timeval patience = {.tv_sec = 2};

        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        return fd;
}

static int bind_to(int fd, enum tongue t, enum place p, uint16_t port)
{
        struct sockaddr_storage sa;
        socklen_t len = place_sockaddr(t, p, port, &sa);
        int one = 1;

        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        return bind(fd, (struct sockaddr *)&sa, len) < 0 ? errno : 0;
}

static struct pods pods_open(enum tongue t, int type)
{
        struct pods p;

        for (int i = 0; i < PODS; i++) {
                p.fd[i] = new_socket(t, type);
                assert_int_equal(bind_to(p.fd[i], t, (enum place)(POD1 + i), POD_PORT), 0);
                if (type == SOCK_STREAM)
                        assert_int_equal(listen(p.fd[i], 64), 0);
        }
        return p;
}

/* Which pod has something to accept or to read; -1: none. */
static int pods_ready(const struct pods *p)
{
        struct pollfd polled[PODS];

        for (int i = 0; i < PODS; i++)
                polled[i] = (struct pollfd){.fd = p->fd[i], .events = POLLIN};
        if (poll(polled, PODS, 500) <= 0)
                return -1;
        for (int i = 0; i < PODS; i++)
                if (polled[i].revents)
                        return i;
        return -1;
}

/* 0 or the errno. */
static int connect_to(int fd, enum tongue t, enum place p, uint16_t port)
{
        struct sockaddr_storage sa;
        socklen_t len = place_sockaddr(t, p, port, &sa);

        return connect(fd, (struct sockaddr *)&sa, len) < 0 ? errno : 0;
}

static int send_to(int fd, enum tongue t, enum place p, uint16_t port)
{
        struct sockaddr_storage sa;
        socklen_t len = place_sockaddr(t, p, port, &sa);

        return sendto(fd, "?", 1, 0, (struct sockaddr *)&sa, len) < 0 ? errno : 0;
}

static const char *peer_of(int fd)
{
        struct sockaddr_storage sa;
        socklen_t len = sizeof(sa);

        return getpeername(fd, (struct sockaddr *)&sa, &len) < 0 ? strerrorname_np(errno) : place_text(&sa);
}

/* Receives a datagram; where from. */
static const char *receive(int fd)
{
        struct sockaddr_storage sa;
        socklen_t len = sizeof(sa);
        char data[16];

        if (recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&sa, &len) < 0)
                return strerrorname_np(errno);
        return place_text(&sa);
}

/* The pod that got the datagram answers it. Which pod. */
static int answer(const struct pods *p)
{
        struct sockaddr_storage sa;
        socklen_t len = sizeof(sa);
        int i = pods_ready(p);
        char data[16];

        if (i < 0)
                return -1;
        assert_int_equal(recvfrom(p->fd[i], data, sizeof(data), 0, (struct sockaddr *)&sa, &len), 1);
        assert_int_equal(sendto(p->fd[i], "!", 1, 0, (struct sockaddr *)&sa, len), 1);
        return i;
}

/* Accepts and closes. Which pod. */
static int accept_one(const struct pods *p)
{
        int i = pods_ready(p);
        int fd = i < 0 ? -1 : accept(p->fd[i], NULL, NULL);

        if (fd >= 0)
                close(fd);
        return i;
}

static int connect_new(enum tongue t, int type, enum place p, uint16_t port)
{
        size_t mark = n_opened;
        int error = connect_to(new_socket(t, type), t, p, port);

        close_since(mark);
        return error;
}

/* ---- the tests: each is run with each tongue, in a new lab. */

static void a_tcp_connection_goes_to_a_backend_and_its_peer_is_the_service(struct sock_lab *l, enum tongue t)
{
        struct pods pods = pods_open(t, SOCK_STREAM);
        uint32_t id = sock_lab_service(l, t, &(struct sock_service){.at = VIP, .port = 80, .first = 2, .count = 1});
        int fd = new_socket(t, SOCK_STREAM);

        assert_int_equal(connect_to(fd, t, VIP, 80), 0);
        assert_int_equal(accept_one(&pods), 2);
        assert_string_equal(peer_of(fd), "VIP:80");
        assert_int_equal(sock_lab_stats(l, id).connections, 1);
        assert_int_equal(sock_lab_counter(l, REASON_TRANSLATED), 1);
}

static void a_connected_udp_socket_hears_the_service(struct sock_lab *l, enum tongue t)
{
        struct pods pods = pods_open(t, SOCK_DGRAM);
        int fd = new_socket(t, SOCK_DGRAM);
        int first;

        sock_lab_service(l, t, &(struct sock_service){.at = VIP, .port = 53, .proto = IPPROTO_UDP, .count = 4});
        assert_int_equal(connect_to(fd, t, VIP, 53), 0);
        assert_string_equal(peer_of(fd), "VIP:53");
        assert_int_equal(send(fd, "?", 1, 0), 1);
        first = answer(&pods);
        assert_in_range(first, 0, 3);
        assert_string_equal(receive(fd), "VIP:53");
        for (int i = 0; i < 20; i++) {
                assert_int_equal(send(fd, "?", 1, 0), 1);
                assert_int_equal(answer(&pods), first);
                assert_string_equal(receive(fd), "VIP:53");
        }
}

static void a_connected_udp_socket_that_names_the_service_again_keeps_its_backend(struct sock_lab *l, enum tongue t)
{
        struct pods pods = pods_open(t, SOCK_DGRAM);

        sock_lab_service(l, t, &(struct sock_service){.at = VIP, .port = 53, .proto = IPPROTO_UDP, .count = 4});
        for (int i = 0; i < 10; i++) {
                int fd = new_socket(t, SOCK_DGRAM), first;

                assert_int_equal(connect_to(fd, t, VIP, 53), 0);
                assert_int_equal(send(fd, "?", 1, 0), 1);
                first = answer(&pods);
                assert_string_equal(receive(fd), "VIP:53");
                assert_int_equal(send_to(fd, t, VIP, 53), 0);
                assert_int_equal(answer(&pods), first);
                assert_string_equal(receive(fd), "VIP:53");
        }
}

static void an_unconnected_socket_hears_the_service_and_keeps_its_backend(struct sock_lab *l, enum tongue t)
{
        struct pods pods = pods_open(t, SOCK_DGRAM);
        struct sock_service s = {.at = VIP, .port = 53, .proto = IPPROTO_UDP, .count = 4};
        uint32_t id = sock_lab_service(l, t, &s);
        int fd = new_socket(t, SOCK_DGRAM);
        int first;

        assert_int_equal(send_to(fd, t, VIP, 53), 0);
        first = answer(&pods);
        assert_in_range(first, 0, 3);
        assert_string_equal(receive(fd), "VIP:53");
        assert_string_equal(peer_of(fd), "ENOTCONN");
        for (int i = 0; i < 20; i++) {
                assert_int_equal(send_to(fd, t, VIP, 53), 0);
                assert_int_equal(answer(&pods), first);
                assert_string_equal(receive(fd), "VIP:53");
        }
        /* The endpoint, asked by its own address, is somebody else. */
        assert_int_equal(send_to(fd, t, (enum place)(POD1 + first), POD_PORT), 0);
        assert_int_equal(answer(&pods), first);
        assert_int_equal(strncmp(receive(fd), "POD", 3), 0);
        assert_int_equal(sock_lab_stats(l, id).connections, 1);
}

static void an_unconnected_socket_leaves_a_backend_that_is_gone(struct sock_lab *l, enum tongue t)
{
        struct pods pods = pods_open(t, SOCK_DGRAM);
        struct sock_service s = {.at = VIP, .port = 53, .proto = IPPROTO_UDP, .count = 1};
        uint32_t id = sock_lab_service(l, t, &s);
        int fd = new_socket(t, SOCK_DGRAM);

        assert_int_equal(send_to(fd, t, VIP, 53), 0);
        assert_int_equal(answer(&pods), 0);
        assert_string_equal(receive(fd), "VIP:53");
        s.first = 3;
        sock_lab_service(l, t, &s);
        assert_int_equal(send_to(fd, t, VIP, 53), 0);
        assert_int_equal(answer(&pods), 0);
        assert_string_equal(receive(fd), "VIP:53");
        sock_lab_remove_backend(l, id, 0);
        assert_int_equal(send_to(fd, t, VIP, 53), 0);
        assert_int_equal(answer(&pods), 3);
        assert_string_equal(receive(fd), "VIP:53");
}

static void an_unconnected_socket_that_was_silent_chooses_anew(struct sock_lab *l, enum tongue t)
{
        struct pods pods = pods_open(t, SOCK_DGRAM);
        struct sock_service s = {.at = VIP, .port = 53, .proto = IPPROTO_UDP, .count = 1};
        int fd = new_socket(t, SOCK_DGRAM);

        sock_lab_service(l, t, &s);
        assert_int_equal(send_to(fd, t, VIP, 53), 0);
        assert_int_equal(answer(&pods), 0);
        s.first = 1;
        sock_lab_service(l, t, &s);
        sock_lab_age(l, 100);
        assert_int_equal(send_to(fd, t, VIP, 53), 0);
        assert_int_equal(answer(&pods), 0);
        sock_lab_age(l, 125);
        assert_int_equal(send_to(fd, t, VIP, 53), 0);
        assert_int_equal(answer(&pods), 1);
}

static void answers_of_one_backend_are_told_apart_by_service(struct sock_lab *l, enum tongue t)
{
        struct pods pods = pods_open(t, SOCK_DGRAM);
        struct sock_service s = {.at = VIP, .port = 53, .proto = IPPROTO_UDP, .count = 1};
        int fd = new_socket(t, SOCK_DGRAM);

        sock_lab_service(l, t, &s);
        s.at = VIP2;
        sock_lab_service(l, t, &s);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(send_to(fd, t, VIP, 53), 0);
                assert_int_equal(answer(&pods), 0);
                assert_string_equal(receive(fd), "VIP:53");
                assert_int_equal(send_to(fd, t, VIP2, 53), 0);
                assert_int_equal(answer(&pods), 0);
                assert_string_equal(receive(fd), "VIP2:53");
        }
}

static void a_socket_that_asks_two_services_gets_two_backends_if_there_are(struct sock_lab *l, enum tongue t)
{
        struct pods pods = pods_open(t, SOCK_DGRAM);
        struct sock_service s = {.at = VIP, .port = 53, .proto = IPPROTO_UDP, .count = 4};
        int same = 0;

        sock_lab_service(l, t, &s);
        s.at = VIP2;
        sock_lab_service(l, t, &s);
        for (int i = 0; i < 50; i++) {
                size_t mark = n_opened;
                int fd = new_socket(t, SOCK_DGRAM);
                int first;

                assert_int_equal(send_to(fd, t, VIP, 53), 0);
                first = answer(&pods);
                assert_int_equal(send_to(fd, t, VIP2, 53), 0);
                same += answer(&pods) == first;
                close_since(mark);
        }
        /* 12.5 if it were by chance; 1 in 256 with four tries. */
        assert_in_range(same, 0, 4);
}

static void node_ports_are_served_at_all_node_addresses_and_nowhere_else(struct sock_lab *l, enum tongue t)
{
        struct pods pods = pods_open(t, SOCK_STREAM);
        static const enum place served[] = {NODE, OTHER_NODE, LOOPBACK, ANY};

        sock_lab_service(l, t, &(struct sock_service){.at = ANY, .port = 30080, .first = 1, .count = 1});
        for (size_t i = 0; i < ARRAY_SIZE(served); i++) {
                assert_int_equal(connect_new(t, SOCK_STREAM, served[i], 30080), 0);
                assert_int_equal(accept_one(&pods), 1);
        }
        assert_int_equal(connect_new(t, SOCK_STREAM, OUTSIDE, 30080), ECONNREFUSED);
        assert_int_equal(connect_new(t, SOCK_STREAM, NODE, 30081), ECONNREFUSED);
        assert_int_equal(connect_new(t, SOCK_STREAM, LOOPBACK, 30081), ECONNREFUSED);
        assert_int_equal(sock_lab_counter(l, REASON_TRANSLATED), 4);
}

static void a_node_port_has_the_backends_of_its_family(struct sock_lab *l, enum tongue t)
{
        struct pods pods = pods_open(t, SOCK_STREAM);
        enum tongue other = t == V6 ? V4 : V6;

        sock_lab_service(l, other, &(struct sock_service){.at = ANY, .port = 30080, .first = 2, .count = 1});
        assert_int_equal(connect_new(t, SOCK_STREAM, NODE, 30080), ECONNREFUSED);
        sock_lab_service(l, t, &(struct sock_service){.at = ANY, .port = 30080, .first = 1, .count = 1});
        assert_int_equal(connect_new(t, SOCK_STREAM, NODE, 30080), 0);
        assert_int_equal(accept_one(&pods), 1);
}

static void a_host_port_is_only_its_own_nodes(struct sock_lab *l, enum tongue t)
{
        struct pods pods = pods_open(t, SOCK_STREAM);
        struct sock_service s = {.at = ANY, .port = 8081, .flags = SERVICE_HOSTPORT, .count = 1};

        sock_lab_service(l, t, &s);
        assert_int_equal(connect_new(t, SOCK_STREAM, NODE, 8081), 0);
        assert_int_equal(accept_one(&pods), 0);
        assert_int_not_equal(connect_new(t, SOCK_STREAM, OTHER_NODE, 8081), 0);
        assert_int_equal(sock_lab_counter(l, REASON_TRANSLATED), 1);
}

static int own_netns;

/* fn in another namespace. */
static void in_netns(int netns, void (*fn)(enum tongue t), enum tongue t)
{
        assert_int_equal(setns(netns, CLONE_NEWNET), 0);
        fn(t);
        assert_int_equal(setns(own_netns, CLONE_NEWNET), 0);
}

static void connect_to_own_loopback(enum tongue t)
{
        assert_int_equal(connect_new(t, SOCK_STREAM, LOOPBACK, 30080), ECONNREFUSED);
}

static void a_pods_loopback_is_its_own(struct sock_lab *l, enum tongue t)
{
        int pod = remember(sock_lab_pod_netns());

        sock_lab_service(l, t, &(struct sock_service){.at = ANY, .port = 30080, .count = 1});
        in_netns(pod, connect_to_own_loopback, t);
        assert_int_equal(sock_lab_counter(l, REASON_TRANSLATED), 0);
}

static void connect_to_own_port(enum tongue t)
{
        assert_int_equal(connect_new(t, SOCK_STREAM, LOOPBACK, 8081), ECONNREFUSED);
}

/* hostIP: 127.0.0.1 */
static void a_host_port_at_the_loopback_is_the_nodes_own(struct sock_lab *l, enum tongue t)
{
        struct pods pods = pods_open(t, SOCK_STREAM);
        int pod = remember(sock_lab_pod_netns());

        sock_lab_service(l, t,
                         &(struct sock_service){.at = LOOPBACK, .port = 8081, .flags = SERVICE_HOSTPORT, .count = 1});
        assert_int_equal(connect_new(t, SOCK_STREAM, LOOPBACK, 8081), 0);
        assert_int_equal(accept_one(&pods), 0);
        in_netns(pod, connect_to_own_port, t);
        assert_int_equal(connect_new(t, SOCK_STREAM, NODE, 8081), ECONNREFUSED);
        assert_int_equal(sock_lab_counter(l, REASON_TRANSLATED), 1);
}

static void what_has_no_endpoints_is_refused(struct sock_lab *l, enum tongue t)
{
        int fd = new_socket(t, SOCK_DGRAM);
        uint32_t tcp = sock_lab_service(l, t, &(struct sock_service){.at = VIP, .port = 80});
        uint32_t udp = sock_lab_service(l, t, &(struct sock_service){.at = VIP, .port = 53, .proto = IPPROTO_UDP});

        assert_int_equal(connect_new(t, SOCK_STREAM, VIP, 80), ECONNREFUSED);
        assert_int_equal(connect_new(t, SOCK_DGRAM, VIP, 53), ECONNREFUSED);
        assert_int_equal(send_to(fd, t, VIP, 53), ECONNREFUSED);
        assert_int_equal(sock_lab_stats(l, tcp).refused, 1);
        assert_int_equal(sock_lab_stats(l, udp).refused, 2);
        assert_int_equal(sock_lab_stats(l, udp).connections, 0);
        assert_int_equal(sock_lab_counter(l, REASON_NO_ENDPOINTS), 3);
        assert_int_equal(sock_lab_counter(l, REASON_REFUSED), 3);
}

static void what_the_policy_drops_is_unreachable(struct sock_lab *l, enum tongue t)
{
        int fd = new_socket(t, SOCK_DGRAM);

        sock_lab_service(l, t, &(struct sock_service){.at = VIP, .port = 80, .flags = SERVICE_DROP_IN});
        sock_lab_service(l, t,
                         &(struct sock_service){.at = VIP, .port = 53, .proto = IPPROTO_UDP, .flags = SERVICE_DROP_IN});
        assert_int_equal(connect_new(t, SOCK_STREAM, VIP, 80), EHOSTUNREACH);
        assert_int_equal(send_to(fd, t, VIP, 53), EHOSTUNREACH);
        assert_int_equal(sock_lab_counter(l, REASON_NO_LOCAL_ENDPOINTS), 2);
        assert_int_equal(sock_lab_counter(l, REASON_REFUSED), 0);
}

static void unknown_ports_and_addresses_of_services_are_refused(struct sock_lab *l, enum tongue t)
{
        int fd = new_socket(t, SOCK_DGRAM);

        sock_lab_service(l, t, &(struct sock_service){.at = VIP, .port = 80, .count = 1});
        assert_int_equal(connect_new(t, SOCK_STREAM, VIP, 81), ECONNREFUSED);
        assert_int_equal(connect_new(t, SOCK_DGRAM, VIP, 80), ECONNREFUSED);
        assert_int_equal(connect_new(t, SOCK_STREAM, NO_VIP, 80), ECONNREFUSED);
        assert_int_equal(connect_new(t, SOCK_DGRAM, NO_VIP, 80), ECONNREFUSED);
        assert_int_equal(send_to(fd, t, VIP, 80), ECONNREFUSED);
        assert_int_equal(send_to(fd, t, NO_VIP, 80), ECONNREFUSED);
        assert_int_equal(sock_lab_counter(l, REASON_UNKNOWN_PORT), 6);
}

static void what_is_no_service_is_left_alone(struct sock_lab *l, enum tongue t)
{
        struct pods tcp = pods_open(t, SOCK_STREAM), udp = pods_open(t, SOCK_DGRAM);
        int fd = new_socket(t, SOCK_STREAM), datagrams = new_socket(t, SOCK_DGRAM);

        sock_lab_service(l, t, &(struct sock_service){.at = VIP, .port = 80, .count = 1});
        assert_int_equal(connect_to(fd, t, POD2, POD_PORT), 0);
        assert_int_equal(accept_one(&tcp), 1);
        assert_string_equal(peer_of(fd), "POD2:8080");
        assert_int_equal(send_to(datagrams, t, POD3, POD_PORT), 0);
        assert_int_equal(answer(&udp), 2);
        assert_string_equal(receive(datagrams), "POD3:8080");
        assert_int_equal(sock_lab_counter(l, REASON_TRANSLATED), 0);
}

static void a_socket_that_connects_elsewhere_forgets_the_service(struct sock_lab *l, enum tongue t)
{
        struct pods pods = pods_open(t, SOCK_DGRAM);
        static const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
        int fd = new_socket(t, SOCK_DGRAM);

        sock_lab_service(l, t, &(struct sock_service){.at = VIP, .port = 53, .proto = IPPROTO_UDP, .count = 1});
        sock_lab_service(l, t, &(struct sock_service){.at = VIP2, .port = 54, .proto = IPPROTO_UDP, .count = 1});
        assert_int_equal(connect_to(fd, t, VIP2, 54), 0);
        assert_string_equal(peer_of(fd), "VIP2:54");
        assert_int_equal(connect_to(fd, t, VIP, 53), 0);
        assert_string_equal(peer_of(fd), "VIP:53");
        assert_int_equal(connect_to(fd, t, POD1, POD_PORT), 0);
        assert_string_equal(peer_of(fd), "POD1:8080");
        assert_int_equal(send(fd, "?", 1, 0), 1);
        assert_int_equal(answer(&pods), 0);
        assert_string_equal(receive(fd), "POD1:8080");

        assert_int_equal(connect_to(fd, t, VIP, 53), 0);
        assert_int_equal(connect(fd, &nowhere, sizeof(nowhere)), 0);
        assert_string_equal(peer_of(fd), "ENOTCONN");
        assert_int_equal(send_to(fd, t, POD1, POD_PORT), 0);
        assert_int_equal(answer(&pods), 0);
        assert_string_equal(receive(fd), "POD1:8080");
}

static void a_refused_connect_leaves_the_old_peer(struct sock_lab *l, enum tongue t)
{
        struct pods pods = pods_open(t, SOCK_DGRAM);
        int fd = new_socket(t, SOCK_DGRAM);

        sock_lab_service(l, t, &(struct sock_service){.at = VIP, .port = 53, .proto = IPPROTO_UDP, .count = 1});
        assert_int_equal(connect_to(fd, t, VIP, 53), 0);
        assert_int_equal(connect_to(fd, t, NO_VIP, 53), ECONNREFUSED);
        assert_string_equal(peer_of(fd), "VIP:53");
        assert_int_equal(send(fd, "?", 1, 0), 1);
        assert_int_equal(answer(&pods), 0);
        assert_string_equal(receive(fd), "VIP:53");
}

static int bind_new(enum tongue t, int type, enum place p, uint16_t port)
{
        size_t mark = n_opened;
        int error = bind_to(new_socket(t, type), t, p, port);

        close_since(mark);
        return error;
}

static void bind_where_the_node_may_not(enum tongue t)
{
        assert_int_equal(bind_new(t, SOCK_STREAM, ANY, 30080), 0);
        assert_int_equal(bind_new(t, SOCK_STREAM, LOOPBACK, 30080), 0);
}

static void a_node_port_cannot_be_bound_on_the_node(struct sock_lab *l, enum tongue t)
{
        int pod = remember(sock_lab_pod_netns());

        sock_lab_service(l, t, &(struct sock_service){.at = ANY, .port = 30080, .count = 1});
        assert_int_equal(bind_new(t, SOCK_STREAM, ANY, 30080), EADDRINUSE);
        assert_int_equal(bind_new(t, SOCK_STREAM, NODE, 30080), EADDRINUSE);
        assert_int_equal(bind_new(t, SOCK_STREAM, LOOPBACK, 30080), EADDRINUSE);
        assert_int_equal(sock_lab_counter(l, REASON_BIND_TAKEN), 3);
        /* Where no NodePort is served nothing is in the way. */
        assert_int_equal(bind_new(t, SOCK_STREAM, OUTSIDE, 30080), 0);
        assert_int_equal(bind_new(t, SOCK_STREAM, ANY, 30081), 0);
        assert_int_equal(bind_new(t, SOCK_DGRAM, ANY, 30080), 0);
        assert_int_equal(bind_new(t, SOCK_STREAM, ANY, 0), 0);
        in_netns(pod, bind_where_the_node_may_not, t);
        assert_int_equal(sock_lab_counter(l, REASON_BIND_TAKEN), 3);
}

/* The pod that a connection goes to. */
static int pod_of_connection(enum tongue t, const struct pods *pods, enum place p, uint16_t port)
{
        assert_int_equal(connect_new(t, SOCK_STREAM, p, port), 0);
        return accept_one(pods);
}

static void affinity_holds_for_its_time(struct sock_lab *l, enum tongue t)
{
        struct pods pods = pods_open(t, SOCK_STREAM);
        struct sock_service s = {.at = VIP, .port = 80, .affinity_s = 60, .count = 4};
        uint32_t id = sock_lab_service(l, t, &s);
        int first = pod_of_connection(t, &pods, VIP, 80), others = 0;

        for (int i = 0; i < 20; i++)
                assert_int_equal(pod_of_connection(t, &pods, VIP, 80), first);
        sock_lab_age(l, 50);
        assert_int_equal(pod_of_connection(t, &pods, VIP, 80), first);
        /* Every use begins the time again. */
        sock_lab_age(l, 50);
        assert_int_equal(pod_of_connection(t, &pods, VIP, 80), first);
        for (int i = 0; i < 40; i++) {
                sock_lab_age(l, 70);
                others += pod_of_connection(t, &pods, VIP, 80) != first;
        }
        assert_in_range(others, 10, 40);
        assert_int_equal(sock_lab_stats(l, id).connections, 63);
}

static int netns_pods[PODS];

static void count_pods_of_ten_connections(enum tongue t)
{
        size_t mark = n_opened;
        struct pods pods = pods_open(t, SOCK_STREAM);

        for (int i = 0; i < 10; i++)
                netns_pods[pod_of_connection(t, &pods, VIP, 80)]++;
        close_since(mark);
}

static void each_pod_has_an_affinity_of_its_own(struct sock_lab *l, enum tongue t)
{
        struct sock_service s = {.at = VIP, .port = 80, .affinity_s = 60, .count = 4};
        int kinds = 0;

        memset(netns_pods, 0, sizeof(netns_pods));
        sock_lab_service(l, t, &s);
        for (int i = 0; i < 12; i++) {
                int pod = remember(sock_lab_pod_netns());

                in_netns(pod, count_pods_of_ten_connections, t);
        }
        for (int i = 0; i < PODS; i++) {
                assert_int_equal(netns_pods[i] % 10, 0);
                kinds += netns_pods[i] > 0;
        }
        assert_in_range(kinds, 2, 4); /* all twelve the same: 1 in 4^11 */
}

static void backends_get_equal_shares(struct sock_lab *l, enum tongue t)
{
        struct pods pods = pods_open(t, SOCK_DGRAM);
        int shares[PODS] = {0};

        sock_lab_service(l, t, &(struct sock_service){.at = VIP, .port = 53, .proto = IPPROTO_UDP, .count = 4});
        for (int i = 0; i < 2000; i++) {
                size_t mark = n_opened;
                int fd = new_socket(t, SOCK_DGRAM);

                assert_int_equal(connect_to(fd, t, VIP, 53), 0);
                assert_int_equal(send(fd, "?", 1, 0), 1);
                shares[answer(&pods)]++;
                close_since(mark);
        }
        for (int i = 0; i < PODS; i++) /* five standard deviations */
                assert_in_range(shares[i], 403, 597);
}

static void clients_on_the_node_use_the_slots_for_inside(struct sock_lab *l, enum tongue t)
{
        struct pods pods = pods_open(t, SOCK_STREAM);
        struct sock_service s = {.at = VIP, .port = 80, .flags = SERVICE_EXTERNAL | SERVICE_RANGES, .count = 2};

        /* Source ranges and the slots for outside (here: none) are for clients outside. */
        sock_lab_service(l, t, &s);
        assert_in_range(pod_of_connection(t, &pods, VIP, 80), 0, 1);
}

struct updates {
        struct sock_lab *lab;
        enum tongue tongue;
        bool stop;
        uint32_t done;
};

/* The agent's way: a new range is written, then the service is pointed to it. */
static void *update_all_the_time(void *userdata)
{
        struct updates *u = userdata;
        struct sock_service s = {.at = VIP, .port = 53, .proto = IPPROTO_UDP};

        for (; !__atomic_load_n(&u->stop, __ATOMIC_RELAXED); u->done++) {
                s.count = 1 + u->done % 4;
                u->lab->next_service = 2 + u->done % 8;
                u->lab->next_line = 2 + u->done % 8;
                sock_lab_service(u->lab, u->tongue, &s);
        }
        return NULL;
}

static void a_service_that_changes_all_the_time_refuses_nobody(struct sock_lab *l, enum tongue t)
{
        struct sock_service s = {.at = VIP, .port = 53, .proto = IPPROTO_UDP, .count = 4};
        struct updates updates = {.lab = l, .tongue = t};
        int refused = 0, calls = 0;
        pthread_t thread;

        sock_lab_service(l, t, &s);
        assert_int_equal(pthread_create(&thread, NULL, update_all_the_time, &updates), 0);
        while (calls < 5000 || (__atomic_load_n(&updates.done, __ATOMIC_RELAXED) < 500 && calls < 1000000)) {
                refused += connect_new(t, SOCK_DGRAM, VIP, 53) != 0;
                calls++;
        }
        __atomic_store_n(&updates.stop, true, __ATOMIC_RELAXED);
        pthread_join(thread, NULL);
        assert_int_equal(refused, 0);
        assert_true(updates.done >= 500);
}

/* ---- other knobs */

static void without_the_knob_the_nodes_loopback_is_its_own(struct sock_lab *l, enum tongue t)
{
        sock_lab_service(l, t, &(struct sock_service){.at = ANY, .port = 30080, .count = 1});
        assert_int_equal(connect_new(t, SOCK_STREAM, LOOPBACK, 30080), ECONNREFUSED);
        assert_int_equal(sock_lab_counter(l, REASON_TRANSLATED), 0);
}

static void without_the_knob_a_node_port_can_be_bound(struct sock_lab *l, enum tongue t)
{
        sock_lab_service(l, t, &(struct sock_service){.at = ANY, .port = 30080, .count = 1});
        assert_int_equal(bind_new(t, SOCK_STREAM, ANY, 30080), 0);
}

static void without_set_retval_a_refusal_is_eperm(struct sock_lab *l, enum tongue t)
{
        int fd = new_socket(t, SOCK_DGRAM);

        sock_lab_service(l, t, &(struct sock_service){.at = VIP, .port = 80});
        assert_int_equal(connect_new(t, SOCK_STREAM, VIP, 80), EPERM);
        assert_int_equal(send_to(fd, t, NO_VIP, 80), EPERM);
}

/* ---- running */

struct test {
        void (*fn)(struct sock_lab *l, enum tongue t);
        const char *name;
        bool no_knobs;
};

struct run {
        const struct test *test;
        enum tongue tongue;
};

static struct sock_lab lab;

static int set_up(void **state)
{
        const struct run *r = *state;

        sock_lab_open(&lab, r->test->no_knobs ? KNOB_SOCK : ALL_KNOBS, SOCK_LAB_SMALL);
        own_netns = remember(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
        return 0;
}

static void run(void **state)
{
        const struct run *r = *state;

        r->test->fn(&lab, r->tongue);
}

static int tear_down(void **state)
{
        int r = setns(own_netns, CLONE_NEWNET);

        close_since(0);
        sock_lab_close(&lab);
        return r;
}

#define TEST(fn)                                                                                                       \
        {                                                                                                              \
                fn, #fn, false                                                                                         \
        }
#define TEST_NO_KNOBS(fn)                                                                                              \
        {                                                                                                              \
                fn, #fn, true                                                                                          \
        }

int main(void)
{
        static const struct test tests[] = {
                TEST(a_tcp_connection_goes_to_a_backend_and_its_peer_is_the_service),
                TEST(a_connected_udp_socket_hears_the_service),
                TEST(a_connected_udp_socket_that_names_the_service_again_keeps_its_backend),
                TEST(an_unconnected_socket_hears_the_service_and_keeps_its_backend),
                TEST(an_unconnected_socket_leaves_a_backend_that_is_gone),
                TEST(an_unconnected_socket_that_was_silent_chooses_anew),
                TEST(answers_of_one_backend_are_told_apart_by_service),
                TEST(a_socket_that_asks_two_services_gets_two_backends_if_there_are),
                TEST(node_ports_are_served_at_all_node_addresses_and_nowhere_else),
                TEST(a_node_port_has_the_backends_of_its_family),
                TEST(a_host_port_is_only_its_own_nodes),
                TEST(a_pods_loopback_is_its_own),
                TEST(a_host_port_at_the_loopback_is_the_nodes_own),
                TEST(what_has_no_endpoints_is_refused),
                TEST(what_the_policy_drops_is_unreachable),
                TEST(unknown_ports_and_addresses_of_services_are_refused),
                TEST(what_is_no_service_is_left_alone),
                TEST(a_socket_that_connects_elsewhere_forgets_the_service),
                TEST(a_refused_connect_leaves_the_old_peer),
                TEST(a_node_port_cannot_be_bound_on_the_node),
                TEST(affinity_holds_for_its_time),
                TEST(each_pod_has_an_affinity_of_its_own),
                TEST(backends_get_equal_shares),
                TEST(clients_on_the_node_use_the_slots_for_inside),
                TEST(a_service_that_changes_all_the_time_refuses_nobody),
                TEST_NO_KNOBS(without_the_knob_the_nodes_loopback_is_its_own),
                TEST_NO_KNOBS(without_the_knob_a_node_port_can_be_bound),
                TEST_NO_KNOBS(without_set_retval_a_refusal_is_eperm),
        };
        static const char *const tongues[] = {"ipv4", "ipv6", "ipv4_mapped"};
        static struct run runs[ARRAY_SIZE(tests) * TONGUES];
        static struct CMUnitTest units[ARRAY_SIZE(runs)];
        static char names[ARRAY_SIZE(runs)][128];

        for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
                runs[i] = (struct run){&tests[i / TONGUES], (enum tongue)(i % TONGUES)};
                snprintf(names[i], sizeof(names[i]), "%s_%s", tests[i / TONGUES].name, tongues[i % TONGUES]);
                units[i] = (struct CMUnitTest){.name = names[i],
                                               .test_func = run,
                                               .setup_func = set_up,
                                               .teardown_func = tear_down,
                                               .initial_state = &runs[i]};
        }
        return cmocka_run_group_tests_name("sock", units, NULL, NULL);
}
